"""Quantization on the sphere against NumPy."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt
import pytest

from bsqav import _core

WIDTHS = [1, 2, 7, 8, 18, 36, 63, 64]


def codes_by_numpy(z: npt.NDArray[np.float32]) -> npt.NDArray[np.uint64]:
    weights = np.uint64(1) << np.arange(z.shape[-1], dtype=np.uint64)
    codes: npt.NDArray[np.uint64] = np.where(z >= 0, weights, np.uint64(0)).sum(axis=-1)
    return codes


@pytest.mark.parametrize("bits", WIDTHS)
def test_quantize_and_dequantize(bits: int) -> None:
    z = np.random.default_rng(bits).standard_normal((3, 50, bits)).astype(np.float32)
    codes = _core.quantize(z)
    assert codes.shape == (3, 50)
    assert codes.dtype == np.uint64
    assert np.array_equal(codes, codes_by_numpy(z))

    u = _core.dequantize(codes, bits)
    assert u.dtype == np.float32
    assert np.array_equal(u, np.where(z >= 0, 1, -1).astype(np.float32) * np.float32(bits**-0.5))
    assert np.array_equal(_core.quantize(u), codes)
    assert np.allclose(np.linalg.norm(u, axis=-1), 1)


def test_the_sign_of_zero_is_plus() -> None:
    z = np.array([[0.0, -0.0, -1e-45, 1e-45], [0.0, 0.0, -0.0, -0.0]], np.float32)
    assert _core.quantize(z).tolist() == [0b1011, 0b1111]


@pytest.mark.parametrize("scale", [1e-38, 1e-44, 1.0, 1e38])
@pytest.mark.parametrize("bits", WIDTHS)
def test_project(bits: int, scale: float) -> None:
    random = np.random.default_rng(bits).uniform(-3, 3, (20, bits)) * scale
    z = np.where(np.abs(random) < scale, scale, random).astype(np.float32)
    exact = z.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=-1, keepdims=True)
    u = _core.project(z)
    assert np.allclose(u, exact, rtol=1e-6, atol=0)
    assert np.array_equal(_core.quantize(u), _core.quantize(z))


def test_norm_zero_projects_to_the_corner_of_its_signs() -> None:
    z = np.zeros((2, 18), np.float32)
    z[1] = -0.0
    u = _core.project(z)
    assert np.array_equal(u, np.full((2, 18), 18**-0.5, np.float32))
    assert np.array_equal(u, _core.dequantize(_core.quantize(z), 18))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    z = np.ones((4, 9), np.float32)
    z[2, 5] = value
    for function in (_core.quantize, _core.project):
        with pytest.raises(ValueError, match=r"element 5 .* NaN or infinite"):
            function(z)


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="float32, not float64"):
        _core.quantize(np.zeros((2, 8)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="1 to 64"):
        _core.quantize(np.zeros((2, 65), np.float32))
    with pytest.raises(ValueError, match="1 to 64"):
        _core.quantize(np.zeros((2, 0), np.float32))
    with pytest.raises(ValueError, match="scalar"):
        _core.quantize(np.array(1, np.float32))
    for bits in (0, 65, -1):
        with pytest.raises(ValueError, match="from 1 to 64"):
            _core.dequantize(np.zeros(1, np.uint64), bits)
    with pytest.raises(ValueError, match="code 8 has more than 3 bits"):
        _core.dequantize(np.array([7, 8], np.uint64), 3)
    with pytest.raises(ValueError, match="uint64, not int64"):
        _core.dequantize(np.array([7]), 3)


def test_empty_and_strided_arrays() -> None:
    assert _core.quantize(np.zeros((0, 8), np.float32)).shape == (0,)
    z = np.random.default_rng(0).standard_normal((8, 6, 5)).astype(np.float32)
    assert np.array_equal(_core.quantize(z.T), codes_by_numpy(z.T))
    assert np.array_equal(_core.quantize(z[::2, ::-1]), codes_by_numpy(z[::2, ::-1]))
    assert _core.quantize(z[0, 0]).shape == ()


@pytest.mark.skipif(
    "asan" in os.environ.get("LD_PRELOAD", ""), reason="ends the process where memory is refused"
)
def test_an_array_beyond_all_memory_is_an_error() -> None:
    """One number that is repeated; in C order it would take 256 TiB."""
    vast = np.broadcast_to(np.zeros(1, np.float32), (2**40, 64))
    with pytest.raises(MemoryError, match="does not fit in memory"):
        _core.quantize(vast)
