"""Runs of the paper's networks: batches in parts, validation, kept weights, public checkpoints."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

import numpy as np
import torch

from bsqav.cli.main import main
from bsqav.errors import UsageError
from bsqav.nn import (
    ARPrior,
    ARPriorConfig,
    BSQConfig,
    BSQViT,
    SubTokens,
    TransformerConfig,
    ViTConfig,
    load_model,
    load_published,
)
from bsqav.recipes.paper import Recipe
from bsqav.recipes.starting import start
from bsqav.training.paper.images import BatchConfig
from bsqav.training.paper.loop import PhaseConfig, PhaseTrainer
from bsqav.training.paper.phases import TokenizerLoss
from tests.nn import published_vectors as recorded
from tests.support import one_torch_thread

one_thread = pytest.fixture(autouse=True, scope="module")(one_torch_thread)
NETS = TransformerConfig(width=32, layers=1, heads=2, hidden=64)
RUN = PhaseConfig(steps=6, lr=3e-3, warmup=2, bf16=False, threads=1, log_steps=1, ema=0.5)
LOSS = TokenizerLoss(lpips=0.0, gan=0.0, ramp_steps=5)


def recipe(**changes: object) -> Recipe:
    network = ViTConfig(NETS, BSQConfig(12, group_size=3), (16, 16), head=64)
    made = Recipe(network, BatchConfig(16, batch=8), RUN, LOSS)
    return replace(made, **changes)  # type: ignore[arg-type]


def lines(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def gradients(trainer: PhaseTrainer) -> dict[str, torch.Tensor]:
    """Of the first step."""
    trainer.open_stream()
    trainer.net.train()
    trainer.advance()
    return {n: p.grad.clone() for n, p in trainer.net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("accumulate", [2, 4, 8])
def test_a_batch_in_parts_has_the_gradients_of_the_whole(
    accumulate: int, images: Path, tmp_path: Path
) -> None:
    """That of the batch's entropy too, which is no mean over parts."""
    whole = start(recipe(), images, tmp_path / "whole", device="cpu")
    run = replace(RUN, accumulate=accumulate)
    parts = start(recipe(run=run), images, tmp_path / "parts", device="cpu")
    expected, found = gradients(whole), gradients(parts)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-6)
    for name in ("loss", "pixel", "batch_bits", "sample_bits"):
        torch.testing.assert_close(parts.figures[name], whole.figures[name])


def test_priors_in_parts(images: Path, tmp_path: Path) -> None:
    BSQViT(ViTConfig(NETS, BSQConfig(12), (16, 16), head=64)).save_pretrained(tmp_path / "t")
    network = ARPriorConfig(NETS, SubTokens(12, 4), (2, 2))
    found = []
    for accumulate in (1, 4):
        made = recipe(network=network, run=replace(RUN, accumulate=accumulate))
        folder = tmp_path / str(accumulate)
        trainer = start(made, images, folder, device="cpu", tokenizer=tmp_path / "t")
        found.append(gradients(trainer))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-3, atol=1e-6)


def test_adversaries_in_parts(images: Path, tmp_path: Path) -> None:
    loss = replace(LOSS, gan=0.1, r1_every=2)
    made = recipe(loss=loss, run=replace(RUN, accumulate=4), channels=64)
    start(made, images, tmp_path, device="cpu").train(lambda _: None)
    found = lines(tmp_path / "log.jsonl")
    assert len(found) == 6
    assert all(line["gan"] > 0 and line["discriminator"] > 0 for line in found)
    assert sum("r1" in line for line in found) == 3
    with pytest.raises(UsageError, match="does not divide into 3 parts"):
        start(recipe(run=replace(RUN, accumulate=3)), images, tmp_path / "x", device="cpu")


def test_validation_keeps_the_best(images: Path, tmp_path: Path) -> None:
    run = replace(RUN, steps=12, validate_steps=3, keep=2)
    said: list[str] = []
    trainer = start(recipe(run=run), images, tmp_path, device="cpu", validate=images)
    trainer.train(said.append)
    found = lines(tmp_path / "validation.jsonl")
    assert [line["step"] for line in found] == [3, 6, 9, 12]
    assert sum("validation: psnr" in line for line in said) == 4
    best = max(line["psnr"] for line in found)
    assert trainer.validation is not None
    assert trainer.validation.best == pytest.approx(best)
    figures = trainer.validation.figures(
        trainer.phase, load_model(tmp_path / "best.pt", BSQViT), bf16=False
    )
    assert figures["psnr"] == pytest.approx(best, abs=1e-4)
    longer = replace(run, steps=15, validate_steps=100)
    again = start(recipe(run=longer), images, tmp_path, device="cpu", validate=images)
    assert again.resume()
    assert again.validation is not None
    assert again.validation.best == pytest.approx(best)
    again.train(lambda _: None)
    kept = sorted(path.name for path in tmp_path.glob("weights-*.pt"))
    assert kept == ["weights-00000012.pt", "weights-00000015.pt"]
    last, same = load_model(tmp_path / "weights.pt"), load_model(tmp_path / kept[-1])
    assert all(map(torch.equal, last.parameters(), same.parameters()))


