"""Metrics by libvmaf: values known in closed form, pairing by frame number, refusals."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from bsqav.evaluation.compare.reference_encoders import REFERENCES, encode_reference
from bsqav.evaluation.io.errors import EvaluationError
from bsqav.evaluation.io.ffmpeg import decode_to_y4m, run_ffmpeg
from bsqav.evaluation.io.y4m import Y4mFile, Y4mHeader, Y4mWriter
from bsqav.evaluation.metrics.quality import METRICS, measure, ms_ssim_db

from .conftest import FRAMES, HEADER, moving_planes, write_y4m

pytestmark = pytest.mark.usefixtures("ffmpeg")


def write_changed(path: Path, header: Y4mHeader, indices: list[int], offset: int = 0) -> Path:
    """Moving pictures by index, with a constant added to luma."""
    with Y4mWriter(path, header) as writer:
        for i in indices:
            y, u, v = moving_planes(header, i)
            writer.write(((y + offset).astype(np.uint8), u, v))
    return path


def test_a_clip_equals_itself(clip: Path) -> None:
    quality = measure(write_y4m(clip.parent / "same.y4m", HEADER, FRAMES), clip)
    assert quality.frames == FRAMES
    assert quality.psnr_y == 60.0
    assert quality.ms_ssim == pytest.approx(1.0)
    assert quality.vmaf > 95
    assert {len(values) for values in quality.per_frame.values()} == {FRAMES}


def test_a_constant_error_has_its_psnr(clip: Path) -> None:
    brighter = write_changed(clip.parent / "b.y4m", HEADER, list(range(FRAMES)), offset=2)
    quality = measure(brighter, clip)
    assert quality.psnr_y == pytest.approx(10 * math.log10(255**2 / 4), abs=1e-3)
    assert quality.per_frame["psnr_y"] == pytest.approx([quality.psnr_y] * FRAMES)


def test_frames_are_paired_by_number(clip: Path) -> None:
    order = [0, 1, 2, 3, 5, 4, 6, 7, 8]
    quality = measure(write_changed(clip.parent / "swapped.y4m", HEADER, order), clip)
    same = [value == 60.0 for value in quality.per_frame["psnr_y"]]
    assert same == [True] * 4 + [False] * 2 + [True] * 3


def test_psnr_through_a_codec_equals_numpy(clip: Path) -> None:
    folder = clip.parent
    encode_reference(REFERENCES["mpeg4"], clip, 8, 250, folder / "a.mkv")
    decode_to_y4m(folder / "a.mkv", folder / "a.y4m", HEADER)
    decoded = Y4mFile(folder / "a.y4m")
    planes = []
    for i in range(FRAMES):
        pairs = zip(decoded[i], moving_planes(HEADER, i), strict=True)
        errors = [np.mean((ours.astype(float) - source) ** 2) for ours, source in pairs]
        planes.append([10 * math.log10(255**2 / error) for error in errors])
    luma = [y for y, _, _ in planes]
    weighted = [(6 * y + u + v) / 8 for y, u, v in planes]
    quality = measure(decoded.path, clip)
    assert quality.per_frame["psnr_y"] == pytest.approx(luma, abs=1e-3)
    assert quality.psnr_y == pytest.approx(np.mean(luma), abs=1e-3)
    assert quality.per_frame["psnr_yuv"] == pytest.approx(weighted, abs=1e-3)
    assert quality.psnr_yuv == pytest.approx(np.mean(weighted), abs=1e-3)
    assert abs(quality.psnr_yuv - quality.psnr_y) > 0.1


def test_metrics_equal_those_of_the_filters_themselves(clip: Path) -> None:
    """The same figures by other routes: libvmaf's pooled means, FFmpeg's psnr and xpsnr alone."""
    folder = clip.parent
    encode_reference(REFERENCES["mpeg4"], clip, 8, 250, folder / "a.mkv")
    decode_to_y4m(folder / "a.mkv", folder / "a.y4m", HEADER)
    quality = measure(folder / "a.y4m", clip, [name for name in METRICS if name != "st_lpips"])
    pair = ["-i", "a.y4m", "-i", clip.name]

    features = "name=psnr|name=float_ssim|name=float_ms_ssim"
    graph = f"libvmaf=feature={features}:log_fmt=json:log_path=pooled.json"
    run_ffmpeg([*pair, "-lavfi", graph, "-f", "null", "-"], folder)
    pooled = json.loads((folder / "pooled.json").read_text())["pooled_metrics"]
    names = {"psnr_y": "psnr_y", "ssim": "float_ssim", "ms_ssim": "float_ms_ssim", "vmaf": "vmaf"}
    for metric, name in names.items():
        assert getattr(quality, metric) == pytest.approx(pooled[name]["mean"], abs=2e-6), metric

    run_ffmpeg([*pair, "-lavfi", "psnr=stats_file=psnr.log", "-f", "null", "-"], folder)
    psnr = re.findall(r"psnr_y:(\S+) psnr_u:(\S+) psnr_v:(\S+)", (folder / "psnr.log").read_text())
    expected = [(6 * float(y) + float(u) + float(v)) / 8 for y, u, v in psnr]
    assert quality.per_frame["psnr_yuv"] == pytest.approx(expected, abs=0.01)

    reverse = ["-i", clip.name, "-i", "a.y4m"]
    run_ffmpeg([*reverse, "-lavfi", "xpsnr=stats_file=x.log", "-f", "null", "-"], folder)
    values = re.findall(r"XPSNR y: *(\S+) ", (folder / "x.log").read_text())
    assert quality.per_frame["xpsnr"] == pytest.approx([float(v) for v in values], abs=1e-3)
    assert len(values) == FRAMES


@pytest.mark.parametrize("size", [(64, 48), (65, 49), (191, 175)])
def test_ms_ssim_is_left_out_of_small_pictures(tmp_path: Path, size: tuple[int, int]) -> None:
    header = Y4mHeader(*size, Fraction(25))
    source = write_y4m(tmp_path / "source.y4m", header, 2)
    quality = measure(write_changed(tmp_path / "b.y4m", header, [0, 1], offset=1), source)
    assert quality.ms_ssim is None
    assert "ms_ssim" not in quality.per_frame
    assert quality.psnr_y == pytest.approx(10 * math.log10(255**2), abs=1e-3)


@pytest.mark.parametrize(
    ("header", "frames", "message"),
    [
        (HEADER, FRAMES - 1, "has 8 frames, its source has 9"),
        (HEADER, FRAMES + 1, "has 10 frames, its source has 9"),
        (HEADER, 0, "has 0 frames"),
        (dataclasses.replace(HEADER, height=178), FRAMES, "does not match"),
        (dataclasses.replace(HEADER, rate=Fraction(25)), FRAMES, "does not match"),
    ],
)
def test_clips_that_do_not_correspond_are_refused(
    clip: Path, header: Y4mHeader, frames: int, message: str
) -> None:
    other = write_y4m(clip.parent / "other.y4m", header, frames)
    with pytest.raises(EvaluationError, match=message):
        measure(other, clip)


def test_ms_ssim_in_decibels() -> None:
    assert ms_ssim_db(0.9) == pytest.approx(10.0)
    assert ms_ssim_db(0.999) == pytest.approx(30.0)
    assert ms_ssim_db(1.0) == pytest.approx(60.0)
