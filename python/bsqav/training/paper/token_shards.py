"""Tokens as data: shards of samples that other programs read too.

A folder holds `index.json` and shards. In WebDataset's form a shard is a tar file, and a sample
`KEY.npy`, its indices [(T,) H, W] as int32 (int64 from 32 bits on), and `KEY.json` with the fields
of Sample. In Parquet's a row is a sample, its indices flat in `tokens`. A shard appears when it is
whole, and `complete` in the index says that all are there.
"""

from __future__ import annotations

import io
import json
import math
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from bsqav.codec.files import written_whole
from bsqav.errors import MediaError, MissingDependencyError, UsageError
from bsqav.training.common.setup import digest_of_data
from bsqav.training.paper.images import BatchConfig, Drawn

__all__ = [
    "INDEX",
    "Sample",
    "ShardFormat",
    "TokenBatches",
    "TokenFolder",
    "read_shard",
    "write_shard",
]

INDEX = "index.json"
FORMAT = 1
MAX_INDEX = 64 << 20  # characters
ShardFormat = Literal["webdataset", "parquet"]
SUFFIXES: dict[ShardFormat, str] = {"webdataset": ".tar", "parquet": ".parquet"}
MAX_RATE = 1000.0  # frames per second
WIDE = 31  # bits from which indices are int64

Indices = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Sample:
    """The tokens of an image or a clip.

    Attributes:
        key: its name, from the source's path, with the square and the first frame of several.
        indices: [(T,) H, W].
        bits: of an index.
        tokenizer: fingerprint of the tokenizer.
        size: rows and columns of pixels.
        label: name of its class, empty where it has none; cls: its number.
        times: of a clip's frames, in seconds from the video's beginning.
        rate: frames per second of the video, 0 of images.
    """

    key: str
    indices: Indices
    bits: int
    tokenizer: str
    size: tuple[int, int]
    label: str = ""
    cls: int = 0
    times: tuple[float, ...] = ()
    rate: float = 0.0
    shape: tuple[int, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.indices.shape))

    def fields(self) -> dict[str, Any]:
        """All but the indices, as JSON has them."""
        return {name: value for name, value in asdict(self).items() if name != "indices"}


# ---- shards ----


def write_shard(path: Path, samples: Sequence[Sample], form: ShardFormat) -> None:
    """Writes a shard, whole or not at all.

    Raises MissingDependencyError for Parquet without pyarrow.
    """
    with written_whole(path) as partial:
        if form == "parquet":
            _write_parquet(partial, samples)
            return
        with tarfile.open(partial, "w") as archive:
            for sample in samples:
                array = io.BytesIO()
                np.save(array, _narrow(sample))
                for suffix, data in (
                    ("npy", array.getvalue()),
                    ("json", json.dumps(sample.fields()).encode()),
                ):
                    member = tarfile.TarInfo(f"{sample.key}.{suffix}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))


def read_shard(path: Path) -> Iterator[Sample]:
    """The samples of a shard, in their order. Raises MediaError for what is damaged."""
    try:
        rows = _parquet_rows(path) if path.suffix == ".parquet" else _tar_rows(path)
        for fields, indices in rows:
            yield _sample(fields, indices)
    except (
        *(tarfile.TarError, OSError, ValueError, KeyError, TypeError, EOFError),
        *(RecursionError, MemoryError),
    ) as error:
        raise MediaError(f"{path} cannot be read as a shard of tokens: {error}") from error


def _narrow(sample: Sample) -> Indices:
    return sample.indices.astype(np.int32 if sample.bits <= WIDE else np.int64)


def _sample(fields: Mapping[str, Any], indices: Indices) -> Sample:
    bits, top = int(fields["bits"]), int(indices.max(initial=0))
    shape = tuple(int(length) for length in fields["shape"])
    if indices.size != np.prod(shape) or not 1 <= bits <= 64 or indices.dtype.kind != "i":
        raise ValueError(f"{fields['key']} has no indices of its shape")
    if bits < 64 and (top >> bits or int(indices.min(initial=0)) < 0):
        raise ValueError(f"{fields['key']} has an index of more than {bits} bits")
    rows, columns = fields["size"]
    rate, times = float(fields["rate"]), tuple(float(time) for time in fields["times"])
    if not 0 <= rate <= MAX_RATE or not all(map(math.isfinite, times)):
        raise ValueError(f"{fields['key']} has no frame rate or times that a video may have")
    return Sample(
        _key(str(fields["key"])),
        indices.reshape(shape),
        bits,
        str(fields["tokenizer"]),
        (int(rows), int(columns)),
        str(fields["label"]),
        int(fields["cls"]),
        times,
        rate,
    )


def _key(text: str) -> str:
    """A key that names a file below a folder, whoever wrote it. Raises ValueError for others."""
    parts = PurePosixPath(text).parts
    if not parts or ".." in parts or parts[0] == "/" or "\0" in text:
        raise ValueError(f"{text!r:.60} is no key")
    return text


def _tar_rows(path: Path) -> Iterator[tuple[Mapping[str, Any], Indices]]:
    arrays: dict[str, Indices] = {}
    with tarfile.open(path, "r:") as archive:
        for member in archive:
            file = archive.extractfile(member)
            key, _, suffix = member.name.rpartition(".")
            if file is None:
                continue
            data = file.read()
            if suffix == "npy":
                arrays[key] = np.load(io.BytesIO(data), allow_pickle=False)
            elif suffix == "json":
                fields = json.loads(data)
                yield {**fields, "key": key}, arrays.pop(key)
    if arrays:
        raise ValueError(f"{next(iter(arrays))} has no .json")


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError("Parquet needs pyarrow: pip install pyarrow") from error
    return pyarrow, pyarrow.parquet


def _write_parquet(path: Path, samples: Sequence[Sample]) -> None:
    pyarrow, parquet = _pyarrow()
    rows = [{**sample.fields(), "tokens": _narrow(sample).ravel()} for sample in samples]
    integers = pyarrow.int32() if samples[0].bits <= WIDE else pyarrow.int64()
    schema = pyarrow.schema(
        [
            ("key", pyarrow.string()),
            ("tokens", pyarrow.list_(integers)),
            ("shape", pyarrow.list_(pyarrow.int32())),
            ("bits", pyarrow.int32()),
            ("tokenizer", pyarrow.string()),
            ("size", pyarrow.list_(pyarrow.int32())),
            ("label", pyarrow.string()),
            ("cls", pyarrow.int64()),
            ("times", pyarrow.list_(pyarrow.float64())),
            ("rate", pyarrow.float64()),
        ]
    )
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), path)


