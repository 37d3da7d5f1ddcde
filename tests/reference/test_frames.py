"""P and B frames, slots and lost packets in the reference decoder alone."""

from __future__ import annotations

import dataclasses
import random
import zlib
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pytest

from tests.bitstream.packets import FrameFields, Header, PacketFields
from tests.codec.streams import TINY_MODEL
from tests.reference.bitstream import SLOTS, DamageError, Plane, conformance_hash
from tests.reference.decoder import Decoder, LostFrameError, decode_stream
from tests.reference.groups import EXAMPLE, GroupPlan, lost_packets, random_groups
from tests.reference.motion import BTileMotion, Motion, compared, scale
from tests.reference.random_stream import RandomStream, Shape
from tests.reference.range_decoder import RangeDecoder, TileContexts

MODEL = TINY_MODEL.read_bytes()


def hashes(frames: Sequence[Sequence[Plane] | None]) -> list[str | None]:
    """Of every frame; None for one that is lost."""
    return [None if frame is None else conformance_hash([frame]) for frame in frames]


def decode_some(stream: RandomStream, missing: Collection[int]) -> list[list[Plane] | None]:
    """What the packets show, None for those that are missing or lost."""
    decoder = Decoder(MODEL)
    shown: list[list[Plane] | None] = []
    for number, packet in enumerate(stream.packets):
        try:
            shown.append(None if number in missing else decoder.decode(packet))
        except LostFrameError:
            shown.append(None)
    return shown


def check_loss(stream: RandomStream, missing: Collection[int], lost: Collection[int]) -> None:
    """Without the missing packets all but the lost ones show what they did."""
    expected = [None if i in lost else value for i, value in enumerate(hashes(stream.frames))]
    assert hashes(decode_some(stream, missing)) == expected


@pytest.mark.parametrize("seed", range(10))
def test_random_groups(seed: int) -> None:
    stream = random_groups(seed, MODEL)
    assert hashes(decode_stream(stream.packets, MODEL)) == hashes(stream.frames)


def test_plans_of_groups_use_all_of_the_syntax() -> None:
    packets, shapes = [], []
    for seed in range(200):
        plan = GroupPlan(random.Random(seed), 40).packets
        packets += [(packet[-1].index, packet) for packet in plan if packet]
        shapes += [shape for packet in plan for shape in packet]
    assert {len(packet) for _, packet in packets} == set(range(1, 8))
    ahead = {shape.index - shown for shown, packet in packets for shape in packet}
    assert ahead == set(range(17))
    assert {shape.layers for shape in shapes} == set(range(1, 9))
    for sign in (-1, 0, 1):
        some = [shape for shape in shapes if compared(shape.forth, 0) - 1 == sign and shape.index]
        assert {shape.slot for shape in some} == {None, *range(6)}
        assert {shape.back for shape in some} >= set(range(1, 18))
    assert {shape.forth for shape in shapes if shape.forth >= 0} == set(range(17))
    assert {shape.forth for shape in shapes} >= set(range(-17, 0))


def test_the_example_of_the_document() -> None:
    stream = RandomStream(Header(40, 24), MODEL, 1, 0.5)
    stream.add_packets([*EXAMPLE, EXAMPLE[0]])
    assert [packet[0] >> 4 & 7 for packet in stream.packets] == [1, 3, 0, 1, 0, 3, 0, 1, 0, 1]
    assert hashes(decode_stream(stream.packets, MODEL)) == hashes(stream.frames)
    assert len(set(hashes(stream.frames))) == 10
    check_loss(stream, {3}, {3})  # a frame that is not held
    check_loss(stream, {3, 7}, {3, 7})
    check_loss(stream, {5}, {5, 6, 7, 8})
    check_loss(stream, {1}, set(range(1, 9)))
    check_loss(stream, {2, 4}, {2, 4})  # packets without coded frames


@pytest.mark.parametrize("seed", range(2))
def test_a_lost_packet_costs_the_frames_that_depend_on_it(seed: int) -> None:
    stream = RandomStream(Header(16, 8, format=0), MODEL, seed, 0.5)
    rng = random.Random(seed)
    for length in (13, 2):
        stream.add_packets(GroupPlan(rng, length).packets)
    for missing in range(1, 13):
        check_loss(stream, {missing}, lost_packets(stream.shapes, {missing}))
    for _ in range(5):
        some = rng.sample(range(1, 13), 3)
        check_loss(stream, some, lost_packets(stream.shapes, some))


