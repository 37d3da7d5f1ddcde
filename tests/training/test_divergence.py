"""Runs whose loss or weights are no numbers: counted, logged as JSON, ended, nothing good lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from bsqav.errors import DivergedError
from bsqav.nn.paper.store import load_model
from bsqav.recipes.starting import start
from bsqav.training.codec.engine import Engine
from bsqav.training.codec.loop import TrainConfig, Trainer
from bsqav.training.codec.objective import LayerResult
from bsqav.training.common.journal import Journal
from bsqav.training.paper.loop import PhaseTrainer
from bsqav.training.paper.phases import TokenizerPhase
from tests.support import one_torch_thread
from tests.training.models import smoke
from tests.training.test_phases import RUN, tokenizer_recipe

one_thread = pytest.fixture(autouse=True, scope="module")(one_torch_thread)
NAN = float("nan")


def tiny(**changes: Any) -> TrainConfig:
    config = smoke(quant_from=1.0, **changes)
    return replace(config, data=replace(config.data, size=32, frames=2))


def no_literal(name: str) -> NoReturn:
    raise AssertionError(f"{name} is no JSON")


def records(folder: Path) -> list[dict[str, Any]]:
    """log.jsonl, read by the letter of JSON."""
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line, parse_constant=no_literal) for line in lines]


def spoiled(
    monkeypatch: pytest.MonkeyPatch, name: str, is_bad: Callable[[int], bool]
) -> Callable[[], int]:
    """Makes the loss of the n-th layers for which is_bad(n) NaN; returns how many there were."""
    real, counts = getattr(Engine, name), [0, 0]

    def run(self: Engine, *args: Any) -> LayerResult:
        result: LayerResult = real(self, *args)
        if not torch.is_grad_enabled():
            return result
        counts[0] += 1
        if not is_bad(counts[0]):
            return result
        counts[1] += 1
        return replace(result, loss=result.loss * NAN)

    monkeypatch.setattr(Engine, name, run)
    return lambda: counts[1]


@pytest.mark.parametrize(("batched", "name"), [(False, "_plain"), (True, "_run")])
def test_skipped_steps_of_the_codec_are_counted(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batched: bool, name: str
) -> None:
    count = spoiled(monkeypatch, name, lambda n: n % 5 == 0)
    trainer = Trainer(tiny(batched=batched, steps=20), shards, tmp_path)
    said: list[str] = []
    trainer.train(said.append)
    assert trainer.progress.skipped == count() > 3
    assert any("steps skipped so far" in line for line in said)
    log = records(tmp_path)
    assert [line["step"] for line in log if line["loss"] is None] == list(range(5, len(log) + 1, 5))
    assert log[-1]["skipped"] == count()
    again = Trainer(tiny(batched=batched), shards, tmp_path)
    assert again.resume() and again.updater.skipped.tolist() == [count(), 0]


@pytest.mark.parametrize(("batched", "name"), [(False, "_plain"), (True, "_run")])
def test_too_many_in_a_row_end_a_run_of_the_codec(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batched: bool, name: str
) -> None:
    spoiled(monkeypatch, name, lambda n: n > 4)
    config = tiny(batched=batched, steps=500, max_skipped=12)
    trainer = Trainer(config, shards, tmp_path)
    with pytest.raises(DivergedError, match="12 steps in a row"):
        trainer.train(lambda line: None)
    assert 16 <= trainer.progress.step < 40
    for name in ("weights.pt", "checkpoint.pt"):
        state = torch.load(tmp_path / name, weights_only=True)
        assert all(torch.isfinite(value).all() for value in state.get("net", state).values())


def test_gradients_alone_that_are_no_numbers(shards: Path, tmp_path: Path) -> None:
    """sqrt at 0: a finite loss whose gradient is infinite or NaN."""
    trainer = Trainer(tiny(batched=False), shards, tmp_path)
    before = [p.detach().clone() for p in trainer.net.parameters()]
    trainer.updater.prepare(trainer._schedule())
    trainer.updater.update((trainer.net.enc.head.weight * 0).abs().sqrt().sum())
    after = trainer.net.parameters()
    assert all(torch.equal(left, right) for left, right in zip(before, after, strict=True))
    assert trainer.updater.skipped.tolist() == [1, 1]


def test_weights_that_are_no_numbers_replace_no_file(
    shards: Path, images: Path, tmp_path: Path
) -> None:
    trainers: list[Trainer | PhaseTrainer] = [
        Trainer(smoke(), shards, tmp_path / "codec"),
        start(tokenizer_recipe(), images, tmp_path / "paper", device="cpu"),
    ]
    for trainer in trainers:
        folder, said = trainer.run.folder, list[str]()
        trainer.run.report = said.append
        trainer.save()
        before = {path.name: path.read_bytes() for path in folder.glob("*.pt")}
        assert set(before) == {"checkpoint.pt", "weights.pt"} and not said
        with torch.no_grad():
            next(trainer.average.parameters()).view(-1)[0] = NAN
        trainer.save()
        assert {path.name: path.read_bytes() for path in folder.glob("*.pt")} == before
        assert "stay as they were" in said[0]


def test_a_phase_counts_and_ends(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TokenizerPhase.loss

    def loss(self: TokenizerPhase, pixels: Any, labels: Any, step: int) -> Any:
        found, figures = real(self, pixels, labels, step)
        bad = step in (3, 4) or step > 9
        return (found * NAN, {**figures, "pixel": found * NAN}) if bad else (found, figures)

    monkeypatch.setattr(TokenizerPhase, "loss", loss)
    run = replace(RUN, log_steps=1, max_skipped=5)
    trainer = start(tokenizer_recipe(run=run), images, tmp_path, device="cpu")
    with pytest.raises(DivergedError, match=r"5 steps in a row, up to step 15"):
        trainer.train(lambda _: None)
    log = records(tmp_path)
    assert [line["skipped"] for line in log] == [0, 0, 0, 1, 2, 2, 2, 2, 2, 2, 3, 4, 5, 6, 7]
    assert [line["pixel"] is None for line in log] == [line["loss"] is None for line in log]
    assert log[3]["loss"] is None and log[5]["loss"] is not None
    model = load_model(tmp_path / "weights.pt")
    assert isinstance(model, nn.Module)
    assert all(torch.isfinite(weight).all() for weight in model.parameters())
    again = start(tokenizer_recipe(run=run), images, tmp_path, device="cpu")
    assert again.resume() and again.progress.skipped == 7


def test_a_journal_holds_json(tmp_path: Path) -> None:
    Journal(tmp_path).log([{"a": float("inf"), "b": 1.5, "c": "x"}, {"a": NAN}])
    assert records(tmp_path) == [{"a": None, "b": 1.5, "c": "x"}, {"a": None}]
