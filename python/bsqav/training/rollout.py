"""Closed-loop rollouts: the layers that a short clip goes through, each fed by what was decoded.

A rollout codes a keyframe (a coarse layer, then a refinement at the target step) and the frames
after it, each predicted by the codec's own motion search from the decoded frame before.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bsqav import _core
from bsqav.nn import fields
from bsqav.training.data import Planes
from bsqav.training.objective import LayerInput, LayerResult
from bsqav.training.pack import Samples

# Range of the first layer of keyframes and of everything else, in c = 8 * crf.
INTRA_C = (8 * 44, 8 * 54)
TARGET_C = (8 * 26, 8 * 50)
# A layer of at most 96 bits for 96 samples cannot do much more than halve the error: refinements go
# down by at most this much, a factor of 2.4 in the step.
LAYER_DROP = 8 * 10
# Sum of absolute differences per bit of a vector, in steps: the square root of LAMBDA.
MOTION_LAMBDA = 0.36


def layer_steps(first: float, target: float) -> list[float]:
    """c of a keyframe's layers, from `first` down to `target` in even parts."""
    parts = max(0, math.ceil((first - target) / LAYER_DROP - 0.2))
    return [first + (target - first) * i / max(1, parts) for i in range(parts + 1)]


@dataclass(frozen=True)
class RolloutConfig:
    """jitter spreads the stage thresholds; spread that of c within a batch (standard deviation).

    keyframe_gain: by how much c of a keyframe's last layer is finer than that of what follows.
    """

    jitter: float = 0.35
    spread: float = 12.0
    keyframe_gain: float = 0.0


def predict(recon: Planes, target_y: Tensor, step: float) -> Planes:
    """Motion-compensated prediction of frames from the decoded ones, by the codec's own search."""
    device = target_y.device

    def samples(plane: Tensor) -> Samples:
        return np.ascontiguousarray(plane.round().to(torch.uint8).cpu().numpy())

    ref_y, ref_u, ref_v = (samples(plane) for plane in recon)
    split, mv = _core.motion_search_batch(samples(target_y), ref_y, MOTION_LAMBDA * step)
    y, u, v = _core.motion_predict_batch(ref_y, ref_u, ref_v, split, mv)

    def back(plane: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> Tensor:
        return torch.from_numpy(plane).to(device).float()

    return back(y), back(u), back(v)


class Rollout:
    """Yields the layers of one batch in coding order; feed every result back with `accept`."""

    def __init__(self, clip: Planes, config: RolloutConfig, generator: torch.Generator) -> None:
        self.clip = clip
        self.config = config
        self.generator = generator
        target = self._uniform(*TARGET_C)
        first = max(target, self._uniform(*INTRA_C))
        self.c_layers = layer_steps(first, max(0.0, target - config.keyframe_gain))
        self.c_target = target
        self.recon: Tensor | None = None
        self.token: Tensor | None = None

    def _uniform(self, low: int, high: int) -> float:
        return low + (high - low) * torch.rand(1, generator=self.generator).item()

    def _c(self, c: float) -> Tensor:
        noise = torch.randn(self.clip[0].shape[0], generator=self.generator)
        return (c + self.config.spread * noise).round().clamp(0, 504)

    def _tokens(self, planes: Planes) -> Tensor:
        return fields.planes_to_tokens(*planes)

    def layers(self) -> Iterator[LayerInput]:
        """The layers to code, in order."""
        frames = self.clip[0].shape[1]
        first = self._tokens(self._frame(0))
        empty = first.new_zeros(*first.shape[:3], fields.TOKEN_WIDTH)
        gray = torch.full_like(first, 128.0)
        yield LayerInput(first, gray, empty, self._c(self.c_layers[0]), intra=True)
        for finer in self.c_layers[1:]:
            yield self._next(first, self._recon(), self._c(finer))
        for t in range(1, frames):
            target = self._frame(t)
            c = self._c(self.c_target)
            step = fields.step_of(c).mean().item()
            pred = predict(fields.tokens_to_planes(self._recon()), target[0], step)
            yield self._next(self._tokens(target), self._tokens(pred), c)

    def _frame(self, t: int) -> Planes:
        return self.clip[0][:, t], self.clip[1][:, t], self.clip[2][:, t]

    def _recon(self) -> Tensor:
        if self.recon is None:
            raise RuntimeError("accept() the result of the layer before asking for the next")
        return self.recon

    def _next(self, target: Tensor, pred: Tensor, c: Tensor) -> LayerInput:
        if self.token is None:
            raise RuntimeError("accept() the result of the layer before asking for the next")
        return LayerInput(target, pred, self.token, c, intra=False)

    def accept(self, result: LayerResult) -> None:
        """Takes the decoded layer as the reference of the next one."""
        self.recon = result.recon_BHWS
        self.token = result.token_BHWT

    def stages(self, layer: LayerInput) -> Tensor:
        """Stage counts for a layer, by energy with jitter."""
        step = fields.step_of(layer.c_B).view(-1, 1, 1, 1)
        residual = (layer.target_BHWS - layer.pred_BHWS) / step
        return fields.choose_stages(residual, layer.intra, self.config.jitter)
