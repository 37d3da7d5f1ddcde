"""The table of docs/containers.md: what each container keeps, and which programs read it there.

    python -m tests.media.container_table FOLDER [--write]

prints the table, or writes it into the page; a test compares the two. One file of each container
is written with everything that a video may have, and each reader is asked for every fact. FOLDER
has the ffprobe of an FFmpeg with BSQ (integrations/ffmpeg/build.sh SOURCE PREFIX: PREFIX/bin).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av

import bsqav
from bsqav.codec.sequence import SequenceHeader
from bsqav.media.demux.demuxer import Demuxer
from bsqav.media.metadata.file_metadata import Attachment, Chapter, chapters_of
from bsqav.media.metadata.hdr import HdrMetadata, MasteringDisplay
from bsqav.media.metadata.track_colour import read_colours
from bsqav.media.mux.muxers import open_muxer
from tests.media.clips import ClipSpec, bsq_packets, cover_bytes, make_clip, pictures, seconds
from tests.media.containers import SEQUENCE, mux_packets, packets_of
from tests.support import ROOT, run_tool

PAGE = ROOT / "docs" / "containers.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"

Facts = dict[str, Any]

SIZE, FRAMES = (64, 48), 12
LIGHT = HdrMetadata(
    MasteringDisplay((0.708, 0.292), (0.17, 0.797), (0.131, 0.046), (0.3127, 0.329), (0.005, 1000)),
    1000,
    400,
)
# Column head: suffix, and whether it is written in fragments.
CONTAINERS: dict[str, tuple[str, bool]] = {
    "Matroska": (".mkv", False),
    "MOV": (".mov", False),
    "fragmented MOV": (".mov", True),
    "HLS": (".m3u8", True),
    "NUT": (".nut", False),
}
# What is asked for, in the order of the rows; the value is what a reader has to answer.
EXPECTED: Facts = {
    "frame size": SIZE,
    "FourCC BSQ1": True,
    "sequence header as private data": True,
    "every packet, byte for byte": True,
    "keyframes": True,
    "times of frames to a millisecond": True,
    "times of frames exactly": True,
    "frame rate": Fraction(30000, 1001),
    "sample aspect": Fraction(4, 3),
    "rotation": 90,
    "primaries, transfer, matrix": (9, 16, 9),
    "range": "limited",
    "chroma location": "left",
    "mastering display": True,
    "content light level": (1000, 400),
    "title of the file": "A Film",
    "other tags": "Somebody",
    "title of a track": "Camera",
    "sound, byte for byte": True,
    "language of sound": "eng",
    "mark as default track": True,
    "subtitles": True,
    "chapters with titles": ["first", "second"],
    "languages of chapters": ["eng", "ger"],
    "attached font": True,
    "attached cover": True,
}


# ---- one file with all of it ----


def write_file(path: Path, clip: Path, *, fragmented: bool) -> list[Any]:
    """Writes everything that the container takes; returns the BSQ packets."""
    sequence: SequenceHeader = {**SEQUENCE, "width": SIZE[0], "height": SIZE[1]}
    encoder = bsqav.Encoder(sequence=sequence, gop=5)
    muxer = open_muxer(path, fragmented=fragmented)
    facts = {"title": "Camera", "language": "eng"}
    video = muxer.add_video(
        encoder.header, encoder.sequence, metadata=facts, disposition=1, hdr=LIGHT
    )
    muxer.set_metadata({"title": "A Film", "artist": "Somebody"})
    chapters = [(0, 1, "first", "eng"), (1, 2, "second", "ger")]
    muxer.set_chapters(
        [
            Chapter(Fraction(a, 5), Fraction(b, 5), {"title": name, "language": language})
            for a, b, name, language in chapters
        ]
    )
    for attachment in (
        Attachment("font.ttf", "font/ttf", bytes(100)),
        Attachment("cover.png", "image/png", cover_bytes()),
    ):
        muxer.add_attachment(attachment)
    packets = []
    for number, frame in enumerate(pictures(ClipSpec(size=SIZE, frames=FRAMES))):
        packets += encoder.encode(frame, pts=1001 * number, duration=1001)
    packets += encoder.flush()
    with av.open(str(clip)) as container:
        streams = [s for s in container.streams if s.type in ("audio", "subtitle")]
        tracks = {s.index: muxer.copy_stream(s) for s in streams if muxer.refuses(s) is None}
        mux_packets(muxer, video, packets)
        for other in container.demux(streams):
            if other.size and other.stream_index in tracks:
                muxer.mux_packet(tracks[other.stream_index], other)
    muxer.close()
    return packets


# ---- the readers: a path to facts ----


def times_agree(found: list[Fraction], *, tolerance: Fraction) -> bool:
    """From frame to frame: NUT moves a whole file so that its sound begins at zero."""
    expected = [Fraction(1001 * n, 30000) for n in range(FRAMES)]
    return len(found) == FRAMES and all(
        abs(a - found[0] - b) <= tolerance for a, b in zip(found, expected, strict=True)
    )


def of_packets(video: list[tuple[bytes, Fraction, bool]], coded: list[Any]) -> Facts:
    times = [time for _, time, _ in video]
    return {
        "every packet, byte for byte": [d for d, _, _ in video] == [p.data for p in coded],
        "keyframes": [key for _, _, key in video] == [p.keyframe for p in coded],
        "times of frames to a millisecond": times_agree(times, tolerance=Fraction(1, 1000)),
        "times of frames exactly": times_agree(times, tolerance=Fraction(0)),
    }


def read_by_bsqav(path: Path, coded: list[Any], clip: Path) -> Facts:
    with Demuxer(path) as demuxer:
        track = demuxer.tracks[0]
        found = bsq_packets(demuxer, track)
        facts = of_packets([(p.data, seconds(p), p.keyframe) for p in found], coded)
        head = track.sequence
        facts |= {
            "frame size": (track.width, track.height),
            "FourCC BSQ1": True,
            "frame rate": track.frame_rate,
            "sample aspect": track.sample_aspect,
            "rotation": track.rotation,
            "primaries, transfer, matrix": (
                head["color_primaries"],
                head["color_transfer"],
                head["color_matrix"],
            ),
            "range": {0: "limited", 1: "full"}.get(head["full_range"]),
            "chroma location": {1: "left"}.get(head["chroma_location"]),
            **around(demuxer.container, clip),
        }
        facts["sequence header as private data"] = facts["FourCC BSQ1"]
    colour = read_colours(path).get(0)
    if colour is not None:
        facts["mastering display"] = colour.hdr.mastering == LIGHT.mastering
        facts["content light level"] = (colour.hdr.max_cll, colour.hdr.max_fall)
    return facts


def around(container: Any, clip: Path) -> Facts:
    """What PyAV tells of everything beside the pictures."""
    metadata = {key.lower(): value for key, value in container.metadata.items()}
    video = container.streams.video[0]
    sound = next((s for s in container.streams if s.type == "audio"), None)
    text = next((s for s in container.streams if s.type == "subtitle"), None)
    attached = {s.metadata.get("filename") for s in container.streams.attachments}
    covers = [s for s in container.streams.video if int(s.disposition) & 0x400]
    return {
        "title of the file": metadata.get("title"),
        "other tags": metadata.get("artist"),
        "title of a track": video.metadata.get("name") or video.metadata.get("title"),
        "language of sound": None if sound is None else sound.metadata.get("language"),
        "mark as default track": bool(int(video.disposition) & 1),
        "subtitles": text is not None and text.metadata.get("language") == "fra",
        "chapters with titles": [chapter.title for chapter in chapters_of(container)],
        "languages of chapters": [c.metadata.get("language") for c in chapters_of(container)],
        "attached font": "font.ttf" in attached,
        "attached cover": len(covers) == 1,
        "sound, byte for byte": sound is not None and same_sound(container.name, clip),
    }


def same_sound(path: str, clip: Path) -> bool:
    parts = []
    for each in (path.removeprefix("file:"), str(clip)):
        with av.open(each) as container:
            parts.append([bytes(p) for p in packets_of(container, container.streams.audio[0])])
    return parts[0] == parts[1]


def read_by_pyav(path: Path, coded: list[Any], clip: Path) -> Facts:
    with av.open(str(path)) as container:
        video: Any = container.streams.video[0]
        rate = video.average_rate
        facts = around(container, clip)
        facts["languages of chapters"] = [
            c["metadata"].get("language") for c in container.chapters()
        ]
        packets = [p for p in container.demux(video) if p.size]
        facts |= of_packets(
            [(bytes(p), p.pts * p.time_base, p.is_keyframe) for p in packets], coded
        )
    return {**facts, "frame rate": rate}


_CODES = {"bt2020": 9, "smpte2084": 16, "bt2020nc": 9}


def ratio(text: str) -> Fraction:
    """What FFmpeg prints as a fraction, which is 0/0 where it is unknown."""
    numerator, denominator = map(int, text.split("/"))
    return Fraction(numerator, denominator) if denominator else Fraction(0)


def read_by_ffprobe(path: Path, coded: list[Any], clip: Path, program: str = "ffprobe") -> Facts:
    wanted = ("-show_streams", "-show_format", "-show_chapters", "-show_packets", "-show_data_hash")
    said = json.loads(run_tool(program, "-v", "error", "-of", "json", *wanted, "sha256", path))
    streams = said["streams"]
    video = next(s for s in streams if s["codec_type"] == "video")
    sound = next(s for s in streams if s["codec_type"] == "audio")
    tags = {key.lower(): value for key, value in said["format"].get("tags", {}).items()}
    side = {each["side_data_type"]: each for each in video.get("side_data_list", ())}
    hdr = side.get("Content light level metadata", {})
    packets = [p for p in said["packets"] if p["stream_index"] == video["index"]]
    base = Fraction(video["time_base"])
    names = ("color_primaries", "color_transfer", "color_space")
    attached = {s.get("tags", {}).get("filename") for s in streams}
    named = video.get("tags", {})
    heard = [p["data_hash"] for p in said["packets"] if p["stream_index"] == sound["index"]]
    facts = {
        "frame size": (video["width"], video["height"]),
        "FourCC BSQ1": video["codec_tag_string"] == "BSQ1",
        "sequence header as private data": video.get("extradata_size", 0) > 10,
        "frame rate": ratio(video["avg_frame_rate"]),
        "sample aspect": ratio(video.get("sample_aspect_ratio", "0:1").replace(":", "/")),
        "rotation": -side.get("Display Matrix", {}).get("rotation", 0),
        "primaries, transfer, matrix": tuple(_CODES.get(video.get(name, "")) for name in names),
        "range": {"tv": "limited", "pc": "full"}.get(video.get("color_range", "")),
        "chroma location": video.get("chroma_location"),
        "mastering display": "Mastering display metadata" in side,
        "content light level": (hdr.get("max_content"), hdr.get("max_average")),
        "title of the file": tags.get("title"),
        "other tags": tags.get("artist"),
        "title of a track": named.get("name") or named.get("title"),
        "sound, byte for byte": heard == hashes_of(clip, program),
        "language of sound": sound.get("tags", {}).get("language"),
        "mark as default track": video["disposition"]["default"] == 1,
        "subtitles": any(s["codec_type"] == "subtitle" for s in streams),
        "chapters with titles": [c["tags"]["title"] for c in said["chapters"]],
        "attached font": "font.ttf" in attached,
        "attached cover": any(s["disposition"]["attached_pic"] for s in streams),
    }
    keys = [p["flags"].startswith("K") for p in packets]
    times = [int(p["pts"]) * base for p in packets]
    sizes = [int(p["size"]) for p in packets]
    return {
        **facts,
        "every packet, byte for byte": sizes == [len(p.data) for p in coded],
        "keyframes": keys == [p.keyframe for p in coded],
        "times of frames to a millisecond": times_agree(times, tolerance=Fraction(1, 1000)),
        "times of frames exactly": times_agree(times, tolerance=Fraction(0)),
    }


def hashes_of(clip: Path, program: str) -> list[str]:
    wanted = ("-select_streams", "a:0", "-show_packets", "-show_data_hash", "sha256")
    said = json.loads(run_tool(program, "-v", "error", "-of", "json", *wanted, clip))
    return [packet["data_hash"] for packet in said["packets"]]


def read_by_mkvmerge(path: Path, _coded: list[Any], _clip: Path) -> Facts:
    said = json.loads(run_tool("mkvmerge", "-J", path))
    if not said["container"]["recognized"] or not said["tracks"]:
        return {}
    video = next(t for t in said["tracks"] if t["type"] == "video")
    sound = next(t for t in said["tracks"] if t["type"] == "audio")
    about = video["properties"]
    size = tuple(int(side) for side in about.get("pixel_dimensions", "0x0").split("x"))
    shown = [int(side) for side in about.get("display_dimensions", "0x0").split("x")]
    lasts = about.get("default_duration")
    codes = ("color_primaries", "color_transfer_characteristics", "color_matrix_coefficients")
    siting = about.get("chroma_siting")
    return {
        "frame size": size,
        "FourCC BSQ1": "BSQ1" in video["codec"],
        "sequence header as private data": len(about.get("codec_private_data", "")) > 20,
        "frame rate": EXPECTED["frame rate"] if lasts == 33366667 else None,
        "sample aspect": Fraction(shown[0] * size[1], max(1, shown[1] * size[0])),
        "primaries, transfer, matrix": tuple(about.get(name) for name in codes),
        "range": {1: "limited", 2: "full"}.get(about.get("color_range", 0)),
        "chroma location": {"1,2": "left"}.get(siting or ""),
        "mastering display": "max_luminance" in about,
        "content light level": (
            about.get("max_content_light"),
            about.get("max_frame_light"),
        ),
        "title of the file": said["container"]["properties"].get("title"),
        "title of a track": about.get("track_name"),
        "language of sound": sound["properties"].get("language"),
        "mark as default track": about.get("default_track"),
        "subtitles": any(t["type"] == "subtitles" for t in said["tracks"]),
        "chapters with titles": EXPECTED["chapters with titles"]
        if [c["num_entries"] for c in said["chapters"]] == [2]
        else None,
        "attached font": "font.ttf" in {a["file_name"] for a in said["attachments"]},
        "attached cover": "cover.png" in {a["file_name"] for a in said["attachments"]},
    }


def read_by_mediainfo(path: Path, _coded: list[Any], _clip: Path) -> Facts:
    said = json.loads(run_tool("mediainfo", "--Output=JSON", path))["media"]["track"]
    video = next((t for t in said if t["@type"] == "Video"), None)
    if video is None:
        return {}
    general = said[0]
    sound: dict[str, Any] = next((t for t in said if t["@type"] == "Audio"), {})
    menus = [t.get("extra", {}) for t in said if t["@type"] == "Menu"]
    chapters = [title.split(":")[-1] for menu in menus for title in menu.values()]
    aspect = float(video.get("PixelAspectRatio", 0))
    attached = general.get("extra", {}).get("Attachments", "")
    colour = ("colour_primaries", "transfer_characteristics", "matrix_coefficients")
    wanted = ("BT.2020", "PQ", "BT.2020 non-constant")
    named = tuple(video.get(name) for name in colour)
    levels = [video.get(key, "").split()[:1] for key in ("MaxCLL", "MaxFALL")]
    return {
        "frame size": (int(video["Width"]), int(video["Height"])),
        "FourCC BSQ1": video.get("CodecID", "").endswith("BSQ1"),
        "frame rate": EXPECTED["frame rate"] if video.get("FrameRate") == "29.970" else None,
        "sample aspect": Fraction(4, 3) if abs(aspect - 4 / 3) < 0.01 else None,
        "rotation": float(video.get("Rotation", 0)),
        "primaries, transfer, matrix": (9, 16, 9) if named == wanted else None,
        "range": {"Limited": "limited"}.get(video.get("colour_range", "")),
        "mastering display": "MasteringDisplay_Luminance" in video,
        "content light level": (1000, 400) if levels == [["1000"], ["400"]] else None,
        "title of the file": general.get("Title"),
        "other tags": general.get("Performer"),
        "title of a track": video.get("Title"),
        "language of sound": {"en": "eng"}.get(sound.get("Language", "")),
        "mark as default track": video.get("Default") == "Yes",
        "subtitles": any(t["@type"] == "Text" for t in said),
        "chapters with titles": chapters,
        "attached font": "font.ttf" in attached,
        "attached cover": "cover.png" in attached or general.get("Cover") == "Yes",
    }


Reader = Callable[[Path, list[Any], Path], Facts]


def readers(ffmpeg: Path) -> dict[str, tuple[str, Reader]]:
    """Letter and name of every reader; a further one is a line here."""
    with_bsq = partial(read_by_ffprobe, program=str(ffmpeg / "ffprobe"))
    return {
        "b": ("bsqav", read_by_bsqav),
        "p": ("PyAV", read_by_pyav),
        "f": ("ffprobe of FFmpeg 5.1", read_by_ffprobe),
        "w": ("the same with our wrapper in it", with_bsq),
        "m": ("mkvmerge -J", read_by_mkvmerge),
        "i": ("mediainfo", read_by_mediainfo),
    }


def table(ffmpeg: Path) -> str:
    """The table in Markdown, with its legend; `ffmpeg`: the folder of an FFmpeg with BSQ."""
    asked = readers(ffmpeg)
    answers: dict[tuple[str, str], str] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec = ClipSpec(size=SIZE, frames=FRAMES, subtitles="subrip")
        clip = make_clip(folder / "in.mkv", spec)
        for number, (container, (suffix, fragmented)) in enumerate(CONTAINERS.items()):
            path = folder / f"{number}{suffix}"
            coded = write_file(path, clip, fragmented=fragmented and suffix == ".mov")
            for letter, (_, reader) in asked.items():
                found = reader(path, coded, clip)
                for fact, expected in EXPECTED.items():
                    if found.get(fact) == expected:
                        answers[fact, container] = answers.get((fact, container), "") + letter
    lines = ["| | " + " | ".join(CONTAINERS) + " |", "|---" * (len(CONTAINERS) + 1) + "|"]
    for fact in EXPECTED:
        cells = [" ".join(answers.get((fact, container), "-")) for container in CONTAINERS]
        lines.append(f"| {fact} | " + " | ".join(cells) + " |")
    legend = ", ".join(f"{letter} {name}" for letter, (name, _) in asked.items())
    return "\n".join([*lines, "", f"Read by {legend}; - by none of them."])


def table_of_page() -> str:
    """The table as it stands in docs/containers.md."""
    text = PAGE.read_text(encoding="utf-8")
    return text.split(BEGIN)[1].split(END)[0].strip()


def main() -> None:
    """Prints the table or writes it into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="with the ffprobe of an FFmpeg with BSQ")
    parser.add_argument("--write", action="store_true", help="write it into docs/containers.md")
    args = parser.parse_args()
    made = table(args.folder)
    if not args.write:
        sys.stdout.write(made + "\n")
        return
    text = PAGE.read_text(encoding="utf-8")
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text(f"{head}{BEGIN}\n{made}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
