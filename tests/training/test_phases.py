"""Training of the paper's networks: data from folders, every phase, resuming, generating."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from PIL import Image

from bsqav.cli.main import main
from bsqav.errors import MediaError, ModelError, UsageError
from bsqav.evaluation.research.generation import Generator
from bsqav.nn.paper.arprior import ARPrior, ARPriorConfig
from bsqav.nn.paper.attention import TransformerConfig
from bsqav.nn.paper.bsqvit import BSQViT, ViTConfig
from bsqav.nn.paper.discriminators import ClipDiscriminator, PatchDiscriminator
from bsqav.nn.paper.fingerprints import fingerprint
from bsqav.nn.paper.maskedlm import MaskedLM, MaskedLMConfig
from bsqav.nn.paper.quantizers import BSQConfig
from bsqav.nn.paper.store import load_model, save_model
from bsqav.nn.paper.subtokens import SubTokens
from bsqav.nn.paper.tokencoding import compress, decompress
from bsqav.recipes.paper import RECIPES, Recipe, configured
from bsqav.recipes.starting import start
from bsqav.training.paper.images import (
    BatchConfig,
    MediaFolder,
    StepBatches,
)
from bsqav.training.paper.loop import PhaseConfig
from bsqav.training.paper.phases import TokenizerLoss
from tests.support import ROOT, one_torch_thread

one_thread = pytest.fixture(autouse=True, scope="module")(one_torch_thread)
NETS = TransformerConfig(width=32, layers=1, heads=2, hidden=64)
RUN = PhaseConfig(steps=30, lr=3e-3, warmup=5, bf16=False, threads=1, log_steps=5, ema=0.5)
LOSS = TokenizerLoss(lpips=0.0, gan=0.0, ramp_steps=5)


def tokenizer_recipe(**changes: Any) -> Recipe:
    network = ViTConfig(NETS, BSQConfig(12), (16, 16), head=64)
    return replace(Recipe(network, BatchConfig(16, batch=4), RUN, LOSS), **changes)


@pytest.fixture(scope="module")
def tokenizer(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer's file."""
    folder = tmp_path_factory.mktemp("tokenizer")
    start(tokenizer_recipe(), images, folder, device="cpu").train(lambda _: None)
    return folder / "weights.pt"


def logged(folder: Path, name: str) -> list[float]:
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)[name] for line in lines]


# ---- phases ----


def test_a_tokenizer_learns(tokenizer: Path, images: Path) -> None:
    folder = tokenizer.parent
    pixel = logged(folder, "pixel")
    assert len(pixel) == 6 and pixel[-1] < 0.5 * pixel[0]
    model = load_model(tokenizer)
    assert isinstance(model, BSQViT)
    assert model.labels == ("bright", "dark")
    pixels, _ = StepBatches(MediaFolder(images), BatchConfig(16, batch=4), 1)[0]
    x = pixels.float() / 127.5 - 1
    assert (model(x).pixels - x).square().mean() < x.square().mean()


def test_an_interrupted_run_goes_on_as_if_it_were_not(images: Path, tmp_path: Path) -> None:
    recipe = tokenizer_recipe(loss=replace(LOSS, gan=0.1, r1_every=4), channels=64)
    whole = start(recipe, images, tmp_path / "whole", device="cpu")
    whole.train(lambda _: None)
    short = replace(recipe, run=replace(RUN, minutes=1e-9))
    for step in range(1, 3):  # a step a session
        part = start(short, images, tmp_path / "parts", device="cpu")
        assert part.resume() == (step > 1)
        part.progress.elapsed = 0.0
        part.train(lambda _: None)
        assert part.progress.step == step
    rest = start(recipe, images, tmp_path / "parts", device="cpu")
    assert rest.resume()
    rest.train(lambda _: None)
    for left, right in ((whole.net, rest.net), (whole.average, rest.average)):
        for a, b in zip(left.parameters(), right.parameters(), strict=True):
            assert torch.equal(a, b)
    assert len(logged(tmp_path / "whole", "discriminator")) == 6
    other = tokenizer_recipe(network=ViTConfig(NETS, BSQConfig(6), (16, 16), head=64))
    with pytest.raises(ModelError, match=r"another configuration: .*bits was 12, is now 6"):
        start(other, images, tmp_path / "parts", device="cpu").resume()


