"""The layers of a component and their symbols, from docs/bitstream.md section 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.reference import filters, numerics, samples, wiener
from tests.reference.bitstream import Header, Tile, require, tiles
from tests.reference.motion import Motion
from tests.reference.range_decoder import CorrectedLogit, Integer, RangeDecoder, TileContexts

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
SUPERBLOCK_TOKENS = 4  # tokens along the side of a superblock


@dataclass
class TokenField:
    """The tokens of a frame after one layer.

    Attributes:
        superblocks: bool [superblocks_y, superblocks_x], the active ones.
        stages: int64 [rows, columns], n of every token.
        bits: int64 [rows, columns, S, 32].
        sampled: bool [rows, columns], the sample-coded ones.
    """

    superblocks: BoolArray
    stages: IntArray
    bits: IntArray
    sampled: BoolArray

    @classmethod
    def empty(cls, width: int, height: int, stages: int) -> TokenField:
        """A field without active superblocks, for a coded size in luma samples and S stages."""
        rows, columns = height // 8, width // 8
        return cls(
            np.zeros((-(-rows // SUPERBLOCK_TOKENS), -(-columns // SUPERBLOCK_TOKENS)), np.bool_),
            np.zeros((rows, columns), np.int64),
            np.zeros((rows, columns, stages, 32), np.int64),
            np.zeros((rows, columns), np.bool_),
        )

    @property
    def coded(self) -> IntArray:
        """Int64 [superblocks_y, superblocks_x]: the number of tokens with stages."""
        rows, columns = self.superblocks.shape
        counts = np.zeros((rows * SUPERBLOCK_TOKENS, columns * SUPERBLOCK_TOKENS), np.int64)
        counts[: self.stages.shape[0], : self.stages.shape[1]] = self.stages > 0
        by_superblock = counts.reshape(rows, SUPERBLOCK_TOKENS, columns, SUPERBLOCK_TOKENS)
        return np.asarray(by_superblock.sum((1, 3)), np.int64)

    @property
    def active(self) -> BoolArray:
        """Bool [rows, columns]: the active tokens (section 5 of docs/numerics.md)."""
        rows, columns = self.stages.shape
        return _per_token(self.superblocks)[:rows, :columns] & ~self.sampled


def _per_token(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values of superblocks, repeated for their tokens."""
    return values.repeat(SUPERBLOCK_TOKENS, 0).repeat(SUPERBLOCK_TOKENS, 1)


@dataclass
class State:
    """The coding state of a component (section 2.5).

    Attributes:
        contexts: of every tile.
        field: the previous token field.
        delta_q: int64 [superblocks_y, superblocks_x].
        quantizers: of the layers; none before a keyframe.
    """

    contexts: list[TileContexts]
    field: TokenField
    delta_q: IntArray
    quantizers: tuple[int, ...]

    @classmethod
    def initial(cls, header: Header, stages: int) -> State:
        """The state in which a keyframe begins."""
        size = header.coded_size
        field = TokenField.empty(*size, stages)
        contexts = [TileContexts() for _ in tiles(*size)]
        return cls(contexts, field, np.zeros(field.superblocks.shape, np.int64), ())


