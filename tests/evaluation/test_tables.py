"""The paper's tables by one command each, on folders laid out as the data sets."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("pytorch_msssim")
pytest.importorskip("imageio_ffmpeg")

import av
import torch
from av.video.frame import PictureType
from PIL import Image

from bsqav.cli.main import main
from bsqav.evaluation.compare.reference_encoders import encode_reference
from bsqav.evaluation.metrics import perceptual
from bsqav.evaluation.research.tables.material import film_of, to_unit
from bsqav.evaluation.research.tables.peers import nearest_setting
from bsqav.evaluation.research.tables.protocols import without_b_frames
from bsqav.nn.paper.arprior import ARPrior, ARPriorConfig
from bsqav.nn.paper.attention import TransformerConfig
from bsqav.nn.paper.bsqvit import BSQViT, ViTConfig
from bsqav.nn.paper.fingerprints import fingerprint
from bsqav.nn.paper.quantizers import BSQConfig
from bsqav.nn.paper.store import save_model
from bsqav.nn.paper.subtokens import SubTokens
from bsqav.training.paper.image_sources import Source
from tests.media.clips import write_frames
from tests.nn.test_adversarial import lpips_files
from tests.support import one_torch_thread

one_thread = pytest.fixture(autouse=True, scope="module")(one_torch_thread)
NETS = TransformerConfig(width=32, layers=1, heads=2, hidden=64)
# All images and videos: MS-SSIM begins at 161.
WIDTH, HEIGHT, FRAMES = 192, 176, 6


def moving(count: int, seed: int) -> list[Any]:
    """Smooth random frames that move, uint8 [rows, columns, 3]."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (9, 10, 3)).astype(np.uint8))
    large = np.asarray(small.resize((WIDTH + 8 * count, HEIGHT), Image.Resampling.BICUBIC))
    return [large[:, 8 * i : 8 * i + WIDTH] for i in range(count)]


def write_raw(path: Path, seed: int) -> None:
    """A raw 4:2:0 video, as UVG's and MCL-JCV's are."""
    with path.open("wb") as file:
        for array in moving(FRAMES, seed):
            frame = av.VideoFrame.from_ndarray(array, format="rgb24")
            file.write(frame.reformat(format="yuv420p").to_ndarray().tobytes())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data sets, two tokenizers of 36 bits, their priors, and weights of LPIPS."""
    root = tmp_path_factory.mktemp("tables")
    for folder in ("kodak", "imagenet/n01440764", "imagenet/n01443537", "mcl-jcv", "uvg"):
        (root / folder).mkdir(parents=True)
    for place in ("kodak/kodim01.png", "kodak/kodim02.png"):
        Image.fromarray(moving(1, len(place))[0]).save(root / place)
    for place in (
        "n01440764/ILSVRC2012_val_00000293.JPEG",
        "n01443537/ILSVRC2012_val_00000236.JPEG",
    ):
        Image.fromarray(moving(1, 5)[0]).save(root / "imagenet" / place)
    write_raw(root / "mcl-jcv" / f"videoSRC01_{WIDTH}x{HEIGHT}_30.yuv", 1)
    write_raw(root / "uvg" / f"Beauty_{WIDTH}x{HEIGHT}_120fps_420_8bit_YUV.yuv", 2)
    for index, name in enumerate(("ApplyEyeMakeup", "Archery")):
        (root / "ucf101" / name).mkdir(parents=True)
        frames = moving(FRAMES if index else 2, index)
        write_frames(root / "ucf101" / name / f"v_{name}_g01_c01.avi", frames)
    torch.manual_seed(4)
    for kind, clip in (("image", 1), ("video", 4)):
        tokenizer = BSQViT(ViTConfig(NETS, BSQConfig(36), (64, 64), clip, head=32))
        save_model(root / f"{kind}.pt", tokenizer)
        prior = ARPrior(ARPriorConfig(NETS, SubTokens(36, 9), (8, 8), clip))
        prior.tokenizer_id = fingerprint(tokenizer)
        save_model(root / f"{kind}-prior.pt", prior)
    lpips_files(root, "alex")
    return root


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """The figures of `bsqav eval table ... --json`, without what a clock says."""
    capsys.readouterr()
    assert main(["eval", "table", *map(str, arguments), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    for row in found["rows"]:
        assert row.pop("fps") > 0
        times = [row.pop(name) for name in list(row) if name.endswith("_ms")]
        assert all(time is None or time > 0 for time in times)
    return found


def columns_filled(found: dict[str, Any], *names: str) -> bool:
    """Whether all rows have figures in these columns."""
    return all(row[name] is not None for row in found["rows"] for name in ("bpp", "psnr", *names))


def test_kodak(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Four codecs at the rate of the tokenizer with its prior; the same figures twice."""
    networks = ("--tokenizer", root / "image.pt", "--prior", root / "image-prior.pt")
    lpips = ("--lpips", root / "trunk.pt", root / "heads.pt")
    found = told(capsys, "kodak", root / "kodak", *networks, *lpips)
    plain, coded, *codecs = found["rows"]
    assert plain["bpp"] == pytest.approx(36 * 9 * 64 / (WIDTH * HEIGHT))  # three by three tiles
    assert coded["psnr"] == plain["psnr"] and coded["bits"] % 8 == 0
    assert [row["codec"] for row in codecs] == ["JPEG 2000", "WebP", "BSQ"]
    assert found["rate"] == coded["bpp"]
    assert columns_filled(found, "ssim", "ms_ssim", "ms_ssim_db", "lpips")
    assert told(capsys, "kodak", root / "kodak", *networks, *lpips) == found
    at = told(capsys, "kodak", root / "kodak", *networks[:2], "--rate", 0.3, "--codecs", "jpeg2000")
    assert at["rows"][1]["bpp"] == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize("name", ["mcl-jcv", "uvg"])