def test_bfloat16_and_checkpointing(images: Path, tmp_path: Path) -> None:
    """The number format and memory of large runs, with an adversary and R1."""
    network = ViTConfig(replace(NETS, checkpointing=True), BSQConfig(12), (16, 16), head=64)
    run = replace(RUN, steps=12, bf16=True, log_steps=4)
    loss = replace(LOSS, gan=0.1, r1_every=4)
    recipe = tokenizer_recipe(network=network, run=run, loss=loss, channels=64)
    start(recipe, images, tmp_path, device="cpu").train(lambda _: None)
    assert len(logged(tmp_path, "r1")) == 3
    assert all(np.isfinite(logged(tmp_path, name)).all() for name in ("pixel", "gan", "real"))
    assert logged(tmp_path, "pixel")[-1] < logged(tmp_path, "pixel")[0]


def test_patchgan_as_the_adversary(images: Path, tmp_path: Path) -> None:
    network = ViTConfig(NETS, BSQConfig(12), (32, 32), head=64)
    loss, run = replace(LOSS, gan=0.1, r1_every=2), replace(RUN, steps=4, log_steps=2)
    data = BatchConfig(32, batch=2)
    recipe = tokenizer_recipe(network=network, data=data, run=run, loss=loss, discriminator="patch")
    trainer = start(recipe, images, tmp_path, device="cpu")
    assert isinstance(trainer.phase.discriminator, PatchDiscriminator)
    weight = next(trainer.phase.discriminator.parameters())
    before = weight.detach().clone()
    trainer.train(lambda _: None)
    assert not torch.equal(weight, before)
    assert np.isfinite(logged(tmp_path, "r1")).all()
    assert (
        configured("small-image-gan", "tokenizer", discriminator="patch").discriminator == "patch"
    )
    with pytest.raises(UsageError, match="no adversary"):
        configured("small-image", "tokenizer", discriminator="patch")


