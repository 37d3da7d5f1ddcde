"""Motion of B frames: candidates follow docs/bitstream.md, and coded fields come back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from bsqav import _core
from tests.motion.b_reference import Temporal, Walk, completed, scale
from tests.motion.reference import field_shapes, random_fine_field

Field = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.int16]]


def random_b_field(
    rng: np.random.Generator, height: int, width: int, reach: int, distances: tuple[int, int]
) -> Field:
    """Squares with few different vectors, so that some equal their candidates."""
    split, squares = random_fine_field(rng, height, width, 0, 11)
    for wy, wx in np.ndindex(*split.shape):  # only blocks that exist are split
        split[wy, wx] &= 1 | sum(
            2 << i
            for i in range(4)
            if 4 * wx + i % 2 * 2 < width // 8 and 4 * wy + i // 2 * 2 < height // 8
        )
    choice = squares[..., 0] % 4
    direction = (squares[..., 1] % 3 + 1).astype(np.uint8)
    vectors = rng.integers(-reach, reach + 1, (4, 2, 2))
    mv = np.moveaxis(vectors[choice], 2, 0).astype(np.int16)
    for y, x in np.ndindex(*direction.shape):
        first, second = ((int(v[0]), int(v[1])) for v in mv[:, y, x])
        mv[:, y, x] = completed((int(direction[y, x]), (first, second)), *distances)[1]
    return split, direction, mv


def random_temporal(
    rng: np.random.Generator, height: int, width: int, kind: str
) -> Temporal | None:
    if kind == "none":
        return None
    mv = rng.integers(-300, 301, (height // 8, width // 8, 2), dtype=np.int16)
    mv[rng.random(mv.shape[:2]) < 0.2] = rng.integers(-2048, 2048, 2)
    return Temporal(mv, int(rng.integers(1, 9)), kind == "shared")


def as_argument(temporal: Temporal | None) -> tuple[npt.NDArray[np.int16], int, bool] | None:
    return None if temporal is None else (temporal.mv, temporal.distance, temporal.shared)


def test_vectors_are_scaled_as_documented() -> None:
    rng = np.random.default_rng(1)
    assert _core.scale_motion_vector((3, -3), 1, 2) == (2, -2)  # halves away from zero
    assert _core.scale_motion_vector((2047, -2048), -4, 1) == (-2048, 2047)
    for _ in range(500):
        x, y = (int(c) for c in rng.integers(-2048, 2048, 2))
        n, d = int(rng.integers(-40, 41)), int(rng.integers(1, 41))
        assert _core.scale_motion_vector((x, y), n, d) == scale((x, y), n, d)
    assert _core.scale_motion_vector((5, 7), 255, 2**31 - 1) == (0, 0)


@pytest.mark.parametrize("kind", ["none", "shared", "apart"])
@pytest.mark.parametrize("size", [(8, 8), (24, 40), (72, 104), (136, 88)])
def test_candidates_and_contexts_equal_the_reference(size: tuple[int, int], kind: str) -> None:
    rng = np.random.default_rng(size)
    for distances in [(1, 1), (2, 1), (3, 5)]:
        field = random_b_field(rng, *size, 30, distances)
        temporal = random_temporal(rng, *size, kind)
        rows, columns = field_shapes(*size)[0]
        tiles = [(0, 0, columns, rows)]
        if columns > 1 and rows > 1:
            tiles = [(0, 0, columns, 1), (0, 1, 1, rows), (1, 1, columns, rows)]
        walk = Walk(field, distances, temporal)
        wanted = [square for tile in tiles for square in walk.tile(*tile)]
        got = _core.b_motion_places(*field, distances, as_argument(temporal), tiles)
        assert got == wanted


@pytest.mark.parametrize("kind", ["none", "shared", "apart"])
@pytest.mark.parametrize("size", [(8, 8), (24, 40), (72, 104), (136, 88)])
def test_fields_survive_coding(size: tuple[int, int], kind: str) -> None:
    rng = np.random.default_rng(size)
    for distances, reach in [((1, 1), 2047), ((1, 4), 100), ((7, 2), 2)]:
        field = random_b_field(rng, *size, reach, distances)
        temporal = as_argument(random_temporal(rng, *size, kind))
        rows, columns = field_shapes(*size)[0]
        tiles = [(x, 0, x + 1, rows) for x in range(columns)]
        _, decoded = _core.b_motion_code(*field, distances, temporal, tiles)
        for a, b in zip(field, decoded, strict=True):
            np.testing.assert_array_equal(a, b)
