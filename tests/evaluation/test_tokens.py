"""Figures of the paper's networks: reconstruction and compression, from the command line."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("pytorch_msssim")

import torch
from PIL import Image

from bsqav.cli.main import main
from bsqav.codec.models import default_model
from bsqav.errors import UsageError
from bsqav.evaluation.research.integer_prior import integer_prior
from bsqav.evaluation.research.tokens import compression, reconstruction
from bsqav.nn.paper import anysize
from bsqav.nn.paper.arprior import ARPrior, ARPriorConfig
from bsqav.nn.paper.attention import TransformerConfig
from bsqav.nn.paper.bsqvit import BSQViT, ViTConfig
from bsqav.nn.paper.quantizers import BSQConfig
from bsqav.nn.paper.store import save_model
from bsqav.nn.paper.subtokens import SubTokens
from bsqav.training.paper.images import centre_squares, whole_images
from tests.media.clips import write_frames
from tests.support import one_torch_thread

one_thread = pytest.fixture(autouse=True, scope="module")(one_torch_thread)
NETS = TransformerConfig(width=32, layers=1, heads=2, hidden=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five images, a tokenizer of 6 bits and its prior."""
    root = tmp_path_factory.mktemp("evaluated")
    (root / "images").mkdir()
    rng = np.random.default_rng(3)
    for index in range(5):
        image = Image.fromarray(rng.integers(0, 256, (4, 6, 3)).astype(np.uint8))
        image.resize((50, 40)).save(root / "images" / f"{index}.png")
    torch.manual_seed(4)
    save_model(root / "tokenizer.pt", BSQViT(ViTConfig(NETS, BSQConfig(6), (16, 16), head=32)))
    save_model(root / "prior.pt", ARPrior(ARPriorConfig(NETS, SubTokens(6, 3), (2, 2))))
    return root


def test_reconstruction_against_definitions(folder: Path) -> None:
    torch.manual_seed(4)
    model = BSQViT(ViTConfig(NETS, BSQConfig(6), (16, 16), head=32)).eval()
    found = reconstruction(model, centre_squares(folder / "images", 16, 2))
    (x,) = centre_squares(folder / "images", 16, 5)
    with torch.no_grad():
        pixels, tokens = model(x)
    gap = (pixels.clamp(-1, 1) - x).double() * 127.5
    psnr = (20 * torch.log10(255 / gap.square().mean((1, 2, 3)).sqrt())).mean().item()
    assert found.images == 5 and found.psnr == pytest.approx(psnr, rel=1e-5)
    assert found.bpp == pytest.approx(6 / 64)
    counts = torch.bincount(tokens.indices.flatten())
    share = counts[counts > 0] / counts.sum()
    assert found.use.codes == len(share)
    assert found.use.tokens == counts.sum()
    entropy = -(share * share.log2()).sum().item()
    assert found.use.perplexity == pytest.approx(2**entropy, rel=1e-5)
    assert found.ms_ssim is None and found.lpips is None and -1 < found.ssim < 1
    with pytest.raises(UsageError, match="no image"):
        reconstruction(model, iter(()))


def test_ms_ssim_of_large_pictures(folder: Path) -> None:
    model = BSQViT(ViTConfig(NETS, BSQConfig(6), (16, 16), head=32)).eval()
    found = reconstruction(model, centre_squares(folder / "images", 168, 1, limit=1))
    assert found.images == 1 and found.ms_ssim is not None and math.isfinite(found.ms_ssim)


