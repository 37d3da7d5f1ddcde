"""Turns fake-quantized networks into the tensors of a model file (docs/bitstream.md, section 6).

Every scale of the fake quantization becomes a multiplier and a shift: an s32 sum whose unit is
worth `unit` is turned into an s8 or s16 value whose unit is worth `target` by rq with
m / 2^n = unit / target (docs/numerics.md, section 2).
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from bsqav.codec.modelfile import write_model
from bsqav.codec.modelspec import MAX_ENERGY, MAX_PAIR, ModelConfig, join_sets
from bsqav.errors import ModelError
from bsqav.export.response import Response, measure_response
from bsqav.nn.codec.fakequant import (
    ActQuant,
    Block,
    FeedForward,
    Mode,
    QDepthwise,
    QLinear,
    quantize_weight,
    set_mode,
)
from bsqav.nn.codec.networks import CodecNet, config_of
from bsqav.nn.common.safeload import read_checkpoint, tensors_of

Array = npt.NDArray[Any]
Tensors = dict[str, Array]
STREAM_UNIT = 1.0 / 256.0
TOKEN_UNIT = 1.0 / 64.0
LATENT_UNIT = 1.0 / 16.0
# Of what a bit does about the error, in squared step sizes.
GAIN_UNIT = 1.0 / 32.0
MAX_SHIFT, MIN_SHIFT = 62, 32
# Leaves room for the largest sum of weights (docs/numerics.md, section 6).
MAX_BIAS = 2.0**29
# The largest factor that rq expresses, with room for rounding.
MAX_FACTOR = 0.4999


def multipliers(scale: Array) -> tuple[Array, int]:
    """Real factors [N] -> (m [N] int32, n) with m / 2^n nearest to them.

    Raises ModelError for a factor of 1/2 or more, which rq cannot express.
    """
    top = float(scale.max())
    if not 0.0 < top < 0.5 or not np.isfinite(scale).all():
        raise ModelError(f"a requantization factor of {top:g} is not between 0 and 1/2")
    n = min(MAX_SHIFT, max(MIN_SHIFT, 30 - math.floor(math.log2(top))))
    m = np.round(scale * 2.0**n)
    if m.max() >= 2.0**31:
        n -= 1
        m = np.round(scale * 2.0**n)
    return m.astype(np.int32), n


def _array(tensor: Tensor) -> Array:
    return tensor.detach().double().cpu().numpy()


def _scale(point: ActQuant) -> Array:
    scale = _array(point.scale)
    if not (scale > 0).all():
        raise ModelError("ranges were not observed: run the quantized phase of training first")
    return scale


def _requant(out: Tensors, name: str, factor: Array, channels: int) -> None:
    m, n = multipliers(np.broadcast_to(factor, (channels,)))
    out[f"{name}.m"] = m
    out[f"{name}.n"] = np.array([n], np.int32)


def _stacked(layers: Sequence[Tensors]) -> Tensors:
    """Equal layers as one of each tensor, with a leading axis; their shifts as [layers]."""

    def joined(name: str) -> Array:
        arrays = [layer[name] for layer in layers]
        return np.concatenate(arrays) if name.endswith(".n") else np.stack(arrays)

    return {name: joined(name) for name in layers[0]}


def _integers(
    weight: Array, bias: Array | None, unit_in: float | Array, unit_out: float
) -> tuple[Array, Array]:
    """Weights [N, K] as int8 and the worth [N] of one unit of their sums.

    Scales are those of fake quantization, except where next to nothing but a bias is left of an
    output: that bias would not fit 32 bits; and where the largest weights would ask for a
    requantization factor of 1/2: they saturate.
    """
    scale = _array(quantize_weight(torch.from_numpy(weight))[1])[:, 0]
    scale = np.minimum(scale, MAX_FACTOR * unit_out / unit_in)
    if bias is not None:
        scale = np.maximum(scale, np.abs(bias) / (MAX_BIAS * unit_in))
    q = np.floor(weight / scale[:, None] + 0.5).clip(-127, 127)
    return q.astype(np.int8), scale * unit_in


def _sums(out: Tensors, name: str, layer: QLinear, unit_in: float, unit_out: float) -> Array:
    """Writes weights and bias; returns the worth [N] of one unit of the layer's sums."""
    bias = None if layer.bias is None else _array(layer.bias)
    out[f"{name}.w"], unit = _integers(_array(layer.weight), bias, unit_in, unit_out)
    if bias is not None:
        out[f"{name}.b"] = np.round(bias / unit).astype(np.int32)
    return unit


