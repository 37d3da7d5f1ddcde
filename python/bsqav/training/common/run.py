"""One resumable run of training: its folder, budget, checkpoints, progress and messages.

A trainer has networks and steps; the run decides when it saves, tells and ends.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from bsqav.errors import DivergedError, UsageError
from bsqav.nn.common.safeload import read_checkpoint
from bsqav.training.common.checkpoint import CHECKPOINT, is_finite, write
from bsqav.training.common.journal import Journal
from bsqav.training.common.placement import Placement
from bsqav.training.common.setup import START, Setting, reconcile

Report = Callable[[str], None]
# What decides the result, for people; a checkpoint has it for itself.
SETTINGS = "settings.json"


@dataclass(frozen=True)
class RunConfig:
    """What every run is configured by.

    steps and minutes: the budget, whichever ends first. seed: of all random choices. threads: of
    PyTorch on the CPU. checkpoint_minutes: how often it saves. board: also write TensorBoard files.
    max_skipped: so many steps in a row whose loss or gradients are no numbers end the run.
    """

    steps: int = 40_000
    minutes: float = math.inf
    seed: int = 1
    threads: int = 2
    checkpoint_minutes: float = 5.0
    board: bool = False
    max_skipped: int = 50

    def check_run(self) -> None:
        """Raises UsageError for a budget or intervals out of range."""
        if min(self.steps, self.threads, self.max_skipped) < 1:
            raise UsageError("steps, threads and max_skipped are at least 1")
        if not min(self.minutes, self.checkpoint_minutes) > 0:
            raise UsageError("minutes and checkpoint_minutes are more than 0")


@dataclass
class Progress:
    """What a run has done, over all its sessions.

    step: optimizer steps, skipped ones included. elapsed: minutes of training. skipped: steps that
    changed nothing, because their loss or gradients were no numbers.
    """

    step: int = 0
    elapsed: float = 0.0
    skipped: int = 0


class Steps(Protocol):
    """A trainer, as its run sees it."""

    run: "Run"

    def advance(self) -> None:
        """Trains one step or a few, and counts them in the run's progress."""

    def tell(self, last: bool) -> None:
        """Logs and reports, if it is time to; `last`: the session ends."""

    def save(self) -> None:
        """Writes the checkpoint and the weights, each whole or not at all."""

    def resume(self) -> bool:
        """Continues from the folder's checkpoint; False if there is none."""

    def train(self, report: Report = print) -> None:
        """Runs to the end of the budget."""


