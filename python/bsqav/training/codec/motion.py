"""Motion search and compensation of batches in PyTorch, for devices that the C++ search is not on.

Compensation is docs/bitstream.md, section 4.3, to the bit: its sums are integers below 2^24, which
float32 holds. The search is the encoder's in spirit (whole samples by differences over three sizes
of the picture, then half and quarter samples by Hadamard sums, one vector or four a window), but
all windows go at once: predictors come from the round before. Vectors are (x, y) in quarter luma
samples. N counts the blocks of a picture in raster order, K candidates.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
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
HADAMARD = tuple(
    tuple(-1 if (row & col).bit_count() % 2 else 1 for col in range(8)) for row in range(8)
)
WINDOW, PART = 32, 16
# Samples each way of the whole search, at a quarter of the size.
COARSE_RANGE = 16
# Values that the whole search compares at a time.
COARSE_VALUES = 1 << 27
SPLIT_BITS = 3.0
# Mean absolute difference of an 8x8 square that is taken for unmoved.
UNMOVED = 1.0
LIMIT = 2047


# ---- blocks and filters ----


@lru_cache
def _constant(table: tuple[tuple[int, ...], ...], device: torch.device) -> Tensor:
    """A table on a device. Copied there once: a CUDA graph may not copy from the CPU."""
    return torch.tensor(table, dtype=torch.float32, device=device)


def blocks_at(plane: Tensor, top: Tensor, left: Tensor, size: int) -> Tensor:
    """Squares of plane [B, H, W] whose corners are top, left [B, N]; edge samples go on outside.

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


