"""Enlarged base frames and deblocking, from docs/bitstream.md sections 3.6 and 4.4."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
NO_EDGE = -1
ENLARGE = np.array([
    [-10, 65, 86, -13], [-7, 44, 105, -14], [-3, 24, 119, -12], [-1, 7, 127, -5],
    [-5, 127, 7, -1], [-12, 119, 24, -3], [-14, 105, 44, -7], [-13, 86, 65, -10],
])  # fmt: skip


def enlarge(base: IntArray, height: int, width: int, depth: int) -> IntArray:
    """The prediction [height, width] of a plane from the cropped one of the base frame."""

    def along(size: int, known: int) -> tuple[IntArray, IntArray]:
        at = np.arange(size)
        first = (at >> 3) - np.where((at & 7) < 4, 2, 1)
        taps = np.clip(first[:, None] + np.arange(4), 0, known - 1)
        return taps, ENLARGE[at & 7]

    rows, row_weights = along(height, base.shape[0])
    columns, column_weights = along(width, base.shape[1])
    lines = (base[rows] * row_weights[:, :, None]).sum(1)
    total = (lines[:, columns] * column_weights).sum(2)
    enlarged: IntArray = np.clip((total + 8192) >> 14, 0, 2**depth - 1)
    return enlarged


def edges(
    q: IntArray,
    coded: BoolArray,
    vectors: IntArray | None,
    directions: IntArray | None = None,
    sampled: BoolArray | None = None,
) -> tuple[IntArray, IntArray]:
    """Quantizer index at the left and at the upper edge of every token.

    It is NO_EDGE where nothing is filtered.

    Args:
        q: [rows, columns], quantizer indices of the tokens in the last layer.
        coded: tokens that had stages in the frame.
        vectors: [rows, columns, reference, (x, y)] between keyframes, None in one.
        directions: [rows, columns]; bit r is set where the vector of reference r is used. Only the
            first ones are where it is None.
        sampled: tokens that are sample-coded; none are where it is None.
    """
    found = []
    for axis in (1, 0):
        a, b = _sides(q, axis)
        filtered = np.logical_or(*_sides(coded, axis))
        if vectors is None:
            filtered[:] = True
        else:
            one, other = _sides(np.ones_like(q) if directions is None else directions, axis)
            moved = abs(np.subtract(*_sides(vectors, axis))).max(-1) >= 4
            used = one[..., None] >> np.arange(vectors.shape[2]) & 1 == 1
            filtered |= (one != other) | (moved & used).any(-1)
        if sampled is not None:
            filtered &= ~np.logical_or(*_sides(sampled, axis))
        inner = np.where(filtered, (a + b + 1) >> 1, NO_EDGE)
        found.append(np.insert(inner, 0, NO_EDGE, axis))
    return found[0], found[1]


def _sides(values: npt.NDArray[Any], axis: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The values before and after every inner edge."""
    count = values.shape[axis]
    return values.take(range(count - 1), axis), values.take(range(1, count), axis)


def deblock(planes: list[IntArray], left: IntArray, above: IntArray, depth: int) -> list[IntArray]:
    """The filtered planes."""
    out = []
    for index, plane in enumerate(planes):
        size, line = (8, _luma) if index == 0 else (4, _chroma)
        done = plane.copy()
        for qs, turned in ((left, done), (above.T, done.T)):
            for y, x in np.argwhere(qs != NO_EDGE):
                rows = slice(y * size, (y + 1) * size)
                samples = turned[rows, x * size - size // 2 : x * size + size // 2]
                samples[:] = line(samples, int(qs[y, x]), depth)
        out.append(done)
    return out


def _clip(value: IntArray, around: IntArray | int, most: int) -> IntArray:
    return np.minimum(np.maximum(value, around - most), around + most)


def _luma(samples: IntArray, q: int, depth: int) -> IntArray:
    """Samples [8, p3 p2 p1 p0 q0 q1 q2 q3] -> the same, filtered."""
    u, top = 2 ** (depth - 8), 2**depth - 1
    beta = u * (max(0, 3 * (q - 160)) >> 4)
    t = max(0, (u * (q - 212) + 32) >> 6)
    if t == 0:
        return samples
    p3, p2, p1, p0, q0, q1, q2, q3 = samples.T
    activity = abs(p2 - 2 * p1 + p0) + abs(q2 - 2 * q1 + q0)
    step = (9 * (q0 - p0) - 3 * (q1 - p1) + 8) >> 4
    flat = (activity < beta >> 2) & (abs(p3 - p0) + abs(q0 - q3) < beta >> 2)

    near, far = _smooth(samples, t), _smooth(samples[:, ::-1], t)
    strong = np.concatenate([near, far[:, ::-1]], 1)
    d = _clip(step, 0, t)
    dp = _clip((((p2 + p0 + 1) >> 1) - p1 + d) >> 1, 0, t >> 1)
    dq = _clip((((q2 + q0 + 1) >> 1) - q1 - d) >> 1, 0, t >> 1)
    normal = np.clip(np.stack([p3, p2, p1 + dp, p0 + d, q0 - d, q1 + dq, q2, q3], 1), 0, top)
    out = samples.copy()
    corrected = (activity < beta) & ~flat & (abs(step) < 16 * t)
    out[corrected] = normal[corrected]
    out[flat & (activity < beta)] = strong[flat & (activity < beta)]
    return out


def _smooth(samples: IntArray, t: int) -> IntArray:
    """The strong filter's [p3 p2' p1' p0']."""
    p3, p2, p1, p0, q0, q1 = samples.T[:6]
    new = [
        p3,
        _clip((2 * p3 + 3 * p2 + p1 + p0 + q0 + 4) >> 3, p2, 2 * t),
        _clip((p2 + p1 + p0 + q0 + 2) >> 2, p1, 2 * t),
        _clip((p2 + 2 * p1 + 2 * p0 + 2 * q0 + q1 + 4) >> 3, p0, 2 * t),
    ]
    return np.stack(new, 1)


def _chroma(samples: IntArray, q: int, depth: int) -> IntArray:
    """Samples [4, p1 p0 q0 q1] -> the same, filtered."""
    u = 2 ** (depth - 8)
    t = max(0, (3 * u * (q - 180) + 64) >> 7)
    p1, p0, q0, q1 = samples.T
    step = (4 * (q0 - p0) + p1 - q1 + 4) >> 3
    d = np.where(abs(step) < 8 * t, _clip(step, 0, t), 0)
    out: IntArray = np.clip(np.stack([p1, p0 + d, q0 - d, q1], 1), 0, 2**depth - 1)
    return out
