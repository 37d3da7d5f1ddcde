"""Reading files of weights that others wrote, without running what is in them."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bsqav.errors import ModelError

__all__ = ["read_checkpoint", "tensors_of"]

# What DistributedDataParallel and wrappers of averages put before the names of tensors.
WRAPPERS = "module."


def read_checkpoint(path: Path) -> object:
    """What torch.save wrote to a file, read with weights_only.

    Of anything that is not a tensor, a number, a string or a plain container, nothing is imported
    or called; empty objects take its place. Raises ModelError for a file that is damaged or
    asks for more, FileNotFoundError where there is none.
    """
    try:
        unknown = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        # Mappings may be filled after they were made, which only plain ones allow.
        placeholders: list[Any] = [
            (_mapping if name == "collections.defaultdict" else _Inert, name) for name in unknown
        ]
        with torch.serialization.safe_globals(placeholders):
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} asks for more than tensors when it is read, and was left alone: where you "
            "trust it, write the dictionary of its tensors alone to a file, and load that"
        ) from error
    except (RuntimeError, ValueError, TypeError, EOFError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelError(f"{path} cannot be read as a checkpoint: {reason}") from error


def _mapping(*_: object) -> OrderedDict[Any, Any]:
    return OrderedDict()


class _Inert:
    """Takes the place of a class of another package, and keeps nothing of what it is given."""

    def __new__(cls, *_: object, **__: object) -> _Inert:
        return object.__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


def tensors_of(state: object) -> dict[str, Tensor]:
    """The tensors of a state dict without the prefixes of DDP; none of what is no mapping."""
    if not isinstance(state, Mapping):
        return {}
    found = {}
    for name, value in state.items():
        if isinstance(name, str) and isinstance(value, Tensor):
            while name.startswith(WRAPPERS):
                name = name[len(WRAPPERS) :]
            found[name] = value
    return found
