"""Checkpoints of a run and weights alone: written whole or not at all, checked when read."""

import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from bsqav.codec.files import written_whole
from bsqav.codec.modelspec import ModelConfig
from bsqav.errors import ModelError
from bsqav.nn.codec.networks import CodecNet
from bsqav.training.codec.data import ClipSampler
from bsqav.training.codec.resident import ResidentSampler
from bsqav.training.codec.stepping import Updater
from bsqav.training.common.placement import Placement

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.pt"


@dataclass
class Progress:
    """Where a run stands; elapsed counts the minutes of all its sessions.

    started: from weights that were trained before.
    """

    step: int = 0
    elapsed: float = 0.0
    quant: bool = False
    started: bool = False


class Resumable(Protocol):
    """What of a run is saved."""

    run: Path
    net: CodecNet
    average: CodecNet
    updater: Updater
    progress: Progress
    place: Placement
    sampler: ClipSampler | ResidentSampler

    @property
    def model(self) -> ModelConfig:
        """The networks' configuration."""

    @property
    def seed(self) -> int:
        """Of all random choices."""


def write(state: Mapping[str, Any], path: Path) -> None:
    """Saves with torch.save, whole or not at all."""
    with written_whole(path) as partial:
        torch.save(state, partial)


def save_weights(net: nn.Module, path: Path) -> None:
    """Writes a state dict that needs no device."""
    write({name: tensor.cpu() for name, tensor in net.state_dict().items()}, path)


def save(trainer: Resumable) -> None:
    """Writes the run's checkpoint and its averaged weights."""
    state = {
        "net": trainer.net.state_dict(),
        "average": trainer.average.state_dict(),
        "optimizer": trainer.updater.optimizer.state_dict(),
        "progress": asdict(trainer.progress),
        "config": asdict(trainer.model),
        "random": _random_state(trainer),
    }
    write(state, trainer.run / CHECKPOINT)
    save_weights(trainer.average, trainer.run / WEIGHTS)


def resume(trainer: Resumable) -> bool:
    """Goes on from the folder's checkpoint; False if there is none.

    Raises ModelError for one of other networks.
    """
    path = trainer.run / CHECKPOINT
    if not path.exists():
        return False
    state = torch.load(path, map_location="cpu", weights_only=True)
    try:
        if ModelConfig(**state["config"]) != trainer.model:
            raise ModelError(f"{path} belongs to another model configuration")
        trainer.net.load_state_dict(state["net"])
        trainer.average.load_state_dict(state["average"])
    except (TypeError, RuntimeError) as error:
        raise ModelError(f"{path} was written by another version of bsqav") from error
    trainer.updater.load(state["optimizer"])
    trainer.progress = Progress(**state["progress"])
    _set_random_state(trainer, state.get("random"))
    return True


def load_weights(path: Path, *nets: nn.Module) -> None:
    """Loads a state dict file into networks.

    Raises ModelError for a file that holds no weights of their configuration.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        for net in nets:
            net.load_state_dict(state)
    except (EOFError, RuntimeError, TypeError, pickle.UnpicklingError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelError(f"{path} holds no weights of this configuration: {reason}") from error


def _way(trainer: Resumable) -> list[Any]:
    """What random states belong to: another sampler or device draws otherwise."""
    place = trainer.place
    return [place.device.type, place.batched, place.world]


def _random_state(trainer: Resumable) -> dict[str, Any]:
    state = {
        "way": _way(trainer),
        "torch": torch.get_rng_state(),
        "sampler": trainer.sampler.state(),
    }
    if trainer.place.device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(trainer.place.device)
    return state


def _set_random_state(trainer: Resumable, state: dict[str, Any] | None) -> None:
    """Goes on exactly where one process left off; otherwise draws afresh, by the step."""
    if state is None or state["way"] != _way(trainer) or trainer.place.world > 1:
        seed = trainer.seed + trainer.progress.step + 7919 * trainer.place.rank
        trainer.sampler.reseed(seed)
        return
    torch.set_rng_state(state["torch"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], trainer.place.device)
    trainer.sampler.restore(state["sampler"])