def test_pictures_of_any_size(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """50 x 40 in tiles of 16 x 16: four by three of them, cut off at the edges."""
    torch.manual_seed(4)
    model = BSQViT(ViTConfig(NETS, BSQConfig(6), (16, 16), head=32)).eval()
    images = list(whole_images(folder / "images"))
    assert [tuple(x.shape) for x in images] == [(1, 3, 40, 50)] * 5
    found = reconstruction(model, iter(images), way="tiles")
    assert found.bpp == pytest.approx(4 * 3 * 4 * 6 / 2000) and found.images == 5
    alone = model.tokenize(images[0][..., 16:32, :16])
    every = anysize.tiles_of(model, anysize.tokenize(model, images[0], "tiles"))
    assert every.shape == (12, 2, 2) and torch.equal(every[4:5], alone)
    prior = ARPrior(ARPriorConfig(NETS, SubTokens(6, 3), (2, 2)))
    coded = compression(model, prior, iter(images), tiles=True)
    assert coded.bpp_plain == pytest.approx(found.bpp) and coded.psnr == pytest.approx(found.psnr)
    assert reconstruction(model, iter(images), way="whole").bpp == pytest.approx(5 * 7 * 6 / 2000)
    odd = [images[0][..., :31, :41]]
    measured = integer_prior(odd, default_model(), 20)
    assert measured.psnr > 20 and measured.clips == 1
    common = [str(folder / "images"), "--tokenizer", str(folder / "tokenizer.pt")]
    assert main(["eval", "reconstruction", *common, "--fit", "tiles", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bpp"] == pytest.approx(found.bpp)
    assert main(["eval", "reconstruction", *common, "--fit", "whole", "--side", "16"]) == 2
    prior_file = ["--prior", str(folder / "prior.pt"), "--crf", "40"]
    assert main(["eval", "compression", *common, *prior_file, "--fit", "tiles"]) == 0


def test_compression(folder: Path) -> None:
    torch.manual_seed(4)
    model = BSQViT(ViTConfig(NETS, BSQConfig(6), (16, 16), head=32))
    prior = ARPrior(ARPriorConfig(NETS, SubTokens(6, 3), (2, 2)))
    found = compression(model, prior, centre_squares(folder / "images", 16, 5))
    assert found.clips == 5 and found.bpp_plain == pytest.approx(6 / 64)
    # A fresh prior has even chances, so that all there is besides is the header of 30 bytes.
    assert found.bits_per_token == pytest.approx(6, abs=8 * 3 / 20)
    assert found.bpp == pytest.approx(found.bpp_plain + 30 * 8 / 1280, abs=8 * 3 / 1280)
    assert found.saved == pytest.approx(1 - found.bpp / found.bpp_plain)


def test_clips(tmp_path: Path) -> None:
    """Of two videos the one that is long enough, its first frames, frame by frame."""
    for name, frames in (("a", 4), ("b", 2)):
        shades = (np.full((32, 48, 3), 40 * level + 20, np.uint8) for level in range(frames))
        write_frames(tmp_path / f"{name}.mp4", shades)
    model = BSQViT(ViTConfig(NETS, BSQConfig(6), (16, 16), frames=3, head=32)).eval()
    (x,) = centre_squares(tmp_path, 16, 4, 3)
    assert x.shape == (1, 3, 3, 16, 16)
    levels = (x.mean((0, 1, 3, 4)) + 1) * 127.5
    torch.testing.assert_close(levels, torch.tensor([20.0, 60.0, 100.0]), atol=4, rtol=0)
    found = reconstruction(model, iter([x]))
    assert found.images == 3 and found.bpp == pytest.approx(6 / 64)
    prior = ARPrior(ARPriorConfig(NETS, SubTokens(6, 3), (2, 2), 3))
    assert compression(model, prior, iter([x])).bpp_plain == pytest.approx(6 / 64)
    measured = integer_prior([x], default_model(), 30)
    assert measured.clips == 1 and measured.psnr > 30 and measured.bits_per_token < measured.bits


def test_from_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = [str(folder / "images"), "--tokenizer", str(folder / "tokenizer.pt")]
    assert main(["eval", "reconstruction", *common, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 5
    prior = ["--prior", str(folder / "prior.pt")]
    assert main(["eval", "compression", *common, *prior, "--limit", "2"]) == 0
    out = capsys.readouterr().out
    assert "autoregressive" in out and out.count("integers") == 4 and "like PSNR" in out
    assert main(["eval", "compression", *common, *prior, "--crf", "20", "50", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["integer_prior"]
    assert [row["crf"] for row in rows] == [20, 50] and rows[0]["psnr"] > rows[1]["psnr"]
    assert rows[0]["bpp"] > rows[1]["bpp"] and rows[0]["clips"] == 5
    assert all(0 < row["bits_per_token"] < row["bits"] for row in rows)
    assert main(["eval", "compression", *common, *prior, "--crf"]) == 0
    assert "integers" not in capsys.readouterr().out
    assert main(["eval", "compression", *common, *prior, "--crf", "64"]) == 2
    listed = folder / "list.txt"
    listed.write_text("1.png 4\n3.png 4\n", encoding="utf-8")
    assert main(["eval", "reconstruction", *common, "--json", "--list", str(listed)]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 2
    assert main(["eval", "reconstruction", *common, "--side", "17"]) == 2
    assert main(["eval", "compression", *common, "--prior", str(folder / "tokenizer.pt")]) == 1
    assert "no autoregressive prior" in capsys.readouterr().err
