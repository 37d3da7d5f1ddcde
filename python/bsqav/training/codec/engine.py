"""Runs layers and predictions of a rollout in the way that suits the device.

On a CPU: the coded tokens alone, motion by the C++ search. Batched: all tokens under a mask, motion
in PyTorch, and on CUDA both as captured graphs; torch.compile can fuse the layer's operations.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from bsqav.nn.codec.networks import CodecNet
from bsqav.training.codec.compensation import compensate
from bsqav.training.codec.data import Planes
from bsqav.training.codec.decisions import MOTION_LAMBDA
from bsqav.training.codec.motion_search import search
from bsqav.training.codec.objective import (
    LayerInput,
    LayerResult,
    LayerTensors,
    code_layer,
    code_tensors,
)
from bsqav.training.codec.rollout import predict
from bsqav.training.codec.stepping import Replayed, Schedule, Updater
from bsqav.training.common.placement import Placement


@dataclass(frozen=True)
class EngineConfig:
    """bf16: matrix products in bfloat16; tokenizer: whether it is trained.

    graphs and compiled: captured graphs and torch.compile, both on CUDA alone.
    """

    bf16: bool = True
    graphs: bool = True
    compiled: bool = False
    tokenizer: bool = True


class Engine:
    """Codes layers with the networks of one updater, and trains them."""

    def __init__(
        self,
        updater: Updater,
        config: EngineConfig,
        place: Placement,
        report: Callable[[str], None],
    ) -> None:
        self.updater, self.config, self.place = updater, config, place
        # Gradients of several processes meet between the backward pass and the step.
        graphs = config.graphs and place.device.type == "cuda"
        self.report = report
        self.core: Callable[..., LayerResult] = code_tensors
        if config.compiled and place.device.type == "cuda":
            self.core = torch.compile(code_tensors, dynamic=False)
        elif config.compiled:
            report("torch.compile is used on CUDA alone: going on without")
        self.cached = not graphs
        self.coded = Replayed("a layer", self._code, report, graphs)
        self.trained = Replayed("a step", self._train, report, graphs and place.world == 1)
        self.moved = Replayed("motion", self._predict, report, graphs)
        self.rate = torch.zeros((), device=place.device)

    def reset(self) -> None:
        """To be called when the networks' mode changes: graphs would stay in the old one."""
        self.coded.reset()
        self.trained.reset()

    # ---- layers ----

    def code(self, layer: LayerInput, candidates: Tensor, rate: float) -> LayerResult:
        """A layer's result without gradients."""
        with torch.no_grad():
            if not self.place.batched:
                return self._plain(self.updater.net, layer, candidates, rate)
            return LayerResult(*self.coded(*self._tensors(layer, candidates, rate)))

    def train(
        self, layer: LayerInput, candidates: Tensor, rate: float, schedule: Schedule
    ) -> LayerResult:
        """One optimizer step on a layer; returns its result, without gradients."""
        if self.place.batched:
            tensors = self._tensors(layer, candidates, rate)
            self.updater.prepare(schedule)
            return LayerResult(*self.trained(*tensors))
        result = self._plain(self.updater.net, layer, candidates, rate)
        self.updater.prepare(schedule)
        self.updater.update(result.loss)
        return replace(result, loss=result.loss.detach())

    def observe(self, net: CodecNet, layer: LayerInput, candidates: Tensor) -> LayerResult:
        """A layer's result by other networks, over the coded tokens alone: they see ranges."""
        with torch.no_grad():
            return self._plain(net, layer, candidates, 1.0)

    def _plain(
        self, net: CodecNet, layer: LayerInput, candidates: Tensor, rate: float
    ) -> LayerResult:
        with self.place.autocast(self.config.bf16):
            return code_layer(net, layer, candidates, rate, tokenizer=self.config.tokenizer)

    def _tensors(self, layer: LayerInput, candidates: Tensor, rate: float) -> tuple[Tensor, ...]:
        return *LayerTensors.of(layer), candidates, self.rate.fill_(rate)

    def _run(self, tensors: tuple[Tensor, ...]) -> LayerResult:
        net, trained = self.updater.net, self.config.tokenizer
        *layer, candidates, rate = tensors
        inputs = LayerTensors(*layer), candidates, rate
        with self.place.autocast(self.config.bf16, cache=self.cached):
            if self.core is not code_tensors:
                try:
                    return self.core(net, *inputs, tokenizer=trained, dense=True)
                except RuntimeError as error:
                    reason = (str(error) or type(error).__name__).splitlines()[0]
                    self.report(f"torch.compile failed: {reason}; going on without")
                    self.core = code_tensors
            return code_tensors(net, *inputs, tokenizer=trained, dense=True)

    def _code(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return _as_tuple(self._run(tensors))

    def _train(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        result = self._run(tensors)
        self.updater.update(result.loss)
        return _as_tuple(result)

    # ---- motion ----

    def predict(self, recon: Planes, target_y: Tensor, step: float) -> Planes:
        """See bsqav.training.codec.rollout.predict."""
        if not self.place.batched:
            return predict(recon, target_y, step)
        lam = torch.full((), MOTION_LAMBDA * step, device=target_y.device)
        y, u, v = self.moved(*recon, target_y, lam)
        return y, u, v

    def _predict(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        y, u, v, target, lam = tensors
        with torch.no_grad():
            y, u, v = y.round(), u.round(), v.round()
            _, mv = search(target.round(), y, lam)
            return compensate(y, u, v, mv)


def _as_tuple(result: LayerResult) -> tuple[Tensor, ...]:
    return tuple(getattr(result, field.name).detach() for field in fields(result))
