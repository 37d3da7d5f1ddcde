"""Motion of P and B frames and motion compensation, from docs/bitstream.md section 4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tests.motion.reference import compensate_overlapped
from tests.reference.bitstream import require
from tests.reference.range_decoder import (
    AdaptiveBit,
    AdaptiveInteger,
    BMotionContexts,
    MotionContexts,
    RangeDecoder,
    TileContexts,
)

IntArray = npt.NDArray[np.int64]
Vector = tuple[int, int]
Position = tuple[int, int]  # of a superblock, or of a sub-block
FIRST, SECOND, BOTH = 1, 2, 3  # directions
MOST_CANDIDATES = 5


@dataclass(frozen=True)
class Motion:
    """The motion of a frame, or of a component of it.

    Attributes:
        index: of the frame.
        back: distance of the first reference.
        forth: distance of the second reference, 0 in a P frame.
        vectors: [rows, columns, reference, (x, y)] of the sub-blocks.
        directions: [rows, columns]; all FIRST in a P frame.
    """

    index: int
    back: int
    forth: int
    vectors: IntArray
    directions: IntArray

    @classmethod
    def empty(cls, size: tuple[int, int], index: int, back: int, forth: int) -> Motion:
        """For a coded size in luma samples, width and height."""
        rows, columns = size[1] // 8, size[0] // 8
        vectors = np.zeros((rows, columns, 2, 2), np.int64)
        return cls(index, back, forth, vectors, np.full((rows, columns), FIRST, np.int64))

    def taken(self, width_shift: int) -> Motion:
        """The motion of a component that has this one of the first component (section 4.5)."""
        every = slice(None, None, 1 << width_shift)
        vectors = self.vectors[:, every].copy()
        vectors[..., 0] >>= width_shift
        return replace(self, vectors=vectors, directions=self.directions[:, every].copy())


@dataclass(frozen=True)
class Square:
    """The motion of a superblock, a block or a sub-block.

    `differs`: for each reference, whether the flag "difference is zero" was there and 0.
    """

    direction: int
    vectors: tuple[Vector, Vector]
    merged: bool = False
    differs: tuple[bool, bool] = (False, False)

    def same_motion(self, other: Square) -> bool:
        """Whether direction and used vectors are equal."""
        return self.direction == other.direction and all(
            self.vectors[r] == other.vectors[r] for r in range(2) if self.direction >> r & 1
        )


class TileMotion:
    """Reads the motion of one tile of a P frame in coding order into `motion`."""

    def __init__(self, motion: Motion, coder: RangeDecoder, contexts: TileContexts) -> None:
        self.motion = motion
        self.coder = coder
        self.contexts: MotionContexts | BMotionContexts = contexts.motion
        self.known: dict[Position, Square] = {}
        self.split: dict[Position, int] = {}
        self.block_split: dict[Position, int] = {}

    def read_superblock(self, wx: int, wy: int) -> None:
        """The split flag of a superblock, and its motion or blocks."""
        context = self.split.get((wx - 1, wy), 0) + self.split.get((wx, wy - 1), 0)
        split = self.split[wx, wy] = self.contexts.split[context].read(self.coder)
        if split:
            for x, y in self._quarters(4 * wx, 4 * wy, 2):
                self._read_block(x, y)
        else:
            self._read_motion(4 * wx, 4 * wy, 4)

    def _quarters(self, x: int, y: int, size: int) -> list[Position]:
        """First sub-blocks of the four squares of `size` from (x, y) on, those in the frame."""
        rows, columns = self.motion.directions.shape
        found = [(x + i, y + j) for j in (0, size) for i in (0, size)]
        return [(i, j) for i, j in found if i < columns and j < rows]

    def _read_block(self, x: int, y: int) -> None:
        context = self.block_split.get((x - 1, y), 0) + self.block_split.get((x, y - 1), 0)
        split = self.contexts.block_split[context].read(self.coder)
        for position in self._quarters(x, y, 1):
            self.block_split[position] = split
        if split:
            for position in self._quarters(x, y, 1):
                self._read_motion(*position, 1)
        else:
            self._read_motion(x, y, 2)

    def _read_motion(self, cx: int, cy: int, size: int) -> None:
        square = self._read_square(cx, cy, size)
        rows, columns = self.motion.directions.shape
        for j in range(cy, min(cy + size, rows)):
            for i in range(cx, min(cx + size, columns)):
                self.known[i, j] = square
                self.motion.directions[j, i] = square.direction
                self.motion.vectors[j, i] = square.vectors

    def _read_square(self, cx: int, cy: int, size: int) -> Square:
        """The symbols of a square that is not split."""
        assert isinstance(self.contexts, MotionContexts)
        vector, differs = self._read_vector(
            cx, cy, size, 0, self.contexts.same, self.contexts.difference
        )
        return Square(FIRST, (vector, (0, 0)), differs=(differs, False))

    def _near(self, cx: int, cy: int) -> list[Square]:
        """Those of A and B that are available."""
        near = (self.known.get((cx - 1, cy)), self.known.get((cx, cy - 1)))
        return [square for square in near if square is not None]

    def _read_vector(
        self,
        cx: int,
        cy: int,
        size: int,
        reference: int,
        same_contexts: Sequence[AdaptiveBit],
        difference: Sequence[AdaptiveInteger],
    ) -> tuple[Vector, bool]:
        """A vector into the reference, 0 or 1, and whether it differs from the predictor."""
        differing = sum(square.differs[reference] for square in self._near(cx, cy))
        same = same_contexts[3 * kind(size) + differing].read(self.coder)
        x, y = self._predict(cx, cy, size, reference)
        if not same:
            x += difference[0].read(self.coder)
            y += difference[1].read(self.coder)
        require(min(x, y) >= -2048 and max(x, y) <= 2047, f"vector ({x}, {y})")
        return (x, y), not same

    def _corner(self, cx: int, cy: int, size: int) -> Square | None:
        """C of section 4.2."""
        return self.known.get((cx + size, cy - 1), self.known.get((cx - 1, cy - 1)))

    def _predict(self, cx: int, cy: int, size: int, reference: int) -> Vector:
        """The predictor of section 4.2; `known` holds the available squares."""
        squares = [self.known.get((cx - 1, cy)), self.known.get((cx, cy - 1))]
        squares.append(self._corner(cx, cy, size))
        found = [square.vectors[reference] for square in squares if square is not None]
        if len(found) == 1:
            return found[0]
        found += [(0, 0)] * (3 - len(found))
        a, b, c = found
        return sorted((a[0], b[0], c[0]))[1], sorted((a[1], b[1], c[1]))[1]


class BTileMotion(TileMotion):
    """Reads the motion of one tile of a B frame (section 4.6)."""

    def __init__(
        self,
        motion: Motion,
        coder: RangeDecoder,
        contexts: TileContexts,
        references: Sequence[Motion | None],
    ) -> None:
        """`references`: the motion of the references, None of a keyframe."""
        super().__init__(motion, coder, contexts)
        self.contexts = self.b_contexts = contexts.b_motion
        self.references = references

    def _read_square(self, cx: int, cy: int, size: int) -> Square:
        near, contexts, coder = self._near(cx, cy), self.b_contexts, self.coder
        k = 3 * kind(size)
        if contexts.merged[k + sum(square.merged for square in near)].read(coder):
            candidates = self._candidates(cx, cy, size)
            number = 0
            while number < len(candidates) - 1 and contexts.number[number].read(coder):
                number += 1
            return replace(candidates[number], merged=True, differs=(False, False))
        directions = [square.direction for square in near]
        if contexts.both[k + directions.count(BOTH)].read(coder):
            direction = BOTH
        else:
            more = directions.count(SECOND) - directions.count(FIRST)
            context = 0 if more < 0 else 1 if more == 0 else 2
            direction = SECOND if contexts.second[context].read(coder) else FIRST
        vectors, differs = [(0, 0), (0, 0)], [False, False]
        for r in range(2):
            if direction >> r & 1:
                vectors[r], differs[r] = self._read_vector(
                    cx, cy, size, r, contexts.same[r], contexts.difference[r]
                )
        distances = self.motion.back, self.motion.forth
        if direction != BOTH:
            used = direction - 1
            vectors[1 - used] = scale(vectors[used], -distances[1 - used], distances[used])
        return Square(direction, (vectors[0], vectors[1]), differs=(differs[0], differs[1]))

    def _candidates(self, cx: int, cy: int, size: int) -> list[Square]:
        """The motion that a merged square may have."""
        temporal = self._temporal(cx, cy, size)
        predictors = (self._predict(cx, cy, size, 0), self._predict(cx, cy, size, 1))
        listed = [
            self.known.get((cx - 1, cy)),
            self.known.get((cx, cy - 1)),
            Square(BOTH, temporal) if temporal is not None else None,
            self._corner(cx, cy, size),
            Square(BOTH, predictors),
            Square(BOTH, ((0, 0), (0, 0))),
        ]
        found: list[Square] = []
        for square in listed:
            if square is not None and not any(square.same_motion(other) for other in found):
                found.append(square)
        return found[:MOST_CANDIDATES]

    def _temporal(self, cx: int, cy: int, size: int) -> tuple[Vector, Vector] | None:
        """The temporal vectors of a square."""
        rows, columns = self.motion.directions.shape
        at = (min(cy + size // 2, rows - 1), min(cx + size // 2, columns - 1))
        index, back, forth = self.motion.index, self.motion.back, self.motion.forth
        first, second = self.references
        if first is not None and first.forth and first.index + first.forth == index + forth:
            x, y = (int(value) for value in first.vectors[*at, 1])
            return scale((x, y), -back, first.forth), scale((x, y), forth, first.forth)
        if second is not None:
            x, y = (int(value) for value in second.vectors[*at, 0])
            return scale((x, y), back, second.back), scale((x, y), -forth, second.back)
        return None


def kind(size: int) -> int:
    """K of section 4: 0 for superblocks, 1 for blocks, 2 for sub-blocks."""
    return {4: 0, 2: 1, 1: 2}[size]


def scale(vector: Vector, n: int, d: int) -> Vector:
    """The vector times n / d, rounded and limited (section 4.6)."""

    def scaled(v: int) -> int:
        size = (abs(v * n) + (d >> 1)) // d
        return min(max(size if v * n > 0 else -size, -2048), 2047)

    return scaled(vector[0]), scaled(vector[1])


def compensate(
    references: Sequence[Sequence[IntArray]], motion: Motion, depth: int
) -> list[IntArray]:
    """The prediction of all planes from those of the references (sections 4.3, 4.6 and 4.7)."""
    vectors = motion.vectors[:, :, : len(references)]
    return [
        compensate_overlapped(planes, vectors, motion.directions, index == 0, depth)
        for index, planes in enumerate(zip(*references, strict=True))
    ]
