"""`bsqav eval generation`: networks by the files of their weights, sets of images and videos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from PIL import Image
from torch import Tensor, nn

from bsqav.cli.main import main
from bsqav.errors import ModelError
from bsqav.evaluation.metrics import perceptual
from bsqav.evaluation.research import features
from bsqav.evaluation.research.distribution import frechet_distance, inception_score, moments
from bsqav.evaluation.research.features import load_features
from bsqav.evaluation.research.generated import gather
from bsqav.nn.paper.attention import TransformerConfig
from bsqav.nn.paper.bsqvit import BSQViT, ViTConfig
from bsqav.nn.paper.i3d import I3D
from bsqav.nn.paper.inception import InceptionV3
from bsqav.nn.paper.quantizers import BSQConfig
from bsqav.nn.paper.store import save_model
from bsqav.training.paper.images import centre_squares
from tests.media.clips import write_frames
from tests.nn.feature_networks import seeded
from tests.support import one_torch_thread

one_thread = pytest.fixture(autouse=True, scope="module")(one_torch_thread)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network for images may give vectors of 16 numbers."""
    monkeypatch.setattr("bsqav.nn.paper.inception.FEATURES", 16)


class Images(nn.Module):
    """A TorchScript with the arguments of StyleGAN2-ADA's Inception-v3."""

    def forward(
        self, img: Tensor, return_features: bool = False, no_output_bias: bool = False
    ) -> Tensor:
        x = img.float().mean((2, 3)) / 64
        if return_features:
            return torch.cat([x, x.new_zeros(len(x), 13)], 1)
        return (x if no_output_bias else x + 1).softmax(1)


class Clips(nn.Module):
    """A TorchScript with the arguments of StyleGAN-V's I3D: means of frames."""

    def forward(
        self, x: Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False
    ) -> Tensor:
        assert return_features and not rescale and not resize and x.shape[3:] == (224, 224)
        means = x.mean((1, 3, 4))
        return torch.cat([means, means.new_zeros(len(x), 400 - means.shape[1])], 1)


