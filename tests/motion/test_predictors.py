"""Vector prediction follows docs/bitstream.md: neighbours, missing ones, tile borders."""

from __future__ import annotations

import numpy as np
import pytest

from bsqav import _core
from tests.motion.reference import field_shapes, predictors, random_field, random_fine_field


def predict(
    split: np.ndarray,
    mv: np.ndarray,
    height: int,
    width: int,
    tile: tuple[int, int, int, int] | None = None,
) -> np.ndarray:
    return _core.motion_vector_predictors(width, height, split, mv, tile)


def numbered_field(height: int, width: int, split: int) -> tuple[np.ndarray, np.ndarray]:
    """Block (px, py) has the vector (10 px, 10 py); unsplit superblocks that of their first."""
    superblocks, blocks = field_shapes(height, width)
    py, px = np.mgrid[0 : blocks[0], 0 : blocks[1]]
    if not split:
        py, px = py // 2 * 2, px // 2 * 2
    mv = np.stack([10 * px, 10 * py], axis=-1).astype(np.int16)
    return np.full(superblocks, split, np.uint8), mv


def test_first_superblock_is_predicted_as_zero() -> None:
    split, mv = numbered_field(32, 32, 0)
    mv += 7
    assert (predict(split, mv, 32, 32) == 0).all()


def test_only_neighbour_is_taken_as_it_is() -> None:
    split, mv = numbered_field(32, 64, 0)
    mv[:, :2] = (-5, 9)
    assert predict(split, mv, 32, 64)[0, 2].tolist() == [-5, 9]


def test_superblock_takes_the_median_of_left_above_and_above_right() -> None:
    split, mv = numbered_field(64, 96, 0)
    mv[2:, :2] = (3, 30)  # left
    mv[:2, 2:4] = (8, 10)  # above
    mv[:2, 4:] = (5, 20)  # above right
    mv[:2, :2] = (99, 99)  # above left, not looked at
    assert predict(split, mv, 64, 96)[2, 2].tolist() == [5, 20]


def test_above_left_stands_in_at_the_right_edge() -> None:
    split, mv = numbered_field(64, 64, 0)
    mv[2:, :2] = (3, 30)
    mv[:2, 2:] = (8, 10)
    mv[:2, :2] = (6, 15)  # above left
    assert predict(split, mv, 64, 64)[2, 2].tolist() == [6, 15]


def test_two_neighbours_are_joined_by_zero() -> None:
    split, mv = numbered_field(64, 64, 0)
    mv[:2, :2] = (8, -10)  # above
    mv[:2, 2:] = (5, 20)  # above right
    assert predict(split, mv, 64, 64)[2, 0].tolist() == [5, 0]


def test_blocks_of_a_split_superblock() -> None:
    split, mv = numbered_field(64, 96, 1)
    got = predict(split, mv, 64, 96)
    # Vectors are (10 px, 10 py): medians of left, above and above right (or above left).
    assert got[2, 2].tolist() == [20, 10]  # (1, 2), (2, 1), (3, 1)
    assert got[2, 3].tolist() == [30, 10]  # (2, 2), (3, 1), (4, 1) of the next superblock
    assert got[3, 2].tolist() == [20, 20]  # (1, 3), (2, 2), (3, 2) of this superblock
    assert got[3, 3].tolist() == [20, 20]  # (2, 3), (3, 2), above left (2, 2)


@pytest.mark.parametrize("size", [(8, 8), (24, 40), (72, 104), (136, 88), (160, 160)])
def test_random_fields_equal_the_reference(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(size)
    superblocks_y, superblocks_x = field_shapes(*size)[0]
    for _ in range(5):
        split, mv = random_field(rng, *size, -40, 40)
        wanted = predictors(split, mv, (0, 0, superblocks_x, superblocks_y))
        np.testing.assert_array_equal(predict(split, mv, *size), wanted)


def test_subblocks_of_a_split_block() -> None:
    # Sub-block (cx, cy) has the vector (10 cx, 10 cy); medians of left, above and above right.
    cy, cx = np.mgrid[0:8, 0:12]
    mv = np.stack([10 * cx, 10 * cy], axis=-1).astype(np.int16)
    got = predict(np.full((2, 3), 31, np.uint8), mv, 64, 96)
    assert got[4, 4].tolist() == [40, 30]  # (3, 4), (4, 3), (5, 3)
    assert got[6, 5].tolist() == [50, 50]  # (4, 6), (5, 5), (6, 5) of the second block
    assert got[7, 5].tolist() == [40, 60]  # (4, 7), (5, 6), above left (4, 6)


@pytest.mark.parametrize("size", [(8, 8), (24, 40), (72, 104), (136, 88)])
def test_random_fields_of_subblocks_equal_the_reference(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(size)
    superblocks_y, superblocks_x = field_shapes(*size)[0]
    for tile in {
        (0, 0, superblocks_x, superblocks_y),
        (superblocks_x // 2, 0, superblocks_x, superblocks_y),
    }:
        split, mv = random_fine_field(rng, *size, -40, 40)
        wanted = predictors(split, mv, tile, per_subblock=True)
        np.testing.assert_array_equal(predict(split, mv, *size, tile), wanted)


def test_predictors_stay_inside_a_tile() -> None:
    rng = np.random.default_rng(6)
    size = (160, 184)
    split, mv = random_field(rng, *size, -40, 40)
    for tile in [(0, 0, 3, 2), (3, 0, 6, 2), (0, 2, 3, 5), (2, 1, 5, 4), (5, 4, 6, 5)]:
        x_begin, y_begin, x_end, y_end = tile
        got = predict(split, mv, *size, tile)
        np.testing.assert_array_equal(got, predictors(split, mv, tile))
        other = mv.copy()
        outside = np.ones(mv.shape[:2], bool)
        outside[2 * y_begin : 2 * y_end, 2 * x_begin : 2 * x_end] = False
        other[outside] = 1000
        np.testing.assert_array_equal(predict(split, other, *size, tile), got)


@pytest.mark.parametrize("tile", [(0, 0, 0, 1), (0, 0, 3, 1), (-1, 0, 1, 1), (0, 0, 1)])
def test_impossible_tiles_are_refused(tile: tuple[int, ...]) -> None:
    split, mv = numbered_field(32, 64, 0)
    with pytest.raises(ValueError, match="tile"):
        _core.motion_vector_predictors(64, 32, split, mv, tile)
