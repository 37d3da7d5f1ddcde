"""Bjontegaard deltas: cases worked by hand, and values of an independent implementation."""

from __future__ import annotations

import importlib
import importlib.util
import math

import numpy as np
import pytest

from bsqav.evaluation.io.errors import CurveError
from bsqav.evaluation.metrics.bdrate import Method, bd_quality, bd_rate, pchip_slopes
from tests.support import skip_or_fail

Points = list[tuple[float, float]]


def points(rates: list[float], qualities: list[float]) -> Points:
    return list(zip(rates, qualities, strict=True))


# Values in percent and in quality units from PyPI's bjontegaard 1.3.0 (SciPy 1.17.1), called with
# require_matching_points=False and min_overlap=0: the deltas of rate and of quality.
NEAR = (
    points([180.3, 362.5, 745.1, 1520.0], [32.10, 35.02, 37.87, 40.11]),
    points([140.2, 291.0, 610.7, 1290.4], [32.55, 35.31, 38.02, 40.21]),
)
UNEVEN = (
    points([96.2, 210.4, 333.3, 821, 1904.9, 4002], [27.31, 29.95, 31.2, 34.44, 37.02, 38.15]),
    points([55.1, 140.9, 300.2, 910.6], [25.9, 29.9, 33.1, 36.7]),
)
FAR = (
    points([5200.0, 6900.0, 9100.0, 15000.0], [29.4, 31.1, 32.9, 36.2]),
    points([1200.0, 2500.0, 4100.0, 8800.0], [28.8, 31.5, 33.8, 37.1]),
)
CROSSING = (
    points([96.2, 210.4, 333.3, 821.0, 1904.9], [9.21, 12.4, 14.01, 17.9, 21.2]),
    points([88.0, 190.4, 350.0, 777.0, 1700.0], [8.9, 11.9, 14.6, 17.3, 20.9]),
)
RECORDED: list[tuple[tuple[Points, Points], Method, float, float]] = [
    (NEAR, "pchip", -23.970082803523063, 0.985052043921077),
    (NEAR, "cubic", -23.958943752716788, 0.9884627042575773),
    (UNEVEN, "pchip", -39.653940981364414, 1.8341430928394842),
    (UNEVEN, "cubic", -39.73073859065938, 1.8625115335992766),
    (FAR, "pchip", -63.24973038787769, 4.991190578607519),
    (FAR, "cubic", -63.2786718279118, 5.049551063113419),
    (CROSSING, "pchip", 1.3770256608770293, -0.05020109323209299),
    (CROSSING, "cubic", -0.005867302800621754, 0.0016136651690826732),
]


@pytest.mark.parametrize(("curves", "method", "rate", "quality"), RECORDED)
def test_equals_an_independent_implementation(
    curves: tuple[Points, Points], method: Method, rate: float, quality: float
) -> None:
    anchor, test = curves
    assert bd_rate(anchor, test, method).value == pytest.approx(rate, rel=1e-6, abs=1e-8)
    assert bd_quality(anchor, test, method).value == pytest.approx(quality, rel=1e-6, abs=1e-8)


# quality = 10 log10(rate): a straight line in the domain of both deltas
LINE = [(rate, 10 * math.log10(rate)) for rate in (100.0, 200.0, 500.0, 1000.0, 4000.0)]


@pytest.mark.parametrize("method", ["pchip", "cubic"])
def test_half_the_rate_at_each_quality_is_minus_fifty_percent(method: Method) -> None:
    halved = [(rate / 2, quality) for rate, quality in LINE]
    result = bd_rate(LINE, halved, method)
    assert result.value == pytest.approx(-50.0, abs=1e-6)
    assert result.overlap == pytest.approx(1.0)
    assert (result.low, result.high) == (LINE[0][1], LINE[-1][1])
    assert bd_quality(LINE, halved, method).value == pytest.approx(10 * math.log10(2), abs=1e-6)


@pytest.mark.parametrize("method", ["pchip", "cubic"])
def test_a_curve_against_itself_is_zero_in_any_order(method: Method) -> None:
    assert bd_rate(LINE, LINE[::-1], method).value == pytest.approx(0.0, abs=1e-8)
    assert bd_quality(LINE[::-1], LINE, method).value == pytest.approx(0.0, abs=1e-8)