def _linear(out: Tensors, name: str, layer: QLinear, unit_in: float, unit_out: float) -> None:
    unit = _sums(out, name, layer, unit_in, unit_out)
    _requant(out, name, unit / unit_out, unit.shape[0])


def _depthwise(out: Tensors, name: str, layer: QDepthwise, unit_in: Array, unit_out: float) -> None:
    bias = _array(layer.bias)
    weight, unit = _integers(_array(layer.weight), bias, unit_in, unit_out)
    out[f"{name}.w"] = np.ascontiguousarray(weight.T)
    out[f"{name}.b"] = np.round(bias / unit).astype(np.int32)
    _requant(out, name, unit / unit_out, unit.shape[0])


def gelu_table(unit_in: float, unit_out: float) -> Array:
    """T[q + 128] = gelu(q * unit_in) / unit_out, rounded, within -127..127."""
    x = torch.arange(-128, 128, dtype=torch.float64) * unit_in
    y = torch.floor(F.gelu(x) / unit_out + 0.5).clamp(-127, 127)
    return y.numpy().astype(np.int8)


def _ffn(out: Tensors, name: str, ffn: FeedForward, unit_in: float) -> None:
    pre, post = float(_scale(ffn.pre)[0]), float(_scale(ffn.post)[0])
    _linear(out, f"{name}.fc1", ffn.fc1, unit_in, pre)
    out[f"{name}.table"] = gelu_table(pre, post)
    _linear(out, f"{name}.fc2", ffn.fc2, post, STREAM_UNIT)


def _blocks(out: Tensors, name: str, network: Any) -> float:
    """Writes the blocks and the last requantization; returns the unit of its s8 output."""
    for i, block in enumerate(network.blocks):
        assert isinstance(block, Block)
        into, mid = _scale(block.into), float(_scale(block.mid)[0])
        width = into.shape[0]
        _requant(out, f"{name}.block{i}.in", STREAM_UNIT / into, width)
        _depthwise(out, f"{name}.block{i}.dw", block.dw, into, mid)
        _ffn(out, f"{name}.block{i}", block.ffn, mid)
    return float(_scale(network.feature)[0])


def _encoder(out: Tensors, net: CodecNet) -> None:
    enc = net.enc
    _linear(out, "enc.in", enc.into, STREAM_UNIT, STREAM_UNIT)
    feature = _blocks(out, "enc", enc)
    _requant(out, "enc.f", np.array(STREAM_UNIT / feature), enc.into.out_features)
    _linear(out, "enc.head", enc.head, feature, LATENT_UNIT)
    _response(out, measure_response(net))


def _response(out: Tensors, response: Response) -> None:
    layers: list[Tensors] = []
    for weights in response.weights:
        one: Tensors = {}
        one["enc.response.w"], unit = _integers(_array(weights), None, STREAM_UNIT, GAIN_UNIT)
        _requant(one, "enc.response", unit / GAIN_UNIT, unit.shape[0])
        layers.append(one)
    out |= _stacked(layers)
    energies = np.round(_array(response.energies) / GAIN_UNIT).clip(0, MAX_ENERGY)
    out["enc.response.energy"] = energies.astype(np.int32)


def _of_tokens(out: Tensors, name: str, network: Any) -> float:
    """What decoder and prior begin with: tokens and side, blocks; returns the features' unit."""
    _linear(out, f"{name}.tok", network.tok, TOKEN_UNIT, STREAM_UNIT)
    _linear(out, f"{name}.side", network.side, STREAM_UNIT, STREAM_UNIT)
    feature = _blocks(out, name, network)
    _requant(out, f"{name}.f", np.array(STREAM_UNIT / feature), network.tok.out_features)
    return feature


def _decoder(out: Tensors, net: CodecNet) -> None:
    feature = _of_tokens(out, "dec", net.dec)
    _linear(out, "dec.out", net.dec.out, feature, STREAM_UNIT)


