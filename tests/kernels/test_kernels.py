"""Every kernel set equals the reference on random and extreme input, and scalar equals it too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bsqav import _core
from bsqav.errors import UnsupportedError
from tests.reference import numerics

SETS = _core.kernel_sets()
# The kernels of the CUDA backend on its emulation: layers with their requantization, nothing less.
CUDA = "cuda-emulated"
LAYER_SETS = [*SETS, CUDA]
# Rows, inputs, outputs: single rows, rows that are no multiple of a tile, outputs that leave parts
# of vectors and of blocks, and the limits.
SHAPES = [
    (1, 8, 1), (1, 1024, 9), (2, 8, 128), (5, 104, 64), (6, 24, 63), (7, 192, 65),
    (11, 200, 96), (12, 256, 200), (13, 40, 17), (19, 384, 192), (3, 72, 136), (0, 16, 16),
]  # fmt: skip
KINDS = ["random", "extreme", "negative", "zero"]


def values(
    rng: np.random.Generator, kind: str, shape: tuple[int, ...], limit: int
) -> npt.NDArray[np.int64]:
    if kind == "random":
        return rng.integers(-limit, limit + 1, shape)
    if kind == "extreme":
        return rng.choice([-limit, limit], shape)
    return np.full(shape, -limit if kind == "negative" else 0)


class Layer:
    """Arguments of one linear layer. Biases and scales make some outputs saturate."""

    def __init__(
        self, shape: tuple[int, int, int], kind: str, seed: int, input_limit: int = 127
    ) -> None:
        rng = np.random.default_rng(seed)
        rows, k, n = shape
        dtype = np.int8 if input_limit == 127 else np.int16
        self.x: npt.NDArray[Any] = values(rng, kind, (rows, k), input_limit).astype(dtype)
        weights = values(rng, "random" if kind == "random" else "extreme", (n, k), 127)
        if input_limit > 127:  # sums must stay within 32 bits
            weights = np.sign(weights) * (np.abs(weights) % (2**31 // (input_limit * k + 1)))
        elif kind == "negative":
            weights = np.full((n, k), -127)
        self.w = weights.astype(np.int8)
        room = 2**31 - 1 - input_limit * np.abs(self.w.astype(np.int64)).sum(1)
        if kind == "random":
            self.b = rng.integers(-np.minimum(room, 50000), np.minimum(room, 50000) + 1)
        else:
            self.b = rng.choice([-1, 1], n) * room  # sums reach the limits of 32 bits
        self.b = self.b.astype(np.int32)
        self.n = int(rng.choice([32, 36, 40, 47, 62]))
        self.m = rng.integers(0, 2**31, n).astype(np.int32)
        self.m[0] = 2**31 - 1
        self.table = rng.integers(-127, 128, 256).astype(np.int8)
        add = values(rng, "random" if kind == "random" else "extreme", (rows, n), 32767)
        self.add = add.astype(np.int16)

    @property
    def sums(self) -> numerics.Int:
        return numerics.linear(self.x, self.w, self.b)


def same(actual: npt.NDArray[Any], expected: numerics.Int) -> None:
    np.testing.assert_array_equal(actual, expected)


def check_rq16(kernel: Callable[..., npt.NDArray[Any]], kernels: str, a: Layer) -> None:
    """A linear layer with 16-bit outputs, alone and added to a residual stream."""
    high = numerics.rq16(a.sums, a.m, a.n)
    same(kernel(kernels, a.x, a.w, a.b, a.m, a.n), high)
    added = numerics.add16(numerics.wide(a.add), high)
    same(kernel(kernels, a.x, a.w, a.b, a.m, a.n, a.add), added)


@pytest.mark.parametrize("kernels", LAYER_SETS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_linear8(kernels: str, kind: str, shape: tuple[int, int, int]) -> None:
    a = Layer(shape, kind, seed=sum(shape))
    assert np.abs(a.sums).max(initial=0) < 2**31
    if kernels != CUDA:
        same(_core.kernel_linear8(kernels, a.x, a.w, a.b), a.sums)
    low = numerics.rq8(a.sums, a.m, a.n)
    same(_core.kernel_linear8_rq8(kernels, a.x, a.w, a.b, a.m, a.n), low)
    looked_up = numerics.table(low, a.table)
    same(_core.kernel_linear8_rq8(kernels, a.x, a.w, a.b, a.m, a.n, a.table), looked_up)
    check_rq16(_core.kernel_linear8_rq16, kernels, a)


@pytest.mark.parametrize("kernels", LAYER_SETS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [s for s in SHAPES if s[1] <= 256], ids=str)
def test_linear16(kernels: str, kind: str, shape: tuple[int, int, int]) -> None:
    a = Layer(shape, kind, sum(shape), input_limit=32767)
    assert np.abs(a.sums).max(initial=0) < 2**31
    check_rq16(_core.kernel_linear16_rq16, kernels, a)


@pytest.mark.parametrize("kernels", LAYER_SETS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 1, 8), (3, 2, 64), (2, 19, 24), (4, 37, 136)], ids=str)
def test_dwconv5(kernels: str, kind: str, shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(sum(shape))
    height, width, channels = shape
    x = values(rng, kind, (height + 4, width + 4, channels), 127).astype(np.int8)
    w = values(rng, kind if kind == "negative" else "extreme", (25, channels), 127).astype(np.int8)
    b = rng.integers(-90000, 90001, channels).astype(np.int32)
    m, n = rng.integers(0, 2**31, channels).astype(np.int32), int(rng.choice([32, 43]))
    inner = numerics.dwconv5(numerics.wide(x), w, b)[2:-2, 2:-2]
    expected = numerics.rq8(inner, m, n)
    same(_core.kernel_dwconv5(kernels, x, w, b, m, n), expected)


@pytest.mark.parametrize("kernels", SETS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 8), (5, 128), (3, 200), (0, 16)], ids=str)
def test_requant8(kernels: str, kind: str, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(shape))
    x = values(rng, kind, shape, 32767).astype(np.int16)
    m, n = rng.integers(0, 2**31, shape[1]).astype(np.int32), int(rng.choice([32, 38, 62]))
    entries = rng.integers(-127, 128, 256).astype(np.int8)
    low = numerics.rq8(numerics.wide(x), m, n)
    same(_core.kernel_requant8(kernels, x, m, n), low)
    same(_core.kernel_requant8(kernels, x, m, n, entries), numerics.table(low, entries))


@pytest.mark.parametrize("kernels", SETS)
def test_rounding_is_half_up(kernels: str) -> None:
    x = np.array([[1, -1, 3, -3, 5, -5, 0, 2]], np.int16)
    m = np.full(8, 2**31 - 1, np.int32)
    m[:] = 2**30  # times 1/4
    expected = [[0, 0, 1, -1, 1, -1, 0, 1]]
    same(_core.kernel_requant8(kernels, x, m, 32), np.array(expected))


def test_the_cuda_set_says_what_it_lacks() -> None:
    x = np.zeros((1, 8), np.int8)
    with pytest.raises(UnsupportedError, match="cuda-emulated has no such kernel"):
        _core.kernel_linear8(CUDA, x, x, np.zeros(1, np.int32))
    with pytest.raises(UnsupportedError, match="cuda-emulated has no such kernel"):
        _core.kernel_requant8(CUDA, x.astype(np.int16), np.zeros(8, np.int32), 32)