def test_overlap_is_the_common_range_over_the_union() -> None:
    anchor = points([1.0, 2.0, 3.0, 4.0], [30.0, 32.0, 34.0, 36.0])
    test = points([1.0, 2.0, 3.0, 4.0], [34.0, 36.0, 38.0, 40.0])
    result = bd_rate(anchor, test)
    assert (result.low, result.high) == (34.0, 36.0)
    assert result.overlap == pytest.approx(0.2)
    in_rate = bd_quality(anchor, test)
    assert (in_rate.low, in_rate.high) == pytest.approx((1.0, 4.0))
    assert in_rate.value == pytest.approx(4.0)


def test_curves_without_a_common_quality_give_no_value_and_a_reason() -> None:
    better = [(rate, quality + 100) for rate, quality in LINE]
    result = bd_rate(LINE, better)
    assert result.value is None
    assert result.low is None
    assert result.overlap == 0.0
    assert result.reason is not None
    assert "no overlap" in result.reason
    assert bd_quality(LINE, better).value == pytest.approx(100.0)


def test_points_that_cost_more_and_are_no_better_are_omitted() -> None:
    worse = [*LINE, (4500.0, LINE[-1][1]), (600.0, 20.5)]
    result = bd_rate(LINE, worse)
    assert result.value == pytest.approx(0.0, abs=1e-8)
    assert result.dropped == (0, 2)


def test_a_curve_that_hardly_rises_gives_no_value_and_a_reason() -> None:
    flat = points([1.0, 2.0, 3.0, 4.0], [30.0, 29.0, 31.0, 31.0])
    result = bd_rate(flat, flat)
    assert result.value is None
    assert result.reason is not None
    assert "only 2 points" in result.reason


@pytest.mark.parametrize(
    "bad",
    [
        LINE[:3],
        [],
        [(0.0, 30.0), *LINE],
        [(-1.0, 30.0), *LINE],
        [(10.0, math.nan), *LINE],
        [(math.inf, 30.0), *LINE],
    ],
)
def test_points_no_curve_can_be_drawn_through_raise(bad: Points) -> None:
    with pytest.raises(CurveError):
        bd_rate(LINE, bad)
    with pytest.raises(ValueError, match="anchor curve"):
        bd_quality(bad, LINE)


def test_an_unknown_method_raises() -> None:
    with pytest.raises(CurveError, match="akima"):
        bd_rate(LINE, LINE, "akima")  # type: ignore[arg-type]


def test_pchip_slopes_by_hand() -> None:
    # secants 1 and 3 with equal steps: harmonic mean 1.5; ends (3 * 1 - 3) / 2 = 0, (9 - 1) / 2 = 4
    slopes = pchip_slopes(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 4.0]))
    assert slopes == pytest.approx([0.0, 1.5, 4.0])
    # a peak has slope 0; each end's 3-point slope (3 * 1 + 1) / 2 is 2
    slopes = pchip_slopes(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 0.0]))
    assert slopes == pytest.approx([2.0, 0.0, -2.0])


def random_curve(rng: np.random.Generator, low: float) -> Points:
    """A rising curve of 4 to 8 points."""
    count = int(rng.integers(4, 9))
    rates = 100.0 * np.cumprod(rng.uniform(1.3, 2.2, count))
    qualities = low + np.cumsum(rng.uniform(0.6, 3.0, count))
    return points(rates.tolist(), qualities.tolist())


@pytest.mark.parametrize("method", ["pchip", "cubic"])
def test_deltas_equal_an_independent_implementation(method: Method) -> None:
    """Within 0.1 % of PyPI's bjontegaard, on the same points."""
    if importlib.util.find_spec("bjontegaard") is None:
        skip_or_fail("bjontegaard is not installed; the extra 'test' brings it")
    bjontegaard = importlib.import_module("bjontegaard")
    rng = np.random.default_rng(7)
    for _ in range(20):
        anchor, test = random_curve(rng, 28.0), random_curve(rng, 28.5)
        values = [
            np.array(column) for curve in (anchor, test) for column in zip(*curve, strict=True)
        ]
        options = {"method": method, "require_matching_points": False, "min_overlap": 0}
        rate = bjontegaard.bd_rate(*values, **options)
        gain = bjontegaard.bd_psnr(*values, **options)
        assert bd_rate(anchor, test, method).value == pytest.approx(rate, rel=1e-3, abs=1e-3)
        assert bd_quality(anchor, test, method).value == pytest.approx(gain, rel=1e-3, abs=1e-3)
