"""Training on what the codec's own encoder writes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from bsqav import _core
from bsqav.errors import UsageError
from bsqav.export.exporter import export_run
from bsqav.nn.codec import fields
from bsqav.nn.codec.networks import CodecNet
from bsqav.recipes.check import model_of
from bsqav.recipes.codec import codec_smoke
from bsqav.training.codec.loop import Trainer
from bsqav.training.codec.traces import TraceConfig, batch_of, forward_and_backward, layer_of
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
        assert not encoder.take_layers()


def test_packets_of_several_frames_have_the_layers_of_all() -> None:
    """In coding order, each with the source of its own frame; a decoder tells them when shown."""
    model = tiny_model()
    frames = clip(FORM, 6)
    encoder = _core.Encoder(FORM.sequence, model, crf=36, lookahead=8, bframes=3)
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


def test_decoder_and_prior_learn_and_the_encoder_stays(shards: Path, tmp_path: Path) -> None:
    config = smoke()
    short = replace(config, steps=20, quant_from=0.3)
    start = Trainer(short, shards, tmp_path / "start")
    start.train(lambda line: None)
    first, second = tmp_path / "first.bsqm", tmp_path / "second.bsqm"
    export_run(tmp_path / "start", first, {"name": "first"}, tmp_path / "first.pt")
    traced = replace(
        config, traces=TraceConfig(frames=4, batch=6, keep=12, refresh=2), steps=5, lr=1e-3
    )
    trainer = Trainer(traced, shards, tmp_path / "traced", quantize=model_of)
    trainer.start_from(tmp_path / "first.pt")
    trainer.train(lambda line: None)
    export_run(tmp_path / "traced", second, {"name": "second"})
    assert changed_networks(first, second) == {"dec", "prior"}
    with pytest.raises(UsageError, match="batched"):
        Trainer(replace(traced, batched=True), shards, tmp_path / "batched", None, model_of)
    with pytest.raises(UsageError, match="quantize"):
        Trainer(traced, shards, tmp_path / "alone")


def test_clips_are_played_forward_and_backward() -> None:
    assert forward_and_backward(8, 4) == [0, 1, 2, 3, 2, 1, 0, 1]
    assert forward_and_backward(3, 1) == [0, 0, 0]
