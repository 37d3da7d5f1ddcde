"""The arithmetic and the networks of docs/numerics.md in NumPy, written from that document alone.

Slow and simple: an array of int64 for every tensor, one line for every line of the document. Shapes
are [H, W, channels] over a whole frame; `active` is bool [H, W], true for active tokens.
The tensors of a model give the number of stages S of a token.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
Tensors = Mapping[str, npt.NDArray[Any]]

LUMA, CHROMA = 8, 4
STAGE_BITS = 32


def wide(values: npt.ArrayLike) -> Int:
    return np.asarray(values).astype(np.int64)


# ---- section 2 ----


def rq(a: Int, m: npt.ArrayLike, n: int) -> Int:
    return (a * wide(m) + (1 << (n - 1))) >> n


def rq8(a: Int, m: npt.ArrayLike, n: int) -> Int:
    return np.clip(rq(a, m, n), -127, 127)


def rq16(a: Int, m: npt.ArrayLike, n: int) -> Int:
    return np.clip(rq(a, m, n), -32767, 32767)


def linear(x: npt.ArrayLike, w: npt.ArrayLike, b: npt.ArrayLike = 0) -> Int:
    return wide(b) + wide(x) @ wide(w).T


def dwconv5(x: Int, w: npt.ArrayLike, b: npt.ArrayLike = 0) -> Int:
    height, width, _ = x.shape
    padded = np.pad(wide(x), ((2, 2), (2, 2), (0, 0)))
    taps = wide(w)
    out = np.zeros_like(padded[2:-2, 2:-2]) + wide(b)
    for i in range(5):
        for j in range(5):
            out += taps[i * 5 + j] * padded[i : i + height, j : j + width]
    return out


def table(x: Int, entries: npt.ArrayLike) -> Int:
    found: Int = wide(entries)[x + 128]
    return found


def add16(x: Int, y: Int) -> Int:
    total: Int = np.clip(x + y, -32767, 32767)
    return total


# ---- section 3 ----


def step_size(q: int) -> int:
    """step(q)."""
    pow2 = round(65536 * math.exp2(q % 64 / 64))
    return (pow2 * (1 << q // 64) + 256) >> 9


def token_q(c: int, delta_q: npt.NDArray[Any]) -> Int:
    """Quantizer index of every token from that of the layer and delta q of the superblocks."""
    return np.clip(c + 64 + 8 * wide(delta_q), 0, 568)


def sample_step_sizes(q: int | Int, depth: int, chroma_offset: int) -> Int:
    """step' of every sample [..., 96], for one quantizer index or those of all tokens [H, W]."""
    luma = wide(q)
    chroma = np.maximum(0, luma + 8 * chroma_offset - (np.maximum(0, luma - 320) >> 1))
    values = np.stack([luma] * 64 + [chroma] * 32, axis=-1)
    table_of_sizes = np.array([step_size(value) for value in range(569)], np.int64)
    return table_of_sizes[values] * (1 if depth == 8 else 4)


def squares(planes: list[npt.NDArray[Any]], missing: int) -> Int:
    """Planes -> [H, W, 96]: 64 luma samples, then 16 of each chroma plane, else `missing`."""
    height, width = planes[0].shape[0] // LUMA, planes[0].shape[1] // LUMA
    out = np.full((height, width, 96), missing, np.int64)
    for i, plane in enumerate(planes):
        size = LUMA if i == 0 else CHROMA
        first = 0 if i == 0 else 48 + 16 * i
        cut = wide(plane).reshape(height, size, width, size).transpose(0, 2, 1, 3)
        out[..., first : first + size * size] = cut.reshape(height, width, size * size)
    return out


def planes_from_squares(values: Int, count: int) -> list[Int]:
    """The inverse of squares()."""
    height, width, _ = values.shape
    planes = []
    for i in range(count):
        size = LUMA if i == 0 else CHROMA
        first = 0 if i == 0 else 48 + 16 * i
        cut = values[..., first : first + size * size].reshape(height, width, size, size)
        planes.append(cut.transpose(0, 2, 1, 3).reshape(height * size, width * size))
    return planes


def side_vectors(
    prediction: list[npt.NDArray[Any]],
    depth: int,
    q: int | Int,
    first_of_keyframe: bool,
    later: bool = False,
    above: int = 0,
    prediction_side: Int | int = 0,
) -> Int:
    """[H, W, 104]; `later`: not the first layer of its frame; `above`: c minus the last layer's.

    `q` is one for all tokens or [H, W]. `prediction_side` [H, W, 2]: L(D) and L(M).
    """
    middle = 2 ** (depth - 1)
    p = squares(prediction, middle)
    side = np.zeros((*p.shape[:2], 104), np.int64)
    side[..., :96] = (p - middle) * (4 if depth == 8 else 1)
    side[..., 96] = q - 256
    side[..., 97] = 256 if first_of_keyframe else 0
    side[..., 98] = 256 if later else 0
    side[..., 99] = above
    side[..., 100:102] = prediction_side
    return side


