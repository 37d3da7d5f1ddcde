"""HLS: a playlist of byte ranges over a fragmented MOV, written, read back and sought in."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

import bsqav
from bsqav.media.demux.demuxer import Demuxer
from bsqav.media.inspect.verification import verify
from bsqav.media.mux.hls import TARGET_SECONDS, default_gop, media_path
from bsqav.media.mux.muxers import open_muxer
from tests.media.clips import interrupt, make_clip, seconds
from tests.media.clips import packets as packets_of
from tests.media.containers import HEADER, SEQUENCE, TICK, mux_video
from tests.support import run_tool


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hls") / "in.mp4"
    return make_clip(path, frames=60, subtitles="mov_text", chapters=True, rotation=90)


def segments(playlist: Path) -> list[tuple[Fraction, int, int]]:
    """(seconds, bytes, offset) of every segment."""
    text = playlist.read_text()
    found = re.findall(r"#EXTINF:([\d.]+),\n#EXT-X-BYTERANGE:(\d+)@(\d+)\n", text)
    return [(Fraction(seconds), int(size), int(place)) for seconds, size, place in found]


def test_a_clip_becomes_a_playlist_and_comes_back(tmp_path: Path, clip: Path) -> None:
    playlist, other = tmp_path / "out.m3u8", tmp_path / "out.mkv"
    result = bsqav.transcode(clip, playlist, gop=10, warn=lambda _: None)
    assert result.warnings == ("2 chapters are left out: hls holds none",)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.m3u8", "out.mov"]
    assert result.bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    bsqav.transcode(clip, other, gop=10)
    assert verify(playlist).hash == verify(other).hash
    kinds = ["video", "audio", "subtitle"]
    for path in (playlist, tmp_path / "out.mov"):
        with Demuxer(path) as demuxer:
            assert [s.type for s in demuxer.container.streams][:3] == kinds
            assert demuxer.tracks[0].rotation == 90
            packets = list(demuxer.demux(demuxer.tracks[0]))
        assert len(packets) == 60
        times = [seconds(p) for p in packets]
        assert times == [times[0] + Fraction(n, 25) for n in range(60)]
    back = bsqav.transcode(playlist, tmp_path / "back.mp4", start=1, duration=0.4)
    assert back.frames_out == 10


def test_the_playlist_covers_the_file_in_segments_that_begin_with_keyframes(
    tmp_path: Path,
) -> None:
    playlist = tmp_path / "a.m3u8"
    muxer = open_muxer(playlist)
    count, gop = 1500, 48  # 50 seconds, a keyframe every 1.6
    mux_video(muxer, muxer.add_video(HEADER, SEQUENCE), count=count, gop=gop)
    muxer.close()
    found = segments(playlist)
    data = media_path(playlist).read_bytes()
    target = int(re.findall(r"TARGETDURATION:(\d+)", playlist.read_text())[0])
    assert target == math.ceil(max(seconds for seconds, _, _ in found)) <= TARGET_SECONDS
    assert len(found) == math.ceil(count / (3 * gop))
    init = int(re.findall(r'BYTERANGE="(\d+)@0"', playlist.read_text())[0])
    places = [init]
    for _, size, place in found:
        assert place == places[-1], "no byte between two segments"
        assert data[place + 4 : place + 8] == b"moof"
        places.append(place + size)
    assert data[places[-1] + 4 : places[-1] + 8] == b"mfra"
    assert abs(sum(seconds for seconds, _, _ in found) - count * 1001 * TICK) < Fraction(1, 1000)
    with av.open(str(playlist)) as container:
        packets = [p for p in container.demux() if p.size]
    assert [bytes(p)[:4] for p in packets] == [n.to_bytes(4, "big") for n in range(count)]
    assert [seconds(p) for p in packets] == [n * 1001 * TICK for n in range(count)]


def test_a_long_group_is_a_segment_of_its_own(tmp_path: Path) -> None:
    playlist = tmp_path / "a.m3u8"
    muxer = open_muxer(playlist)
    mux_video(muxer, muxer.add_video(HEADER, SEQUENCE), count=600, gop=300)
    muxer.close()
    assert [round(seconds) for seconds, _, _ in segments(playlist)] == [10, 10]
    assert "TARGETDURATION:11\n" in playlist.read_text()


def test_keyframes_come_often_enough_by_default(tmp_path: Path) -> None:
    assert (default_gop(Fraction(25)), default_gop(None)) == (100, 100)
    clip = make_clip(tmp_path / "in.mp4", frames=9, rate=Fraction(1), audio=None)
    bsqav.transcode(clip, tmp_path / "out.m3u8")
    assert [seconds for seconds, _, _ in segments(tmp_path / "out.m3u8")] == [4, 5] or [
        seconds for seconds, _, _ in segments(tmp_path / "out.m3u8")
    ] == [4, 4, 1]


def test_open_writes_and_reads_playlists(tmp_path: Path) -> None:
    playlist = tmp_path / "a.m3u8"
    with bsqav.open(playlist, "w") as container:
        stream = container.add_stream("bsq", rate=25, options={"gop": "4"})
        frame = av.VideoFrame(32, 32, "gray")
        for number in range(10):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert not list(tmp_path.glob("*.partial"))
    with bsqav.open(playlist) as source:
        assert len(list(source.decode(video=0))) == 10


def test_what_is_there_is_kept_and_misuse_is_named(tmp_path: Path, clip: Path) -> None:
    (tmp_path / "out.mov").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match=r"out\.mov exists already"):
        bsqav.transcode(clip, tmp_path / "out.m3u8")
    assert [path.name for path in tmp_path.iterdir()] == ["out.mov"]
    mine = make_clip(tmp_path / "in.mov", frames=3)
    with pytest.raises(bsqav.UsageError, match=r"in\.mov is the input, .* written next to"):
        bsqav.transcode(mine, tmp_path / "in.m3u8", overwrite=True)
    with pytest.raises(bsqav.UsageError, match="HLS is written with BSQ"):
        bsqav.transcode(clip, tmp_path / "a.m3u8", codec="libx264")
    with pytest.raises(bsqav.UsageError, match="write to a path"):
        bsqav.transcode(clip, (tmp_path / "x").open("wb"), format="hls")
    with pytest.raises(bsqav.UsageError, match=r"ends in \.m3u8"):
        bsqav.transcode(clip, tmp_path / "a.ts", format="hls")


def test_an_interruption_leaves_a_playable_file(tmp_path: Path, clip: Path) -> None:
    playlist, partial = tmp_path / "out.m3u8", tmp_path / "out.mov.partial"
    options: dict[str, Any] = {"lookahead": 0, "gop": 5, "warn": lambda _: None}
    interrupt(clip, playlist, partial, lambda counts: len(counts) >= 12, **options)
    assert not playlist.exists()
    with Demuxer(partial) as demuxer:
        assert len(list(demuxer.demux(demuxer.tracks[0]))) >= 10


def test_a_misleading_name_with_another_container(tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "odd.m3u8"
    bsqav.transcode(clip, path, format="matroska")
    assert [each.name for each in tmp_path.iterdir()] == ["odd.m3u8"]
    assert path.read_bytes()[:4] == b"\x1a\x45\xdf\xa3"


def test_two_videos_are_refused(tmp_path: Path) -> None:
    muxer = open_muxer(tmp_path / "a.m3u8")
    muxer.add_video(HEADER, SEQUENCE)
    with pytest.raises(bsqav.UsageError, match="one video track"):
        muxer.add_video(HEADER, SEQUENCE)
    muxer.abort()


@pytest.mark.host
def test_stock_programs_read_every_packet(tmp_path: Path, clip: Path) -> None:
    import imageio_ffmpeg

    playlist = tmp_path / "out.m3u8"
    bsqav.transcode(clip, playlist, gop=10, warn=lambda _: None)
    for program in ("ffmpeg", imageio_ffmpeg.get_ffmpeg_exe()):
        copy = tmp_path / "copy.mkv"
        run_tool(program, "-v", "error", "-y", "-i", playlist, "-map", "0:v", "-c", "copy", copy)
        assert verify(copy).hash == verify(playlist).hash


def test_aac_of_a_transport_stream(tmp_path: Path) -> None:
    """FFmpeg's muxer takes ADTS headers off by itself, but not in fragments."""
    clip = make_clip(tmp_path / "in.ts")
    bsqav.transcode(clip, tmp_path / "out.m3u8")
    bsqav.transcode(clip, tmp_path / "out.mkv")
    found = [data for _, data in packets_of(tmp_path / "out.m3u8", "audio")]
    assert found == [data for _, data in packets_of(tmp_path / "out.mkv", "audio")]
    with av.open(str(tmp_path / "out.m3u8")) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) >= 48000 - 1024
