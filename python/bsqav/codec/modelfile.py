"""Model files (.bsqm): writing, and reading with every check of docs/bitstream.md section 6.

NumPy alone: the exporter, tests and tools use it where the compiled extension or PyTorch may be
missing. The compiled parser makes the same checks for encoders and decoders.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bsqav.codec.files import written_whole
from bsqav.codec.modelspec import (
    MAX_TENSORS,
    NUMERICS,
    STAGE_BITS,
    ModelConfig,
    Tensor,
    check_sizes,
    check_tensors,
)
from bsqav.errors import ModelError, UnsupportedError

__all__ = [
    "ModelConfig",
    "ModelContents",
    "as_tensor",
    "model_bytes",
    "parse_model",
    "read_model",
    "write_model",
]

MAGIC = b"BSQM"
VERSION = 1
CONFIG_SIZES = 9  # the first fields of ModelConfig, of each set, in the order of the header
ALIGNMENT = 64
DIGEST_SIZE = 32
ID_SIZE = 16
MAX_TEXT_DEPTH = 64
_FIXED = struct.Struct("<4sHH21H")
_TYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<i1"), 3: np.dtype("<i4")}
_CODES = {np.dtype(np.int8): 1, np.dtype(np.int32): 3}


@dataclass(frozen=True)
class ModelContents:
    """A model file taken apart.

    Attributes:
        id: first 16 bytes of the file's SHA-256, 32 hexadecimal digits.
        config: sizes of the networks of frames that are predicted from others.
        keyframes: sizes of the keyframe networks.
        text: the JSON object; "name" is always there.
        tensors: int8 and int32 arrays by name, of both sets of networks.
    """

    id: str
    config: ModelConfig
    keyframes: ModelConfig
    text: dict[str, Any]
    tensors: dict[str, Tensor]


def write_model(
    path: str | Path,
    config: ModelConfig,
    tensors: Mapping[str, Tensor],
    text: Mapping[str, Any],
    keyframes: ModelConfig | None = None,
) -> str:
    """Writes a model file and returns its id (32 hexadecimal digits).

    Arguments and errors are those of model_bytes().
    """
    data = model_bytes(config, tensors, text, keyframes)
    with written_whole(path) as partial:
        partial.write_bytes(data)
    return data[-DIGEST_SIZE:][:ID_SIZE].hex()


def model_bytes(
    config: ModelConfig,
    tensors: Mapping[str, Tensor],
    text: Mapping[str, Any],
    keyframes: ModelConfig | None = None,
) -> bytes:
    """The bytes of a model file. Equal arguments give equal bytes.

    Args:
        config: sizes of the networks of frames that are predicted from others.
        tensors: arrays of exactly the types int8 and int32, of both sets of networks, named and
            shaped as the specification says; biases may be left out where it allows that.
        text: a JSON object with at least "name".
        keyframes: sizes of the keyframe networks; None: the same.

    Raises:
        ModelError: a tensor is missing, unknown, of a wrong type or shape, or breaks a limit of
            docs/numerics.md section 6; "name" is missing; the sets differ in their stages.
    """
    own = keyframes or config
    check_tensors(config, tensors, own)
    encoded = _encode_text(text)
    names = sorted(tensors)
    head = _FIXED.pack(MAGIC, VERSION, NUMERICS, *_config_words(config, own))
    head += struct.pack("<I", len(encoded)) + encoded + struct.pack("<I", len(names))
    entry_bytes = sum(1 + len(name) + 1 + 1 + 4 * tensors[name].ndim + 8 for name in names)
    offset = _align(len(head) + entry_bytes)
    table, parts = bytearray(), bytearray()
    first = offset
    for name in names:
        array = tensors[name]
        raw = array.astype(_TYPES[_CODES[array.dtype]], copy=False).tobytes()
        table += struct.pack("<B", len(name)) + name.encode("ascii")
        table += struct.pack("<BB", _CODES[array.dtype], array.ndim)
        table += struct.pack(f"<{array.ndim}IQ", *array.shape, offset)
        parts += bytes(offset - first - len(parts)) + raw
        offset = _align(offset + len(raw))
    body = head + bytes(table)
    body += bytes(first - len(body)) + bytes(parts)
    return body + hashlib.sha256(body).digest()


def read_model(path: str | Path) -> ModelContents:
    """Reads a model file; see parse_model() for the errors."""
    return parse_model(Path(path).read_bytes(), str(path))


def parse_model(data: bytes, what: str = "model file") -> ModelContents:
    """Parses the bytes of a model file and checks everything.

    Args:
        data: the whole file.
        what: what to call it in messages.

    Raises:
        ModelError: damaged, or against the specification; the message names byte or tensor.
        UnsupportedError: a version of the file or of the numerics that is not known here.
    """
    reader = _Reader(data, what)
    magic = reader.take(4)
    if magic != MAGIC:
        raise ModelError(f"{what}, byte 0: not a model file (it does not begin with BSQM)")
    version, numerics = reader.unpack("<HH")
    if (version, numerics) != (VERSION, NUMERICS):
        raise UnsupportedError(
            f"{what}, byte 4: version {version} with numerics {numerics}; "
            f"known here are version {VERSION} with numerics {NUMERICS}: update bsqav"
        )
    if len(data) < _FIXED.size + DIGEST_SIZE:
        raise ModelError(f"{what}: the data ends early, after {len(data)} bytes")
    digest = hashlib.sha256(data[:-DIGEST_SIZE]).digest()
    if digest != data[-DIGEST_SIZE:]:
        raise ModelError(f"{what}: the SHA-256 at its end does not match: fetch the file again")
    reader.end = len(data) - DIGEST_SIZE
    config, keyframes = _parse_config(reader)
    (size,) = reader.unpack("<I")
    text = _parse_text(reader.take(size), what)
    tensors = _parse_tensors(reader)
    check_tensors(config, tensors, keyframes)
    return ModelContents(digest[:ID_SIZE].hex(), config, keyframes, text, tensors)


class _Reader:
    """A cursor that raises ModelError at the end of the data."""

    def __init__(self, data: bytes, what: str) -> None:
        self.data = data
        self.what = what
        self.position = 0
        self.end = len(data)

    def take(self, size: int) -> bytes:
        if size > self.end - self.position:
            raise self.error(f"the data ends early: {size} bytes are needed")
        part = self.data[self.position : self.position + size]
        self.position += size
        return part

    def unpack(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def error(self, message: str) -> ModelError:
        return ModelError(f"{self.what}, byte {self.position}: {message}")


def _align(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT


def _config_words(config: ModelConfig, keyframes: ModelConfig) -> tuple[int, ...]:
    sizes = (size for one in (config, keyframes) for size in astuple(one)[:CONFIG_SIZES])
    return (STAGE_BITS, config.stages, *sizes, 0)


def _parse_config(reader: _Reader) -> tuple[ModelConfig, ModelConfig]:
    """Sizes of the networks of predicted frames and of the keyframe networks."""
    start = reader.position
    bits, stages, *sizes, reserved = reader.unpack("<21H")
    if bits != STAGE_BITS or reserved != 0:
        raise ModelError(
            f"{reader.what}, byte {start}: {bits} bits a stage and a reserved {reserved}; "
            f"only {STAGE_BITS} and 0 are known"
        )
    config = replace(ModelConfig(*sizes[:CONFIG_SIZES]), stages=stages)
    keyframes = replace(ModelConfig(*sizes[CONFIG_SIZES:]), stages=stages)
    try:
        check_sizes(config, keyframes)
    except ModelError as error:
        raise ModelError(f"{reader.what}, byte {start}: {error}") from error
    return config, keyframes


def _encode_text(text: Mapping[str, Any]) -> bytes:
    try:
        dumped = json.dumps(dict(text), ensure_ascii=False, sort_keys=True, allow_nan=False)
        encoded = dumped.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelError(f"the text of a model must be JSON: {error}") from error
    _check_text(json.loads(encoded))
    return encoded


def _parse_text(raw: bytes, what: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    try:
        text = json.loads(raw.decode(), parse_constant=refuse)
        _check_text(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{what}: its text is not a valid JSON object: {error}") from error
    return dict(text)


def _check_text(text: object) -> None:
    """Raises ModelError unless the text is an object with a name that libbsq can read."""
    name = text.get("name") if isinstance(text, dict) else None
    if not isinstance(name, str) or not name:
        raise ModelError('the text of a model must be an object with a string "name"')
    _check_json(text, 0)


def _check_json(value: object, depth: int) -> None:
    """Raises ModelError for strings and depths that libbsq's reader does not take."""
    if isinstance(value, str):
        if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value):
            raise ModelError("the text of a model holds a zero character or half a surrogate pair")
    elif isinstance(value, dict | list):
        if depth >= MAX_TEXT_DEPTH:
            raise ModelError(f"the text of a model is nested more than {MAX_TEXT_DEPTH} deep")
        parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        for part in parts:
            _check_json(part, depth + 1)


