"""Writes tiny.bsqm, the frozen model of golden streams and tests.

Run as `python -m tests.vectors.make_tiny`. Nothing in the model is trained. Its tokenizer is a
transform made by hand: the 16 lowest frequencies of a token (12 of luma, 2 of each chroma plane),
each quantized by two bits per stage to three levels, every stage a third as coarse as the one
before; the feedback weights subtract what earlier stages say. Around that lie small pseudo-random
blocks, and a prior of pseudo-random, moderate logits, so that every tensor matters and pictures
still come back. The values come from SHAKE-256 and stay the same everywhere.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bsqav.codec.modelfile import model_bytes
from bsqav.codec.modelspec import ModelConfig, Tensor, tensor_specs

PATH = Path(__file__).parent / "tiny.bsqm"
CONFIG = ModelConfig(24, 72, 1, 24, 72, 1, 16, 72, 1)
LUMA_MODES = [
    (0, 0),
    (0, 1),
    (1, 0),
    (1, 1),
    (0, 2),
    (2, 0),
    (1, 2),
    (2, 1),
    (0, 3),
    (3, 0),
    (2, 2),
]
LUMA_MODES += [(1, 3)]
CHROMA_MODES = [(0, 0), (0, 1)]
MODES = len(LUMA_MODES) + 2 * len(CHROMA_MODES)
BYTE_UNIT = 32.0  # Q8 value of 1 in bytes made from the residual stream
LEVELS = (32, 11, 4)  # half the distance of levels by stage, in those bytes
NOISE = 50.0  # Q8, what random layers add to a residual stream

Tensors = dict[str, Tensor]


def noise(name: str, shape: tuple[int, ...], limit: int) -> npt.NDArray[np.int64]:
    """Pseudo-random integers within -limit..limit that depend on the name alone."""
    count = math.prod(shape)
    raw = hashlib.shake_256(f"bsqav tiny {name}".encode()).digest(4 * count)
    values = np.frombuffer(raw, "<u4").astype(np.int64) % (2 * limit + 1) - limit
    return values.reshape(shape)


def basis() -> npt.NDArray[np.float64]:
    """Cosines [modes, 96] over the sample vector of a token."""

    def square(size: int, mode: tuple[int, int]) -> npt.NDArray[np.float64]:
        at = (np.arange(size) + 0.5) * np.pi / size
        return np.outer(np.cos(mode[0] * at), np.cos(mode[1] * at)).ravel()

    rows = np.zeros((MODES, 96))
    for k, mode in enumerate(LUMA_MODES):
        rows[k, :64] = square(8, mode)
    for k, mode in enumerate(CHROMA_MODES):
        for plane in range(2):
            row = len(LUMA_MODES) + 2 * k + plane
            rows[row, 64 + 16 * plane : 80 + 16 * plane] = square(4, mode)
    return rows


def set_scale(tensors: Tensors, layer: str, factors: npt.ArrayLike, shape: tuple[int, ...]) -> None:
    """Multipliers [shape] and shifts of a layer from real factors, all below 1/2."""
    values = np.broadcast_to(np.asarray(factors, np.float64), shape)
    shift = min(62, int(30 - math.floor(math.log2(values.max()))))
    tensors[f"{layer}.m"] = np.rint(values * 2.0**shift).astype(np.int32)
    shifts = shape[:-1] or (1,)
    tensors[f"{layer}.n"] = np.full(shifts, shift, np.int32)


def random_layers() -> Tensors:
    """All tensors, pseudo-random and small in their effect."""
    tensors: Tensors = {}
    specs = tensor_specs(CONFIG)
    for name, spec in specs.items():
        layer, _, kind = name.rpartition(".")
        if kind == "w":
            tensors[name] = noise(name, spec.shape, 100).astype(np.int8)
        elif kind == "b":
            tensors[name] = noise(name, spec.shape, 20000).astype(np.int32)
        elif kind == "table":  # a smooth step, the shape of a GELU
            x = np.arange(-128, 128)
            tensors[name] = np.clip(np.rint(x / (1 + np.exp(-x / 16))), -127, 127).astype(np.int8)
        elif kind.startswith("fb"):
            tensors[name] = np.zeros(spec.shape, np.int32)
        elif kind == "m":
            weights = specs.get(f"{layer}.w")
            factor = 1 / BYTE_UNIT
            if weights is not None:
                inputs = weights.shape[weights.inputs_axis]
                reach = 58 * math.sqrt(inputs) * (3000 if weights.input_limit > 127 else 40)
                bytes_out = layer.endswith((".dw", ".fc1", ".cur", ".ctx"))
                factor = (40 if bytes_out else NOISE) / reach
            set_scale(tensors, layer, factor, spec.shape)
    return tensors


def set_encoder(tensors: Tensors, rows: npt.NDArray[np.float64]) -> None:
    """Coefficients of the residual into the stream, and their signs against three thresholds."""
    energy = (rows**2).sum(1)
    tensors["enc.in.w"][:MODES] = 0
    tensors["enc.in.w"][:MODES, :96] = np.rint(127 * rows)
    tensors["enc.in.b"][:MODES] = 0
    m = tensors["enc.in.m"].astype(np.float64) / 2.0 ** tensors["enc.in.n"][0]
    m[:MODES] = 1 / (127 * energy)
    set_scale(tensors, "enc.in", m, m.shape)
    head = tensors["enc.head.w"]
    head[:] //= 25
    for stage, level in enumerate(LEVELS):
        for i in range(32):
            row, mode = 32 * stage + i, i // 2
            head[row, mode] = 127
            threshold = level if i % 2 == 0 else -level
            tensors["enc.head.b"][row] = 127 * threshold
            for q in range(stage):
                feedback = tensors[f"enc.fb{stage}{q}"]
                feedback[i, 2 * mode : 2 * mode + 2] = -127 * LEVELS[q]


def set_decoder(tensors: Tensors, rows: npt.NDArray[np.float64]) -> None:
    """Levels of the bits back into the stream, and the stream's coefficients into samples."""
    tok = tensors["dec.tok.w"]
    tok[:MODES] = 0
    for mode in range(MODES):
        for stage, level in enumerate(LEVELS):
            tok[mode, 32 * stage + 2 * mode : 32 * stage + 2 * mode + 2] = round(127 * level / 32)
    tensors["dec.tok.b"][:MODES] = 0
    m = tensors["dec.tok.m"].astype(np.float64) / 2.0 ** tensors["dec.tok.n"][0]
    m[:MODES] = LEVELS[0] * BYTE_UNIT / (127 * 64)
    set_scale(tensors, "dec.tok", m, m.shape)
    out = tensors["dec.out.w"]
    out[:] //= 25
    out[:, :MODES] = np.rint(127 * rows.T)
    tensors["dec.out.b"][:] //= 25
    set_scale(tensors, "dec.out", BYTE_UNIT / 127, (96,))


