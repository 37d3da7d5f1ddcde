"""The tile grid: it covers the frame, keeps to the limit, and is the smallest one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsqav import _core

ONE_BLOCK_SAMPLES = 1280 * 720
LIMIT = 900

side = st.one_of(st.integers(1, 8192), st.sampled_from([1, 7, 8, 9, 31, 32, 33, 8191, 8192]))


def divide_up(a: int, b: int) -> int:
    return -(-a // b)


@given(side, side)
def test_tiles_cover_the_frame_within_the_limit(width: int, height: int) -> None:
    grid = _core.tile_grid(width, height)
    assert (grid.tokens_x, grid.tokens_y) == (divide_up(width, 8), divide_up(height, 8))
    assert (grid.superblocks_x, grid.superblocks_y) == (divide_up(width, 32), divide_up(height, 32))
    assert len(grid.tiles) == grid.columns * grid.rows
    if width * height <= ONE_BLOCK_SAMPLES:
        assert grid.tiles == [(0, 0, grid.superblocks_x, grid.superblocks_y)]
    owner = np.zeros((grid.superblocks_y, grid.superblocks_x), np.int32)
    for number, (x, y, w, h) in enumerate(grid.tiles):
        column, row = number % grid.columns, number // grid.columns
        assert x == column * grid.superblocks_x // grid.columns
        assert y == row * grid.superblocks_y // grid.rows
        assert w > 0
        assert h > 0
        assert w * h <= LIMIT or width * height <= ONE_BLOCK_SAMPLES
        owner[y : y + h, x : x + w] += 1
    assert (owner == 1).all()


def best_cut(superblocks_x: int, superblocks_y: int) -> tuple[int, int]:
    """Columns and rows by trying all."""
    cuts = []
    for columns in range(1, superblocks_x + 1):
        for rows in range(1, superblocks_y + 1):
            w, h = divide_up(superblocks_x, columns), divide_up(superblocks_y, rows)
            if w * h <= LIMIT:
                cuts.append((columns * rows, Fraction(max(w, h), min(w, h)), columns, rows))
    return min(cuts)[2:]


@pytest.mark.parametrize(
    ("width", "height"),
    [(1281, 720), (1080, 1920), (1920, 1080), (2048, 2048), (3840, 2160), (8192, 200)],
)
def test_the_cut_is_the_best_of_all(width: int, height: int) -> None:
    grid = _core.tile_grid(width, height)
    assert (grid.columns, grid.rows) == best_cut(grid.superblocks_x, grid.superblocks_y)


@pytest.mark.parametrize(
    ("width", "height", "columns", "rows"),
    [
        (1, 1, 1, 1),
        (640, 360, 1, 1),
        (1280, 720, 1, 1),
        (720, 1280, 1, 1),
        (1920, 1080, 3, 1),
        (1080, 1920, 1, 3),
        (3840, 2160, 5, 2),
        (8192, 8192, 2, 37),
    ],
)
def test_known_sizes(width: int, height: int, columns: int, rows: int) -> None:
    grid = _core.tile_grid(width, height)
    assert (grid.columns, grid.rows) == (columns, rows)


@pytest.mark.parametrize("size", [(0, 1), (1, 0), (-5, 5), (8193, 1), (1, 8193)])
def test_sizes_out_of_range(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="from 1x1 to 8192x8192"):
        _core.tile_grid(*size)
