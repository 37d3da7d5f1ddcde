"""The resumable training loop of the codec's networks.

A run has three phases by share of its budget: plain floating point with the rate ramped in; fake
quantization after the ranges were observed; and a linear decay of the learning rate to the end. The
budget is a number of steps or of minutes, whichever ends first.
"""

import json
import math
import pickle
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from bsqav.codec.modelspec import ModelConfig
from bsqav.errors import ModelError
from bsqav.nn.codec import CodecNet
from bsqav.nn.fakequant import ActQuant, Mode, set_mode
from bsqav.nn.fields import LayerPlace
from bsqav.nn.sparse import start_from_transform
from bsqav.training.data import ClipSampler, DataConfig
from bsqav.training.objective import LAMBDA, LayerInput, LayerResult, code_layer, drop_worthless
from bsqav.training.rollout import Rollout, RolloutConfig


@dataclass(frozen=True)
class TrainConfig:
    """A whole run; `resume` repeats from the last checkpoint, `start` from weights alone.

    steps counts layers coded (optimizer steps). quant_from and decay_from are shares of the budget.
    drop is how often, at least, tokens not worth drop_price per bit are skipped. With tokenizer
    False the prior alone is trained, on the quantized tokens of finished weights.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    steps: int = 40_000
    minutes: float = math.inf
    lr: float = 4e-4
    prior_lr: float = 1.5e-3
    weight_decay: float = 1e-3
    warmup: int = 200
    rate_from: int = 300
    rate_full: int = 900
    drop: float = 0.3
    drop_price: float = LAMBDA
    tokenizer: bool = True
    quant_from: float = 0.6
    decay_from: float = 0.6
    clip: float = 1.0
    ema: float = 0.998
    seed: int = 1
    threads: int = 2
    bf16: bool = True
    checkpoint_minutes: float = 5.0


@dataclass
class Progress:
    """Where a run stands; elapsed counts the minutes of all its sessions."""

    step: int = 0
    elapsed: float = 0.0
    quant: bool = False


class Trainer:
    """Owns the networks, the optimizer and the folder of a run."""

    def __init__(self, config: TrainConfig, data: Path, run: Path) -> None:
        self.config = config
        self.run = run
        run.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.net = CodecNet(config.model)
        start_from_transform(self.net)
        self.average = CodecNet(config.model)
        self.average.load_state_dict(self.net.state_dict())
        self.progress = Progress()
        self.optimizer = torch.optim.AdamW(
            [
                {
                    "params": [*self.net.enc.parameters(), *self.net.dec.parameters()],
                    "peak": config.lr,
                },
                {"params": list(self.net.prior.parameters()), "peak": config.prior_lr},
            ],
            lr=config.lr,
            betas=(0.9, 0.98),
            weight_decay=config.weight_decay,
        )
        self.sampler = ClipSampler(data, config.data, config.seed)
        self.log = (run / "log.jsonl").open("a", encoding="utf-8")

    # ---- state ----

    def save(self) -> None:
        """Writes the checkpoint, whole or not at all."""
        state = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
            "config": asdict(self.config.model),
        }
        torch.save(state, self.run / "checkpoint.partial")
        (self.run / "checkpoint.partial").rename(self.run / "checkpoint.pt")

    def resume(self) -> bool:
        """Goes on from the folder's checkpoint, if there is one.

        Raises ModelError for one of other networks.
        """
        path = self.run / "checkpoint.pt"
        if not path.exists():
            return False
        state = torch.load(path, weights_only=True)
        try:
            if ModelConfig(**state["config"]) != self.config.model:
                raise ModelError(f"{path} belongs to another model configuration")
            self.net.load_state_dict(state["net"])
            self.average.load_state_dict(state["average"])
        except (TypeError, RuntimeError) as error:
            raise ModelError(f"{path} was written by another version of bsqav") from error
        self.optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(**state["progress"])
        self.sampler.rng = type(self.sampler.rng)(
            type(self.sampler.rng.bit_generator)(self.config.seed + self.progress.step)
        )
        if self.progress.quant:
            self._set_quant()
        return True

    def start_from(self, weights: Path) -> None:
        """Takes weights (a state dict file) without optimizer state or progress.

        Raises ModelError for a file that holds no weights of this configuration.
        """
        try:
            state = torch.load(weights, map_location="cpu", weights_only=True)
            self.net.load_state_dict(state)
            self.average.load_state_dict(state)
        except (EOFError, RuntimeError, TypeError, pickle.UnpicklingError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise ModelError(
                f"{weights} holds no weights of this configuration: {reason}"
            ) from error
        if not self.config.tokenizer:
            self._set_quant()

    def save_weights(self, path: Path) -> None:
        """The averaged weights, for export or as the start of another run."""
        torch.save(self.average.state_dict(), path)

    # ---- schedule ----

    def share(self) -> float:
        """Share of the budget that is used, 0..1."""
        config = self.config
        return min(
            1.0,
            max(self.progress.step / config.steps, self.progress.elapsed / config.minutes),
        )

    def _learning_rate(self) -> float:
        warm = min(1.0, (self.progress.step + 1) / self.config.warmup)
        left = (1.0 - self.share()) / max(1e-9, 1.0 - self.config.decay_from)
        return warm * max(0.02, min(1.0, left))

    def _rate_share(self) -> float:
        config = self.config
        done = (self.progress.step - config.rate_from) / (config.rate_full - config.rate_from)
        return min(1.0, max(0.0, done))

    def _drop_share(self) -> float:
        """How often the encoder's choice of tokens is made: never at first, always at the end."""
        return self._rate_share() * min(1.0, max(self.config.drop, 2 * self.share() - 0.6))

    def _set_quant(self) -> None:
        set_mode(self.net, Mode.QUANT)
        set_mode(self.average, Mode.QUANT)
        self.progress.quant = True

    def _observe_ranges(self, batches: int = 4) -> None:
        set_mode(self.net, Mode.OBSERVE)
        with torch.no_grad():
            for _ in range(batches):
                self._rollout(train=False)
        copy_scales(self.net, self.average)
        self._set_quant()

    # ---- steps ----

    def train(self, report: Callable[[str], None] = print) -> None:
        """Runs to the end of the budget, saving on the way and at the end."""
        last_save = time.monotonic()
        try:
            while self.share() < 1.0:
                self._train_clip(report)
                if time.monotonic() - last_save > self.config.checkpoint_minutes * 60:
                    self.save()
                    last_save = time.monotonic()
        finally:  # an interrupted run resumes where it was
            self.save()

    def _train_clip(self, report: Callable[[str], None]) -> None:
        if not self.progress.quant and self.share() >= self.config.quant_from:
            self._observe_ranges()
        began = time.monotonic()
        line = self._rollout(train=True)
        self.progress.elapsed += (time.monotonic() - began) / 60
        if self.progress.step % 20 < self.config.data.frames + 1:
            report(line)

    def _rollout(self, train: bool) -> str:
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + self.progress.step)
        rollout = Rollout(
            self.sampler.batch(), self.config.rollout, self.config.model.stages, generator
        )
        parts = []
        for layer, candidates in rollout.layers():
            chance = torch.rand(1, generator=generator).item()
            if not layer.place.intra and chance < self._drop_share():
                with torch.no_grad():
                    result = self._code(layer, candidates)
                candidates = candidates * drop_worthless(result, self.config.drop_price)
            result = self._code(layer, candidates)
            if train:
                self._step(result.loss)
            rollout.accept(result)
            parts.append(self._describe(layer.place, result))
        return f"step {self.progress.step} {self.progress.elapsed:.1f} min " + " ".join(parts)

    def _code(self, layer: LayerInput, candidates: Tensor) -> LayerResult:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.config.bf16):
            return code_layer(
                self.net,
                layer,
                candidates,
                rate_grad=self._rate_share(),
                tokenizer=self.config.tokenizer,
            )

    def _step(self, loss: Tensor) -> None:
        rate = self._learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.enc.parameters(), self.config.clip)
        nn.utils.clip_grad_norm_(self.net.dec.parameters(), self.config.clip)
        nn.utils.clip_grad_norm_(self.net.prior.parameters(), self.config.clip)
        if math.isfinite(loss.item()):
            self.optimizer.step()
        decay = min(self.config.ema, (self.progress.step + 1) / (self.progress.step + 10))
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.net.parameters(), strict=True)
            for mean, value in pairs:
                mean.lerp_(value, 1.0 - decay)
        self.progress.step += 1

    def _describe(self, place: LayerPlace, result: LayerResult) -> str:
        kind = "I" if place.intra else "L" if place.above > 0 else "P"
        record = {
            "step": self.progress.step,
            "minutes": round(self.progress.elapsed, 2),
            "kind": kind,
            "loss": round(result.loss.item(), 4),
            "distortion": round(result.distortion.item(), 4),
            "bits": round(result.bits.item(), 4),
            "active": round(result.active.item(), 4),
            "stages": round(result.stages_BHW.float().mean().item(), 4),
        }
        self.log.write(json.dumps(record) + "\n")
        self.log.flush()
        return (
            f"{kind}[D {record['distortion']:.2f} R {record['bits']:.2f} n {record['stages']:.2f}]"
        )


def copy_scales(source: nn.Module, target: nn.Module) -> None:
    """Copies the observed activation scales from one network to its twin."""
    pairs = zip(source.modules(), target.modules(), strict=True)
    for left, right in pairs:
        if isinstance(left, ActQuant) and isinstance(right, ActQuant):
            right.scale.copy_(left.scale)