def set_prior(tensors: Tensors) -> None:
    """Logits around one; flags that follow their neighbours."""
    for name in ("prior.tok", "prior.side", "prior.mix", "prior.emb", "prior.ffn.fc2"):
        shape = tensors[f"{name}.m"].shape
        factors = tensors[f"{name}.m"] / 2.0 ** tensors[f"{name}.n"].flat[0]
        set_scale(tensors, name, 12 * factors, shape)
    for name in ("prior.flag", "prior.head"):
        shape = tensors[f"{name}.m"].shape
        factor = 200 / (58 * 4 * 40)
        set_scale(tensors, name, factor, shape)
        if name == "prior.flag":
            bias = np.tile(np.array([-300, 0, 300]) / factor, 3)
            tensors["prior.flag.b"] = np.rint(bias).astype(np.int32)


def tiny_model() -> bytes:
    """The bytes of the model file."""
    tensors = random_layers()
    rows = basis()
    set_encoder(tensors, rows)
    set_decoder(tensors, rows)
    set_prior(tensors)
    text = {
        "name": "tiny",
        "description": "Frozen test model, not trained: see tests/vectors/make_tiny.py",
        "license": "MIT",
    }
    return model_bytes(CONFIG, tensors, text)


if __name__ == "__main__":
    PATH.write_bytes(tiny_model())
