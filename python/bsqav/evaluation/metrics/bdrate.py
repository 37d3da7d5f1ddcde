"""Bjontegaard deltas: the mean gap in rate, or in quality, between two rate-distortion curves.

G. Bjontegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33, 2001; the
piecewise cubic Hermite variant as in ITU-T HSTP-VID-WPOM and JCTVC-L1100. Rates enter as log10.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bsqav.evaluation.io.errors import CurveError

Method = Literal["pchip", "cubic"]
Array = NDArray[np.float64]

MIN_POINTS = 4


@dataclass(frozen=True)
class BdResult:
    """A Bjontegaard delta with the range it was averaged over.

    value     percent of rate (`bd_rate`, negative: the test codec needs fewer bits), or quality
              units (`bd_quality`, positive: the test codec is better); None where `reason` says why
    low, high ends of the common range: quality for `bd_rate`, rate for `bd_quality`; None without
              one
    overlap   common range over the union of both ranges, 0 to 1 (in log10 rate for `bd_quality`)
    dropped   points left out (anchor, test) because another costs no more and is at least as good
    """

    value: float | None
    method: Method
    low: float | None
    high: float | None
    overlap: float
    dropped: tuple[int, int] = (0, 0)
    reason: str | None = None


def bd_rate(
    anchor: Sequence[tuple[float, float]],
    test: Sequence[tuple[float, float]],
    method: Method = "pchip",
) -> BdResult:
    """Mean rate difference of `test` against `anchor` at equal quality, in percent.

    `anchor` and `test` are (rate, quality) points in any order, rate > 0 in any unit common to
    both, quality rising with fidelity. Curves that do not share a quality range give value None.

    Raises CurveError (a ValueError) for fewer than four points, values that are not finite, rates
    that are not positive, or an unknown method.
    """
    (rate_a, quality_a), drop_a = _curve(anchor, "anchor")
    (rate_t, quality_t), drop_t = _curve(test, "test")
    short = _too_few(len(rate_a), len(rate_t))
    result = _delta(quality_a, rate_a, quality_t, rate_t, method, (drop_a, drop_t), short)
    if result.value is None:
        return result
    return _with(result, value=100.0 * (10.0**result.value - 1.0))


def bd_quality(
    anchor: Sequence[tuple[float, float]],
    test: Sequence[tuple[float, float]],
    method: Method = "pchip",
) -> BdResult:
    """Mean quality difference of `test` against `anchor` at equal rate, in units of quality.

    Takes and raises what `bd_rate` does; `low` and `high` of the result are rates.
    """
    (rate_a, quality_a), drop_a = _curve(anchor, "anchor")
    (rate_t, quality_t), drop_t = _curve(test, "test")
    short = _too_few(len(rate_a), len(rate_t))
    result = _delta(rate_a, quality_a, rate_t, quality_t, method, (drop_a, drop_t), short)
    if result.low is None or result.high is None:
        return result
    return _with(result, low=10.0**result.low, high=10.0**result.high)


def _with(result: BdResult, **changes: float) -> BdResult:
    return BdResult(**{**result.__dict__, **changes})


def _curve(points: Sequence[tuple[float, float]], name: str) -> tuple[tuple[Array, Array], int]:
    """(log10 rate, quality), both strictly rising, and how many points fell out on the way."""
    if len(points) < MIN_POINTS:
        raise CurveError(
            f"the {name} curve has {len(points)} points; a Bjontegaard delta needs at least "
            f"{MIN_POINTS}: measure more rate points"
        )
    for rate, quality in points:
        if not (np.isfinite(rate) and np.isfinite(quality) and rate > 0):
            raise CurveError(
                f"the {name} curve has a point (rate {rate}, quality {quality}); rates must be "
                "positive and both values finite"
            )
    kept: list[tuple[float, float]] = []
    for rate, quality in sorted(points, key=lambda p: (p[0], -p[1])):
        if not kept or quality > kept[-1][1]:
            kept.append((rate, quality))
    log_rate = np.log10(np.array([p[0] for p in kept], dtype=np.float64))
    quality_array = np.array([p[1] for p in kept], dtype=np.float64)
    return (log_rate, quality_array), len(points) - len(kept)


def _too_few(anchor: int, test: int) -> str | None:
    for name, count in (("anchor", anchor), ("test", test)):
        if count < MIN_POINTS:
            return (
                f"only {count} points of the {name} curve rise in quality with rate; "
                f"{MIN_POINTS} are needed"
            )
    return None


def _delta(
    x_anchor: Array,
    y_anchor: Array,
    x_test: Array,
    y_test: Array,
    method: Method,
    dropped: tuple[int, int],
    refused: str | None,
) -> BdResult:
    """Mean of y_test - y_anchor over the x that both curves cover."""
    if method not in ("pchip", "cubic"):
        raise CurveError(f"unknown method {method!r}; choose 'pchip' or 'cubic'")
    low = float(max(x_anchor[0], x_test[0]))
    high = float(min(x_anchor[-1], x_test[-1]))
    union = float(max(x_anchor[-1], x_test[-1]) - min(x_anchor[0], x_test[0]))
    if high <= low:
        reason = refused or "no overlap: the curves share no range to average over"
        return BdResult(None, method, None, None, 0.0, dropped, reason)
    overlap = (high - low) / union
    if refused is not None:
        return BdResult(None, method, low, high, overlap, dropped, refused)
    integral = _integral_pchip if method == "pchip" else _integral_cubic
    gap = integral(x_test, y_test, low, high) - integral(x_anchor, y_anchor, low, high)
    return BdResult(gap / (high - low), method, low, high, overlap, dropped)


def _integral_cubic(x: Array, y: Array, low: float, high: float) -> float:
    """Integral of the least-squares cubic; x is centred so that the fit is well conditioned."""
    centre = float(x.mean())
    primitive = np.polyint(np.polyfit(x - centre, y, 3))
    return float(np.polyval(primitive, high - centre) - np.polyval(primitive, low - centre))


def _integral_pchip(x: Array, y: Array, low: float, high: float) -> float:
    """Integral of the monotone piecewise cubic Hermite interpolant from `low` to `high`."""
    slopes = pchip_slopes(x, y)
    total = 0.0
    for i in range(len(x) - 1):
        start, end = max(low, float(x[i])), min(high, float(x[i + 1]))
        if end <= start:
            continue
        step = float(x[i + 1] - x[i])
        secant = float(y[i + 1] - y[i]) / step
        quadratic = (3 * secant - 2 * slopes[i] - slopes[i + 1]) / step
        cubic = (slopes[i] + slopes[i + 1] - 2 * secant) / step**2
        primitive = np.array([cubic / 4, quadratic / 3, slopes[i] / 2, y[i], 0.0])
        total += float(np.polyval(primitive, end - x[i]) - np.polyval(primitive, start - x[i]))
    return total


def pchip_slopes(x: Array, y: Array) -> Array:
    """Derivatives at the knots: weighted harmonic means of the neighbouring secants.

    F. N. Fritsch and J. Butland, SIAM J. Sci. Stat. Comput. 5 (1984), with the three-point end
    formula of C. Moler, "Numerical Computing with MATLAB", so that the interpolant is monotone
    wherever the data are. `x` rises strictly and has at least three entries.
    """
    step = np.diff(x)
    secant = np.diff(y) / step
    slopes = np.zeros_like(y)
    for i in range(1, len(x) - 1):
        before, after = float(secant[i - 1]), float(secant[i])
        if before * after <= 0:
            continue
        weight_before = 2 * step[i] + step[i - 1]
        weight_after = step[i] + 2 * step[i - 1]
        slopes[i] = (weight_before + weight_after) / (weight_before / before + weight_after / after)
    slopes[0] = _end_slope(step[0], step[1], secant[0], secant[1])
    slopes[-1] = _end_slope(step[-1], step[-2], secant[-1], secant[-2])
    return slopes


def _end_slope(step: float, next_step: float, secant: float, next_secant: float) -> float:
    slope = ((2 * step + next_step) * secant - step * next_secant) / (step + next_step)
    if slope * secant <= 0:
        return 0.0
    if secant * next_secant < 0 and abs(slope) > 3 * abs(secant):
        return 3 * secant
    return slope
