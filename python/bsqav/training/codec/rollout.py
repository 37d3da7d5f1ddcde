"""Closed-loop rollouts: the layers that a short clip goes through, each fed by what was decoded.

A rollout codes a keyframe (a coarse layer, then refinements down to the target step) and the
frames after it, each predicted by the codec's own motion search from the decoded frame before; a
frame has coarser layers first where tokens are left far from their prediction.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from bsqav import _core
from bsqav.nn.codec import fields
from bsqav.nn.codec.deblock import deblock, edge_steps
from bsqav.training.codec.data import Planes
from bsqav.training.codec.decisions import (
    BASE_GAIN,
    COARSE_ENERGY,
    COARSE_LAYERS,
    KEYFRAME_GAIN,
    LAYER_SLACK,
    LAYER_SPACING,
    MOTION_LAMBDA,
    TOKEN_ENERGY,
)
from bsqav.training.codec.objective import LayerInput, LayerResult
from bsqav.training.codec.pack import Samples

# Range of the first layer of keyframes and of the last layer of everything, in q (docs/numerics.md,
# section 3), and the largest q.
INTRA_Q = (8 * 52, 8 * 58)
# The same where the keyframe is predicted from a base frame, how often it is, and by how much
# smaller that is.
BASED_Q = (8 * 47, 8 * 60)
BASED = 0.7
BASE_SCALE = 8
TARGET_Q = (8 * 14, 8 * 58)
MAX_Q = 568


def layer_steps(first: float, target: float) -> list[float]:
    """q of a keyframe's layers, from `first` down to `target` in even parts."""
    parts = max(0, math.ceil((first - target - LAYER_SLACK) / LAYER_SPACING))
    return [first + (target - first) * i / max(1, parts) for i in range(parts + 1)]


@dataclass(frozen=True)
class RolloutConfig:
    """How steps and candidates spread.

    jitter: of the logarithm of candidates' energies. spread: of q within a batch. Both are standard
    deviations. keyframe_gain: by how much q of a keyframe's last layer is finer than that of what
    follows.
    """

    jitter: float = 0.35
    spread: float = 12.0
    keyframe_gain: float = KEYFRAME_GAIN


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


# Prediction of frames from decoded ones [B, H, W], for a step.
Predictor = Callable[[Planes, Tensor, float], Planes]


