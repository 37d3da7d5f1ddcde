"""The package of small trained models: found by name, whole, and better than chance."""

import math
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from PIL import Image

from bsqav.cli.main import main
from bsqav.nn import ARPrior, BSQViT, MaskedLM, load_model
from bsqav.nn.paper.fingerprints import fingerprint
from tests.support import ROOT

ADD_ON = ROOT / "python" / "paper_models"


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ADD_ON)


def photo() -> torch.Tensor:
    """A part of a photo of the documents, [1, 3, 64, 64]."""
    with Image.open(ROOT / "docs" / "gallery" / "look_brink_20_640x360.webp") as image:
        square = image.convert("RGB").crop((0, 0, 128, 128)).resize((64, 64))
    return torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def test_models_by_name() -> None:
    image, video = load_model("photos-image", BSQViT), load_model("clips-video", BSQViT)
    prior, digits = load_model("photos-prior", ARPrior), load_model("digits-image", BSQViT)
    lm = MaskedLM.from_pretrained("digits-masked-lm")
    assert prior.tokenizer_id == fingerprint(image)
    assert lm.tokenizer_id == fingerprint(digits)
    assert lm.labels == tuple("0123456789")
    x = photo()
    indices = image.tokenize(x)
    error = (image.detokenize(indices) - x).square().mean().item()
    assert 10 * math.log10(4 / error) > 17
    assert prior.bits_per_token(indices) < 17
    clip = x.unsqueeze(2).expand(-1, -1, 4, -1, -1)
    error = (video.detokenize(video.tokenize(clip)) - clip).square().mean().item()
    assert 10 * math.log10(4 / error) > 17


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "digits.png"
    words = ["generate", "digits-masked-lm", str(out), "--tokenizer", "digits-image"]
    assert main([*words, "--class", "3", "--count", "2", "--steps", "2"]) == 0
    assert out.is_file()
    assert main([*words[:4], "nothing", "--class", "3"]) == 1
    assert "models are clips-video, digits-image" in capsys.readouterr().err


def test_the_package_is_small_and_whole() -> None:
    sizes = [path.stat().st_size for path in ADD_ON.rglob("*.safetensors")]
    assert len(sizes) == 5
    assert sum(sizes) < 24_000_000
    setuptools = tomllib.loads((ADD_ON / "pyproject.toml").read_text())["tool"]["setuptools"]
    (package,) = setuptools["packages"]
    patterns = setuptools["package-data"][package]
    shipped = {path for pattern in patterns for path in (ADD_ON / package).glob(pattern)}
    assert shipped == {path for path in (ADD_ON / package).glob("*/*") if "__" not in str(path)}
