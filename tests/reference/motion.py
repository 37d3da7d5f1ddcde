"""Motion vectors and motion compensation, written from docs/bitstream.md section 4."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tests.motion.reference import compensate_plane
from tests.reference.bitstream import require
from tests.reference.range_decoder import RangeDecoder, TileContexts

IntArray = npt.NDArray[np.int64]
Vector = tuple[int, int]
Position = tuple[int, int]  # of a superblock, or of a sub-block


class TileMotion:
    """Reads the vectors of one tile in coding order.

    `vectors` is the frame's motion field: [rows, columns, (x, y)] of sub-blocks.
    """

    def __init__(self, vectors: IntArray, coder: RangeDecoder, contexts: TileContexts) -> None:
        self.vectors = vectors
        self.coder = coder
        self.contexts = contexts
        self.known: dict[Position, Vector] = {}
        self.differs: dict[Position, bool] = {}
        self.split: dict[Position, int] = {}
        self.block_split: dict[Position, int] = {}

    def read_superblock(self, wx: int, wy: int) -> None:
        """The split flag of a superblock, and its vectors or blocks."""
        context = self.split.get((wx - 1, wy), 0) + self.split.get((wx, wy - 1), 0)
        split = self.split[wx, wy] = self.contexts.split[context].read(self.coder)
        if split:
            for x, y in self._quarters(4 * wx, 4 * wy, 2):
                self._read_block(x, y)
        else:
            self._read_vector(4 * wx, 4 * wy, 4)

    def _quarters(self, x: int, y: int, size: int) -> list[Position]:
        """First sub-blocks of the four squares of `size` from (x, y) on, those in the frame."""
        rows, columns = self.vectors.shape[:2]
        found = [(x + i, y + j) for j in (0, size) for i in (0, size)]
        return [(i, j) for i, j in found if i < columns and j < rows]

    def _read_block(self, x: int, y: int) -> None:
        context = self.block_split.get((x - 1, y), 0) + self.block_split.get((x, y - 1), 0)
        split = self.contexts.block_split[context].read(self.coder)
        for position in self._quarters(x, y, 1):
            self.block_split[position] = split
        if split:
            for position in self._quarters(x, y, 1):
                self._read_vector(*position, 1)
        else:
            self._read_vector(x, y, 2)

    def _read_vector(self, cx: int, cy: int, size: int) -> None:
        near = ((cx - 1, cy), (cx, cy - 1))
        contexts, coder = self.contexts, self.coder
        k = {4: 0, 2: 1, 1: 2}[size]
        context = 3 * k + sum(self.differs.get(neighbour, False) for neighbour in near)
        same = contexts.same[context].read(coder)
        x, y = self._predict(cx, cy, size)
        if not same:
            x += contexts.difference[0].read(coder)
            y += contexts.difference[1].read(coder)
        require(min(x, y) >= -2048 and max(x, y) <= 2047, f"vector ({x}, {y})")
        rows, columns = self.vectors.shape[:2]
        for j in range(cy, min(cy + size, rows)):
            for i in range(cx, min(cx + size, columns)):
                self.known[i, j] = (x, y)
                self.differs[i, j] = not same
                self.vectors[j, i] = (x, y)

    def _predict(self, cx: int, cy: int, size: int) -> Vector:
        """The predictor of section 4.2; `known` holds the available vectors."""
        corner = self.known.get((cx + size, cy - 1), self.known.get((cx - 1, cy - 1)))
        neighbours = [self.known.get((cx - 1, cy)), self.known.get((cx, cy - 1)), corner]
        found = [vector for vector in neighbours if vector is not None]
        if len(found) == 1:
            return found[0]
        a, b, c = (vector or (0, 0) for vector in neighbours)
        return sorted((a[0], b[0], c[0]))[1], sorted((a[1], b[1], c[1]))[1]


def empty_field(width: int, height: int) -> IntArray:
    """Vectors [rows, columns, (x, y)] of the sub-blocks of a coded luma plane."""
    return np.zeros((height // 8, width // 8, 2), np.int64)


def take_motion(vectors: IntArray, width_shift: int) -> IntArray:
    """The first component's vectors as those of a component (section 4.5)."""
    taken = vectors[:, :: 1 << width_shift].copy()
    taken[..., 0] >>= width_shift
    return taken


def compensate(planes: list[IntArray], vectors: IntArray, depth: int) -> list[IntArray]:
    """The prediction of all planes from those of the previous frame (section 4.3)."""
    return [
        compensate_plane(plane, vectors, index == 0, depth) for index, plane in enumerate(planes)
    ]
