"""Damaged files: `verify` accepts none that shows other pictures, or shows them at other times."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

import bsqav
from bsqav.codec import Packet
from bsqav.errors import BitstreamError, BsqError, MediaError
from bsqav.media.demux.demuxer import Demuxer
from bsqav.media.inspect.verification import verify
from bsqav.media.mux.muxers import open_muxer
from tests.media.clips import make_clip
from tests.media.containers import mux_packets
from tests.media.mutations import UNEVEN, damage_files, make_files

COUNT = 220
FRAMES = 40
GOP = 5


def test_no_damage_that_shows_is_accepted(tmp_path: Path) -> None:
    files = make_files(tmp_path / "whole")
    (tmp_path / "damaged").mkdir()
    accepted, refused = damage_files(files, tmp_path / "damaged", COUNT, seed=5)
    assert [each for each in accepted if not each.same] == []
    # Most damage lies in packets, and some of it elsewhere: both must have come up.
    assert refused["BitstreamError"] > COUNT // 4
    assert refused["MediaError"] > COUNT // 10
    assert len(accepted) > COUNT // 20


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Eight groups of five frames, at a constant and at a variable rate."""
    folder = tmp_path_factory.mktemp("coded")
    found = {}
    uneven = [*UNEVEN, *(UNEVEN[-1] + 37 * n + n % 3 for n in range(1, 11))]
    for name, times in (("even", None), ("uneven", uneven)):
        clip = make_clip(folder / f"{name}_clip.mkv", size=(48, 32), frames=FRAMES, times=times)
        found[name] = folder / f"{name}.mkv"
        bsqav.transcode(clip, found[name], gop=GOP)
    return found


def packets_of(path: Path) -> tuple[Any, list[Any]]:
    with Demuxer(path) as demuxer:
        track = demuxer.tracks[0]
        return track, list(demuxer.demux(track))


def written(path: Path, packets: list[Any], form: str) -> io.BytesIO:
    """The video's packets in a file of their own, by a program that knows nothing of BSQ."""
    track, _ = packets_of(path)
    file = io.BytesIO()
    muxer = open_muxer(file, format=form)
    index = muxer.add_video(track.header, track.sequence)
    mux_packets(muxer, index, packets)
    muxer.close()
    file.seek(0)
    return file


@pytest.mark.parametrize("form", ["matroska", "mov", "nut"])
@pytest.mark.parametrize("name", ["even", "uneven"])
def test_a_lost_group_is_seen_where_it_was(coded: dict[str, Path], name: str, form: str) -> None:
    _, packets = packets_of(coded[name])
    assert verify(written(coded[name], packets, form)).frames == FRAMES
    for lost in (1, 3):
        left = packets[: 2 * GOP] + packets[(2 + lost) * GOP :]
        with pytest.raises(BitstreamError, match=r"packet 10, .* group counter") as caught:
            verify(written(coded[name], left, form))
        assert caught.value.packet == 2 * GOP


@pytest.mark.parametrize("form", ["matroska", "mov", "nut"])
def test_four_lost_groups_are_seen_by_the_times(coded: dict[str, Path], form: str) -> None:
    _, packets = packets_of(coded["even"])
    with pytest.raises(BitstreamError, match=r"packet 10, .*0\.800 s of frames are missing"):
        verify(written(coded["even"], packets[: 2 * GOP] + packets[6 * GOP :], form))


def test_lost_packets_are_counted_by_transcode(coded: dict[str, Path], tmp_path: Path) -> None:
    _, packets = packets_of(coded["even"])
    left = packets[:GOP] + packets[2 * GOP : 4 * GOP] + packets[5 * GOP :]
    for codec in ("copy", "libx264"):
        said: list[str] = []
        source = written(coded["even"], left, "matroska")
        result = bsqav.transcode(source, tmp_path / f"{codec}.mkv", codec=codec, warn=said.append)
        assert result.frames_out == FRAMES - 2 * GOP
        assert any("2 places, the first at packet 5, " in each for each in said)


def test_a_group_in_the_place_of_another_is_seen(coded: dict[str, Path]) -> None:
    _, packets = packets_of(coded["even"])
    # The data of the seventh group, which has the same counter, at the times of the third.
    wrong = list(packets)
    for at in range(2 * GOP, 3 * GOP):
        there, data = packets[at], packets[at + 4 * GOP].data
        wrong[at] = Packet(data, there.pts, there.duration, there.keyframe, there.time_base)
    with pytest.raises(BitstreamError, match=r"packet 10, .*does not fit") as caught:
        verify(written(coded["even"], wrong, "matroska"))
    assert caught.value.packet == 2 * GOP


def test_joined_and_cut_files_are_whole(coded: dict[str, Path]) -> None:
    """Where two pieces meet group counters jump and times of packets start again."""
    _, packets = packets_of(coded["even"])
    step = packets[1].pts - packets[0].pts

    def moved(part: list[Any], to: int) -> list[Packet]:
        by = to * step - part[0].pts
        return [Packet(p.data, p.pts + by, p.duration, p.keyframe, p.time_base) for p in part]

    pieces = [packets[: 3 * GOP], packets, packets[5 * GOP :], packets[: 3 * GOP]]
    joined: list[Packet] = []
    for piece in pieces:
        joined += moved(piece, len(joined))
    for form in ("matroska", "mov", "nut"):
        assert verify(written(coded["even"], joined, form)).frames == len(joined)
        assert verify(written(coded["even"], packets[3 * GOP :], form)).frames == FRAMES - 15


def voided(data: bytes, packet: bytes) -> bytes:
    """The file with a Void element over the block that holds a packet."""
    at = data.index(packet)
    # Id, a size of one or two bytes, and four bytes of the block itself.
    start = next(start for start in (at - 6, at - 7) if data[start] in (0xA1, 0xA3))
    size = at + len(packet) - start
    return data[:start] + b"\xec\x01" + (size - 9).to_bytes(7, "big") + data[start + 9 :]


@pytest.mark.parametrize("name", ["even", "uneven"])
def test_a_voided_block_is_detected(coded: dict[str, Path], name: str) -> None:
    """Also the last of a group, after which nothing in the packets tells at a variable rate."""
    _, packets = packets_of(coded[name])
    data = coded[name].read_bytes()
    for at in (GOP - 1, 2 * GOP, FRAMES - 1):
        with pytest.raises(BsqError, match="missing"):
            verify(io.BytesIO(voided(data, packets[at].data)))


@pytest.mark.parametrize("form", ["matroska", "mov", "nut"])
def test_strict_fails_where_verify_warns(coded: dict[str, Path], form: str) -> None:
    _, packets = packets_of(coded["even"])
    file = written(coded["even"], packets[2:], form)
    said: list[str] = []
    assert verify(file, warn=said.append).warnings == tuple(said) != ()
    file.seek(0)
    with pytest.raises(MediaError, match="begins between keyframes"):
        verify(file, warn=said.append, strict=True)
