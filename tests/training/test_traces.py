"""Training on what the codec's own encoder writes."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from bsqav import _core
from bsqav.errors import UsageError
from bsqav.export.exporter import export_run, quantized_networks
from bsqav.nn.codec import fields
from bsqav.nn.codec.networks import CodecNet
from bsqav.recipes.check import keyframe_networks, model_of
from bsqav.recipes.codec import RECIPES, codec_smoke
from bsqav.training.codec.data import ClipSampler, DataConfig
from bsqav.training.codec.loop import Trainer
from bsqav.training.codec.objective import LayerInput
from bsqav.training.codec.traces import (
    TraceConfig,
    TraceSampler,
    batch_of,
    forward_and_backward,
    layer_of,
)
from tests.codec.streams import Format, Plane, clip, coded_packets, tiny_model
from tests.training.models import changed_networks, smoke

FORM = Format(70, 54)


def test_traced_layers_are_those_that_a_decoder_reads() -> None:
    model = tiny_model()
    encoder = _core.Encoder(FORM.sequence, model, crf=28)
    encoder.trace()
    decoder = _core.Decoder([model], keep_layers=True)
    for index, planes in enumerate(clip(FORM, 4)):
        encoder.send(planes, index)
        packet = encoder.receive()
        assert packet is not None
        decoder.send(packet.data)
        shown = decoder.receive()
        assert shown is not None
        traced = [t for t in encoder.take_layers() if t["stages"].shape == (7, 9)]
        assert len(traced) == len(decoder.layer_tokens)
        for layer, (stages, bits) in zip(traced, decoder.layer_tokens, strict=True):
            np.testing.assert_array_equal(layer["stages"], stages)
            here = np.arange(model.stages) < stages[..., None]
            np.testing.assert_array_equal(layer["bits"], np.where(here, bits, 0))
            assert (layer["q"] >= 0).all() and (layer["q"] <= 568).all()
            np.testing.assert_array_equal(layer["source"][0][:54, :70], planes[0])
            assert layer["prediction"][1].shape == (28, 36)
            assert layer["keyframe"] == packet.keyframe
        assert not encoder.take_layers()


def test_packets_of_several_frames_have_the_layers_of_all() -> None:
    """In coding order, each with the source of its own frame; a decoder tells them when shown."""
    model = tiny_model()
    frames = clip(FORM, 6)
    settings: dict[str, Any] = {"lookahead": 8, "bframes": 3, "temporal_filter": 0}
    encoder = _core.Encoder(FORM.sequence, model, crf=36, **settings)
    encoder.trace()
    traced: list[list[dict[str, Any]]] = [[] for _ in frames]  # by the frame shown
    counts = []
    decoder = _core.Decoder([model], keep_layers=True)
    decoded = []
    for packet in coded_packets(encoder, frames):
        layers = [t for t in encoder.take_layers() if t["stages"].shape == (7, 9)]
        sources = [source_of(layer, frames) for layer in layers]
        counts.append(len(set(sources)))
        for number, layer in zip(sources, layers, strict=True):
            traced[number].append(layer)
        decoder.send(packet.data)
        assert decoder.receive() is not None
        decoded.append(decoder.layer_tokens)
    assert counts == [1, 3, 0, 1, 0, 1]
    for ours, theirs in zip(traced, decoded, strict=True):
        assert len(ours) == len(theirs) > 0
        for layer, (stages, _) in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(layer["stages"], stages)


def source_of(layer: dict[str, Any], frames: list[list[Plane]]) -> int:
    """Of which frame the layer is."""
    luma = layer["source"][0][: FORM.height, : FORM.width]
    (number,) = (i for i, planes in enumerate(frames) if np.array_equal(planes[0], luma))
    return number


def test_a_canvas_changes_nothing() -> None:
    """Layers are put on a larger grid, whose other tokens are not active."""
    encoder = _core.Encoder(FORM.sequence, tiny_model(), crf=28)
    encoder.trace()
    for index, planes in enumerate(clip(FORM, 2)):
        encoder.send(planes, index)
        assert encoder.receive() is not None
    net = CodecNet(replace(codec_smoke().model, stages=tiny_model().stages))
    outputs = []
    traced = encoder.take_layers()[-1]
    for side in (12, 16):
        layer = batch_of([layer_of(traced, side)])
        assert layer.coded is not None
        side_vector = fields.side_vector(layer.pred_BHWS, layer.q_B, layer.place)
        mask = fields.active_tokens(layer.coded.stages_BHW)
        token = fields.pad_token(layer.coded.bits_BHWL, layer.coded.stages_BHW)
        with torch.no_grad():
            outputs.append((net.dec(token, side_vector, mask) * mask)[:, :7, :9])
    assert outputs[0].abs().max() > 0
    torch.testing.assert_close(*outputs)


Layers = Literal["all", "keyframes", "predicted"]


def traced_layers(shards: Path, layers: Layers) -> LayerInput:
    """All layers of these frames that the encoder traces in one batch of clips."""
    clips = ClipSampler(shards, DataConfig(size=64, frames=3, batch=2), 3)
    config = TraceConfig(frames=3, batch=1000, crf=(12.0, 16.0), keep=1, layers=layers)
    sampler = TraceSampler(clips, config, lambda net: tiny_model(), 1)
    sampler.use(CodecNet(codec_smoke().model))
    return sampler.batch(torch.device("cpu"))


def test_layers_are_of_the_frames_asked_for(shards: Path) -> None:
    both, keyframes, predicted = (
        traced_layers(shards, layers) for layers in ("all", "keyframes", "predicted")
    )
    counts = [layer.q_B.shape[0] for layer in (both, keyframes, predicted)]
    assert counts[0] == counts[1] + counts[2] and min(counts) > 0
    assert torch.as_tensor(keyframes.place.intra).any()
    assert not torch.as_tensor(predicted.place.intra).any()
    with pytest.raises(UsageError, match="2 frames or more"):
        alone = TraceConfig(frames=1, layers="predicted")
        clips = ClipSampler(shards, DataConfig(size=64, frames=1, batch=1), 3)
        TraceSampler(clips, alone, lambda net: tiny_model(), 1)


TRACED = replace(
    smoke(), traces=TraceConfig(frames=4, batch=6, keep=12, refresh=2), steps=5, lr=1e-3
)


@pytest.fixture(scope="module")
def start(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run, with its model first.bsqm and weights first.pt."""
    folder = tmp_path_factory.mktemp("start")
    trainer = Trainer(replace(smoke(), steps=20, quant_from=0.3), shards, folder)
    trainer.train(lambda line: None)
    export_run(folder, folder / "first.bsqm", {"name": "first"}, folder / "first.pt")
    return folder