class Run:
    """The folder, progress and budget of a run in this process.

    Where several processes share a run, the first one alone writes files and reports. cancelled:
    polled after each step; true ends the session there, with KeyboardInterrupt. setup: what decides
    the result, which a resumed run must share but for what override names (see
    bsqav.training.common.setup).
    """

    def __init__(
        self, config: RunConfig, folder: Path, place: Placement, progress: Progress | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(config.threads)
        self.config, self.folder, self.place = config, folder, place
        self.progress = progress or Progress()
        self.journal = Journal(folder if place.leads else None, config.board)
        self.report: Report = print
        self.cancelled: Callable[[], bool] = lambda: False
        self.skipped_in_row = 0
        self.setup: dict[str, Setting] = {}
        self.override: Sequence[str] = ()

    def say(self, line: str) -> None:
        """Reports a line."""
        if self.place.leads:
            self.report(line)

    # ---- budget ----

    def share(self) -> float:
        """Share of the budget that is used, 0..1."""
        steps = self.progress.step / self.config.steps
        return min(1.0, max(steps, self.progress.elapsed / self.config.minutes))

    def time_left(self) -> str:
        """The time that the rest of the budget will take, in a few words."""
        share, elapsed = self.share(), self.progress.elapsed
        if share <= 0 or not math.isfinite(elapsed):
            return ""
        left = elapsed * (1 - share) / share
        return f"{left:.0f} min left" if left >= 1 else f"{left * 60:.0f} s left"

    # ---- checkpoint ----

    @property
    def checkpoint(self) -> Path:
        """The file that the run resumes from."""
        return self.folder / CHECKPOINT

    def write_checkpoint(self, state: Mapping[str, object]) -> None:
        """Writes the trainer's state, whole or not at all."""
        if self.place.leads:
            write(state, self.checkpoint)

    def may_save(self, *states: Mapping[str, object]) -> bool:
        """Whether weights (state dicts) hold numbers only; others replace no file, which is said.

        The files of the last good weights are worth more than ones that no run can go on from.
        """
        if all(is_finite(state) for state in states):
            return True
        self.say(
            f"step {self.progress.step}: the weights are no numbers (NaN or infinity); "
            f"{self.checkpoint} and the weights beside it stay as they were"
        )
        return False

    def read_checkpoint(self) -> object | None:
        """The state of the folder's checkpoint, None where there is none.

        Raises ModelError for a file that is damaged.
        """
        return read_checkpoint(self.checkpoint) if self.checkpoint.exists() else None

    def saved_setup(self) -> dict[str, Setting]:
        """The setup for a checkpoint."""
        return {START: "", **self.setup}

    def compare_setup(self, saved: object) -> None:
        """Takes the setup of a checkpoint to go on from; says what is overridden.

        Raises UsageError where it differs from this session's in a setting that is not.
        """
        self.setup, notes = reconcile(saved, self.setup, self.override, self.checkpoint)
        for note in notes:
            self.say(note)

    # ---- steps ----

    def note_skipped(self, total: int, in_row: int) -> None:
        """Takes how many steps were skipped so far, and how many of them since the last good one.

        The loop ends when there are too many in a row. Every process must note the same, if not
        after the same step.
        """
        if total > self.progress.skipped:
            self.say(
                f"step {self.progress.step}: {total} steps skipped so far, whose loss or gradients "
                "were no numbers"
            )
        self.progress.skipped, self.skipped_in_row = total, in_row

    def _check_skipped(self) -> None:
        """Raises DivergedError in all processes where one has noted too many skipped steps."""
        most = self.config.max_skipped
        if self.place.any_of(self.skipped_in_row >= most):
            raise DivergedError(
                f"the loss or its gradients were no numbers (NaN or infinity) for {most} steps in "
                f"a row, up to step {self.progress.step}: look at the data, or begin anew with a "
                f"lower rate of learning. {self.folder} holds the last good weights"
            )

    def loop(
        self,
        trainer: Steps,
        report: Report,
        periodic: Iterable[tuple[float, Callable[[], None]]] = (),
    ) -> None:
        """Trains to the end of the budget; saves on the way, at the end and when interrupted.

        periodic: what else happens between steps, and after how many minutes again. Minutes that
        this and saving take do not count. Raises DivergedError after max_skipped steps in a row
        without a finite loss.
        """
        self.report = report
        if self.place.leads:
            text = json.dumps(self.saved_setup(), indent=2, default=str)
            (self.folder / SETTINGS).write_text(text + "\n", encoding="utf-8")
        if self.journal.notice:
            self.say(self.journal.notice)
        tasks = [_Periodic(self.config.checkpoint_minutes, trainer.save)]
        tasks += [_Periodic(minutes, action) for minutes, action in periodic]
        try:
            while self.share() < 1.0:
                began = time.monotonic()
                trainer.advance()
                elapsed = self.progress.elapsed + (time.monotonic() - began) / 60
                self.progress.elapsed = self.place.agreed(elapsed)
                trainer.tell(last=False)
                self._check_skipped()
                if self.place.any_of(self.cancelled()):
                    raise KeyboardInterrupt
                for task in tasks:
                    task.run_if_due()
        finally:  # an interrupted run resumes at the step it had reached
            trainer.tell(last=True)
            # A run that did nothing leaves no checkpoint of random weights to be resumed from.
            if self.progress.step > 0:
                trainer.save()


class _Periodic:
    """An action that is repeated after some minutes."""

    def __init__(self, minutes: float, action: Callable[[], None]) -> None:
        self.seconds, self.action = 60 * minutes, action
        self.done = time.monotonic()

    def run_if_due(self) -> None:
        if time.monotonic() - self.done > self.seconds:
            self.action()
            self.done = time.monotonic()


def run_process(
    trainer: Steps,
    cancelled: Callable[[], bool],
    begin: Callable[[], None] | None = None,
    override: Sequence[str] = (),
) -> None:
    """Resumes and trains in this process, with messages on standard error.

    cancelled: true ends the session between steps, so that the resumed run is the same as one that
    was never interrupted. begin: called for a new run. override: settings in which this session may
    differ from the checkpoint's, see bsqav.training.common.setup. Raises UsageError for others.
    """
    run = trainer.run
    run.cancelled, run.override = cancelled, override
    run.report = lambda line: print(line, file=sys.stderr, flush=True)
    try:
        if trainer.resume():
            run.say(f"resumed at step {run.progress.step}")
        elif begin is not None:
            begin()
        trainer.train(run.report)
    finally:
        trainer.run.place.leave()
