"""Checkpoints and weights: written whole or not at all, checked when read."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from bsqav.codec.files import written_whole
from bsqav.errors import ModelError

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.pt"
BEST = "best.pt"


def write(state: Mapping[str, object], path: Path) -> None:
    """Saves with torch.save, whole or not at all."""
    with written_whole(path) as partial:
        torch.save(state, partial)


def is_finite(state: Mapping[str, object]) -> bool:
    """Whether all floating point tensors of a state dict hold numbers only, no NaN or infinity."""
    values = [x for x in state.values() if isinstance(x, Tensor) and x.is_floating_point()]
    return all(bool(torch.isfinite(value).all()) for value in values)


def save_weights(net: nn.Module, path: Path) -> None:
    """Writes a state dict that needs no device."""
    write({name: tensor.cpu() for name, tensor in net.state_dict().items()}, path)


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
