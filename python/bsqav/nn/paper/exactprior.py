"""The autoregressive prior in arithmetic that is the same everywhere.

Floating-point sums depend on their order, and so on the processor, the library, the number of
threads and the shape of the batch. Here every number that goes into a sum is a multiple of a power
of two with so few digits that the sum is exact in float64, in any order and with or without fused
operations. Between sums there are only single additions, multiplications, divisions and square
roots of IEEE 754, which are rounded alike everywhere, and roundings to such multiples; exponentials
are polynomials made of them. So one pass over all tokens gives the numbers of a pass token by
token: the coder takes the first, the decoder the second.

    weights       16 bits, a scale for each matrix
    stream        multiples of 2^-20 up to 2^12 (what blocks are added to)
    activations   multiples of 2^-12 up to 2^9 (after norms, queries, keys, values, hidden)
    norms         on 18 bits, with a power of two for each token
    softmax       e^t in multiples of 2^-30, shares in multiples of 2^-24

Shape suffixes: B batch, N tokens of this call, K keys, S sub-tokens of a clip, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from bsqav.errors import UsageError
from bsqav.nn.paper.arprior import ARPrior
from bsqav.nn.paper.attention import KeyValueCache, SelfAttention, TransformerBlock

__all__ = ["ExactPrior", "exponential"]

STREAM_BITS, STREAM_TOP = 20, 2.0**12
ACTIVATION_BITS, ACTIVATION_TOP = 12, 2.0**9
WEIGHT_BITS, NORM_BITS = 15, 17  # besides the sign
SOFT_BITS, SHARE_BITS = 30, 24
# Sums of 2^13 products of 21 and 16 bits, or of squares of 18 bits, or of 2^10 of 21 and 21 bits,
# stay below 2^53.
MAX_WIDTH, MAX_HEAD = 1 << 13, 1 << 10
# Queries of a pass at once, which bounds the memory for scores.
QUERIES = 128
LOWEST = 48  # e^t is 0 in multiples of 2^-30 before 2^-48
# Constants are written out: a library's logarithm may differ in the last digit.
LN2, LOG2_E = 0.6931471805599453, 1.4426950408889634
# Of 2^f for f from -1/2 to 1/2: ln(2)^n / n!, to 1e-13.
POWERS = (
    1.0,
    0.6931471805599453,
    0.2402265069591007,
    0.055504108664821576,
    0.009618129107628477,
    0.0013333558146428441,
    0.00015403530393381606,
    1.5252733804059838e-05,
    1.3215486790144305e-06,
    1.0178086009239696e-07,
    7.054911620801121e-09,
    4.44553827187081e-10,
)
# Of the error function (Abramowitz and Stegun 7.1.26, to 1.5e-7).
ERF = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
ERF_P = 0.3275911


def _fixed(x: Tensor, bits: int, top: float) -> Tensor:
    """Rounded to multiples of 2^-bits, limited to `top`."""
    scale = 2.0**bits
    return (x.clamp(-top, top) * scale).round() * (1.0 / scale)


def _activation(x: Tensor) -> Tensor:
    return _fixed(x, ACTIVATION_BITS, ACTIVATION_TOP)


def _stream(x: Tensor) -> Tensor:
    return _fixed(x, STREAM_BITS, STREAM_TOP)


def exponential(t: Tensor) -> Tensor:
    """e^t of t <= 0 in float64, in multiples of 2^-30."""
    y = t.clamp_min(-LOWEST * LN2) * LOG2_E
    whole = y.round()
    rest = y - whole
    power = torch.full_like(rest, POWERS[-1])
    for coefficient in reversed(POWERS[:-1]):
        power = power * rest
        power = power + coefficient
    table = [2.0**-n for n in range(LOWEST + 1)]
    scale = torch.tensor(table, dtype=torch.float64, device=t.device)[(-whole).long()]
    return _fixed(power * scale, SOFT_BITS, 1.0)


def _gelu(x: Tensor) -> Tensor:
    z = x.abs() * math.sqrt(0.5)
    near = z.clamp_max(5.0)
    t = 1.0 / (1.0 + near * ERF_P)
    series = torch.full_like(t, ERF[-1])
    for coefficient in reversed(ERF[:-1]):
        series = series * t
        series = series + coefficient
    tail = series * t * exponential(-(near * near))  # 1 - erf
    half = x * 0.5
    return torch.where(x > 0, half * (2.0 - tail), half * tail)


class _Linear:
    """A matrix of 16 bits, and biases."""

    def __init__(self, linear: nn.Linear) -> None:
        weight = linear.weight.detach().double()
        largest = float(weight.abs().max())
        exponent = math.frexp(largest)[1] if largest > 0 else 0
        scale = 2.0 ** (WEIGHT_BITS - exponent)
        limit = 2.0**WEIGHT_BITS - 1
        self.weight = ((weight * scale).round().clamp(-limit, limit) / scale).t().contiguous()
        self.bias = _stream(linear.bias.detach().double())

    def __call__(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


class _Norm:
    """LayerNorm."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        self.weight, self.bias = norm.weight.detach().double(), norm.bias.detach().double()
        self.eps = norm.eps

    def __call__(self, x: Tensor) -> Tensor:
        exponent = torch.frexp(x.abs().amax(-1, keepdim=True)).exponent
        places = (exponent + STREAM_BITS + 1).clamp_min(0).long()
        table = [2.0 ** (NORM_BITS - e + STREAM_BITS + 1) for e in range(64)]
        scale = torch.tensor(table, dtype=torch.float64, device=x.device)[places]
        y = (x * scale).round()
        mean = y.sum(-1, keepdim=True) / y.shape[-1]
        power = (y * y).sum(-1, keepdim=True) / y.shape[-1]
        variance = (power - mean * mean).clamp_min(0.0)
        deviation = (variance + scale * scale * self.eps).sqrt()
        return _activation((y - mean) / deviation * self.weight + self.bias)


