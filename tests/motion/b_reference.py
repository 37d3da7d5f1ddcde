"""Motion of B frames written straight from docs/bitstream.md, section 4.6, to compare with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tests.motion.reference import predict_vector, squares

Vector = tuple[int, int]
Motion = tuple[int, tuple[Vector, Vector]]  # direction, vectors


@dataclass(frozen=True)
class Temporal:
    """The vectors that temporal vectors are made of: arguments of the bindings."""

    mv: npt.NDArray[np.int16]
    distance: int
    shared: bool


def scale(v: Vector, n: int, d: int) -> Vector:
    def one(c: int) -> int:
        size = (abs(c * n) + (d >> 1)) // d
        return min(max(size if c * n > 0 else -size, -2048), 2047)

    return one(v[0]), one(v[1])


def completed(motion: Motion, back: int, forth: int) -> Motion:
    direction, (first, second) = motion
    if direction == 1:
        second = scale(first, -forth, back)
    if direction == 2:
        first = scale(second, -back, forth)
    return direction, (first, second)


def used(motion: Motion) -> tuple[int, Vector | None, Vector | None]:
    """What two motions are compared by."""
    direction, (first, second) = motion
    return direction, first if direction & 1 else None, second if direction & 2 else None


class Walk:
    """The squares of a field in coding order, with what is known of each before it is coded."""

    def __init__(
        self,
        field: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.int16]],
        distances: tuple[int, int],
        temporal: Temporal | None,
    ) -> None:
        self.split, self.direction, self.mv = field
        self.rows, self.columns = self.direction.shape
        self.back, self.forth = distances
        self.temporal = temporal

    def tile(self, x_begin: int, y_begin: int, x_end: int, y_end: int) -> list[dict[str, object]]:
        self.motion: dict[tuple[int, int], Motion] = {}
        self.merged: dict[tuple[int, int], bool] = {}
        self.differs: tuple[dict[tuple[int, int], bool], ...] = ({}, {})
        return [
            self.square(x, y, size)
            for wy in range(y_begin, y_end)
            for wx in range(x_begin, x_end)
            for x, y, size in squares(int(self.split[wy, wx]), wx, wy)
            if x < self.columns and y < self.rows
        ]

    def square(self, x: int, y: int, size: int) -> dict[str, object]:
        left, above = (x - 1, y), (x, y - 1)
        near = [at for at in (left, above) if at in self.motion]
        predictor = tuple(
            predict_vector({at: motion[1][i] for at, motion in self.motion.items()}, x, y, size)
            for i in (0, 1)
        )
        candidates = self.candidates(x, y, size, predictor)
        directions = [self.motion[at][0] for at in near]
        side = directions.count(2) - directions.count(1)
        found = {
            "square": (x, y, size),
            "predictor": predictor,
            "merged": sum(self.merged[at] for at in near),
            "both": directions.count(3),
            "side": 0 if side < 0 else 1 if side == 0 else 2,
            "differs": [sum(self.differs[i][at] for at in near) for i in (0, 1)],
            "candidates": candidates,
        }
        self.keep(x, y, size, predictor, candidates)
        return found

    def candidates(self, x: int, y: int, size: int, predictor: tuple[Vector, ...]) -> list[Motion]:
        corner = (x + size, y - 1) if (x + size, y - 1) in self.motion else (x - 1, y - 1)
        listed: list[Motion | None] = [
            self.motion.get((x - 1, y)),
            self.motion.get((x, y - 1)),
            self.temporal_motion(x, y, size),
            self.motion.get(corner),
            (3, (predictor[0], predictor[1])),
            (3, ((0, 0), (0, 0))),
        ]
        found: list[Motion] = []
        for motion in listed:
            if motion is None or used(motion) in map(used, found):
                continue
            found.append(motion)
        return found[:5]

    def temporal_motion(self, x: int, y: int, size: int) -> Motion | None:
        if self.temporal is None:
            return None
        cx = min(x + size // 2, self.columns - 1)
        cy = min(y + size // 2, self.rows - 1)
        v = (int(self.temporal.mv[cy, cx, 0]), int(self.temporal.mv[cy, cx, 1]))
        sign = -1 if self.temporal.shared else 1
        d = self.temporal.distance
        return 3, (scale(v, sign * self.back, d), scale(v, -sign * self.forth, d))

    def keep(
        self, x: int, y: int, size: int, predictor: tuple[Vector, ...], candidates: list[Motion]
    ) -> None:
        vectors = [(int(v[0]), int(v[1])) for v in self.mv[:, y, x]]
        motion = completed(
            (int(self.direction[y, x]), (vectors[0], vectors[1])), self.back, self.forth
        )
        merged = used(motion) in map(used, candidates)
        for cy in range(y, min(y + size, self.rows)):
            for cx in range(x, min(x + size, self.columns)):
                self.motion[cx, cy] = motion
                self.merged[cx, cy] = merged
                for i in (0, 1):
                    coded = not merged and bool(motion[0] >> i & 1)
                    self.differs[i][cx, cy] = coded and motion[1][i] != predictor[i]
