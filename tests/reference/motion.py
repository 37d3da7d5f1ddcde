"""Motion vectors and the prediction from them, written from docs/bitstream.md section 4."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tests.motion.reference import compensate_plane
from tests.reference.bitstream import require
from tests.reference.range_decoder import BlockModels, RangeDecoder

IntArray = npt.NDArray[np.int64]
Vector = tuple[int, int]
Part = tuple[int, int]


class BlockMotion:
    """Reads the vectors of one block in coding order.

    `vectors` is the picture's field: [rows, columns, (x, y)] of parts.
    """

    def __init__(self, vectors: IntArray, coder: RangeDecoder, models: BlockModels) -> None:
        self.vectors = vectors
        self.coder = coder
        self.models = models
        self.known: dict[Part, Vector] = {}
        self.differs: dict[Part, bool] = {}
        self.split: dict[tuple[int, int], int] = {}

    def read_window(self, wx: int, wy: int) -> None:
        """The split flag and the vectors of a window."""
        context = self.split.get((wx - 1, wy), 0) + self.split.get((wx, wy - 1), 0)
        split = self.split[wx, wy] = self.models.split[context].read(self.coder)
        rows, columns = self.vectors.shape[:2]
        parts = [
            (px, py)
            for py in (2 * wy, 2 * wy + 1)
            for px in (2 * wx, 2 * wx + 1)
            if px < columns and py < rows
        ]
        if split:
            for part in parts:
                self._read_vector(part, 1, [part])
        else:
            self._read_vector(parts[0], 2, parts)

    def _read_vector(self, part: Part, size: int, covered: list[Part]) -> None:
        px, py = part
        near = ((px - 1, py), (px, py - 1))
        models, coder = self.models, self.coder
        context = sum(self.differs.get(neighbour, False) for neighbour in near)
        same = models.same[context].read(coder)
        x, y = self._predict(px, py, size)
        if not same:
            x += models.difference[0].read(coder)
            y += models.difference[1].read(coder)
        require(min(x, y) >= -2048 and max(x, y) <= 2047, f"vector ({x}, {y})")
        for px, py in covered:
            self.known[px, py] = (x, y)
            self.differs[px, py] = not same
            self.vectors[py, px] = (x, y)

    def _predict(self, px: int, py: int, size: int) -> Vector:
        """The predictor of section 4.2; `known` holds just the vectors that are available."""
        corner = self.known.get((px + size, py - 1), self.known.get((px - 1, py - 1)))
        neighbours = [self.known.get((px - 1, py)), self.known.get((px, py - 1)), corner]
        found = [vector for vector in neighbours if vector is not None]
        if len(found) == 1:
            return found[0]
        a, b, c = (vector or (0, 0) for vector in neighbours)
        return sorted((a[0], b[0], c[0]))[1], sorted((a[1], b[1], c[1]))[1]


def empty_field(width: int, height: int) -> IntArray:
    """Vectors [rows, columns, (x, y)] of the parts of a coded luma plane."""
    return np.zeros((-(-height // 16), -(-width // 16), 2), np.int64)


def compensate(planes: list[IntArray], vectors: IntArray, depth: int) -> list[IntArray]:
    """The prediction of all planes from those of the picture before (section 4.3)."""
    return [
        compensate_plane(plane, vectors, index == 0, depth) for index, plane in enumerate(planes)
    ]
