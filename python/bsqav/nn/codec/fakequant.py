"""Layers whose arithmetic can be trained in floating point and then under fake quantization.

They mirror docs/numerics.md, section 2: s8 operands, s16 residual stream in Q8, per-channel weight
scales. A network goes through three modes: FLOAT (plain training), OBSERVE (ranges of activations
are recorded) and QUANT (values are rounded as the integers will be, gradients pass straight
through). Shape suffixes: B batch, H rows, W columns of tokens, C channels, N rows of anything.
"""

import enum
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

INT8_MAX = 127.0
# The residual stream and every s16 tensor is Q8: real values are limited to +-32767/256.
STREAM_LIMIT = 32767.0 / 256.0
# Two units of the stream: the factor 1/256 / scale of its requantization stays below 1/2.
STREAM_LEAST_SCALE = 2.01 / 256.0


class Mode(enum.IntEnum):
    """What a quantization point does with the values that pass through it."""

    FLOAT = 0
    OBSERVE = 1
    QUANT = 2


def round_straight_through(x: Tensor) -> Tensor:
    """Rounds half up as docs/numerics.md does; the gradient is that of the identity."""
    return x + (torch.floor(x + 0.5) - x).detach()


class ActQuant(nn.Module):
    """A point where activations become s8, with one scale for the tensor or one per channel.

    stream: the input is the Q8 residual stream, whose values a requantization can only scale down.
    """

    scale: Tensor

    def __init__(
        self, channels: int = 1, *, stream: bool = False, quantile: float = 0.9999
    ) -> None:
        super().__init__()
        self.least = STREAM_LEAST_SCALE if stream else 1e-4
        self.quantile = quantile
        self.mode = Mode.FLOAT
        self.register_buffer("scale", torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """x [..., C] -> the same values, rounded to multiples of the scale in QUANT mode."""
        if self.mode == Mode.FLOAT:
            return x
        if self.mode == Mode.OBSERVE:
            self._observe(x.detach().float())
            return x
        scale = self.scale.to(x.dtype)
        q = (x / scale).clamp(-INT8_MAX, INT8_MAX)
        return round_straight_through(q) * scale

    def _observe(self, x: Tensor) -> None:
        if x.numel() == 0:  # a layer without active tokens
            return
        flat = x.reshape(-1, x.shape[-1]).abs()
        if self.scale.numel() == 1:
            flat = flat.reshape(-1, 1)
        rank = max(1, int(flat.shape[0] * (1.0 - self.quantile)))
        top = flat.topk(min(rank, flat.shape[0]), dim=0).values[-1] / INT8_MAX
        self.scale.copy_(torch.maximum(self.scale, top.clamp_min(self.least)))


def quantize_weight(weight: Tensor) -> tuple[Tensor, Tensor]:
    """weight [N, K] -> (integers -127..127 as floats, scale [N, 1]), a scale per output channel."""
    scale = weight.abs().amax(dim=1, keepdim=True).clamp_min(1e-6) / INT8_MAX
    return round_straight_through(weight / scale), scale


def weight_in_mode(weight: Tensor, mode: Mode) -> Tensor:
    """Weights [N, K] as a forward pass uses them: rounded to s8 in QUANT mode."""
    if mode != Mode.QUANT:
        return weight
    q, scale = quantize_weight(weight)
    return q * scale


class QLinear(nn.Linear):
    """A linear layer with s8 weights in QUANT mode. The input is quantized by its producer."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True, gain: float = 1.0) -> None:
        super().__init__(inputs, outputs, bias)
        self.mode = Mode.FLOAT
        nn.init.normal_(self.weight, std=gain * inputs**-0.5)
        if bias:
            nn.init.zeros_(self.bias)

    def quantized_weight(self) -> Tensor:
        """[N, K], as the forward pass uses it in the current mode."""
        return weight_in_mode(self.weight, self.mode)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., K] -> [..., N]"""
        return F.linear(x, self.quantized_weight(), self.bias)


class QDepthwise(nn.Module):
    """Depthwise 5x5 convolution over the token grid, zero outside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mode = Mode.FLOAT
        weight = torch.randn(channels, 25) * 0.1
        weight[:, 12] += 1.0
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(channels))

    def quantized_weight(self) -> Tensor:
        """[C, 25], as the forward pass uses it in the current mode."""
        return weight_in_mode(self.weight, self.mode)

    def forward(self, x_BHWC: Tensor) -> Tensor:
        """[B, H, W, C] -> [B, H, W, C]"""
        weight = self.quantized_weight().view(-1, 1, 5, 5)
        x = x_BHWC.permute(0, 3, 1, 2)
        y = F.conv2d(x, weight, self.bias, padding=2, groups=weight.shape[0])
        return y.permute(0, 2, 3, 1)


def stream_add(x: Tensor, y: Tensor) -> Tensor:
    """The saturating sum of two s16 streams (without their rounding, which is far below s8)."""
    return (x + y).clamp(-STREAM_LIMIT, STREAM_LIMIT)


class FeedForward(nn.Module):
    """y = fc2(gelu(fc1(s8 input))) with the activation as a table from s8 to s8."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = QLinear(width, hidden, gain=1.4)
        self.pre = ActQuant()
        self.post = ActQuant()
        self.fc2 = QLinear(hidden, width, gain=0.5)

    def forward(self, x: Tensor) -> Tensor:
        """[..., C] -> [..., C]"""
        return cast(Tensor, self.fc2(self.post(F.gelu(self.pre(self.fc1(x))))))


@dataclass(frozen=True)
class ActiveRows:
    """The active tokens of [B, H, W], a row each.

    In frames between keyframes they are about a third of all.
    """

    grid: tuple[int, int, int]
    at_N: Tensor  # places in B * H * W, rising

    @classmethod
    def of(cls, mask_BHW1: Tensor) -> "ActiveRows":
        """Those that the mask does not leave at 0."""
        b, h, w, _ = mask_BHW1.shape
        return cls((b, h, w), mask_BHW1.flatten().nonzero().squeeze(-1))

    def gather(self, x_BHWC: Tensor) -> Tensor:
        """[B, H, W, C] -> [N, C]"""
        return x_BHWC.flatten(0, 2).index_select(0, self.at_N)

    def scatter(self, x_NC: Tensor) -> Tensor:
        """[N, C] -> [B, H, W, C], 0 elsewhere."""
        b, h, w = self.grid
        whole = x_NC.new_zeros(b * h * w, x_NC.shape[-1])
        return whole.index_copy(0, self.at_N, x_NC).view(b, h, w, -1)


class Block(nn.Module):
    """x + FeedForward(depthwise(x)) on the residual stream, at active tokens."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.into = ActQuant(width, stream=True)
        self.dw = QDepthwise(width)
        self.mid = ActQuant()
        self.ffn = FeedForward(width, hidden)

    def forward(self, x_BHWC: Tensor, mask_BHW1: Tensor) -> Tensor:
        """[B, H, W, C] -> [B, H, W, C]; inactive tokens read as 0."""
        a = self.into(x_BHWC) * mask_BHW1
        return stream_add(x_BHWC, self.ffn(self.mid(self.dw(a))))

    def at_rows(self, x_NC: Tensor, rows: ActiveRows) -> Tensor:
        """`forward` for the active tokens alone, [N, C] -> [N, C]."""
        d = rows.gather(self.dw(rows.scatter(self.into(x_NC))))
        return stream_add(x_NC, self.ffn(self.mid(d)))


def set_mode(module: nn.Module, mode: Mode) -> None:
    """Puts every layer of the module into one mode. Entering OBSERVE forgets old ranges."""
    for child in module.modules():
        if isinstance(child, ActQuant | QLinear | QDepthwise):
            child.mode = mode
        if isinstance(child, ActQuant) and mode == Mode.OBSERVE:
            child.scale.zero_()
