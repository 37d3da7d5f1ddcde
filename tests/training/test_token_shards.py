"""Tokens as data: shards that others read, training on them, and back to images and videos."""

import io
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import av
import pyarrow.parquet
import torch
import webdataset
from PIL import Image

from bsqav.cli.main import main
from bsqav.errors import MediaError, UsageError
from bsqav.nn import (
    ARPrior,
    BSQConfig,
    BSQViT,
    MaskedLM,
    TransformerConfig,
    ViTConfig,
    load_model,
    save_model,
)
from bsqav.nn.paper.fingerprints import fingerprint
from bsqav.training.paper.images import BatchConfig
from bsqav.training.paper.token_shards import Indices, Sample, TokenFolder, read_shard
from bsqav.training.paper.tokenizing import TokenizeConfig, sources_of, tokenize
from tests.media.clips import ClipSpec, make_clip
from tests.support import one_torch_thread

one_thread = pytest.fixture(autouse=True, scope="module")(one_torch_thread)
SIZES = TransformerConfig(width=16, layers=1, heads=2, hidden=32)


def tokenizer(path: Path, bits: int = 18, frames: int = 1) -> BSQViT:
    torch.manual_seed(bits + frames)
    model = BSQViT(ViTConfig(SIZES, BSQConfig(bits), (16, 16), frames, head=16)).eval()
    with torch.no_grad():
        model.to_latent.weight.mul_(20)
    save_model(path, model)
    return model


def call(*words: str | Path) -> int:
    return main([str(word) for word in words])


@pytest.mark.parametrize("bits", [18, 36])
def test_webdataset_reads_them(bits: int, images: Path, tmp_path: Path) -> None:
    model, out = tokenizer(tmp_path / "t.pt", bits), tmp_path / "tokens"
    options = ("--crops", "3", "--flips", "--per-shard", "4")
    assert call("tokenize", images, out, "--tokenizer", tmp_path / "t.pt", *options) == 0
    shards = sorted(out.glob("*.tar"))
    assert [path.name for path in shards] == ["tokens-000000.tar", "tokens-000001.tar"]
    files = [str(path) for path in shards]
    found = list(webdataset.WebDataset(files, shardshuffle=False).decode())
    assert len(found) == 6 * 3 * 2
    for sample in found:
        fields = sample["json"]
        assert sample["npy"].dtype == (np.int32 if bits == 18 else np.int64)
        assert list(sample["npy"].shape) == fields["shape"] == [2, 2]
        assert (fields["bits"], fields["tokenizer"]) == (bits, fingerprint(model))
        assert fields["label"] == ["bright", "dark"][fields["cls"]]
        assert sample["__key__"].startswith(fields["label"])
    assert len({sample["__key__"] for sample in found}) == len(found)


def test_the_middle_square_is_that_of_the_tokenizer(images: Path, tmp_path: Path) -> None:
    model, out = tokenizer(tmp_path / "t.pt"), tmp_path / "tokens"
    small = tmp_path / "small"
    small.mkdir()
    array = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(array).save(small / "a.b.png")
    assert call("tokenize", small, out, "--tokenizer", tmp_path / "t.pt") == 0
    (sample,) = read_shard(out / "tokens-000000.tar")
    x = torch.from_numpy(array).permute(2, 0, 1)[None].float() / 127.5 - 1
    assert np.array_equal(sample.indices, model.tokenize(x)[0].numpy())
    assert (sample.key, sample.label, sample.size, sample.times) == ("a_b", "", (16, 16), ())


def test_parquet_is_the_same(images: Path, tmp_path: Path) -> None:
    tokenizer(tmp_path / "t.pt")
    for form in ("webdataset", "parquet"):
        words = ("tokenize", images, tmp_path / form, "--tokenizer", tmp_path / "t.pt")
        assert call(*words, "--format", form, "--crops", "2") == 0
    table = pyarrow.parquet.read_table(tmp_path / "parquet" / "tokens-000000.parquet")
    samples = list(read_shard(tmp_path / "webdataset" / "tokens-000000.tar"))
    assert table.column("key").to_pylist() == [sample.key for sample in samples]
    tokens = np.array(table.column("tokens").to_pylist())
    assert np.array_equal(tokens, [sample.indices.ravel() for sample in samples])
    again = list(read_shard(tmp_path / "parquet" / "tokens-000000.parquet"))
    assert [sample.fields() for sample in again] == [sample.fields() for sample in samples]
    assert np.array_equal(again[3].indices, samples[3].indices)
    a, b = TokenFolder(tmp_path / "webdataset"), TokenFolder(tmp_path / "parquet")
    assert torch.equal(a.indices, b.indices)
    assert a.classes == b.classes == ["bright", "dark"]


