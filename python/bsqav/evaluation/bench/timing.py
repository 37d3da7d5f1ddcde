"""Measuring variants in turn, and how far their values spread."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Key = TypeVar("Key")


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