def _prior(out: Tensors, net: CodecNet) -> None:
    prior = net.prior
    feature = _of_tokens(out, "prior", prior)
    _linear(out, "prior.flag", prior.flag, feature, STREAM_UNIT)
    cur, ctx = float(_scale(prior.cur_out)[0]), float(_scale(prior.ctx_out)[0])
    _linear(out, "prior.cur", prior.cur, TOKEN_UNIT, cur)
    _depthwise(out, "prior.ctx", prior.ctx, np.array(cur), ctx)
    _linear(out, "prior.mix", prior.mix, ctx, STREAM_UNIT)
    into = float(_scale(prior.ffn_in)[0])
    _requant(out, "prior.ffn.in", np.array(STREAM_UNIT / into), prior.tok.out_features)
    _ffn(out, "prior.ffn", prior.ffn, into)
    _heads(out, net, prior.tok.out_features)


def _heads(out: Tensors, net: CodecNet, width: int) -> None:
    prior = net.prior
    into, post = float(_scale(prior.head_in)[0]), float(_scale(prior.head_post)[0])
    layers: list[Tensors] = []
    for head, embed in zip(prior.heads, prior.embeds, strict=True):
        one: Tensors = {}
        _requant(one, "prior.head.in", np.array(STREAM_UNIT / into), width)
        assert isinstance(head, QLinear) and isinstance(embed, QLinear)
        _linear(one, "prior.head", head, post, STREAM_UNIT)
        _linear(one, "prior.emb", embed, TOKEN_UNIT, STREAM_UNIT)
        layers.append(one)
    out |= _stacked(layers)
    out["prior.head.table"] = gelu_table(into, post)
    pair = np.round(_array(prior.pair.tril(-1)) / STREAM_UNIT).clip(-MAX_PAIR, MAX_PAIR)
    out["prior.pair"] = pair.astype(np.int32)


def export_tensors(net: CodecNet) -> Tensors:
    """The tensors of one set of networks of a model file, int8 and int32.

    Raises ModelError when ranges were not observed or a factor cannot be expressed.
    """
    out: Tensors = {}
    _encoder(out, net)
    _decoder(out, net)
    _prior(out, net)
    return out


def write_codec_model(
    net: CodecNet, path: Path, text: Mapping[str, Any], keyframes: CodecNet | None = None
) -> str:
    """Writes the model file of trained networks and returns its id.

    `text` needs "name"; data, licences, recipe and figures belong there too.
    keyframes: the networks of keyframes; None: `net` codes all frames.
    """
    own = keyframes or net
    sets = export_tensors(net), None if keyframes is None else export_tensors(keyframes)
    return write_model(path, net.config, join_sets(*sets), text, own.config)


def quantized_networks(weights: Path) -> CodecNet:
    """Networks from the weights.pt of a run, of the sizes that the file has.

    Raises ModelError for a file that holds no weights of such networks.
    """
    try:
        state = tensors_of(read_checkpoint(weights))
        net = CodecNet(config_of(state))
        net.load_state_dict(state)
    except (KeyError, IndexError, RuntimeError) as error:
        raise ModelError(f"{weights} holds no weights of the codec's networks") from error
    set_mode(net, Mode.QUANT)
    return net


def export_run(
    run: Path,
    out: Path,
    text: Mapping[str, Any],
    weights: Path | None = None,
    keyframes: Path | None = None,
) -> str:
    """Exports the averaged weights of a run's checkpoint; returns the model id.

    weights: also write the state dict there, to start another run from. keyframes: the weights.pt
    of the keyframe networks; None: the run's networks code all frames.
    Raises ModelError when the folder holds no checkpoint, one of other networks than today's, or
    one of a run that has not reached its quantized phase; likewise for the keyframe networks, and
    where they have another number of stages.
    """
    path = run / "checkpoint.pt"
    if not path.exists():
        raise ModelError(f"{run} holds no checkpoint.pt: train first")
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not state["progress"]["quant"]:
        raise ModelError(f"{path} has not reached the quantized phase of training yet")
    try:
        net = CodecNet(ModelConfig(**state["config"]))
        net.load_state_dict(state["average"])
    except (TypeError, RuntimeError) as error:
        raise ModelError(f"{path} was written by another version of bsqav: train again") from error
    set_mode(net, Mode.QUANT)
    if weights is not None:
        torch.save(state["average"], weights)
    text = {"steps": state["progress"]["step"], **text}
    own = None if keyframes is None else quantized_networks(keyframes)
    return write_codec_model(net, out, text, own)
