"""Reading BSQ tracks out of containers: exact times, seeking, damage, cut and joined files."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from bsqav.codec import Encoder, Packet
from bsqav.codec.sequence import SequenceHeader
from bsqav.errors import BitstreamError, MediaError, UsageError
from bsqav.media.demux.av_reader import AvReader
from bsqav.media.demux.demuxer import BsqPacket, Demuxer
from bsqav.media.demux.opening import InputNotFoundError
from bsqav.media.mux.matroska import MatroskaMuxer
from bsqav.media.mux.muxers import open_muxer
from tests.media.clips import bsq_packets, seconds, ticks
from tests.media.containers import Pipe, mux_packets, packets_of, read_pipe, sound

FORMATS = ["matroska", "mov", "nut"]
WIDTH, HEIGHT = 48, 32
put = partial(mux_packets, duration=1001)


def picture(number: int) -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(number)
    return [
        rng.integers(0, 255, size, np.uint8)
        for size in ((HEIGHT, WIDTH), (HEIGHT // 2, WIDTH // 2), (HEIGHT // 2, WIDTH // 2))
    ]


@dataclass
class Coded:
    header: bytes
    sequence: SequenceHeader
    packets: list[Packet]


def coded(pts: list[int], *, gop: int = 8, rate: Fraction | None = None) -> Coded:
    encoder = Encoder(
        WIDTH,
        HEIGHT,
        time_base=Fraction(1, 30000),
        frame_rate=rate,
        sample_aspect=Fraction(4, 3),
        rotation=270,
        gop=gop,
        scene_cut=False,
        lookahead=8,
    )
    packets = []
    for number, tick in enumerate(pts):
        packets += encoder.encode(picture(number), pts=tick)
    packets += encoder.flush()
    return Coded(encoder.header, encoder.sequence, packets)


@pytest.fixture(scope="module")
def steady(model_file: Path) -> Coded:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BSQAV_MODEL", str(model_file))
        stream = coded([1001 * n for n in range(40)], rate=Fraction(30000, 1001))
    assert any(packet.disposable for packet in stream.packets), "there are B frames"
    return stream


def file_of(stream: Coded, name: str = "matroska", *, audio: bool = False) -> bytes:
    file = io.BytesIO()
    muxer = open_muxer(file, format=name)
    track = muxer.add_video(stream.header, stream.sequence, metadata={"title": "T"})
    if audio:
        with av.open(sound("aac")) as container:
            heard = container.streams.audio[0]
            other = muxer.copy_stream(heard)
            for packet in packets_of(container, heard):
                muxer.mux_packet(other, packet)
    put(muxer, track, stream.packets)
    muxer.close()
    return file.getvalue()


@pytest.mark.parametrize("audio", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_packets_have_their_exact_times(steady: Coded, name: str, audio: bool) -> None:
    with Demuxer(io.BytesIO(file_of(steady, name, audio=audio))) as demuxer:
        (track,) = demuxer.tracks
        assert track.sequence == {**track.sequence, **steady.sequence}
        assert (track.width, track.height, track.pix_fmt) == (WIDTH, HEIGHT, "yuv420p")
        assert track.frame_rate == Fraction(30000, 1001)
        assert (track.sample_aspect, track.rotation) == (Fraction(4, 3), 270)
        assert track.header == steady.header
        packets = list(demuxer.demux())
        found = [packet for packet in packets if isinstance(packet, BsqPacket)]
        assert [(p.data, p.pts, p.keyframe) for p in found] == [
            (p.data, p.pts, p.keyframe) for p in steady.packets
        ]
        assert [p.index_in_group for p in found] == [n % 8 for n in range(40)]
        assert [p.number for p in found] == list(range(40))
        assert {p.duration for p in found} == {1001}
        heard = [p for p in packets if not isinstance(p, BsqPacket)]
        assert bool(heard) == audio
        if heard:  # in time with the picture, whatever the container had to do
            assert abs(seconds(heard[0]) + Fraction(1024, 48000)) < Fraction(1, 1000)


@pytest.mark.parametrize("name", FORMATS)
def test_a_variable_rate_is_kept_exactly(name: str) -> None:
    ticks = [0, 1, 400, 401, 90000, 90500, 123457, 200001, 300007, 300009]
    stream = coded(ticks, gop=4)
    with Demuxer(io.BytesIO(file_of(stream, name))) as demuxer:
        assert [p.pts for p in demuxer.demux()] == ticks


@pytest.mark.parametrize("name", FORMATS)
def test_seeking_to_every_keyframe(steady: Coded, name: str) -> None:
    with Demuxer(io.BytesIO(file_of(steady, name, audio=True))) as demuxer:
        track = demuxer.tracks[0]
        keyframes = demuxer.keyframes(track)
        assert keyframes == [p.pts for p in steady.packets if p.keyframe]
        assert next(iter(demuxer.demux(track))).pts == 0
        for tick in reversed(keyframes):
            demuxer.seek(tick * track.time_base)
            assert next(iter(demuxer.demux(track))).pts == tick
            demuxer.seek((tick + 3500) * track.time_base)
            found = bsq_packets(demuxer, track)[:3]
            assert [packet.pts for packet in found] == [tick, tick + 1001, tick + 2002]
            assert found[0].number is None


def test_keyframes_of_a_path_leave_the_position_alone(steady: Coded, tmp_path: Path) -> None:
    path = tmp_path / "ü ☃:1.mkv"
    path.write_bytes(file_of(steady))
    with Demuxer(path) as demuxer:
        stream = demuxer.demux()
        next(stream)
        assert demuxer.keyframes() == [8 * 1001 * n for n in range(5)]
        assert next(stream).pts == 1001


def test_a_cut_file_begins_where_its_container_says(steady: Coded) -> None:
    file = io.BytesIO()
    muxer = MatroskaMuxer(file)
    track = muxer.add_video(steady.header, steady.sequence)
    put(muxer, track, steady.packets[16:], move=-16016)
    muxer.close()
    file.seek(0)
    with Demuxer(file) as demuxer:
        found = [ticks(packet) for packet in bsq_packets(demuxer)]
    steps = np.diff(found)
    assert abs(found[0]) <= 30  # a millisecond: what the container can say
    assert set(steps) == {1001}


def test_joined_files_go_on_in_time(steady: Coded) -> None:
    file = io.BytesIO()
    muxer = MatroskaMuxer(file)
    track = muxer.add_video(steady.header, steady.sequence)
    put(muxer, track, steady.packets)
    put(muxer, track, steady.packets, move=40040)
    muxer.close()
    file.seek(0)
    with Demuxer(file) as demuxer:
        found = [ticks(packet) for packet in bsq_packets(demuxer)]
    assert found[:40] == [1001 * n for n in range(40)]
    assert max(abs(pts - 1001 * n) for n, pts in enumerate(found)) <= 30
    assert set(np.diff(found[40:])) == {1001}


def test_pipes_are_read_to_the_end(steady: Coded) -> None:
    for name in ("matroska", "nut"):
        pipe: Any = Pipe()
        muxer = open_muxer(pipe, format=name)
        put(muxer, muxer.add_video(steady.header, steady.sequence), steady.packets)
        muxer.close()
        source = read_pipe(bytes(pipe.data))
        with Demuxer(AvReader(source, format=name)) as demuxer:
            assert not demuxer.truncated
            assert [p.pts for p in demuxer.demux()] == [p.pts for p in steady.packets]
            with pytest.raises(MediaError, match="seek"):
                demuxer.seek(0)


def test_a_damaged_packet_is_passed_on_with_what_is_wrong(steady: Coded) -> None:
    data = bytearray(file_of(steady))
    place = bytes(data).index(steady.packets[3].data)
    data[place + len(steady.packets[3].data) // 2] ^= 4
    with Demuxer(io.BytesIO(bytes(data))) as demuxer:
        found = bsq_packets(demuxer)
    assert [packet.number for packet in found if packet.damage] == [3]
    assert abs(ticks(found[3]) - 3003) <= 30
    assert found[4].pts == 4004


def test_a_track_without_a_good_keyframe_is_an_error(steady: Coded) -> None:
    stream = Coded(steady.header, steady.sequence, steady.packets[:1])
    data = bytearray(file_of(stream))
    data[bytes(data).index(steady.packets[0].data) + len(steady.packets[0].data) - 5] ^= 1
    with pytest.raises(BitstreamError, match="track 0 has no keyframe that can be read"):
        Demuxer(io.BytesIO(bytes(data)))


def test_video_of_another_unknown_codec_is_no_bsq_track() -> None:
    file = io.BytesIO()
    muxer = MatroskaMuxer(file)
    track = muxer.add_video(b"", {"width": 8, "height": 8})
    for pts in range(20):
        muxer.mux(track, b"something", pts=pts, keyframe=True, time_base=Fraction(1, 25))
    muxer.close()
    file.seek(0)
    with Demuxer(file) as demuxer:
        assert demuxer.tracks == []
        assert len(list(demuxer.demux())) == 20
        with pytest.raises(UsageError, match="no BSQ track"):
            demuxer.keyframes()


@pytest.mark.parametrize("name", ["matroska", "mov"])
def test_a_truncated_file_is_detected(steady: Coded, name: str) -> None:
    file = io.BytesIO()
    muxer = open_muxer(file, format=name, fragmented=name == "mov")
    put(muxer, muxer.add_video(steady.header, steady.sequence), steady.packets)
    muxer.close()
    data = file.getvalue()
    with Demuxer(io.BytesIO(data)) as demuxer:
        assert not demuxer.truncated
    with Demuxer(io.BytesIO(data[: len(data) * 3 // 4])) as demuxer:
        assert demuxer.truncated
        found = [packet for packet in bsq_packets(demuxer) if packet.damage is None]
    assert [p.data for p in found] == [p.data for p in steady.packets[: len(found)]]
    assert len(found) >= 16


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.mkv") as caught:
        Demuxer(tmp_path / "gone.mkv")
    assert isinstance(caught.value, InputNotFoundError)
    empty, text = tmp_path / "empty.mkv", tmp_path / "text.mkv"
    empty.touch()
    text.write_text("no media at all\n" * 50)
    with pytest.raises(MediaError, match=r"letter\.txt is a text file"):
        (tmp_path / "letter.txt").write_text("no media at all\n" * 50)
        Demuxer(tmp_path / "letter.txt")
    with pytest.raises(MediaError, match="is empty"):
        Demuxer(empty)
    with pytest.raises(MediaError, match=r"text\.mkv"):
        Demuxer(text)
    with pytest.raises(MediaError, match="is a folder"):
        Demuxer(tmp_path)