def test_videos_have_times_and_come_back(tmp_path: Path) -> None:
    model = tokenizer(tmp_path / "t.pt", frames=4)
    clip = make_clip(tmp_path / "in.mp4", ClipSpec(size=(48, 32), frames=10, gop=5))
    out, back = tmp_path / "tokens", tmp_path / "back"
    assert call("tokenize", clip, out, "--tokenizer", tmp_path / "t.pt") == 0
    samples = list(read_shard(out / "tokens-000000.tar"))
    assert [sample.key for sample in samples] == ["in-t000000", "in-t000004"]
    assert samples[0].indices.shape == (4, 2, 2)
    with av.open(clip) as container:
        times = [float(frame.time) for frame in container.decode(video=0) if frame.time is not None]
    assert samples[1].times == pytest.approx(times[4:8], abs=1e-6)
    assert call("detokenize", out, back, "--tokenizer", tmp_path / "t.pt") == 0
    with av.open(back / "in-t000004.mkv") as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 4
    pixels = model.detokenize(torch.from_numpy(samples[1].indices.astype(np.int64))[None])
    expected = ((pixels[0] + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 3, 0)
    assert np.array_equal(np.stack(frames), expected.numpy())
    limited = ("--clips", "1", "--fit", "whole")
    assert call("tokenize", clip, tmp_path / "w", "--tokenizer", tmp_path / "t.pt", *limited) == 0
    (sample,) = read_shard(tmp_path / "w" / "tokens-000000.tar")
    assert (sample.indices.shape, sample.size) == ((4, 4, 6), (32, 48))


@pytest.mark.parametrize("fit", ["whole", "tiles"])
def test_images_of_any_size_come_back(
    fit: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer(tmp_path / "t.pt")
    out, back, data = tmp_path / "tokens", tmp_path / "back", tmp_path / "data"
    shutil.copytree(images, data)
    Image.new("RGB", (70, 20), "green").save(data / "dark" / "wide.png")
    model = ("--tokenizer", tmp_path / "t.pt")
    assert call("tokenize", data, out, *model, "--fit", fit) == 0
    assert call("detokenize", out, back, *model) == 0
    for path in data.rglob("*.png"):
        with Image.open(path) as a, Image.open(back / path.relative_to(data)) as b:
            assert a.size == b.size
    assert call("detokenize", out, back, *model) == 2
    assert "has files in it: -y" in capsys.readouterr().err
    tokenizer(tmp_path / "other.pt", bits=12)
    assert call("detokenize", out, tmp_path / "x", "--tokenizer", tmp_path / "other.pt") == 1
    assert "another tokenizer" in capsys.readouterr().err
    with pytest.raises(UsageError, match="shapes: train on squares"):
        TokenFolder(out)


def test_an_interrupted_call_goes_on(images: Path, tmp_path: Path) -> None:
    model = tokenizer(tmp_path / "t.pt")
    sources = sources_of([images], videos=False)
    config = TokenizeConfig(crops=2, per_shard=2)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert tokenize(model, sources, whole, config) == 12
    polls = iter([False, False, False, True])
    with pytest.raises(KeyboardInterrupt):
        tokenize(model, sources, parts, config, cancelled=lambda: next(polls))
    assert [path.name for path in sorted(parts.iterdir())] == ["index.json", "tokens-000000.tar"]
    with pytest.raises(MediaError, match="not complete"):
        TokenFolder(parts)
    assert tokenize(model, sources, parts, config) == 12
    for path in sorted(whole.iterdir()):
        assert path.read_bytes() == (parts / path.name).read_bytes()
    assert tokenize(model, sources, parts, config) == 12  # nothing is left to do
    for wrong in (TokenizeConfig(crops=3, per_shard=2), TokenizeConfig(crops=2, per_shard=3)):
        with pytest.raises(UsageError, match="tokens of another call: settings differs"):
            tokenize(model, sources, parts, wrong)
    with pytest.raises(UsageError, match="another call: files differs"):
        tokenize(model, sources[1:], parts, config)
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.txt").touch()
    with pytest.raises(UsageError, match="not empty"):
        tokenize(model, sources, other, config)


def test_damaged_images(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokenizer(tmp_path / "t.pt")
    data, out = tmp_path / "data", tmp_path / "tokens"
    shutil.copytree(images, data)
    (data / "dark" / "1.png").write_bytes(b"no image")
    words = ("tokenize", data, out, "--tokenizer", tmp_path / "t.pt")
    assert call(*words) == 1
    assert "cannot be read as an image" in capsys.readouterr().err
    assert call(*words, "--skip-damaged") == 0
    said = capsys.readouterr()
    assert "skipped: " in said.err
    assert "5 samples of 6 files" in said.out
    assert json.loads((out / "index.json").read_text())["damaged"] == 1
    assert len(TokenFolder(out)) == 5


def read_good(out: Path, good: bytes) -> list[Sample]:
    (out / "good.tar").write_bytes(good)
    found = list(read_shard(out / "good.tar"))
    (out / "good.tar").unlink()
    return found


def write_tar(path: Path, key: str, indices: Indices, fields: dict[str, object]) -> None:
    """A shard as anybody may write one."""
    array = io.BytesIO()
    np.save(array, indices)
    with tarfile.open(path, "w") as archive:
        for suffix, data in (("npy", array.getvalue()), ("json", json.dumps(fields).encode())):
            member = tarfile.TarInfo(f"{key}.{suffix}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def test_damaged_shards(images: Path, tmp_path: Path) -> None:
    tokenizer(tmp_path / "t.pt")
    out = tmp_path / "tokens"
    assert call("tokenize", images, out, "--tokenizer", tmp_path / "t.pt") == 0
    shard, index = out / "tokens-000000.tar", json.loads((out / "index.json").read_text())
    good = shard.read_bytes()
    for spoilt in (good[:700], good.replace(b'"bits": 18', b'"bits": 17'), b""):
        shard.write_bytes(spoilt)
        with pytest.raises(MediaError, match=r"tokens"):
            TokenFolder(out)
    for field, value in (
        ("key", "../up"),
        ("rate", float("nan")),
        ("times", [1e400]),
        ("size", [1]),
    ):
        (sample, *_) = read_good(out, good)
        fields = {**sample.fields(), field: value}
        key = fields.pop("key")
        write_tar(shard, key, sample.indices, fields)
        with pytest.raises(MediaError, match="cannot be read as a shard"):
            list(read_shard(shard))
    shard.write_bytes(good)
    for wrong in ({}, {**index, "format": 9}, {**index, "samples": 4}, {**index, "bits": 12}):
        (out / "index.json").write_text(json.dumps(wrong))
        with pytest.raises(MediaError):
            TokenFolder(out)
    with pytest.raises(MediaError, match="holds no shards of tokens"):
        TokenFolder(images)


def test_priors_train_on_them(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same in two sessions as in one; the weights know their tokenizer and their classes."""
    model, out = tokenizer(tmp_path / "t.pt"), tmp_path / "tokens"
    options = ("--crops", "4", "--flips")
    assert call("tokenize", images, out, "--tokenizer", tmp_path / "t.pt", *options) == 0
    sets = ["width=16", "layers=1", "heads=2", "hidden=32"]
    small = [w for s in sets for w in ("--set", f"network.transformer.{s}")]
    small += ["--device", "cpu", "--threads", "1", "--batch", "4"]

    def train(task: str, run: str, *more: str | Path) -> int:
        words = ("train", task, f"small-{task}", "--tokens", out, "--run", tmp_path / run)
        return call(*words, *small, *more)

    assert train("prior", "whole", "--steps", "6") == 0
    assert train("prior", "parts", "--steps", "3", "--set", "run.warmup=100") == 0
    prior = load_model(tmp_path / "whole" / "weights.pt", ARPrior)
    assert prior.tokenizer_id == fingerprint(model)
    assert (prior.config.grid, prior.config.tokens.bits) == ((2, 2), 18)
    assert train("masked-lm", "lm", "--steps", "2", "--tokenizer", tmp_path / "t.pt") == 0
    assert load_model(tmp_path / "lm" / "weights.pt", MaskedLM).labels == ("bright", "dark")
    capsys.readouterr()
    tokenizer(tmp_path / "other.pt", bits=12)
    assert train("prior", "x", "--tokenizer", tmp_path / "other.pt") == 1
    assert "another tokenizer" in capsys.readouterr().err
    assert train("prior", "x", "--skip-damaged") == 2
    assert train("prior", "x", "--set", "network.grid=4,4") == 2
    assert "with this tokenizer it is (2, 2)" in capsys.readouterr().err
    batches = TokenFolder(out).batches(BatchConfig(batch=4), 7, 0, 1)
    halves = [TokenFolder(out).batches(BatchConfig(batch=4), 7, rank, 2) for rank in (0, 1)]
    both = torch.cat([half.draw(3)[0] for half in halves])
    assert torch.equal(batches.draw(3)[0], both)
    assert not torch.equal(batches.draw(3)[0], batches.draw(4)[0])


def test_mirrored_images_are_asked_for(images: Path, tmp_path: Path) -> None:
    tokenizer(tmp_path / "t.pt")
    out = tmp_path / "tokens"
    assert call("tokenize", images, out, "--tokenizer", tmp_path / "t.pt") == 0
    words = ("train", "masked-lm", "small-masked-lm", "--tokens", out, "--run", tmp_path / "r")
    assert call(*words, "--set", "data.flip=true") == 2


def test_two_sources_of_one_key_are_refused(images: Path) -> None:
    with pytest.raises(UsageError, match="would have one key"):
        sources_of([images, images], videos=False)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        sources_of([images / "none"], videos=False)