def test_validation_from_the_command_line(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    BSQViT(ViTConfig(NETS, BSQConfig(12), (16, 16), head=64)).save_pretrained(tmp_path / "t")
    options = ["--steps", "4", "--batch", "2", "--device", "cpu", "--threads", "1"]
    options += ["--set", "run.validate_steps=2", "--set", "network.transformer.layers=1"]
    prior = ["train", "prior", "small-prior", "--run", str(tmp_path / "p"), *options]
    model = ["--tokenizer", str(tmp_path / "t")]
    data = ["--data", str(images), "--validate", str(images)]
    assert main([*prior, *data, *model]) == 0
    assert "validation: bits_per_token" in capsys.readouterr().err
    assert load_model(tmp_path / "p" / "best.pt", ARPrior).tokenizer_id
    for name in ("a", "b"):
        assert main(["tokenize", str(images), str(tmp_path / name), *model]) == 0
    tokens = ["--tokens", str(tmp_path / "a"), "--validate", str(tmp_path / "b")]
    prior[4] = str(tmp_path / "q")
    assert main([*prior, *tokens]) == 0
    assert len(lines(tmp_path / "q" / "validation.jsonl")) == 2
    one = tmp_path / "one" / "bright"
    one.mkdir(parents=True)
    (one / "a.png").write_bytes((images / "bright" / "0.png").read_bytes())
    lm = ["train", "masked-lm", "small-masked-lm", "--run", str(tmp_path / "lm"), *options, *model]
    assert main([*lm, "--data", str(images), "--validate", str(tmp_path / "one")]) == 2
    assert "has other classes" in capsys.readouterr().err


def test_fine_tuning_a_public_checkpoint(images: Path, tmp_path: Path) -> None:
    """With the program's conventions: its order of bits, its sign of zero, its gradients."""
    checkpoint = tmp_path / "public.pt"
    torch.save({"state_dict": recorded.weights(18)}, checkpoint)
    known = load_published(checkpoint)

    def begun(made: Recipe, folder: str) -> PhaseTrainer:
        given = {"device": "cpu", "weights": checkpoint, "published": True}
        return start(made, images, tmp_path / folder, **given)  # type: ignore[arg-type]

    trainer = begun(recipe(), "run")
    assert trainer.net.config == known.config
    x = recorded.image()
    assert isinstance(trainer.net, BSQViT)
    assert torch.equal(trainer.net.tokenize(x), known.tokenize(x))
    trainer.train(lambda _: None)
    found = load_model(tmp_path / "run" / "weights.pt", BSQViT)
    assert found.config == known.config
    assert isinstance(found.config.quantizer, BSQConfig)
    assert found.config.quantizer.most_first
    with pytest.raises(UsageError, match="the network is that of the checkpoint"):
        begun(recipe(given=frozenset({"network.head"})), "x")
    with pytest.raises(UsageError, match="--published is for"):
        start(recipe(), images, tmp_path / "y", device="cpu", published=True)


def test_images_and_videos_in_one_run(images: Path, tmp_path: Path) -> None:
    """Steps of either kind by the seed alone; a video tokenizer takes both."""
    videos = tmp_path / "videos"
    videos.mkdir()
    samples = np.random.default_rng(4).integers(0, 256, (4, 6, 16 * 16 * 3 // 2), np.uint8)
    for number, clip in enumerate(samples):
        clip.tofile(videos / f"{number}_16x16_25fps.yuv")
    network = ViTConfig(NETS, BSQConfig(12), (16, 16), frames=4, head=64)
    data = BatchConfig(16, frames=4, batch=2, image_share=0.5)
    made = recipe(network=network, data=data, run=replace(RUN, steps=16))
    trainer = start(made, videos, tmp_path / "run", device="cpu", stills=images)
    frames = [trainer.batches.draw(step)[0].shape[2] for step in range(200)]
    assert set(frames) == {1, 4}
    assert 70 < frames.count(1) < 130
    assert torch.equal(trainer.batches.draw(7)[0], trainer.batches.draw(7)[0])
    trainer.train(lambda _: None)
    assert len(lines(tmp_path / "run" / "log.jsonl")) == 16
    for wrong, message in (
        (replace(made, data=replace(data, image_share=0.0)), "between 0 and 1"),
        (replace(made, loss=replace(LOSS, gan=0.1), discriminator="clip"), "takes no images"),
        (recipe(), "for tokenizers of videos"),
    ):
        folder = images if wrong.data.frames == 1 else videos
        with pytest.raises(UsageError, match=message):
            start(wrong, folder, tmp_path / "x", device="cpu", stills=images)
