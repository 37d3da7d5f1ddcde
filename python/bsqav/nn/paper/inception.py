"""Inception-v3 as FID has it: TensorFlow's network of 2015-12-05, with its PyTorch ports' names.

Szegedy et al., arXiv 1512.00567. It differs from torchvision's in its 1008 classes, in averages
that leave padding out, and in a largest value instead of an average in the last block. No weights
come with the package.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bsqav.errors import UsageError

__all__ = ["CLASSES", "FEATURES", "InceptionV3"]

SIDE, FEATURES, CLASSES = 299, 2048, 1008

# Convolutions as (name, width, rows, columns, stride); a tuple of such is a fork.
Step = tuple[str, int, int, int, int]
Chain = tuple[Step | tuple[Step, ...], ...]


def _step(name: str, width: int, rows: int = 1, columns: int = 0, stride: int = 1) -> Step:
    return name, width, rows, columns or rows, stride


def _a(pooled: int) -> tuple[Chain, ...]:
    """35 x 35."""
    return (
        (_step("branch1x1", 64),),
        (_step("branch5x5_1", 48), _step("branch5x5_2", 64, 5)),
        (
            _step("branch3x3dbl_1", 64),
            _step("branch3x3dbl_2", 96, 3),
            _step("branch3x3dbl_3", 96, 3),
        ),
        (_step("branch_pool", pooled),),
    )


def _b() -> tuple[Chain, ...]:
    """To 17 x 17."""
    return (
        (_step("branch3x3", 384, 3, stride=2),),
        (
            _step("branch3x3dbl_1", 64),
            _step("branch3x3dbl_2", 96, 3),
            _step("branch3x3dbl_3", 96, 3, stride=2),
        ),
    )


def _c(width: int) -> tuple[Chain, ...]:
    """17 x 17."""
    return (
        (_step("branch1x1", 192),),
        (
            _step("branch7x7_1", width),
            _step("branch7x7_2", width, 1, 7),
            _step("branch7x7_3", 192, 7, 1),
        ),
        (
            _step("branch7x7dbl_1", width),
            _step("branch7x7dbl_2", width, 7, 1),
            _step("branch7x7dbl_3", width, 1, 7),
            _step("branch7x7dbl_4", width, 7, 1),
            _step("branch7x7dbl_5", 192, 1, 7),
        ),
        (_step("branch_pool", 192),),
    )


def _d() -> tuple[Chain, ...]:
    """To 8 x 8."""
    return (
        (_step("branch3x3_1", 192), _step("branch3x3_2", 320, 3, stride=2)),
        (
            _step("branch7x7x3_1", 192),
            _step("branch7x7x3_2", 192, 1, 7),
            _step("branch7x7x3_3", 192, 7, 1),
            _step("branch7x7x3_4", 192, 3, stride=2),
        ),
    )


def _e() -> tuple[Chain, ...]:
    """8 x 8."""

    def fork(name: str) -> tuple[Step, ...]:
        return _step(f"{name}a", 384, 1, 3), _step(f"{name}b", 384, 3, 1)

    return (
        (_step("branch1x1", 320),),
        (_step("branch3x3_1", 384), fork("branch3x3_2")),
        (_step("branch3x3dbl_1", 448), _step("branch3x3dbl_2", 384, 3), fork("branch3x3dbl_3")),
        (_step("branch_pool", 192),),
    )


# Name, width of its input, chains, and what is pooled besides: mean and max go through the last
# chain, "half" is a part of the output as it is.
BLOCKS = (
    ("Mixed_5b", 192, _a(32), "mean"),
    ("Mixed_5c", 256, _a(64), "mean"),
    ("Mixed_5d", 288, _a(64), "mean"),
    ("Mixed_6a", 288, _b(), "half"),
    ("Mixed_6b", 768, _c(128), "mean"),
    ("Mixed_6c", 768, _c(160), "mean"),
    ("Mixed_6d", 768, _c(160), "mean"),
    ("Mixed_6e", 768, _c(192), "mean"),
    ("Mixed_7a", 768, _d(), "half"),
    ("Mixed_7b", 1280, _e(), "mean"),
    ("Mixed_7c", 2048, _e(), "max"),
)
# Name, inputs, outputs, kernel, stride, padding; None: the largest of 3 x 3 at a stride of 2.
STEM = (
    ("Conv2d_1a_3x3", 3, 32, 3, 2, 0),
    ("Conv2d_2a_3x3", 32, 32, 3, 1, 0),
    ("Conv2d_2b_3x3", 32, 64, 3, 1, 1),
    None,
    ("Conv2d_3b_1x1", 64, 80, 1, 1, 0),
    ("Conv2d_4a_3x3", 80, 192, 3, 1, 0),
    None,
)


class _Conv(nn.Module):
    """Convolution, normalization with the statistics of training, ReLU."""

    def __init__(
        self,
        inputs: int,
        width: int,
        kernel: tuple[int, int],
        stride: int,
        padding: tuple[int, int],
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, width, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class _Block(nn.Module):
    """Chains of convolutions whose results lie side by side in the channels."""

    def __init__(self, inputs: int, chains: tuple[Chain, ...], pooled: str) -> None:
        super().__init__()
        self.chains, self.pooled = chains, pooled
        for chain in chains:
            width = inputs
            for part in chain:
                steps = part if isinstance(part[0], tuple) else (part,)
                for name, outputs, rows, columns, stride in steps:
                    padding = (rows // 2, columns // 2) if stride == 1 else (0, 0)
                    made = _Conv(width, outputs, (rows, columns), stride, padding)
                    self.add_module(name, made)
                width = steps[-1][1]

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, D, H, W]"""
        found = []
        for chain in self.chains:
            y = x
            if chain[0][0] == "branch_pool":
                y = _mean(x) if self.pooled == "mean" else F.max_pool2d(x, 3, 1, 1)
            for part in chain:
                if isinstance(part[0], tuple):
                    forks = part
                    y = torch.cat([self.get_submodule(name)(y) for name, *_ in forks], 1)
                else:
                    y = self.get_submodule(part[0])(y)
            found.append(y)
        if self.pooled == "half":
            found.append(F.max_pool2d(x, 3, 2))
        return torch.cat(found, 1)


def _mean(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class InceptionV3(nn.Module):
    """The network; its state dict has the names of pytorch-fid's and torch-fidelity's file."""

    def __init__(self) -> None:
        super().__init__()
        for part in STEM:
            if part is not None:
                name, inputs, width, kernel, stride, padding = part
                made = _Conv(inputs, width, (kernel, kernel), stride, (padding, padding))
                self.add_module(name, made)
        for name, inputs, chains, pooled in BLOCKS:
            self.add_module(name, _Block(inputs, chains, pooled))
        self.fc = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images [B, 3, rows, columns] from -1 to 1 -> features [B, 2048], logits [B, 1008].

        They are brought to 299 x 299 by bilinear interpolation, as pytorch-fid and the paper's
        program have it; logits are without their bias, as the inception score has them. Raises
        UsageError for another shape.
        """
        if x.dim() != 4 or x.shape[1] != 3:
            raise UsageError(f"images must be [B, 3, rows, columns], not {tuple(x.shape)}")
        x = F.interpolate(x, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        for part in STEM:
            x = F.max_pool2d(x, 3, 2) if part is None else self.get_submodule(part[0])(x)
        for name, *_ in BLOCKS:
            x = self.get_submodule(name)(x)
        features = x.mean((2, 3))
        return features, features @ self.fc.weight.T