def test_videos(root: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Whole clips by a tokenizer of videos, x264 and x265 without B frames, and the codec."""
    networks = ("--tokenizer", root / "video.pt", "--prior", root / "video-prior.pt")
    found = told(capsys, name, root / name, *networks, "--size", f"{WIDTH}x{HEIGHT}")
    titles = [row["codec"] for row in found["rows"]]
    assert titles[2:] == ["x264 medium, no B frames", "x265 medium, no B frames", "BSQ"]
    assert all(row["frames"] == FRAMES for row in found["rows"])
    assert columns_filled(found, "ssim", "ms_ssim", "ms_ssim_db")
    assert any("BT.601" in note for note in found["notes"])


def test_videos_are_scaled_and_cut(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ("--frames", 3, "--codecs", "", "--size", "96x64", "--tokenizer", root / "video.pt")
    found = told(capsys, "uvg", root / "uvg", *chosen)
    assert [row["frames"] for row in found["rows"]] == [3, 3]
    assert found["rows"][0]["bpp"] == pytest.approx(36 * 2 * 64 / (96 * 64))


def test_reconstruction_tables(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Central squares, with a distance; a video that is too short is left out, and said."""
    monkeypatch.setattr(perceptual, "weights_path", lambda: root)
    monkeypatch.setattr(
        perceptual, "pooled_features", lambda x: x.mean((2, 3)).repeat(1, 86)[:, :256]
    )
    chosen = ("--features", "st-lpips", "--tokenizer")
    found = told(capsys, "imagenet", root / "imagenet", *chosen, root / "image.pt")
    assert found["rows"][0]["frames"] == 2 and found["rows"][0]["bpp"] == 36 / 64
    assert columns_filled(found, "ssim", "distance")
    found = told(capsys, "ucf101", root / "ucf101", *chosen, root / "video.pt")
    assert found["items"] == 1 and found["rows"][0]["frames"] == 4
    assert columns_filled(found, "ssim", "distance")
    assert any("1 videos have fewer than 4 frames" in note for note in found["notes"])


def test_text(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(
            ["eval", "table", "imagenet", str(root / "imagenet"), "--tokenizer", f"{root}/image.pt"]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert out.startswith("imagenet: image reconstruction, 2 of ImageNet's val/")
    assert "64 x 64 with Lanczos" in out and "BSQ-ViT, 36 bits" in out


def test_no_b_frames(root: Path, tmp_path: Path) -> None:
    """As FFmpeg's own reader says."""
    (raw,) = (root / "uvg").iterdir()
    film = film_of(Source(raw), tmp_path / "source.y4m", None, None)
    assert film.header.rate == Fraction(120) and film.frames == FRAMES
    for name in ("x264", "x265"):
        encode_reference(without_b_frames(name), film.y4m, 30, 250, tmp_path / "out.mkv")
        with av.open(str(tmp_path / "out.mkv")) as container:
            kinds = [frame.pict_type for frame in container.decode(video=0)]
        assert kinds == [PictureType.I] + [PictureType.P] * (FRAMES - 1)


def test_film_frames_are_the_video(root: Path, tmp_path: Path) -> None:
    """RGB that networks get is that of the video's samples by BT.601, in clips in order."""
    (raw,) = (root / "uvg").iterdir()
    film = film_of(Source(raw), tmp_path / "source.y4m", None, 5)
    parts = list(film.batches(4))
    assert [part.shape[2] for part in parts] == [4, 1]
    for x, expected in zip(torch.cat(parts, 2)[0].unbind(1), moving(FRAMES, 2)[:5], strict=True):
        assert (x - to_unit(expected)).abs().mean() < 0.02


def test_nearest_setting() -> None:
    """Of a codec whose rate halves every six steps, rounded to whole ones."""

    class Fake:
        title, settings, step = "fake", (10.0, 20.0, 30.0, 40.0), 1.0

    tried: list[float] = []

    def rate_of(setting: float) -> float:
        tried.append(setting)
        return float(2 ** (-setting / 6))

    for target in (13, 27, 38):
        assert nearest_setting(Fake(), rate_of, 2 ** (-target / 6)) == target  # type: ignore[arg-type]
    assert nearest_setting(Fake(), rate_of, 100.0) == 10  # type: ignore[arg-type]
    assert len(tried) <= 8 * 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("imagenet", "imagenet", "--codecs", "webp"), "omit --codecs"),
        (("kodak", "kodak", "--codecs", "h265"), "unknown codecs h265"),
        (("kodak", "kodak", "--size", "64x64"), "--size"),
        (("kodak", "kodak", "--rate", "0"), "--rate"),
        (("uvg", "uvg", "--size", "big"), "640x360"),
        (("ucf101", "ucf101"), "is of videos"),
        (("kodak", "kodak", "--fit", "whole", "--prior", "image-prior.pt"), "one grid"),
    ],
)
def test_refusals(
    root: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    table, data, *options = arguments
    options = [str(root / option) if option.endswith(".pt") else option for option in options]
    given = ["eval", "table", table, str(root / data), "--tokenizer", str(root / "image.pt")]
    assert main([*given, *options]) == 2
    assert words in capsys.readouterr().err
