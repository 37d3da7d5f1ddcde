"""Motion prediction written straight from docs/bitstream.md, section 4, to compare with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

LUMA = [
    [0, 0, 0, 64, 0, 0, 0, 0],
    [-1, 4, -10, 58, 17, -5, 1, 0],
    [-1, 4, -11, 40, 40, -11, 4, -1],
    [0, 1, -5, 17, 58, -10, 4, -1],
]
CHROMA = [
    [0, 64, 0, 0],
    [-2, 58, 10, -2],
    [-4, 54, 16, -2],
    [-6, 46, 28, -4],
    [-4, 36, 36, -4],
    [-4, 28, 46, -6],
    [-2, 16, 54, -4],
    [-2, 10, 58, -2],
]


def field_shapes(height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Shapes of the windows and of the parts of a luma plane."""
    return (-(-height // 32), -(-width // 32)), (-(-height // 16), -(-width // 16))


def random_field(
    rng: np.random.Generator, height: int, width: int, low: int, high: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int16]]:
    """A field whose components are uniform in [low, high]."""
    windows, parts = field_shapes(height, width)
    split = rng.integers(0, 2, windows, dtype=np.uint8)
    mv = rng.integers(low, high + 1, (*parts, 2), dtype=np.int16)
    for wy, wx in np.ndindex(*windows):
        if not split[wy, wx]:
            mv[2 * wy : 2 * wy + 2, 2 * wx : 2 * wx + 2] = mv[2 * wy, 2 * wx]
    return split, mv


def compensate_plane(
    ref: npt.NDArray[np.generic], mv: IntArray, luma: bool, depth: int
) -> IntArray:
    """The prediction of a plane from vectors per part, sample by sample of the formulas."""
    height, width = ref.shape
    filters, bits, size = (LUMA, 2, 16) if luma else (CHROMA, 3, 8)
    table = np.array(filters, np.int64)
    taps = table.shape[1]
    y, x = np.mgrid[0:height, 0:width]
    vectors = mv.astype(np.int64)[y // size, x // size]
    whole, fraction = vectors >> bits, vectors & ((1 << bits) - 1)
    total = np.zeros((height, width), np.int64)
    for j in range(taps):
        row = np.clip(y + whole[..., 1] + j - taps // 2 + 1, 0, height - 1)
        for i in range(taps):
            column = np.clip(x + whole[..., 0] + i - taps // 2 + 1, 0, width - 1)
            weight = table[fraction[..., 1], j] * table[fraction[..., 0], i]
            total += weight * ref.astype(np.int64)[row, column]
    return np.clip((total + 2048) >> 12, 0, (1 << depth) - 1)


def predictors(
    split: npt.NDArray[np.uint8],
    mv: npt.NDArray[np.int16],
    block: tuple[int, int, int, int],
) -> npt.NDArray[np.int16]:
    """Predictors inside a block of windows (x_begin, y_begin, x_end, y_end), in coding order."""
    known: dict[tuple[int, int], tuple[int, int]] = {}
    out = np.zeros_like(mv)
    rows, columns = mv.shape[:2]
    x_begin, y_begin, x_end, y_end = block
    for wy in range(y_begin, y_end):
        for wx in range(x_begin, x_end):
            parts = [
                (2 * wx + i, 2 * wy + j)
                for j in (0, 1)
                for i in (0, 1)
                if 2 * wx + i < columns and 2 * wy + j < rows
            ]
            if split[wy, wx]:
                for px, py in parts:
                    out[py, px] = _predict(known, px, py, 1)
                    known[px, py] = (int(mv[py, px, 0]), int(mv[py, px, 1]))
            else:
                vector = _predict(known, 2 * wx, 2 * wy, 2)
                for px, py in parts:
                    out[py, px] = vector
                    known[px, py] = (int(mv[py, px, 0]), int(mv[py, px, 1]))
    return out


def _predict(
    known: dict[tuple[int, int], tuple[int, int]], px: int, py: int, size: int
) -> tuple[int, int]:
    corner = known.get((px + size, py - 1), known.get((px - 1, py - 1)))
    neighbours = [known.get((px - 1, py)), known.get((px, py - 1)), corner]
    found = [v for v in neighbours if v is not None]
    if len(found) == 1:
        return found[0]
    a, b, c = (v or (0, 0) for v in neighbours)
    return sorted((a[0], b[0], c[0]))[1], sorted((a[1], b[1], c[1]))[1]
