"""Motion compensation of batches in PyTorch, for devices that the C++ functions are not on.

It is docs/bitstream.md, sections 4.3 and 4.7, to the bit: its sums are integers below 2^24, which
float32 holds. Vectors are (x, y) in quarter luma samples. N counts the blocks of a frame in raster
order.
"""

from functools import lru_cache

import torch
from torch import Tensor

LUMA_TAPS = (
    (0, 0, 0, 64, 0, 0, 0, 0),
    (-1, 4, -10, 58, 17, -5, 1, 0),
    (-1, 4, -11, 40, 40, -11, 4, -1),
    (0, 1, -5, 17, 58, -10, 4, -1),
)
CHROMA_TAPS = (
    (0, 64, 0, 0),
    (-2, 58, 10, -2),
    (-4, 54, 16, -2),
    (-6, 46, 28, -4),
    (-4, 36, 36, -4),
    (-4, 28, 46, -6),
    (-2, 16, 54, -4),
    (-2, 10, 58, -2),
)
LUMA_PARTS, CHROMA_PARTS = (8, 4, 2, 1), (8, 3)  # of the neighbours, in 32
SUPERBLOCK, BLOCK = 32, 16


# ---- blocks and filters ----


@lru_cache
def constant(table: tuple[tuple[int, ...], ...], device: torch.device) -> Tensor:
    """A table on a device. Copied there once: a CUDA graph may not copy from the CPU."""
    return torch.tensor(table, dtype=torch.float32, device=device)


def blocks_at(plane: Tensor, top: Tensor, left: Tensor, size: int) -> Tensor:
    """Squares of plane [B, H, W] whose corners are top, left [B, N]; edge samples repeat outside.

    Returns [B, N, size, size].
    """
    b, height, width = plane.shape
    along = torch.arange(size, device=plane.device)
    rows = (top.unsqueeze(-1) + along).clamp(0, height - 1)
    cols = (left.unsqueeze(-1) + along).clamp(0, width - 1)
    index = rows.unsqueeze(-1) * width + cols.unsqueeze(-2)
    return plane.reshape(b, -1).gather(1, index.reshape(b, -1)).view(index.shape)


def _filtered(patch: Tensor, taps_x: Tensor, taps_y: Tensor) -> Tensor:
    """patch [B, N, S + T - 1, S + T - 1], taps [B, N, T] -> rounded samples [B, N, S, S]."""
    count = taps_x.shape[-1]
    rows = (patch.unfold(-1, count, 1) * taps_x[:, :, None, None]).sum(-1)
    sums = (rows.unfold(-2, count, 1) * taps_y[:, :, None, None]).sum(-1)
    return torch.floor((sums + 2048.0) / 4096.0).clamp(0, 255)


def predict_blocks(
    plane: Tensor, top: Tensor, left: Tensor, mv: Tensor, size: int, taps: Tensor
) -> Tensor:
    """Predictions [B, N, size, size] of blocks at top, left [N] with the vectors mv [B, N, 2].

    plane: float32 of integers [B, H, W]. taps: [fractions, T], of luma or of 4:2:0 chroma.
    """
    fractions, count = taps.shape
    shift = fractions.bit_length() - 1
    reach = count // 2 - 1
    whole, fraction = mv >> shift, mv & (fractions - 1)
    patch = blocks_at(
        plane, top + whole[..., 1] - reach, left + whole[..., 0] - reach, size + count - 1
    )
    return _filtered(patch, taps[fraction[..., 0]], taps[fraction[..., 1]])


def corners(rows: int, cols: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """top, left [rows * cols] of a grid of squares."""
    top = torch.arange(rows, device=device).repeat_interleave(cols) * size
    left = torch.arange(cols, device=device).repeat(rows) * size
    return top, left


def compensate_plane(
    plane: Tensor, mv: Tensor, size: int, table: tuple[tuple[int, ...], ...]
) -> Tensor:
    """The prediction of a plane [B, H, W] by vectors [B, rows, cols, 2] of squares of `size`."""
    b, height, width = plane.shape
    rows, cols = mv.shape[1:3]
    top, left = corners(rows, cols, size, plane.device)
    blocks = predict_blocks(plane, top, left, mv.flatten(1, 2), size, constant(table, plane.device))
    grid = blocks.view(b, rows, cols, size, size).permute(0, 1, 3, 2, 4)
    return grid.reshape(b, rows * size, cols * size)[:, :height, :width]


def overlap(
    out: Tensor, plane: Tensor, mv: Tensor, size: int, table: tuple[tuple[int, ...], ...]
) -> Tensor:
    """The prediction `out`, mixed near edges with what the neighbours' motion predicts."""
    parts = LUMA_PARTS if size == BLOCK else CHROMA_PARTS
    height, width = out.shape[1:]
    for axis, forward in ((2, False), (2, True), (1, False), (1, True)):
        count = mv.shape[axis]
        at = torch.arange(count, device=mv.device) + (1 if forward else -1)
        # A block at the frame's border is its own neighbour, which is the same as none.
        near = mv.index_select(axis, at.clamp(0, count - 1))
        line = constant((parts + (0,) * (size - len(parts)),), out.device)[0]
        part = (line.flip(0) if forward else line).repeat(count)
        part = part[:width] if axis == 2 else part[:height, None]
        differs = (near != mv).any(-1).repeat_interleave(size, 1).repeat_interleave(size, 2)
        part = part * differs[:, :height, :width]
        other = compensate_plane(plane, near, size, table)
        out = torch.floor(((32 - part) * out + part * other + 16) / 32)
    return out


def compensate(y: Tensor, u: Tensor, v: Tensor, mv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Predicts frames from y [B, H, W], u and v [B, H/2, W/2] with a vector for each block.

    Planes hold integers 0..255 in any type; mv is [B, ceil(H/16), ceil(W/16), 2], of whole numbers
    (the blocks of an unsplit superblock share its vector). Returns float32 planes.
    """
    vectors = mv.long()

    def one(plane: Tensor, size: int, table: tuple[tuple[int, ...], ...]) -> Tensor:
        samples = plane.float()
        out = compensate_plane(samples, vectors, size, table)
        return overlap(out, samples, vectors, size, table)

    half = BLOCK // 2
    return one(y, BLOCK, LUMA_TAPS), one(u, half, CHROMA_TAPS), one(v, half, CHROMA_TAPS)
