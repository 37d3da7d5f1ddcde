"""The resumable training loop of the research models, in one process or several."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NotRequired, TypedDict, cast

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import OptimizerStateType, ValueType
from torch.nn.parallel import DistributedDataParallel

from bsqav.errors import BsqError, ModelError, UsageError
from bsqav.nn.paper.attention import Attention, choose_attention
from bsqav.nn.paper.pretrained import Pretrained
from bsqav.nn.paper.quantizers import BinarySphericalQuantizer
from bsqav.nn.paper.store import save_model
from bsqav.training.common.checkpoint import BEST, WEIGHTS
from bsqav.training.common.placement import Placement
from bsqav.training.common.run import Report, Run, RunConfig
from bsqav.training.common.setup import Setting, Setup, changes_between, settings_of
from bsqav.training.paper import sharding
from bsqav.training.paper.accumulation import entropy_of_all
from bsqav.training.paper.images import BatchConfig, DataFolder, Drawn, loader
from bsqav.training.paper.phases import Phase
from bsqav.training.paper.sharding import averaged_while_computed
from bsqav.training.paper.validation import Validation

__all__ = ["PhaseConfig", "PhaseTrainer"]


@dataclass(frozen=True)
class PhaseConfig(RunConfig):
    """How a phase is trained.

    The rate rises from lr_start to 1 times lr within warmup steps, and falls to lr_end times lr by
    half a cosine. clip: largest norm of gradients. ema: of the averaged weights. bf16: matrix
    products in bfloat16. compiled: by torch.compile. sharded: spread over several processes by
    FSDP2. attention: of tokenizers of videos, see choose_attention.
    log_steps: steps between lines of log.jsonl. accumulate: parts of a batch that are computed one
    after the other, with the gradients of the whole. validate_steps: steps between validations,
    where there are data for it. keep: so many weights by their step stay besides weights.pt.
    """

    steps: int = 1_000_000
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
    log_steps: int = 50
    accumulate: int = 1
    validate_steps: int = 1000
    keep: int = 0

    def check(self) -> None:
        """Raises UsageError for values out of range."""
        self.check_run()
        if not 0 < self.lr < math.inf or min(self.lr_start, self.lr_end, self.weight_decay) < 0:
            raise UsageError(
                f"lr {self.lr}: more than 0; lr_start, lr_end, weight_decay: 0 or more"
            )
        if min(self.accumulate, self.validate_steps) < 1 or self.keep < 0:
            raise UsageError("accumulate and validate_steps are 1 or more, keep 0 or more")
        if self.warmup < 0 or self.log_steps < 1 or not self.clip > 0:
            raise UsageError("warmup is 0 or more, log_steps 1 or more, clip more than 0")
        if not 0 <= self.ema < 1 or not all(0 <= beta < 1 for beta in self.betas):
            raise UsageError("ema and betas are from 0 to less than 1")

    def rate(self, step: int) -> float:
        """Share of lr at a step."""
        if step < self.warmup:
            return self.lr_start + (1 - self.lr_start) * step / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        fall = (1 + math.cos(math.pi * min(1.0, done))) / 2
        return self.lr_end + (1 - self.lr_end) * fall


# The discriminator's whole loss, R1 included, among the figures of a step.
TOTAL = "discriminator_total"


class PhaseState(TypedDict):
    """checkpoint.pt of a run; of the network and its discriminator `nets` and `optimizers`."""

    config: dict[str, object]
    nets: list[dict[str, ValueType]]
    average: dict[str, ValueType]
    optimizers: list[OptimizerStateType]
    step: int
    elapsed: float
    skipped: NotRequired[int]
    best: NotRequired[float]
    setup: NotRequired[dict[str, Setting]]


class PhaseTrainer:
    """Trains a phase on a folder of images or clips, in the folder of a run.

    checkpoint.pt resumes the run as if nobody had stopped it; weights.pt is the averaged model, as
    bsqav.nn.paper.store reads it. Several processes share every batch and average their gradients.
    inputs: settings of the phase and digests of other files that decide the result, which a
    checkpoint keeps (see bsqav.training.common.setup). held_out: data to validate on.
    """

    def __init__(
        self,
        phase: Phase,
        config: PhaseConfig,
        data: BatchConfig,
        images: DataFolder,
        folder: Path,
        place: Placement,
        inputs: Setup = MappingProxyType({}),
        held_out: DataFolder | None = None,
    ) -> None:
        self.phase, self.config, self.place = phase, config, place
        self.run = Run(config, folder, place)
        config.check()
        data.check()
        if data.batch % (config.accumulate * place.world):
            raise UsageError(
                f"a batch of {data.batch} does not divide into {config.accumulate} parts of "
                f"{place.world} processes"
            )
        self.validation = None if held_out is None else Validation(held_out, data, place)
        network = settings_of(phase.net.config, "network.")
        known = {**settings_of(config), **settings_of(data, "data."), **network}
        self.run.setup = {**known, "files": images.digest(), **inputs}
        self.run.setup["matrix"] = images.matrices()
        self.progress = self.run.progress
        torch.manual_seed(config.seed + place.rank)
        self.net = phase.net.to(place.device)
        for part in vars(phase).values():
            if isinstance(part, nn.Module):
                choose_attention(part.to(place.device), config.attention)
        self.average = copy.deepcopy(self.net).eval().requires_grad_(False)
        if isinstance(self.average, Pretrained):
            self.average.labels = tuple(images.classes)
        quantizer = getattr(self.net, "quantizer", None)
        if isinstance(quantizer, BinarySphericalQuantizer) and place.world > 1:
            quantizer.average = place.mean_of_batch
        place.share_weights(self.net)
        place.share_weights(self.average)
        if config.sharded:
            sharding.shard(self.net, place)
            sharding.shard(self.average, place)
        self.optimizers = [_optimizer(self.net, config)]
        if phase.discriminator is not None:
            place.share_weights(phase.discriminator)
            self.optimizers.append(_optimizer(phase.discriminator, config))
        self.batches = images.batches(data, config.seed, place.rank, place.world)
        self.stream: Iterator[Drawn] = iter(())
        self.images = images
        # By place in the folder's sources: 1 for what this session could not read.
        self.damaged = torch.zeros(len(images), device=place.device)
        self.figures: dict[str, Tensor] = {}
        self.loss: Callable[..., tuple[Tensor, dict[str, Tensor]]] = phase.loss
        self.overlapped: DistributedDataParallel | None = None
        if place.world > 1 and not config.sharded:
            self.loss = self.overlapped = averaged_while_computed(self.net, phase.loss, place)
        if config.compiled:
            self.net.compile()

    # ---- state ----

    def save(self) -> None:
        """Writes checkpoint.pt and weights.pt, each whole or not at all.

        Weights that are no numbers are not written.
        """
        state: PhaseState = {
            "config": self._model_config(),
            "nets": [sharding.weights_state(net) for net in self.nets],
            "average": sharding.weights_state(self.average),
            "optimizers": [
                sharding.optimizer_state(net, optimizer)
                for net, optimizer in zip(self.nets, self.optimizers, strict=True)
            ],
            "step": self.progress.step,
            "elapsed": self.progress.elapsed,
            "skipped": self.progress.skipped,
            "setup": self.run.saved_setup(),
            "best": self.validation.best if self.validation else math.nan,
        }
        if self.place.leads and self.run.may_save(*state["nets"], state["average"]):
            self.run.write_checkpoint(state)
            average = cast(dict[str, Tensor], state["average"])
            save_model(self.run.folder / WEIGHTS, self.average, average)
            self._keep(average)

    def _keep(self, weights: dict[str, Tensor]) -> None:
        """Weights by their step, of which the last few stay."""
        if self.config.keep:
            path = self.run.folder / f"weights-{self.progress.step:08d}.pt"
            save_model(path, self.average, weights)
            for old in sorted(self.run.folder.glob("weights-*.pt"))[: -self.config.keep]:
                old.unlink()

    @property
    def nets(self) -> list[nn.Module]:
        """The network and its discriminator, as far as there is one."""
        return (
            [self.net] if self.phase.discriminator is None else [self.net, self.phase.discriminator]
        )

    def resume(self) -> bool:
        """Continues from the run's checkpoint, if there is one.

        Raises ModelError for one of other networks, UsageError for one of other settings or data.
        """
        content = self.run.read_checkpoint()
        if content is None:
            return False
        path, state = self.run.checkpoint, cast(PhaseState, content)
        try:
            if state["config"] != self._model_config():
                words = changes_between(state.get("setup"), self.run.setup, "network.")
                raise ModelError(f"{path} belongs to another configuration{words}")
            self.run.compare_setup(state.get("setup"))
            parts = zip(self.nets, state["nets"], self.optimizers, state["optimizers"], strict=True)
            for net, weights, optimizer, moments in parts:
                own = [(g["weight_decay"], g["betas"]) for g in optimizer.param_groups]
                sharding.load_state(net, weights, optimizer, moments)
                for group, (decay, betas) in zip(optimizer.param_groups, own, strict=True):
                    group["weight_decay"], group["betas"] = decay, betas
            sharding.load_state(self.average, state["average"])
            self.progress.step, self.progress.elapsed = state["step"], state["elapsed"]
            self.progress.skipped = state.get("skipped", 0)
            if self.validation is not None:
                self.validation.best = state.get("best", math.nan)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, BsqError):
                raise
            raise ModelError(f"{path} was written by another version of bsqav") from error
        return True

    def _model_config(self) -> dict[str, object]:
        return asdict(self.net.config)  # type: ignore[call-overload, no-any-return]

    # ---- steps ----

    def train(self, report: Report = print) -> None:
        """Runs to the end of the budget, saving on the way and at the end."""
        self.run.report = report
        if words := self.images.matrices():
            self.run.say(f"raw videos: {words}")
        self.net.train()
        self.open_stream()
        self.run.loop(self, report)

    def open_stream(self) -> None:
        """Begins to read the batches of the steps that are left."""
        self.stream = iter(loader(self.batches, range(self.progress.step, self.config.steps)))

    def advance(self) -> None:
        """Trains one step."""
        batch, labels, damaged = next(self.stream)
        self._note_damaged(damaged)
        pixels, labels = batch.to(self.place.device), labels.to(self.place.device)
        step = self.progress.step
        rate = self.config.rate(step) * self.config.lr
        parts = list(zip(*(x.chunk(self.config.accumulate) for x in (pixels, labels)), strict=True))
        autocast = partial(self.place.autocast, self.config.bf16)
        self.optimizers[0].zero_grad(set_to_none=True)
        self.figures = {}
        with entropy_of_all(self.net, [x for x, _ in parts], self.place, autocast):
            for number, (x, y) in enumerate(parts):
                with self._alone(number + 1 < len(parts)):
                    with autocast():
                        loss, figures = self.loss(x, y, step)
                    self._backward({"loss": loss, **figures}, "loss", len(parts))
        done = self._update(self.net, self.optimizers[0], self.figures["loss"], rate)
        self._average()
        if self.phase.discriminator is not None and self._discriminator_gradients(
            parts, step, autocast
        ):
            loss = self.figures.pop(TOTAL)
            done &= self._update(self.phase.discriminator, self.optimizers[1], loss, rate)
        self.progress.step += 1
        in_row = 0 if done else self.run.skipped_in_row + 1
        self.run.note_skipped(self.progress.skipped + (not done), in_row)

    def _alone(self, more: bool) -> AbstractContextManager[None]:
        """Whether gradients of a part stay in this process, since those of others follow."""
        overlapped = self.overlapped
        return overlapped.no_sync() if overlapped is not None and more else nullcontext()

    def _backward(self, figures: dict[str, Tensor], loss: str, parts: int) -> None:
        """Adds the gradients of one of several parts, and its share of the figures."""
        (figures[loss] / parts).backward()
        for name, value in figures.items():
            self.figures[name] = self.figures.get(name, 0) + value.detach() / parts

    def _discriminator_gradients(
        self,
        parts: Sequence[tuple[Tensor, ...]],
        step: int,
        autocast: Callable[[], AbstractContextManager[None]],
    ) -> bool:
        """Of the discriminator on all parts; False where it has no step now."""
        self.optimizers[1].zero_grad(set_to_none=True)
        for x, _ in parts:
            with autocast():
                other = self.phase.discriminator_loss_of(x, step)
            if other is None:
                return False
            self._backward({**other[1], TOTAL: other[0]}, TOTAL, len(parts))
        return True

    def _note_damaged(self, damaged: Tensor) -> None:
        """Says once of each source, by its place, that it was skipped."""
        for index in damaged.tolist():
            if not self.damaged[index]:
                self.run.say(f"{self.images.sources[index]} cannot be read: skipped")
            self.damaged[index] = 1

    def _update(
        self, net: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, rate: float
    ) -> bool:
        """Changes the weights; False where loss or gradients are no numbers, and nothing is done.

        The answer is the same in all processes.
        """
        trained = [weight for weight in net.parameters() if weight.requires_grad]
        if net is not self.net:  # whose gradients FSDP2 or DDP has averaged
            self.place.average_gradients(trained)
        norm = sharding.whole(nn.utils.clip_grad_norm_(trained, self.config.clip))
        for group in optimizer.param_groups:
            group["lr"] = rate
        # All processes have the same norm, but losses of their own.
        if self.place.any_of(not bool(torch.isfinite(norm + loss.detach()))):
            return False
        optimizer.step()
        return True

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.config.ema, (self.progress.step + 1) / (self.progress.step + 10))
        for mean, value in zip(self.average.parameters(), self.net.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)

    def tell(self, last: bool) -> None:
        """Logs and reports the last step's figures, the mean over processes."""
        step = self.progress.step
        if self.validation is not None and not last and step % self.config.validate_steps == 0:
            self._validate(self.validation)
        if last or step % self.config.log_steps:
            return
        names = sorted(self.figures)
        values = torch.stack([self.figures[name].float() for name in names])
        values = self.place.mean(values)
        figures = {name: round(x, 5) for name, x in zip(names, values.tolist(), strict=True)}
        counts = {"skipped": self.progress.skipped}
        if self.images.skip_damaged:
            self.place.widest([self.damaged])  # of all processes
            counts["damaged"] = int(self.damaged.sum())
        self.run.journal.log(
            [{"step": step, "minutes": round(self.progress.elapsed, 2), **figures, **counts}]
        )
        self.run.journal.scalars(step, figures)
        shown = " ".join(f"{name} {value:.4g}" for name, value in figures.items())
        self.run.say(f"step {step}, {self.run.time_left()}: {shown}")

    def _validate(self, validation: Validation) -> None:
        """Measures the averaged weights, and keeps them where they are the best so far."""
        figures = validation.figures(self.phase, self.average, self.config.bf16)
        step, metric = self.progress.step, self.phase.metric
        better = validation.improves(self.phase, figures)
        weights = cast(dict[str, Tensor], sharding.weights_state(self.average))
        if better and self.place.leads:
            save_model(self.run.folder / BEST, self.average, weights)
        self.run.journal.validation(step, figures)
        mark = f", the best so far: {BEST}" if better else f" (best {validation.best:.5g})"
        self.run.say(f"step {step}, validation: {metric} {figures[metric]:.5g}{mark}")


def _optimizer(net: nn.Module, config: PhaseConfig) -> torch.optim.Optimizer:
    """AdamW; vectors (biases, norms) and embeddings of places have no decay."""
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, weight in net.named_parameters():
        if weight.requires_grad:
            free = weight.dim() < 2 or ".position." in f".{name}"
            (others if free else decayed).append(weight)
    if not decayed and not others:
        raise UsageError("there is nothing to train")
    groups = [
        {"params": weights, "weight_decay": decay}
        for weights, decay in ((decayed, config.weight_decay), (others, 0.0))
        if weights
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas)
