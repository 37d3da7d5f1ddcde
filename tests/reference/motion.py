"""Motion of P and B frames and motion compensation, from docs/bitstream.md section 4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tests.motion.reference import compensate_overlapped, compensate_plane
from tests.reference.bitstream import require
from tests.reference.numerics import side_log2
from tests.reference.range_decoder import Integer, RangeDecoder, TileContexts

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
        forth: distance of the second reference, negative where that is before the frame; 0 in a P
            frame.
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

    def __init__(
        self,
        motion: Motion,
        coder: RangeDecoder,
        contexts: TileContexts,
        references: Sequence[Motion | None],
    ) -> None:
        """`references`: the motion of the references, None of a keyframe."""
        self.motion = motion
        self.coder = coder
        self.contexts = contexts
        self.references = references
        self.known: dict[Position, Square] = {}
        self.split: dict[Position, int] = {}
        self.block_split: dict[Position, int] = {}
        self.b_frame = int(motion.forth != 0)  # f of section 4.8

    def read_superblock(self, wx: int, wy: int) -> None:
        """The split flag of a superblock, and its motion or blocks."""
        near = self.split.get((wx - 1, wy), 0) + self.split.get((wx, wy - 1), 0)
        contexts = self._split_contexts(4 * wx, 4 * wy, 4, near)
        split = self.contexts.split.read(self.coder, self.b_frame, *contexts)
        self.split[wx, wy] = split
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
        near = self.block_split.get((x - 1, y), 0) + self.block_split.get((x, y - 1), 0)
        contexts = self._split_contexts(x, y, 2, near)
        split = self.contexts.block_split.read(self.coder, self.b_frame, *contexts)
        for position in self._quarters(x, y, 1):
            self.block_split[position] = split
        if split:
            for position in self._quarters(x, y, 1):
                self._read_motion(*position, 1)
        else:
            self._read_motion(x, y, 2)

    def _split_contexts(self, x: int, y: int, size: int, near: int) -> Position:
        u = [variety(reference, x, y, size) for reference in self.references]
        v = 4 * u[0] + (u[1] if self.b_frame else 0)
        return 3 * self.b_frame + near, (16 * self.b_frame + v) * 3 + near

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
        temporal = None
        reference = self.references[0]
        if reference is not None:
            x, y = (int(value) for value in reference.vectors[*self._middle(cx, cy, size), 0])
            temporal = scale((x, y), self.motion.back, reference.back)
        vector, differs = self._read_vector(cx, cy, size, 0, 0, temporal)
        return Square(FIRST, (vector, (0, 0)), differs=(differs, False))

    def _middle(self, cx: int, cy: int, size: int) -> Position:
        """Row and column of the sub-block s of section 4.6."""
        rows, columns = self.motion.directions.shape
        return min(cy + size // 2, rows - 1), min(cx + size // 2, columns - 1)

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
        kind: int,
        temporal: Vector | None,
        mirrored: Vector | None = None,
    ) -> tuple[Vector, bool]:
        """A vector into the reference, 0 or 1, and whether it differs from the predictor.

        `kind` is K of section 4.8; `mirrored` is the last of the known vectors there.
        """
        x, y = self._predict(cx, cy, size, reference)
        near = [square.vectors[reference] for square in self._neighbours(cx, cy, size)]
        known = [*near, temporal, self._continued(cx, cy, reference), mirrored]
        votes = [(v[0] - x, v[1] - y) for v in known if v is not None]
        differing = sum(square.differs[reference] for square in self._near(cx, cy))
        t = 8 if temporal is None else distance(temporal, (x, y))
        kinds = 3 * kind + size_class(size)
        same = self.contexts.same.read(
            self.coder,
            kind,
            3 * kinds + differing,
            4 * kinds + min(3, votes.count((0, 0))),
            9 * kinds + t,
        )
        if not same:
            spread = max([distance(a, b) for a in near for b in near], default=0)
            place = (kind, size_class(size), spread, 3 if t == 8 else min(2, t + 1 >> 1))
            dx, dy = self._read_difference(votes, *place)
            x, y = x + dx, y + dy
        require(min(x, y) >= -2048 and max(x, y) <= 2047, f"vector ({x}, {y})")
        return (x, y), not same

    def _read_difference(
        self, votes: Sequence[Vector], kind: int, size: int, spread: int, g: int
    ) -> Vector:
        """The difference of a vector; `votes` are those of the known vectors."""
        found: list[int] = []

        def read_bit(known: Integer) -> int:
            axis = len(found)
            count = [0, 0]
            for vote in votes:
                bit = known.vote(vote[axis])
                if bit is not None:
                    count[bit] += 2 if found == [vote[0]] else 1
            e = min(3, 1 + abs(found[0]).bit_length()) if axis else 0
            j = 12 * axis + known.bin
            return self.contexts.difference.read(
                self.coder,
                j,
                24 * kind + j,
                16 * j + 4 * min(3, count[0]) + min(3, count[1]),
                (3 * j + size) * 4 + min(3, spread + 1 >> 1),
                (4 * j + e) * 4 + g,
            )

        for _ in range(2):
            found.append(Integer().read(self.coder, read_bit))
        return found[0], found[1]

    def _continued(self, cx: int, cy: int, reference: int) -> Vector | None:
        """A + B less the vector between them."""
        near, between = self._near(cx, cy), self.known.get((cx - 1, cy - 1))
        if len(near) < 2 or between is None:
            return None
        a, b, c = (square.vectors[reference] for square in (*near, between))
        return a[0] + b[0] - c[0], a[1] + b[1] - c[1]

    def _corner(self, cx: int, cy: int, size: int) -> Square | None:
        """C of section 4.2."""
        return self.known.get((cx + size, cy - 1), self.known.get((cx - 1, cy - 1)))

    def _neighbours(self, cx: int, cy: int, size: int) -> list[Square]:
        """Those of A, B and C that are available."""
        corner = self._corner(cx, cy, size)
        return [*self._near(cx, cy), *([] if corner is None else [corner])]

    def _predict(self, cx: int, cy: int, size: int, reference: int) -> Vector:
        """The predictor of section 4.2; `known` holds the available squares."""
        found = [square.vectors[reference] for square in self._neighbours(cx, cy, size)]
        if len(found) == 1:
            return found[0]
        found += [(0, 0)] * (3 - len(found))
        a, b, c = found
        return sorted((a[0], b[0], c[0]))[1], sorted((a[1], b[1], c[1]))[1]


class BTileMotion(TileMotion):
    """Reads the motion of one tile of a B frame (section 4.6)."""

    def _read_square(self, cx: int, cy: int, size: int) -> Square:
        temporal = self._temporal(cx, cy, size)
        predictors = (self._predict(cx, cy, size, 0), self._predict(cx, cy, size, 1))
        if self._read_merged(cx, cy, size, predictors, temporal):
            return self._read_candidate(cx, cy, size)
        direction = self._read_direction(cx, cy, size, predictors)
        vectors, differs = [(0, 0), (0, 0)], [False, False]
        distances = back, forth = self.motion.back, self.motion.forth
        for r in range(2):
            if direction >> r & 1:
                own = temporal[r] if temporal is not None else None
                mirrored = scale(vectors[0], -forth, back) if (direction, r) == (BOTH, 1) else None
                kind = 2 + r if direction == BOTH else 1
                vectors[r], differs[r] = self._read_vector(cx, cy, size, r, kind, own, mirrored)
        if direction != BOTH:
            used = direction - 1
            vectors[1 - used] = scale(vectors[used], -distances[1 - used], distances[used])
        return Square(direction, (vectors[0], vectors[1]), differs=(differs[0], differs[1]))

    def _read_merged(
        self,
        cx: int,
        cy: int,
        size: int,
        predictors: tuple[Vector, Vector],
        temporal: tuple[Vector, Vector] | None,
    ) -> int:
        k, count = size_class(size), len(self._candidates(cx, cy, size))
        merged = sum(square.merged for square in self._near(cx, cy))
        moved = 8
        if temporal is not None:
            moved = max(distance(temporal[r], predictors[r]) for r in range(2))
        return self.contexts.merged.read(
            self.coder,
            0,
            3 * k + merged,
            (5 * k + count - 1) * 3 + merged,
            3 * moved + k,
        )

    def _read_candidate(self, cx: int, cy: int, size: int) -> Square:
        candidates = self._candidates(cx, cy, size)
        j = 0
        while j < len(candidates) - 1:
            place, square = candidates[j]
            contexts = (
                j,
                (5 * j + len(candidates) - 1) * 3 + size_class(size),
                (6 * j + place) * 3 + square.direction - 1,
            )
            if not self.contexts.candidate.read(self.coder, j, *contexts):
                break
            j += 1
        return replace(candidates[j][1], merged=True, differs=(False, False))

    def _read_direction(
        self, cx: int, cy: int, size: int, predictors: tuple[Vector, Vector]
    ) -> int:
        k, back, forth = size_class(size), self.motion.back, self.motion.forth
        a, b = (self.known.get(at) for at in ((cx - 1, cy), (cx, cy - 1)))
        near = [0 if square is None else square.direction for square in (a, b)]
        pair = (4 * k + near[0]) * 4 + near[1]
        apart = distance(predictors[1], scale(predictors[0], -forth, back))
        both = self.contexts.both.read(
            self.coder,
            0,
            3 * k + near.count(BOTH),
            pair,
            3 * apart + k,
        )
        if both:
            return BOTH
        side = compared(near.count(SECOND), near.count(FIRST))
        second = self.contexts.second.read(self.coder, 0, side, pair)
        return SECOND if second else FIRST

    def _candidates(self, cx: int, cy: int, size: int) -> list[tuple[int, Square]]:
        """The motion that a merged square may have, each with its place in the list."""
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
        found: list[tuple[int, Square]] = []
        for place, square in enumerate(listed):
            if square is not None and not any(square.same_motion(other) for _, other in found):
                found.append((place, square))
        return found[:MOST_CANDIDATES]

    def _temporal(self, cx: int, cy: int, size: int) -> tuple[Vector, Vector] | None:
        """The temporal vectors of a square."""
        at = self._middle(cx, cy, size)
        index, back, forth = self.motion.index, self.motion.back, self.motion.forth
        first, second = self.references
        if forth < 0:
            if first is None:
                return None
            x, y = (int(value) for value in first.vectors[*at, 0])
            return scale((x, y), back, first.back), scale((x, y), -forth, first.back)
        if first is not None and first.forth and first.index + first.forth == index + forth:
            x, y = (int(value) for value in first.vectors[*at, 1])
            return scale((x, y), -back, first.forth), scale((x, y), forth, first.forth)
        if second is not None:
            x, y = (int(value) for value in second.vectors[*at, 0])
            return scale((x, y), back, second.back), scale((x, y), -forth, second.back)
        return None


def size_class(size: int) -> int:
    """The k of section 4.8: 0 for superblocks, 1 for blocks, 2 for sub-blocks."""
    return {4: 0, 2: 1, 1: 2}[size]


def compared(a: int, b: int) -> int:
    """0, 1 or 2 as a is below, equal to or above b."""
    return (a > b) - (a < b) + 1


def distance(a: Vector, b: Vector) -> int:
    """The distance of two vectors (section 4.8)."""
    return min(7, (abs(a[0] - b[0]) + abs(a[1] - b[1]) + 1 >> 1).bit_length())


def variety(reference: Motion | None, x: int, y: int, size: int) -> int:
    """The u of a square in a reference (section 4.8)."""
    if reference is None:
        return 0
    inside = reference.vectors[y : y + size, x : x + size, 0].reshape(-1, 2)
    found = [(int(vx), int(vy)) for vx, vy in inside]
    most = max(distance(found[0], other) for other in found)
    return 1 if most == 0 else 2 if most <= 2 else 3


def scale(vector: Vector, n: int, d: int) -> Vector:
    """The vector times n / d, rounded and limited (section 4.6)."""

    def scaled(v: int) -> int:
        size = (abs(v * n) + (abs(d) >> 1)) // abs(d)
        return min(max(size if v * n * d > 0 else -size, -2048), 2047)

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


def prediction_side(
    references: Sequence[Sequence[IntArray]], motion: Motion, depth: int
) -> IntArray:
    """[rows, columns, 2]: L(D) and L(M) of docs/numerics.md section 3."""
    rows, columns = motion.directions.shape
    difference = np.zeros((rows, columns), np.int64)
    if motion.forth != 0:
        one, other = (
            compensate_plane(planes[0], motion.vectors[:, :, r], True, depth)
            for r, planes in enumerate(references)
        )
        by_token = abs(one - other).reshape(rows, 8, columns, 8).sum((1, 3))
        difference = np.where(motion.directions == BOTH, by_token, 0) >> (depth - 8)
    change = np.zeros((rows, columns), np.int64)
    first = motion.vectors[:, :, 0]
    across = abs(np.diff(first, axis=1)).sum(-1)
    down = abs(np.diff(first, axis=0)).sum(-1)
    change[:, 1:] += across
    change[:, :-1] += across
    change[1:] += down
    change[:-1] += down
    return np.stack([side_log2(difference), side_log2(change)], -1)