def side_log2(n: Int) -> Int:
    """L(n) of whole numbers from 0 on."""
    k = np.array([int(value + 1).bit_length() - 1 for value in n.flat], np.int64).reshape(n.shape)
    return 64 * k + (64 * (n + 1) >> k) - 64


def residual_vectors(
    source: list[npt.NDArray[Any]],
    prediction: list[npt.NDArray[Any]],
    depth: int,
    q: int | Int,
    chroma_offset: int,
) -> Int:
    middle = 2 ** (depth - 1)
    sizes = sample_step_sizes(q, depth, chroma_offset)
    difference = squares(source, middle) - squares(prediction, middle)
    residual: Int = np.clip((difference * 2**16 + sizes // 2) // sizes, -32767, 32767)
    return residual


def reconstruct(
    prediction: list[npt.NDArray[Any]],
    output: Int,
    depth: int,
    q: int | Int,
    active: Bool,
    chroma_offset: int,
) -> list[Int]:
    p = squares(prediction, 2 ** (depth - 1))
    sizes = sample_step_sizes(q, depth, chroma_offset)
    sample = p + ((wide(output) * sizes + 2**15) >> 16)
    sample = np.clip(sample, 0, 2**depth - 1)
    return planes_from_squares(np.where(active[..., None], sample, p), len(prediction))


def token_width(stages: int) -> int:
    """V of a model with S stages."""
    return -(-33 * stages // 8) * 8


def token_vectors(stages: npt.NDArray[Any], bits: npt.NDArray[Any]) -> Int:
    """Stages [H, W], bits [H, W, S, 32] -> [H, W, V]."""
    count = bits.shape[-2]
    out = np.zeros((*stages.shape, token_width(count)), np.int64)
    for s in range(count):
        present = stages > s
        out[..., 32 * s : 32 * s + 32] = np.where(present[..., None], 64 * bits[..., s, :], 0)
        out[..., 32 * count + s] = np.where(present, 64, 0)
    return out


# ---- section 4 ----


class Networks:
    """The networks of a model file's tensors whose names begin with the prefix."""

    def __init__(self, tensors: Tensors, prefix: str = "") -> None:
        self.tensors = {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }
        self.stages = self.tensors["prior.flag.w"].shape[0] // 3

    def _rq8(self, a: Int, name: str, i: int | None = None) -> Int:
        return rq8(a, *self._scale(name, i))

    def _rq16(self, a: Int, name: str, i: int | None = None) -> Int:
        return rq16(a, *self._scale(name, i))

    def _scale(self, name: str, i: int | None) -> tuple[npt.NDArray[Any], int]:
        m, n = self.tensors[f"{name}.m"], self.tensors[f"{name}.n"]
        return (m, int(n[0])) if i is None else (m[i], int(n[i]))

    def _linear(self, x: npt.ArrayLike, name: str, i: int | None = None) -> Int:
        w, b = self.tensors[f"{name}.w"], self.tensors.get(f"{name}.b", np.zeros(1, np.int64))
        if i is None:
            return linear(x, w, b)
        return linear(x, w[i], b[i] if b.ndim > 1 else 0)

    def _dwconv5(self, x: Int, name: str) -> Int:
        bias = self.tensors.get(f"{name}.b", np.zeros(1, np.int64))
        return dwconv5(x, self.tensors[f"{name}.w"], bias)

    def _ffn(self, d: Int, name: str) -> Int:
        h = self._rq8(self._linear(d, f"{name}.fc1"), f"{name}.fc1")
        h = table(h, self.tensors[f"{name}.table"])
        return self._rq16(self._linear(h, f"{name}.fc2"), f"{name}.fc2")

    def _blocks(self, x: Int, active: Bool, network: str) -> Int:
        i = 0
        while f"{network}.block{i}.in.m" in self.tensors:
            name = f"{network}.block{i}"
            a = np.where(active[..., None], self._rq8(x, f"{name}.in"), 0)
            d = self._rq8(self._dwconv5(a, f"{name}.dw"), f"{name}.dw")
            x = add16(x, self._ffn(d, name))
            i += 1
        return x

    def decode(self, tokens: npt.ArrayLike, side: npt.ArrayLike, active: Bool) -> Int:
        """Output o [H, W, 96], 0 at inactive tokens."""
        x = add16(
            self._rq16(self._linear(tokens, "dec.tok"), "dec.tok"),
            self._rq16(self._linear(side, "dec.side"), "dec.side"),
        )
        x = self._blocks(x, active, "dec")
        o = self._rq16(self._linear(self._rq8(x, "dec.f"), "dec.out"), "dec.out")
        return np.where(active[..., None], o, 0)

    def encode(self, residual: npt.ArrayLike, side: npt.ArrayLike, active: Bool) -> Int:
        """Bits [H, W, S, 32], 0 at inactive tokens."""
        e = np.concatenate([wide(residual), wide(side)], axis=-1)
        x = self._rq16(self._linear(e, "enc.in"), "enc.in")
        f = self._rq8(self._blocks(x, active, "enc"), "enc.f")
        z = self._rq8(self._linear(f, "enc.head"), "enc.head")
        bits = (z >= 0).reshape(*z.shape[:2], self.stages, STAGE_BITS)
        return np.where(active[..., None, None], bits, 0).astype(np.int64)

    def gains(self, residual: npt.ArrayLike, output: npt.ArrayLike, active: Bool) -> Int:
        """What every bit gains by the errors of the tokens around, [H, W, 32 S]."""
        errors = np.clip(wide(residual) - wide(output), -4096, 4096)
        padded = np.pad(np.where(active[..., None], errors, 0), ((1, 1), (1, 1), (0, 0)))
        height, width = active.shape
        total = np.zeros((height, width, 32 * self.stages), np.int64)
        for i in range(9):
            y, x = divmod(i, 3)
            near = padded[y : y + height, x : x + width]
            gain = self._linear(near, "enc.response", i)
            total = add16(total, self._rq16(gain, "enc.response", i))
        return np.where(active[..., None], total, 0)

    def trunk(self, previous: npt.ArrayLike, side: npt.ArrayLike, active: Bool) -> tuple[Int, Int]:
        """Residual stream [H, W, P], and flag logits [H, W, 3 S], 0 at inactive tokens."""
        x = add16(
            self._rq16(self._linear(previous, "prior.tok"), "prior.tok"),
            self._rq16(self._linear(side, "prior.side"), "prior.side"),
        )
        x = self._blocks(x, active, "prior")
        flags = self._rq16(self._linear(self._rq8(x, "prior.f"), "prior.flag"), "prior.flag")
        return x, np.where(active[..., None], flags, 0)

    def logits(self, x: Int, stages: npt.NDArray[Any], bits: npt.NDArray[Any], active: Bool) -> Int:
        """Logits [H, W, S, 32] of the coded bits of one tile, 0 where nothing is coded.

        All arrays are cut to the tile.
        """
        rows, columns = np.indices(stages.shape)
        group = np.where(rows % 2 != columns % 2, 2, rows % 2)
        truth = token_vectors(stages, bits)
        out = np.zeros(bits.shape, np.int64)
        for g in range(3):
            v = self.group_stream(x, truth, group < g, active)
            for s in range(self.stages):
                coded = active & (group == g) & (stages > s)
                for j in range(4):
                    eight = slice(8 * j, 8 * j + 8)
                    pair = self.pair(4 * s + j)
                    known = wide(bits[..., s, eight]) @ pair.T
                    out[coded, s, eight] = (self.head(v, 4 * s + j) + known)[coded]
                    v = self.embed(v, bits[..., s, eight], 4 * s + j)
        return out

    def group_stream(self, x: Int, tokens: Int, known: Bool, active: Bool) -> Int:
        """Stream v [H, W, P] of a group; `known`: the tokens of the groups before it."""
        cur = tokens.copy()
        cur[~known, : STAGE_BITS * self.stages] = 0
        e = self._rq8(self._linear(cur, "prior.cur"), "prior.cur")
        e = np.where(active[..., None], e, 0)
        d = self._rq8(self._dwconv5(e, "prior.ctx"), "prior.ctx")
        v = add16(x, self._rq16(self._linear(d, "prior.mix"), "prior.mix"))
        return add16(v, self._ffn(self._rq8(v, "prior.ffn.in"), "prior.ffn"))

    def head(self, v: Int, i: int) -> Int:
        """Logits [..., 8] of stage i // 4, sub-group i % 4."""
        h = table(self._rq8(v, "prior.head.in", i), self.tensors["prior.head.table"])
        return self._rq16(self._linear(h, "prior.head", i), "prior.head", i)

    def pair(self, i: int) -> Int:
        """[8, 8]: what bit k = 1 adds to the logit of bit i > k."""
        return np.tril(wide(self.tensors["prior.pair"][i]), -1)

    def embed(self, v: Int, bits: npt.NDArray[Any], i: int) -> Int:
        """Stream v [..., P] with the eight bits [..., 8] of head i added."""
        y = self._linear(64 * wide(bits), "prior.emb", i)
        return add16(v, self._rq16(y, "prior.emb", i))
