"""Motion prediction written straight from docs/bitstream.md, section 4, to compare with."""

from __future__ import annotations

from collections.abc import Sequence

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
    [0, 64, 0, 0], [-2, 58, 10, -2], [-4, 54, 16, -2], [-6, 46, 28, -4],
    [-4, 36, 36, -4], [-4, 28, 46, -6], [-2, 16, 54, -4], [-2, 10, 58, -2],
]  # fmt: skip
LUMA_PARTS = [8, 4, 2, 1]
CHROMA_PARTS = [8, 3]


def field_shapes(height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Shapes of the superblocks and of the blocks of a luma plane."""
    return (-(-height // 32), -(-width // 32)), (-(-height // 16), -(-width // 16))


def random_field(
    rng: np.random.Generator, height: int, width: int, low: int, high: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int16]]:
    """A field of superblocks and blocks whose components are uniform in [low, high]."""
    superblocks, blocks = field_shapes(height, width)
    split = rng.integers(0, 2, superblocks, dtype=np.uint8)
    mv = rng.integers(low, high + 1, (*blocks, 2), dtype=np.int16)
    for wy, wx in np.ndindex(*superblocks):
        if not split[wy, wx]:
            mv[2 * wy : 2 * wy + 2, 2 * wx : 2 * wx + 2] = mv[2 * wy, 2 * wx]
    return split, mv


def random_fine_field(
    rng: np.random.Generator, height: int, width: int, low: int, high: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int16]]:
    """A field of superblocks, blocks and sub-blocks whose components are uniform in [low, high]."""
    superblocks, _ = field_shapes(height, width)
    split = rng.integers(0, 2, superblocks, dtype=np.uint8)
    split |= (rng.integers(0, 16, superblocks, dtype=np.uint8) << 1) * split
    mv = rng.integers(low, high + 1, (height // 8, width // 8, 2), dtype=np.int16)
    for wy, wx in np.ndindex(*superblocks):
        for x, y, size in squares(int(split[wy, wx]), wx, wy):
            if y < mv.shape[0] and x < mv.shape[1]:
                mv[y : y + size, x : x + size] = mv[y, x]
    return split, mv


def squares(how: int, wx: int, wy: int) -> list[tuple[int, int, int]]:
    """(x, y, side) in sub-blocks of what has a vector of its own in a superblock, in coding order.

    `how` is the superblock's entry of `split`: 0, or 1 and a bit 1 + i for every split block i.
    """
    if not how:
        return [(4 * wx, 4 * wy, 4)]
    found = []
    for i in range(4):
        x, y = 4 * wx + i % 2 * 2, 4 * wy + i // 2 * 2
        if how >> (1 + i) & 1:
            found += [(x + j % 2, y + j // 2, 1) for j in range(4)]
        else:
            found.append((x, y, 2))
    return found


def compensate_plane(
    ref: npt.NDArray[np.generic], mv: IntArray, luma: bool, depth: int
) -> IntArray:
    """The prediction of a plane, sample by sample of the formulas.

    `mv` holds vectors per sub-block, or per block.
    """
    height, width = ref.shape
    filters, bits, size = (LUMA, 2, 8) if luma else (CHROMA, 3, 4)
    if mv.shape[:2] != (height // size, width // size):
        size *= 2
    table = np.array(filters, np.int64)
    taps = table.shape[1]
    y, x = np.mgrid[0:height, 0:width]
    vectors = mv.astype(np.int64)[y // size, x // size]
    whole, fraction = vectors >> bits, vectors & ((1 << bits) - 1)
    total = np.zeros((height, width), np.int64)
    reference = ref.astype(np.int64)
    first_row, first_column = (at - taps // 2 + 1 for at in (y + whole[..., 1], x + whole[..., 0]))
    columns = [np.clip(first_column + i, 0, width - 1) for i in range(taps)]
    for j in range(taps):
        row = np.clip(first_row + j, 0, height - 1)
        for i, column in enumerate(columns):
            weight = table[fraction[..., 1], j] * table[fraction[..., 0], i]
            total += weight * reference[row, column]
    samples: npt.NDArray[np.int64] = np.clip((total + 2048) >> 12, 0, (1 << depth) - 1)
    return samples


def compensate_overlapped(
    refs: Sequence[npt.NDArray[np.generic]],
    vectors: IntArray,
    directions: IntArray,
    luma: bool,
    depth: int,
) -> IntArray:
    """The prediction of a plane from its references, mixed at edges between different motion.

    `vectors` [rows, columns, reference, (x, y)] and `directions` are those of the sub-blocks.
    """
    size, parts = (8, LUMA_PARTS) if luma else (4, CHROMA_PARTS)

    def predicted(vectors: IntArray, directions: IntArray) -> IntArray:
        each = [compensate_plane(ref, vectors[:, :, r], luma, depth) for r, ref in enumerate(refs)]
        direction = directions.repeat(size, 0).repeat(size, 1)
        means = (each[0] + each[-1] + 1) >> 1
        return np.select([direction == 1, direction == 2], [each[0], each[-1]], means)

    out = predicted(vectors, directions)
    rows, columns = np.indices(directions.shape)
    y, x = np.indices(out.shape) % size
    sides = [(0, -1, x), (0, 1, size - 1 - x), (-1, 0, y), (1, 0, size - 1 - y)]
    for down, right, line in sides:
        # A sub-block at the frame's border is its own neighbour, which is the same as none.
        at = (
            np.clip(rows + down, 0, rows.max()),
            np.clip(columns + right, 0, columns.max()),
        )
        used = directions[..., None] >> np.arange(vectors.shape[2]) & 1 == 1
        differs = (vectors[at] != vectors).any(-1) & used
        mixed = (directions[at] != directions) | differs.any(-1)
        if not mixed.any():
            continue
        other = predicted(vectors[at], directions[at])
        part = np.array([*parts, *([0] * (size - len(parts)))])[line]
        part = part * mixed.repeat(size, 0).repeat(size, 1)
        out = ((32 - part) * out + part * other + 16) >> 5
    return out


def predictors(
    split: npt.NDArray[np.uint8],
    mv: npt.NDArray[np.int16],
    tile: tuple[int, int, int, int],
    per_subblock: bool = False,
) -> npt.NDArray[np.int16]:
    """Predictors inside a tile of superblocks (x_begin, y_begin, x_end, y_end), in coding order.

    `mv` and the result have an entry per block, or per sub-block.
    """
    # Sub-blocks beyond the right or lower edge are no neighbour of a superblock or a block.
    fine = mv if per_subblock else mv.repeat(2, axis=0).repeat(2, axis=1)
    known: dict[tuple[int, int], tuple[int, int]] = {}
    out = np.zeros_like(fine)
    rows, columns = fine.shape[:2]
    x_begin, y_begin, x_end, y_end = tile
    for wy in range(y_begin, y_end):
        for wx in range(x_begin, x_end):
            for x, y, size in squares(int(split[wy, wx]), wx, wy):
                if x >= columns or y >= rows:
                    continue
                vector = predict_vector(known, x, y, size)
                for cy in range(y, min(y + size, rows)):
                    for cx in range(x, min(x + size, columns)):
                        out[cy, cx] = vector
                        known[cx, cy] = (int(fine[cy, cx, 0]), int(fine[cy, cx, 1]))
    step = 1 if per_subblock else 2
    result: npt.NDArray[np.int16] = out[::step, ::step]
    return result


def predict_vector(
    known: dict[tuple[int, int], tuple[int, int]], x: int, y: int, size: int
) -> tuple[int, int]:
    corner = known.get((x + size, y - 1), known.get((x - 1, y - 1)))
    neighbours = [known.get((x - 1, y)), known.get((x, y - 1)), corner]
    found = [v for v in neighbours if v is not None]
    if len(found) == 1:
        return found[0]
    a, b, c = (v or (0, 0) for v in neighbours)
    return sorted((a[0], b[0], c[0]))[1], sorted((a[1], b[1], c[1]))[1]