def _parquet_rows(path: Path) -> Iterator[tuple[Mapping[str, Any], Indices]]:
    _, parquet = _pyarrow()
    table = parquet.read_table(path)
    tokens = table.column("tokens")
    for place, fields in enumerate(table.drop_columns(["tokens"]).to_pylist()):
        yield fields, tokens[place].values.to_numpy(zero_copy_only=False)


# ---- a folder of them ----


class TokenFolder:
    """Shards as training data, all in memory: what MediaFolder is for pixels.

    Attributes:
        tokenizer: fingerprint. bits: of an index. shape: (T, H, W) or (H, W) of every sample.
        classes: their names, in the order of their numbers. flips: whether mirrored samples are
            among them.

    Raises MediaError for a folder that holds none, is not complete, or is damaged, and UsageError
    for samples of several shapes, which no prior takes.
    """

    skip_damaged = False

    def __init__(self, root: Path) -> None:
        index = read_index(root)
        if not index["complete"]:
            raise MediaError(f"{root} is not complete: the same `bsqav tokenize` goes on with it")
        self.root, self.classes = root, list(index["classes"])
        self.tokenizer, self.bits = str(index["tokenizer"]), int(index["bits"])
        self.flips = bool(index["settings"].get("flips"))
        self.files = [root / name for name in index["shards"]]
        samples = [sample for path in self.files for sample in read_shard(path)]
        if len(samples) != index["samples"]:
            raise MediaError(f"{root} has {len(samples)} samples instead of {index['samples']}")
        shapes = {sample.indices.shape for sample in samples}
        if len(shapes) != 1:
            raise UsageError(f"{root} has tokens of {len(shapes)} shapes: train on squares of one")
        (self.shape,) = shapes
        if {(sample.tokenizer, sample.bits) for sample in samples} != {(self.tokenizer, self.bits)}:
            raise MediaError(f"{root} has samples of other tokenizers than its index says")
        self.indices = torch.from_numpy(np.stack([_narrow(sample) for sample in samples]))
        self.labels = torch.tensor([sample.cls for sample in samples])
        self.sources = [sample.key for sample in samples]

    def __len__(self) -> int:
        return len(self.indices)

    def digest(self) -> str:
        """What names and sizes of the shards say of the data, for checkpoints."""
        return digest_of_data((path.name, path.stat().st_size) for path in self.files)

    def matrices(self) -> str:
        """Nothing: tokens are no raw video."""
        return ""

    def batches(self, config: BatchConfig, seed: int, rank: int, world: int) -> TokenBatches:
        """The batch of every step, see StepBatches."""
        return TokenBatches(self, config, seed, rank, world)


class TokenBatches(Dataset[Drawn]):
    """The batch of every step: indices [B, (T,) H, W] and labels; a process takes its part.

    Raises UsageError where the batch does not divide among the processes.
    """

    def __init__(
        self, folder: TokenFolder, config: BatchConfig, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        if config.batch % world or config.batch < 1:
            raise UsageError(f"a batch of {config.batch} does not divide among {world} processes")
        self.folder, self.config, self.seed = folder, config, seed
        part = config.batch // world
        self.part = slice(rank * part, (rank + 1) * part)

    def draw(self, step: int) -> Drawn:
        """The batch of a step; nothing of it is damaged."""
        generator = np.random.default_rng([self.seed, step])
        chosen = generator.integers(0, len(self.folder), self.config.batch)[self.part]
        indices = self.folder.indices[chosen].long()
        return indices, self.folder.labels[chosen], torch.empty(0, dtype=torch.int64)

    def __getitem__(self, step: int) -> Drawn:
        return self.draw(step)


def read_index(root: Path) -> dict[str, Any]:
    """index.json of a folder. Raises MediaError where there is none or it is no such file."""
    try:
        with (root / INDEX).open(encoding="utf-8") as file:
            found = json.loads(file.read(MAX_INDEX))
        if found["format"] != FORMAT:
            raise MediaError(f"{root} is of version {found['format']}, which is not known")
        if not all(
            name in found for name in ("tokenizer", "bits", "classes", "shards", "settings")
        ):
            raise KeyError("fields are missing")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MediaError(f"{root} holds no shards of tokens ({INDEX}): {error}") from error
    return dict(found)


def write_index(root: Path, index: Mapping[str, Any]) -> None:
    """Writes index.json, whole or not at all."""
    with written_whole(root / INDEX) as partial:
        partial.write_text(
            json.dumps({"format": FORMAT, **index}, indent=1) + "\n", encoding="utf-8"
        )
