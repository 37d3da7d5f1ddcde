"""What the parts of a benchmark hand back: rows for JSON, and how to show them."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, TypeVar

from bsqav._core import Model


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


@dataclass(frozen=True)
class Spread:
    """Median, lowest and highest of some measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def __format__(self, spec: str) -> str:
        return f"{self.median:{spec}} ({self.low:{spec}}-{self.high:{spec}})"


Key = TypeVar("Key")
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


def seconds_of(run: Callable[[], object]) -> float:
    """What a call takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def in_turn(variants: Mapping[Key, Callable[[], float]], repeats: int) -> dict[Key, list[float]]:
    """The values of every variant, each called once in every repeat."""
    values: dict[Key, list[float]] = {key: [] for key in variants}
    for _ in range(repeats):
        for key, measure in variants.items():
            values[key].append(measure())
    return values


def ratios(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Ratios of values that were measured in the same repeats."""
    return Spread.of([a / b for a, b in zip(over, under, strict=True)])
