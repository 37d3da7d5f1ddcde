"""The model registry: finds trained models by name, by id or by path, and verifies their hashes.

A model is one file with the suffix `.bsqm`; its id is the first half of the SHA-256 that closes the
file, in hexadecimal, and loading it checks that hash. Files are looked for in the folders of the
environment variable BSQAV_MODEL_PATH, then in the user's folder, then among the released models
that ship with the package. A file that is called `NAME.ID.bsqm` promises that id and is refused
when its bytes say otherwise.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from bsqav._core import Model
from bsqav.codec.files import written_whole
from bsqav.errors import ModelError, ModelNotFoundError, UsageError

__all__ = [
    "Model",
    "ModelInfo",
    "ModelLike",
    "default_model",
    "find_model",
    "import_model",
    "list_models",
    "model_data",
    "model_file_name",
    "model_folders",
    "read_model",
]

SUFFIX = ".bsqm"
ID_DIGITS = 32
# Larger files are no models of this format; the limit stands before any reading.
MAX_MODEL_BYTES = 1 << 30
# In the folder of shipped models: the id of the model that is used when none is named.
DEFAULT_FILE = "default.txt"

_ID = re.compile(r"[0-9a-f]{8,32}")
_ID_IN_NAME = re.compile(r"\.([0-9a-f]{32})$")

# Where each model that was read lies, by its id.
_places: dict[str, Path] = {}

ModelLike: TypeAlias = str | os.PathLike[str] | Model


@dataclass(frozen=True)
class ModelInfo:
    """What the registry knows of a model file."""

    id: str  # 32 hexadecimal digits
    name: str
    path: Path
    size: int  # bytes
    shipped: bool  # released with the package
    default: bool
    description: dict[str, Any] = field(hash=False)


def shipped_folder() -> Path:
    """The folder of the released models, inside the package."""
    return Path(__file__).resolve().parent.parent / "models"


def user_folder() -> Path:
    """The folder that `import_model` writes to: $XDG_DATA_HOME/bsqav/models or its default."""
    home = os.environ.get("XDG_DATA_HOME")
    base = Path(home) if home else Path.home() / ".local" / "share"
    return base / "bsqav" / "models"


def model_folders() -> list[Path]:
    """Every folder that is searched, in order; some may not exist."""
    named = os.environ.get("BSQAV_MODEL_PATH", "")
    folders = [Path(part) for part in named.split(os.pathsep) if part]
    return [*folders, user_folder(), shipped_folder()]


def read_model(path: str | os.PathLike[str]) -> Model:
    """Loads one model file.

    Raises:
        ModelNotFoundError: there is no such file.
        ModelError: the file is damaged, or its name promises another id than its bytes have.
    """
    file = Path(path)
    try:
        stat = file.stat()
    except OSError as error:
        raise _not_found(f"there is no model file {file}", str(file)) from error
    return _read_cached(file, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)
def _read_cached(file: Path, _mtime: int, size: int) -> Model:
    if not file.is_file():
        raise ModelError(f"{file} is not a file")
    if size > MAX_MODEL_BYTES:
        raise ModelError(f"{file} has {size} bytes, which no model file has")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}") from error
    try:
        model = Model(data)
    except ModelError as error:
        raise ModelError(f"{file}: {error}") from error
    promised = _ID_IN_NAME.search(file.stem)
    if promised and promised[1] != model.id:
        raise ModelError(
            f"{file} has the hash {model.id}, not {promised[1]} as its name says: it is another "
            "model under a wrong name; fetch or import it again"
        )
    _places[model.id] = file
    return model


def _candidates() -> Iterator[Path]:
    """Model files of all folders, in the order of search."""
    for folder in model_folders():
        if folder.is_dir():
            yield from sorted(folder.glob(f"*{SUFFIX}"))


def _not_found(message: str, which: str) -> ModelNotFoundError:
    error = ModelNotFoundError(message)
    error.model_id = which
    return error


def find_model(which: ModelLike | None) -> Model:
    """The model of that name, id (or unique beginning of an id, 8 digits or more), or path.

    A `Model` is returned as it is; None stands for the default model.

    Raises:
        ModelNotFoundError: no such model; the message says where it was looked for.
        ModelError: the file found is damaged or has the wrong hash.
        UsageError: the beginning of an id fits several models.
    """
    if which is None:
        return default_model()
    if isinstance(which, Model):
        return which
    text = os.fspath(which)
    looks_like_path = text.endswith(SUFFIX) or os.sep in text or not isinstance(which, str)
    if looks_like_path or Path(text).is_file():
        return read_model(text)
    found, broken = _search(text)
    if not found:
        places = ", ".join(str(folder) for folder in model_folders())
        remark = f"; {'; '.join(broken)}" if broken else ""
        raise _not_found(
            f"model {text!r} is not installed: looked in {places}{remark}; "
            "`bsqav models import FILE` installs one",
            text,
        )
    if len({model.id for model in found}) > 1:
        ids = ", ".join(sorted({model.id for model in found}))
        raise UsageError(f"model {text!r} may be any of {ids}: give more of the id")
    return found[0]


def _search(text: str) -> tuple[list[Model], list[str]]:
    """Models that answer to a name or an id, and what is wrong with files that might have."""
    is_id = _ID.fullmatch(text) is not None
    found: list[Model] = []
    broken: list[str] = []
    for path in _candidates():
        promised = _ID_IN_NAME.search(path.stem)
        if is_id and promised and not promised[1].startswith(text):
            continue
        try:
            model = read_model(path)
        except (ModelError, ModelNotFoundError) as error:
            if promised and is_id:
                raise
            broken.append(str(error))
            continue
        if model.name == text:
            return [model], broken
        if is_id and model.id.startswith(text):
            found.append(model)
    return found, broken


def _default_id() -> str | None:
    file = shipped_folder() / DEFAULT_FILE
    if not file.is_file():
        return None
    text = file.read_text(encoding="ascii", errors="replace").strip()
    if not re.fullmatch(r"[0-9a-f]{32}", text):
        raise ModelError(f"{file} does not hold a model id of {ID_DIGITS} hexadecimal digits")
    return text


def default_model() -> Model:
    """The model that is used when none is named: the released one, or BSQAV_MODEL where set.

    Raises:
        ModelNotFoundError: this build ships no model and BSQAV_MODEL is not set.
    """
    named = os.environ.get("BSQAV_MODEL")
    if named:
        return find_model(named)
    model_id = _default_id()
    if model_id is None:
        raise _not_found(
            f"no default model is installed in {shipped_folder()}: name one "
            "(--model NAME|FILE, model=..., or the environment variable BSQAV_MODEL)",
            "default",
        )
    return find_model(model_id)


def _marked_id() -> str | None:
    """Id of the model that `default_model` gives, None where it gives none."""
    try:
        return default_model().id
    except (ModelError, ModelNotFoundError, UsageError):
        return None


def _description(model: Model) -> dict[str, Any]:
    try:
        value = json.loads(model.json)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _info(path: Path, model: Model, default: str | None) -> ModelInfo:
    return ModelInfo(
        id=model.id,
        name=model.name,
        path=path,
        size=path.stat().st_size,
        shipped=path.parent == shipped_folder(),
        default=model.id == default,
        description=_description(model),
    )


def model_data(which: ModelLike) -> tuple[Model, bytes]:
    """A model, found as by `find_model` or read before, and the bytes of its file.

    Raises:
        UsageError: a `Model` that no file holds.
        ModelNotFoundError, ModelError: it is not there, or damaged.
    """
    known = _places.get(which) if isinstance(which, str) else None
    model = find_model(which) if known is None else read_model(known)
    if model.id not in _places:
        _search(model.id)  # a Model object made from bytes; its file may be installed
    path = _places.get(model.id)
    if path is None:
        raise UsageError(f"model {model.name} ({model.id}) has no file here: import it first")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _not_found(f"the model file {path} is gone", model.id) from error
    if Model(data).id != model.id:
        raise ModelError(f"{path} has changed: it is no longer the model {model.id}")
    return model, data


def model_file_name(model: Model) -> str:
    """A model's name as a file: NAME.ID.bsqm."""
    safe_name = re.sub(r"[^A-Za-z0-9_-]+", "_", model.name) or "model"
    return f"{safe_name}.{model.id}{SUFFIX}"


def list_models() -> list[ModelInfo]:
    """All models that can be loaded, in the order of search, each once; broken files left out."""
    default = _marked_id()
    seen: dict[str, ModelInfo] = {}
    for path in _candidates():
        try:
            model = read_model(path)
        except (ModelError, ModelNotFoundError):
            continue
        seen.setdefault(model.id, _info(path, model, default))
    return list(seen.values())


def import_model(
    path: str | os.PathLike[str], *, folder: str | os.PathLike[str] | None = None
) -> ModelInfo:
    """Verifies a model file and copies it into the user's folder as NAME.ID.bsqm.

    Raises:
        ModelNotFoundError: there is no such file.
        ModelError: it is no model file, or damaged.
        OSError: the folder cannot be written.
    """
    model = read_model(path)
    target_folder = Path(folder) if folder is not None else user_folder()
    target_folder.mkdir(parents=True, exist_ok=True)
    target = target_folder / model_file_name(model)
    data = Path(path).read_bytes()
    if Model(data).id != model.id:
        raise ModelError(f"{path} changed while it was read")
    with written_whole(target) as partial:
        partial.write_bytes(data)
    return _info(target, model, _marked_id())
