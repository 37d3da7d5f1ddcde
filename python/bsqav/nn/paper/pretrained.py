"""Models as folders: weights in safetensors and a configuration in JSON, no code.

`config.json` holds `format` (2), `kind` (bsqvit, ar-prior or masked-lm), `config` (the
configuration's fields; where one may be of several classes, `kind` names it), `tokenizer` (the
fingerprint of the tokenizer whose tokens a prior or masked LM learned, or "") and `labels` (names
of classes). `model.safetensors` holds the weights by their names in the module.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor, nn

from bsqav.codec.files import written_whole
from bsqav.errors import MissingDependencyError, ModelError, UsageError
from bsqav.nn.common.configs import config_from, plain
from bsqav.nn.paper.fingerprints import DIGITS

__all__ = ["Pretrained", "described", "model_path", "read_folder", "restored"]

FORMAT = 2
CONFIG, WEIGHTS = "config.json", "model.safetensors"
MAX_LABELS, MAX_LABEL = 100_000, 200
# Small trained models by name, a package of its own.
ADD_ON, NAME = "bsqav_paper_models", re.compile("[a-z0-9-]+")
MAX_CONFIG = 16 << 20  # characters


class Pretrained(nn.Module):
    """What tokenizers, priors and masked LMs have in common: they are saved and loaded whole.

    Attributes:
        kind: the word for the class in files. noun: in messages.
        config: the configuration, from which the module can be made.
        tokenizer_id: fingerprint of the tokenizer whose tokens it learned, empty where none is
            known, and of tokenizers.
        labels: names of the classes, in their order.
    """

    kind: ClassVar[str]
    noun: ClassVar[str]
    config_class: ClassVar[type[Any]]
    config: Any
    tokenizer_id: str = ""
    labels: tuple[str, ...] = ()

    def save_pretrained(self, folder: str | Path, *, dtype: torch.dtype | None = None) -> None:
        """Writes config.json and model.safetensors into a folder, which is made.

        dtype: of the file's weights, float16 say; None: as they are. Other files of the folder
        stay. Raises UsageError for a tokenizer with a quantizer of a class of your own,
        MissingDependencyError without safetensors.
        """
        library = _safetensors()
        text, folder = described(self), Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        weights = {}
        for name, tensor in self.state_dict().items():
            kept = tensor.detach().cpu()
            kept = kept.to(dtype) if dtype and kept.is_floating_point() else kept
            weights[name] = kept.contiguous().clone()
        # Without its configuration a folder is no model: weights and sizes of two do not mix.
        (folder / CONFIG).unlink(missing_ok=True)
        with written_whole(folder / WEIGHTS) as partial:
            partial.write_bytes(library.save(weights))
        with written_whole(folder / CONFIG) as partial:
            partial.write_text(json.dumps(text, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """The model of a folder, in evaluation mode, on the CPU and in float32.

        folder: or the name of a model of the package bsqav-paper-models.

        Raises FileNotFoundError where a file is missing, ModelError for what is damaged, of
        another class or version, or does not fit together, MissingDependencyError without
        safetensors.
        """
        return cast(Self, read_folder(model_path(folder), [cls]))


def model_path(path: str | Path) -> Path:
    """A file or folder, or the folder of a model of the package bsqav-paper-models by its name.

    Raises FileNotFoundError where there is neither.
    """
    given = Path(path)
    if given.exists():
        return given
    spec = find_spec(ADD_ON) if NAME.fullmatch(str(path)) else None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(folder) / given / CONFIG).is_file():
            return Path(folder) / given
        known = ", ".join(sorted(file.parent.name for file in Path(folder).glob(f"*/{CONFIG}")))
        raise FileNotFoundError(f"there is no file, folder or model {path}; models are {known}")
    raise FileNotFoundError(f"there is no file or folder {path}")


def read_folder(folder: Path, classes: Sequence[type[Pretrained]]) -> Pretrained:
    """The model of a folder, one of some classes: see Pretrained.from_pretrained."""
    try:
        with (folder / CONFIG).open(encoding="utf-8") as file:
            text = file.read(MAX_CONFIG)
        found = json.loads(text)
    except ValueError as error:
        raise ModelError(f"{folder / CONFIG} is no JSON: {error}") from error
    return restored(found, _read_weights(folder / WEIGHTS), classes, folder)


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise MissingDependencyError(
            "folders of models need safetensors: pip install 'bsqav[train]'"
        ) from error
    return safetensors.torch


def _read_weights(path: Path) -> dict[str, Tensor]:
    library = _safetensors()
    from safetensors import SafetensorError as error_class  # noqa: N813

    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing")
    try:
        found: dict[str, Tensor] = library.load_file(path)
    except (error_class, ValueError, KeyError) as error:
        raise ModelError(f"{path} is damaged: {error}") from error
    return {n: t.float() if t.is_floating_point() else t for n, t in found.items()}


def described(model: Pretrained) -> dict[str, Any]:
    """What a file holds of a model besides its weights.

    Raises UsageError where its configuration does not say what it is.
    """
    quantizer = getattr(model, "quantizer", None)
    own = quantizer is not None and quantizer.config != model.config.quantizer
    if own or getattr(quantizer, "project_in", None) is not None:
        raise UsageError(
            f"a tokenizer with {type(quantizer).__name__} of your own cannot be saved: its "
            "configuration does not describe it"
        )
    return {
        "format": FORMAT,
        "kind": model.kind,
        "config": plain(model.config),
        "tokenizer": model.tokenizer_id,
        "labels": list(model.labels),
    }


def restored(
    found: object, weights: Mapping[str, Tensor], classes: Sequence[type[Pretrained]], path: Path
) -> Pretrained:
    """The model that `described` told of, one of some classes, in evaluation mode.

    path: for errors. Raises ModelError for what is no such description or does not fit.
    """
    if not isinstance(found, Mapping) or "kind" not in found:
        raise ModelError(f"{path} is no file of a tokenizer, a prior or a masked LM")
    kind = found["kind"]
    if found.get("format") != FORMAT:
        raise ModelError(
            f"{path} is of version {found.get('format')!r:.20}, which this version of bsqav does "
            "not know"
        )
    made = next((each for each in classes if each.kind == kind), None)
    if made is None:
        if len(classes) == 1:
            raise ModelError(f"{path} holds no {classes[0].noun}, but kind {kind!r:.40}")
        raise ModelError(f"{path} holds a model of kind {kind!r:.40}, which is not known")
    try:
        with torch.device("meta"):  # the file's tensors become the parameters
            model = made(config_from(made.config_class, found.get("config")))
        fixed = {n for n, weight in model.named_parameters() if not weight.requires_grad}
        model.load_state_dict(dict(weights), assign=True)
    except (UsageError, RuntimeError, TypeError, MemoryError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelError(f"{path} does not fit together: {reason}") from error
    for name, weight in model.named_parameters():
        weight.requires_grad_(name not in fixed)
    model.tokenizer_id = _tokenizer_id(path, found.get("tokenizer", ""))
    model.labels = _labels(path, found.get("labels", []))
    return model.eval()


def _tokenizer_id(path: Path, value: object) -> str:
    if not isinstance(value, str) or re.fullmatch(f"([0-9a-f]{{{DIGITS}}})?", value) is None:
        raise ModelError(f"{path} has no fingerprint of a tokenizer")
    return value


def _labels(path: Path, labels: object) -> tuple[str, ...]:
    if not isinstance(labels, list) or len(labels) > MAX_LABELS:
        raise ModelError(f"{path} has no list of classes")
    return tuple(str(label)[:MAX_LABEL] for label in labels)
