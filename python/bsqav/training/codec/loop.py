"""The resumable training loop of the codec's networks.

A run has three phases by share of its budget: plain floating point with the rate ramped in; fake
quantization after the ranges were observed; and a linear decay of the learning rate to the end. The
budget is a number of steps or of minutes, whichever ends first.
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import torch
from torch import nn

from bsqav.codec.modelspec import ModelConfig
from bsqav.errors import ModelError, UsageError
from bsqav.nn.codec.fakequant import ActQuant, Mode, set_mode
from bsqav.nn.codec.networks import CodecNet
from bsqav.nn.codec.sparse import start_from_transform
from bsqav.training.codec import state
from bsqav.training.codec.data import ClipSampler, DataConfig, digest_of_shards
from bsqav.training.codec.decisions import LAMBDA
from bsqav.training.codec.engine import Engine, EngineConfig
from bsqav.training.codec.layer_log import LayerLog
from bsqav.training.codec.objective import LayerInput, LayerResult, keep_tokens
from bsqav.training.codec.resident import ResidentSampler
from bsqav.training.codec.rollout import Rollout, RolloutConfig
from bsqav.training.codec.state import RANK_SEEDS, CodecProgress
from bsqav.training.codec.stepping import Schedule, Updater
from bsqav.training.codec.traces import Quantize, TraceConfig, TraceSampler
from bsqav.training.common.checkpoint import WEIGHTS, load_weights, save_weights
from bsqav.training.common.placement import place
from bsqav.training.common.run import Report, Run, RunConfig
from bsqav.training.common.setup import START, Setup, digest_of_file, settings_of

# Measures quantized networks on a CPU, during a run: figures by name.
Check = Callable[[CodecNet], Mapping[str, float]]


@dataclass(frozen=True)
class TrainConfig(RunConfig):
    """A whole run of the codec's networks.

    steps counts layers coded (optimizer steps). quant_from and decay_from are shares of the budget.
    drop is how often, at least, tokens that do not lower the RD cost at drop_lambda are zeroed out.
    With tokenizer False the prior alone is trained, on the quantized tokens of finished weights.
    With `traces` the tokenizer's decoder and the prior are trained, on what the codec's own encoder
    writes.

    device: auto, cpu or cuda. batched: data, motion search and cost as large operations on the
    device (None: on cuda alone). graphs: on cuda, run a whole step as one captured graph. compiled:
    let torch.compile fuse the layer. log_seconds: how often figures are read from the device.
    check_minutes: how often the codec itself is measured, where the run has a check.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    traces: TraceConfig | None = None
    lr: float = 4e-4
    prior_lr: float = 1.5e-3
    weight_decay: float = 1e-3
    warmup: int = 200
    rate_from: int = 300
    rate_full: int = 900
    drop: float = 0.3
    drop_lambda: float = LAMBDA
    tokenizer: bool = True
    quant_from: float = 0.6
    decay_from: float = 0.6
    clip: float = 1.0
    ema: float = 0.998
    bf16: bool = True
    check_minutes: float = math.inf
    log_seconds: float = 0.0
    device: str = "auto"
    batched: bool | None = None
    graphs: bool = True
    compiled: bool = False


