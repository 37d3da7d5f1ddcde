"""Captured graphs: with a substitute for CUDA's, a run is the same as without."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from bsqav.recipes.codec import codec_smoke
from bsqav.training.codec.loop import Trainer
from bsqav.training.codec.stepping import Replayed
from tests.training.models import smoke


class Graph:
    """Runs the captured function again on the same inputs, into the same outputs."""

    replays = 0

    def __init__(self) -> None:
        self.owner: Replayed | None = None

    def replay(self) -> None:
        Graph.replays += 1
        assert self.owner is not None
        results = self.owner.function(*self.owner.inputs)
        for output, result in zip(self.owner.outputs, results, strict=True):
            output.copy_(result)


@contextlib.contextmanager
def no_capture(graph: Graph, **_: object) -> Iterator[None]:
    yield


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA graphs as above; what is captured is not run."""
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", no_capture)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(Replayed, "_on_side_stream", lambda self, inputs: self.function(*inputs))

    def capture(self: Replayed, inputs: tuple[torch.Tensor, ...]) -> bool:
        function, done = self.function, []

        def shapes(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            done.append(True)
            return tuple(torch.zeros_like(t) for t in known[self.name])

        self.function = shapes
        worked = real(self, inputs)
        self.function = function
        graph: object = self.graph
        assert isinstance(graph, Graph) and done
        graph.owner = self
        return worked

    known: dict[str, tuple[torch.Tensor, ...]] = {}
    real, call = Replayed._capture, Replayed.__call__

    def remember(self: Replayed, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs = call(self, *inputs)
        known[self.name] = outputs
        return outputs

    monkeypatch.setattr(Replayed, "_capture", capture)
    monkeypatch.setattr(Replayed, "__call__", remember)


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "log.jsonl").read_text().splitlines()]


def train(shards: Path, run: Path, captured: bool) -> Trainer:
    trainer = Trainer(smoke(batched=True, drop=1.0), shards, run)
    for part in (trainer.engine.coded, trainer.engine.trained, trainer.engine.moved):
        part.enabled = captured
    trainer.train(lambda line: None)
    return trainer


def test_graphs_change_nothing(shards: Path, tmp_path: Path, graphs: None) -> None:
    Graph.replays = 0
    plain = train(shards, tmp_path / "plain", captured=False)
    assert Graph.replays == 0
    captured = train(shards, tmp_path / "captured", captured=True)
    assert Graph.replays > 20
    assert losses(tmp_path / "plain") == losses(tmp_path / "captured")
    pairs = zip(plain.average.parameters(), captured.average.parameters(), strict=True)
    assert all(torch.equal(left, right) for left, right in pairs)


def test_a_graph_that_cannot_be_captured_is_done_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(graph: object, **_: object) -> contextlib.AbstractContextManager[None]:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", refuse)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(Replayed, "_on_side_stream", lambda self, inputs: self.function(*inputs))
    said: list[str] = []
    double = Replayed("doubling", lambda x: (2 * x,), said.append)
    for i in range(6):
        assert double(torch.tensor(float(i)))[0] == 2 * i
    assert len(said) == 1 and "no CUDA graph of doubling" in said[0]


def test_steps_that_are_no_numbers_are_left_out(shards: Path, tmp_path: Path) -> None:
    for batched in (False, True):
        config = replace(codec_smoke(), batched=batched)
        trainer = Trainer(config, shards, tmp_path / str(batched))
        before = [p.detach().clone() for p in trainer.net.parameters()]
        trainer.updater.prepare(trainer._schedule())
        weight = trainer.net.enc.head.weight
        trainer.updater.update((weight * float("nan")).sum())
        after = trainer.net.parameters()
        assert all(torch.equal(left, right) for left, right in zip(before, after, strict=True))
