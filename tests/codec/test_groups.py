"""Hierarchical groups as the encoder's look-ahead plans them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bsqav import _core
from tests.codec.streams import Format, clip

SLOTS = 6
MAX_GROUP = 16
FORM = Format(64, 48, "gray")
PICTURES = np.stack([planes[0] for planes in clip(FORM, 60)]).astype(np.uint8)
# Its groups are as long as they may be.
CALM = np.stack([planes[0] for planes in clip(FORM, 60, calm=True)]).astype(np.uint8)

Frame = tuple[int, int | None, int | None, int | None, int, int | None]
Packets = list[list[tuple[Frame, npt.NDArray[np.float64] | None]]]


def planned(frames: npt.NDArray[Any] = PICTURES, **options: Any) -> Packets:
    return _core.planned_packets(frames, **options)


def frames_of(packets: Packets) -> list[list[Frame]]:
    return [[frame for frame, _ in packet] for packet in packets]


def anchors(packets: Packets) -> list[int]:
    """Positions in the stream of keyframes, and of frames that are not between their references."""
    positions, keyframe = [], 0
    for position, packet in enumerate(frames_of(packets)):
        for index, first, second, *_ in packet:
            keyframe = position if first is None else keyframe
            if second is None or second < index:
                positions.append(keyframe + index)
    return sorted(positions)


def keyframes(packets: Packets) -> list[int]:
    return [
        position
        for position, packet in enumerate(frames_of(packets))
        if any(first is None for _, first, *_ in packet)
    ]


class Decoder:
    """Holds frames as section 2.5 of the codestream says, and refuses what is not held."""

    def __init__(self) -> None:
        self.slots: dict[int, int] = {}
        self.index = 0

    def take(self, packet: list[Frame]) -> None:
        if packet and packet[0][1] is None:
            assert packet == [(0, None, None, None, 0, 0)]
            self.slots, self.index = {}, 0
        else:
            self.index += 1
        for number, (index, first, second, other, _, slot) in enumerate(packet):
            last = number == len(packet) - 1
            assert index == self.index if last else index > self.index
            held = self.slots.values()
            assert index not in held
            if first is not None:
                assert first < index
                assert first in held
            if second is not None:
                assert second > index or second == 0 != first
                assert second in held
            if other is not None:
                assert first is not None
                assert second == 0 < other < first
                assert other in held
            if slot is not None:
                assert slot < SLOTS
                self.slots[slot] = index
        if not packet:
            assert self.index in self.slots.values()


def packets_of(sizes: list[int]) -> list[list[Frame]]:
    """The packets of groups: a frame goes into that of the first one that is not coded yet."""
    packets: list[list[Frame]] = [[(0, None, None, None, 0, 0)]]
    coded: set[int] = set()
    left = _core.group_frames(sizes)
    for index in range(1, sum(sizes) + 1):
        packet: list[Frame] = []
        while index not in coded:
            packet.append(left.pop(0))
            coded.add(packet[-1][0])
        packets.append(packet)
    assert not left
    return packets


@pytest.mark.parametrize("before", [1, 3, 8, MAX_GROUP])
@pytest.mark.parametrize("size", range(1, MAX_GROUP + 1))
def test_groups_of_every_size_follow_each_other(size: int, before: int) -> None:
    for next_size in range(1, MAX_GROUP + 1):
        decoder = Decoder()
        sizes = [before, size, next_size]
        for packet in packets_of(sizes):
            decoder.take(packet)
        frames = _core.group_frames(sizes)
        found = {frame[0]: frame[:5] for frame in frames if frame[4] == 0}
        first, second, third = before, before + size, before + size + next_size
        assert found == {
            first: (first, 0, None, None, 0),
            second: (second, first, 0, None, 0),
            third: (third, second, 0, first if next_size > 1 else None, 0),
        }


@pytest.mark.parametrize("size", range(1, MAX_GROUP + 1))
def test_b_frames_are_in_the_middle_and_leaves_are_not_held(size: int) -> None:
    _, *between = _core.group_frames([size])
    assert sorted(frame[0] for frame in between) == list(range(1, size))
    references = {reference for frame in between for reference in frame[1:3]}
    for index, first, second, other, level, slot in between:
        assert first is not None
        assert second is not None
        assert other is None
        assert index == (first + second) // 2
        assert 1 <= level <= 4
        assert (slot is not None) == (index in references)
    assert {frame[1] for frame in between if frame[4] == 1} <= {0}


def test_the_example_of_the_document() -> None:
    packets = frames_of(planned(PICTURES[:9], bframes=3, lookahead=8))
    assert [[frame[:3] for frame in packet] for packet in packets[:6]] == [
        [(0, None, None)],
        [(4, 0, None), (2, 0, 4), (1, 0, 2)],
        [],
        [(3, 2, 4)],
        [],
        [(8, 4, 0), (6, 4, 8), (5, 4, 6)],
    ]


@pytest.mark.parametrize("bframes", [0, 1, 2, 7, 10, 15])
@pytest.mark.parametrize("lookahead", [1, 5, 24])
@pytest.mark.parametrize("gop", [1, 2, 7, 250])
def test_packets_can_be_decoded(bframes: int, lookahead: int, gop: int) -> None:
    packets = planned(bframes=bframes, lookahead=lookahead, gop=gop, keyframes=[20, 21, 40])
    assert len(packets) == len(PICTURES)
    assert {20, 21, 40} <= set(keyframes(packets))
    decoder = Decoder()
    for packet in frames_of(packets):
        decoder.take(packet)


def test_groups_are_cut_by_keyframes_and_the_end() -> None:
    packets = planned(CALM[:31], keyframes=[13], scene_cut=False)
    assert keyframes(packets) == [0, 13]
    assert anchors(packets) == [0, 8, 12, 13, 21, 29, 30]
    assert anchors(planned(CALM[:31], gop=11)) == [0, 8, 10, 11, 19, 21, 22, 30]


def test_a_scene_cut_begins_a_group_of_pictures() -> None:
    cut = np.concatenate([CALM[:21], 255 - CALM[32:51, ::-1]])
    assert keyframes(planned(cut)) == [0, 21]
    assert anchors(planned(cut))[:4] == [0, 8, 16, 20]
    assert keyframes(planned(cut, scene_cut=False)) == [0]
    assert keyframes(planned(cut, bframes=0)) == [0, 21]
    early = np.concatenate([CALM[:5], 255 - CALM[32:51, ::-1]])
    assert keyframes(planned(early)) == [0]


@pytest.mark.parametrize(("lookahead", "group"), [(0, 1), (1, 2), (3, 4), (6, 7), (7, 8), (24, 8)])
def test_a_group_is_no_longer_than_what_waits(lookahead: int, group: int) -> None:
    options: dict[str, Any] = {"lookahead": lookahead, "scene_cut": False}
    expected = [*range(0, 59, group)]
    found = anchors(planned(CALM, **options))
    assert [a for a in found if a < 56] == [a for a in expected if a < 56]


def test_groups_whose_anchors_differ_much_are_halved() -> None:
    """But not below four frames, and each for itself."""
    textures = [clip(FORM, 1, seed)[0][0] for seed in range(17)]
    changing = np.stack(textures).astype(np.uint8)
    options: dict[str, Any] = {"scene_cut": False}
    assert anchors(planned(changing, **options)) == [0, 4, 8, 12, 16]
    assert anchors(planned(changing, bframes=15, **options)) == [0, 4, 8, 12, 16]
    assert anchors(planned(changing, bframes=2, **options)) == [0, 3, 6, 9, 12, 15, 16]
    assert anchors(planned(CALM[:17], bframes=15, **options)) in ([0, 16], [0, 8, 16])


def test_without_b_frames_every_packet_has_its_frame() -> None:
    plain: list[dict[str, Any]] = [{"bframes": 0}, {"lookahead": 0}]
    for options in plain:
        packets = frames_of(planned(scene_cut=False, **options))
        assert [[frame[:3] for frame in packet] for packet in packets] == [
            [(index, index - 1 if index else None, 0 if index > 1 else None)]
            for index in range(len(PICTURES))
        ]


@pytest.mark.parametrize("bframes", [0, 7, 15])
def test_frames_past_the_lookahead_change_nothing(bframes: int) -> None:
    """A packet follows from the frames up to the look-ahead after its own."""
    others = PICTURES.copy()
    others[40:] = 255 - others[40:]
    packets = planned(bframes=bframes, lookahead=20), planned(others, bframes=bframes, lookahead=20)
    for one, other in zip(packets[0][:20], packets[1][:20], strict=True):
        same(one, other)


def same(one: list[Any], other: list[Any]) -> None:
    assert [frame for frame, _ in one] == [frame for frame, _ in other]
    for (_, cost), (_, cost_too) in zip(one, other, strict=True):
        np.testing.assert_array_equal(cost, cost_too)


@pytest.mark.parametrize("bframes", [0, 3, 7])
@pytest.mark.parametrize("lookahead", [5, 16])
def test_a_part_with_its_context_is_planned_as_in_the_whole(bframes: int, lookahead: int) -> None:
    options: dict[str, Any] = {"bframes": bframes, "lookahead": lookahead, "gop": 20}
    whole = planned(**options)
    part = planned(PICTURES[: 20 + min(lookahead, 19)], context_from=20, **options)
    assert len(part) == 20
    for one, other in zip(part, whole[:20], strict=True):
        same(one, other)


def test_threads_do_not_matter() -> None:
    for one, other in zip(planned(PICTURES[:30]), planned(PICTURES[:30], threads=3), strict=True):
        same(one, other)


# ---- propagation cost ----


def still(count: int) -> npt.NDArray[np.uint8]:
    return np.stack([PICTURES[0]] * count)


def test_anchors_carry_more_than_the_middle_and_leaves_nothing() -> None:
    costs = {
        frame[0]: float(cost.mean())
        for packet in planned(still(24), scene_cut=False)
        for frame, cost in packet
        if cost is not None
    }
    assert costs[8] > costs[4] > costs[2] > 0
    assert costs[1] == costs[3] == costs[5] == costs[7] == 0
    assert costs[2] == costs[6]
    # Frames 1 to 23 are all predicted from the first one.
    assert costs[0] == pytest.approx(np.log2(24), abs=0.05)


@pytest.mark.parametrize(("gop", "frames"), [(250, 65), (30, 30), (20, 20)])
def test_a_keyframe_carries_frames_after_the_lookahead_too(gop: int, frames: int) -> None:
    """As many as may follow, up to 64, since they may refer to it."""
    (_, cost), *_ = planned(still(40), scene_cut=False, gop=gop)[0]
    assert cost is not None
    assert cost.mean() == pytest.approx(np.log2(frames), abs=0.1)


def test_two_sided_blocks_share_their_cost_out() -> None:
    """Noise in the second half of a group: the first frame of it is of no use there."""
    noise = np.random.default_rng(2).integers(0, 256, PICTURES[0].shape).astype(np.uint8)
    frames = np.stack([PICTURES[0]] * 2 + [noise] * 3)
    costs = {
        frame[0]: cost
        for packet in planned(frames, bframes=3, lookahead=5, scene_cut=False)
        for frame, cost in packet
        if cost is not None
    }
    assert costs[4].mean() == pytest.approx(np.log2(3), abs=0.1)  # frames 2 and 3
    assert costs[0].mean() == pytest.approx(1, abs=0.1)  # frame 1
