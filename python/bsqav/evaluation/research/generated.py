"""How good generated images or videos are, as a set, compared with real ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from bsqav.errors import UsageError
from bsqav.evaluation.research.distribution import (
    Moments,
    frechet_distance,
    inception_score,
    moments,
    precision_recall,
    read_moments,
)
from bsqav.evaluation.research.features import FeatureNetwork

__all__ = [
    "Gathered",
    "Generation",
    "check_kind",
    "compare_sets",
    "frechet_of",
    "gather",
    "read_reference",
]

Vectors = npt.NDArray[np.float32]


@dataclass
class Gathered:
    """What a network said, batch by batch."""

    parts: list[Vectors] = field(default_factory=list)
    classes: list[Vectors] = field(default_factory=list)

    def add(self, said: tuple[Tensor, Tensor | None]) -> None:
        """One more batch."""
        self.parts.append(said[0].numpy())
        if said[1] is not None:
            self.classes.append(said[1].numpy())

    @property
    def features(self) -> Vectors:
        """[N, D]. Raises UsageError where there is none."""
        if not self.parts:
            raise UsageError("nothing to measure on: no image, or no video that is long enough")
        return np.concatenate(self.parts)

    @property
    def logits(self) -> Vectors | None:
        """[N, classes], None where the network does not classify."""
        return np.concatenate(self.classes) if self.classes else None


@dataclass(frozen=True)
class Generation:
    """The figures; None where one is not to be had.

    distance: what it is called is the network's title and key. inception_score: mean and standard
    deviation over ten parts. warnings: what is to be known of them.
    """

    samples: int
    reference: int
    distance: float
    inception_score: tuple[float, float] | None
    precision: float | None
    recall: float | None
    warnings: list[str]


def check_kind(network: FeatureNetwork, frames: int) -> None:
    """Raises UsageError where the network is for clips and these are images, or the like."""
    if network.clips != (frames > 1):
        kind = "videos" if network.clips else "images"
        raise UsageError(
            f"{network.source} is for {kind}: "
            + ("say --frames, 16 for instance" if network.clips else "leave --frames away")
        )


def gather(network: FeatureNetwork, batches: Iterable[Tensor], device: str = "cpu") -> Gathered:
    """What a network says of batches from -1 to 1."""
    found = Gathered()
    for x in batches:
        found.add(network(x.to(device)))
    return found


def read_reference(network: FeatureNetwork, path: Path) -> Moments:
    """Statistics of an .npz. Raises UsageError for those of another network."""
    known = read_moments(path)
    if len(known.mean) != network.dimensions:
        raise UsageError(
            f"{path} has {len(known.mean)} dimensions, {network.source} has {network.dimensions}"
        )
    if known.source and known.source != network.source:
        raise UsageError(f"{path} was made with {known.source}, not with {network.source}")
    return known


def compare_sets(
    network: FeatureNetwork, samples: Gathered, reference: Moments, neighbours: int = 3
) -> Generation:
    """All figures of samples compared with a reference."""
    ours = moments(samples.features, network.source)
    warnings = _warnings(network, ours, reference)
    score = None if samples.logits is None else inception_score(samples.logits)
    shares = None
    if reference.features is None:
        warnings.append("the reference has no features of single samples: no precision, no recall")
    elif neighbours >= min(ours.count, len(reference.features)):
        warnings.append(f"too few samples for {neighbours} neighbours: no precision, no recall")
    else:
        shares = precision_recall(samples.features, reference.features, neighbours)
    return Generation(
        ours.count,
        reference.count,
        frechet_distance(ours, reference),
        score,
        None if shares is None else shares.precision,
        None if shares is None else shares.recall,
        warnings,
    )


def frechet_of(
    network: FeatureNetwork, fake: Gathered, real: Gathered
) -> tuple[dict[str, float], list[str]]:
    """The distance of reconstructions to what they were made from, "r" before its key; warnings."""
    a, b = (moments(found.features, network.source) for found in (fake, real))
    return {f"r{network.key}": frechet_distance(a, b)}, _warnings(network, a, b)[:1]


def _warnings(network: FeatureNetwork, ours: Moments, reference: Moments) -> list[str]:
    found = []
    for name, count in (("samples", ours.count), ("reference", reference.count)):
        if 0 < count <= network.dimensions:
            found.append(
                f"{name}: {count} for {network.dimensions} dimensions, so that their covariance is "
                f"singular and {network.title} far too large; published figures are of 10000 to "
                "50000"
            )
    return found
