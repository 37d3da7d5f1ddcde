"""Motion search of batches in PyTorch, for devices that the C++ search is not on.

It is the encoder's in outline: whole samples by differences over three sizes of the frame, then
half and quarter samples by Hadamard sums, one vector or four per superblock. But all superblocks
are searched at once: predictors come from the round before. Vectors are (x, y) in quarter luma
samples. N counts the blocks of a frame in raster order, K candidates.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bsqav.training.codec.compensation import (
    BLOCK,
    LUMA_TAPS,
    SUPERBLOCK,
    blocks_at,
    constant,
    corners,
    predict_blocks,
)

HADAMARD = tuple(
    tuple(-1 if (row & col).bit_count() % 2 else 1 for col in range(8)) for row in range(8)
)
# Samples each way of the full search, at a quarter of the size.
COARSE_RANGE = 16
# Values that the full search compares at a time.
COARSE_VALUES = 1 << 27
SPLIT_BITS = 3.0
# Mean absolute difference of an 8x8 square below which it is unmoved.
UNMOVED = 1.0
LIMIT = 2047


# ---- rates ----


def _component_bits(d: Tensor) -> Tensor:
    """Bits of a component of a difference as an Elias gamma code."""
    return 2.0 * torch.frexp(d.abs().float()).exponent.float() + 1.0


def vector_bits(d: Tensor) -> Tensor:
    """Estimated bits [...] of vector differences [..., 2]; none at all is by far the commonest."""
    bits = 1.0 + _component_bits(d[..., 0]) + _component_bits(d[..., 1])
    return bits.masked_fill((d == 0).all(-1), 1.0)


def _boxes(x: Tensor, height: int, width: int) -> Tensor:
    """[..., H, W] cut into boxes: [..., H / height, height, W / width, width]."""
    rows, cols = x.shape[-2] // height, x.shape[-1] // width
    return x.reshape(*x.shape[:-2], rows, height, cols, width)


def hadamard_sum(difference: Tensor) -> Tensor:
    """Sums [...] of the absolute Hadamard coefficients of 8x8 squares of [..., S, S], by 4."""
    matrix = constant(HADAMARD, difference.device)
    grid = _boxes(difference, 8, 8)
    squares = matrix @ grid.transpose(-3, -2) @ matrix
    return squares.abs().sum((-4, -3, -2, -1)) / 4.0


# ---- search ----


def cut_squares(plane: Tensor, size: int) -> Tensor:
    """[B, rows * size, cols * size] -> [B, rows * cols, size, size]."""
    b, height, width = plane.shape
    grid = plane.view(b, height // size, size, width // size, size)
    return grid.permute(0, 1, 3, 2, 4).reshape(b, -1, size, size)


def _halved(plane: Tensor) -> Tensor:
    """Half the size, each sample the rounded mean of four."""
    return torch.floor(F.avg_pool2d(plane.unsqueeze(1), 2).squeeze(1) + 0.5)


@dataclass
class _Blocks:
    """All blocks of one size at one level: their samples, which of those exist, and corners."""

    current: Tensor  # [B, N, S, S]
    valid: Tensor  # [1, N, S, S] of 0 and 1
    top: Tensor  # [N]
    left: Tensor
    reference: Tensor  # [B, H, W]
    rows: int
    cols: int

    @property
    def size(self) -> int:
        return self.current.shape[-1]

    def sad(self, shift: Tensor) -> Tensor:
        """Sums of absolute differences [B, N, K] of whole displacements [B, N, K, 2]."""
        b, n, k, _ = shift.shape
        top = (self.top.view(1, n, 1) + shift[..., 1]).view(b, n * k)
        left = (self.left.view(1, n, 1) + shift[..., 0]).view(b, n * k)
        found = blocks_at(self.reference, top, left, self.size).view(b, n, k, self.size, self.size)
        return ((found - self.current.unsqueeze(2)).abs() * self.valid.unsqueeze(2)).sum((-2, -1))

    def around(self, shift: Tensor, radius: int) -> tuple[Tensor, Tensor]:
        """All displacements [B, N, K, 2] within radius of shift [B, N, 2], and their sums."""
        side = 2 * radius + 1
        patch = blocks_at(
            self.reference,
            self.top + shift[..., 1] - radius,
            self.left + shift[..., 0] - radius,
            self.size + 2 * radius,
        )
        places = patch.unfold(2, self.size, 1).unfold(3, self.size, 1)
        gap = (places - self.current[:, :, None, None]).abs() * self.valid[:, :, None, None]
        offset = torch.arange(-radius, radius + 1, device=shift.device)
        grid = torch.stack([offset.repeat(side), offset.repeat_interleave(side)], -1)
        return shift.unsqueeze(2) + grid, gap.sum((-2, -1)).flatten(2)


def _cut(current: Tensor, reference: Tensor, size: int, rows: int, cols: int) -> _Blocks:
    """Blocks of a plane that is padded at the right and the bottom where it is too small."""
    _, height, width = current.shape
    pad = (0, cols * size - width, 0, rows * size - height)
    valid = F.pad(torch.ones_like(current[:1]), pad)
    top, left = corners(rows, cols, size, current.device)
    squares = cut_squares(F.pad(current, pad), size)
    return _Blocks(squares, cut_squares(valid, size), top, left, reference, rows, cols)


def _best(choices: Tensor, cost: Tensor) -> Tensor:
    """The choice [B, N, 2] of [B, N, K, 2] that costs least [B, N, K]."""
    index = cost.argmin(-1).view(*cost.shape[:2], 1, 1).expand(-1, -1, 1, 2)
    return choices.gather(2, index).squeeze(2)


def _per_superblock(blocks: Tensor) -> Tensor:
    """Sums over the four blocks of each superblock: [..., 2 rows, 2 cols] -> [..., rows, cols]."""
    return _boxes(blocks, 2, 2).sum((-3, -1))


def _per_block(superblocks: Tensor, rows: int, cols: int) -> Tensor:
    """Values of superblocks [B, rows * cols, ...] for each block [B, 4 rows * cols, ...]."""
    grid = torch.unflatten(superblocks, 1, (rows, cols))
    grid = grid.repeat_interleave(2, 1).repeat_interleave(2, 2)
    return grid.flatten(1, 2)


def _coarse(
    current: Tensor, reference: Tensor, rows: int, cols: int, lam: Tensor
) -> tuple[Tensor, Tensor]:
    """The full search at a quarter of the size: vectors [B, N, 2] of superblocks and of blocks."""
    _, height, width = current.shape
    reach, side, full = COARSE_RANGE, 2 * COARSE_RANGE + 1, (rows * 8, cols * 8)
    pad = (0, full[1] - width, 0, full[0] - height)
    valid, padded = F.pad(torch.ones_like(current[:1]), pad), F.pad(current, pad)
    more = (reach, reach + pad[1], reach, reach + pad[3])
    wide = F.pad(reference.unsqueeze(1), more, mode="replicate").squeeze(1)
    places = wide.unfold(1, full[0], 1).unfold(2, full[1], 1)  # [B, side, side, H, W]
    at_once = max(1, COARSE_VALUES // (places.numel() // side))
    sums = []
    for first in range(0, side, at_once):
        gap = (places[:, first : first + at_once] - padded[:, None, None]).abs() * valid
        sums.append(_boxes(gap, 4, 4).sum((-3, -1)))
    blocks = torch.cat(sums, 1)
    # A 16th of the samples are here, so a 16th of lambda; a sample is 16 quarter samples.
    along = torch.arange(-reach, reach + 1, device=current.device)
    rate = lam * _component_bits(16 * along) / 16.0
    rate = (rate.view(side, 1) + rate.view(1, side)).view(1, side, side, 1, 1)

    def best(sums: Tensor) -> Tensor:
        index = (sums + rate).flatten(3).flatten(1, 2).argmin(1)
        return torch.stack([index % side - reach, index // side - reach], -1)

    return best(_per_superblock(blocks)), best(blocks)


def _at_half_size(blocks: _Blocks, first: Tensor, second: Tensor) -> Tensor:
    """Refines the better of two vectors of quarter size; returns one of full size."""
    starts = 2 * torch.stack([first, second], 2)
    centre = _best(starts, blocks.sad(starts))
    return 2 * _best(*blocks.around(centre, 2))


def _neighbours(field: Tensor, rows: int, cols: int) -> Tensor:
    """Vectors [B, N, 4, 2] of the blocks to the left, above, above right and below."""
    grid = torch.unflatten(field, 1, (rows, cols))
    padded = F.pad(grid, (0, 0, 1, 1, 1, 1))
    h, w = rows, cols
    around = [
        padded[:, 1 : h + 1, :w],
        padded[:, :h, 1 : w + 1],
        padded[:, :h, 2 : w + 2],
        padded[:, 2 : h + 2, 1 : w + 1],
    ]
    return torch.stack(around, 3).flatten(1, 2)


def _median(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """The middle one of three values each."""
    return torch.maximum(torch.minimum(a, b), torch.minimum(torch.maximum(a, b), c))


def _whole(blocks: _Blocks, candidates: Tensor, lam: Tensor) -> tuple[Tensor, Tensor]:
    """Best whole displacements [B, N, 2] and their predictors in quarter samples.

    The first candidate of [B, N, K, 2] is the field that neighbours are looked up in.
    """
    field = candidates[:, :, 0]
    predictor = torch.zeros_like(field)
    for radius in (2, 1):
        around = _neighbours(field, blocks.rows, blocks.cols)
        predictor = 4 * _median(*around[:, :, :3].unbind(2))
        choices = torch.cat([field.unsqueeze(2), candidates, around], 2)
        rate = lam * vector_bits(4 * choices - predictor.unsqueeze(2))
        field = _best(choices, blocks.sad(choices) + rate)
        choices, cost = blocks.around(field, radius)
        field = _best(choices, cost + lam * vector_bits(4 * choices - predictor.unsqueeze(2)))
    return field, predictor


def _phases(blocks: _Blocks, mv: Tensor, delta: int, taps: Tensor) -> tuple[Tensor, Tensor]:
    """The nine vectors [B, N, 9, 2] around mv, delta apart, and their Hadamard sums [B, N, 9]."""
    size = blocks.size
    base = (mv - delta) >> 2
    offset = delta * torch.arange(-1, 2, device=mv.device)
    place = mv.unsqueeze(-1) + offset  # [B, N, 2, 3]
    later = ((place >> 2) - base.unsqueeze(-1)).unsqueeze(-1).bool()
    own = taps[place & 3]
    both = torch.where(later, F.pad(own, (1, 0)), F.pad(own, (0, 1)))  # [B, N, 2, 3, 9]
    taps_x, taps_y = both[:, :, 0].transpose(-1, -2), both[:, :, 1].transpose(-1, -2)
    patch = blocks_at(
        blocks.reference, blocks.top + base[..., 1] - 3, blocks.left + base[..., 0] - 3, size + 8
    )
    rows = patch.unfold(-1, 9, 1) @ taps_x.unsqueeze(2)  # [B, N, S + 8, S, 3]
    sums = rows.unfold(2, 9, 1) @ taps_y[:, :, None, None]  # [B, N, S, S, 3 of x, 3 of y]
    found = torch.floor((sums + 2048.0) / 4096.0).clamp(0, 255)
    gap = (found.permute(0, 1, 5, 4, 2, 3) - blocks.current[:, :, None, None]).flatten(2, 3)
    grid = torch.stack([offset.repeat(3), offset.repeat_interleave(3)], -1)
    return mv.unsqueeze(2) + grid, hadamard_sum(gap * blocks.valid.unsqueeze(2))


def _fraction(
    blocks: _Blocks, start: Tensor, predictor: Tensor, lam: Tensor, taps: Tensor
) -> tuple[Tensor, Tensor]:
    """Vectors in quarter samples [B, N, 2] and their costs [B, N], from whole displacements."""
    b, n, _ = start.shape
    mv = (4 * start).clamp(-LIMIT + 8, LIMIT - 8)
    for delta in (2, 1):
        choices, cost = _phases(blocks, mv, delta, taps)
        cost = cost + lam * vector_bits(choices - predictor.unsqueeze(2))
        mv, best = _best(choices, cost), cost.amin(-1)
    choices = torch.stack([mv, torch.zeros_like(mv), predictor], 2)
    top, left = (corner.repeat_interleave(2) for corner in (blocks.top, blocks.left))
    found = predict_blocks(
        blocks.reference, top, left, choices[:, :, 1:].reshape(b, 2 * n, 2), blocks.size, taps
    )
    gap = found.view(b, n, 2, blocks.size, blocks.size) - blocks.current.unsqueeze(2)
    other = hadamard_sum(gap * blocks.valid.unsqueeze(2))
    other = other + lam * vector_bits(choices[:, :, 1:] - predictor.unsqueeze(2))
    cost = torch.cat([best.unsqueeze(-1), other], -1)
    return _best(choices, cost), cost.amin(-1)


def _gain_of_split(blocks: _Blocks, shared: Tensor, coarse: Tensor, rows: int, cols: int) -> Tensor:
    """[B, rows, cols]: by how much whole vectors of their own lower the blocks' differences."""
    together = blocks.sad(shared.unsqueeze(2)).squeeze(2)
    gain = together - torch.minimum(together, blocks.around(coarse, 1)[1].amin(-1))
    return _per_superblock(torch.unflatten(gain, 1, (2 * rows, 2 * cols)))


