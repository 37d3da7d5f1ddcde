"""Which tracks are carried: all, none, or those that the user names by number or language."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

import bsqav
from bsqav.media.demux.demuxer import Demuxer
from bsqav.media.inspect.verification import verify
from bsqav.media.mux.muxers import open_muxer
from bsqav.media.transcode.tracks import TrackChoice
from tests.media.clips import ASS_HEADER, ClipSpec, bsq_packets, make_clip, pictures
from tests.media.containers import mux_packets, packets_of, sound


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos (32x16, 16x16), sound in three languages, two subtitles."""
    path = tmp_path_factory.mktemp("many") / "many.mkv"
    with av.open(str(path), "w") as container:
        videos = []
        for number, size in enumerate(((32, 16), (16, 16))):
            video: Any = container.add_stream("ffv1", rate=25)
            video.width, video.height = size
            video.pix_fmt = "yuv420p"
            video.metadata["title"] = f"camera {number}"
            videos.append((video, pictures(ClipSpec(size=size, frames=5))))
        sounds = []
        for language, disposition in (("eng", 1), ("fra", 0), ("ger", 0)):
            stream: Any = container.add_stream("flac", rate=48000)
            stream.layout = "mono"
            stream.metadata["language"] = language
            stream.disposition = disposition
            sounds.append(stream)
        texts = []
        for language in ("eng", "spa"):
            text: Any = container.add_stream("subrip")
            text.codec_context.subtitle_header = ASS_HEADER
            text.metadata["language"] = language
            texts.append(text)
        for video, frames in videos:
            for number, frame in enumerate(frames):
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        for stream in sounds:
            with av.open("sine=d=0.2:r=48000", format="lavfi") as generator:
                for samples in generator.decode(audio=0):
                    container.mux(stream.encode(samples))
            container.mux(stream.encode(None))
        for text in texts:
            packet: Any = av.Packet(b"text")
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            packet.pts = packet.dts = 10
            packet.duration = 100
            container.mux(packet)
    return path


def tracks_of(path: Path) -> list[tuple[str, str]]:
    """(type, language or width) of every track."""
    with Demuxer(path) as demuxer:
        found = list[tuple[str, str]]()
        for stream in demuxer.container.streams:
            track = demuxer.track_of(stream)
            width = track.width if track else getattr(stream, "width", 0)
            said = str(width) if stream.type == "video" else stream.metadata.get("language", "")
            found.append((stream.type, said))
        return found


ALL_SOUND = [("audio", "eng"), ("audio", "fra"), ("audio", "ger")]
ALL_TEXT = [("subtitle", "eng"), ("subtitle", "spa")]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"video_track": 0}, [("video", "32"), *ALL_SOUND, *ALL_TEXT]),
        ({"video_track": 1}, [("video", "16"), *ALL_SOUND, *ALL_TEXT]),
        (
            {"video_track": 0, "audio_tracks": "none", "subtitle_tracks": "none"},
            [("video", "32")],
        ),
        (
            {"video_track": 0, "audio_tracks": "4,eng", "subtitle_tracks": ["spa"]},
            [("video", "32"), ("audio", "eng"), ("audio", "ger"), ("subtitle", "spa")],
        ),
        (
            {"video_track": 1, "audio_tracks": 3, "subtitle_tracks": "all"},
            [("video", "16"), ("audio", "fra"), *ALL_TEXT],
        ),
    ],
)
@pytest.mark.parametrize("target", ["out.mkv", "out.mov"])
def test_tracks_are_chosen(
    tmp_path: Path, many: Path, options: dict[str, Any], expected: list[Any], target: str
) -> None:
    if target.endswith("mov"):
        options = {**options, "audio": "pcm_s16le"}
    result = bsqav.transcode(many, tmp_path / target, **options)
    assert tracks_of(tmp_path / target) == expected
    assert result.warnings == (), "what was chosen away is not missed"


