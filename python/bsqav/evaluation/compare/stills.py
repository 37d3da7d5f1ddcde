"""Stills compared with JPEG, WebP, JPEG 2000, JPEG XL and AVIF: rates, qualities, deltas."""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bsqav.errors import BsqError, UsageError
from bsqav.evaluation.compare.still_codecs import (
    REFERENCES,
    StillCodec,
    bsq_codec,
    still_tools,
)
from bsqav.evaluation.io.errors import EvaluationError
from bsqav.evaluation.io.images import Pixels, pillow
from bsqav.evaluation.io.inputs import PICTURE_SUFFIXES, is_picture
from bsqav.evaluation.metrics.bdrate import BdResult, bd_rate, pchip_slopes
from bsqav.evaluation.metrics.pixels import ms_ssim, psnr, psnr_luma
from bsqav.evaluation.metrics.quality import ms_ssim_db

__all__ = [
    "METRICS",
    "NOTES",
    "PAPER_RATES",
    "REFERENCES",
    "TITLES",
    "StillCodec",
    "StillDelta",
    "StillPoint",
    "StillsResult",
    "bsq_codec",
    "interpolate",
    "measure_stills",
    "pictures_in",
]

SCHEMA = 1
METRICS = ("psnr", "psnr_y", "ms_ssim_db")
TITLES = {"psnr": "PSNR", "psnr_y": "PSNR-Y", "ms_ssim_db": "MS-SSIM dB"}

# The table "Kodak" of the BSQ-ViT paper (arXiv 2406.07548); its PSNR is that of RGB.
PAPER = (
    {"codec": "paper: BSQ with AC", "bpp": 0.2073, "psnr": 27.79, "ms_ssim_db": 12.85},
    {"codec": "paper: BSQ without AC", "bpp": 0.2812, "psnr": 27.79, "ms_ssim_db": 12.85},
    {"codec": "paper: WebP", "bpp": 0.2963, "psnr": 29.15, "ms_ssim_db": 12.19},
    {"codec": "paper: JPEG 2000", "bpp": 0.2986, "psnr": 29.19, "ms_ssim_db": 11.57},
)
PAPER_RATES = (0.21, 0.28)

NOTES = (
    "bpp: all bytes of the file over the pixels; a .bsq file is counted as it is, JPEG 2000 as a "
    "bare codestream",
    "PSNR is that of RGB (what the paper gives: its WebP row agrees with WebP here in RGB, not in "
    "luma), PSNR-Y that of BT.601 luma, MS-SSIM that of RGB in dB, -10 log10(1 - x); every figure "
    "is the mean over the pictures of the picture's own",
    "at a rate: by monotone cubic interpolation of the mean curve over log rate",
    "BD-rate by the same interpolation; negative: BSQ needs fewer bits. Overlap: the part of both "
    "curves' joint quality range that they share",
)

Progress = Callable[[str], None]


@dataclass(frozen=True)
class StillPoint:
    """One codec at one quality on one picture."""

    codec: str
    setting: float
    picture: str
    bytes: int
    bpp: float
    psnr: float
    psnr_y: float
    ms_ssim: float
    ms_ssim_db: float
    seconds: float  # coding and decoding together


@dataclass(frozen=True)
class StillDelta:
    """BSQ against a reference in one metric.

    curve      on the mean curves
    mean       mean of the pictures' own BD-rates in percent, None without any
    pictures   how many pictures have one
    overlap    the smallest and the mean overlap of these
    """

    anchor: str
    metric: str
    curve: BdResult
    mean: float | None
    pictures: int
    overlap: tuple[float, float]


@dataclass
class StillsResult:
    """A measurement over pictures, with the settings and tools that made it."""

    pictures: list[str]
    settings: dict[str, str]
    tools: dict[str, str]
    points: list[StillPoint] = field(default_factory=list)
    deltas: list[StillDelta] = field(default_factory=list)
    at_rates: list[dict[str, Any]] = field(default_factory=list)

    def codecs(self) -> list[str]:
        """Names of what was measured, in order."""
        return list(dict.fromkeys(point.codec for point in self.points))

    def curve(self, codec: str, picture: str | None = None) -> list[dict[str, float]]:
        """Points of one codec by setting, cheapest first: of a picture, or means over all."""
        found: dict[float, list[StillPoint]] = {}
        for point in self.points:
            if point.codec == codec and picture in (None, point.picture):
                found.setdefault(point.setting, []).append(point)
        keys = ("bpp", *METRICS, "ms_ssim", "seconds")
        rows = [
            {"setting": setting}
            | {key: float(np.mean([getattr(point, key) for point in points])) for key in keys}
            for setting, points in found.items()
        ]
        return sorted(rows, key=lambda row: row["bpp"])

    def to_json(self) -> str:
        """The whole result as JSON, mean curves included."""
        content = {
            "schema": SCHEMA,
            **dataclasses.asdict(self),
            "curves": {codec: self.curve(codec) for codec in self.codecs()},
            "paper": PAPER,
            "notes": NOTES,
        }
        return json.dumps(content, indent=1)


