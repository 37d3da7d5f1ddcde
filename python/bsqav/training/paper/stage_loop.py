"""The resumable training loop of the research models, in one process or several."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bsqav.errors import ModelError, UsageError
from bsqav.nn.common.safeload import read_checkpoint
from bsqav.nn.paper.attention import Attention, choose_attention
from bsqav.nn.paper.quantizers import BinarySphericalQuantizer
from bsqav.nn.paper.store import save_model
from bsqav.training.common.checkpoint import CHECKPOINT, WEIGHTS, write
from bsqav.training.common.journal import open_board, time_left
from bsqav.training.common.placement import Placement
from bsqav.training.paper import sharding
from bsqav.training.paper.images import PictureConfig, PictureFolder, StepBatches, loader
from bsqav.training.paper.stages import Stage

__all__ = ["RunConfig", "StageTrainer"]


@dataclass(frozen=True)
class RunConfig:
    """How a stage is trained.

    The rate rises from lr_start to 1 times lr within warmup steps, and falls to lr_end times lr by
    half a cosine. clip: largest norm of gradients. ema: of the averaged weights. bf16: matrix
    products in bfloat16. compiled: by torch.compile. sharded: spread over several processes by
    FSDP2. attention: of tokenizers of videos, see choose_attention. minutes: a budget beside steps.
    log_steps: steps between lines of log.jsonl.
    """

    steps: int = 1_000_000
    minutes: float = math.inf
    lr: float = 1e-4
    lr_start: float = 0.1
    lr_end: float = 0.0
    warmup: int = 5000
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 1e-4
    clip: float = 1.0
    ema: float = 0.999
    bf16: bool = True
    compiled: bool = False
    sharded: bool = False
    attention: Attention = "sdpa"
    seed: int = 1
    threads: int = 2
    log_steps: int = 50
    checkpoint_minutes: float = 5.0
    board: bool = False

    def rate(self, step: int) -> float:
        """Share of lr at a step."""
        if step < self.warmup:
            return self.lr_start + (1 - self.lr_start) * step / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        fall = (1 + math.cos(math.pi * min(1.0, done))) / 2
        return self.lr_end + (1 - self.lr_end) * fall


class StageTrainer:
    """Trains a stage on a folder of pictures or clips, in the folder of a run.

    checkpoint.pt resumes the run as if nobody had stopped it; weights.pt is the averaged model, as
    bsqav.nn.paper.store reads it. Several processes share every batch and average their gradients.
    """

    def __init__(
        self,
        stage: Stage,
        config: RunConfig,
        data: PictureConfig,
        pictures: PictureFolder,
        run: Path,
        place: Placement,
    ) -> None:
        self.stage, self.config, self.run, self.place = stage, config, run, place
        self.labels = pictures.classes
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed + place.rank)
        run.mkdir(parents=True, exist_ok=True)
        self.net = stage.net.to(place.device)
        for part in vars(stage).values():
            if isinstance(part, nn.Module):
                choose_attention(part.to(place.device), config.attention)
        self.average = copy.deepcopy(self.net).eval().requires_grad_(False)
        quantizer = getattr(self.net, "quantizer", None)
        if isinstance(quantizer, BinarySphericalQuantizer) and place.world > 1:
            quantizer.average = place.mean_of_batch
        place.share_weights(self.net)
        place.share_weights(self.average)
        if config.sharded:
            sharding.shard(self.net, place)
            sharding.shard(self.average, place)
        self.optimizers = [_optimizer(self.net, config)]
        if stage.opponent is not None:
            place.share_weights(stage.opponent)
            self.optimizers.append(_optimizer(stage.opponent, config))
        self.batches = StepBatches(pictures, data, config.seed, place.rank, place.world)
        self.step, self.elapsed = 0, 0.0
        self.loss: Callable[..., tuple[Tensor, dict[str, Tensor]]] = stage.loss
        if config.compiled:
            self.net.compile()
        self.board = open_board(run) if config.board and place.leads else None

    # ---- state ----

    def save(self) -> None:
        """Writes checkpoint.pt and weights.pt, each whole or not at all."""
        state = {
            "config": asdict(self.net.config),  # type: ignore[call-overload]
            "nets": [sharding.weights_state(net) for net in self.nets],
            "average": sharding.weights_state(self.average),
            "optimizers": [
                sharding.optimizer_state(net, optimizer)
                for net, optimizer in zip(self.nets, self.optimizers, strict=True)
            ],
            "step": self.step,
            "elapsed": self.elapsed,
        }
        if self.place.leads:
            write(state, self.run / CHECKPOINT)
            save_model(self.run / WEIGHTS, self.average, self.labels, state["average"])

    @property
    def nets(self) -> list[nn.Module]:
        """The network and its opponent, as far as there is one."""
        return [self.net] if self.stage.opponent is None else [self.net, self.stage.opponent]

    def resume(self) -> bool:
        """Goes on from the run's checkpoint, if there is one. ModelError for other networks."""
        path = self.run / CHECKPOINT
        if not path.exists():
            return False
        state: Any = read_checkpoint(path)
        try:
            if state["config"] != asdict(self.net.config):  # type: ignore[call-overload]
                raise ModelError(f"{path} belongs to another configuration")
            parts = zip(self.nets, state["nets"], self.optimizers, state["optimizers"], strict=True)
            for net, weights, optimizer, moments in parts:
                sharding.load_state(net, weights, optimizer, moments)
            sharding.load_state(self.average, state["average"])
            self.step, self.elapsed = int(state["step"]), float(state["elapsed"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, ModelError):
                raise
            raise ModelError(f"{path} was written by another version of bsqav") from error
        return True

    # ---- steps ----

    def train(self, report: Callable[[str], None] = print) -> None:
        """Runs to the end of the budget, saving on the way and at the end."""
        self.net.train()
        saved = began = time.monotonic()
        before = self.elapsed
        try:
            for pixels, labels in loader(self.batches, range(self.step, self.config.steps)):
                figures = self._one(pixels.to(self.place.device), labels.to(self.place.device))
                self.step += 1
                self.elapsed = before + (time.monotonic() - began) / 60
                if self.step % self.config.log_steps == 0:
                    self._tell(figures, report)
                if time.monotonic() - saved > 60 * self.config.checkpoint_minutes:
                    self.save()
                    saved = time.monotonic()
                if self.place.any_of(self.elapsed >= self.config.minutes):
                    break
        finally:  # an interrupted run resumes where it was
            self.save()

    def _one(self, pixels: Tensor, labels: Tensor) -> dict[str, Tensor]:
        rate = self.config.rate(self.step) * self.config.lr
        with self.place.autocast(self.config.bf16):
            loss, figures = self.loss(pixels, labels, self.step)
        self._update(self.net, self.optimizers[0], loss, rate)
        self._average()
        with self.place.autocast(self.config.bf16):
            other = self.stage.opponent_loss(pixels, self.step)
        if other is not None and self.stage.opponent is not None:
            self._update(self.stage.opponent, self.optimizers[1], other[0], rate)
            figures = {**figures, **other[1]}
        return {"loss": loss.detach(), **{name: x.detach() for name, x in figures.items()}}

    def _update(
        self, net: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, rate: float
    ) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        trained = [weight for weight in net.parameters() if weight.requires_grad]
        if not (self.config.sharded and net is self.net):  # FSDP2 has averaged its own
            self.place.average_gradients(trained)
        norm = sharding.whole(nn.utils.clip_grad_norm_(trained, self.config.clip))
        for group in optimizer.param_groups:
            group["lr"] = rate
        if bool(torch.isfinite(norm)):  # the same in all processes
            optimizer.step()

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.config.ema, (self.step + 1) / (self.step + 10))
        for mean, value in zip(self.average.parameters(), self.net.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)

    def _tell(self, figures: dict[str, Tensor], report: Callable[[str], None]) -> None:
        """The last step's figures, the mean over processes, to log.jsonl, the board and a line."""
        names = sorted(figures)
        values = torch.stack([figures[name].float() for name in names])
        values = self.place.mean(values)
        if not self.place.leads:
            return
        record = {name: round(x, 5) for name, x in zip(names, values.tolist(), strict=True)}
        head = {"step": self.step, "minutes": round(self.elapsed, 2)}
        with (self.run / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps({**head, **record}) + "\n")
        if self.board is not None:
            for name, value in record.items():
                self.board.add_scalar(name, value, self.step)
        shown = " ".join(f"{name} {value:.4g}" for name, value in record.items())
        share = max(self.step / self.config.steps, self.elapsed / self.config.minutes)
        report(f"step {self.step}, {time_left(share, self.elapsed)}: {shown}")


def _optimizer(net: nn.Module, config: RunConfig) -> torch.optim.Optimizer:
    """AdamW; vectors (biases, norms) and embeddings of places have no decay."""
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, weight in net.named_parameters():
        if weight.requires_grad:
            free = weight.dim() < 2 or ".position." in f".{name}"
            (others if free else decayed).append(weight)
    if not decayed and not others:
        raise UsageError("there is nothing to train")
    groups: Sequence[dict[str, Any]] = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas)