def _unmoved(superblocks: _Blocks) -> Tensor:
    """[B, N]: no 8x8 square differs by a sample in the mean from the same place before."""
    count = superblocks.reference.shape[0]
    here = torch.zeros(count, 1, dtype=torch.long, device=superblocks.current.device)
    top, left = superblocks.top + here, superblocks.left + here
    before = blocks_at(superblocks.reference, top, left, SUPERBLOCK)
    gap = (before - superblocks.current).abs() * superblocks.valid
    return (F.avg_pool2d(gap, 8) < UNMOVED).all(-1).all(-1)


def search(current: Tensor, reference: Tensor, lam: Tensor) -> tuple[Tensor, Tensor]:
    """Motion of luma planes [B, H, W] (integers 0..255, sides multiples of 8) by another's.

    lam: absolute difference per estimated bit of a vector, a tensor of one
    value. Returns split [B, ceil(H/32), ceil(W/32)] of 0 and 1, and mv [B, ceil(H/16), ceil(W/16),
    2], as bsqav._core.motion_search_batch does; the vectors differ a little from that one's.
    """
    b, height, width = current.shape
    rows, cols = -(-height // SUPERBLOCK), -(-width // SUPERBLOCK)
    levels = [(current.float(), reference.float())]
    for _ in range(2):
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1])))
    taps = constant(LUMA_TAPS, current.device)

    coarse_s, coarse_b = _coarse(*levels[2], rows, cols, lam)
    superblocks = _cut(*levels[1], SUPERBLOCK // 2, rows, cols)
    blocks = _cut(*levels[1], BLOCK // 2, 2 * rows, 2 * cols)
    coarse_b = _at_half_size(blocks, coarse_b, _per_block(coarse_s, rows, cols))
    coarse_s = _at_half_size(superblocks, coarse_s, torch.zeros_like(coarse_s))

    superblocks = _cut(*levels[0], SUPERBLOCK, rows, cols)
    start, predictor = _whole(
        superblocks, torch.stack([coarse_s, torch.zeros_like(coarse_s)], 2), lam
    )
    mv_s, cost_s = _fraction(superblocks, start, predictor, lam, taps)

    blocks = _cut(*levels[0], BLOCK, 2 * rows, 2 * cols)
    shared = _per_block(start, rows, cols)
    start, predictor = _whole(blocks, torch.stack([shared, coarse_b, 0 * shared], 2), lam)
    mv_b, cost_b = _fraction(blocks, start, predictor, lam, taps)

    together = _per_superblock(torch.unflatten(cost_b, 1, (2 * rows, 2 * cols)))
    alone = cost_s.view(b, rows, cols)
    still = _unmoved(superblocks)
    good = alone <= SUPERBLOCK * SUPERBLOCK / 2 + lam
    gain = _gain_of_split(blocks, shared, coarse_b, rows, cols)
    split = (
        (together + lam * SPLIT_BITS < alone)
        & ~good
        & (gain > lam * (SPLIT_BITS + 4))
        & ~still.view(b, rows, cols)
    )
    mv_s = mv_s.masked_fill(still.unsqueeze(-1), 0)
    choice = _per_block(split.flatten(1), rows, cols).unsqueeze(-1)
    mv = torch.where(choice, mv_b, _per_block(mv_s, rows, cols))
    mv = torch.unflatten(mv, 1, (2 * rows, 2 * cols))
    mv = mv[:, : -(-height // BLOCK), : -(-width // BLOCK)]
    return split.to(torch.uint8), mv.to(torch.int16)
