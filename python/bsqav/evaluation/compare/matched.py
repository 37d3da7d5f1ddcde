"""Codecs at one rate: which setting gives it, found on the curve and corrected."""

import math
from collections.abc import Sequence

import numpy as np

from bsqav.evaluation.compare.coders import Coder
from bsqav.evaluation.compare.points import PointMaker
from bsqav.evaluation.compare.results import ClipResult, Point

# A rate this near the one that is wanted is near enough.
NEAR = math.log(1.03)
TRIES = 3


def target_rate(clip: ClipResult, codecs: Sequence[str]) -> float | None:
    """The bits per pixel at which codecs are shown side by side, None without a curve.

    The middle point of the first codec's curve (of a picture the second cheapest: stills are
    looked at closely), moved to where all curves reach; where they share no range, it stays and
    each codec comes as near as its curve goes.
    """
    curves = [[point.bpp for point in clip.curve(name)] for name in codecs]
    curves = [curve for curve in curves if curve]
    if not curves:
        return None
    rate = curves[0][len(curves[0]) // (2 if clip.kind == "video" else 4)]
    low, high = max(curve[0] for curve in curves), min(curve[-1] for curve in curves)
    return min(max(rate, low), high) if low <= high else rate


def matched_point(
    maker: PointMaker, coder: Coder, clip: ClipResult, rate: float
) -> tuple[float, Point] | None:
    """The setting and point of a codec whose rate is nearest to `rate`; None without a curve."""
    known = _known(coder, clip)
    if not known:
        return None
    for _ in range(TRIES):
        setting = _setting_at(known, rate, coder)
        if setting in known or _gap(_nearest(known, rate)[1], rate) < NEAR:
            break
        known[setting] = maker.point(coder, setting)
    return _nearest(known, rate)


def _known(coder: Coder, clip: ClipResult) -> dict[float, Point]:
    labels = {coder.label(setting): setting for setting in coder.settings}
    return {labels[p.setting]: p for p in clip.curve(coder.name) if p.setting in labels}


def _gap(point: Point, rate: float) -> float:
    return abs(math.log(point.bpp / rate))


def _nearest(known: dict[float, Point], rate: float) -> tuple[float, Point]:
    return min(known.items(), key=lambda item: _gap(item[1], rate))


def _setting_at(known: dict[float, Point], rate: float, coder: Coder) -> float:
    """The setting by linear interpolation over log rate, at the codec's precision."""
    points = sorted((math.log(point.bpp), setting) for setting, point in known.items())
    rates, settings = zip(*points, strict=True)
    setting = float(np.interp(math.log(rate), rates, settings))
    step = coder.step or 0.01
    return round(round(setting / step) * step, 6)
