"""Writes tiny.bsqm, the frozen model for golden streams and tests.

Run as `python -m tests.vectors.make_tiny`. Nothing in the model is trained. Its tokenizer is a
transform made by hand: pairs of bits say of a low frequency of the residual that it is at least so
far above or below 0, at distances that double from pair to pair; the pairs most often needed come
first. Around that lie small pseudo-random blocks, and a prior of pseudo-random, moderate logits, so
that every tensor matters and pictures still come back. The values come from SHAKE-256 and stay the
same everywhere.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bsqav.codec.modelfile import model_bytes
from bsqav.codec.modelspec import KEYFRAMES, MAX_ENERGY, ModelConfig, Tensor, tensor_specs

PATH = Path(__file__).parent / "tiny.bsqm"
STAGES = 4
PAIRS = 16 * STAGES
CONFIG = ModelConfig(48, 56, 1, 48, 56, 1, 16, 56, 1, stages=STAGES)
KEYFRAME_CONFIG = ModelConfig(56, 40, 1, 64, 48, 1, 24, 64, 1, stages=STAGES)
# A coefficient has the values 0 and +-STEP * 2^level in steps; +-FIRST and halfway on decide.
STEP, FIRST = 2.0, 1.25
LEVELS = 6
CHROMA_RANK = 1  # chroma comes as late as luma of the next higher frequency
DECODER_UNITS = 64.0  # units of the decoder's stream in one step
BYTES = 32.0  # Q8 value of 1 in bytes made from a stream by random layers
NOISE = 10.0  # Q8, what random layers add to a stream
GAINS = 32  # of the response, in a squared step

Tensors = dict[str, Tensor]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mode:
    """A frequency of one of the squares of a token: 8x8 luma or 4x4 chroma."""

    plane: int
    vertical: int
    horizontal: int

    @property
    def rank(self) -> int:
        """In powers of 2, how much rarer a value of it is than one of the mean of luma."""
        frequency = self.vertical + self.horizontal
        return frequency if self.plane == 0 else 2 * frequency + CHROMA_RANK

    @property
    def unit(self) -> float:
        """Steps in one unit of the bytes that hold the coefficient: the rarer, the finer."""
        return 2.0 ** -(1 + min(2, self.rank))

    @property
    def row(self) -> Floats:
        """Its orthonormal cosines [96] over the sample vector."""
        size, first = (8, 0) if self.plane == 0 else (4, 48 + 16 * self.plane)
        at = (np.arange(size) + 0.5) * np.pi / size
        square = np.outer(np.cos(self.vertical * at), np.cos(self.horizontal * at)).ravel()
        row = np.zeros(96)
        row[first : first + size * size] = square / math.sqrt(float((square**2).sum()))
        return row


def bit_pairs() -> list[tuple[Mode, int]]:
    """Mode and level of every pair of bits, the likelier ones first."""
    modes = [Mode(0, i // 8, i % 8) for i in range(64)]
    modes += [Mode(plane, i // 4, i % 4) for plane in (1, 2) for i in range(16)]
    keyed = [
        (mode.rank + level, index, level)
        for index, mode in enumerate(modes)
        for level in range(LEVELS)
    ]
    return [(modes[index], level) for _, index, level in sorted(keyed)[:PAIRS]]


def noise(name: str, shape: tuple[int, ...], limit: int) -> npt.NDArray[np.int64]:
    """Pseudo-random integers within -limit..limit that depend on the name alone."""
    count = math.prod(shape)
    # The model had this name when its numbers were drawn.
    raw = hashlib.shake_256(f"bsqav tiny3 {name}".encode()).digest(4 * count)
    values = np.frombuffer(raw, "<u4").astype(np.int64) % (2 * limit + 1) - limit
    return values.reshape(shape)


def set_scale(tensors: Tensors, layer: str, factors: npt.ArrayLike, shape: tuple[int, ...]) -> None:
    """Multipliers [shape] and shifts of a layer from real factors, all below 1/2."""
    values = np.broadcast_to(np.asarray(factors, np.float64), shape)
    shift = min(62, int(30 - math.floor(math.log2(values.max()))))
    tensors[f"{layer}.m"] = np.rint(values * 2.0**shift).astype(np.int32)
    tensors[f"{layer}.n"] = np.full(shape[:-1] or (1,), shift, np.int32)


def set_some_scales(tensors: Tensors, layer: str, factors: list[float]) -> None:
    """Other factors for the first channels of a layer."""
    values = tensors[f"{layer}.m"].astype(np.float64) / 2.0 ** tensors[f"{layer}.n"][0]
    values[: len(factors)] = factors
    set_scale(tensors, layer, values, values.shape)


def random_layers(config: ModelConfig, prefix: str) -> Tensors:
    """All tensors of a set, pseudo-random and small in their effect."""
    tensors: Tensors = {}
    both = tensor_specs(config)
    specs = {name: spec for name, spec in both.items() if not name.startswith(KEYFRAMES)}
    for name, spec in specs.items():
        layer, _, kind = name.rpartition(".")
        if kind == "w":
            tensors[name] = noise(prefix + name, spec.shape, 100).astype(np.int8)
        elif kind == "b":
            tensors[name] = noise(prefix + name, spec.shape, 20000).astype(np.int32)
        elif kind == "table":  # a smooth step, the shape of a GELU
            x = np.arange(-128, 128)
            tensors[name] = np.clip(np.rint(x / (1 + np.exp(-x / 16))), -127, 127).astype(np.int8)
        elif kind == "pair":  # the second bit of a pair is rarely 1 with the first
            pairs = noise(prefix + name, spec.shape, 100)
            pairs[:, np.arange(1, 8, 2), np.arange(0, 8, 2)] -= 700
            tensors[name] = pairs.astype(np.int32)
        elif kind == "m":
            weights = specs.get(f"{layer}.w")
            factor = 1 / BYTES
            if weights is not None:
                inputs = weights.shape[weights.inputs_axis]
                reach = 58 * math.sqrt(inputs) * (3000 if weights.input_limit > 127 else 40)
                bytes_out = layer.endswith((".dw", ".fc1", ".cur", ".ctx"))
                factor = (40 if bytes_out else NOISE) / reach
            set_scale(tensors, layer, factor, spec.shape)
    return tensors


def set_encoder(tensors: Tensors, modes: list[Mode], pairs: list[tuple[Mode, int]]) -> None:
    """Coefficients of the residual into the stream, and bits where they pass their thresholds."""
    count = len(modes)
    weights = tensors["enc.in.w"]
    weights[:count] = 0
    for channel, mode in enumerate(modes):
        weights[channel, :96] = np.rint(127 * mode.row / np.abs(mode.row).max())
    tensors["enc.in.b"][:count] = 0
    set_some_scales(tensors, "enc.in", [float(np.abs(mode.row).max()) / 127 for mode in modes])
    set_some_scales(tensors, "enc.f", [1 / (256 * mode.unit) for mode in modes])
    head, bias = tensors["enc.head.w"], tensors["enc.head.b"]
    head[:] //= 25
    scales: list[float] = []
    for index, (mode, level) in enumerate(pairs):
        threshold = FIRST if level == 0 else 0.75 * STEP * 2**level
        for bit, sign in ((2 * index, 1), (2 * index + 1, -1)):
            head[bit, modes.index(mode)] = sign * 127
            bias[bit] = round(-127 * threshold / mode.unit)
            # A latent of 64 is a whole step of the coefficient.
            scales.append(64 * mode.unit / (127 * STEP))
    set_some_scales(tensors, "enc.head", scales)


def added_steps(modes: list[Mode], pairs: list[tuple[Mode, int]]) -> Floats:
    """What every bit adds to the coefficients, in steps: [modes, bits]."""
    added = np.zeros((len(modes), 2 * PAIRS))
    for index, (mode, level) in enumerate(pairs):
        step = STEP * (1 if level == 0 else 2 ** (level - 1))
        added[modes.index(mode), 2 * index : 2 * index + 2] = step, -step
    return added


def set_response(tensors: Tensors, modes: list[Mode], pairs: list[tuple[Mode, int]]) -> None:
    """What every bit adds to the samples of its token, beside noise around it."""
    added = added_steps(modes, pairs)
    rows = 2 * added.T @ np.stack([mode.row for mode in modes])
    largest = np.abs(rows).max(1, keepdims=True)
    tensors["enc.response.w"][4] = np.rint(127 * rows / largest)
    values = tensors["enc.response.m"] / 2.0 ** tensors["enc.response.n"][:, None]
    values[4] = GAINS / 256 * largest[:, 0] / 127
    set_scale(tensors, "enc.response", values, values.shape)
    energies = np.rint(GAINS * (added**2).sum(0)).clip(0, MAX_ENERGY)
    tensors["enc.response.energy"] = energies.astype(np.int32)


def set_decoder(tensors: Tensors, modes: list[Mode], pairs: list[tuple[Mode, int]]) -> None:
    """What each bit adds to a coefficient in the stream, and the coefficients into samples."""
    count = len(modes)
    added = added_steps(modes, pairs)
    largest = added.max(1, keepdims=True)
    tok = tensors["dec.tok.w"]
    tok[:count] = 0
    tok[:count, : 2 * PAIRS] = np.rint(127 * added / largest)
    tensors["dec.tok.b"][:count] = 0
    set_some_scales(tensors, "dec.tok", (largest[:, 0] * DECODER_UNITS / (64 * 127)).tolist())
    set_some_scales(tensors, "dec.f", [1 / (DECODER_UNITS * mode.unit) for mode in modes])
    columns = np.stack([mode.row * mode.unit for mode in modes], axis=1)
    largest_weight = float(np.abs(columns).max())
    out = tensors["dec.out.w"]
    out[:] //= 25
    out[:, :count] = np.rint(127 * columns / largest_weight)
    tensors["dec.out.b"][:] //= 250
    set_scale(tensors, "dec.out", 256 * largest_weight / 127, (96,))


def set_prior(tensors: Tensors) -> None:
    """Bits that are rather 0, the more so the later the stage; flags that follow neighbours."""
    for name in ("prior.tok", "prior.side", "prior.mix", "prior.emb", "prior.ffn.fc2"):
        shape = tensors[f"{name}.m"].shape
        factors = tensors[f"{name}.m"] / 2.0 ** tensors[f"{name}.n"].flat[0]
        set_scale(tensors, name, 600 / NOISE * factors, shape)
    factor = 200 / (58 * 4 * 40)
    for name in ("prior.flag", "prior.head"):
        set_scale(tensors, name, factor, tensors[f"{name}.m"].shape)
    flags = np.tile(np.array([-300, 0, 300]) / factor, STAGES)
    tensors["prior.flag.b"] = np.rint(flags).astype(np.int32)
    rather_zero = -256 * (1 + 0.5 * np.arange(STAGES).repeat(4)) / factor
    tensors["prior.head.b"] += np.rint(rather_zero).astype(np.int32)[:, None]


def networks(config: ModelConfig, prefix: str) -> Tensors:
    """A set of networks, by names with the prefix."""
    tensors = random_layers(config, prefix)
    pairs = bit_pairs()
    modes = list(dict.fromkeys(mode for mode, _ in pairs))
    set_encoder(tensors, modes, pairs)
    set_response(tensors, modes, pairs)
    set_decoder(tensors, modes, pairs)
    set_prior(tensors)
    return {prefix + name: tensor for name, tensor in tensors.items()}


def tiny_model() -> bytes:
    """The bytes of the model file."""
    tensors = {**networks(CONFIG, ""), **networks(KEYFRAME_CONFIG, KEYFRAMES)}
    text = {
        "name": "tiny",
        "description": "Frozen test model, not trained: see tests/vectors/make_tiny.py",
        "license": "MIT",
    }
    return model_bytes(CONFIG, tensors, text, KEYFRAME_CONFIG)


if __name__ == "__main__":
    PATH.write_bytes(tiny_model())