class _Attention:
    def __init__(self, attention: SelfAttention, layer: int) -> None:
        self.heads, self.layer = attention.heads, layer
        self.qkv, self.out = _Linear(attention.qkv), _Linear(attention.out)

    def __call__(self, x: Tensor, cache: KeyValueCache) -> Tensor:
        b, n, c = x.shape
        each = c // self.heads
        qkv = _activation(self.qkv(x)).view(b, n, 3, self.heads, each).permute(2, 0, 3, 1, 4)
        past = cache.length_of(self.layer)
        keys, values = cache.extend(self.layer, qkv[1], qkv[2])
        parts = [
            self._attend(qkv[0][:, :, at : at + QUERIES], keys, values, past + at)
            for at in range(0, n, QUERIES)
        ]
        y = torch.cat(parts, 2).transpose(1, 2).reshape(b, n, c)
        return self.out(y)

    def _attend(self, q: Tensor, keys: Tensor, values: Tensor, first: int) -> Tensor:
        """Of queries at places `first` and on."""
        n = q.shape[2]
        keys, values = keys[:, :, : first + n], values[:, :, : first + n]
        scores = q @ keys.transpose(-1, -2) * (1.0 / math.sqrt(q.shape[-1]))
        hidden = None
        if n > 1:
            places = torch.arange(first + n, device=q.device)
            hidden = places > places[first:].unsqueeze(1)
            scores = scores.masked_fill(hidden, -math.inf)
        weights = exponential(scores - scores.amax(-1, keepdim=True))
        if hidden is not None:
            weights = weights.masked_fill(hidden, 0.0)
        shares = _fixed(weights / weights.sum(-1, keepdim=True), SHARE_BITS, 1.0)
        return _activation(shares @ values)


