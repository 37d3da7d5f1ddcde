"""ST-LPIPS: a learned perceptual distance, with the weights of PyPI's stlpips-pytorch.

A. Ghildyal and F. Liu, "Shift-tolerant Perceptual Similarity Metric", ECCV 2022, version ST0.0 with
the AlexNet trunk. It is not LPIPS itself: values of the two cannot be compared. The package holds
the weights; its own module would need torchvision, so the network is here. PyTorch is loaded
when the first distance is computed.
"""

from __future__ import annotations

import functools
import importlib.util
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bsqav.evaluation.io.errors import MissingToolError
from bsqav.evaluation.io.images import Pixels

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = Path("weights/vST0.0/alex_shift_tolerant.pth")
TITLE = "ST-LPIPS (AlexNet, vST0.0)"
# Smaller pictures vanish in the trunk.
MIN_SIDE = 64
# Frames of a clip that are measured: the trunk's first layer runs at full resolution.
FRAMES = 6

# (convolution, padding, blurred after it, max-pooled and blurred before it): keys of the weights
_LAYERS = (
    ("net.slice1.0", 2, "net.slice1.1", None),
    ("net.slice2.5", 2, None, "net.slice2.4"),
    ("net.slice3.9", 1, None, "net.slice3.8"),
    ("net.slice4.11", 1, None, None),
    ("net.slice5.13", 1, None, None),
)
_lock = threading.Lock()


def weights_path() -> Path:
    """Where the weights lie; raises MissingToolError where stlpips-pytorch is not installed."""
    found = importlib.util.find_spec("stlpips_pytorch")
    for folder in (found.submodule_search_locations or ()) if found is not None else ():
        if (Path(folder) / WEIGHTS).is_file():
            return Path(folder) / WEIGHTS
    raise MissingToolError(
        "st-lpips needs PyTorch and weights: pip install 'bsqav[train]' stlpips-pytorch"
    )


def sampled(frames: int) -> list[int]:
    """Numbers of the frames that are measured, spread evenly over a clip."""
    count = min(FRAMES, frames)
    return [int((i + 0.5) * frames / count) for i in range(count)]


def st_lpips(decoded: Pixels, source: Pixels) -> float:
    """Distance of two RGB pictures [H, W, 3], 0 where they are equal.

    Raises MissingToolError without weights or PyTorch.
    """
    with _lock:
        return _network()(decoded, source)


def pooled_features(x: Tensor) -> Tensor:
    """Means [B, 256] of the trunk's last layer, of pictures [B, 3, rows, columns] from -1 to 1.

    Raises MissingToolError without weights, ValueError for pictures below MIN_SIDE.
    """
    if min(x.shape[-2:]) < MIN_SIDE:
        raise ValueError(f"pictures must have {MIN_SIDE} pixels a side, not {tuple(x.shape[-2:])}")
    weights = {name: tensor.to(x.device) for name, tensor in _weights().items()}
    return _features(_standard(x, weights), weights)[-1].mean((2, 3))


def _standard(x: Tensor, weights: dict[str, Tensor]) -> Tensor:
    shifted: Tensor = (x - weights["scaling_layer.shift"]) / weights["scaling_layer.scale"]
    return shifted


def _weights() -> dict[str, Tensor]:
    path = weights_path()
    try:
        import torch
    except ImportError as error:
        raise MissingToolError("st-lpips needs PyTorch: pip install 'bsqav[train]'") from error
    found: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return found


@functools.cache
def _network() -> Callable[[Pixels, Pixels], float]:
    weights = _weights()
    import torch

    def prepared(pixels: Pixels) -> Tensor:
        planes = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        return _standard(planes[None].float() / 127.5 - 1, weights)

    def distance(decoded: Pixels, source: Pixels) -> float:
        with torch.inference_mode():
            ours, theirs = (_features(prepared(p), weights) for p in (decoded, source))
            total = 0.0
            for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
                gap = (_unit(a) - _unit(b)) ** 2
                head = weights[f"lin{i}.model.1.weight"]
                total += float(torch.nn.functional.conv2d(gap, head).mean())
        return total

    return distance


def _features(x: Tensor, weights: dict[str, Tensor]) -> list[Tensor]:
    """What comes out of the trunk's five layers."""
    from torch.nn import functional as F

    def blurred(x: Any, name: str) -> Any:
        padded = F.pad(x, (2, 2, 2, 2), mode="reflect")
        return F.conv2d(padded, weights[f"{name}.filt"], stride=2, groups=x.shape[1])

    found = []
    for name, padding, after, before in _LAYERS:
        if before is not None:
            x = blurred(F.max_pool2d(x, 3, stride=1), before)
        x = F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=padding)
        if after is not None:
            x = blurred(x, after)
        x = F.relu(x)
        found.append(x)
    return found


def _unit(x: Tensor) -> Tensor:
    """Each position's vector of channels at length 1."""
    return x / ((x**2).sum(dim=1, keepdim=True).sqrt() + 1e-10)
