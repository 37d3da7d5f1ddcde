"""ST-LPIPS: the network with weights made here, and what is said where there are none."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from bsqav.evaluation.io.errors import MissingToolError
from bsqav.evaluation.metrics import perceptual
from bsqav.evaluation.metrics.perceptual import sampled, st_lpips
from bsqav.evaluation.metrics.quality import measure, to_db

from .comparing import compare_with
from .test_stills import noisy, picture

pytest.importorskip("torch")

import torch

SHAPES = {
    "net.slice1.0": (8, 3, 11, 11),
    "net.slice2.5": (12, 8, 5, 5),
    "net.slice3.9": (16, 12, 3, 3),
    "net.slice4.11": (16, 16, 3, 3),
    "net.slice5.13": (16, 16, 3, 3),
}
BLURS = {"net.slice1.1": 8, "net.slice2.4": 8, "net.slice3.8": 12}


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with a small network of the same form."""
    generator = torch.Generator().manual_seed(5)
    held = {
        "scaling_layer.shift": torch.tensor([-0.030, -0.088, -0.188])[None, :, None, None],
        "scaling_layer.scale": torch.tensor([0.458, 0.448, 0.450])[None, :, None, None],
    }
    for name, shape in SHAPES.items():
        held[f"{name}.weight"] = torch.randn(shape, generator=generator) / np.prod(shape[1:]) ** 0.5
        held[f"{name}.bias"] = torch.zeros(shape[0])
    for name, channels in BLURS.items():
        taps = torch.tensor([1.0, 2.0, 1.0])
        held[f"{name}.filt"] = (torch.outer(taps, taps) / 16).expand(channels, 1, 3, 3).clone()
    for i, shape in enumerate(SHAPES.values()):
        held[f"lin{i}.model.1.weight"] = torch.rand((1, shape[0], 1, 1), generator=generator)
    path = tmp_path / "stlpips_pytorch" / perceptual.WEIGHTS
    path.parent.mkdir(parents=True)
    (tmp_path / "stlpips_pytorch" / "__init__.py").touch()
    torch.save(held, path)
    monkeypatch.syspath_prepend(tmp_path)
    perceptual._network.cache_clear()


@pytest.mark.usefixtures("weights")
def test_a_distance_grows_with_the_error() -> None:
    source = picture()[:96, :128]
    distances = [st_lpips(noisy(source, sigma), source) for sigma in (1, 5, 25)]
    assert st_lpips(source, source) == 0
    assert 0 < distances[0] < distances[1] < distances[2]
    assert to_db("st_lpips", distances[0]) > to_db("st_lpips", distances[2])


@pytest.mark.usefixtures("weights", "ffmpeg")
def test_clips_are_measured_on_sampled_frames(clip: Path) -> None:
    same = clip.with_name("same.y4m")
    same.write_bytes(clip.read_bytes())
    quality = measure(same, clip, ["st_lpips"])
    assert quality.st_lpips == 0
    assert "st_lpips" not in quality.per_frame
    result = compare_with([clip], codecs=["mjpeg"], metrics=["st_lpips"], frames=2)
    values = [point.st_lpips or 0.0 for point in result.clips[0].curve("mjpeg")]
    assert all(values) and values[0] > values[-1]
    assert "SHA-256" in result.tools["ST-LPIPS"]


def test_frames_are_spread() -> None:
    assert sampled(1) == [0]
    assert sampled(4) == [0, 1, 2, 3]
    assert sampled(300) == [25, 75, 125, 175, 225, 275]


@pytest.mark.usefixtures("ffmpeg")
def test_without_weights_the_message_names_the_package(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "stlpips_pytorch", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingToolError, match="stlpips-pytorch"):
        compare_with([clip], codecs=["mjpeg"], metrics=["st_lpips"])
