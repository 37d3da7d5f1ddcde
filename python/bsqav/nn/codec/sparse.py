"""Where training starts: the bits of a token as a sparse code of its residual's cosine transform.

Every coefficient has pairs of bits, "at least T steps above" and "at least T steps below"; low
frequencies have several pairs with rising thresholds. With these weights the networks are a plain
transform codec, and learn from there. (Binary codes started at random learn balanced bits, whose
cost per token is fixed: see docs/training.md for what that came to.)
"""

import math

import torch
from torch import Tensor

from bsqav.errors import ModelError
from bsqav.nn.codec import fields
from bsqav.nn.codec.fakequant import QLinear
from bsqav.nn.codec.networks import CodecNet

# What a bit adds to its coefficient, in steps, and how far the coefficient must be, in DELTA, above
# the level before for the bit to be 1.
DELTA = 1.4
THRESHOLD = 0.62
# Bits per unit of the coefficient, in the scale of the soft sign (see codec.soft_bits).
SLOPE = 4.0
# How likely a bit is goes by its threshold times a weight: the weight grows with the frequency by
# ROLL_OFF, and the factors are those of chroma and of mean values.
ROLL_OFF = 0.35
CHROMA_FACTOR = 1.5
DC_FACTOR = 0.45


def cosine_basis(size: int) -> Tensor:
    """[size, size] rows of the orthonormal DCT-II."""
    k = torch.arange(size, dtype=torch.float64).view(-1, 1)
    x = torch.arange(size, dtype=torch.float64).view(1, -1)
    basis = torch.cos(math.pi * (2 * x + 1) * k / (2 * size)) * math.sqrt(2 / size)
    basis[0] /= math.sqrt(2)
    return basis


def token_basis() -> tuple[Tensor, list[float]]:
    """[96, 96] rows that turn a token's samples into coefficients, and each row's frequency."""
    basis = torch.zeros(fields.SAMPLES, fields.SAMPLES, dtype=torch.float64)
    frequency: list[float] = []
    first = 0
    for size in (8, 4, 4):
        rows = cosine_basis(size)
        count = size * size
        block = torch.einsum("ux,vy->uvxy", rows, rows).reshape(count, count)
        basis[first : first + count, first : first + count] = block
        frequency += [(i // size + i % size) * 8 / size for i in range(count)]
        first += count
    return basis.float(), frequency


def bit_pairs(stages: int) -> list[tuple[int, int]]:
    """(coefficient, level) of every pair of bits, the likelier ones first; 16 pairs a stage."""
    _, frequency = token_basis()

    def weight(row: int) -> float:
        factor = CHROMA_FACTOR if row >= fields.LUMA else 1.0
        return factor * (DC_FACTOR if frequency[row] == 0 else 1 + ROLL_OFF * frequency[row])

    count = stages * fields.STAGE_BITS // 2
    keyed = sorted(
        ((level + THRESHOLD) * weight(row), row, level)
        for row in range(fields.SAMPLES)
        for level in range(8)
    )
    chosen = [(key, row, level) for key, row, level in keyed if level == 0][:count]
    chosen += [item for item in keyed if item[2] > 0][: count - len(chosen)]
    return [(row, level) for _, row, level in sorted(chosen)]


@torch.no_grad()
def start_from_transform(net: CodecNet) -> None:
    """Sets the weights of a fresh network.

    Raises ModelError unless encoder and decoder are at least 96 wide.
    """
    basis, _ = token_basis()
    size = fields.SAMPLES
    if min(net.config.encoder_width, net.config.decoder_width) < size:
        raise ModelError(f"encoder_width and decoder_width must be at least {size} for training")
    enc, dec = net.enc, net.dec
    for block in [*enc.blocks, *dec.blocks]:
        block.ffn.fc2.weight.mul_(0.1)
    enc.into.weight[:size] = 0
    enc.into.weight[:size, :size] = basis
    enc.head.weight[:, size:] *= 0.05
    enc.head.weight[:, :size] = 0
    dec.tok.weight[:size] = 0
    dec.side.weight[:size] = 0
    dec.out.weight[:, :size] = basis.T
    dec.out.weight[:, size:] *= 0.05
    for index, (row, level) in enumerate(bit_pairs(net.config.stages)):
        for bit, sign in ((2 * index, 1.0), (2 * index + 1, -1.0)):
            enc.head.weight[bit, row] = sign * SLOPE / DELTA
            enc.head.bias[bit] = -SLOPE * (level + THRESHOLD)
            dec.tok.weight[row, bit] = sign * DELTA
    for head in net.prior.heads:
        assert isinstance(head, QLinear)
        head.bias.fill_(-2.0)