def _parse_tensors(reader: _Reader) -> dict[str, Tensor]:
    (count,) = reader.unpack("<I")
    if count > MAX_TENSORS:
        raise reader.error(f"{count} tensors, more than the limit of {MAX_TENSORS}")
    tensors: dict[str, Tensor] = {}
    spans: list[tuple[int, int, str]] = []
    for _ in range(count):
        name, dtype, shape, offset = _parse_entry(reader)
        if name in tensors:
            raise reader.error(f"tensor {name} appears twice")
        if 0 in shape:
            raise reader.error(f"tensor {name} is empty")
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if offset % ALIGNMENT or offset + size > reader.end:
            raise reader.error(
                f"tensor {name} at {offset} with {size} bytes is not aligned to {ALIGNMENT} "
                f"or leaves the file"
            )
        spans.append((offset, size, name))
        raw = np.frombuffer(reader.data, dtype, size // dtype.itemsize, offset).reshape(shape)
        tensors[name] = raw.astype(dtype.newbyteorder("="))
    _check_gaps(reader, spans)
    return tensors


def _parse_entry(reader: _Reader) -> tuple[str, np.dtype[Any], tuple[int, ...], int]:
    (length,) = reader.unpack("<B")
    raw_name = reader.take(length)
    if not raw_name or not all(0x21 <= byte <= 0x7E for byte in raw_name):
        raise reader.error("the name of a tensor is empty or not printable ASCII")
    name = raw_name.decode("ascii")
    code, dimensions = reader.unpack("<BB")
    if code not in _TYPES or not 1 <= dimensions <= 3:
        raise reader.error(f"tensor {name} has type {code} and {dimensions} dimensions")
    *shape, offset = reader.unpack(f"<{dimensions}IQ")
    return name, _TYPES[code], tuple(shape), offset


def _check_gaps(reader: _Reader, spans: list[tuple[int, int, str]]) -> None:
    """Raises ModelError for tensors that overlap and for gaps that are not zero."""
    position = reader.position
    before = "the table"
    for offset, size, name in [*sorted(spans), (reader.end, 0, "the digest")]:
        if offset < position:
            raise ModelError(f"{reader.what}: tensor {name} at {offset} overlaps {before}")
        if any(reader.data[position:offset]):
            raise ModelError(f"{reader.what}: the gap before {name} at {offset} is not zero")
        position, before = offset + size, name


def as_tensor(values: npt.ArrayLike, dtype: npt.DTypeLike) -> Tensor:
    """Integers as a tensor of type int8 or int32; ModelError if a value does not fit."""
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.integer):
        raise ModelError(f"a tensor must hold integers, not {array.dtype}")
    info = np.iinfo(np.dtype(dtype))
    if array.size and (array.min() < info.min or array.max() > info.max):
        raise ModelError(f"a value does not fit in {np.dtype(dtype)}")
    return np.ascontiguousarray(array, dtype=dtype)
