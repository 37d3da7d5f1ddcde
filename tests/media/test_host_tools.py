"""What FFmpeg's and mkvtoolnix' own programs make of the files."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

import av
import pytest

from bsqav.codec.sequence import SequenceHeader
from bsqav.media.demux.demuxer import Demuxer
from bsqav.media.metadata.file_metadata import Attachment, Chapter
from bsqav.media.mux.muxers import open_muxer
from tests.media import container_table
from tests.media.clips import bsq_packets, ticks
from tests.media.containers import HEADER, SEQUENCE, mux_video, packets_of, sound
from tests.media.test_demux import Coded, file_of, steady
from tests.support import run_tool

pytestmark = pytest.mark.host
__all__ = ["steady"]

Tool = Callable[..., str]


@pytest.fixture
def tool() -> Tool:
    """Runs a program and returns what it prints."""
    return run_tool


def probe(tool: Tool, path: Path, *what: str) -> Any:
    return json.loads(tool("ffprobe", "-v", "error", "-of", "json", *what, path))


def full_file(path: Path) -> None:
    muxer = open_muxer(path)
    video = muxer.add_video(HEADER, SEQUENCE, metadata={"title": "Bild", "language": "ger"})
    muxer.set_metadata({"title": "Titel ☃", "artist": "Jemand"})
    muxer.set_chapters([Chapter(Fraction(0), Fraction(1), {"title": "eins"})])
    muxer.add_attachment(Attachment("schrift.ttf", "font/ttf", bytes(100)))
    with av.open(sound("aac")) as container:
        stream = container.streams.audio[0]
        audio = muxer.copy_stream(stream)
        for packet in packets_of(container, stream):
            muxer.mux_packet(audio, packet)
    mux_video(muxer, video)
    muxer.close()


@pytest.mark.parametrize("suffix", ["mkv", "mov"])
def test_ffprobe_sees_size_aspect_colour_and_rotation(
    tool: Tool, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"ü.{suffix}"
    full_file(path)
    (stream,) = probe(tool, path, "-show_streams", "-select_streams", "v:0")["streams"]
    assert stream["codec_tag_string"] == "BSQ1"
    assert (stream["width"], stream["height"]) == (320, 240)
    assert (stream["sample_aspect_ratio"], stream["display_aspect_ratio"]) == ("4:3", "16:9")
    assert stream["color_space"] == "bt2020nc"
    assert stream["color_transfer"] == "smpte2084"
    assert stream["color_primaries"] == "bt2020"
    assert stream["avg_frame_rate"] == "30000/1001"
    assert stream["extradata_size"] in (len(HEADER), len(HEADER) + 1)  # old readers pad
    assert stream["side_data_list"][0]["rotation"] == -90
    if suffix == "mkv":
        assert stream["color_range"] == "tv"
        assert stream["chroma_location"] == "left"
        assert stream["tags"]["title"] == "Bild"


def test_ffprobe_reads_the_whole_file_without_complaint(tool: Tool, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    full_file(path)
    found = probe(tool, path, "-show_packets", "-show_format", "-show_chapters")
    assert len([p for p in found["packets"] if p["codec_type"] == "video"]) == 60
    assert found["format"]["tags"]["title"] == "Titel ☃"
    assert found["chapters"][0]["tags"]["title"] == "eins"


def test_mkvmerge_identifies_and_remuxes(tool: Tool, tmp_path: Path) -> None:
    path, copy = tmp_path / "a.mkv", tmp_path / "b.mkv"
    full_file(path)
    facts = json.loads(tool("mkvmerge", "-J", path))
    assert facts["errors"] == facts["warnings"] == []
    video, audio = facts["tracks"]
    assert "BSQ1" in video["codec"]
    assert video["properties"]["display_dimensions"] == "320x180"
    assert audio["codec"] == "AAC"
    assert facts["attachments"][0]["file_name"] == "schrift.ttf"
    assert facts["chapters"][0]["num_entries"] == 1
    tool("mkvmerge", "-o", copy, path)
    with av.open(str(path)) as one, av.open(str(copy)) as two:
        first, second = (
            [(p.stream_index, bytes(p), p.is_keyframe) for p in each.demux() if p.size]
            for each in (one, two)
        )
        for track in (0, 1):
            assert [p for p in first if p[0] == track] == [p for p in second if p[0] == track]


def test_mkvmerge_finds_no_fault_in_any_element(tool: Tool, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    full_file(path)
    listing = tool("mkvinfo", "--all", path)
    assert "Unknown" not in listing
    assert listing.count("|+ Cues") == 1


def test_programs_read_the_finer_times_of_fast_video(tool: Tool, tmp_path: Path) -> None:
    path, copy = tmp_path / "a.mkv", tmp_path / "b.mkv"
    muxer = open_muxer(path)
    fast: SequenceHeader = {**SEQUENCE, "frame_rate": (1000, 1), "time_base": (1, 1000)}
    track = muxer.add_video(HEADER, fast)
    for pts in range(3000):
        key = pts % 500 == 0
        muxer.mux(track, b"x", pts=pts, keyframe=key, time_base=Fraction(1, 1000))
    muxer.close()
    (stream,) = probe(tool, path, "-show_streams")["streams"]
    assert (stream["time_base"], stream["avg_frame_rate"]) == ("1/10000", "1000/1")
    packets = probe(tool, path, "-show_packets")["packets"]
    assert [int(packet["pts"]) for packet in packets] == [10 * n for n in range(3000)]
    tool("mkvmerge", "-o", copy, path)
    assert len(probe(tool, copy, "-show_packets")["packets"]) == 3000


def test_mediainfo_names_codec_and_rate(tool: Tool, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    full_file(path)
    facts = json.loads(tool("mediainfo", "--Output=JSON", path))["media"]["track"]
    video = next(track for track in facts if track["@type"] == "Video")
    assert video["CodecID"].endswith("BSQ1")
    assert (video["Width"], video["Height"], video["FrameRate"]) == ("320", "240", "29.970")


@pytest.mark.parametrize("suffix", ["mkv", "mov", "nut"])
def test_ffprobe_reads_the_times_of_b_frames(
    steady: Coded, tool: Tool, tmp_path: Path, suffix: str
) -> None:
    """Exactly, but in Matroska to its millisecond; in the order of the packets."""
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(file_of(steady, {"mkv": "matroska"}.get(suffix, suffix)))
    found = probe(tool, path, "-show_streams", "-show_packets")
    tick = Fraction(found["streams"][0]["time_base"])
    assert (tick == Fraction(1, 1000)) if suffix == "mkv" else (Fraction(1, 30000) % tick == 0)
    times = [floor(Fraction(1001 * n, 30000) / tick + Fraction(1, 2)) for n in range(40)]
    assert [packet["pts"] for packet in found["packets"]] == times
    assert [packet["dts"] for packet in found["packets"]] == times
    assert [n for n, p in enumerate(found["packets"]) if "K" in p["flags"]] == [0, 8, 16, 24, 32]


def test_mkvmerge_keeps_which_blocks_may_be_left_out(
    steady: Coded, tool: Tool, tmp_path: Path
) -> None:
    path, copy = tmp_path / "a.mkv", tmp_path / "b.mkv"
    path.write_bytes(file_of(steady))
    tool("mkvmerge", "-o", copy, path)
    for file in (path, copy):
        blocks = [
            line for line in tool("mkvinfo", "-v", "-v", file).splitlines() if "lock: " in line
        ]
        found = [n for n, line in enumerate(blocks) if "discardable" in line]
        assert found == [n for n, packet in enumerate(steady.packets) if packet.disposable]


@pytest.mark.parametrize("suffix", ["mkv", "mov", "nut"])
def test_ffmpeg_copies_and_times_stay_exact(
    steady: Coded, tool: Tool, tmp_path: Path, suffix: str
) -> None:
    path, copy = tmp_path / "a.mkv", tmp_path / f"b.{suffix}"
    path.write_bytes(file_of(steady, audio=True))
    lax = ("-strict", "-1")
    tool("ffmpeg", "-v", "error", "-i", path, "-map", "0", "-c", "copy", *lax, copy)
    with Demuxer(copy) as demuxer:
        found = bsq_packets(demuxer)
    assert [(p.data, p.pts) for p in found] == [(p.data, p.pts) for p in steady.packets]


def test_mkvmerge_splits_and_joins(steady: Coded, tool: Tool, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(file_of(steady))
    tool("mkvmerge", "-o", tmp_path / "part.mkv", "--split", "timestamps:0.5s", path)
    parts = sorted(tmp_path.glob("part-*.mkv"))
    assert len(parts) == 2
    with Demuxer(parts[1]) as demuxer:
        second = [ticks(p) for p in bsq_packets(demuxer)]
    assert abs(second[0]) <= 30, "a part begins at its own start"
    joined = tmp_path / "joined.mkv"
    tool("mkvmerge", "-o", joined, parts[0], "+", parts[1])
    with Demuxer(joined) as demuxer:
        found = bsq_packets(demuxer)
    assert [p.data for p in found] == [p.data for p in steady.packets]
    assert max(abs(ticks(p) - 1001 * n) for n, p in enumerate(found)) <= 60


def test_the_table_of_containers_is_what_programs_say(ffmpeg_folder: Path) -> None:
    made = container_table.table(ffmpeg_folder)
    assert container_table.table_of_page() == made, (
        "docs/containers.md is not what was found; "
        f"`python -m tests.media.container_table {ffmpeg_folder} --write` writes it"
    )