class Other(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


def script(module: nn.Module, path: Path) -> Path:
    torch.jit.script(module).save(str(path))
    return path


def paint(folder: Path, count: int, side: int, seed: int) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for index in range(count):
        level = rng.integers(0, 256, (1, 1, 3)) * np.ones((side, side, 1))
        Image.fromarray(level.astype(np.uint8)).save(folder / f"{index:02d}.png")
    return folder


def film(path: Path, frames: int, level: int) -> None:
    levels = (level + 5 * index for index in range(frames))
    write_frames(path, (np.full((32, 32, 3), each, np.uint8) for each in levels))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sets of images and a TorchScript for them."""
    root = tmp_path_factory.mktemp("generated")
    paint(root / "fake", 12, 32, 1)
    paint(root / "real", 15, 40, 2)
    script(Images(), root / "images.pt")
    return root


def told(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    assert main(["eval", "generation", *map(str, arguments), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.usefixtures("small")
def test_figures_are_those_of_the_features(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = load_features(root / "images.pt")
    fake, real = (gather(network, centre_squares(root / name, 32, 8)) for name in ("fake", "real"))
    assert fake.features.shape == (12, 16) and fake.logits is not None
    level = np.asarray(Image.open(root / "fake" / "00.png"))[0, 0] / 64
    np.testing.assert_allclose(fake.features[0, :3], level, rtol=1e-6)
    paths = root / "fake", root / "real", "--features", root / "images.pt"
    found = told(capsys, *paths)
    assert found["samples"] == 12 and found["reference"] == 15
    expected = frechet_distance(moments(fake.features), moments(real.features))
    assert found["fid"] == pytest.approx(expected, rel=1e-6)
    assert found["inception_score"] == pytest.approx(inception_score(fake.logits)[0])
    assert 0 <= found["precision"] <= 1 and 0 < found["recall"] <= 1
    assert main(["eval", "generation", *map(str, paths)]) == 0
    out, err = capsys.readouterr()
    assert "FID" in out and "recall" in out and "images.pt, SHA-256" in out
    assert "12 for 16 dimensions" in err and "15 for 16" in err


@pytest.mark.usefixtures("small")
def test_statistics_can_be_kept(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = root / "fake", root / "real", "--features", root / "images.pt"
    kept = tmp_path / "real.npz"
    first = told(capsys, *paths, "--save", kept)
    again = told(capsys, paths[0], kept, *paths[2:])
    assert again["fid"] == pytest.approx(first["fid"]) and again["recall"] == first["recall"]
    mean, covariance = (np.load(kept)[name] for name in ("mu", "sigma"))
    np.savez(kept, mu=mean, sigma=covariance)
    foreign = told(capsys, paths[0], kept, *paths[2:])
    assert foreign["fid"] == pytest.approx(first["fid"]) and foreign["recall"] is None
    assert any("no precision" in warning for warning in foreign["warnings"])
    for contents, words in (
        ({"mu": mean[:9], "sigma": covariance[:9, :9]}, "9 dimensions"),
        ({"mu": mean, "sigma": covariance, "source": "another"}, "made with another"),
    ):
        np.savez(kept, **contents)
        assert main(["eval", "generation", *map(str, (paths[0], kept, *paths[2:]))]) == 2
        assert words in capsys.readouterr().err


def test_videos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, levels in (("fake", (10, 60, 110)), ("real", (20, 90, 130, 150))):
        (tmp_path / name).mkdir()
        for level in levels:
            film(tmp_path / name / f"{level}.mp4", 12, level)
    film(tmp_path / "fake" / "short.mp4", 4, 50)
    weights = script(Clips(), tmp_path / "i3d.pt")
    paths = tmp_path / "fake", tmp_path / "real", "--features", weights
    found = told(capsys, *paths, "--frames", "10")
    assert found["samples"] == 3 and found["fvd"] > 0 and found["inception_score"] is None
    assert any("1 of the videos have fewer than 10" in warning for warning in found["warnings"])
    assert main(["eval", "generation", *map(str, paths)]) == 2
    assert "is for videos: say --frames" in capsys.readouterr().err
    assert main(["eval", "generation", *map(str, paths), "--frames", "99"]) == 2
    assert "long enough" in capsys.readouterr().err


@pytest.mark.usefixtures("small")
def test_sizes_and_kinds_that_do_not_fit(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixed = paint(tmp_path / "mixed", 3, 32, 3)
    weights = ["--features", str(root / "images.pt")]
    Image.new("RGB", (32, 48)).save(mixed / "02.png")
    command = ["eval", "generation", str(mixed), str(root / "real"), *weights]
    assert main(command) == 2
    assert "02.png is 32 x 48, others are 32 x 32" in capsys.readouterr().err
    assert main([*command, "--side", "16"]) == 0
    Image.new("RGB", (32, 48)).save(mixed / "00.png")
    assert main(command) == 2 and "no square" in capsys.readouterr().err
    assert main([*command, "--side", "16", "--frames", "16"]) == 2
    assert "leave --frames away" in capsys.readouterr().err
    assert main([*command, "--side", "16", "--limit", "1"]) == 2
    assert "at least 2 samples" in capsys.readouterr().err
    assert main([*command, "--save", "x.npy"]) == 2
    (tmp_path / "empty").mkdir()
    assert main(["eval", "generation", str(tmp_path / "empty"), str(root), *weights]) == 1
    assert "holds no images" in capsys.readouterr().err


def test_files_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state dict is FID's only where the file is the one that everybody has."""
    path = tmp_path / "inception.pth"
    state = seeded(InceptionV3()).state_dict()
    torch.save(state, path)
    network = load_features(path)
    assert (network.key, network.clips) == ("fd_inception_v3_other_weights", False)
    assert "FID" not in network.title
    found, logits = network(torch.zeros(2, 3, 32, 32))
    assert found.shape == (2, 2048) and logits is not None and logits.shape == (2, 1008)
    monkeypatch.setattr(features, "FID_DIGEST", network.source.rpartition(" ")[2])
    assert (load_features(path).title, load_features(path).key) == ("FID", "fid")
    del state["fc.bias"]
    torch.save(state, path)
    with pytest.raises(ModelError, match=r"lacks fc\.bias"):
        load_features(path)
    state["fc.bias"] = torch.zeros(1000)  # torchvision's
    torch.save(state, path)
    with pytest.raises(ModelError, match=r"fc\.bias of shape \(1000,\).*Understood are"):
        load_features(path)
    torch.save(seeded(I3D()).state_dict(), path)
    network = load_features(path)
    assert (network.title, network.key, network.clips) == ("FVD", "fvd", True)
    assert network(torch.zeros(1, 3, 9, 32, 32))[0].shape == (1, 400)
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match="neither Inception-v3 nor I3D"):
        load_features(path)
    with pytest.raises(ModelError, match="another TorchScript"):
        load_features(script(Other(), path))
    path.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be read"):
        load_features(path)
    with pytest.raises(FileNotFoundError):
        load_features(tmp_path / "none")


def test_other_features_have_another_name(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(perceptual, "weights_path", lambda: root)
    monkeypatch.setattr(
        perceptual, "pooled_features", lambda x: x.mean((2, 3)).repeat(1, 86)[:, :256]
    )
    found = told(capsys, root / "fake", root / "real", "--features", "st-lpips")
    assert found["fd_st_lpips_alexnet"] > 0 and "fid" not in found
    assert (
        main(
            [
                "eval",
                "generation",
                *map(str, (root / "fake", root / "real")),
                "--features",
                "st-lpips",
            ]
        )
        == 0
    )
    assert "FID" not in capsys.readouterr().out


@pytest.mark.usefixtures("small")
def test_reconstructions_have_a_distance_too(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pytorch_msssim")
    nets = TransformerConfig(width=32, layers=1, heads=2, hidden=64)
    torch.manual_seed(1)
    save_model(tmp_path / "t.pt", BSQViT(ViTConfig(nets, BSQConfig(6), (16, 16), head=32)))
    common = ["eval", "reconstruction", str(root / "real"), "--tokenizer", str(tmp_path / "t.pt")]
    common += ["--features", str(root / "images.pt")]
    assert main([*common, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rfid"] > 0 and "15 for 16" in found["warnings"][0]
    assert main(common) == 0
    assert "rFID" in capsys.readouterr().out
    clips = script(Clips(), tmp_path / "i3d.pt")
    assert main([*common[:-1], str(clips)]) == 2
    assert "for videos, the tokenizer for images" in capsys.readouterr().err
