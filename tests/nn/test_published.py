"""Checkpoints of the published program: its outputs, its files, and files that mean harm."""

from __future__ import annotations

import argparse
import collections
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor

from bsqav.cli.main import main
from bsqav.errors import BsqError, ModelError, UnsupportedError
from bsqav.nn import BSQConfig, BSQViT, load_model
from bsqav.nn.paper.bsqvit import sized
from bsqav.nn.paper.published import from_published, load_published, read_published
from tests.nn import published_vectors as recorded


@pytest.mark.parametrize(("dim", "codes"), recorded.GIVEN)
def test_outputs_are_those_of_the_program(dim: int, codes: int) -> None:
    model = from_published(recorded.weights(dim, codes))
    given = recorded.GIVEN[dim, codes]
    indices, samples = [int(x) for x in given[0].split()], [float(x) for x in given[1].split()]
    found = model(recorded.image())
    assert found.tokens.indices.flatten().tolist() == indices
    pixels = found.pixels.clamp(-1, 1).flatten()[recorded.RECORDED]
    torch.testing.assert_close(pixels, torch.tensor(samples), atol=1e-5, rtol=0)
    again = model.detokenize(torch.tensor(indices).view(1, 2, 2))
    torch.testing.assert_close(again, found.pixels.detach().clamp(-1, 1))
    if codes:  # the program keeps this codebook fixed
        assert not model.quantizer.codebook.requires_grad
    else:
        config = model.config.quantizer
        assert isinstance(config, BSQConfig)
        assert config.zero_bit == 0
        assert config.most_first


def saved(folder: Path, **more: Any) -> Path:
    """A file as the program writes it, with its options and figures besides the tensors."""
    plain = recorded.weights(18)
    state = {
        "iter": 7,
        "state_dict": {f"module.{name}": tensor for name, tensor in plain.items()},
        "ema_state_dict": {
            f"module.module.{name}": tensor + (1 if name == "quant_embed.bias" else 0)
            for name, tensor in plain.items()
        },
        "scaler": {},
        "args": argparse.Namespace(config="a.yaml", folder=Path("out")),
        "best_fid": np.float64(1.5),
        "config": collections.defaultdict(list, {"lr": [1.0]}),
        **more,
    }
    path = folder / "checkpoint.pt"
    torch.save(state, path)
    return path


def test_a_file_of_the_program(tmp_path: Path) -> None:
    path, plain = saved(tmp_path), recorded.weights(18)
    bias = plain["quant_embed.bias"]
    assert torch.equal(load_published(path).to_latent.bias, bias + 1)
    assert torch.equal(load_published(path, ema=True).to_latent.bias, bias + 1)
    assert torch.equal(load_published(path, ema=False).to_latent.bias, bias)
    path = saved(tmp_path, ema_state_dict=None)
    assert torch.equal(load_published(path).to_latent.bias, bias)
    with pytest.raises(ModelError, match="no averaged weights"):
        load_published(path, ema=True)
    torch.save(plain, path)  # tensors alone
    state, averaged = read_published(path)
    assert averaged is None and state.keys() == plain.keys()
    assert not load_published(path).training


