"""Vectors from and to sample planes equal the reference."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from bsqav import _core
from bsqav.errors import UsageError
from tests.reference import numerics

Planes = list[npt.NDArray[np.uint16]]


def random_planes(rng: np.random.Generator, count: int, depth: int, rows: int, cols: int) -> Planes:
    sizes = [(8 * rows, 8 * cols)] + [(4 * rows, 4 * cols)] * (count - 1)
    return [rng.integers(0, 2**depth, size, np.uint16) for size in sizes]


def test_steps_equal_the_reference_and_double_every_8_crf() -> None:
    steps = [_core.step_q8(q) for q in range(569)]
    assert steps == [numerics.step_size(q) for q in range(569)]
    assert steps[64] == 256
    for q in (-1, 569):
        with pytest.raises(UsageError):
            _core.step_q8(q)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize(("q", "offset"), [(0, -7), (63, -2), (256, 0), (568, -5)])
def test_vectors_equal_the_reference(count: int, depth: int, q: int, offset: int) -> None:
    rng = np.random.default_rng(q + depth + count)
    source, prediction = (random_planes(rng, count, depth, 6, 13) for _ in range(2))
    source[0][:8, :16] = prediction[0][:8, :16]
    windows = np.array([[1, 0, 1, 1], [0, 1, 1, 0]], np.uint8)
    active = windows.repeat(4, 0).repeat(4, 1)[:6, :13] != 0
    for first, later, above in ((False, False, 0), (True, False, 0), (False, True, 504)):
        side = _core.side_vectors(prediction, depth, q, first, later, above, windows)
        expected = numerics.side_vectors(prediction, depth, q, first, later, above)
        values = rng.integers(0, 1300, (6, 13, 2), np.int16)
        with_values = _core.side_vectors(
            prediction, depth, q, first, later, above, windows, prediction_side=values
        )
        assert not (with_values[..., 102:]).any()
        np.testing.assert_array_equal(
            with_values[..., 100:102], np.where(active[..., None], values, 0)
        )
        np.testing.assert_array_equal(with_values[..., :100], side[..., :100])
        np.testing.assert_array_equal(side, np.where(active[..., None], expected, 0))
    residual = _core.residual_vectors(
        source, prediction, depth, q, windows, chroma_crf_offset=offset
    )
    expected = numerics.residual_vectors(source, prediction, depth, q, offset)
    np.testing.assert_array_equal(residual, np.where(active[..., None], expected, 0))
    output = rng.integers(-32767, 32768, (6, 13, 96), np.int16)
    output[:, 5:] //= 64
    for threads in (1, 2):
        planes = _core.reconstruct(
            prediction, depth, output, q, windows, chroma_crf_offset=offset, threads=threads
        )
        expected_planes = numerics.reconstruct(prediction, output, depth, q, active, offset)
        for plane, wanted in zip(planes, expected_planes, strict=True):
            np.testing.assert_array_equal(plane, wanted)


def test_exact_residuals_come_back() -> None:
    rng = np.random.default_rng(3)
    source = random_planes(rng, 3, 8, 4, 4)
    prediction = [
        np.clip(plane + rng.integers(-100, 101, plane.shape), 0, 255).astype(np.uint16)
        for plane in source
    ]
    residual = _core.residual_vectors(source, prediction, 8, 64)  # in sample values, Q8
    planes = _core.reconstruct(prediction, 8, residual, 64)
    for plane, wanted in zip(planes, source, strict=True):
        np.testing.assert_array_equal(plane, wanted)
