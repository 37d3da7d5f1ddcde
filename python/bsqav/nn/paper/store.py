"""Files of the research models: a configuration and weights, read without running anything."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn

from bsqav.codec.files import written_whole
from bsqav.errors import ModelError, UsageError
from bsqav.nn.common.safeload import read_checkpoint, tensors_of
from bsqav.nn.paper.arprior import ARPrior, ARPriorConfig
from bsqav.nn.paper.bsqvit import BSQViT, ViTConfig
from bsqav.nn.paper.fingerprints import DIGITS
from bsqav.nn.paper.maskedlm import MaskedLM, MaskedLMConfig
from bsqav.nn.paper.quantizers import BinarySphericalQuantizer

__all__ = ["Model", "config_from", "load_model", "save_model"]

Model = BSQViT | ARPrior | MaskedLM

FORMAT = 1
KINDS: dict[str, tuple[type[Model], type[Any]]] = {
    "bsqvit": (BSQViT, ViTConfig),
    "ar-prior": (ARPrior, ARPriorConfig),
    "masked-lm": (MaskedLM, MaskedLMConfig),
}
MAX_LABELS, MAX_LABEL = 100_000, 200


def save_model(
    path: Path,
    model: nn.Module,
    labels: Sequence[str] = (),
    weights: Mapping[str, Tensor] | None = None,
) -> None:
    """Writes configuration, weights, names of classes and the tokenizer's fingerprint.

    The file is written whole or not at all.

    weights: the model's, where it does not hold them whole itself.
    Raises UsageError for a model of another kind, or a tokenizer with another quantizer than BSQ.
    """
    kind = next((name for name, (made, _) in KINDS.items() if isinstance(model, made)), None)
    if kind is None:
        raise UsageError(f"{type(model).__name__} is none of {', '.join(KINDS)}")
    if isinstance(model, BSQViT) and not isinstance(model.quantizer, BinarySphericalQuantizer):
        raise UsageError("only tokenizers with BSQ are kept in files")
    state = {
        "format": FORMAT,
        "kind": kind,
        "config": dataclasses.asdict(model.config),  # type: ignore[call-overload]
        "labels": list(labels),
        "tokenizer": "" if isinstance(model, BSQViT) else model.tokenizer_id,
        "weights": {name: tensor.cpu() for name, tensor in (weights or model.state_dict()).items()},
    }
    with written_whole(path) as partial:
        torch.save(state, partial)


def load_model(path: Path) -> tuple[Model, list[str]]:
    """The model of a file, in evaluation mode on the CPU, and the names of its classes.

    Raises ModelError for a file that is damaged, of another version, or whose weights do not fit
    its configuration; FileNotFoundError where there is none.
    """
    found = read_checkpoint(path)
    if not isinstance(found, Mapping) or "kind" not in found:
        raise ModelError(f"{path} is no file of a tokenizer, a prior or a masked LM")
    if found.get("format") != FORMAT or found["kind"] not in KINDS:
        raise ModelError(
            f"{path} is of version {found.get('format')}, kind {found['kind']!r}, which this "
            "version of bsqav does not know"
        )
    made, configured = KINDS[found["kind"]]
    try:
        with torch.device("meta"):  # the file's tensors become the parameters
            model = made(config_from(configured, found.get("config")))
        model.load_state_dict(tensors_of(found.get("weights")), assign=True)
    except (UsageError, RuntimeError, TypeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelError(f"{path} does not fit together: {reason}") from error
    for weight in model.parameters():
        weight.requires_grad_(True)
    if not isinstance(model, BSQViT):
        model.tokenizer_id = _tokenizer_id(path, found.get("tokenizer", ""))
    return model.eval(), _labels(path, found.get("labels", []))


def _tokenizer_id(path: Path, value: object) -> str:
    if not isinstance(value, str) or re.fullmatch(f"([0-9a-f]{{{DIGITS}}})?", value) is None:
        raise ModelError(f"{path} has no fingerprint of a tokenizer")
    return value


def _labels(path: Path, labels: object) -> list[str]:
    if not isinstance(labels, list) or len(labels) > MAX_LABELS:
        raise ModelError(f"{path} has no list of classes")
    return [str(label)[:MAX_LABEL] for label in labels]


def config_from(kind: type[Any], values: object) -> Any:
    """A configuration from what dataclasses.asdict made of it.

    Raises UsageError for a field that is missing, too many or of another type.
    """
    if not isinstance(values, Mapping):
        raise UsageError(f"{kind.__name__} is no mapping")
    hints = get_type_hints(kind)
    if set(values) != set(hints):
        odd = sorted(str(name) for name in set(values) ^ set(hints))
        raise UsageError(f"{kind.__name__} has other fields here: {', '.join(odd)}")
    return kind(**{name: _value(hints[name], values[name], name) for name in hints})


def _value(hint: Any, value: object, name: str) -> object:
    if dataclasses.is_dataclass(hint):
        return config_from(hint, value)  # type: ignore[arg-type]
    if get_origin(hint) is tuple:
        parts = get_args(hint)
        if isinstance(value, list | tuple) and len(value) == len(parts):
            return tuple(_value(part, v, name) for part, v in zip(parts, value, strict=True))
    elif hint is float and type(value) is int:
        return float(value)
    elif type(value) is hint:
        return value
    raise UsageError(f"{name} is {value!r:.60}, no {hint}")