class Harm:
    """Would make a folder when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    path = saved(tmp_path, args=Harm(tmp_path / "made"))
    with pytest.raises(ModelError, match="left alone"):
        load_published(path)
    assert not (tmp_path / "made").exists()


def test_damaged_files(tmp_path: Path) -> None:
    path = saved(tmp_path)
    data = path.read_bytes()
    for wrong in (b"", b"PK\x03\x04", data[: len(data) // 2], b"text" * 100):
        path.write_bytes(wrong)
        with pytest.raises(ModelError, match=r"checkpoint\.pt"):
            load_published(path)
    torch.save([1, 2], path)
    with pytest.raises(ModelError, match="no state dict"):
        load_published(path)
    with pytest.raises(FileNotFoundError):
        load_published(tmp_path / "none.pt")


def changed(**tensors: Tensor | None) -> dict[str, Tensor]:
    state: dict[str, Any] = recorded.weights(18)
    for name, tensor in tensors.items():
        state[name] = tensor
    return {name: tensor for name, tensor in state.items() if tensor is not None}


@pytest.mark.parametrize(
    ("name", "tensor", "kind"),
    [
        ("decoder.ln_post.bias", None, ModelError),
        ("quant_embed.weight", None, ModelError),
        ("quant_embed.weight", torch.zeros(65, 128), ModelError),
        ("quant_embed.bias", torch.zeros(17), ModelError),
        ("encoder.conv1.weight", torch.zeros(128, 190), ModelError),
        ("encoder.conv1.weight", torch.zeros(1, 192), ModelError),
        ("encoder.positional_embedding", torch.zeros(5, 128), ModelError),
        ("encoder.positional_embedding", torch.zeros(0, 128), ModelError),
        ("another", torch.zeros(1), ModelError),
        ("encoder.conv1.bias", torch.zeros(128), UnsupportedError),
        ("encoder.temporal_positional_embedding", torch.zeros(2, 128), UnsupportedError),
        ("decoder.conv_out.weight", torch.zeros(384, 96), UnsupportedError),
    ],
)
def test_other_networks_are_refused(name: str, tensor: Tensor | None, kind: type[BsqError]) -> None:
    with pytest.raises(kind):
        from_published(changed(**{name: tensor}))


@pytest.mark.parametrize("bits", [18, 36])
def test_the_published_sizes_are_the_papers(bits: int) -> None:
    """Its full configurations, by shapes alone."""
    state = {}
    big = {128: 768, 512: 3072, 96: 3072, 384: 2304, 4: 1024}
    with torch.device("meta"):
        for name, shape in recorded.shapes(bits).items():
            shape = tuple(big.get(n, n) for n in shape)
            if name == "quant_embed.weight":
                shape = (bits, 768)
            for layer in range(12) if ".resblocks.0." in name else [0]:
                state[name.replace("resblocks.0", f"resblocks.{layer}")] = torch.empty(shape)
        model = from_published(state)
    paper = sized("base", bits)
    assert model.config.transformer == paper.transformer
    assert (model.config.size, model.config.head) == (paper.size, paper.head)


def test_converted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that any loader reads, with the program's conventions."""
    checkpoint, folder = saved(tmp_path), tmp_path / "folder"
    assert main(["train", "convert", str(checkpoint), str(folder)]) == 0
    assert "tokenizer of images, 16 x 16, 18 bits a token" in capsys.readouterr().out
    found, expected = BSQViT.from_pretrained(folder), load_published(checkpoint)
    assert found.config == expected.config
    x = recorded.image()
    assert torch.equal(found.tokenize(x), expected.tokenize(x))
    assert main(["train", "convert", str(checkpoint), str(tmp_path / "last"), "--last"]) == 0
    last = BSQViT.from_pretrained(tmp_path / "last")
    assert torch.equal(last.to_latent.bias, load_published(checkpoint, ema=False).to_latent.bias)
    assert main(["train", "convert", str(tmp_path / "none.pt"), str(tmp_path / "x")]) == 1
    assert not (tmp_path / "x").exists()


def test_converted_codebook(tmp_path: Path) -> None:
    """The program's other quantizer, a fixed codebook on the sphere."""
    codes = next(key for key in recorded.GIVEN if key[1])
    torch.save(recorded.weights(*codes), tmp_path / "a.pt")
    assert main(["train", "convert", str(tmp_path / "a.pt"), str(tmp_path / "folder")]) == 0
    found, expected = load_model(tmp_path / "folder", BSQViT), load_published(tmp_path / "a.pt")
    assert torch.equal(found.tokenize(recorded.image()), expected.tokenize(recorded.image()))
    assert not found.quantizer.get_parameter("codebook").requires_grad
