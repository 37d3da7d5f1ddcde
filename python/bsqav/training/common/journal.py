"""The log of a run: log.jsonl, checks.jsonl, validation.jsonl, and TensorBoard where it is."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

Record = Mapping[str, float | str]


class Journal:
    """The files of a run's folder. Without a folder (processes after the first) it is silent.

    notice: what the user should know about it, None for nothing.
    """

    def __init__(self, folder: Path | None, board: bool = False) -> None:
        self.folder = folder
        self.board: SummaryWriter | None = None
        self.notice: str | None = None
        if folder is not None and board:
            self.board = _open_board(folder)
            if self.board is None:
                self.notice = "no TensorBoard here (pip install tensorboard): log.jsonl alone"

    def log(self, records: Iterable[Record]) -> None:
        """Adds records of steps to log.jsonl."""
        self._append("log.jsonl", records)

    def check(self, step: int, figures: Mapping[str, float]) -> None:
        """Adds an evaluation's figures to checks.jsonl and the board."""
        self._append("checks.jsonl", [{"step": step, **figures}])
        self.scalars(step, figures)

    def validation(self, step: int, figures: Mapping[str, float]) -> None:
        """Adds figures of held-out data to validation.jsonl and the board."""
        self._append("validation.jsonl", [{"step": step, **figures}])
        self.scalars(step, {f"validation/{name}": value for name, value in figures.items()})

    def scalars(self, step: int, figures: Mapping[str, float]) -> None:
        """Adds figures to the board."""
        if self.board is not None:
            for name, value in figures.items():
                self.board.add_scalar(name, value, step)

    def image(self, name: str, samples: Tensor, step: int) -> None:
        """Adds an image [C, H, W] to the board."""
        if self.board is not None:
            self.board.add_image(name, samples, step)

    def flush(self) -> None:
        """Writes out what the board holds back."""
        if self.board is not None:
            self.board.flush()

    def _append(self, name: str, records: Iterable[Record]) -> None:
        if self.folder is None:
            return
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.writelines(_line(record) for record in records)


def _line(record: Record) -> str:
    """A record as a line of JSON, which has no NaN and no infinity: null stands for both."""
    plain = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in record.items()
    }
    return json.dumps(plain, allow_nan=False) + "\n"


def _open_board(folder: Path) -> SummaryWriter | None:
    """A TensorBoard writer, or None where the package is missing."""
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder / "board"))
