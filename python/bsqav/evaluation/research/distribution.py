"""Two sets of feature vectors: Frechet distance, inception score, precision and recall.

Everything is computed in float64 with NumPy. What the figures are called depends on the network
that the features came from (bsqav.evaluation.research.features).
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bsqav.codec.files import written_whole
from bsqav.errors import UsageError

__all__ = [
    "Moments",
    "PrecisionRecall",
    "frechet_distance",
    "inception_score",
    "moments",
    "precision_recall",
    "read_moments",
    "save_moments",
]

Array = npt.NDArray[np.float64]

# Rows of a table of distances at a time.
ROWS = 512
MAX_FEATURES = 1 << 14


@dataclass(frozen=True)
class Moments:
    """What a Frechet distance is computed of.

    mean: [D]. covariance: [D, D], unbiased. count: samples, 0 where a file does not say. features:
    [count, D], where they were kept. source: the network and its weights, where they are known.
    """

    mean: Array
    covariance: Array
    count: int = 0
    features: npt.NDArray[Any] | None = None
    source: str = ""


@dataclass(frozen=True)
class PrecisionRecall:
    """Shares from 0 to 1: of samples among the reference, and of the reference among samples."""

    precision: float
    recall: float


def moments(features: npt.NDArray[Any], source: str = "") -> Moments:
    """Of features [N, D]. Raises UsageError for fewer than two samples or values without end."""
    n = len(features)
    if features.ndim != 2 or n < 2:
        raise UsageError(f"a distance needs at least 2 samples, there are {n}")
    if not np.isfinite(features).all():
        raise UsageError("the network gave features that are no numbers")
    mean = features.mean(0, dtype=np.float64)
    # In parts: fifty thousand vectors in float64 take most of a gigabyte.
    total = np.zeros((len(mean), len(mean)))
    for first in range(0, n, ROWS):
        centred = features[first : first + ROWS] - mean
        total += centred.T @ centred
    return Moments(mean, total / (n - 1), n, features, source)


def frechet_distance(a: Moments, b: Moments) -> float:
    """|m - n|^2 + tr(A + B - 2 (A B)^(1/2)), at least 0.

    The trace of the root is the sum of the roots of the eigenvalues of A^(1/2) B A^(1/2), which is
    symmetric: unlike a root of A B it needs no tricks where a covariance is singular. With fewer
    samples than dimensions it is the sum of the singular values of their inner products. Raises
    UsageError where the two have other dimensions.
    """
    if a.mean.shape != b.mean.shape:
        raise UsageError(f"features of {len(a.mean)} and of {len(b.mean)} numbers: two networks")
    few = min(a.count, b.count) <= len(a.mean)
    if few and a.features is not None and b.features is not None:
        x, y = a.features - a.mean, b.features - b.mean
        inner = np.linalg.svd(x @ y.T, compute_uv=False).sum()
        inner /= ((len(x) - 1) * (len(y) - 1)) ** 0.5
    else:
        values, vectors = np.linalg.eigh(a.covariance)
        root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
        product = root @ b.covariance @ root
        inner = np.sqrt(np.linalg.eigvalsh((product + product.T) / 2).clip(0)).sum()
    apart = ((a.mean - b.mean) ** 2).sum()
    return max(0.0, float(apart + a.covariance.trace() + b.covariance.trace() - 2 * inner))


def inception_score(logits: npt.NDArray[Any], splits: int = 10) -> tuple[float, float]:
    """exp(E KL(p(y|x) | p(y))), arXiv 1606.03498: mean and standard deviation over the splits.

    logits: [N, classes], cut into `splits` parts in their order; fewer where there are fewer.
    """
    x = np.asarray(logits, np.float64)
    x = x - x.max(1, keepdims=True)
    logs = x - np.log(np.exp(x).sum(1, keepdims=True))
    scores = []
    for part in np.array_split(logs, min(splits, len(logs))):
        marginal = np.log(np.exp(part).mean(0).clip(1e-300))
        scores.append(np.exp((np.exp(part) * (part - marginal)).sum(1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def precision_recall(
    samples: npt.NDArray[Any], reference: npt.NDArray[Any], neighbours: int = 3
) -> PrecisionRecall:
    """Kynkäänniemi et al. 2019 (arXiv 1904.06991) of features [N, D] and [M, D].

    A sample counts where it is as near to some reference as that one's k-th nearest neighbour in
    its own set is, and the other way round. Raises UsageError where a set has no k neighbours.
    """
    least = min(len(samples), len(reference))
    if not 1 <= neighbours < least:
        raise UsageError(f"{neighbours} neighbours among {least} samples: take more samples")
    x, y = (np.asarray(part, np.float64) for part in (samples, reference))
    return PrecisionRecall(
        _covered(x, y, _radii(y, neighbours)), _covered(y, x, _radii(x, neighbours))
    )


def _squares(x: Array, y: Array) -> Array:
    """Squared distances [len(x), len(y)]."""
    found = (x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * (x @ y.T)
    return np.asarray(found.clip(0))


def _radii(x: Array, neighbours: int) -> Array:
    """Squared distance of each to its k-th nearest neighbour; the nearest is itself."""
    parts = [
        np.partition(_squares(x[first : first + ROWS], x), neighbours, axis=1)[:, neighbours]
        for first in range(0, len(x), ROWS)
    ]
    return np.concatenate(parts)


def _covered(x: Array, by: Array, radii: Array) -> float:
    """Share of x within the radius of any of `by`."""
    inside = [
        (_squares(x[first : first + ROWS], by) <= radii).any(1) for first in range(0, len(x), ROWS)
    ]
    return float(np.concatenate(inside).mean())


# ---- files ----


def save_moments(path: Path, found: Moments) -> None:
    """Writes an .npz that read_moments and other programs read (mu and sigma), features as well."""
    parts: dict[str, Any] = {"mu": found.mean, "sigma": found.covariance, "count": found.count}
    if found.features is not None:
        parts["features"] = found.features.astype(np.float32)
    with written_whole(path) as partial, partial.open("wb") as file:
        np.savez(file, source=np.array(found.source), **parts)


def read_moments(path: Path) -> Moments:
    """Of an .npz with mu and sigma: ours, pytorch-fid's, the authors' or guided-diffusion's.

    Raises UsageError for a file without them, or one whose parts do not fit together.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if not {"mu", "sigma"} <= set(file.files):
                raise UsageError(f"{path} holds no mu and sigma, but {', '.join(file.files)}")
            mean, covariance = (np.asarray(file[name], np.float64) for name in ("mu", "sigma"))
            features = np.asarray(file["features"]) if "features" in file else None
            count = int(file["count"]) if "count" in file else 0
            source = str(file["source"])[:200] if "source" in file else ""
    except FileNotFoundError:
        raise
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{path} cannot be read as an .npz of statistics: {error}") from error
    d = mean.shape[-1] if mean.ndim == 1 else 0
    fits = features is None or (features.dtype.kind == "f" and features.shape[1:] == (d,))
    if not 1 <= d <= MAX_FEATURES or covariance.shape != (d, d) or not fits:
        raise UsageError(f"{path}: mu {mean.shape} and sigma {covariance.shape} do not fit")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise UsageError(f"{path} holds values that are no numbers")
    return Moments(mean, covariance, count, features, source)
