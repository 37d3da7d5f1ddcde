"""Frechet distance, inception score, precision and recall against their definitions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bsqav.errors import UsageError
from bsqav.evaluation.research.distribution import (
    Moments,
    frechet_distance,
    inception_score,
    moments,
    precision_recall,
    read_moments,
    save_moments,
)


def drawn(count: int, size: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """Correlated vectors."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(count, size)) @ rng.normal(size=(size, size)) / size**0.5 + shift
    vectors: npt.NDArray[np.float32] = mixed.astype(np.float32)
    return vectors


@pytest.mark.parametrize("size", [1, 5, 40])
def test_distance_against_a_matrix_root(size: int) -> None:
    linalg = pytest.importorskip("scipy.linalg")
    a, b = moments(drawn(300, size, 1)), moments(drawn(200, size, 2, 0.5))
    root = linalg.sqrtm(a.covariance @ b.covariance)
    gap = ((a.mean - b.mean) ** 2).sum()
    expected = gap + np.trace(a.covariance + b.covariance - 2 * np.real(root))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_distance_of_singular_covariances() -> None:
    """Fewer samples than dimensions; what differs is the mean alone, or one is a point."""
    x = drawn(20, 60, 3)
    few, many = moments(x), moments(drawn(90, 60, 9, 1.0))
    whole = frechet_distance(replace(few, features=None), many)
    assert frechet_distance(few, many) == pytest.approx(whole, rel=1e-6)
    assert frechet_distance(moments(x), moments(x + 2)) == pytest.approx(4 * 60, rel=1e-5)
    point = Moments(np.zeros(60), np.zeros((60, 60)))
    found = moments(x - x.mean(0))
    expected = found.covariance.trace() + (found.mean**2).sum()
    assert frechet_distance(found, point) == pytest.approx(expected, rel=1e-9)


def test_moments_are_those_of_numpy() -> None:
    x = drawn(1200, 7, 4)
    found = moments(x)
    np.testing.assert_allclose(found.mean, x.mean(0, dtype=np.float64))
    np.testing.assert_allclose(found.covariance, np.cov(x.astype(np.float64), rowvar=False))
    with pytest.raises(UsageError, match="at least 2 samples, there are 1"):
        moments(x[:1])
    with pytest.raises(UsageError, match="no numbers"):
        moments(np.full((3, 2), np.nan))
    with pytest.raises(UsageError, match="7 and of 6 numbers"):
        frechet_distance(found, moments(x[:, :6]))


def test_inception_score_against_the_formula() -> None:
    logits = np.random.default_rng(5).normal(size=(30, 4)) * 3
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    scores = []
    for part in np.split(chances, 10):
        gaps = [
            sum(p * np.log(p / m) for p, m in zip(row, part.mean(0), strict=True)) for row in part
        ]
        scores.append(np.exp(np.mean(gaps)))
    mean, spread = inception_score(logits)
    assert mean == pytest.approx(np.mean(scores)) and spread == pytest.approx(np.std(scores))
    sure = np.eye(4)[np.arange(40) % 4] * 1000  # every class as often, each without a doubt
    assert inception_score(sure)[0] == pytest.approx(4)
    assert inception_score(np.zeros((40, 4))) == pytest.approx((1, 0))


def test_precision_and_recall_against_brute_force() -> None:
    x, y = drawn(60, 3, 6), drawn(80, 3, 7, 0.7)

    def covered(of: np.ndarray, by: np.ndarray) -> float:
        radii = [np.sort([np.linalg.norm(a - b) for b in by])[3] for a in by]
        inside = [
            any(np.linalg.norm(p - b) <= r for b, r in zip(by, radii, strict=True)) for p in of
        ]
        return float(np.mean(inside))

    x, y = x.astype(np.float64), y.astype(np.float64)
    found = precision_recall(x, y, 3)
    assert (found.precision, found.recall) == (covered(x, y), covered(y, x))
    assert 0 < found.recall < 1 and 0 < found.precision < 1
    same = precision_recall(x, x, 3)
    assert same.precision == same.recall == 1
    with pytest.raises(UsageError, match="60 neighbours among 60"):
        precision_recall(x, y, 60)


def test_statistics_in_files(tmp_path: Path) -> None:
    found = moments(drawn(50, 4, 8), "a network")
    path = tmp_path / "a.npz"
    save_moments(path, found)
    again = read_moments(path)
    assert again.source == "a network" and again.count == 50 and again.features is not None
    assert frechet_distance(found, again) == pytest.approx(0, abs=1e-9)
    np.savez(path, mu=found.mean, sigma=found.covariance)  # pytorch-fid's and the authors'
    assert read_moments(path).features is None and read_moments(path).count == 0
    for parts, words in (
        ({"mu": found.mean}, "no mu and sigma, but mu"),
        ({"mu": found.mean[:3], "sigma": found.covariance}, "do not fit"),
        ({"mu": found.mean * np.nan, "sigma": found.covariance}, "no numbers"),
        ({"mu": found.mean, "sigma": found.covariance, "features": np.zeros((3, 5))}, "not fit"),
        ({"mu": np.array(["a"]), "sigma": found.covariance}, "cannot be read"),
        ({"mu": np.array([None]), "sigma": found.covariance}, "cannot be read"),
    ):
        np.savez(path, **parts)
        with pytest.raises(UsageError, match=words):
            read_moments(path)
    path.write_bytes(b"PK\x03\x04 nothing of the kind")
    with pytest.raises(UsageError, match="cannot be read"):
        read_moments(path)
