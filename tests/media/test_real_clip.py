"""A real clip with everything around it goes to BSQ, through other programs, and back."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

import bsqav
from bsqav.media.demux.demuxer import Demuxer
from bsqav.media.inspect.verification import verify
from bsqav.media.metadata.file_metadata import chapters_of, metadata_of
from tests.media.clips import cover_bytes, seconds
from tests.media_data import IRREGULAR
from tests.support import run_tool

pytestmark = pytest.mark.host

SUBTITLES = """1
00:00:00,100 --> 00:00:00,500
Grüße

2
00:00:00,600 --> 00:00:01,000
<i>second</i>
"""
CHAPTERS = """;FFMETADATA1
title=A real clip
artist=Somebody
[CHAPTER]
TIMEBASE=1/1000
START=0
END=500
title=first
[CHAPTER]
TIMEBASE=1/1000
START=500
END=1100
title=Zweites ☃
"""


@pytest.fixture(scope="module")
def clip(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of a recorded clip with its own irregular times and AAC, and all else added."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "text.srt").write_text(SUBTITLES, encoding="utf-8")
    (folder / "chapters.txt").write_text(CHAPTERS, encoding="utf-8")
    (folder / "cover.png").write_bytes(cover_bytes())
    path = folder / "in.mp4"
    inputs: list[str | Path] = ["-t", "1.1", "-i", data_dir / IRREGULAR]
    for name in ("text.srt", "chapters.txt", "cover.png"):
        inputs += ["-i", folder / name]
    maps = ["-map", "0:v", "-map", "0:a", "-map", "1", "-map", "3", "-map_metadata", "2"]
    copies = ["-c", "copy", "-c:s", "mov_text", "-disposition:v:1", "attached_pic"]
    marks = ["-metadata:s:a", "language=jpn", "-metadata:s:s", "language=deu"]
    turned = ["-metadata:s:v:0", "rotate=90"]
    run_tool("ffmpeg", "-v", "error", "-y", *inputs, *maps, *copies, *marks, *turned, path)
    return path


def facts(path: Path) -> dict[str, Any]:
    """What belongs to the clip, for comparison between containers."""
    with Demuxer(path) as demuxer:
        container = demuxer.container
        sound = next(s for s in container.streams if s.type == "audio")
        text = next((s for s in container.streams if s.type == "subtitle"), None)
        covers = [s for s in container.streams.video if int(s.disposition) & 0x400]
        if demuxer.tracks:
            rotation = demuxer.tracks[0].rotation
        else:
            video: Any = next(s for s in container.streams.video if s not in covers)
            rotation = -next(container.decode(video)).rotation % 360
        found: dict[str, Any] = {
            "title": metadata_of(container).get("title"),
            "artist": metadata_of(container).get("artist"),
            "chapters": [(c.title, c.start, c.end) for c in chapters_of(container)],
            "languages": (
                sound.metadata.get("language"),
                {"ger": "deu"}.get((text.metadata if text else {}).get("language", ""), "deu"),
            ),
            "text": text is not None,
            "rotation": rotation,
            "cover": len(covers),
        }
    with av.open(str(path)) as container:
        found["sound"] = [bytes(p) for p in container.demux(audio=0) if p.size]
    return found


def times(path: Path) -> list[Fraction]:
    """Of the frames, from the first on."""
    with Demuxer(path) as demuxer:
        if demuxer.tracks:
            found = [seconds(p) for p in demuxer.demux(demuxer.tracks[0])]
        else:
            video = demuxer.container.streams.video[0]
            found = [seconds(f) for f in demuxer.container.decode(video)]
    return [time - found[0] for time in found]


def test_round_trip(tmp_path: Path, clip: Path) -> None:
    coded, back = tmp_path / "coded.mkv", tmp_path / "back.mp4"
    there = bsqav.transcode(clip, coded, gop=10, preset="fast", embed_model=True)
    assert there.warnings == ()
    assert facts(coded) == facts(clip)
    assert times(coded) == times(clip)
    returned = bsqav.transcode(coded, back)
    assert returned.warnings == ()
    assert facts(back) == facts(clip)
    assert times(back) == times(clip)
    # What other programs make of it.
    hashed = verify(coded).hash
    for name in ("mov", "nut", "m3u8"):
        other = tmp_path / f"as_{name}.{name}"
        bsqav.transcode(coded, other, codec="copy", warn=lambda _: None)
        assert verify(other).hash == hashed
        assert times(other) == times(clip)
        assert facts(other)["sound"] == facts(clip)["sound"]
    kept = facts(tmp_path / "as_mov.mov")
    assert {**kept, "cover": 1} == facts(clip), "MOV keeps all but the cover"


def test_through_mkvmerge_and_ffmpeg(tmp_path: Path, clip: Path) -> None:
    coded = tmp_path / "coded.mkv"
    bsqav.transcode(clip, coded, gop=5, preset="fast")
    hashed, expected = verify(coded).hash, times(coded)
    run_tool("mkvmerge", "-q", "-o", tmp_path / "merged.mkv", coded)
    run_tool("ffmpeg", "-v", "error", "-i", coded, "-map", "0", "-c", "copy", tmp_path / "f.mkv")
    for name in ("merged.mkv", "f.mkv"):
        assert verify(tmp_path / name).hash == hashed, name
        assert times(tmp_path / name) == expected, name
        assert facts(tmp_path / name)["chapters"] == facts(coded)["chapters"]
        # FFmpeg makes a video track of a cover that it copies into Matroska.
        assert facts(tmp_path / name)["cover"] == (1 if name == "merged.mkv" else 0)
        assert facts(tmp_path / name)["rotation"] == facts(clip)["rotation"] != 0
    run_tool("mkvmerge", "-q", "-o", tmp_path / "p.mkv", "--split", "timestamps:0.5s", coded)
    parts = sorted(tmp_path.glob("p-*.mkv"))
    assert len(parts) == 2
    pictures = [verify(part).frames for part in parts]
    assert sum(pictures) == len(expected)
    run_tool("mkvmerge", "-q", "-o", tmp_path / "joined.mkv", parts[0], "+", parts[1])
    assert verify(tmp_path / "joined.mkv").hash == hashed
    joined = times(tmp_path / "joined.mkv")
    assert joined == sorted(joined)
    # mkvmerge puts the second part where the longer track of the first one ends: a packet of sound.
    assert max(abs(a - b) for a, b in zip(joined, expected, strict=True)) < Fraction(1024, 44100)
    # The film twice in a row, and a cut by ffmpeg that begins at a keyframe.
    run_tool("mkvmerge", "-q", "-o", tmp_path / "twice.mkv", coded, "+", coded)
    assert verify(tmp_path / "twice.mkv").frames == 2 * len(expected)
    twice = times(tmp_path / "twice.mkv")
    assert twice[: len(expected)] == expected
    assert twice == sorted(twice)
    run_tool(
        *("ffmpeg", "-v", "error", "-ss", "0.5", "-i", coded, "-map", "0:v:0", "-c", "copy"),
        tmp_path / "cut.mkv",
    )
    found = verify(tmp_path / "cut.mkv")
    assert 0 < found.frames < len(expected)
