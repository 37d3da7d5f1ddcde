"""The models that ship in the package: whole, named by their digest, described, and of use."""

import hashlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bsqav import _core
from bsqav.codec.modelfile import read_model
from bsqav.codec.models import default_model, shipped_folder
from bsqav.evaluation.io.frames import read_frames
from bsqav.evaluation.io.y4m import Planes
from bsqav.evaluation.metrics.bdrate import bd_rate
from tests.codec.streams import Format, clip, coded_packets
from tests.media_data import WATER
from tests.support import ROOT

FORM = Format(176, 144)


def shipped() -> list[Path]:
    return sorted(shipped_folder().glob("*.bsqm"))


def test_the_default_is_one_of_them() -> None:
    named = (shipped_folder() / "default.txt").read_text(encoding="ascii").strip()
    assert default_model().id == named
    assert named in {read_model(path).id for path in shipped()}


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.stem)
def test_file_digest_and_card_agree(path: Path) -> None:
    data = path.read_bytes()
    contents = read_model(path)
    assert hashlib.sha256(data[:-32]).digest() == data[-32:]
    assert contents.id == data[-32:-16].hex()
    assert contents.text["name"] == path.stem
    card = (ROOT / "docs" / "models" / f"{path.stem}.md").read_text(encoding="utf-8")
    assert contents.id in card and str(len(data)) in card.replace(" ", "")


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(float) - b.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def test_finer_crf_costs_more_and_looks_better() -> None:
    pictures = clip(FORM, 5)
    results = []
    for crf in (2, 14, 26, 38, 50, 62):
        encoder = _core.Encoder(FORM.sequence, default_model(), crf=crf)
        decoder = _core.Decoder([default_model()])
        size, quality = 0, []
        for index, planes in enumerate(pictures):
            encoder.send(planes, 4 * index)
            packet = encoder.receive()
            assert packet is not None
            decoder.send(packet.data)
            picture = decoder.receive()
            assert picture is not None and not picture.concealed
            size += len(packet.data)
            quality.append(psnr(picture.planes[0], planes[0]))
        results.append((size, float(np.mean(quality))))
    for (fine, good), (coarse, poor) in pairwise(results):
        assert fine > 1.2 * coarse
        assert good > poor > 15
    assert results[0][0] > 20 * results[-1][0]
    assert results[0][1] > 45


@pytest.fixture(scope="module")
def brook(data_dir: Path) -> list[Planes]:
    """A clip of running water."""
    return read_frames(data_dir / WATER, FORM.width, FORM.height, 64)


Curve = list[tuple[float, float]]


def qualities(pictures: list[Planes], **options: Any) -> tuple[list[float], int]:
    """PSNR of every picture's luma, and all bytes, with the shipped model."""
    encoder = _core.Encoder(FORM.sequence, default_model(), **options)
    found, size = [], 0
    for packet in coded_packets(encoder, pictures):
        found.append(encoder.stats["psnr_y"])
        size += len(packet.data)
    return found, size


def test_keyframes_do_not_pulse(brook: list[Planes]) -> None:
    """A keyframe in the middle of a scene is within 1 dB of the P frames around it."""
    found, _ = qualities(brook, crf=32, gop=30, lookahead=24, bframes=0)
    around = np.mean([*found[24:30], *found[31:37]])
    assert abs(found[30] - around) < 1.0
    assert abs(np.mean(found[12:24]) - np.mean(found[24:30])) < 0.5


def test_keyframes_do_not_pulse_among_b_frames(brook: list[Planes]) -> None:
    """Of each group of B frames the anchor is the best, and a keyframe is like the anchors."""
    found, _ = qualities(brook, crf=32, gop=30, lookahead=24)
    anchors = [max(found[begin : begin + 8]) for begin in (15, 22, 31)]
    assert abs(found[30] - np.mean(anchors)) < 1.0
    around = np.mean([*found[22:30], *found[31:39]])
    assert 0 < found[30] - around < 1.5
    groups = np.mean(found[9:25]), np.mean(found[25:30])  # each ends with its anchor
    assert abs(groups[0] - groups[1]) < 0.5


def curve(pictures: list[Planes], **options: Any) -> Curve:
    """Bytes and mean PSNR of luma at four qualities."""
    points = []
    for crf in (20, 28, 36, 44):
        found, size = qualities(pictures, crf=crf, lookahead=11, **options)
        points.append((float(size), float(np.mean(found))))
    return points


def saves_rate(before: Curve, after: Curve) -> bool:
    """Whether `after` takes fewer bits for the same PSNR."""
    change = bd_rate(before, after).value
    assert change is not None
    return change < 0


def test_tuned_for_psnr_is_better_at_psnr(brook: list[Planes]) -> None:
    perceptual, psnr_alone = (curve(brook[:20], tune=name) for name in ("perceptual", "psnr"))
    assert saves_rate(perceptual, psnr_alone)


def test_more_effort_takes_fewer_bits(brook: list[Planes]) -> None:
    fast, medium, slow = (curve(brook[:20], preset=name) for name in ("fast", "medium", "slow"))
    assert saves_rate(fast, medium)
    assert saves_rate(medium, slow)
