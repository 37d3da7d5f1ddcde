"""Lost and damaged packets of streams with B frames: what depends on them is concealed, no more."""

from __future__ import annotations

import random
from collections.abc import Collection
from itertools import accumulate, pairwise
from typing import Any

import pytest

from bsqav import _core
from tests.codec.damage import GOP, coded_frames, damage_packets, flip, group_stream
from tests.codec.streams import Format, Stream, clip, decode, encode, picture_hash
from tests.reference.groups import lost_packets

FORM = Format(64, 48)


@pytest.fixture(scope="module", params=[FORM, Format(40, 24, "422", 10, 1)], ids=["one", "four"])
def b_stream(request: pytest.FixtureRequest) -> Stream:
    """Of one component, and of four."""
    return group_stream(request.param)


def test_damage_costs_no_more_than_it_must(b_stream: Stream) -> None:
    counts = damage_packets(b_stream, 80, 1)
    assert min(counts[kind] for kind in ("bits", "cut", "lost", "noise", "sealed", "leaves")) >= 5


def check_shown(stream: Stream, packets: dict[int, bytes], lost: Collection[int]) -> None:
    """What the packets of these numbers show: the frame before of those lost, else their own."""
    shown = decode(packets.values())
    assert [frame.concealed for frame in shown] == [number in lost for number in packets]
    assert [frame.pts for frame in shown] == [stream.pts[number] for number in packets]
    expected: list[str] = []
    for number in packets:
        expected.append(expected[-1] if number in lost else stream.hashes[number])
    assert [picture_hash(frame) for frame in shown] == expected


def test_a_lost_packet_costs_exactly_the_frames_that_depend_on_it(b_stream: Stream) -> None:
    frames = coded_frames(b_stream)
    assert [len(packet) for packet in frames[:GOP]] == [1, *[4, 0, 1, 0, 2, 0, 1, 0] * 2]
    for missing in range(1, GOP):
        lost = lost_packets(frames, {missing})
        # A frame that is not held, or nothing but what the packet shows.
        if missing % 4 == 3 or missing % 2 == 0:
            assert lost == {missing}
        elif missing % 8 == 1:
            assert lost == set(range(missing, GOP)), "of an anchor"
        else:
            assert lost == {missing, missing + 1, missing + 2}
        packets = dict(enumerate(b_stream.packets))
        del packets[missing]
        check_shown(b_stream, packets, lost)
        data = b_stream.packets[missing]
        packets = dict(enumerate(b_stream.packets))
        packets[missing] = flip(data, 8 * len(data) // 2)
        check_shown(b_stream, packets, lost)


@pytest.mark.parametrize("bframes", [0, 7])
def test_made_up_times_cost_no_frame(bframes: int) -> None:
    """A damaged packet's frame is due when the one before ends: here after the frames behind it."""
    rng = random.Random(4)
    pts = list(accumulate(rng.choice([1, 1, 1, 2, 50]) for _ in range(GOP + 2)))
    options: dict[str, Any] = {"gop": GOP, "scene_cut": False, "crf": 30, "preset": "fast"}
    pictures = clip(FORM, GOP + 2, calm=True)
    stream = encode(pictures, FORM, pts=pts, lookahead=24, bframes=bframes, **options)
    frames = coded_frames(stream)
    falls = 0
    for missing in range(1, GOP):
        lost = lost_packets(frames, {missing})
        packets = list(stream.packets)
        packets[missing] = b"\0"
        shown = decode(packets)
        assert [frame.concealed for frame in shown] == [n in lost for n in range(GOP + 2)]
        for number, frame in enumerate(shown):
            if number not in lost:
                assert (frame.pts, picture_hash(frame)) == (pts[number], stream.hashes[number])
        falls += any(one.pts >= other.pts for one, other in pairwise(shown))
    assert falls > 0


def test_packets_of_frames_that_are_not_held_may_be_left_out(b_stream: Stream) -> None:
    infos = [_core.probe_packet(packet) for packet in b_stream.packets]
    spare = [i for i, info in enumerate(infos) if info["frames"] and not info["held_frames"]]
    assert spare == [3, 7, 11, 15, 20, 24, 28, 32]
    left = [i for i in range(2 * GOP) if i not in spare]
    frames = decode([b_stream.packets[i] for i in left], strict=True)
    assert [picture_hash(frame) for frame in frames] == [b_stream.hashes[i] for i in left]
    assert [frame.pts for frame in frames] == [b_stream.pts[i] for i in left]


def test_several_lost_packets_cost_what_depends_on_any_of_them(b_stream: Stream) -> None:
    frames = coded_frames(b_stream)
    rng = random.Random(5)
    for _ in range(12):
        missing = rng.sample(range(1, GOP), 4)
        packets = {i: data for i, data in enumerate(b_stream.packets) if i not in missing}
        check_shown(b_stream, packets, lost_packets(frames, missing))


def test_a_lost_keyframe_costs_its_group_of_b_frames(b_stream: Stream) -> None:
    packets = dict(enumerate(b_stream.packets))
    del packets[GOP]
    check_lost_group(b_stream, packets)
    # Also where packets of the first group come late, between those of the second one.
    late = dict(enumerate([*b_stream.packets[:9], b_stream.packets[18], *b_stream.packets[9:17]]))
    shown = decode(late.values())
    assert [frame.concealed for frame in shown] == [False] * 9 + [True] * 9


def check_lost_group(stream: Stream, packets: dict[int, bytes]) -> None:
    shown = decode(packets.values())
    assert [frame.concealed for frame in shown] == [number > GOP for number in packets]
    assert {picture_hash(frame) for frame in shown[GOP:]} == {stream.hashes[GOP - 1]}
    ticks = [frame.pts for frame in shown]
    assert ticks == sorted(set(ticks))


def test_a_group_that_ends_early_is_followed_by_the_next(b_stream: Stream) -> None:
    """Frames that were coded ahead are then not shown."""
    for end in range(1, GOP):
        left = [*range(end), *range(GOP, GOP + 3)]
        packets = [b_stream.packets[i] for i in left]
        if end % 2 == 1 and end > 1:
            assert _core.probe_packet(packets[end - 1])["frames"] == 0
        frames = decode(packets, strict=True)
        assert [picture_hash(frame) for frame in frames] == [b_stream.hashes[i] for i in left]
