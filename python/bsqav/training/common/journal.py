"""What a run tells: log.jsonl, TensorBoard where that is installed, lines of progress, pictures.

Figures stay on the device until `flush`, since reading one makes the device wait.
"""

import json
import math
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bsqav.nn.codec import fields
from bsqav.training.codec.objective import LayerInput, LayerResult

FIGURES = ("loss", "distortion", "bits", "active", "stages")
# Clips of a batch that are shown.
SHOWN = 4


class Journal:
    """Collects the figures of layers. Without a folder (processes after the first) it is silent.

    every: seconds between flushes that are due.
    """

    def __init__(self, run: Path | None, every: float, board: bool = False) -> None:
        self.run = run
        self.log = (run / "log.jsonl").open("a", encoding="utf-8") if run else None
        self.every = every
        self.flushed = time.monotonic()
        self.waiting: list[tuple[dict[str, Any], Tensor]] = []
        self.shown: tuple[LayerInput, LayerResult] | None = None
        self.board = self.notice = None
        if run and board:
            self.board = open_board(run)
            if self.board is None:
                self.notice = "no TensorBoard here (pip install tensorboard): log.jsonl alone"

    def add(self, step: int, minutes: float, layer: LayerInput, result: LayerResult) -> None:
        """Notes one layer."""
        if self.log is None:
            return
        place = layer.place
        if layer.coded is not None:  # layers of all kinds together
            kind = "T"
        else:
            kind = "I" if place.intra else "L" if place.above > 0 else "P"
        stages = result.stages_BHW.float().mean()
        values = [result.loss, result.distortion, result.bits, result.active, stages]
        head = {"step": step, "minutes": round(minutes, 2), "kind": kind}
        self.waiting.append((head, torch.stack([value.detach().float() for value in values])))
        if kind in "PT":
            self.shown = layer, result

    @property
    def due(self) -> bool:
        """Whether it is time for a flush."""
        return time.monotonic() - self.flushed >= self.every

    def flush(self) -> list[str]:
        """Writes what was noted since the last flush; returns each layer in a few words."""
        self.flushed = time.monotonic()
        if self.log is None or not self.waiting:
            return []
        rows = torch.stack([values for _, values in self.waiting]).tolist()
        words = []
        for (head, _), row in zip(self.waiting, rows, strict=True):
            record = {**head, **{name: round(x, 4) for name, x in zip(FIGURES, row, strict=True)}}
            self.log.write(json.dumps(record) + "\n")
            if self.board is not None:
                for name in FIGURES:
                    self.board.add_scalar(f"{name}/{head['kind']}", record[name], head["step"])
            figures = (
                f"D {record['distortion']:.2f} R {record['bits']:.2f} n {record['stages']:.2f}"
            )
            words.append(f"{head['kind']}[{figures}]")
        self.log.flush()
        self.waiting.clear()
        return words

    def note(self, step: int, record: dict[str, Any]) -> None:
        """Adds a record of another kind, such as an evaluation's, to checks.jsonl."""
        if self.run is None:
            return
        with (self.run / "checks.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **record}) + "\n")
        if self.board is not None:
            for name, value in record.items():
                if isinstance(value, int | float):
                    self.board.add_scalar(name, value, step)

    def picture(self, step: int) -> None:
        """Shows the last frame of the last batch: source, prediction, decoded, side by side."""
        if self.board is None:
            return
        self.board.flush()
        if self.shown is None:
            return
        layer, result = self.shown
        rows = []
        for tokens in (layer.target_BHWS, layer.pred_BHWS, result.recon_BHWS):
            luma = fields.tokens_to_planes(tokens[:SHOWN].float())[0]
            rows.append(luma.reshape(-1, luma.shape[-1]))
        self.board.add_image("frames", torch.cat(rows, 1).clamp(0, 255).byte().cpu()[None], step)
        self.board.flush()


def open_board(run: Path) -> Any:
    """A TensorBoard writer, or None where the package is missing."""
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(run / "board"))


def time_left(share: float, elapsed: float) -> str:
    """A few words: how much is left of a budget of which `share` took `elapsed` minutes."""
    if share <= 0 or not math.isfinite(elapsed):
        return ""
    left = elapsed * (1 - share) / share
    return f"{left:.0f} min left" if left >= 1 else f"{left * 60:.0f} s left"
