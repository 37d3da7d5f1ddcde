"""I3D, the network of FVD: Inception-v1 with kernels in time, with the names of its PyTorch port.

Carreira and Zisserman, arXiv 1705.07750, trained on Kinetics-400; FVD (arXiv 1812.01717) compares
its 400 logits. No weights come with the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bsqav.errors import UsageError

__all__ = ["CLASSES", "I3D", "MIN_FRAMES"]

SIDE, CLASSES = 224, 400
# Fewer give no two steps in time after the last block.
MIN_FRAMES = 9

Triple = tuple[int, int, int]

# Blocks by name: inputs, and widths of the branches 0, 1a, 1b, 2a, 2b and 3b.
MIXED: dict[str, tuple[int, Sequence[int]]] = {
    "Mixed_3b": (192, (64, 96, 128, 16, 32, 32)),
    "Mixed_3c": (256, (128, 128, 192, 32, 96, 64)),
    "Mixed_4b": (480, (192, 96, 208, 16, 48, 64)),
    "Mixed_4c": (512, (160, 112, 224, 24, 64, 64)),
    "Mixed_4d": (512, (128, 128, 256, 24, 64, 64)),
    "Mixed_4e": (512, (112, 144, 288, 32, 64, 64)),
    "Mixed_4f": (528, (256, 160, 320, 32, 128, 128)),
    "Mixed_5b": (832, (256, 160, 320, 32, 128, 128)),
    "Mixed_5c": (832, (384, 192, 384, 48, 128, 128)),
}
# What comes when: names of units, or kernel and stride of a pool.
ORDER: tuple[str | tuple[Triple, Triple], ...] = (
    "Conv3d_1a_7x7",
    ((1, 3, 3), (1, 2, 2)),
    "Conv3d_2b_1x1",
    "Conv3d_2c_3x3",
    ((1, 3, 3), (1, 2, 2)),
    "Mixed_3b",
    "Mixed_3c",
    ((3, 3, 3), (2, 2, 2)),
    "Mixed_4b",
    "Mixed_4c",
    "Mixed_4d",
    "Mixed_4e",
    "Mixed_4f",
    ((2, 2, 2), (2, 2, 2)),
    "Mixed_5b",
    "Mixed_5c",
)


def _same(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    """TensorFlow's SAME padding, with zeros."""
    pads: list[int] = []
    for size, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        whole = max(k - (size % s or s), 0)
        pads += [whole // 2, whole - whole // 2]
    return F.pad(x, pads)


class _Unit(nn.Module):
    """Convolution, normalization with the statistics of training, ReLU."""

    def __init__(self, inputs: int, width: int, side: int, stride: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = (side, side, side), (stride, stride, stride)
        self.conv3d = nn.Conv3d(inputs, width, self.kernel, self.stride, bias=False)
        self.bn = nn.BatchNorm3d(width, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv3d(_same(x, self.kernel, self.stride))), inplace=True)


class _Mixed(nn.Module):
    """Four branches side by side in the channels."""

    def __init__(self, inputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        b0, b1a, b1b, b2a, b2b, b3b = widths
        self.b0 = _Unit(inputs, b0, 1)
        self.b1a, self.b1b = _Unit(inputs, b1a, 1), _Unit(b1a, b1b, 3)
        self.b2a, self.b2b = _Unit(inputs, b2a, 1), _Unit(b2a, b2b, 3)
        self.b3b = _Unit(inputs, b3b, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.max_pool3d(_same(x, (3, 3, 3), (1, 1, 1)), 3, 1)
        parts = [self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)]
        return torch.cat(parts, 1)


class _Logits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(1024, CLASSES, 1)


class I3D(nn.Module):
    """The network; its state dict has the names of pytorch-i3d's, VideoGPT's and TATS's files."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = _Logits()
        self.add_module("Conv3d_1a_7x7", _Unit(3, 64, 7, 2))
        self.add_module("Conv3d_2b_1x1", _Unit(64, 64, 1))
        self.add_module("Conv3d_2c_3x3", _Unit(64, 192, 3))
        for name, (inputs, widths) in MIXED.items():
            self.add_module(name, _Mixed(inputs, widths))

    def forward(self, x: Tensor) -> Tensor:
        """Clips [B, 3, T, rows, columns] from -1 to 1 -> logits [B, 400], the mean over time.

        Frames are brought to 224 x 224 by bilinear interpolation. Raises UsageError for another
        shape or fewer than 9 frames.
        """
        if x.dim() != 5 or x.shape[1] != 3 or x.shape[2] < MIN_FRAMES:
            raise UsageError(
                f"clips must be [B, 3, T, rows, columns] with {MIN_FRAMES} frames or more, "
                f"not {tuple(x.shape)}"
            )
        x = at_side(x)
        for part in ORDER:
            if isinstance(part, str):
                x = self.get_submodule(part)(x)
            else:
                x = F.max_pool3d(_same(x, *part), *part)
        x = F.avg_pool3d(x, (2, 7, 7), 1)
        return cast(Tensor, self.logits.conv3d(x)).mean((2, 3, 4))


def at_side(x: Tensor) -> Tensor:
    """Clips [B, 3, T, rows, columns] -> [B, 3, T, 224, 224], frame by frame."""
    b, c, t = x.shape[:3]
    frames = x.transpose(1, 2).flatten(0, 1)
    small = F.interpolate(frames, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    return small.view(b, t, c, SIDE, SIDE).transpose(1, 2)
