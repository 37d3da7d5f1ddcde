"""Motion vectors and the prediction from them, written from docs/bitstream.md section 4."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tests.motion.reference import compensate_plane
from tests.reference.bitstream import require
from tests.reference.range_decoder import BlockModels, RangeDecoder

IntArray = npt.NDArray[np.int64]
Vector = tuple[int, int]
Cell = tuple[int, int]


class BlockMotion:
    """Reads the vectors of one block in coding order.

    `vectors` is the picture's field: [rows, columns, (x, y)] of cells.
    """

    def __init__(self, vectors: IntArray, coder: RangeDecoder, models: BlockModels) -> None:
        self.vectors = vectors
        self.coder = coder
        self.models = models
        self.known: dict[Cell, Vector] = {}
        self.differs: dict[Cell, bool] = {}
        self.split: dict[tuple[int, int], int] = {}
        self.part_split: dict[Cell, int] = {}

    def read_window(self, wx: int, wy: int) -> None:
        """The split flag of a window, and what follows it."""
        context = self.split.get((wx - 1, wy), 0) + self.split.get((wx, wy - 1), 0)
        split = self.split[wx, wy] = self.models.split[context].read(self.coder)
        if split:
            for x, y in self._quarters(4 * wx, 4 * wy, 2):
                self._read_part(x, y)
        else:
            self._read_vector(4 * wx, 4 * wy, 4)

    def _quarters(self, x: int, y: int, size: int) -> list[Cell]:
        """First cells of the four squares of `size` from (x, y) on, those in the picture."""
        rows, columns = self.vectors.shape[:2]
        found = [(x + i, y + j) for j in (0, size) for i in (0, size)]
        return [(i, j) for i, j in found if i < columns and j < rows]

    def _read_part(self, x: int, y: int) -> None:
        context = self.part_split.get((x - 1, y), 0) + self.part_split.get((x, y - 1), 0)
        split = self.models.part_split[context].read(self.coder)
        for cell in self._quarters(x, y, 1):
            self.part_split[cell] = split
        if split:
            for cell in self._quarters(x, y, 1):
                self._read_vector(*cell, 1)
        else:
            self._read_vector(x, y, 2)

    def _read_vector(self, cx: int, cy: int, size: int) -> None:
        near = ((cx - 1, cy), (cx, cy - 1))
        models, coder = self.models, self.coder
        kind = {4: 0, 2: 1, 1: 2}[size]
        context = 3 * kind + sum(self.differs.get(neighbour, False) for neighbour in near)
        same = models.same[context].read(coder)
        x, y = self._predict(cx, cy, size)
        if not same:
            x += models.difference[0].read(coder)
            y += models.difference[1].read(coder)
        require(min(x, y) >= -2048 and max(x, y) <= 2047, f"vector ({x}, {y})")
        rows, columns = self.vectors.shape[:2]
        for j in range(cy, min(cy + size, rows)):
            for i in range(cx, min(cx + size, columns)):
                self.known[i, j] = (x, y)
                self.differs[i, j] = not same
                self.vectors[j, i] = (x, y)

    def _predict(self, cx: int, cy: int, size: int) -> Vector:
        """The predictor of section 4.2; `known` holds just the vectors that are available."""
        corner = self.known.get((cx + size, cy - 1), self.known.get((cx - 1, cy - 1)))
        neighbours = [self.known.get((cx - 1, cy)), self.known.get((cx, cy - 1)), corner]
        found = [vector for vector in neighbours if vector is not None]
        if len(found) == 1:
            return found[0]
        a, b, c = (vector or (0, 0) for vector in neighbours)
        return sorted((a[0], b[0], c[0]))[1], sorted((a[1], b[1], c[1]))[1]


def empty_field(width: int, height: int) -> IntArray:
    """Vectors [rows, columns, (x, y)] of the cells of a coded luma plane."""
    return np.zeros((height // 8, width // 8, 2), np.int64)


def take_motion(vectors: IntArray, narrower: int) -> IntArray:
    """The first component's vectors as those of a component (section 4.5)."""
    taken = vectors[:, :: 1 << narrower].copy()
    taken[..., 0] >>= narrower
    return taken


def compensate(planes: list[IntArray], vectors: IntArray, depth: int) -> list[IntArray]:
    """The prediction of all planes from those of the picture before (section 4.3)."""
    return [
        compensate_plane(plane, vectors, index == 0, depth) for index, plane in enumerate(planes)
    ]