class LayerDecoder:
    """Decodes the layers of a component, or of a base frame; changes the coding state."""

    def __init__(
        self,
        networks: numerics.Networks,
        header: Header,
        state: State,
        coders: Sequence[RangeDecoder],
        keyframe: bool,
    ) -> None:
        self.networks, self.header, self.state = networks, header, state
        self.coders, self.keyframe = coders, keyframe
        self.delta_q_coded = np.zeros(state.delta_q.shape, np.bool_)
        self.planes: list[IntArray] = []
        self.prediction_side: IntArray | int = 0
        self.sampled: BoolArray = np.zeros(state.field.stages.shape, np.bool_)

    def decode(
        self,
        prediction: list[IntArray],
        motion: Motion | None,
        prediction_side: IntArray | int = 0,
        *,
        base: bool = False,
    ) -> list[IntArray]:
        """The planes, after deblocking and, unless it is a `base` frame, the Wiener filter."""
        self.planes, self.prediction_side = prediction, prediction_side
        if not base:
            self._read_samples()
        coded: BoolArray = np.zeros(self.state.field.stages.shape, np.bool_)
        layers = len(self.state.quantizers)
        for layer in range(layers):
            self._decode_layer(layer)
            coded |= self.state.field.stages > 0
        vectors, directions = (motion.vectors, motion.directions) if motion else (None, None)
        q = self._token_q(layers - 1)
        edges = filters.edges(q, coded, vectors, directions, self.sampled)
        deblocked = filters.deblock(self.planes, *edges, self.header.depth)
        if base:
            return deblocked
        cut = tiles(*self.header.coded_size)
        filtered = [
            wiener.read_planes(coder, contexts, tile, len(deblocked), self.keyframe)
            for coder, contexts, tile in zip(self.coders, self.state.contexts, cut, strict=True)
        ]
        changed = wiener.apply(deblocked, filtered, self.header.depth)
        return samples.kept(changed, deblocked, self.sampled)

    def _read_samples(self) -> None:
        """The sample-coded tokens, which are put into the prediction."""
        self.planes = [plane.astype(np.int64) for plane in self.planes]
        cut = tiles(*self.header.coded_size)
        for coder, contexts, tile in zip(self.coders, self.state.contexts, cut, strict=True):
            reader = samples.SampleReader(coder, contexts, self.header.depth, self.keyframe)
            reader.read(tile, self.planes, self.sampled)

    def _decode_layer(self, layer: int) -> None:
        """Replaces the planes and the token field by those of the layer."""
        networks, state, size = self.networks, self.state, self.header.coded_size
        field, previous = TokenField.empty(*size, networks.stages), state.field
        field.sampled = self.sampled
        readers = [
            _TileReader(tile, coder, contexts, field, (state.delta_q, self.delta_q_coded))
            for tile, coder, contexts in zip(tiles(*size), self.coders, state.contexts, strict=True)
        ]
        context = int(self.keyframe or layer != len(state.quantizers) - 1)  # t of section 3.1
        kind = 2 * context + int(layer > 0)  # T of section 3.1
        for reader in readers:
            reader.read_superblocks(previous.coded, kind, self.keyframe)
        q = self._token_q(layer)
        side = self._side_vectors(layer, q)
        before = numerics.token_vectors(previous.stages, previous.bits)
        stream, flags = networks.trunk(before, side, field.active)
        for reader in readers:
            reader.read_stages(flags, networks.stages, kind)
            reader.read_bits(stream, networks, context)
        tokens = numerics.token_vectors(field.stages, field.bits)
        output = networks.decode(tokens, side, field.active)
        depth, offset = self.header.depth, self.header.chroma_offset
        planes = list(self.planes)
        self.planes = numerics.reconstruct(planes, output, depth, q, field.active, offset)
        state.field = field

    def _token_q(self, layer: int) -> IntArray:
        rows, columns = self.state.field.stages.shape
        delta_q = _per_token(self.state.delta_q)[:rows, :columns]
        return numerics.token_q(self.state.quantizers[layer], delta_q)

    def _side_vectors(self, layer: int, q: IntArray) -> IntArray:
        quantizers = self.state.quantizers
        later, above = layer > 0, quantizers[layer] - quantizers[-1]
        first = self.keyframe and layer == 0
        return numerics.side_vectors(
            list(self.planes), self.header.depth, q, first, later, above, self.prediction_side
        )