class _Block:
    def __init__(self, block: TransformerBlock, layer: int) -> None:
        self.pre_norm = block.pre_norm
        self.norm1, self.norm2 = _Norm(block.norm1), _Norm(block.norm2)
        self.attention = _Attention(block.attention, layer)
        self.into, self.out = (_Linear(cast(nn.Linear, block.mlp[i])) for i in (0, 2))

    def __call__(self, x: Tensor, cache: KeyValueCache) -> Tensor:
        if self.pre_norm:
            x = _stream(x + self.attention(self.norm1(x), cache))
            return _stream(x + self._mlp(self.norm2(x)))
        x = self.norm1(_stream(x + self.attention(_activation(x), cache)))
        return self.norm2(_stream(x + self._mlp(x)))

    def _mlp(self, x: Tensor) -> Tensor:
        return self.out(_activation(_gelu(self.into(x))))


class ExactPrior:
    """An ARPrior's weights and its unroll, in this arithmetic, on the prior's device.

    Probabilities differ from the prior's own by rounding: tests keep the rate within 0.5 %. Raises
    UsageError for networks so wide that sums would not be exact, and for weights that are no
    numbers.
    """

    def __init__(self, prior: ARPrior) -> None:
        sizes = prior.config.transformer
        if max(sizes.width, sizes.hidden) > MAX_WIDTH or sizes.width // sizes.heads > MAX_HEAD:
            raise UsageError(
                f"streams take priors up to {MAX_WIDTH} wide, with heads up to {MAX_HEAD}"
            )
        if not all(bool(weight.isfinite().all()) for weight in prior.parameters()):
            raise UsageError("the prior's weights are no numbers (NaN or infinity)")
        self.config = prior.config
        self.start = _stream(prior.start.detach().double())
        self.embed = _stream(prior.embed.weight.detach().double())
        self.places = _stream(prior.places(prior.config.length).detach().double())
        blocks = cast("list[TransformerBlock]", list(prior.transformer.blocks))
        self.blocks = [_Block(block, layer) for layer, block in enumerate(blocks)]
        self.norm, self.head = _Norm(prior.norm), _Linear(prior.head)

    @torch.no_grad()
    def weights_of(self, values_BS: Tensor) -> Tensor:
        """All sub-tokens at once -> [B, S, V] in float64: e^(logit - largest) of every value.

        Those at s depend on sub-tokens before s only.
        """
        length = values_BS.shape[1]
        first = self.start.expand(len(values_BS), 1, -1)
        x = torch.cat([first, self._embed(values_BS[:, :-1], 0)], 1)
        return self._weights(x, 0, self._cache(length))

    @torch.no_grad()
    def unroll(self, batch: int, length: int, choose: Callable[[int, Tensor], Tensor]) -> Tensor:
        """Step by step -> values [B, S] that were chosen.

        choose: gets the place s and the weights [B, V] there, as weights_of has them, and returns
        the values [B].
        """
        cache = self._cache(length)
        x = self.start.expand(batch, 1, -1)
        device = self.start.device
        values_BS = torch.zeros(batch, length, dtype=torch.long, device=device)
        for s in range(length):
            values_BS[:, s] = choose(s, self._weights(x, s, cache)[:, 0])
            x = self._embed(values_BS[:, s : s + 1], s)
        return values_BS

    def _cache(self, length: int) -> KeyValueCache:
        return KeyValueCache(len(self.blocks), length)

    def _weights(self, x: Tensor, first: int, cache: KeyValueCache) -> Tensor:
        x = _stream(x + self.places[first : first + x.shape[1]])
        for block in self.blocks:
            x = block(x, cache)
        logits = _activation(self.head(self.norm(x)))
        return exponential(logits - logits.amax(-1, keepdim=True))

    def _embed(self, values_BS: Tensor, first: int) -> Tensor:
        tokens = self.config.tokens
        at = torch.arange(first, first + values_BS.shape[1], device=values_BS.device)
        return self.embed[values_BS + at % tokens.groups * tokens.values]