class Trainer:
    """Owns the networks, the optimizer and the folder of a run.

    check: measures the averaged weights every check_minutes; quantize: makes their model, for
    traces. See bsqav.recipes.check. inputs: digests of other files that decide the result, which
    a checkpoint keeps (see bsqav.training.common.setup).
    """

    def __init__(
        self,
        config: TrainConfig,
        data: Path,
        folder: Path,
        check: Check | None = None,
        quantize: Quantize | None = None,
        inputs: Setup = MappingProxyType({}),
    ) -> None:
        self.config, self.check = config, check
        self.place = place(config.device, config.batched)
        self.progress = CodecProgress()
        self.run = Run(config, folder, self.place, self.progress)
        self.run.setup = {**settings_of(config), "files": digest_of_shards(data), **inputs}
        torch.manual_seed(config.seed)
        self._make_networks()
        if self.place.rank:  # own choices from here on
            torch.manual_seed(config.seed + RANK_SEEDS * self.place.rank)
        self.updater = self._new_updater()
        how = EngineConfig(config.bf16, config.graphs, config.compiled, config.tokenizer)
        self.engine = Engine(self.updater, how, self.place, self.run.say)
        self.sampler = self._new_sampler(data)
        self.traces = self._new_traces(quantize) if config.traces else None
        self.log = LayerLog(self.run.journal, config.log_seconds)

    def _make_networks(self) -> None:
        self.net = CodecNet(self.config.model)
        start_from_transform(self.net)
        self.average = CodecNet(self.config.model).to(self.place.device)
        self.net.to(self.place.device)
        self.average.load_state_dict(self.net.state_dict())

    def _new_updater(self) -> Updater:
        config = self.config
        tokenizer = [*self.net.enc.parameters(), *self.net.dec.parameters()]
        for weight in tokenizer:
            weight.requires_grad_(config.tokenizer)
        if config.traces:
            self.net.enc.requires_grad_(False)
        groups: list[dict[str, object]] = [
            {"params": tokenizer, "peak": config.lr},
            {"params": list(self.net.prior.parameters()), "peak": config.prior_lr},
        ]
        return Updater(
            self.net,
            self.average,
            groups,
            clip=config.clip,
            weight_decay=config.weight_decay,
            place=self.place,
        )

    def _new_sampler(self, data: Path) -> ClipSampler | ResidentSampler:
        seed = self.config.seed + RANK_SEEDS * self.place.rank
        if self.place.batched:
            return ResidentSampler(data, self.config.data, seed, self.place.device)
        return ClipSampler(data, self.config.data, seed)

    def _new_traces(self, quantize: Quantize | None) -> TraceSampler:
        assert self.config.traces is not None
        if not isinstance(self.sampler, ClipSampler):
            raise UsageError("the encoder's choices are traced on the CPU, not batched")
        if quantize is None:
            raise UsageError("traces need quantize: bsqav.recipes.check.model_of")
        return TraceSampler(self.sampler, self.config.traces, quantize, self.config.threads)

    # ---- state ----

    @property
    def model(self) -> ModelConfig:
        """The networks' configuration."""
        return self.config.model

    def save(self) -> None:
        """Writes checkpoint.pt and the averaged weights.pt, each whole or not at all.

        Weights that are no numbers are not written.
        """
        if not self.place.leads:
            return
        if self.run.may_save(self.net.state_dict(), self.average.state_dict()):
            self.run.write_checkpoint(state.state_of(self))
            save_weights(self.average, self.run.folder / WEIGHTS)
            self.log.image(self.progress.step)

    def resume(self) -> bool:
        """Continues from the folder's checkpoint, if there is one.

        Raises ModelError for one of other networks, UsageError for one of other settings or data.
        """
        content = self.run.read_checkpoint()
        if content is None:
            return False
        state.restore(self, content)
        if self.progress.quant:
            self._set_quant()
        return True

    def start_from(self, weights: Path) -> None:
        """Takes weights (a state dict file) without optimizer state or progress.

        The rate counts in full from the first step: the prior knows something already.
        Raises ModelError for a file that holds no weights of this configuration.
        """
        load_weights(weights, self.net, self.average)
        self.run.setup[START] = digest_of_file(weights)
        self.progress.started = True
        if not self.config.tokenizer or self.config.traces:
            self._set_quant()

    # ---- schedule ----

    def _schedule(self) -> Schedule:
        config, step = self.config, self.progress.step
        warm = min(1.0, (step + 1) / config.warmup)
        left = (1.0 - self.run.share()) / max(1e-9, 1.0 - config.decay_from)
        return Schedule(
            rate=warm * max(0.02, min(1.0, left)), decay=min(config.ema, (step + 1) / (step + 10))
        )

    def _rate_share(self) -> float:
        config = self.config
        if self.progress.started:
            return 1.0
        done = (self.progress.step - config.rate_from) / (config.rate_full - config.rate_from)
        return min(1.0, max(0.0, done))

    def _drop_share(self) -> float:
        """How often the encoder's choice of tokens is made: never at first, always at the end."""
        return self._rate_share() * min(1.0, max(self.config.drop, 2 * self.run.share() - 0.6))

    def _set_quant(self) -> None:
        set_mode(self.net, Mode.QUANT)
        set_mode(self.average, Mode.QUANT)
        self.engine.reset()
        self.progress.quant = True

    def _observe_ranges(self, batches: int = 12) -> None:
        self._observe(self.net, batches)
        points = [m.scale for m in self.net.modules() if isinstance(m, ActQuant)]
        self.place.widest(points)
        copy_scales(self.net, self.average)
        self._set_quant()

    def _observe(self, net: CodecNet, batches: int, alone: bool = False) -> None:
        """Sets the ranges of the activations by what a few batches show."""
        set_mode(net, Mode.OBSERVE)
        for _ in range(batches):
            generator = self._generator()
            rollout = self._new_rollout(generator, alone)
            for layer, candidates in rollout.layers():
                if self._is_choosy(layer, generator):
                    result = self.engine.observe(net, layer, candidates)
                    candidates = candidates * keep_tokens(result, self.config.drop_lambda)
                rollout.accept(self.engine.observe(net, layer, candidates))

    # ---- steps ----

    def train(self, report: Report = print) -> None:
        """Runs to the end of the budget, saving on the way and at the end."""
        self.place.share_weights(self.net)
        self.place.share_weights(self.average)
        self.run.loop(self, report, [(self.config.check_minutes, self._measure)])
        if math.isfinite(self.config.check_minutes):
            self._measure()

    def advance(self) -> None:
        """Trains on one batch of clips, or on one layer that was traced."""
        if not self.progress.quant and self.run.share() >= self.config.quant_from:
            self._observe_ranges()
        if self.traces is None:
            self._rollout()
        else:
            self._follow(self.traces)

    def _generator(self) -> torch.Generator:
        """The same in every process: all go through layers of the same kinds."""
        return torch.Generator().manual_seed(self.config.seed * 1_000_003 + self.progress.step)

    def _new_rollout(self, generator: torch.Generator, alone: bool = False) -> Rollout:
        return Rollout(
            self.sampler.batch(),
            self.config.rollout,
            self.config.model.stages,
            generator,
            self.engine.predict,
            bool if alone else self.place.any_of,
        )

    def _is_choosy(self, layer: LayerInput, generator: torch.Generator) -> bool:
        """Whether a layer's tokens that do not lower the RD cost are zeroed out."""
        chance = torch.rand(1, generator=generator).item()
        return not layer.place.intra and chance < self._drop_share()

    def _rollout(self) -> None:
        """One optimizer step for each layer of a batch of clips."""
        generator = self._generator()
        rollout = self._new_rollout(generator)
        for layer, candidates in rollout.layers():
            rate = self._rate_share()
            if self._is_choosy(layer, generator):
                result = self.engine.code(layer, candidates, rate)
                candidates = candidates * keep_tokens(result, self.config.drop_lambda)
            result = self.engine.train(layer, candidates, rate, self._schedule())
            rollout.accept(result)
            self._note(layer, result)

    def _follow(self, traces: TraceSampler) -> None:
        """One optimizer step on layers as the codec's encoder chose them."""
        if traces.model is None or self.progress.step % traces.config.refresh == 0:
            traces.use(self.average)
        layer = traces.batch(self.place.device)
        assert layer.coded is not None
        coded = (layer.coded.stages_BHW > 0).float()
        result = self.engine.train(layer, coded, 1.0, self._schedule())
        self._note(layer, result)

    def _note(self, layer: LayerInput, result: LayerResult) -> None:
        """Counts a step, and notes its figures."""
        self.progress.step += 1
        skipped = self.updater.skipped[0]
        self.log.add(self.progress.step, self.progress.elapsed, layer, result, skipped)

    # ---- messages ----

    def tell(self, last: bool) -> None:
        """Logs the layers of the last batches, and reports some."""
        if not last and not self.log.due:
            return
        words = self.log.flush()
        total, in_row = self.updater.skipped.tolist()
        self.run.note_skipped(total, in_row)
        step, frames = self.progress.step, self.config.data.frames
        if not words or not (last or self.log.every > 0 or step % 20 < frames + 1):
            return
        elapsed, left = self.progress.elapsed, self.run.time_left()
        self.run.say(f"step {step} {elapsed:.1f} min, {left} " + " ".join(words[-20:]))

    def _measure(self) -> None:
        """Measures the averaged weights with the codec itself, and leaves the run as it was."""
        if self.check is None or not self.place.leads:
            return
        net = copy.deepcopy(self.average)
        if not self.progress.quant:
            before = self.sampler.state()
            cuda = [self.place.device] if self.place.device.type == "cuda" else []
            with torch.random.fork_rng(devices=cuda):
                self._observe(net, 2, alone=True)
            self.sampler.restore(before)
        set_mode(net, Mode.QUANT)
        try:
            figures = dict(self.check(net.cpu()))
        except ModelError as error:  # a young network may have no integers yet
            self.run.say(f"step {self.progress.step} not measured: {error}")
            return
        self.run.journal.check(self.progress.step, figures)
        shown = " ".join(f"{name} {value:.4g}" for name, value in figures.items())
        self.run.say(f"step {self.progress.step} measured: {shown}")


def copy_scales(source: nn.Module, target: nn.Module) -> None:
    """Copies the observed activation scales from one network to its twin."""
    pairs = zip(source.modules(), target.modules(), strict=True)
    for left, right in pairs:
        if isinstance(left, ActQuant) and isinstance(right, ActQuant):
            right.scale.copy_(left.scale)
