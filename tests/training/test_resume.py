"""Runs that are interrupted, repeated, measured, or spread over processes."""

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from bsqav.recipes.check import CodecCheck
from bsqav.recipes.codec import codec_smoke
from bsqav.training.codec.data import held_out
from bsqav.training.codec.loop import TrainConfig, Trainer
from tests.training.models import smoke, train


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "log.jsonl").read_text().splitlines()]


def tiny(steps: int) -> TrainConfig:
    config = smoke(steps=steps, quant_from=0.7)
    return replace(config, data=replace(config.data, size=32, frames=2))


def test_the_first_200_steps_repeat(shards: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        train(tiny(200), shards, tmp_path / name)
    first, second = losses(tmp_path / "first"), losses(tmp_path / "second")
    assert len(first) == len(second) >= 200
    assert first == pytest.approx(second, rel=1e-3)


@pytest.mark.parametrize("batched", [False, True])
def test_a_resumed_run_meets_the_uninterrupted_one(
    shards: Path, tmp_path: Path, batched: bool
) -> None:
    config = replace(tiny(48), batched=batched)
    train(config, shards, tmp_path / "whole")
    trainer = Trainer(config, shards, tmp_path / "parts")

    begin = trainer.advance

    def until_20() -> None:
        if trainer.progress.step >= 20:
            trainer.run.cancelled = lambda: True
        begin()

    trainer.advance = until_20  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        trainer.train(lambda line: None)
    before = len(losses(tmp_path / "parts"))
    assert 20 <= before < 48
    train(config, shards, tmp_path / "parts")
    whole, parts = losses(tmp_path / "whole"), losses(tmp_path / "parts")
    assert parts == pytest.approx(whole, rel=1e-3)


def test_a_run_measures_itself_with_the_codec(shards: Path, tmp_path: Path) -> None:
    config = tiny(12)
    config = replace(config, data=replace(config.data, hold_out=1), check_minutes=1e-6)
    check = CodecCheck(held_out(shards, 1), (20.0, 40.0))
    said: list[str] = []
    trainer = Trainer(config, shards, tmp_path / "checked", check)
    trainer.train(said.append)
    records = (tmp_path / "checked" / "checks.jsonl").read_text().splitlines()
    figures = json.loads(records[-1])
    assert figures["check/psnr_y crf 20"] > figures["check/psnr_y crf 40"] > 10
    assert figures["check/bpp crf 20"] > figures["check/bpp crf 40"] > 0
    assert any("measured" in line for line in said)
    # Measuring leaves the run as it is.
    train(replace(config, check_minutes=float("inf")), shards, tmp_path / "plain")
    assert losses(tmp_path / "plain") == losses(tmp_path / "checked")


def test_a_run_from_weights_counts_the_rate_at_once(shards: Path, tmp_path: Path) -> None:
    train(tiny(12), shards, tmp_path / "first")
    trainer = Trainer(tiny(20), shards, tmp_path / "second")
    assert trainer._rate_share() == 0.0
    trainer.start_from(tmp_path / "first" / "weights.pt")
    assert trainer._rate_share() == 1.0 and trainer._schedule().rate < 1.0
    trainer.save()
    again = Trainer(tiny(20), shards, tmp_path / "second")
    assert again.resume() and again._rate_share() == 1.0


def test_the_command_trains_in_the_given_folder(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from bsqav.cli.main import main

    run = tmp_path / "run"
    words = ["train", "tokenizer", "codec-smoke", "--data", str(shards), "--run", str(run)]
    words += ["--threads", "1", "--device", "cpu"]
    assert main([*words, "--steps", "4", "--batched", "--batch", "1"]) == 0
    assert (run / "weights.pt").exists()
    assert main([*words, "--batch", "0"]) == 2
    assert "--batch 0: more than 0" in capsys.readouterr().err


def test_keyframe_networks_on_the_command_line(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from bsqav.cli.main import main

    missing = str(tmp_path / "none.pt")
    words = ["train", "tokenizer", "codec-smoke", "--data", str(shards), "--run", str(tmp_path)]
    assert main([*words, "--device", "cpu", "--keyframes", missing]) == 2
    assert "--keyframes is for recipes" in capsys.readouterr().err
    words[2] = "small-image"
    assert main([*words, "--keyframes", missing]) == 2
    assert "--keyframes is for the codec's own recipes" in capsys.readouterr().err

    trainer = train(replace(tiny(2), quant_from=0.0), shards, tmp_path / "run")
    assert trainer.progress.quant
    weights, model = tmp_path / "run" / "weights.pt", tmp_path / "x.bsqm"
    words = ["train", "export", str(tmp_path / "run"), str(model), "--name", "x"]
    assert main([*words, "--keyframes", missing]) != 0 and not model.exists()
    assert main([*words, "--keyframes", str(weights)]) == 0
    assert model.exists()


def test_a_signal_ends_the_command_between_two_steps(
    shards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from bsqav.cli.main import main

    begin = Trainer.advance

    def interrupted_in_the_second(trainer: Trainer) -> None:
        if trainer.progress.step > 0:
            signal.raise_signal(signal.SIGTERM)
        begin(trainer)

    monkeypatch.setattr(Trainer, "advance", interrupted_in_the_second)
    before = signal.getsignal(signal.SIGTERM)
    words = ["train", "tokenizer", "codec-smoke", "--data", str(shards), "--run", str(tmp_path)]
    assert main([*words, "--device", "cpu", "--threads", "1", "--batch", "1"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "bsqav: interrupted"
    assert signal.getsignal(signal.SIGTERM) is before
    config = replace(codec_smoke(), device="cpu")
    trainer = Trainer(replace(config, data=replace(config.data, batch=1)), shards, tmp_path)
    assert trainer.resume()
    assert trainer.progress.step == len(losses(tmp_path)) > 1


SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from bsqav.recipes.codec import codec_smoke
from tests.training.models import train
from bsqav.training.codec.loop import Trainer
config = codec_smoke()
data = replace(config.data, size=32, frames=2, batch=1)
config = replace(config, data=data, steps=12, threads=1, device="cpu", rate_from=-1, rate_full=0)
trainer = Trainer(config, Path(sys.argv[1]), Path(sys.argv[2]))
trainer.train(lambda line: None)
weights = torch.cat([p.detach().flatten() for p in trainer.net.parameters()])
torch.save((weights, trainer.net.prior.feature.scale), f"{sys.argv[2]}/rank{trainer.place.rank}.pt")
trainer.place.leave()
"""


def test_two_processes_train_the_same_weights(shards: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    known = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    command = [sys.executable, "-c", SCRIPT, str(shards), str(tmp_path)]
    path = os.pathsep.join(sys.path)
    both = [
        subprocess.Popen(
            command, env={**os.environ, **known, "RANK": str(rank), "PYTHONPATH": path}
        )
        for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["progress"]["step"] >= 12
    assert len(losses(tmp_path)) == state["progress"]["step"]  # one of them wrote


def test_boards_are_written_where_tensorboard_is(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(tiny(4), board=True)
    monkeypatch.setattr("bsqav.training.common.journal.find_spec", lambda name: None)
    said: list[str] = []
    Trainer(config, shards, tmp_path / "without").train(said.append)
    assert "pip install tensorboard" in said[0]
    assert losses(tmp_path / "without") and not (tmp_path / "without" / "board").exists()
    monkeypatch.undo()
    pytest.importorskip("tensorboard")
    train(config, shards, tmp_path / "with")
    assert sum(file.stat().st_size for file in (tmp_path / "with" / "board").iterdir()) > 1000