def _corners(rows: int, cols: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """top, left [rows * cols] of a grid of squares."""
    top = torch.arange(rows, device=device).repeat_interleave(cols) * size
    left = torch.arange(cols, device=device).repeat(rows) * size
    return top, left


def _tiles(plane: Tensor, size: int) -> Tensor:
    """[B, rows * size, cols * size] -> [B, rows * cols, size, size]."""
    b, height, width = plane.shape
    grid = plane.view(b, height // size, size, width // size, size)
    return grid.permute(0, 1, 3, 2, 4).reshape(b, -1, size, size)


def compensate(y: Tensor, u: Tensor, v: Tensor, mv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Predicts frames from y [B, H, W], u and v [B, H/2, W/2] with vectors of all parts.

    Planes hold integers 0..255 in any type; mv is [B, ceil(H/16), ceil(W/16), 2], of whole numbers
    (an unsplit window's parts share its vector). Returns float32 planes.
    """

    def one(plane: Tensor, size: int, table: tuple[tuple[int, ...], ...]) -> Tensor:
        b, height, width = plane.shape
        rows, cols = mv.shape[1:3]
        taps = _constant(table, plane.device)
        top, left = _corners(rows, cols, size, plane.device)
        blocks = predict_blocks(plane.float(), top, left, mv.long().flatten(1, 2), size, taps)
        grid = blocks.view(b, rows, cols, size, size).permute(0, 1, 3, 2, 4)
        return grid.reshape(b, rows * size, cols * size)[:, :height, :width]

    half = PART // 2
    return one(y, PART, LUMA_TAPS), one(u, half, CHROMA_TAPS), one(v, half, CHROMA_TAPS)


# ---- prices ----


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
    matrix = _constant(HADAMARD, difference.device)
    grid = _boxes(difference, 8, 8)
    squares = matrix @ grid.transpose(-3, -2) @ matrix
    return squares.abs().sum((-4, -3, -2, -1)) / 4.0


# ---- search ----


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
    top, left = _corners(rows, cols, size, current.device)
    tiles = _tiles(F.pad(current, pad), size)
    return _Blocks(tiles, _tiles(valid, size), top, left, reference, rows, cols)


def _best(choices: Tensor, cost: Tensor) -> Tensor:
    """The choice [B, N, 2] of [B, N, K, 2] that costs least [B, N, K]."""
    index = cost.argmin(-1).view(*cost.shape[:2], 1, 1).expand(-1, -1, 1, 2)
    return choices.gather(2, index).squeeze(2)


def _of_windows(parts: Tensor) -> Tensor:
    """Sums over the four parts of each window: [..., 2 rows, 2 cols] -> [..., rows, cols]."""
    return _boxes(parts, 2, 2).sum((-3, -1))


def _to_parts(windows: Tensor, rows: int, cols: int) -> Tensor:
    """Values of windows [B, rows * cols, ...] for each of their parts [B, 4 rows * cols, ...]."""
    grid = torch.unflatten(windows, 1, (rows, cols))
    grid = grid.repeat_interleave(2, 1).repeat_interleave(2, 2)
    return grid.flatten(1, 2)


def _coarse(
    current: Tensor, reference: Tensor, rows: int, cols: int, lam: Tensor
) -> tuple[Tensor, Tensor]:
    """The whole search at a quarter of the size: vectors [B, N, 2] of windows and of parts."""
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
    parts = torch.cat(sums, 1)
    # A 16th of the samples are here, so a 16th of a bit's price; a sample is 16 quarter samples.
    along = torch.arange(-reach, reach + 1, device=current.device)
    price = lam * _component_bits(16 * along) / 16.0
    price = (price.view(side, 1) + price.view(1, side)).view(1, side, side, 1, 1)

    def best(sums: Tensor) -> Tensor:
        index = (sums + price).flatten(3).flatten(1, 2).argmin(1)
        return torch.stack([index % side - reach, index // side - reach], -1)

    return best(_of_windows(parts)), best(parts)


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
        price = lam * vector_bits(4 * choices - predictor.unsqueeze(2))
        field = _best(choices, blocks.sad(choices) + price)
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


def _gain_of_parts(parts: _Blocks, shared: Tensor, coarse: Tensor, rows: int, cols: int) -> Tensor:
    """[B, rows, cols]: by how much whole vectors of their own bring the parts' differences down."""
    together = parts.sad(shared.unsqueeze(2)).squeeze(2)
    gain = together - torch.minimum(together, parts.around(coarse, 1)[1].amin(-1))
    return _of_windows(torch.unflatten(gain, 1, (2 * rows, 2 * cols)))


def _unmoved(windows: _Blocks) -> Tensor:
    """[B, N]: no 8x8 square differs by as much as a sample in the mean from what was there."""
    count = windows.reference.shape[0]
    here = torch.zeros(count, 1, dtype=torch.long, device=windows.current.device)
    before = blocks_at(windows.reference, windows.top + here, windows.left + here, WINDOW)
    gap = (before - windows.current).abs() * windows.valid
    return (F.avg_pool2d(gap, 8) < UNMOVED).all(-1).all(-1)


def search(current: Tensor, reference: Tensor, lam: Tensor) -> tuple[Tensor, Tensor]:
    """Motion of luma planes [B, H, W] (integers 0..255, sides multiples of 8) by another's.

    lam: price of an estimated bit of a vector in units of absolute difference, a tensor of one
    value. Returns split [B, ceil(H/32), ceil(W/32)] of 0 and 1, and mv [B, ceil(H/16), ceil(W/16),
    2], as bsqav._core.motion_search_batch does; the vectors differ a little from that one's.
    """
    b, height, width = current.shape
    rows, cols = -(-height // WINDOW), -(-width // WINDOW)
    levels = [(current.float(), reference.float())]
    for _ in range(2):
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1])))
    taps = _constant(LUMA_TAPS, current.device)

    coarse_w, coarse_p = _coarse(*levels[2], rows, cols, lam)
    windows = _cut(*levels[1], WINDOW // 2, rows, cols)
    parts = _cut(*levels[1], PART // 2, 2 * rows, 2 * cols)
    coarse_p = _at_half_size(parts, coarse_p, _to_parts(coarse_w, rows, cols))
    coarse_w = _at_half_size(windows, coarse_w, torch.zeros_like(coarse_w))

    windows = _cut(*levels[0], WINDOW, rows, cols)
    start, predictor = _whole(windows, torch.stack([coarse_w, torch.zeros_like(coarse_w)], 2), lam)
    mv_w, cost_w = _fraction(windows, start, predictor, lam, taps)

    parts = _cut(*levels[0], PART, 2 * rows, 2 * cols)
    shared = _to_parts(start, rows, cols)
    start, predictor = _whole(parts, torch.stack([shared, coarse_p, 0 * shared], 2), lam)
    mv_p, cost_p = _fraction(parts, start, predictor, lam, taps)

    together = _of_windows(torch.unflatten(cost_p, 1, (2 * rows, 2 * cols)))
    alone = cost_w.view(b, rows, cols)
    still = _unmoved(windows)
    good = alone <= WINDOW * WINDOW / 2 + lam
    worth = _gain_of_parts(parts, shared, coarse_p, rows, cols) > lam * (SPLIT_BITS + 4)
    split = (together + lam * SPLIT_BITS < alone) & ~good & worth & ~still.view(b, rows, cols)
    mv_w = mv_w.masked_fill(still.unsqueeze(-1), 0)
    choice = _to_parts(split.flatten(1), rows, cols).unsqueeze(-1)
    mv = torch.where(choice, mv_p, _to_parts(mv_w, rows, cols))
    mv = torch.unflatten(mv, 1, (2 * rows, 2 * cols))
    mv = mv[:, : -(-height // PART), : -(-width // PART)]
    return split.to(torch.uint8), mv.to(torch.int16)
