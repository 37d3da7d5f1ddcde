"""Measuring stills: metrics with known answers, curves, rates, deltas, and what is refused."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from bsqav.errors import UsageError
from bsqav.evaluation.compare.stills import (
    REFERENCES,
    StillCodec,
    bsq_codec,
    interpolate,
    measure_stills,
    pictures_in,
)
from bsqav.evaluation.compare.stills_table import format_stills
from bsqav.evaluation.io.errors import EvaluationError
from bsqav.evaluation.io.y4m import Y4mHeader, Y4mWriter
from bsqav.evaluation.metrics.bdrate import bd_rate
from bsqav.evaluation.metrics.pixels import MS_SSIM_MIN_SIDE, ms_ssim, psnr, psnr_luma
from bsqav.evaluation.metrics.quality import measure
from tests.tiny import model_file, only_test_model

__all__ = ["model_file", "only_test_model"]

pytest.importorskip("PIL")

from PIL import Image

SIDE = 192


def picture(seed: int = 0) -> np.ndarray:
    """Waves and noise, [SIDE, SIDE, 3]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    waves = [128 + 60 * np.sin(x / (5 + c)) + 40 * np.cos((x + 2 * y) / (9 + c)) for c in range(3)]
    noise = rng.normal(0, 6, (SIDE, SIDE, 3))
    return np.clip(np.stack(waves, axis=-1) + noise, 0, 255).astype(np.uint8)