def test_a_lost_keyframe_costs_its_group() -> None:
    stream = RandomStream(Header(16, 8, format=0), MODEL, 5, 0.5)
    for length in (4, 9, 3):
        stream.add_packets(GroupPlan(random.Random(length), length).packets)
    check_loss(stream, {4}, set(range(4, 13)))
    # Packets of both groups before: those after the first foreign one are lost, whatever they say.
    decoder = Decoder(MODEL)
    decoder.decode(stream.packets[0])
    for number in (5, 1, 2, 6):
        with pytest.raises(LostFrameError):
            decoder.decode(stream.packets[number])
    assert hashes([decoder.decode(stream.packets[13])]) == hashes(stream.frames[13:14])


def test_two_lost_keyframes_in_a_row_cost_the_second_group() -> None:
    """Its packets go on with the index after that of the first group's last intact packet."""
    stream = RandomStream(Header(8, 8, format=0), MODEL, 7, 0.3)
    for length in (3, 3, 9, 2):
        stream.add_packets(GroupPlan(random.Random(length), length).packets)
    check_loss(stream, range(2, 8), range(2, 15))


def test_distances_up_to_255() -> None:
    stream = RandomStream(Header(8, 8, format=0), MODEL, 6, 0.3)
    stream.add(True, 1)
    stream.add_packet([Shape(256, 256, slot=5), Shape(1, 1, 255, slot=1)])
    for index in range(2, 256):
        stream.add_packet([Shape(index, 1, 256 - index, slot=1)])
    stream.add_packet([])
    stream.add_packet([Shape(257, 257, slot=0)])
    assert hashes(decode_stream(stream.packets, MODEL)) == hashes(stream.frames)


def seal(body: bytes) -> bytes:
    """A packet between keyframes with its checksum."""
    return body + (zlib.crc32(body) & 0xFFFF).to_bytes(2, "little")


def test_a_damaged_packet_leaves_nothing_behind() -> None:
    """A packet that breaks a rule empties all slots."""
    stream = RandomStream(Header(40, 24), MODEL, 7, 0.5)
    stream.add_packets(EXAMPLE)
    decoder = Decoder(MODEL)
    decoder.decode(stream.packets[0])
    with pytest.raises(DamageError, match="a tile ends"):
        decoder.decode(seal(stream.packets[1][:-2] + bytes(20)))
    assert decoder.slots == [None] * SLOTS
    with pytest.raises(LostFrameError):
        decoder.decode(stream.packets[2])


WRONG_FRAMES = [
    ({"hold": 7}, "hold 7"),
    ({"b_frame": False, "forth": 1}, "second reference of a P frame"),
    ({"back": 2}, "before the keyframe"),
    ({"back": 0}, "0 is less than 1"),
    ({"back": 2**31, "escape": True}, "is more than"),
    ({"b_frame": True, "forth": 0}, "refers to itself"),
    ({"b_frame": True, "forth": 256}, "256 frames to a reference"),
    ({"b_frame": True, "forth": -1}, "one frame twice"),
    ({"b_frame": True, "forth": -2}, "before the keyframe"),
    ({"layers": 2, "quantizers": None}, "another number of layers"),
    ({"layers": 2, "quantizers": [260], "body": b""}, "early"),
    ({"quantizers": [505]}, "quantizers"),
    ({"layers": 2, "quantizers": [160, 80, 0]}, "of 3 layers, not of 2"),
    ({"layers": 2, "quantizers": [505, 504]}, "quantizers"),
]


@pytest.mark.parametrize(("change", "message"), WRONG_FRAMES)
def test_wrong_frames_are_refused(change: dict[str, Any], message: str) -> None:
    frame = dataclasses.replace(FrameFields(), **change)
    with pytest.raises(DamageError, match=message):
        keyframe_decoder().decode(PacketFields(keyframe=False, frames=[frame]).write())