def follow(
    start: Path, shards: Path, folder: Path, layers: Layers, keyframes: CodecNet | None = None
) -> None:
    """A run on traces, from the finished one."""
    assert TRACED.traces is not None
    config = replace(TRACED, traces=replace(TRACED.traces, layers=layers))
    quantize = partial(model_of, keyframes=keyframes)
    trainer = Trainer(config, shards, folder, quantize=quantize)
    trainer.start_from(start / "first.pt")
    trainer.train(lambda line: None)


def test_decoder_and_prior_learn_and_the_encoder_stays(
    start: Path, shards: Path, tmp_path: Path
) -> None:
    follow(start, shards, tmp_path / "traced", "all")
    second = tmp_path / "second.bsqm"
    export_run(tmp_path / "traced", second, {"name": "second"})
    changed = changed_networks(start / "first.bsqm", second)
    assert changed == {"dec", "prior", "key.dec", "key.prior"}
    with pytest.raises(UsageError, match="batched"):
        Trainer(replace(TRACED, batched=True), shards, tmp_path / "batched", None, model_of)
    with pytest.raises(UsageError, match="quantize"):
        Trainer(TRACED, shards, tmp_path / "alone")


def test_keyframes_get_networks_of_their_own(start: Path, shards: Path, tmp_path: Path) -> None:
    """The steps of docs/training.md: keyframe networks, then the others beside them."""
    first, weights = start / "first.bsqm", tmp_path / "keyframes" / "weights.pt"
    follow(start, shards, tmp_path / "keyframes", "keyframes")
    second, third = tmp_path / "second.bsqm", tmp_path / "third.bsqm"
    export_run(start, second, {"name": "second"}, keyframes=weights)
    assert changed_networks(first, second) == {"key.dec", "key.prior"}
    follow(start, shards, tmp_path / "predicted", "predicted", quantized_networks(weights))
    export_run(tmp_path / "predicted", third, {"name": "third"}, keyframes=weights)
    assert changed_networks(second, third) == {"dec", "prior"}
    assert changed_networks(first, third) == {"dec", "prior", "key.dec", "key.prior"}


def test_recipes_say_which_frames_they_are_for(start: Path) -> None:
    """Networks of keyframes are given only to runs that do not train on keyframes."""
    layers = {}
    for name, recipe in RECIPES.items():
        traces = recipe().traces
        layers[name] = traces.layers if traces else None
        if layers[name] == "predicted":
            net = keyframe_networks(start / "first.pt", recipe())
            assert net.config == TRACED.model
        else:
            with pytest.raises(UsageError, match="codec-v1-traced"):
                keyframe_networks(start / "first.pt", recipe())
    assert layers["codec-v1-keyframes"] == "keyframes"
    assert layers["codec-v1-traced"] == "predicted"


def test_clips_are_played_forward_and_backward() -> None:
    assert forward_and_backward(8, 4) == [0, 1, 2, 3, 2, 1, 0, 1]
    assert forward_and_backward(3, 1) == [0, 0, 0]