def noisy(pixels: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(7).normal(0, sigma, pixels.shape)
    return np.clip(np.round(pixels + noise), 0, 255).astype(np.uint8)


# ---- metrics ----


def test_psnr_of_a_known_error() -> None:
    a = np.full((8, 8, 3), 100, np.uint8)
    b = a.copy()
    b[..., 0] += 3
    assert psnr(b, a) == pytest.approx(10 * np.log10(255**2 / 3))
    assert psnr_luma(b, a) == pytest.approx(20 * np.log10(255 / (3 * 0.299)))
    assert psnr(a, a) == 100.0


def test_ms_ssim_of_known_pictures() -> None:
    pixels = picture()
    assert ms_ssim(pixels, pixels) == pytest.approx(1.0, abs=1e-6)
    flat, other = (np.full((SIDE, SIDE, 3), value, np.uint8) for value in (100, 120))
    c1 = (0.01 * 255) ** 2
    luminance = (2 * 100 * 120 + c1) / (100**2 + 120**2 + c1)
    assert ms_ssim(other, flat) == pytest.approx(luminance**0.1333, abs=1e-4)
    assert ms_ssim(noisy(pixels, 4), pixels) > ms_ssim(noisy(pixels, 12), pixels)


def test_ms_ssim_agrees_with_libvmaf(tmp_path: Path, ffmpeg: str) -> None:
    header = Y4mHeader(SIDE, SIDE, Fraction(25))
    gray = picture()[..., 0] // 2 + 60
    chroma = np.full((SIDE // 2, SIDE // 2), 128, np.uint8)
    for name, luma in (("a.y4m", gray), ("b.y4m", noisy(gray, 10))):
        with Y4mWriter(tmp_path / name, header) as writer:
            writer.write((luma, chroma, chroma))
    theirs = measure(tmp_path / "b.y4m", tmp_path / "a.y4m").ms_ssim
    ours = ms_ssim(np.repeat(noisy(gray, 10)[..., None], 3, 2), np.repeat(gray[..., None], 3, 2))
    assert ours == pytest.approx(theirs, abs=0.003)


def test_metrics_refuse_what_does_not_fit() -> None:
    with pytest.raises(UsageError, match="cannot be compared"):
        psnr(np.zeros((2, 2, 3)), np.zeros((2, 3, 3)))
    small = np.zeros((MS_SSIM_MIN_SIDE - 1, SIDE, 3), np.uint8)
    with pytest.raises(UsageError, match=str(MS_SSIM_MIN_SIDE)):
        ms_ssim(small, small)


# ---- curves ----


def test_interpolation_meets_the_points_and_stays_between() -> None:
    curve = [(0.1, 24.0), (0.2, 27.0), (0.4, 30.0), (0.8, 33.0)]
    for rate, quality in curve:
        assert interpolate(curve, rate) == pytest.approx(quality)
    assert interpolate(curve, float(np.sqrt(0.08))) == pytest.approx(28.5)
    assert interpolate(curve, 0.09) is None
    assert interpolate(curve, 0.81) is None
    assert interpolate(curve[:2], 0.15) is None


def fake(name: str, factor: float) -> StillCodec:
    """A codec that adds noise; its files have `factor` times as many bytes."""
    decoded: dict[bytes, np.ndarray] = {}

    def encode(pixels: np.ndarray, sigma: float) -> bytes:
        data = bytes(round(factor * 40000 / sigma))
        decoded[data] = noisy(pixels, sigma)
        return data

    settings = (2, 4, 8, 12, 16)
    return StillCodec(name, name, encode, decoded.__getitem__, settings, f"{name}(Q)")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("10", "9"):
        Image.fromarray(picture(int(name))).save(tmp_path / f"{name}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_half_the_bytes_is_half_the_rate(folder: Path) -> None:
    said: list[str] = []
    result = measure_stills(
        pictures_in(folder),
        [fake("mine", 0.5), fake("other", 1.0)],
        rates=(1.0, 100.0),
        progress=said.append,
    )
    assert (result.pictures, len(said)) == (["9.png", "10.png"], 2)
    for delta in result.deltas:
        assert delta.curve.value == pytest.approx(-50, abs=0.5)
        assert delta.mean == pytest.approx(-50, abs=0.5)
        assert delta.pictures == 2
        assert delta.overlap == pytest.approx((1.0, 1.0))
    (mine, other), (nothing, _) = result.at_rates[:2], result.at_rates[2:]
    assert mine["psnr"] > other["psnr"]
    assert nothing["psnr"] is None
    points = [p for p in result.points if (p.codec, p.setting) == ("mine", 4)]
    row = next(r for r in result.curve("mine") if r["setting"] == 4)
    assert row["psnr"] == pytest.approx(np.mean([p.psnr for p in points]))
    assert row["ms_ssim_db"] == pytest.approx(np.mean([p.ms_ssim_db for p in points]))
    assert points[0].bpp == pytest.approx(8 * 5000 / SIDE**2)


def test_json_and_table_say_how_it_was_made(folder: Path) -> None:
    result = measure_stills(pictures_in(folder)[:1], [fake("mine", 0.5), fake("other", 1.0)])
    content = json.loads(result.to_json())
    assert {"schema", "pictures", "settings", "tools", "points", "deltas", "curves"} <= set(content)
    assert content["curves"]["mine"][0]["psnr"] > 20
    curves = {
        name: [(p["bpp"], p["psnr"]) for p in curve] for name, curve in content["curves"].items()
    }
    assert (bd_rate(curves["other"], curves["mine"]).value or 0) < -49
    table = format_stills(result)
    for words in ("other(Q)", "paper: BSQ with AC", "27.79", "overlap", "-50.0 %", "MS-SSIM dB"):
        assert words in table


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_references_trade_rate_for_quality(name: str) -> None:
    codec = REFERENCES[name]
    pixels = picture()
    codec.check()
    low, high = (codec.encode(pixels, setting) for setting in codec.settings[1::5][:2])
    assert len(low) < len(high)
    assert psnr(codec.decode(low), pixels) < psnr(codec.decode(high), pixels)
    assert len(codec.settings) >= 4


def test_bsq_is_measured_by_its_public_functions() -> None:
    codec = bsq_codec((20,))
    data = codec.encode(picture(), 20)
    assert data[1:5] == b"BSQ1"
    decoded = codec.decode(data)
    assert decoded.shape == (SIDE, SIDE, 3)


def test_what_cannot_be_measured_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no pictures"):
        pictures_in(tmp_path)
    with pytest.raises(UsageError, match="nothing to measure"):
        measure_stills([], [])
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(EvaluationError, match=r"bad\.png"):
        measure_stills([tmp_path / "bad.png"], [fake("mine", 1)])