def keyframe_decoder() -> Decoder:
    """A decoder that has decoded a keyframe of gray, of one layer."""
    stream = RandomStream(Header(8, 8, format=0), MODEL, 8, 0.3)
    stream.group_counter = 3  # 0 in the group
    stream.add(True, 1)
    stream.decoder.parser.parse(stream.packets[0])
    for component in stream.decoder.slots[0].components if stream.decoder.slots[0] else []:
        component.state.quantizers = (256,)
    return stream.decoder


@pytest.mark.parametrize(
    ("packet", "message"),
    [
        (PacketFields(flags=0x70), "flags of a keyframe"),
        (PacketFields(frames=[]), "flags of a keyframe"),
        (PacketFields(frames=[FrameFields(hold=2)]), "flags of a keyframe"),
        (PacketFields(frames=[FrameFields(b_frame=True)]), "flags of a keyframe"),
        (PacketFields(frames=[FrameFields(quantizers=None)]), "flags of a keyframe"),
        (PacketFields(keyframe=False, index=0), "index 0 follows 0"),
        (PacketFields(keyframe=False, frames=[]), "frame 1 is lost"),
        *[
            (PacketFields(keyframe=False, frames=[FrameFields(ahead=n), FrameFields()]), "is ")
            for n in (0, 256)
        ],
    ],
)
def test_wrong_packets_are_refused(packet: PacketFields, message: str) -> None:
    with pytest.raises(DamageError, match=message):
        keyframe_decoder().decode(packet.write())


def test_a_frame_that_is_held_already_is_refused() -> None:
    stream = RandomStream(Header(8, 8, format=0), MODEL, 9, 0.3)
    stream.add(True, 1)
    stream.add_packet([Shape(2, 2, slot=1), Shape(2, 2, slot=1), Shape(1, 1)])
    with pytest.raises(DamageError, match="frame 2 is held already"):
        decode_stream(stream.packets, MODEL)


def test_bytes_after_a_packet_without_frames_are_refused() -> None:
    packet = PacketFields(keyframe=False, frames=[]).write()
    with pytest.raises(DamageError, match="after the last field"):
        keyframe_decoder().decode(seal(packet[:-2] + b"\0"))


@pytest.mark.parametrize(
    ("v", "n", "d", "expected"),
    [
        (7, 1, 2, 4),
        (-7, 1, 2, -4),
        (7, -3, 2, -11),
        (5, 1, 3, 2),
        (4, 1, 3, 1),
        (2047, 255, 1, 2047),
        (2047, -255, 1, -2048),
        (-2048, 2**31 - 1, 2**31 - 1, -2048),
        (0, -9, 4, 0),
    ],
)
def test_scale(v: int, n: int, d: int, expected: int) -> None:
    assert scale((v, 0), n, d) == (expected, 0)
    assert scale((0, v), n, d) == (0, expected)


class ScriptedCoder(RangeDecoder):
    """Gives the bits of a script."""

    def __init__(self, bits: str) -> None:
        super().__init__(b"")
        self.bits = [int(bit) for bit in bits if bit in "01"]

    def bit(self, p: int) -> int:
        """The next bit."""
        return self.bits.pop(0)


def test_the_example_of_motion_in_b_frames() -> None:
    """Three superblocks in a row, between a keyframe and a P frame of one vector."""
    size = (96, 32)
    motion, second = Motion.empty(size, 1, 1, 3), Motion.empty(size, 4, 4, 0)
    second.vectors[:, :, 0] = (8, -6)
    coder = ScriptedCoder(
        "0  0 0 0  0  0 1 110 01  1"  # not split, not merged, one reference, the first; (-5, 0)
        "0  1 111"  # merged: the last of four candidates
        "0  0 1  1  0 1 000"  # both references; the second vector is (0, 1) more than predicted
    )
    reader = BTileMotion(motion, coder, TileContexts(), [None, second])
    for x in range(3):
        reader.read_superblock(x, 0)
    assert not coder.bits
    assert np.array_equal(motion.directions[0], [1] * 4 + [3] * 8)
    assert motion.vectors[0, 0].tolist() == [[-5, 0], [15, 0]]
    assert motion.vectors[3, 4].tolist() == [[0, 0], [0, 0]]
    assert motion.vectors[3, 8].tolist() == [[0, 0], [0, 1]]
