"""Groups of P and B frames: random ones, that of docs/bitstream.md, the cost of lost packets."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Sequence
from itertools import count
from typing import Protocol

from tests.bitstream.packets import Header
from tests.reference.bitstream import SLOTS
from tests.reference.random_stream import RandomStream, Shape

# Gray, 4:2:0 with 10 bits, 4:2:2, 4:4:4, all with and without alpha.
FORMATS = [1, 0, 2, 19, 5, 18, 3, 17, 4, 22]
SIZES = [(40, 24), (54, 38), (33, 17), (9, 50), (65, 20)]

# The example of section 2.1: frames before the next anchor in pairs of two levels.
EXAMPLE = [
    [Shape(0, slot=0, layers=2)],
    [Shape(4, 4, slot=1), Shape(2, 2, 2, slot=2), Shape(1, 1, 1)],
    [],
    [Shape(3, 1, 1)],
    [],
    [Shape(8, 4, -8, slot=3), Shape(6, 2, 2, slot=2), Shape(5, 1, 1)],
    [],
    [Shape(7, 1, 1)],
    [],
]


class GroupPlan:
    """Draws the frames of a group: P and B frames in any order that the rules allow.

    Some are coded ahead and never shown, since the group ends before them.

    Attributes:
        packets: the frames of every packet.
    """

    def __init__(self, rng: random.Random, length: int, reach: int = 16) -> None:
        """`length`: frames of the group; none is coded more than `reach` before it is shown."""
        self.rng, self.length, self.reach = rng, length, reach
        self.slots: list[int | None] = [0] + [None] * (SLOTS - 1)
        self.coded = {0}
        self.packets: list[list[Shape]] = [[Shape(0, slot=0, layers=rng.randint(1, 2))]]
        for index in range(1, length):
            self.packets.append(self._packet(index))

    def _packet(self, shown: int) -> list[Shape]:
        if shown in self.coded:
            return []
        rng, shapes = self.rng, []
        for _ in range(rng.choice([0, 0, 1, 2, 3, 6])):
            ahead = range(shown + 1, shown + self.reach + 1)
            index = rng.choice(ahead)
            slots = [*self._slots_for(index, shown), *[None] * (index >= self.length)]
            if slots and index not in self.coded:
                shapes.append(self._frame(index, rng.choice(slots)))
        slot = rng.choice([None, *self._slots_for(shown, shown)])
        return [*shapes, self._frame(shown, slot)]

    def _slots_for(self, index: int, shown: int) -> list[int | None]:
        """Slots for a frame: those without a frame that is yet to be shown.

        Of the frames held, one stays that is earlier than all that are yet to be coded.
        """
        uncoded = next(i for i in count(1) if i not in self.coded and i != index)
        found: list[int | None] = []
        for slot, held in enumerate(self.slots):
            others = [self.slots[i] for i in range(SLOTS) if i != slot]
            kept = [i for i in [*others, index] if i is not None]
            waits = held is not None and shown <= held < self.length
            if not waits and min(kept) < uncoded:
                found.append(slot)
        return found

    def _frame(self, index: int, slot: int | None) -> Shape:
        """A frame with references among those held."""
        held = [i for i in self.slots if i is not None]
        before, after = [i for i in held if i < index], [i for i in held if i > index]
        first = self.rng.choice(before)
        back, forth = index - first, 0
        others = [i for i in before if i != first]
        if after and self.rng.random() < 0.7:
            forth = self.rng.choice(after) - index
        elif others and self.rng.random() < 0.5:
            forth = self.rng.choice(others) - index
        self.coded.add(index)
        if slot is not None:
            self.slots[slot] = index
        return Shape(
            index, back, forth, slot, self.rng.choice([1] * 8 + [2, self.rng.randint(3, 8)])
        )


def random_groups(seed: int, model: bytes) -> RandomStream:
    """Two random groups; size, format and lengths depend on the seed."""
    rng = random.Random(seed)
    header = Header(
        *SIZES[seed % len(SIZES)], format=FORMATS[seed % len(FORMATS)], ticks=[0, 4, 100][seed % 3]
    )
    stream = RandomStream(header, model, seed, [0.5, 0.7, 0.3][seed % 3])
    for length in (rng.randint(6, 10), rng.randint(1, 3)):
        stream.add_packets(GroupPlan(rng, length, rng.randint(1, 16)).packets)
    return stream


class Referring(Protocol):
    """A coded frame with the distances of its references, 0 for none."""

    @property
    def index(self) -> int: ...
    @property
    def back(self) -> int: ...
    @property
    def forth(self) -> int: ...


def lost_packets(shapes: Iterable[Sequence[Referring]], missing: Collection[int]) -> set[int]:
    """The packets whose frame depends on one of a missing packet, and the missing ones."""
    lost = set(missing)
    index, frames = 0, {0: False}  # of the group: whether the frame of an index is lost
    for number, packet in enumerate(shapes):
        index = packet[-1].index if packet else index + 1
        if index == 0:
            frames.clear()
        for shape in packet:
            near = [shape.index - shape.back] * (shape.back > 0)
            near += [shape.index + shape.forth] * (shape.forth != 0)
            frames[shape.index] = number in missing or any(frames[i] for i in near)
        if frames[index]:
            lost.add(number)
    return lost