def test_a_discriminator_of_clips_as_the_adversary(images: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    samples = np.random.default_rng(4).integers(0, 256, (4, 6, 16 * 16 * 3 // 2), np.uint8)
    for number, clip in enumerate(samples):
        clip.tofile(videos / f"{number}_16x16_25fps.yuv")
    network = ViTConfig(NETS, BSQConfig(12), (16, 16), frames=4, head=64)
    loss, run = replace(LOSS, gan=0.1, r1_every=2), replace(RUN, steps=4, log_steps=2)
    data = BatchConfig(16, frames=4, batch=2)
    recipe = tokenizer_recipe(network=network, data=data, run=run, loss=loss, discriminator="clip")
    trainer = start(replace(recipe, channels=128), videos, tmp_path, device="cpu")
    assert isinstance(trainer.phase.discriminator, ClipDiscriminator)
    trainer.train(lambda _: None)
    assert np.isfinite(logged(tmp_path, "r1") + logged(tmp_path, "gan")).all()
    of_images = tokenizer_recipe(loss=loss, discriminator="clip")
    with pytest.raises(UsageError, match="for tokenizers of videos"):
        start(of_images, images, tmp_path / "images", device="cpu")


def test_a_video_tokenizer_starts_from_an_image_tokenizer(
    tokenizer: Path, tmp_path: Path, images: Path
) -> None:
    recipe = tokenizer_recipe()
    assert isinstance(recipe.network, ViTConfig)
    video = replace(recipe, network=replace(recipe.network, frames=3))
    trainer = start(video, images, tmp_path, device="cpu", weights=tokenizer)
    image = load_model(tokenizer)
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    assert isinstance(trainer.net, BSQViT) and isinstance(image, BSQViT)
    torch.testing.assert_close(trainer.net.latents(x), image.latents(x))
    wrong = replace(recipe, network=ViTConfig(NETS, BSQConfig(6), (16, 16)))
    with pytest.raises(ModelError, match="another configuration"):
        start(wrong, images, tmp_path, device="cpu", weights=tokenizer)


def test_a_prior_saves_bits(tokenizer: Path, images: Path, tmp_path: Path) -> None:
    recipe = Recipe(ARPriorConfig(NETS, SubTokens(12, 4)), BatchConfig(16, batch=4), RUN)
    start(recipe, images, tmp_path, device="cpu", tokenizer=tokenizer).train(lambda _: None)
    bits = logged(tmp_path, "bits_per_token")
    assert bits[-1] < 0.8 * 12 and bits[-1] < bits[0]
    prior = load_model(tmp_path / "weights.pt")
    model = load_model(tokenizer)
    assert isinstance(model, BSQViT)
    assert isinstance(prior, ARPrior) and prior.config.grid == (2, 2)
    pixels, _ = StepBatches(MediaFolder(images), BatchConfig(16, batch=8), 7)[0]
    indices = model.tokenize(pixels.float() / 127.5 - 1)
    data = compress(prior, indices)
    assert torch.equal(decompress(prior, data), indices)
    with pytest.raises(UsageError, match="name its file"):
        start(recipe, images, tmp_path, device="cpu")
    other = replace(recipe, network=ARPriorConfig(NETS, SubTokens(18, 9)))
    with pytest.raises(UsageError, match="tokens of 12 bits do not divide into groups of 9"):
        start(other, images, tmp_path, device="cpu", tokenizer=tokenizer)


def test_models_know_their_tokenizer(tokenizer: Path, images: Path, tmp_path: Path) -> None:
    """And refuse another of the same size, when resumed, in streams and where both are used."""
    model = load_model(tokenizer)
    assert isinstance(model, BSQViT)
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] += 1e-3
    other = tmp_path / "other.pt"
    save_model(other, model)
    networks = (ARPriorConfig(NETS, SubTokens(12, 4)), MaskedLMConfig(NETS, SubTokens(12, 4)))
    for network in networks:
        recipe = Recipe(network, BatchConfig(16, batch=4), replace(RUN, steps=1))
        folder = tmp_path / type(network).__name__
        start(recipe, images, folder, device="cpu", tokenizer=tokenizer).train(lambda _: None)
        found = load_model(folder / "weights.pt")
        assert isinstance(found, ARPrior | MaskedLM)
        assert found.tokenizer_id == fingerprint(load_model(tokenizer))
        assert start(recipe, images, folder, device="cpu", tokenizer=tokenizer).resume()
        with pytest.raises(UsageError, match=r"tokenizer was .*, is now"):
            start(recipe, images, folder, device="cpu", tokenizer=other).resume()
    lm, prior = tmp_path / "MaskedLMConfig", tmp_path / "ARPriorConfig"
    Generator(lm / "weights.pt", tokenizer)
    with pytest.raises(ModelError, match=r"weights\.pt is of the tokens of another tokenizer"):
        Generator(lm / "weights.pt", other)
    words = ["eval", "compression", str(images), "--prior", str(prior / "weights.pt")]
    words += ["--crf", "--limit", "1", "--tokenizer"]
    assert main([*words, str(tokenizer)]) == 0
    assert main([*words, str(other)]) == 1


def test_generate(
    tokenizer: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Images of a class are of the class, from the command line."""
    network = MaskedLMConfig(replace(NETS, pre_norm=False), SubTokens(12, 4))
    run = replace(RUN, steps=150, lr=5e-3)
    recipe = Recipe(network, BatchConfig(16, batch=8), run)
    start(recipe, images, tmp_path, device="cpu", tokenizer=tokenizer).train(lambda _: None)
    assert logged(tmp_path, "loss")[-1] < logged(tmp_path, "loss")[0]
    weights, out = str(tmp_path / "weights.pt"), tmp_path / "out"
    common = ["generate", weights, "--tokenizer", str(tokenizer), "--steps", "4"]
    common += ["--temperature", "1", "--count", "8"]
    means = {}
    for name in ("bright", "dark"):
        assert main([*common, str(out / name), "--class", name]) == 0
        files = sorted((out / name).iterdir())
        assert len(files) == 8
        means[name] = np.mean([np.asarray(Image.open(path)).mean() for path in files])
    assert means["bright"] > means["dark"] + 40
    grid = tmp_path / "grid.png"
    assert main([*common, str(grid), "--class", "all", "--columns", "4"]) == 0
    assert Image.open(grid).size == (64, 32)
    capsys.readouterr()
    assert main([*common, str(grid), "--class", "cat"]) == 2
    assert "there are bright, dark" in capsys.readouterr().err
    assert main(["generate", str(tokenizer), "--tokenizer", str(tokenizer), str(grid)]) == 1
    assert "no masked language model" in capsys.readouterr().err


def test_a_phase_skips_damaged_pictures_and_counts_them(images: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for path in images.glob("dark/*.png"):
        (data / path.name).write_bytes(path.read_bytes())
    (data / "9.png").write_bytes(b"no image")
    recipe = tokenizer_recipe(run=replace(RUN, steps=10))
    run = tmp_path / "run"
    with pytest.raises(MediaError, match=r"9\.png"):
        start(recipe, data, run, device="cpu").train(lambda _: None)
    said: list[str] = []
    trainer = start(recipe, data, run, device="cpu", skip_damaged=True)
    trainer.resume()  # what cannot be read is no reason not to
    trainer.train(said.append)
    assert logged(run, "damaged")[-1] == 1
    assert [line for line in said if "cannot be read: skipped" in line] == [said[0]]


def test_a_phase_says_the_matrix_of_raw_videos(images: Path, tmp_path: Path) -> None:
    for lines in (16, 720):
        (tmp_path / f"a_16x{lines}_25fps.yuv").write_bytes(bytes(4 * 16 * lines * 3 // 2))
    recipe = tokenizer_recipe(data=BatchConfig(16, frames=2, batch=1))
    assert isinstance(recipe.network, ViTConfig)
    recipe = replace(recipe, network=replace(recipe.network, frames=2), run=replace(RUN, steps=1))
    said: list[str] = []
    start(recipe, tmp_path, tmp_path / "run", device="cpu").train(said.append)
    assert said[0] == "raw videos: 1 by BT.709, 1 by BT.601"
    other = start(recipe, tmp_path, tmp_path / "run", device="cpu", matrix="bt601")
    with pytest.raises(UsageError, match=r"matrix was 1 by BT\.709, .* is now 2 by BT\.601"):
        other.resume()


# ---- files, recipes, processes ----


def test_model_files(tokenizer: Path, tmp_path: Path) -> None:
    state = torch.load(tokenizer, weights_only=True)
    path = tmp_path / "model.pt"
    save_model(path, ARPrior(ARPriorConfig(NETS, SubTokens(12, 4), (2, 2))))
    assert getattr(load_model(path), "tokenizer_id", None) == ""
    prior_file = path.rename(tmp_path / "prior.pt")
    prior = torch.load(prior_file, weights_only=True)
    wrong: list[Any] = [
        {},
        [1],
        {**state, "format": 1},
        {**state, "kind": "x"},
        {**state, "config": {}},
        {**state, "config": {**state["config"], "patch": "8"}},
        {**state, "config": {**state["config"], "patch": 10**9}},
        {**state, "config": {**state["config"], "head": 10**15}},
        {**state, "weights": {}},
        {**state, "labels": 3},
        {**prior, "tokenizer": "no digits"},
    ]
    for content in wrong:
        torch.save(content, path)
        with pytest.raises(ModelError, match=r"model\.pt"):
            load_model(path)
    with pytest.raises(ModelError, match="holds no tokenizer, but kind 'ar-prior'"):
        load_model(prior_file, BSQViT)
    with pytest.raises(UsageError, match="Linear is none of"):
        save_model(path, torch.nn.Linear(1, 1))


@pytest.mark.parametrize("name", RECIPES)
def test_recipes(name: str) -> None:
    """Every recipe's networks can be made; the paper's rates follow the batch."""
    recipe = RECIPES[name]()
    recipe.network.check()
    made = configured(name, recipe.task, 2 * recipe.data.batch, {"steps": 7})
    assert made.run.steps == 7 and made.data.batch == 2 * recipe.data.batch
    if recipe.base_lr:
        assert made.run.lr == pytest.approx(2 * recipe.base_lr * recipe.data.batch)
    with pytest.raises(UsageError, match="no recipe"):
        configured(name, "prior" if recipe.task != "prior" else "tokenizer")


def test_the_rate_is_half_a_cosine() -> None:
    run = PhaseConfig(steps=1100, warmup=100, lr_start=0.1, lr_end=0.5)
    rates = [run.rate(step) for step in (0, 50, 100, 600, 1100)]
    assert rates == pytest.approx([0.1, 0.55, 1.0, 0.75, 0.5])


def test_train_from_the_command_line(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--data", str(images), "--device", "cpu", "--threads", "1"]
    run = str(tmp_path / "image")
    small = ["--steps", "2", "--batch", "2"]
    words = ["train", "tokenizer", "small-image", "--run", run, *common, *small]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "--lpips TRUNK HEADS" in said and "--no-lpips" in said
    assert main([*words, "--no-lpips", "--lpips", run]) == 2
    assert main([*words, "--no-lpips"]) == 0
    weights = str(tmp_path / "image" / "weights.pt")
    prior = ["train", "prior", "small-prior", "--run", str(tmp_path / "prior"), *common, *small]
    assert main([*prior, "--tokenizer", weights]) == 0
    assert main([*prior, "--tokenizer", weights, "--no-graphs"]) == 2
    assert main([*prior[:2], "small-image", *prior[3:], "--tokenizer", weights]) == 2
    assert main(["train", "tokenizer", "codec-smoke", "--run", run, *common, "--list", run]) == 2
    capsys.readouterr()
    words[2] = "codec-smoke"
    assert main([*words, "--no-lpips"]) == 2
    assert "--no-lpips is for recipes of the paper" in capsys.readouterr().err
    with pytest.raises(UsageError, match="no part of this recipe's loss"):
        start(tokenizer_recipe(), images, tmp_path / "x", device="cpu", lpips=(Path(weights),))


LONG = replace(RUN, steps=100, lr=1e-3, log_steps=10)
SCRIPT = """
import sys
from tests.training.test_phases import *
run = replace(LONG, steps=int(sys.argv[3]), sharded=sys.argv[4] == "fsdp")
loss = replace(LOSS, gan=0.05, r1_every=4)
recipe = tokenizer_recipe(run=run, loss=loss, channels=64)
trainer = start(recipe, Path(sys.argv[1]), Path(sys.argv[2]), device="cpu")
trainer.resume()
trainer.train(lambda _: None)
trainer.place.leave()
"""


def processes(count: int, *arguments: str | Path) -> None:
    """Runs SCRIPT in as many processes, with torchrun's variables."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    base = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *(str(argument) for argument in arguments)],
            env={**base, "WORLD_SIZE": str(count), "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=ROOT,
        )
        for rank in range(count)
    ]
    assert [process.wait(300) for process in running] == [0] * count


@pytest.mark.slow
@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_two_processes_follow_one(images: Path, tmp_path: Path, way: str) -> None:
    """Over gloo: the same losses over 100 steps at an equal global batch, and one goes on."""
    processes(1, images, tmp_path / "one", "100", "ddp")
    processes(2, images, tmp_path / "two", "100", way)
    for name in ("pixel", "sample_bits"):  # the discriminator looks at a process's batch
        np.testing.assert_allclose(
            logged(tmp_path / "two", name), logged(tmp_path / "one", name), rtol=0.01
        )
    processes(1, images, tmp_path / "two", "120", "ddp")
    assert len(logged(tmp_path / "two", "pixel")) == 12
    model = load_model(tmp_path / "two" / "weights.pt")
    assert isinstance(model, BSQViT)
