"""Files of tokens under the paper's prior: the same everywhere, whole or refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

import av
import numpy as np
import torch
from PIL import Image

from bsqav.cli.main import main
from bsqav.evaluation.research.token_files import HEADER, TokenCodec
from bsqav.nn import (
    ARPrior,
    ARPriorConfig,
    BSQConfig,
    BSQViT,
    SubTokens,
    TransformerConfig,
    ViTConfig,
    save_model,
)
from bsqav.nn.paper.fingerprints import fingerprint
from tests.media.clips import ClipSpec, make_clip
from tests.support import one_torch_thread

one_thread = pytest.fixture(autouse=True, scope="module")(one_torch_thread)
SIZES = TransformerConfig(width=32, layers=2, heads=2, hidden=64)


def networks(folder: Path, frames: int = 1) -> list[str]:
    """Options that name a tokenizer and its prior, with random weights."""
    torch.manual_seed(frames)
    tokenizer = BSQViT(ViTConfig(SIZES, BSQConfig(12), (16, 16), frames, head=32))
    prior = ARPrior(ARPriorConfig(SIZES, SubTokens(12, 6), (2, 2), frames))
    with torch.no_grad():
        tokenizer.to_latent.weight.mul_(20)
        for weight in prior.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    prior.tokenizer_id = fingerprint(tokenizer)
    save_model(folder / "t.pt", tokenizer)
    save_model(folder / "p.pt", prior)
    return ["--tokenizer", str(folder / "t.pt"), "--prior", str(folder / "p.pt")]


def call(*words: str | Path) -> int:
    return main([str(word) for word in words])


def photo(path: Path, width: int, height: int) -> Path:
    small = np.random.default_rng(width).integers(0, 256, (5, 6, 3), np.uint8)
    Image.fromarray(small).resize((width, height)).save(path)
    return path


def test_images_of_any_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = networks(tmp_path)
    data = tmp_path / "data"
    (data / "sub").mkdir(parents=True)
    photo(data / "a.png", 40, 33)
    photo(data / "sub" / "b.png", 16, 16)
    coded, back = tmp_path / "coded", tmp_path / "back"
    assert call("compress", data, coded, *models) == 0
    assert call("decompress", coded, back, *models) == 0
    assert "2 images" in capsys.readouterr().out
    codec = TokenCodec(tmp_path / "t.pt", tmp_path / "p.pt")
    for name in ("a", "sub/b"):
        with Image.open(data / f"{name}.png") as a, Image.open(back / f"{name}.png") as b:
            assert a.size == b.size
            pixels, found = np.asarray(a), np.asarray(b)
        x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        down, right = -x.shape[2] % 16, -x.shape[3] % 16
        padded = torch.nn.functional.pad(x, (0, right, 0, down), mode="replicate")
        tile = codec.model(padded[:, :, :16, :16]).pixels.clamp(-1, 1)[0]
        expected = ((tile + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0)
        assert np.abs(found[:16, :16].astype(int) - expected.numpy().astype(int)).max() <= 1
    assert call("compress", data, coded, *models) == 2
    assert "exists: -y replaces it" in capsys.readouterr().err
    assert call("compress", data / "a.png", tmp_path / "one.bsqt", *models) == 0
    assert (tmp_path / "one.bsqt").read_bytes() == (coded / "a.bsqt").read_bytes()
    assert call("decompress", tmp_path / "one.bsqt", tmp_path / "one.png", *models) == 0


def test_videos(tmp_path: Path) -> None:
    """Of a length that is no multiple of the clips', with frame rate and size."""
    models = networks(tmp_path, frames=4)
    clip = make_clip(tmp_path / "in.mp4", ClipSpec(size=(48, 32), frames=10, gop=5))
    assert call("compress", clip, tmp_path / "a.bsqt", *models) == 0
    assert call("decompress", tmp_path / "a.bsqt", tmp_path / "a.mkv", *models) == 0
    with av.open(tmp_path / "a.mkv") as container, av.open(clip) as source:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (48, 32)
        assert stream.average_rate == source.streams.video[0].average_rate
        assert sum(1 for _ in container.decode(stream)) == 10


SCRIPT = """
import sys
import torch
torch.set_num_threads(int(sys.argv[1]))
torch.backends.mkldnn.enabled = sys.argv[1] == "2"
from bsqav.cli.main import main
sys.exit(main(sys.argv[2:]))
"""


def elsewhere(threads: int, capability: str, *words: str | Path) -> None:
    """A call with other threads, kernels and without MKL-DNN."""
    environment = {**os.environ, "ATEN_CPU_CAPABILITY": capability}
    command = [sys.executable, "-c", SCRIPT, str(threads), *map(str, words)]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)


def test_files_decode_elsewhere(tmp_path: Path) -> None:
    """The same bytes under one thread and two, and whichever kernels PyTorch takes."""
    models = networks(tmp_path)
    image = photo(tmp_path / "a.png", 64, 48)
    assert call("compress", image, tmp_path / "a.bsqt", *models) == 0
    assert call("decompress", tmp_path / "a.bsqt", tmp_path / "here.png", *models) == 0
    for threads, capability in ((1, "default"), (2, "avx2")):
        name = f"{capability}.bsqt"
        elsewhere(threads, capability, "compress", image, tmp_path / name, *models)
        assert (tmp_path / name).read_bytes() == (tmp_path / "a.bsqt").read_bytes()
        out = tmp_path / f"{capability}.png"
        elsewhere(threads, capability, "decompress", tmp_path / "a.bsqt", out, *models)
        with Image.open(out) as found, Image.open(tmp_path / "here.png") as expected:
            gap = np.asarray(found).astype(int) - np.asarray(expected).astype(int)
        assert np.abs(gap).max() <= 1  # the tokens are the same; pixels are floating point


def test_damaged_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = networks(tmp_path)
    image, out = photo(tmp_path / "a.png", 40, 33), tmp_path / "b.png"
    assert call("compress", image, tmp_path / "a.bsqt", *models) == 0
    good = (tmp_path / "a.bsqt").read_bytes()
    bad = tmp_path / "bad.bsqt"
    spoilt = [
        *(b"", good[:20], good[:-1], good + b"x", b"XXXX" + good[4:]),
        *(good[:4] + b"\x09" + good[5:], good[:6] + bytes(4) + good[10:]),
        HEADER.pack(b"BSQF", 1, 0, 16, 16, 0, 0, 1, 0),
        good[: HEADER.size + 40] + bytes([good[HEADER.size + 40] ^ 9]) + good[HEADER.size + 41 :],
    ]
    for data in spoilt:
        bad.write_bytes(data)
        assert call("decompress", bad, out, *models) == 1
        assert "bad.bsqt" in capsys.readouterr().err
        assert not out.exists()
    video = tmp_path / "video"
    video.mkdir()
    others = networks(video, frames=4)
    assert call("decompress", tmp_path / "a.bsqt", out, *others) == 1
    assert "holds an image" in capsys.readouterr().err
    mixed = [*models[:2], *others[2:]]
    assert call("compress", image, tmp_path / "c.bsqt", *mixed) == 1
    assert "another tokenizer" in capsys.readouterr().err
    assert call("decompress", tmp_path, tmp_path / "x", *models) == 1  # a damaged one among them
    assert call("decompress", video, tmp_path / "x", *models) == 1
    assert "holds no .bsqt files" in capsys.readouterr().err
