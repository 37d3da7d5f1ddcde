"""A measurement of stills as text for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from bsqav.evaluation.compare.stills import METRICS, NOTES, PAPER, TITLES, StillDelta, StillsResult
from bsqav.evaluation.io.text import align

_HEAD = [TITLES[metric] for metric in METRICS]


def format_stills(result: StillsResult) -> str:
    """Mean curves, qualities at the rates asked for with the paper's, BD-rates, settings."""
    codecs = result.codecs()
    curves = [
        [codec, f"{row['setting']:g}", f"{row['bpp']:.4f}", *_values(row), f"{row['seconds']:.2f}"]
        for codec in codecs
        for row in result.curve(codec)
    ]
    at_rates = [
        [row["codec"], f"{row['bpp']:.4f}", *_values(row)] for row in [*result.at_rates, *PAPER]
    ]
    parts = [
        f"{len(result.pictures)} pictures, means",
        *align([["codec", "Q", "bpp", *_HEAD, "s"], *curves]),
        "",
        "at the paper's rates",
        *align([["codec", "bpp", *_HEAD], *at_rates]),
    ]
    if result.deltas:
        parts += [
            "",
            f"BD-rate of {codecs[0]}",
            *align([_DELTA_HEAD, *map(_delta, result.deltas)]),
        ]
    parts += ["", *(f"{codec}: {shown}" for codec, shown in result.settings.items())]
    parts += ["; ".join(f"{name} {version}" for name, version in result.tools.items()), *NOTES]
    return "\n".join(parts)


def _values(row: Mapping[str, Any]) -> Sequence[str]:
    return ["-" if row.get(key) is None else f"{row[key]:.2f}" for key in METRICS]


_DELTA_HEAD = ["against", "metric", "mean curve", "overlap", "mean", "over", "least overlap", ""]


def _delta(delta: StillDelta) -> list[str]:
    curve = delta.curve
    return [
        delta.anchor,
        TITLES[delta.metric],
        _percent(curve.value),
        f"{100 * curve.overlap:.0f} %",
        _percent(delta.mean),
        f"{delta.pictures} pictures",
        f"{100 * delta.overlap[0]:.0f} %",
        curve.reason or "",
    ]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1f} %"
