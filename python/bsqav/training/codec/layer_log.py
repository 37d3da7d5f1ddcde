"""What a run of the codec's networks logs: the figures of its layers, and images of the last.

Figures stay on the device until `flush`, since reading one makes the device wait.
"""

import time

import torch
from torch import Tensor

from bsqav.nn.codec import fields
from bsqav.training.codec.objective import LayerInput, LayerResult
from bsqav.training.common.journal import Journal

FIGURES = ("loss", "distortion", "bits", "active", "stages", "skipped")
# Clips of a batch that are shown.
SHOWN = 4


class LayerLog:
    """Collects the figures of layers.

    every: seconds between flushes that are due.
    """

    def __init__(self, journal: Journal, every: float) -> None:
        self.journal, self.every = journal, every
        self.flushed = time.monotonic()
        self.waiting: list[tuple[int, float, str, Tensor]] = []
        self.shown: tuple[LayerInput, LayerResult] | None = None

    def add(
        self,
        step: int,
        minutes: float,
        layer: LayerInput,
        result: LayerResult,
        skipped: Tensor,
    ) -> None:
        """Notes one layer. skipped: steps left out so far, a scalar on the device."""
        if self.journal.folder is None:
            return
        place = layer.place
        if layer.coded is not None:  # layers of all kinds together
            kind = "T"
        else:
            kind = "I" if place.intra else "L" if place.above > 0 else "P"
        stages = result.stages_BHW.float().mean()
        values = [result.loss, result.distortion, result.bits, result.active, stages, skipped]
        figures = torch.stack([value.detach().float() for value in values])
        self.waiting.append((step, round(minutes, 2), kind, figures))
        if kind in "PT":
            self.shown = layer, result

    @property
    def due(self) -> bool:
        """Whether it is time for a flush."""
        return time.monotonic() - self.flushed >= self.every

    def flush(self) -> list[str]:
        """Writes what was noted since the last flush; returns each layer in a few words."""
        self.flushed = time.monotonic()
        if not self.waiting:
            return []
        rows = torch.stack([values for *_, values in self.waiting]).tolist()
        records, words = [], []
        for (step, minutes, kind, _), row in zip(self.waiting, rows, strict=True):
            figures = {name: round(x, 4) for name, x in zip(FIGURES, row, strict=True)}
            figures["skipped"] = int(figures["skipped"])
            records.append({"step": step, "minutes": minutes, "kind": kind, **figures})
            self.journal.scalars(step, {f"{name}/{kind}": x for name, x in figures.items()})
            shown = f"D {figures['distortion']:.2f} R {figures['bits']:.2f}"
            words.append(f"{kind}[{shown} n {figures['stages']:.2f}]")
        self.journal.log(records)
        self.waiting.clear()
        return words

    def image(self, step: int) -> None:
        """Shows the last frame of the last batch: source, prediction and decoded in a row."""
        if self.shown is not None and self.journal.board is not None:
            layer, result = self.shown
            rows = []
            for tokens in (layer.target_BHWS, layer.pred_BHWS, result.recon_BHWS):
                luma = fields.tokens_to_planes(tokens[:SHOWN].float())[0]
                rows.append(luma.reshape(-1, luma.shape[-1]))
            samples = torch.cat(rows, 1).clamp(0, 255).byte().cpu()[None]
            self.journal.image("frames", samples, step)
        self.journal.flush()
