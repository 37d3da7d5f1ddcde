"""What the averaged weights of a run reach on data that it does not train on."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import nn

from bsqav.training.common.placement import Placement
from bsqav.training.paper.images import BatchConfig, DataFolder, loader
from bsqav.training.paper.phases import Phase

__all__ = ["Validation"]

SAMPLES = 512  # at most
SEED = 0


class Validation:
    """Figures of a phase's loss on batches that are the same every time.

    Attributes:
        best: the phase's figure `metric` at its best so far, as `better` compares it.
    """

    def __init__(self, data: DataFolder, config: BatchConfig, place: Placement) -> None:
        # No batch is larger than the data: a few images are not counted many times over.
        batch = max(place.world, min(config.batch, len(data)) // place.world * place.world)
        config = replace(config, batch=batch, flip=False, workers=0)
        self.batches = data.batches(config, SEED, place.rank, place.world)
        self.steps = range(math.ceil(min(SAMPLES, len(data)) / batch))
        self.place, self.best = place, math.nan

    @torch.no_grad()
    def figures(self, phase: Phase, net: nn.Module, bf16: bool) -> dict[str, float]:
        """Means over the batches, of all processes, with these weights."""
        measured, sums = phase.measuring(net), dict[str, float]()
        for step, (batch, labels, _) in zip(
            self.steps, loader(self.batches, self.steps), strict=True
        ):
            pixels, labels = batch.to(self.place.device), labels.to(self.place.device)
            with self.place.autocast(bf16):
                loss, figures = measured.loss(pixels, labels, step)
            values = torch.stack([loss.float(), *(x.float() for x in figures.values())])
            for name, value in zip(
                ["loss", *figures], self.place.mean(values).tolist(), strict=True
            ):
                sums[name] = sums.get(name, 0.0) + value / len(self.steps)
        return sums

    def improves(self, phase: Phase, figures: dict[str, float]) -> bool:
        """Whether the phase's metric is the best so far, which it becomes then."""
        value = figures[phase.metric]
        better = value > self.best if phase.larger_is_better else value < self.best
        if math.isnan(value) or not (better or math.isnan(self.best)):
            return False
        self.best = value
        return True
