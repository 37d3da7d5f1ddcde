"""Files of the research models: a configuration and weights, read without running anything.

A file holds what a folder of `bsqav.nn.paper.pretrained` does, as torch.save writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar, overload

import torch
from torch import Tensor, nn

from bsqav.codec.files import written_whole
from bsqav.errors import UsageError
from bsqav.nn.common.safeload import read_checkpoint, tensors_of
from bsqav.nn.paper.arprior import ARPrior
from bsqav.nn.paper.bsqvit import BSQViT
from bsqav.nn.paper.maskedlm import MaskedLM
from bsqav.nn.paper.pretrained import Pretrained, described, model_path, read_folder, restored

__all__ = ["CLASSES", "load_model", "save_model"]

CLASSES: tuple[type[Pretrained], ...] = (BSQViT, ARPrior, MaskedLM)
Model = TypeVar("Model", bound=Pretrained)


def save_model(
    path: str | Path, model: nn.Module, weights: Mapping[str, Tensor] | None = None
) -> None:
    """Writes a tokenizer, a prior or a masked LM to a file, whole or not at all.

    weights: the model's, where it does not hold them whole itself. Raises UsageError for a model of
    another class, or a tokenizer with a quantizer of a class of your own.
    """
    if not isinstance(model, CLASSES):
        known = ", ".join(made.__name__ for made in CLASSES)
        raise UsageError(f"{type(model).__name__} is none of {known}")
    tensors = {name: tensor.cpu() for name, tensor in (weights or model.state_dict()).items()}
    state = {**described(model), "weights": tensors}
    with written_whole(path) as partial:
        torch.save(state, partial)


@overload
def load_model(path: str | Path) -> Pretrained: ...
@overload
def load_model(path: str | Path, kind: type[Model]) -> Model: ...
def load_model(path: str | Path, kind: type[Pretrained] = Pretrained) -> Pretrained:
    """The model of a file or of a folder of `save_pretrained`, in evaluation mode on the CPU.

    path: or the name of a model of the package bsqav-paper-models, photos-image say.
    kind: BSQViT, ARPrior or MaskedLM; without it any of them. Raises ModelError for what is
    damaged, of another version or kind, or whose weights do not fit its configuration;
    FileNotFoundError where there is none.
    """
    path = model_path(path)
    classes = CLASSES if kind is Pretrained else (kind,)
    if path.is_dir():
        return read_folder(path, classes)
    found = read_checkpoint(path)
    weights = tensors_of(found.get("weights")) if isinstance(found, Mapping) else {}
    return restored(found, weights, classes, path)
