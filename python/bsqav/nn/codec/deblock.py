"""The deblocking filter across the edges of tokens, on batches: docs/bitstream.md section 4.4."""

import torch
from torch import Tensor

REACH = 4
GAP = 16
CHROMA_GAP = 8


def edge_steps(q_BHW: Tensor, filtered_BHW: Tensor) -> tuple[Tensor, Tensor]:
    """q at the left and at the upper edge of every token, [B, H, W] integers, -1 where none is.

    q_BHW: of the last layer; filtered_BHW: tokens whose edges are filtered, all four of them.
    """
    q, filtered = q_BHW.round().long(), filtered_BHW.bool()
    edges = []
    for dim in (2, 1):
        here, there = q.narrow(dim, 1, q.shape[dim] - 1), q.narrow(dim, 0, q.shape[dim] - 1)
        either = filtered.narrow(dim, 1, q.shape[dim] - 1) | filtered.narrow(
            dim, 0, q.shape[dim] - 1
        )
        inner = torch.where(either, (here + there + 1) >> 1, -1)
        border = torch.full_like(q.narrow(dim, 0, 1), -1)
        edges.append(torch.cat([border, inner], dim))
    return edges[0], edges[1]


def deblock(planes: tuple[Tensor, ...], left: Tensor, above: Tensor) -> tuple[Tensor, ...]:
    """Filtered planes: y [B, 8 H, 8 W], u and v [B, 4 H, 4 W] of 8-bit integers in any dtype.

    left, above: see edge_steps.
    """
    out = []
    for index, plane in enumerate(planes):
        lines = _luma if index == 0 else _chroma
        size = 8 if index == 0 else 4
        x = lines(plane.long(), left.repeat_interleave(size, 1), size)
        x = lines(x.transpose(1, 2), above.transpose(1, 2).repeat_interleave(size, 1), size)
        out.append(x.transpose(1, 2).to(plane.dtype))
    return tuple(out)


def _taps(x: Tensor, size: int, reach: int) -> list[Tensor]:
    """Samples [B, rows, edges] at distances -reach .. reach - 1 from the inner edges of columns."""
    edges = x.shape[2] // size - 1
    return [
        x[..., size + at : size + at + size * (edges - 1) + 1 : size] for at in range(-reach, reach)
    ]


def _put(x: Tensor, size: int, values: dict[int, Tensor]) -> Tensor:
    x, edges = x.clone(), x.shape[2] // size - 1
    for at, value in values.items():
        x[..., size + at : size + at + size * (edges - 1) + 1 : size] = value
    return x


def _clip(value: Tensor, around: Tensor, most: Tensor) -> Tensor:
    return torch.minimum(torch.maximum(value, around - most), around + most)


def _luma(x: Tensor, q: Tensor, size: int) -> Tensor:
    """x [B, rows, columns], q [B, rows, columns / size] -> x, its vertical edges filtered."""
    if x.shape[2] == size:
        return x
    q = q[..., 1:]
    beta = (3 * (q - 160)).clamp_min(0) >> 4
    tc = ((q - 212 + 32) >> 6).clamp_min(0)
    p3, p2, p1, p0, q0, q1, q2, q3 = _taps(x, size, REACH)
    activity = (p2 - 2 * p1 + p0).abs() + (q2 - 2 * q1 + q0).abs()
    step = (9 * (q0 - p0) - 3 * (q1 - p1) + 8) >> 4
    on = (tc > 0) & (activity < beta) & (q >= 0)
    flat = ((p3 - p0).abs() + (q0 - q3).abs() < beta >> 2) & (activity < beta >> 2)
    strong, normal = on & flat, on & ~flat & (step.abs() < GAP * tc)
    d = torch.minimum(torch.maximum(step, -tc), tc)
    zero = torch.zeros_like(d)
    dp = _clip((((p2 + p0 + 1) >> 1) - p1 + d) >> 1, zero, tc >> 1)
    dq = _clip((((q2 + q0 + 1) >> 1) - q1 - d) >> 1, zero, tc >> 1)
    smooth = {
        -3: _clip((2 * p3 + 3 * p2 + p1 + p0 + q0 + 4) >> 3, p2, 2 * tc),
        -2: _clip((p2 + p1 + p0 + q0 + 2) >> 2, p1, 2 * tc),
        -1: _clip((p2 + 2 * p1 + 2 * p0 + 2 * q0 + q1 + 4) >> 3, p0, 2 * tc),
        0: _clip((p1 + 2 * p0 + 2 * q0 + 2 * q1 + q2 + 4) >> 3, q0, 2 * tc),
        1: _clip((p0 + q0 + q1 + q2 + 2) >> 2, q1, 2 * tc),
        2: _clip((p0 + q0 + q1 + 3 * q2 + 2 * q3 + 4) >> 3, q2, 2 * tc),
    }
    corrected = {-3: p2, -2: p1 + dp, -1: p0 + d, 0: q0 - d, 1: q1 + dq, 2: q2}
    old = {-3: p2, -2: p1, -1: p0, 0: q0, 1: q1, 2: q2}
    values = {
        at: torch.where(
            strong, smooth[at], torch.where(normal, corrected[at].clamp(0, 255), old[at])
        )
        for at in old
    }
    return _put(x, size, values)


def _chroma(x: Tensor, q: Tensor, size: int) -> Tensor:
    if x.shape[2] == size:
        return x
    q = q[..., 1:]
    tc = ((3 * (q - 180) + 64) >> 7).clamp_min(0)
    p1, p0, q0, q1 = _taps(x, size, 2)
    step = (4 * (q0 - p0) + p1 - q1 + 4) >> 3
    on = (tc > 0) & (q >= 0) & (step.abs() < CHROMA_GAP * tc)
    d = torch.minimum(torch.maximum(step, -tc), tc) * on
    return _put(x, size, {-1: (p0 + d).clamp(0, 255), 0: (q0 - d).clamp(0, 255)})
