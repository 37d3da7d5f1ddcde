"""Files with B frames: presentation order everywhere, seeks, cuts, joints, and lost packets."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

import bsqav
from bsqav import _core
from bsqav.codec import Decoder
from bsqav.errors import BitstreamError
from bsqav.media.demux.demuxer import BsqPacket, Demuxer
from bsqav.media.inspect.frame_reader import FrameReader
from bsqav.media.inspect.inspection import inspect
from bsqav.media.inspect.verification import verify
from bsqav.media.mux.muxers import open_muxer
from tests.media.clips import bsq_packets, frame_hashes, make_clip, packets, plane_hash, seconds
from tests.media.containers import InOrder, mux_packets

RATE, GOP, FRAMES = 25, 20, 50
CONTAINERS = ["a.mkv", "a.mov", "fragmented.mov", "a.nut", "list.m3u8"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip with sound, coded as a file is without further settings, in every container."""
    path = tmp_path_factory.mktemp("groups")
    clip = make_clip(path / "clip.mkv", frames=FRAMES)
    bsqav.transcode(clip, path / "a.mkv", gop=GOP, scene_cut=False, preset="fast")
    for name in CONTAINERS[1:]:
        if name == "fragmented.mov":
            with (path / name).open("wb") as file:
                bsqav.transcode(path / "a.mkv", InOrder(file), codec="copy", format="mov")
        else:
            bsqav.transcode(path / "a.mkv", path / name, codec="copy")
    return path


def packets_in(path: Path) -> list[BsqPacket]:
    with Demuxer(path) as demuxer:
        return bsq_packets(demuxer, demuxer.tracks[0])


@pytest.fixture(scope="module")
def coded(folder: Path) -> list[BsqPacket]:
    """The packets of the file."""
    return packets_in(folder / "a.mkv")


@pytest.fixture(scope="module")
def hashes(folder: Path) -> list[str]:
    return frame_hashes(folder / "a.mkv")


def written(path: Path, like: Path, kept: list[BsqPacket]) -> Path:
    """A file of these packets."""
    muxer = open_muxer(path)
    with Demuxer(like) as demuxer:
        track = demuxer.tracks[0]
        made = muxer.add_video(track.header, track.sequence)
    mux_packets(muxer, made, kept)
    muxer.close()
    return path


def test_there_are_packets_of_every_kind(coded: list[BsqPacket]) -> None:
    """Several frames, frames that are not held, and none."""
    found = [_core.probe_packet(packet.data) for packet in coded]
    assert sum(info["frames"] for info in found) == FRAMES
    assert {0, 1, 2, 4} <= {info["frames"] for info in found}
    assert [info["layers"] == 0 for info in found] == [info["frames"] == 0 for info in found]
    assert all(info["crf"] == -1 for info in found if info["frames"] == 0)
    disposable = [info["frames"] > 0 and info["held_frames"] == 0 for info in found]
    assert [packet.disposable for packet in coded] == disposable
    assert sum(disposable) >= FRAMES // 5


@pytest.mark.parametrize("name", CONTAINERS)
def test_presentation_order_is_the_only_order(
    folder: Path, coded: list[BsqPacket], hashes: list[str], name: str
) -> None:
    found = packets_in(folder / name)
    assert [packet.data for packet in found] == [packet.data for packet in coded]
    assert [seconds(packet) for packet in found] == [Fraction(n, RATE) for n in range(FRAMES)]
    with bsqav.open(folder / name) as container:
        frames = list(container.decode(video=0))
    assert [seconds(frame) for frame in frames] == [Fraction(n, RATE) for n in range(FRAMES)]
    assert [plane_hash([frame]) for frame in frames] == hashes
    with av.open(str(folder / name)) as container:  # as other programs see it
        raw = [packet for packet in container.demux(video=0) if packet.size]
    assert len(raw) == FRAMES
    assert {packet.dts for packet in raw if packet.pts != packet.dts} <= {None}
    times = [seconds(packet) - seconds(raw[0]) for packet in raw]  # NUT moves all for the sound
    assert list(map(float, times)) == pytest.approx([n / RATE for n in range(FRAMES)], abs=0.001)
    assert [n for n, packet in enumerate(raw) if packet.is_keyframe] == [0, 20, 40]


@pytest.mark.parametrize("live", [False, True])
def test_matroska_marks_packets_that_may_be_left_out(
    folder: Path, tmp_path: Path, coded: list[BsqPacket], live: bool
) -> None:
    path = tmp_path / "a.mkv"
    with path.open("wb") as file:
        target = InOrder(file) if live else file
        bsqav.transcode(folder / "a.mkv", target, codec="copy", format="matroska")
    data = path.read_bytes()
    for packet in coded:
        assert data[data.index(packet.data) - 1] == 0x80 * packet.keyframe + packet.disposable


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_frame_can_be_sought(folder: Path, hashes: list[str], name: str) -> None:
    numbers = list(range(FRAMES))
    random.Random(name).shuffle(numbers)
    with bsqav.open(folder / name) as container:
        stream = container.streams.video[0]
        for number in numbers[:25]:
            time = round(Fraction(number, RATE) / Fraction(stream.time_base or 1))
            container.seek(time, stream=stream)
            frame = next(frame for frame in container.decode(stream) if (frame.pts or 0) >= time)
            assert plane_hash([frame]) == hashes[number], number
    with FrameReader(folder / name, output="frame") as reader:
        for number in numbers:
            frame = reader.frame(number).to_video_frame()
            assert plane_hash([frame]) == hashes[number], number


