"""LPIPS (arXiv 1801.03924): distance of images by the features of a trained network.

No weights come with the package: the user gives files of the trunk (torchvision's vgg16 or alexnet)
and of the heads (the authors' lpips weights, version 0.1), or one file with both.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor, nn

from bsqav.errors import ModelError, UsageError
from bsqav.nn.common.safeload import read_checkpoint, tensors_of

__all__ = ["LPIPS", "Trunk"]

Trunk = Literal["vgg", "alex"]

# Of the ImageNet statistics, for pixels from -1 to 1.
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
# torchvision's indices of the features that are compared, all after a ReLU.
TAPS = {"vgg": (3, 8, 15, 22, 29), "alex": (1, 4, 7, 9, 11)}
_TRUNK = re.compile(r"(?:.*\.)?(?:features|slice\d)\.(\d{1,2})\.(weight|bias)")
_HEAD = re.compile(r"(?:.*\.)?lins?\.?(\d)\.(?:model\.)?\d\.weight")


def _vgg() -> nn.Sequential:
    """VGG16 up to its last convolution; indices as in torchvision."""
    layers: list[nn.Module] = []
    inputs = 3
    for stage, (width, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))):
        if stage:
            layers.append(nn.MaxPool2d(2, 2))
        for _ in range(count):
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
    return nn.Sequential(*layers)


def _alex() -> nn.Sequential:
    """AlexNet's convolutions; indices as in torchvision."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
    )


class LPIPS(nn.Module):
    """The distance, differentiable, with weights that are never trained.

    files: of weights, read safely; together they hold trunk and heads. trunk: vgg is what the paper
    trains with, alex what it reports. Raises ModelError where something is missing or of another
    shape, FileNotFoundError where a file is.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, *files: Path, trunk: Trunk = "vgg") -> None:
        super().__init__()
        if trunk not in TAPS:
            raise UsageError(f"no trunk {trunk!r}; there are {', '.join(TAPS)}")
        self.layers, self.taps = (_vgg() if trunk == "vgg" else _alex()), TAPS[trunk]
        widths = [cast(nn.Conv2d, self.layers[tap - 1]).out_channels for tap in self.taps]
        self.heads = nn.ParameterList(torch.zeros(width) for width in widths)
        self.register_buffer("shift", torch.tensor(SHIFT).view(3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE).view(3, 1, 1), persistent=False)
        self._fill(files)
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Two batches of images [B, 3, rows, columns] or videos [B, 3, T, rows, columns].

        From -1 to 1. Returns distances [B] or [B T], 0 where they are equal. Raises UsageError for
        different shapes.
        """
        if x.shape != y.shape:
            raise UsageError(f"shapes differ: {tuple(x.shape)} and {tuple(y.shape)}")
        if x.dim() == 5:
            x, y = (part.transpose(1, 2).flatten(0, 1) for part in (x, y))
        total = x.new_zeros(len(x))
        x, y = ((part - self.shift) / self.scale for part in (x, y))
        for index, layer in enumerate(self.layers):
            x, y = layer(x), layer(y)
            if index in self.taps:
                head = self.heads[self.taps.index(index)].view(-1, 1, 1)
                gap = (_unit(x) - _unit(y)).square() * head
                total = total + gap.sum(1).mean((1, 2))
        return total

    def _fill(self, files: tuple[Path, ...]) -> None:
        state = self.state_dict()
        missing = set(state)
        for path in files:
            for name, tensor in tensors_of(read_checkpoint(path)).items():
                key = ""
                if at := _TRUNK.fullmatch(name):
                    key = f"layers.{int(at[1])}.{at[2]}"
                elif at := _HEAD.fullmatch(name):
                    key, tensor = f"heads.{at[1]}", tensor.flatten()
                if key in state:
                    if state[key].shape != tensor.shape:
                        raise ModelError(f"{path} has {name} of shape {tuple(tensor.shape)}")
                    state[key].copy_(tensor)
                    missing.discard(key)
        if missing:
            given = ", ".join(str(path) for path in files) or "no file"
            raise ModelError(
                f"LPIPS lacks {len(missing)} tensors, {min(missing)} for one, after {given}: give "
                "the trunk's file (torchvision's features) and the heads' (lpips 0.1)"
            )


def _unit(x: Tensor) -> Tensor:
    """Features [B, C, H, W] over their norm across channels; 0 where all of them are 0."""
    # The derivative of a root at 0 is infinite.
    norm = (x.square().sum(1, keepdim=True) + 1e-20).sqrt()
    return x / (norm + 1e-10)
