"""What a checkpoint of the codec's networks holds, and how a run continues from it."""

from dataclasses import asdict, dataclass
from typing import NotRequired, Protocol, TypedDict, cast

import torch
from torch import Tensor

from bsqav.codec.modelspec import ModelConfig
from bsqav.errors import ModelError
from bsqav.nn.codec.networks import CodecNet
from bsqav.training.codec.data import SamplerState
from bsqav.training.codec.stepping import Updater
from bsqav.training.common.run import Progress, Run
from bsqav.training.common.setup import Setting

# Between the seeds of the processes of a run.
RANK_SEEDS = 7919


@dataclass
class CodecProgress(Progress):
    """quant: the quantized phase has begun; started: from weights that were trained before."""

    quant: bool = False
    started: bool = False


class RandomState(TypedDict):
    """The states of all random generators.

    way: device, whether batched, and number of processes: what these states belong to.
    """

    way: list[str | bool | int]
    torch: Tensor
    sampler: SamplerState
    cuda: NotRequired[Tensor]


class CodecState(TypedDict):
    """checkpoint.pt of a run."""

    net: dict[str, Tensor]
    average: dict[str, Tensor]
    optimizer: dict[str, object]
    progress: dict[str, int | float | bool]
    config: dict[str, int]
    random: NotRequired[RandomState]
    setup: NotRequired[dict[str, Setting]]


class Sampler(Protocol):
    """Where clips come from, with a state that a checkpoint keeps."""

    def state(self) -> SamplerState: ...  # noqa: D102

    def restore(self, state: SamplerState) -> None: ...  # noqa: D102

    def reseed(self, seed: int) -> None: ...  # noqa: D102


class Resumable(Protocol):
    """What of a trainer is saved."""

    net: CodecNet
    average: CodecNet
    updater: Updater
    run: Run
    progress: CodecProgress

    @property
    def model(self) -> ModelConfig:
        """The networks' configuration."""

    @property
    def sampler(self) -> Sampler:
        """Of the training data."""


def state_of(trainer: Resumable) -> CodecState:
    """The state of a trainer, for a checkpoint."""
    return {
        "net": trainer.net.state_dict(),
        "average": trainer.average.state_dict(),
        "optimizer": trainer.updater.optimizer.state_dict(),
        "progress": asdict(trainer.progress),
        "config": asdict(trainer.model),
        "random": _random_state(trainer),
        "setup": trainer.run.saved_setup(),
    }


def restore(trainer: Resumable, content: object) -> None:
    """Gives a trainer the state of a checkpoint.

    Raises ModelError for one of other networks, UsageError for one of other settings or data.
    """
    path = trainer.run.checkpoint
    try:
        state = cast(CodecState, content)
        if ModelConfig(**state["config"]) != trainer.model:
            raise ModelError(f"{path} belongs to another model configuration")
        trainer.run.compare_setup(state.get("setup"))
        trainer.net.load_state_dict(state["net"])
        trainer.average.load_state_dict(state["average"])
    except (TypeError, KeyError, RuntimeError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{path} was written by another version of bsqav") from error
    trainer.updater.load(state["optimizer"])
    for name, value in state["progress"].items():
        setattr(trainer.progress, name, value)
    trainer.updater.skipped[0] = trainer.progress.skipped
    _set_random_state(trainer, state.get("random"))


def _way(run: Run) -> list[str | bool | int]:
    return [run.place.device.type, run.place.batched, run.place.world]


def _random_state(trainer: Resumable) -> RandomState:
    state: RandomState = {
        "way": _way(trainer.run),
        "torch": torch.get_rng_state(),
        "sampler": trainer.sampler.state(),
    }
    device = trainer.run.place.device
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def _set_random_state(trainer: Resumable, state: RandomState | None) -> None:
    """Continues exactly where one process left off; otherwise draws afresh, by the step."""
    place = trainer.run.place
    if state is None or state["way"] != _way(trainer.run) or place.world > 1:
        seed = trainer.run.config.seed + trainer.progress.step + RANK_SEEDS * place.rank
        trainer.sampler.reseed(seed)
        return
    torch.set_rng_state(state["torch"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], place.device)
    trainer.sampler.restore(state["sampler"])
