"""What the parts of a benchmark hand back: rows for JSON, and how to show them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from bsqav._core import Model
from bsqav.evaluation.bench.timing import Spread


@dataclass(frozen=True)
class Settings:
    """What to measure.

    model_name  by which another process finds the model; None: the default one
    clip        its frames are scaled, and played forward and backward; None: a moving texture
    size        (width, height) of the frames, both even, where a part does not say otherwise
    heights     of the frames of the part `sizes`, in the proportions of `size`
    memory      (width, height) of the frames whose coding's memory is taken
    frames      of most parts; `size_frames` of the part `sizes`
    threads     numbers of threads, each measured
    """

    model: Model
    model_name: str | None = None
    clip: Path | None = None
    size: tuple[int, int] = (640, 360)
    heights: tuple[int, ...] = (180, 360, 720, 1080, 2160)
    memory: tuple[int, int] = (1920, 1080)
    frames: int = 48
    size_frames: int = 12
    crf: float = 32.0
    threads: tuple[int, ...] = (1, 2)
    repeats: int = 3


Value: TypeAlias = Spread | float | int | str | None


@dataclass(frozen=True)
class Column:
    """A column of a table: the key in the rows, its heading, and the format of its numbers."""

    key: str
    heading: str
    spec: str = ""


def columns(described: str) -> tuple[Column, ...]:
    """Columns from "key", "key spec", or either with "= heading", separated by "|".

    Without a heading it is the key in words.
    """
    found = []
    for part in described.split("|"):
        name, _, heading = part.partition("=")
        key, _, spec = name.strip().partition(" ")
        found.append(Column(key, heading.strip() or key.replace("_", " "), spec))
    return tuple(found)


@dataclass
class Part:
    """One part's result: a table, single figures by name, and remarks."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: list[dict[str, Value]] = field(default_factory=list)
    facts: dict[str, Value] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