# ---- measuring ----


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder, ordered by name, numbers by value.

    Raises EvaluationError where there are none.
    """
    found = [path for path in folder.glob("*") if is_picture(path)]
    if not found:
        raise EvaluationError(f"{folder} holds no pictures ({', '.join(sorted(PICTURE_SUFFIXES))})")
    return sorted(found, key=lambda p: (int(p.stem) if p.stem.isdigit() else 0, p.name))


def measure_stills(
    pictures: Sequence[Path],
    codecs: Sequence[StillCodec],
    *,
    rates: Sequence[float] = PAPER_RATES,
    progress: Progress = lambda _: None,
) -> StillsResult:
    """Codes every picture with every codec at every setting; the first codec is the one tested.

    Raises EvaluationError where a picture cannot be read or a codec fails, UsageError without
    pictures or codecs.
    """
    if not pictures or not codecs:
        raise UsageError("nothing to measure: give pictures and codecs")
    result = StillsResult(
        [path.name for path in pictures],
        {codec.name: codec.shown for codec in codecs},
        still_tools(),
    )
    for path in pictures:
        try:
            pixels = np.asarray(pillow().open(path).convert("RGB"))
        except OSError as error:
            raise EvaluationError(f"{path} cannot be read: {error}") from error
        for codec in codecs:
            for setting in codec.settings:
                result.points.append(_point(codec, setting, path.name, pixels))
        progress(f"{path.name}: {len(result.points)} points")
    for rate in rates:
        result.at_rates += [_at_rate(result, codec.name, rate) for codec in codecs]
    for anchor in codecs[1:]:
        for metric in METRICS:
            result.deltas.append(_delta(result, codecs[0].name, anchor.name, metric))
    return result


def _point(codec: StillCodec, setting: float, name: str, pixels: Pixels) -> StillPoint:
    began = time.perf_counter()
    try:
        data = codec.encode(pixels, setting)
        decoded = codec.decode(data)
    except (BsqError, OSError) as error:
        raise EvaluationError(f"{name}: {codec.name} {setting:g}: {error}") from error
    seconds = time.perf_counter() - began
    similarity = ms_ssim(decoded, pixels)
    return StillPoint(
        codec=codec.name,
        setting=setting,
        picture=name,
        bytes=len(data),
        bpp=8 * len(data) / (pixels.shape[0] * pixels.shape[1]),
        psnr=psnr(decoded, pixels),
        psnr_y=psnr_luma(decoded, pixels),
        ms_ssim=similarity,
        ms_ssim_db=ms_ssim_db(similarity),
        seconds=seconds,
    )


def interpolate(curve: Sequence[tuple[float, float]], rate: float) -> float | None:
    """Quality at a rate by monotone cubic interpolation of (rate, quality) points over log rate.

    None outside of the curve, or where it has fewer than three points.
    """
    points = sorted(dict(curve).items())
    if len(points) < 3 or not points[0][0] <= rate <= points[-1][0]:
        return None
    x = np.log10([point[0] for point in points])
    y = np.array([point[1] for point in points])
    slopes = pchip_slopes(x, y)
    i = min(int(np.searchsorted(x, np.log10(rate), side="right")) - 1, len(x) - 2)
    step = float(x[i + 1] - x[i])
    t = (float(np.log10(rate)) - float(x[i])) / step
    return float(
        (1 + 2 * t) * (1 - t) ** 2 * y[i]
        + t * (1 - t) ** 2 * step * slopes[i]
        + t**2 * (3 - 2 * t) * y[i + 1]
        - t**2 * (1 - t) * step * slopes[i + 1]
    )


def _pairs(curve: Sequence[Mapping[str, float]], metric: str) -> list[tuple[float, float]]:
    return [(row["bpp"], row[metric]) for row in curve]


def _at_rate(result: StillsResult, codec: str, rate: float) -> dict[str, Any]:
    curve = result.curve(codec)
    values = {metric: interpolate(_pairs(curve, metric), rate) for metric in METRICS}
    return {"codec": codec, "bpp": rate, **values}


def _delta(result: StillsResult, test: str, anchor: str, metric: str) -> StillDelta:
    def of(picture: str | None) -> BdResult:
        return bd_rate(
            _pairs(result.curve(anchor, picture), metric),
            _pairs(result.curve(test, picture), metric),
        )

    each = [found for found in map(of, result.pictures) if found.value is not None]
    values = [found.value for found in each if found.value is not None]
    overlaps = [found.overlap for found in each]
    return StillDelta(
        anchor,
        metric,
        of(None),
        float(np.mean(values)) if values else None,
        len(values),
        (min(overlaps), float(np.mean(overlaps))) if overlaps else (0.0, 0.0),
    )
