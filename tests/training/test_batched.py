"""The way of working that a GPU needs gives what the CPU's gives: tested on a CPU."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bsqav.errors import UnsupportedError, UsageError
from bsqav.nn.codec import fields
from bsqav.nn.codec.fakequant import Mode, set_mode
from bsqav.nn.codec.networks import CodecNet
from bsqav.nn.codec.sparse import start_from_transform
from bsqav.recipes.codec import codec_smoke
from bsqav.training.codec.data import ClipSampler, DataConfig, load_shards, unpack_planes
from bsqav.training.codec.engine import Engine, EngineConfig
from bsqav.training.codec.loop import Trainer
from bsqav.training.codec.objective import LayerInput, code_layer
from bsqav.training.codec.resident import ResidentSampler
from bsqav.training.common.placement import place
from tests.training.models import assert_same_batches, smoke


def some_layer(seed: int = 0) -> tuple[CodecNet, LayerInput, torch.Tensor]:
    torch.manual_seed(seed)
    net = CodecNet(codec_smoke().model)
    start_from_transform(net)
    with torch.no_grad():
        for weight in net.prior.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    target = (128 + 30 * torch.randn(2, 8, 8, 96)).clamp(0, 255)
    pred = (target + 20 * torch.randn(2, 8, 8, 96) * torch.rand(2, 8, 8, 1)).clamp(0, 255)
    token = torch.zeros(2, 8, 8, fields.token_width(net.config.stages))
    place_ = fields.LayerPlace(False, torch.tensor([0.0, 1.0]), 80)
    layer = LayerInput(target, pred, token, torch.tensor([300.0, 330.0]), place_)
    return net, layer, (torch.rand(2, 8, 8) > 0.3).float()


@pytest.mark.parametrize("mode", [Mode.FLOAT, Mode.QUANT])
def test_costs_over_all_tokens_equal_those_over_the_coded_ones(mode: Mode) -> None:
    net, layer, candidates = some_layer()
    set_mode(net, Mode.OBSERVE)
    with torch.no_grad():
        code_layer(net, layer, candidates, 0.5)
    set_mode(net, mode)

    def run(dense: bool) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
        net.zero_grad()
        result = code_layer(net, layer, candidates, 0.7, dense=dense)
        result.loss.backward()
        grads = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
        return [result.loss, result.bits, result.token_bits_BHW, result.recon_BHWS], grads

    values, grads = run(dense=False)
    others, other_grads = run(dense=True)
    for left, right in zip(values, others, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-4)
    assert grads.keys() <= other_grads.keys()
    for name, grad in grads.items():
        assert (grad - other_grads[name]).norm() <= 1e-4 * grad.norm() + 1e-7, name


class Waits(TorchDispatchMode):
    """Notes operations that a CUDA graph could not hold: constants and shapes from the CPU."""

    NAMES = ("local_scalar", "nonzero", "lift_fresh", "masked_scatter", "masked_select")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        masks = [a for a in args[1:] if isinstance(a, list | tuple)]
        chosen = any(
            isinstance(m, torch.Tensor) and m.dtype == torch.bool for mask in masks for m in mask
        )
        name = str(func)
        if any(part in name for part in self.NAMES) or ("index" in name and chosen):
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


def test_a_step_and_a_prediction_can_be_captured(shards: Path, tmp_path: Path) -> None:
    trainer = Trainer(replace(codec_smoke(), batched=True), shards, tmp_path)
    engine = trainer.engine
    _, layer, candidates = some_layer()
    planes = fields.tokens_to_planes(layer.pred_BHWS)
    tensors, price = engine._tensors(layer, candidates, 1.0), torch.tensor(3.0)
    with torch.no_grad():
        engine.predict(planes, planes[0], 4.0)  # tables get to their device
    with Waits() as waits:
        engine._run(tensors).loss.backward()
        engine._code(*tensors)
        engine._predict(*planes, planes[0], price)
    assert waits.seen == []


def test_both_ways_start_alike_and_learn(shards: Path, tmp_path: Path) -> None:
    config = smoke(steps=20)
    means = []
    for batched in (False, True):
        run = tmp_path / str(batched)
        trainer = Trainer(replace(config, batched=batched), shards, run)
        trainer.train(lambda line: None)
        assert trainer.progress.quant
        assert (run / "weights.pt").exists()
        means.append(trainer.net.prior.flag.bias.norm().item())
    assert means[0] == pytest.approx(means[1], rel=0.2)
    # A checkpoint goes on in the other way.
    other = Trainer(replace(config, steps=25), shards, tmp_path / "True")
    assert other.resume()
    other.train(lambda line: None)
    assert other.progress.step >= 25


def test_resident_batches_repeat_and_hold_what_the_shards_hold(shards: Path) -> None:
    cpu = torch.device("cpu")
    config = DataConfig(size=64, frames=3, batch=6)
    first, second = (ResidentSampler(shards, config, 7, cpu) for _ in range(2))
    assert_same_batches(first, second, batch=6, frames=3, size=64)
    state = first.state()
    expected = first.batch()
    first.restore(state)
    assert all(torch.equal(a, b) for a, b in zip(expected, first.batch(), strict=True))


@pytest.mark.parametrize("kind", [ClipSampler, ResidentSampler])
def test_squares_of_clips_keep_their_chroma(kind: type, shards: Path) -> None:
    config = DataConfig(size=64, frames=1, batch=8, photo_share=0.0)
    more = (torch.device("cpu"),) if kind is ResidentSampler else ()
    y, u, v = kind(shards, config, 3, *more).batch()
    clips = torch.from_numpy(np.concatenate(load_shards(shards, "clips"))).flatten(0, 1).float()
    known = unpack_planes(clips)

    def found(clip: int, row: int, col: int, i: int, flip: bool) -> bool:
        """Whether clip i of the batch stands at this place of a shard's, all planes of it."""
        for plane, whole, scale in zip((y, u, v), known, (1, 2, 2), strict=True):
            rows, cols = (slice(at // scale, (at + 64) // scale) for at in (row, col))
            part = whole[clip, rows, cols]
            if not torch.equal(part.flip(-1) if flip else part, plane[i, 0]):
                return False
        return True

    places = [
        (c, r, x) for c in range(len(clips)) for r in range(0, 33, 2) for x in range(0, 33, 2)
    ]
    for i in range(8):
        assert any(found(*place, i, flip) for place in places for flip in (False, True))


def test_held_out_clips_are_not_drawn(shards: Path) -> None:
    config = DataConfig(size=64, frames=1, batch=2, hold_out=2)
    assert sum(map(len, ClipSampler(shards, config, 1).clips)) == 1
    assert len(ResidentSampler(shards, config, 1, torch.device("cpu")).clips) == 1


def test_devices_that_are_not_there_are_a_clear_error() -> None:
    with pytest.raises(UsageError, match="no device 'tpu'"):
        place("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(UnsupportedError, match="take --device cpu"):
            place("cuda")
        assert place("auto").device.type == "cpu" and not place("auto").batched


def test_compiling_on_a_cpu_says_that_it_does_not(shards: Path, tmp_path: Path) -> None:
    trainer = Trainer(replace(codec_smoke(), batched=True), shards, tmp_path)
    said: list[str] = []
    Engine(trainer.updater, EngineConfig(compiled=True), trainer.place, said.append)
    assert "CUDA alone" in said[0]
