"""How the decoder network's output answers to a bit, for the encoder's choice of bits.

The output is nearly linear in the bits of a token: what a bit adds to it depends little on the
other bits, on the prediction and on q. So its mean over random tokens tells an encoder what another
bit would do about the error of a decoded layer (docs/numerics.md, section 4).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from bsqav import _core
from bsqav.codec.modelspec import NEIGHBOURHOOD, STAGE_BITS
from bsqav.nn.codec import fields
from bsqav.nn.codec.networks import CodecNet

# By how much errors of the means of 2x2, 4x4 and 8x8 luma samples count more than those of the
# samples in the encoder.
MEAN_WEIGHTS = dict(zip((2, 4, 8), _core.encoder_decisions()["mean_weights"], strict=True))
REPEATS = 12  # flips of every bit
SIDE = 80  # tokens on a side of the probed field
SPACING = 5  # between two flips, so that their responses do not overlap
DENSITY = 0.06  # of bits that are 1
FEWEST_STAGES = 3
Q_RANGE = (120.0, 420.0)


@dataclass(frozen=True)
class Response:
    """Of every bit of a token.

    weights: [9, bits, 96], twice the weighted response of a token and of those around it, row by
    row, in step sizes. energies: [bits], their weighted squares, in squared step sizes.
    """

    weights: Tensor
    energies: Tensor


def error_weights() -> Tensor:
    """[96, 96]: x^T M x is the encoder's weighted squared error of a token."""
    weights = torch.eye(fields.SAMPLES)
    for size, weight in MEAN_WEIGHTS.items():
        for y in range(0, 8, size):
            for x in range(0, 8, size):
                mean = torch.zeros(8, 8)
                mean[y : y + size, x : x + size] = 1.0 / (size * size)
                flat = mean.flatten()
                luma = weights[: fields.LUMA, : fields.LUMA]
                luma += weight * size * size * torch.outer(flat, flat)
    return weights


@torch.no_grad()
def measure_response(net: CodecNet, seed: int = 1) -> Response:
    """The mean response of a set's decoder network; the same for the same weights."""
    generator = torch.Generator().manual_seed(seed)
    bits = net.config.stages * STAGE_BITS
    total = torch.zeros(bits, NEIGHBOURHOOD, fields.SAMPLES)
    count = torch.zeros(bits, 1, 1)
    for repeat in range(REPEATS):
        low, high = Q_RANGE
        q = torch.full((1,), low + (high - low) * repeat / (REPEATS - 1))
        for flipped, change in _flips(net, q, generator):
            total.index_add_(0, flipped, change)
            count.index_add_(0, flipped, torch.ones(len(flipped), 1, 1))
    mean = total / count
    weighted = mean @ error_weights()
    return Response((2 * weighted).transpose(0, 1), (mean * weighted).sum((1, 2)))


def _flips(net: CodecNet, q: Tensor, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
    """Flips of every bit once: which [N], and what a 1 adds to the output, [N, 9, 96]."""
    stages = net.config.stages
    size = (1, SIDE, SIDE)
    counts = torch.randint(min(FEWEST_STAGES, stages), stages + 1, size, generator=generator)
    inner = torch.arange(SPACING // 2, SIDE - 1, SPACING)
    rows, columns = torch.meshgrid(inner, inner, indexing="ij")
    at = torch.stack([rows.flatten(), columns.flatten()])
    order = torch.randperm(stages * STAGE_BITS, generator=generator)
    found = []
    for part in order.split(at.shape[1]):
        y, x = at[:, : len(part)]
        here = counts.clone()
        here[0, y, x] = torch.maximum(here[0, y, x], part // STAGE_BITS + 1)
        bits = (torch.rand(*size, stages * STAGE_BITS, generator=generator) < DENSITY).float()
        bits *= fields.presence(here, stages).repeat_interleave(STAGE_BITS, -1)
        changed = bits.clone()
        changed[0, y, x, part] = 1 - bits[0, y, x, part]
        sign = (1 - 2 * bits[0, y, x, part]).view(-1, 1, 1)
        change = (_output(net, changed, here, q) - _output(net, bits, here, q))[0]
        around = [change[y + dy, x + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        found.append((part, torch.stack(around, 1) * sign))
    return found


def _output(net: CodecNet, bits_BHWL: Tensor, stages_BHW: Tensor, q: Tensor) -> Tensor:
    """The decoder network's output where the prediction is flat, [B, H, W, 96]."""
    prediction = torch.full((*bits_BHWL.shape[:-1], fields.SAMPLES), 128.0)
    side = fields.side_vector(prediction, q, fields.LayerPlace(later=True))
    mask = torch.ones(*bits_BHWL.shape[:-1], 1)
    out: Tensor = net.dec(fields.pad_token(bits_BHWL, stages_BHW), side, mask)
    return out
