"""Models as folders and files: what is saved comes back, and what is wrong is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

import bsqav.nn
from bsqav.errors import ModelError, UsageError
from bsqav.nn import (
    ARPrior,
    ARPriorConfig,
    BinarySphericalQuantizer,
    BSQConfig,
    BSQViT,
    FSQConfig,
    LFQConfig,
    MaskedLM,
    MaskedLMConfig,
    SubTokens,
    TransformerConfig,
    ViTConfig,
    VQConfig,
    load_model,
    save_model,
)
from bsqav.nn.paper.fingerprints import fingerprint
from bsqav.nn.paper.pretrained import Pretrained
from bsqav.nn.paper.quantizers import Quantized, QuantizerConfig

SIZES = TransformerConfig(width=16, layers=1, heads=2, hidden=32)
QUANTIZERS: list[QuantizerConfig] = [
    BSQConfig(36, group_size=9, zero_bit=0, most_first=True),
    LFQConfig(12, tau=3.0),
    FSQConfig((8, 5, 4)),
    VQConfig(40, 6, normalize=True, trained=False),
]


def tokenizer(quantizer: QuantizerConfig | None = None) -> BSQViT:
    torch.manual_seed(3)
    return BSQViT(ViTConfig(SIZES, quantizer or BSQConfig(12), (16, 16), head=16)).eval()


def prior() -> ARPrior:
    torch.manual_seed(4)
    model = ARPrior(ARPriorConfig(SIZES, SubTokens(12, 6), (2, 2))).eval()
    model.tokenizer_id = fingerprint(tokenizer())
    nn.init.normal_(model.head.weight)
    return model


def masked_lm() -> MaskedLM:
    torch.manual_seed(5)
    model = MaskedLM(MaskedLMConfig(SIZES, SubTokens(12, 6), (2, 2), classes=2)).eval()
    model.labels = ("cat", "dog")
    return model


def same(a: nn.Module, b: nn.Module) -> bool:
    x, y = a.state_dict(), b.state_dict()
    return x.keys() == y.keys() and all(torch.equal(x[name], y[name]) for name in x)


@pytest.mark.parametrize("model", [*map(tokenizer, QUANTIZERS), prior(), masked_lm()])
def test_what_is_saved_comes_back(model: Pretrained, tmp_path: Path) -> None:
    folder, file = tmp_path / "folder", tmp_path / "model.pt"
    model.save_pretrained(folder)
    save_model(file, model)
    for found in (type(model).from_pretrained(folder), load_model(folder), load_model(file)):
        assert type(found) is type(model)
        assert found.config == model.config
        assert same(found, model)
        assert found.tokenizer_id == model.tokenizer_id
        assert found.labels == model.labels
        assert not found.training
        given = {n: p.requires_grad for n, p in model.named_parameters()}
        assert {n: p.requires_grad for n, p in found.named_parameters()} == given
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    if isinstance(model, BSQViT):
        x = torch.rand(2, 3, 16, 16) * 2 - 1
        again = load_model(folder, BSQViT)
        assert torch.equal(again.tokenize(x), model.tokenize(x))
        assert torch.equal(again.detokenize(model.tokenize(x)), model.detokenize(model.tokenize(x)))
        assert fingerprint(again) == fingerprint(model)


def test_other_readers_understand_a_folder(tmp_path: Path) -> None:
    model = tokenizer()
    model.save_pretrained(tmp_path, dtype=torch.float16)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["kind"] == "bsqvit"
    assert config["config"]["quantizer"]["kind"] == "BSQConfig"
    assert config["config"]["size"] == [16, 16]
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert sorted(file.keys()) == sorted(model.state_dict())
        assert file.get_tensor("embed.weight").dtype == torch.float16
    found = BSQViT.from_pretrained(tmp_path)
    assert found.embed.weight.dtype == torch.float32
    assert torch.equal(found.embed.weight, model.embed.weight.half().float())


def changed(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "version": (lambda f: changed(f, format=1), "of version 1, which"),
    "kind": (lambda f: changed(f, kind="x"), "holds no tokenizer, but kind 'x'"),
    "fields": (lambda f: changed(f, config={"a": 1}), "ViTConfig has other fields here"),
    "labels": (lambda f: changed(f, labels=3), "no list of classes"),
    "fingerprint": (lambda f: changed(f, tokenizer="zz"), "no fingerprint"),
    "json": (lambda f: (f / "config.json").write_text("{"), "is no JSON"),
    "list": (lambda f: (f / "config.json").write_text("[]"), "is no file of a tokenizer"),
    "damaged": (lambda f: (f / "model.safetensors").write_bytes(b"x" * 100), "is damaged"),
    "tensors": (
        lambda f: save_file({"a": torch.zeros(1)}, f / "model.safetensors"),
        "does not fit together",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused(name: str, tmp_path: Path) -> None:
    tokenizer().save_pretrained(tmp_path)
    spoil, message = WRONG[name]
    spoil(tmp_path)
    with pytest.raises(ModelError, match=message):
        BSQViT.from_pretrained(tmp_path)


def test_missing_files_and_other_models(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        BSQViT.from_pretrained(tmp_path / "none")
    prior().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="holds no tokenizer, but kind 'ar-prior'"):
        BSQViT.from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="is missing"):
        ARPrior.from_pretrained(tmp_path)


class OwnQuantizer(BinarySphericalQuantizer):
    config = None  # type: ignore[assignment]

    def forward(self, z: torch.Tensor) -> Quantized:
        return super().forward(z)


def test_a_quantizer_of_ones_own_is_not_saved(tmp_path: Path) -> None:
    model = tokenizer()
    own = BSQViT(model.config, BinarySphericalQuantizer(12, dim=16))
    with pytest.raises(UsageError, match="of your own cannot be saved"):
        own.save_pretrained(tmp_path / "a")
    assert not (tmp_path / "a").exists()
    other = BSQViT(model.config, BinarySphericalQuantizer(6))
    assert other.config == replace(model.config, quantizer=BSQConfig(6))


def test_public_names() -> None:
    for name in bsqav.nn.__all__:
        assert getattr(bsqav.nn, name).__name__ == name
    assert set(bsqav.nn.__all__) <= set(dir(bsqav.nn))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        bsqav.nn.Nothing  # noqa: B018