class Rollout:
    """Yields the layers of one batch in coding order; feed every result back with `accept`.

    Frames of a batch go through the same layers. A clip that has nothing to code in a layer that
    the codec would omit continues as if that layer had not been there.

    generator: of the CPU, wherever the clip is. predictor: how motion is found and compensated.
    any_of: whether something holds in any process of the run, where there are several.
    """

    def __init__(
        self,
        clip: Planes,
        config: RolloutConfig,
        stages: int,
        generator: torch.Generator,
        predictor: Predictor = predict,
        any_of: Callable[[bool], bool] = bool,
    ) -> None:
        self.clip = clip
        self.predictor = predictor
        self.any_of = any_of
        self.config = config
        self.stages = stages
        self.generator = generator
        target = self._uniform(*TARGET_Q)
        self.based = self._uniform(0, 1) < BASED
        first = max(target, self._uniform(*(BASED_Q if self.based else INTRA_Q)))
        self.q_layers = layer_steps(first, max(0.0, target - config.keyframe_gain))
        self.q_target = target
        self.recon: Tensor | None = None
        self.token: Tensor | None = None
        # Of the current frame: tokens with edges to filter, and q of the last layer.
        self.coded: Tensor | None = None
        self.q: Tensor | None = None
        self.later = torch.zeros(clip[0].shape[0], device=clip[0].device)
        self.optional = False
        self.delta_q = self._delta_q() * float(self.based)  # base frames have none

    def _delta_q(self) -> Tensor:
        """[B, H, W] multiples of 8: the delta q of superblocks, for over half of the clips."""
        b, _, rows, cols = self.clip[0].shape
        wide = torch.randn(b, 1, 2, 2, generator=self.generator)
        wide = F.interpolate(wide, (rows // 32, cols // 32), mode="bilinear", align_corners=True)
        noise = torch.randn(wide.shape, generator=self.generator)
        some = (torch.rand(b, 1, 1, 1, generator=self.generator) < 0.6).float()
        crf = ((1.5 * wide + 1.2 * noise) * some).round().clamp(-8, 8).squeeze(1)
        return 8 * crf.repeat_interleave(4, 1).repeat_interleave(4, 2)

    def _uniform(self, low: float, high: float) -> float:
        return low + (high - low) * torch.rand(1, generator=self.generator).item()

    def _spread(self) -> Tensor:
        return self.config.spread * torch.randn(self.clip[0].shape[0], generator=self.generator)

    def _tokens(self, planes: Planes) -> Tensor:
        return fields.planes_to_tokens(*planes)

    def layers(self) -> Iterator[tuple[LayerInput, Tensor]]:
        """The layers to code, in order, each with its candidates [B, H, W] of 0 and 1."""
        frames = self.clip[0].shape[1]
        first = self._tokens(self._frame(0))
        start = self._start(first)
        spread = self._spread()
        for index, q in enumerate(self.q_layers):
            place = fields.LayerPlace(index == 0, index > 0, q - self.q_layers[-1])
            pred = start if index == 0 else self._recon()
            layer = self._layer(first, pred, q + spread, place)
            yield layer, self._candidates(layer)
        if self.coded is not None:
            self.coded = torch.ones_like(self.coded)
        for t in range(1, frames):
            yield from self._inter(self._frame(t))

    def _start(self, first: Tensor) -> Tensor:
        """What a keyframe is predicted from: gray, or a base frame with a decoder's errors."""
        if not self.based:
            return torch.full_like(first, 128.0)
        step = fields.step_of(torch.tensor(self.q_layers[-1] - BASE_GAIN)).item()
        planes = []
        for plane in self._frame(0):
            small = F.avg_pool2d(plane.unsqueeze(1), BASE_SCALE)
            error = torch.randn(small.shape, generator=self.generator).to(small.device)
            small = (small + 0.35 * step * error).round().clamp(0, 255)
            large = F.interpolate(small, plane.shape[-2:], mode="bicubic", align_corners=False)
            planes.append(large.squeeze(1).round().clamp(0, 255))
        return self._tokens((planes[0], planes[1], planes[2]))

    def _inter(self, frame: Planes) -> Iterator[tuple[LayerInput, Tensor]]:
        q = (self.q_target + self._spread()).round().clamp(0, MAX_Q)
        step = fields.step_of(q).mean().item()
        planes = self.predictor(self._filtered(), frame[0], step)
        self.coded = None
        target, pred = self._tokens(frame), self._tokens(planes)
        self.later = torch.zeros_like(self.later)
        for above in range(COARSE_LAYERS * LAYER_SPACING, -1, -LAYER_SPACING):
            if above > 0 and self.q_target + above > MAX_Q:
                continue
            place = fields.LayerPlace(False, self.later, above)
            layer = self._layer(target, pred, q + above, place)
            candidates = self._candidates(layer)
            self.optional = above > 0
            if self.optional and not self.any_of(bool(candidates.any())):
                continue
            yield layer, candidates
            pred = self._recon()
        self.optional = False

    def _filtered(self) -> Planes:
        """The decoded frame, deblocked; edges that only vectors make are not filtered."""
        if self.coded is None or self.q is None:
            raise RuntimeError("no layer of the frame was coded")
        edges = edge_steps(self.q.expand_as(self.coded), self.coded)
        y, u, v = deblock(fields.tokens_to_planes(self._recon()), *edges)
        return y, u, v

    def _frame(self, t: int) -> Planes:
        return self.clip[0][:, t], self.clip[1][:, t], self.clip[2][:, t]

    def _recon(self) -> Tensor:
        if self.recon is None:
            raise RuntimeError("accept() the result of the layer before asking for the next")
        return self.recon

    def _layer(
        self, target: Tensor, pred: Tensor, q: Tensor, place: fields.LayerPlace
    ) -> LayerInput:
        token = self.token
        if token is None:
            token = target.new_zeros(*target.shape[:3], fields.token_width(self.stages))
        q = (fields.by_token(q.round()) + self.delta_q).clamp(0, MAX_Q).to(target.device)
        self.q = q
        return LayerInput(target, pred, token, q, place)

    def accept(self, result: LayerResult) -> None:
        """Takes the decoded layer as the reference of the next one."""
        self.recon = result.recon_BHWS
        coded = result.stages_BHW > 0
        if self.coded is not None:
            coded = coded | self.coded
        self.coded = coded
        coded_B = result.stages_BHW.flatten(1).amax(1) > 0
        if self.optional and self.token is not None:
            self.token = torch.where(coded_B.view(-1, 1, 1, 1), result.token_BHWT, self.token)
            self.later = torch.maximum(self.later, coded_B.float())
        else:
            self.token = result.token_BHWT

    def _candidates(self, layer: LayerInput) -> Tensor:
        """[B, H, W] of 0 and 1: tokens that may have bits, by energy with jitter."""
        step = fields.sample_steps(layer.q_B)
        residual = (layer.target_BHWS - layer.pred_BHWS) / step
        if layer.place.intra and not self.based:
            return torch.ones_like(residual[..., 0])
        least = COARSE_ENERGY if layer.place.above > 0 else TOKEN_ENERGY
        return fields.candidates(residual, least, self.config.jitter)
