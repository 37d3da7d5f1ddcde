"""Discriminators for adversarial training: StyleGAN2's, as the paper has it, and PatchGAN.

Both take images [B, 3, rows, columns], or videos [B, 3, T, rows, columns] frame by frame.
ClipDiscriminator takes videos as a whole.
"""

from __future__ import annotations

import itertools
import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bsqav.errors import UsageError

__all__ = ["ClipDiscriminator", "PatchDiscriminator", "StyleDiscriminator"]

COLOURS = 3
SLOPE = 0.2
# Restores the second moment after a leaky ReLU, and halves it where two branches are added.
ACTIVATION_GAIN, BRANCH_GAIN = math.sqrt(2.0), math.sqrt(0.5)
BLUR = (1.0, 3.0, 3.0, 1.0)
LAST_SIDE = 4


def _frames(x: Tensor) -> Tensor:
    """Videos as images, [B T, 3, rows, columns]. Raises UsageError for other shapes."""
    if x.dim() == 5:
        x = x.transpose(1, 2).flatten(0, 1)
    if x.dim() != 4 or x.shape[1] != COLOURS:
        raise UsageError(f"a discriminator takes [B, 3, (T,) rows, columns], not {tuple(x.shape)}")
    return x


class _EqualConv(nn.Module):
    """A convolution of unit-variance weights that are scaled at run time (equalized rate).

    down: halves the image after a low-pass filter. gain: of the output. linear: without bias and
    activation.
    """

    blur: Tensor

    def __init__(
        self, inputs: int, outputs: int, size: int, *, down: bool = False, linear: bool = False
    ) -> None:
        super().__init__()
        self.size, self.down, self.linear = size, down, linear
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.scale = 1.0 / math.sqrt(inputs * size * size)
        if linear:
            self.register_parameter("bias", None)
        else:
            self.bias = nn.Parameter(torch.zeros(outputs))
        taps = torch.tensor(BLUR)
        kernel = torch.outer(taps, taps)
        self.register_buffer("blur", kernel / kernel.sum(), persistent=False)

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        weight = (self.weight * self.scale).to(x.dtype)
        if not self.down:
            y = F.conv2d(x, weight, padding=self.size // 2)
        else:  # the filter's pad keeps the output at half the size, centred
            filtered = self._blurred(x, 1 + self.size // 2, 1 if self.size > 1 else 2)
            y = F.conv2d(filtered, weight, stride=2 if self.size > 1 else 1)
        if self.linear:
            return y * gain
        y = y + self.bias.to(x.dtype).view(-1, 1, 1)
        return F.leaky_relu(y, SLOPE) * (ACTIVATION_GAIN * gain)

    def _blurred(self, x: Tensor, pad: int, stride: int) -> Tensor:
        channels = x.shape[1]
        kernel = self.blur.to(x.dtype).expand(channels, 1, -1, -1)
        return F.conv2d(x, kernel, stride=stride, padding=pad, groups=channels)


class _EqualLinear(nn.Module):
    def __init__(self, inputs: int, outputs: int, activate: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale, self.activate = 1.0 / math.sqrt(inputs), activate

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight * self.scale, self.bias)
        return F.leaky_relu(y, SLOPE) * ACTIVATION_GAIN if self.activate else y


class _Block(nn.Module):
    """Two convolutions with a plain path in parallel, to half the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv0 = _EqualConv(inputs, inputs, 3)
        self.conv1 = _EqualConv(inputs, outputs, 3, down=True)
        self.skip = _EqualConv(inputs, outputs, 1, down=True, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(self.conv0(x), BRANCH_GAIN)
        return cast(Tensor, self.skip(x, BRANCH_GAIN) + y)


def minibatch_deviation(x: Tensor, group: int) -> Tensor:
    """[B, C, H, W] with one channel more: the mean standard deviation over groups of samples.

    Groups have the largest divisor of B up to `group` samples.
    """
    b, c, h, w = x.shape
    size = max(n for n in range(1, min(group, b) + 1) if b % n == 0)
    parts = x.view(size, -1, c, h, w)
    deviation = (parts.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
    return torch.cat([x, deviation.repeat(size).view(b, 1, 1, 1).expand(b, 1, h, w)], 1)


def _widths(side: int, channels: int, most: int) -> list[int]:
    """Channels at each size, from `side` to 4. Raises UsageError for another side."""
    if side < 2 * LAST_SIDE or side & (side - 1):
        raise UsageError(f"the discriminator's side is a power of two from 8, not {side}")
    sides = [side >> i for i in range(side.bit_length()) if side >> i >= LAST_SIDE]
    return [max(1, min(channels // n, most)) for n in sides]


class StyleDiscriminator(nn.Module):
    """StyleGAN2's residual discriminator (arXiv 1912.04958), one logit for an image.

    side: rows and columns of the images, a power of two from 8. channels: of the layer at one
    pixel, halved with every doubling of the side; most: limit of channels. group: samples whose
    deviation is looked at together. Raises UsageError for another side.
    """

    def __init__(
        self, side: int = 256, *, channels: int = 32768, most: int = 512, group: int = 4
    ) -> None:
        super().__init__()
        widths = _widths(side, channels, most)
        self.side, self.group = side, group
        self.into = _EqualConv(COLOURS, widths[0], 1)
        self.blocks = nn.Sequential(*(_Block(a, b) for a, b in itertools.pairwise(widths)))
        last = widths[-1]
        self.conv = _EqualConv(last + 1, last, 3)
        self.hidden = _EqualLinear(last * LAST_SIDE**2, last, activate=True)
        self.out = _EqualLinear(last, 1, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, (T,) side, side] -> logits [B (T), 1] in float32, larger for what seems real."""
        x = _frames(x)
        if x.shape[-2:] != (self.side, self.side):
            raise UsageError(
                f"the discriminator takes {self.side} x {self.side} pixels, "
                f"not {x.shape[-2]} x {x.shape[-1]}"
            )
        x = self.blocks(self.into(x))
        with torch.autocast(x.device.type, enabled=False):
            x = self.conv(minibatch_deviation(x.float(), self.group))
            return cast(Tensor, self.out(self.hidden(x.flatten(1))))


class _TimeBlock(nn.Module):
    """A convolution over three frames beside a plain path; both halve the frames where `down`."""

    def __init__(self, channels: int, down: bool) -> None:
        super().__init__()
        self.down = down
        self.weight = nn.Parameter(torch.randn(channels, channels, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.scale = 1.0 / math.sqrt(3 * channels)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        b, t, c, h, w = x_BTCHW.shape
        x = x_BTCHW.permute(0, 3, 4, 2, 1).reshape(b * h * w, c, t)
        y = F.conv1d(x, (self.weight * self.scale).to(x.dtype), padding=1)
        y = F.leaky_relu(y + self.bias.to(x.dtype).view(-1, 1), SLOPE) * ACTIVATION_GAIN
        x = (x + y) * BRANCH_GAIN
        if self.down:
            taps = torch.tensor(BLUR, dtype=x.dtype, device=x.device) / sum(BLUR)
            x = F.conv1d(x, taps.expand(c, 1, -1), stride=2, padding=1, groups=c)
        return x.view(b, h, w, c, -1).permute(0, 4, 3, 1, 2)


class ClipDiscriminator(nn.Module):
    """StyleGAN2's discriminator with time: one logit for a clip, so that flicker seems unreal.

    Each block of StyleDiscriminator is followed by a convolution over three frames, (2+1)D as in
    arXiv 1711.11248, that halves the frames as long as their number is even. frames: T of the
    clips, from 2; the others as in StyleDiscriminator. Raises UsageError for other sizes.
    """

    def __init__(
        self,
        side: int = 128,
        frames: int = 16,
        *,
        channels: int = 32768,
        most: int = 512,
        group: int = 4,
    ) -> None:
        super().__init__()
        if frames < 2:
            raise UsageError(f"a discriminator of clips takes 2 frames or more, not {frames}")
        widths, self.side = _widths(side, channels, most), side
        self.frames, self.group = frames, group
        self.into = _EqualConv(COLOURS, widths[0], 1)
        self.blocks = nn.ModuleList(_Block(a, b) for a, b in itertools.pairwise(widths))
        self.times, left = nn.ModuleList(), frames
        for width in widths[1:]:
            self.times.append(_TimeBlock(width, down=left % 2 == 0))
            left = left // 2 if left % 2 == 0 else left
        last = widths[-1]
        self.conv = _EqualConv(last + 1, last, 3)
        self.hidden = _EqualLinear(left * last * LAST_SIDE**2, last, activate=True)
        self.out = _EqualLinear(last, 1, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, T, side, side] -> logits [B, 1] in float32, larger for what seems real."""
        if x.dim() != 5 or x.shape[1:] != (COLOURS, self.frames, self.side, self.side):
            raise UsageError(
                f"the discriminator takes [B, 3, {self.frames}, {self.side}, {self.side}], "
                f"not {tuple(x.shape)}"
            )
        b = len(x)
        y = self.into(_frames(x))
        for block, time in zip(self.blocks, self.times, strict=True):
            y = block(y)
            y = time(y.view(b, -1, *y.shape[1:])).flatten(0, 1)
        with torch.autocast(x.device.type, enabled=False):
            # The deviation of clips, all their frames together, as one more channel of each frame.
            frames = y.float()
            clips = minibatch_deviation(frames.reshape(b, -1, *y.shape[2:]), self.group)
            spread = clips[:, -1:].repeat_interleave(len(frames) // b, 0)
            last = self.conv(torch.cat([frames, spread], 1))
            return cast(Tensor, self.out(self.hidden(last.reshape(b, -1))))


class PatchDiscriminator(nn.Sequential):
    """pix2pix's PatchGAN (arXiv 1611.07004): a logit for every patch of an image.

    width: channels of the first layer, doubled up to eight times. layers: with stride 2.
    """

    def __init__(self, width: int = 64, layers: int = 3) -> None:
        widths = [width * min(2**i, 8) for i in range(layers + 1)]
        parts: list[nn.Module] = [nn.Conv2d(COLOURS, width, 4, 2, 1), nn.LeakyReLU(SLOPE)]
        for i, (a, b) in enumerate(itertools.pairwise(widths)):
            stride = 2 if i < layers - 1 else 1
            parts += [nn.Conv2d(a, b, 4, stride, 1, bias=False), nn.BatchNorm2d(b)]
            parts.append(nn.LeakyReLU(SLOPE))
        parts.append(nn.Conv2d(widths[-1], 1, 4, 1, 1))
        super().__init__(*parts)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, 0.02)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, (T,) rows, columns] -> logits [B (T), 1, patches down, patches across]."""
        x = _frames(x)
        for layer in self:
            x = layer(x)
        return x
