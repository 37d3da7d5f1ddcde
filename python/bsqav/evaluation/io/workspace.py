"""One input while it is measured: its raw form on disk, made when first asked for."""

import threading
from fractions import Fraction
from pathlib import Path
from typing import TypedDict, cast

import av

from bsqav.evaluation.io.cache import Cache, file_hash, key_of
from bsqav.evaluation.io.errors import SourceError
from bsqav.evaluation.io.inputs import is_picture
from bsqav.evaluation.io.sources import Source, read_picture, read_source
from bsqav.evaluation.io.y4m import Y4mHeader


class ClipSource:
    """A video or picture on its way through a comparison.

    What is known of an input (size, rate, frame count) comes from the cache where it has been
    measured before, so that nothing is decoded when all results are there.

    Raises what `sources.read_source` and `sources.read_picture` raise.
    """

    def __init__(
        self,
        path: Path,
        folder: Path,
        cache: Cache,
        *,
        frames: int | None = None,
        scale: tuple[int, int] | None = None,
    ) -> None:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file")
        if path.is_dir():
            raise SourceError(f"{path}: a folder without videos or pictures")
        self.path, self.folder, self.scale = path, folder, scale
        self.kind = "picture" if is_picture(path) else "video"
        self._wanted_frames = None if self.kind == "picture" else frames
        self.sha256 = file_hash(path)
        self.key = key_of(
            input=self.sha256,
            kind=self.kind,
            frames=self._wanted_frames,
            scale=scale,
            reader=av.__version__,
        )
        self._lock = threading.Lock()
        self._read = False
        known = cache.read_json(self.key, ".source.json")
        if known is None:
            source = self._read_source()
            cache.write_json(self.key, _to_json(source), ".source.json")
        else:
            source = _from_json(cast(_Record, known), self._target)
        self.header, self.frames = source.header, source.frames
        self.matrix, self.full_range = source.matrix, source.full_range
        self.notes = source.notes
        """What was done to the input on the way."""

    def y4m(self) -> Path:
        """The raw form, decoded now where it has not been yet."""
        with self._lock:
            if not self._read:
                self._read_source()
        return self._target

    @property
    def _target(self) -> Path:
        return self.folder / "source.y4m"

    def _read_source(self) -> Source:
        if self.kind == "picture":
            source = read_picture(self.path, self._target, self.scale)
        else:
            source = read_source(
                self.path, self._target, frames=self._wanted_frames, scale=self.scale
            )
        self._read = True
        return source


class _Record(TypedDict):
    """What the cache keeps of a source."""

    size: tuple[int, int]
    rate: tuple[int, int]
    chroma: str
    frames: int
    notes: list[str]
    matrix: str
    full_range: bool


def _to_json(source: Source) -> _Record:
    header = source.header
    return {
        "size": (header.width, header.height),
        "rate": (header.rate.numerator, header.rate.denominator),
        "chroma": header.chroma,
        "frames": source.frames,
        "notes": list(source.notes),
        "matrix": source.matrix,
        "full_range": source.full_range,
    }


def _from_json(known: _Record, target: Path) -> Source:
    width, height = known["size"]
    header = Y4mHeader(width, height, Fraction(*known["rate"]), known["chroma"])
    notes = tuple(known["notes"])
    return Source(target, header, known["frames"], notes, known["matrix"], known["full_range"])
