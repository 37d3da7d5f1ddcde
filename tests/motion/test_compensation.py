"""Motion compensation equals the formulas of docs/bitstream.md for every size, depth and vector."""

from __future__ import annotations

import numpy as np
import pytest

from bsqav import _core
from tests.motion.reference import (
    compensate_overlapped,
    field_shapes,
    random_field,
    random_fine_field,
)

SIZES = [(8, 8), (16, 8), (24, 40), (40, 24), (64, 96), (72, 72)]


def random_planes(
    rng: np.random.Generator, height: int, width: int, chroma: str, depth: int
) -> list[np.ndarray]:
    dtype = np.uint8 if depth == 8 else np.uint16
    shapes = [(height, width)]
    if chroma == "420":
        shapes += [(height // 2, width // 2)] * 2
    elif chroma == "444":
        shapes += [(height, width)] * 2
    # Extreme samples as well, so that overshoot is clipped and sums reach their bounds.
    top = (1 << depth) - 1
    return [
        np.where(
            rng.random(shape) < 0.5,
            rng.integers(0, top + 1, shape),
            top * rng.integers(0, 2, shape),
        ).astype(dtype)
        for shape in shapes
    ]


def check_against_formulas(
    planes: list[np.ndarray], split: np.ndarray, mv: np.ndarray, depth: int
) -> None:
    predicted = _core.motion_compensate(planes, split, mv, depth)
    assert len(predicted) == len(planes)
    rows, columns = planes[0].shape[0] // 8, planes[0].shape[1] // 8
    fine = mv if mv.shape[:2] == (rows, columns) else mv.repeat(2, 0).repeat(2, 1)
    vectors = fine[:rows, :columns, None].astype(np.int64)
    directions = np.ones((rows, columns), np.int64)
    for plane, got in zip(planes, predicted, strict=True):
        assert got.dtype == plane.dtype
        luma = plane.shape == planes[0].shape
        wanted = compensate_overlapped([plane], vectors, directions, luma, depth)
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("chroma", ["gray", "420", "444"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("reach", [12, 90, 2047])
def test_random_fields_equal_the_formulas(
    size: tuple[int, int], chroma: str, depth: int, reach: int
) -> None:
    rng = np.random.default_rng([*size, depth, reach])
    split, mv = random_field(rng, *size, -reach - 1, reach)
    check_against_formulas(random_planes(rng, *size, chroma, depth), split, mv, depth)


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("size", SIZES)
def test_random_fields_of_subblocks_equal_the_formulas(size: tuple[int, int], depth: int) -> None:
    rng = np.random.default_rng([*size, depth])
    for chroma in ("gray", "420"):
        split, mv = random_fine_field(rng, *size, -90, 90)
        check_against_formulas(random_planes(rng, *size, chroma, depth), split, mv, depth)


def test_every_fraction_equals_the_formulas() -> None:
    rng = np.random.default_rng(1)
    planes = random_planes(rng, 48, 48, "420", 8)
    superblocks, blocks = field_shapes(48, 48)
    for fy in range(8):
        for fx in range(8):
            mv = np.broadcast_to(np.array([fx - 8, fy], np.int16), (*blocks, 2))
            check_against_formulas(planes, np.zeros(superblocks, np.uint8), np.array(mv), 8)


@pytest.mark.parametrize("vector", [(-2048, -2048), (2047, 2047), (-2048, 2047), (0, -2048)])
def test_vectors_far_outside_give_edge_samples(vector: tuple[int, int]) -> None:
    planes = random_planes(np.random.default_rng(2), 24, 40, "420", 8)
    superblocks, blocks = field_shapes(24, 40)
    mv = np.broadcast_to(np.array(vector, np.int16), (*blocks, 2)).copy()
    check_against_formulas(planes, np.ones(superblocks, np.uint8), mv, 8)


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("size", SIZES)
def test_zero_vectors_are_the_identity(size: tuple[int, int], depth: int) -> None:
    planes = random_planes(np.random.default_rng(3), *size, "420", depth)
    superblocks, blocks = field_shapes(*size)
    for split in (0, 1):
        predicted = _core.motion_compensate(
            planes, np.full(superblocks, split, np.uint8), np.zeros((*blocks, 2), np.int16), depth
        )
        for plane, got in zip(planes, predicted, strict=True):
            np.testing.assert_array_equal(got, plane)


def test_worked_example_of_the_document() -> None:
    row = np.array([10, 20, 30, 40, 50, 60, 70, 80], np.uint8)
    plane = np.tile(row, (8, 1))
    mv = np.array([[[2, 0]]], np.int16)
    (predicted,) = _core.motion_compensate([plane], np.zeros((1, 1), np.uint8), mv)
    assert predicted[0, 3] == 45


def test_worked_example_of_overlap() -> None:
    plane = np.full((24, 24), 100, np.uint8)
    plane[:, 16:] = 164
    mv = np.zeros((3, 3, 2), np.int16)
    mv[1, 1] = 48, 0  # from a place where all samples are 164
    (predicted,) = _core.motion_compensate([plane], np.full((1, 1), 31, np.uint8), mv)
    assert predicted[10, :8].tolist() == [100, 100, 100, 100, 102, 104, 108, 116]


@pytest.mark.parametrize("threads", [1, 3])
def test_batch_equals_single_frames(threads: int) -> None:
    rng = np.random.default_rng(4)
    frames = [random_planes(rng, 40, 72, "420", 8) for _ in range(4)]
    fields = [random_field(rng, 40, 72, -60, 60) for _ in frames]
    y, u, v = (np.stack([frame[p] for frame in frames]) for p in range(3))
    split = np.stack([field[0] for field in fields])
    mv = np.stack([field[1] for field in fields])
    predicted = _core.motion_predict_batch(y, u, v, split, mv, threads=threads)
    for i, (frame, field) in enumerate(zip(frames, fields, strict=True)):
        for got, wanted in zip(predicted, _core.motion_compensate(frame, *field), strict=True):
            np.testing.assert_array_equal(got[i], wanted)


def test_strided_input_is_read_as_numpy_shows_it() -> None:
    rng = np.random.default_rng(5)
    plane = rng.integers(0, 256, (32, 64), dtype=np.uint8)[:, ::2]
    split, mv = random_field(rng, 32, 32, -20, 20)
    check_against_formulas([plane], split, mv, 8)


PLANE = np.zeros((32, 32), np.uint8)
SPLIT = np.zeros((1, 1), np.uint8)
MV = np.zeros((2, 2, 2), np.int16)
CELLS = np.zeros((4, 4, 2), np.int16)
UNEQUAL = np.array([[[0, 0], [0, 4]], [[0, 0], [0, 0]]], np.int16)


@pytest.mark.parametrize(
    ("planes", "split", "mv", "depth", "message"),
    [
        ([PLANE.astype(np.float32)], SPLIT, MV, 8, "uint8 or uint16"),
        ([PLANE[:12]], SPLIT, MV, 8, "multiples of 8"),
        ([PLANE[0]], SPLIT, MV, 8, "2 dimensions"),
        ([PLANE, PLANE], SPLIT, MV, 8, "1 plane"),
        ([PLANE, PLANE[:16], PLANE[:16]], SPLIT, MV, 8, "plane 1"),
        ([PLANE.astype(np.uint16) + 256], SPLIT, MV, 8, "exceeds 8 bits"),
        ([PLANE], SPLIT, MV, 9, "8 or 10"),
        ([PLANE], SPLIT + 2, MV, 8, "0 or 1"),
        ([PLANE], SPLIT[0], MV, 8, "shape 1x1"),
        ([PLANE], SPLIT, MV[:1], 8, "shape 2x2x2"),
        ([PLANE], SPLIT, MV.astype(np.int32), 8, "int16"),
        ([PLANE], SPLIT, MV + np.int16(2048), 8, "-2048 to 2047"),
        ([PLANE], SPLIT, UNEQUAL, 8, "one vector"),
        ([PLANE], SPLIT + 3, MV, 8, "0 or 1"),
        ([PLANE], SPLIT + 2, CELLS, 8, "odd"),
        ([PLANE], SPLIT + 33, CELLS, 8, "at most 31"),
        ([PLANE], SPLIT + 3, np.arange(32, dtype=np.int16).reshape(4, 4, 2), 8, "of a block"),
    ],
)
def test_wrong_arguments_are_named(
    planes: list[np.ndarray], split: np.ndarray, mv: np.ndarray, depth: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _core.motion_compensate(planes, split, mv, depth)