def test_tracks_left_out_by_default_are_named(tmp_path: Path, many: Path) -> None:
    result = bsqav.transcode(many, tmp_path / "out.mkv", warn=lambda _: None)
    (warning,) = result.warnings
    assert "track 1 (video ffv1" in warning
    assert "--video" in warning


def test_choosing_out_of_bsq(tmp_path: Path, many: Path) -> None:
    """Two BSQ tracks beside sound: each is decoded, and copied, by its number."""
    path = tmp_path / "two.mkv"
    parts = [tmp_path / f"{number}.mkv" for number in (0, 1)]
    for number, part in enumerate(parts):
        bsqav.transcode(many, part, video_track=number, audio_tracks="none", subtitle_tracks="none")
    muxer = open_muxer(path)
    demuxers = [Demuxer(part) for part in parts]
    indices = [
        muxer.add_video(d.tracks[0].header, d.tracks[0].sequence, metadata={"title": part.stem})
        for d, part in zip(demuxers, parts, strict=True)
    ]
    with av.open(sound("aac")) as container:
        audio = muxer.copy_stream(container.streams.audio[0])
        for packet in packets_of(container, container.streams.audio[0]):
            muxer.mux_packet(audio, packet)
    for index, demuxer in zip(indices, demuxers, strict=True):
        mux_packets(muxer, index, bsq_packets(demuxer))
        demuxer.close()
    muxer.close()
    hashes = []
    for number, part in enumerate(parts):
        taken = bsqav.transcode(path, tmp_path / f"{number}.mp4", video_track=number)
        assert taken.warnings == ()
        hashes.append(taken.hash)
        assert taken.hash == bsqav.transcode(part, tmp_path / f"same{number}.mp4").hash
        copy = tmp_path / f"copy{number}.mkv"
        bsqav.transcode(path, copy, codec="copy", video_track=number)
        assert tracks_of(copy) == [("video", ("32", "16")[number]), ("audio", "")]
    assert hashes[0] != hashes[1]
    assert [verify(path, video_track=number).hash for number in (0, 1)] == hashes
    with pytest.raises(bsqav.UsageError, match="no BSQ video track 2: there is 0, 1"):
        verify(path, video_track=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"audio_tracks": "0"}, r"no audio track 0: there is track 2 \(audio flac, eng\), track 3"),
        ({"audio_tracks": "pol"}, "no audio track pol"),
        ({"subtitle_tracks": 9}, r"no subtitle track 9: there is track 5 \(subtitle"),
        ({"video_track": 2}, r"no video track 2: there is track 0 \(video ffv1, camera 0\)"),
    ],
)
def test_a_track_that_is_not_there(
    tmp_path: Path, many: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(bsqav.UsageError, match=message):
        bsqav.transcode(many, tmp_path / "out.mkv", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("said", ["", "1,", "english", "1-2", "-1", "ä"])
def test_lists_that_make_no_sense(said: str) -> None:
    with pytest.raises(bsqav.UsageError, match="neither a number"):
        TrackChoice.of(audio=said)


def test_dispositions_and_titles_are_carried(tmp_path: Path, many: Path) -> None:
    for suffix in ("mkv", "mov"):
        path = tmp_path / f"out.{suffix}"
        bsqav.transcode(many, path, video_track=0, audio="pcm_s16le")
        with av.open(str(path)) as container:
            marks = [int(s.disposition) & 1 for s in container.streams.audio]
            titles = [s.metadata.get("title") for s in container.streams.video]
        assert marks == [1, 0, 0]
        assert suffix == "mov" or titles == ["camera 0"]


def test_the_command_line_chooses(tmp_path: Path, many: Path) -> None:
    from bsqav.cli.main import main

    out = str(tmp_path / "out.mkv")
    arguments = ["--video", "1", "--audio", "eng", "--subtitles", "none", "--quiet"]
    assert main(["transcode", str(many), out, *arguments]) == 0
    assert tracks_of(Path(out)) == [("video", "16"), ("audio", "eng")]
    clip = make_clip(tmp_path / "in.mp4", frames=2)
    assert main(["transcode", str(clip), out, "-y", "--quiet", "--audio", "5"]) == 2
