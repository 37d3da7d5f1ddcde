"""The models that ship in the package: whole, named by their digest, described, and of use."""

import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bsqav import _core
from bsqav.codec.modelfile import read_model
from bsqav.codec.models import default_model, shipped_folder
from tests.codec.streams import Format, clip
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