class _TileReader:
    """Reads the symbols of one layer in one tile into the frame's token field (section 3.1)."""

    def __init__(
        self,
        tile: Tile,
        coder: RangeDecoder,
        contexts: TileContexts,
        field: TokenField,
        delta_q: tuple[IntArray, BoolArray],
    ) -> None:
        """`delta_q`: that of every superblock, and whether the frame has coded it."""
        self.tile, self.coder, self.contexts, self.field = tile, coder, contexts, field
        self.delta_q = delta_q
        side = SUPERBLOCK_TOKENS
        self.tokens = (
            slice(tile.y0 * side, min(tile.y1 * side, field.stages.shape[0])),
            slice(tile.x0 * side, min(tile.x1 * side, field.stages.shape[1])),
        )

    def read_superblocks(self, coded: IntArray, kind: int, keyframe: bool) -> None:
        """Active flags, in the contexts of T = `kind`, and delta q.

        `coded`: the numbers of tokens with stages in the previous token field.
        """
        tile, active = self.tile, self.field.superblocks
        for y in range(tile.y0, tile.y1):
            for x in range(tile.x0, tile.x1):
                near = int(y > tile.y0 and active[y - 1, x]) + int(x > tile.x0 and active[y, x - 1])
                right = x + 1 < tile.x1 and coded[y, x + 1] > 0
                below = y + 1 < tile.y1 and coded[y + 1, x] > 0
                digits, after = int(coded[y, x]).bit_length(), int(right) + int(below)
                contexts = (3 * kind + near) * 6 + digits, (6 * kind + digits) * 3 + after
                active[y, x] = self.contexts.active.read(self.coder, kind, *contexts)
                if active[y, x]:
                    self._read_delta_q(keyframe, x, y)

    def _read_delta_q(self, keyframe: bool, x: int, y: int) -> None:
        """Delta q of a superblock, unless an earlier layer has coded it."""
        values, coded = self.delta_q
        if coded[y, x]:
            return
        predictor = int(values[y, x])
        if keyframe:
            predictor = 0
            if x > self.tile.x0 and coded[y, x - 1]:
                predictor = int(values[y, x - 1])
            elif y > self.tile.y0 and coded[y - 1, x]:
                predictor = int(values[y - 1, x])
        difference, f = 0, int(keyframe)
        if not self.contexts.same_delta_q.read(self.coder, 0, f):
            kind = self.contexts.delta_q
            difference = Integer().read(
                self.coder, lambda known: kind.read(self.coder, known.bin, 2 * known.bin + f)
            )
        value = predictor + difference
        require(-16 <= value <= 16, f"a delta q of {value}")
        values[y, x], coded[y, x] = value, True

    def read_stages(self, flag_logits: IntArray, most: int, kind: int) -> None:
        """The stage counts up to `most`; `flag_logits` [rows, columns, 3 S] are the trunk's."""
        logits, corrections = flag_logits[self.tokens], self.contexts.flags[kind // 2]
        active, stages = self.field.active[self.tokens], self.field.stages[self.tokens]
        around = np.zeros((stages.shape[0] + 1, stages.shape[1] + 2), np.int64)
        for y, x in np.argwhere(active):
            near = around[y + 1, x], around[y, x + 1], around[y, x], around[y, x + 2]
            n = 0
            while n < most:
                output = 3 * n + int(near[0] > n) + int(near[1] > n)
                number = 4 * kind + min(n, 3)
                context = number
                for other in near:
                    context = 3 * context + min(max(int(other) - n, 0), 2)
                logit, correction = int(logits[y, x, output]), corrections[output]
                flag = self.contexts.stages.read(
                    self.coder, number, context, logit=correction.logit(logit)
                )
                correction.learn(logit, flag)
                if not flag:
                    break
                n += 1
            stages[y, x] = around[y + 1, x + 1] = n

    def read_bits(self, stream: IntArray, networks: numerics.Networks, t: int) -> None:
        """The bits of all stages; `stream` [rows, columns, P] is the trunk's."""
        active, stages = self.field.active[self.tokens], self.field.stages[self.tokens]
        bits = self.field.bits[self.tokens]
        row, column = np.indices(stages.shape)
        group = np.where(row % 2 != column % 2, 2, row % 2)
        for g in range(3):
            tokens = numerics.token_vectors(stages, bits)
            v = networks.group_stream(stream[self.tokens], tokens, group < g, active)
            for s in range(networks.stages):
                coded = (group == g) & (stages > s)
                if not coded.any():
                    break
                u = v[coded]
                for j in range(4):
                    logits = networks.head(u, 4 * s + j)
                    first = 32 * s + 8 * j
                    coded_bits = self.contexts.bits[t][first : first + 8]
                    pair = networks.pair(4 * s + j)
                    new = np.array([self._read_byte(coded_bits, row, pair) for row in logits])
                    bits[coded, s, 8 * j : 8 * j + 8] = new
                    u = networks.embed(u, new, 4 * s + j)
                v[coded] = u

    def _read_byte(
        self, coded_bits: list[CorrectedLogit], logits: IntArray, pair: IntArray
    ) -> list[int]:
        """Eight bits of a token; the known ones change the logits of the others."""
        bits: list[int] = []
        for i, coded_bit in enumerate(coded_bits):
            known = int(pair[i, :i] @ np.array(bits, np.int64))
            bits.append(coded_bit.read(self.coder, int(logits[i]) + known))
        return bits
