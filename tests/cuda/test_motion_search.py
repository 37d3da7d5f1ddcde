"""The motion search of a device finds the very field that the processor's finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bsqav import _core
from tests.cuda.decoders import emulation
from tests.motion.reference import field_shapes
from tests.motion.test_search import extreme_pair, moved_pair, texture

Pair = tuple[np.ndarray, np.ndarray]


def patches(height: int, width: int) -> Pair:
    """Cells that come from one of two places each, so that squares of all sizes pay."""
    rng = np.random.default_rng(21)
    cur, ref = moved_pair(rng, height, width, 5, -3)
    chosen = rng.integers(0, 2, (height // 8, width // 8)).astype(bool)
    other = np.roll(ref, (-4, 7), (0, 1))
    return np.where(chosen.repeat(8, 0).repeat(8, 1), other, cur), ref


def pair(kind: str, height: int, width: int) -> Pair:
    rng = np.random.default_rng(20)
    if kind == "patches":
        return patches(height, width)
    if kind == "moved":
        return moved_pair(rng, height, width, -21, 14)
    if kind == "flat":
        return np.full((height, width), 90, np.uint8), np.full((height, width), 80, np.uint8)
    if kind == "static":
        ref = np.rint(texture(rng, height, width)).astype(np.uint8)
        cur = ref.copy()
        cur[height // 2 :, : width // 2] ^= 21
        return cur, ref
    return extreme_pair(kind, height, width)


def deeper(samples: np.ndarray) -> np.ndarray:
    """Ten bits, of which the lower are noise."""
    noise = np.random.default_rng(22).integers(0, 4, samples.shape, dtype=np.uint16)
    return (samples.astype(np.uint16) << 2) + noise


def assert_alike(pictures: Pair, device: int, **options: Any) -> np.ndarray:
    """Compares the fields of processor and device; returns how windows are split."""
    wanted = _core.motion_search(*pictures, **options)
    found = _core.motion_search(*pictures, **options, emulated_device=device)
    for name, a, b in zip(("split", "mv"), wanted, found, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)
    split: np.ndarray = wanted[0]
    return split


KINDS = ["patches", "moved", "flat", "static", "noise", "black and white", "stripes"]
SIZES = [(8, 8), (24, 40), (64, 96), (72, 136), (136, 56)]


@pytest.mark.parametrize("device", range(emulation().device_count()))
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_picture(kind: str, device: int) -> None:
    for size in SIZES:
        assert_alike(pair(kind, *size), device, fine=True, lam=1.0)


@pytest.mark.parametrize("fine", [False, True])
@pytest.mark.parametrize("lam", [0.0, 0.5, 4.0, 40.0, 4096.0])
def test_every_lambda(lam: float, fine: bool) -> None:
    for kind in ("patches", "noise"):
        assert_alike(pair(kind, 72, 136), 3, fine=fine, lam=lam)


@pytest.mark.parametrize("reach", [4, 7, 33, 200, 512])
def test_every_range(reach: int) -> None:
    """The larger ones take several bands of the coarse search."""
    for kind in ("moved", "noise"):
        assert_alike(pair(kind, 152, 184), 1, range=reach, fine=True, lam=0.5)


def test_all_partitions_are_met() -> None:
    met: set[int] = set()
    for lam in (0.5, 8.0, 30.0):
        met.update(assert_alike(pair("patches", 136, 168), 2, fine=True, lam=lam).ravel().tolist())
    assert {0, 1, 31} < met


@pytest.mark.parametrize("fine", [False, True])
@pytest.mark.parametrize("spread", [20, 2047])
def test_vectors_of_the_picture_before(spread: int, fine: bool) -> None:
    shape = (9, 17, 2) if fine else (*field_shapes(72, 136)[1], 2)
    previous = np.random.default_rng(23).integers(-spread, spread, shape, dtype=np.int16)
    for kind in ("moved", "noise"):
        assert_alike(pair(kind, 72, 136), 3, previous=previous, range=8, fine=fine, lam=0.5)


@pytest.mark.parametrize("device", range(emulation().device_count()))
@pytest.mark.parametrize(
    "blocks",
    [
        [(0, 0, 2, 2), (2, 0, 5, 2), (0, 2, 2, 4), (2, 2, 5, 4)],
        [(0, 0, 5, 1), (0, 1, 1, 4), (1, 1, 5, 4)],
        [(x, y, x + 1, y + 1) for y in range(4) for x in range(5)],
    ],
)
def test_tiles(blocks: list[tuple[int, int, int, int]], device: int) -> None:
    for kind in ("patches", "moved"):
        assert_alike(pair(kind, 104, 136), device, tiles=blocks, fine=True, lam=2.0)


@pytest.mark.parametrize("kind", ["patches", "noise", "black and white"])
def test_ten_bits(kind: str) -> None:
    cur, ref = pair(kind, 72, 104)
    assert_alike((deeper(cur), deeper(ref)), 3, bit_depth=10, fine=True, lam=1.0)


def test_more_vectors_than_are_remembered() -> None:
    """In some windows of this noise more than 512 are tried."""
    assert_alike(pair("noise", 152, 184), 2, range=4, fine=True, lam=0.5)