@pytest.mark.parametrize("suffix", ["mkv", "mov", "nut"])
def test_pieces_cut_at_keyframes_and_joined_are_the_same_bytes(
    folder: Path, tmp_path: Path, coded: list[BsqPacket], hashes: list[str], suffix: str
) -> None:
    pieces: list[BsqPacket] = []
    for begin in range(0, FRAMES, GOP):
        part = tmp_path / f"part{begin}.{suffix}"
        bsqav.transcode(
            folder / f"a.{suffix}",
            part,
            codec="copy",
            start=Fraction(begin, RATE),
            duration=Fraction(GOP, RATE),
        )
        assert frame_hashes(part) == hashes[begin : begin + GOP]
        pieces += packets_in(part)
    assert [packet.data for packet in pieces] == [packet.data for packet in coded]
    joined = written(tmp_path / f"joined.{suffix}", folder / "a.mkv", coded)
    assert frame_hashes(joined) == hashes


def test_a_group_may_end_anywhere(folder: Path, tmp_path: Path, hashes: list[str]) -> None:
    """Frames that were coded ahead of a cut are not shown."""
    for count in range(1, GOP):
        part = tmp_path / f"{count}.mkv"
        end = Fraction(count, RATE)
        bsqav.transcode(folder / "a.mkv", part, codec="copy", start=0, duration=end)
        assert frame_hashes(part) == hashes[:count]
        assert verify(part).frames == count


def decoded(kept: list[BsqPacket]) -> list[tuple[int, bool, str]]:
    """Tick, whether concealed, and the hash of every frame."""
    decoder = Decoder(threads=1)
    frames = [frame for packet in kept for frame in decoder.decode(packet)]
    return [(f.pts, f.concealed, plane_hash([f.to_video_frame()])) for f in frames]


def test_a_lost_packet_costs_the_frames_that_refer_to_it(coded: list[BsqPacket]) -> None:
    whole = decoded(coded)
    alone = 0
    for number in range(1, GOP):
        rest = decoded([*coded[:number], *coded[number + 1 :]])
        expected = whole[:number] + whole[number + 1 :]
        info = _core.probe_packet(coded[number].data)
        if info["held_frames"] == 0:
            alone += 1
            assert rest == expected, number
            continue
        assert [pts for pts, _, _ in rest] == [pts for pts, _, _ in expected]
        assert rest[:number] == expected[:number]
        assert rest[GOP - 1 :] == expected[GOP - 1 :]
        for found, wanted in zip(rest, expected, strict=True):
            assert found[1] or found == wanted, number
        assert any(concealed for _, concealed, _ in rest[number:])
    assert alone >= 10


def test_a_missing_packet_is_named(folder: Path, tmp_path: Path, coded: list[BsqPacket]) -> None:
    """Also one that costs no other frame."""
    for number in (1, 2, 3, 8):
        kept = [packet for packet in coded if packet.number != number]
        path = written(tmp_path / f"{number}.mkv", folder / "a.mkv", kept)
        with pytest.raises(BitstreamError, match="packets are missing") as caught:
            verify(path)
        assert caught.value.packet == number
        said: list[str] = []
        bsqav.transcode(path, tmp_path / "copy.mkv", codec="copy", overwrite=True, warn=said.append)
        assert len(said) == 1
        assert "packets are missing" in said[0]


def test_info_counts_frames_and_packets(folder: Path) -> None:
    (track,) = inspect(folder / "a.mkv").bsq
    assert (track.packets, track.keyframes, track.longest_group) == (FRAMES, 3, GOP)
    assert track.frames_ahead >= FRAMES // 4
    assert FRAMES // 2 < track.b_frames < FRAMES - 3
    assert track.layers is not None
    assert track.layers[0] >= 1
    assert track.crf is not None
    assert track.crf[0] >= 0


def frames_in_packets(path: Path) -> set[int]:
    return {_core.probe_packet(data)["frames"] for _, data in packets(path, "video")}


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"bframes": 0}, {1}),
        ({"lookahead": 0}, {1}),
        ({"bitrate": 60_000}, {0, 1, 2, 4}),
        ({"bitrate": 60_000, "two_pass": True}, {0, 1, 2, 4}),
        ({"bitrate": 60_000, "vbv_buffer": 0.1}, {1}),
        ({"crf": 32, "maxrate": 1e6}, {0, 1, 2, 4}),
        ({"bframes": 1}, {0, 1, 2}),
        ({"parallel": 2}, {0, 1, 2, 4}),
    ],
)
def test_settings_without_and_with_b_frames(
    folder: Path, tmp_path: Path, options: dict[str, Any], found: set[int]
) -> None:
    target = tmp_path / "out.mkv"
    bsqav.transcode(folder / "clip.mkv", target, preset="fast", warn=lambda _: None, **options)
    assert frames_in_packets(target) & {0, 1, 2, 4} == found
    assert verify(target).frames == FRAMES
