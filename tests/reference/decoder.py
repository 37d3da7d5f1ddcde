"""A second decoder in plain Python and NumPy, written from docs/bitstream.md and docs/numerics.md.

It is slow and simple, and it raises DamageError where the real decoder would conceal.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bsqav.codec.modelfile import parse_model
from tests.reference import filters, numerics
from tests.reference.bitstream import (
    Header,
    Packet,
    PacketParser,
    Plane,
    Tile,
    conformance_hash,
    require,
    tiles,
)
from tests.reference.motion import TileMotion, compensate, empty_field, take_motion
from tests.reference.range_decoder import CorrectedBit, RangeDecoder, TileContexts

__all__ = ["Decoder", "conformance_hash", "decode_stream"]

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
    """

    superblocks: BoolArray
    stages: IntArray
    bits: IntArray

    @classmethod
    def empty(cls, width: int, height: int, stages: int) -> TokenField:
        """A field without active superblocks, for a coded size in luma samples and S stages."""
        rows, columns = height // 8, width // 8
        return cls(
            np.zeros((-(-rows // SUPERBLOCK_TOKENS), -(-columns // SUPERBLOCK_TOKENS)), np.bool_),
            np.zeros((rows, columns), np.int64),
            np.zeros((rows, columns, stages, 32), np.int64),
        )

    @property
    def active(self) -> BoolArray:
        """Bool [rows, columns]: the tokens of active superblocks."""
        rows, columns = self.stages.shape
        return _per_token(self.superblocks)[:rows, :columns]


def _per_token(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values of superblocks, repeated for their tokens."""
    return values.repeat(SUPERBLOCK_TOKENS, 0).repeat(SUPERBLOCK_TOKENS, 1)


class DeltaQ:
    """Delta q of the superblocks (section 3.5).

    Attributes:
        values: int64 [superblocks_y, superblocks_x], the last that were coded.
        coded: bool, the superblocks whose delta q this packet has coded.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.values = np.zeros((rows, columns), np.int64)
        self.coded = np.zeros((rows, columns), np.bool_)


class Decoder:
    """Decodes the packets of a stream, one after the other."""

    def __init__(self, model: bytes) -> None:
        contents = parse_model(model)
        self.model_id = bytes.fromhex(contents.id)
        self.networks = numerics.Networks(contents.tensors)
        self.parser = PacketParser()
        self._reset()

    def _reset(self) -> None:
        self.others: list[Decoder] = []
        self.contexts: list[TileContexts] = []
        self.planes: list[IntArray] = []
        self.field: TokenField | None = None
        self.delta_q = DeltaQ(0, 0)
        self.coded: BoolArray = np.zeros((0, 0), np.bool_)
        self.vectors: IntArray | None = None

    def decode(self, data: bytes) -> list[Plane]:
        """The planes of a packet's frame, cropped."""
        packet = self.parser.parse(data)
        planes = self._decode_component(packet, None)
        for decoder, other in zip(self.further(packet), packet.others, strict=True):
            planes += decoder._decode_component(other, self.vectors)
        return planes

    def further(self, packet: Packet) -> list[Decoder]:
        """Decoders of the components after the first, new ones in a keyframe."""
        if packet.keyframe:
            self.others = [copy.copy(self) for _ in packet.others]
            for other in self.others:
                other._reset()
        return self.others

    def _decode_component(self, packet: Packet, vectors: IntArray | None) -> list[Plane]:
        """`vectors`: of the first component, where this is a later one."""
        coders = [RangeDecoder(payload) for payload in packet.payloads]
        base = [RangeDecoder(payload) for payload in (packet.base.payloads if packet.base else ())]
        planes = self.decode_symbols(packet, coders, base, vectors)
        for coder in [*base, *coders]:
            coder.finish()
        return planes

    def decode_symbols(
        self,
        packet: Packet,
        coders: Sequence[RangeDecoder],
        base: Sequence[RangeDecoder] = (),
        first_vectors: IntArray | None = None,
    ) -> list[Plane]:
        """The planes of a component, with the symbols that the coders give.

        `base`: the coders of its base frame; `first_vectors`: the motion of the first component.
        """
        header = packet.header
        start = _middle(header)
        if packet.base is not None:
            base_decoder = copy.copy(self)
            base_decoder._reset()
            planes = base_decoder.decode_symbols(packet.base, base)
            start = [
                filters.enlarge(plane.astype(np.int64), full.shape[0], full.shape[1], header.depth)
                for plane, full in zip(planes, start, strict=True)
            ]
        if packet.keyframe:
            require(header.model == self.model_id, f"another model: {header.model.hex()}")
            self.field = None
            self.contexts = [TileContexts() for _ in tiles(*header.coded_size)]
            self.delta_q = DeltaQ(*(-(-side // 32) for side in reversed(header.coded_size)))
            self.planes, self.vectors = start, None
        elif packet.first_motion:
            assert first_vectors is not None
            self.vectors = take_motion(first_vectors, header.width_shift)
        self.delta_q.coded[:] = False
        self.coded = np.zeros([side // 8 for side in reversed(header.coded_size)], np.bool_)
        for layer in range(len(packet.quantizers)):
            self._decode_layer(packet, layer, coders)
        q = self._token_q(packet, len(packet.quantizers) - 1)
        edges = filters.edges(q, self.coded, self.vectors)
        self.planes = filters.deblock(self.planes, *edges, header.depth)
        return _crop(self.planes, header)

    def _decode_layer(self, packet: Packet, layer: int, coders: Sequence[RangeDecoder]) -> None:
        """Replaces `planes` and `field` by those of the layer."""
        header, networks = packet.header, self.networks
        size = header.coded_size
        field = TokenField.empty(*size, networks.stages)
        previous = self.field or TokenField.empty(*size, networks.stages)
        context = self._active_context(packet, layer)
        delta_q = (self.delta_q, packet.keyframe)
        readers = [
            _TileReader(tile, coder, contexts, field, delta_q)
            for tile, coder, contexts in zip(tiles(*size), coders, self.contexts, strict=True)
        ]
        moves = layer == 0 and not packet.keyframe
        vectors = empty_field(*size) if moves and not packet.first_motion else None
        for reader in readers:
            reader.read_superblocks(previous.superblocks, context, vectors)
        if moves:
            self.vectors = self.vectors if vectors is None else vectors
            assert self.vectors is not None
            self.planes = compensate(self.planes, self.vectors, header.depth)
        q = self._token_q(packet, layer)
        side = self._side_vectors(packet, layer, q)
        before = numerics.token_vectors(previous.stages, previous.bits)
        stream, flags = networks.trunk(before, side, field.active)
        for reader in readers:
            reader.read_stages(flags, networks.stages, context)
            reader.read_bits(stream, networks, context)
        tokens = numerics.token_vectors(field.stages, field.bits)
        output = networks.decode(tokens, side, field.active)
        self.planes = numerics.reconstruct(list(self.planes), output, header.depth, q, field.active)
        self.field = field
        self.coded |= field.stages > 0

    def _active_context(self, packet: Packet, layer: int) -> int:
        """t of section 3.1: which set of contexts the active flags of a layer use."""
        return int(packet.keyframe or layer != len(packet.quantizers) - 1)

    def _token_q(self, packet: Packet, layer: int) -> IntArray:
        rows, columns = self.coded.shape
        delta_q = _per_token(self.delta_q.values)[:rows, :columns]
        return numerics.token_q(packet.quantizers[layer], delta_q)

    def _side_vectors(self, packet: Packet, layer: int, q: IntArray) -> IntArray:
        depth = packet.header.depth
        later, above = layer > 0, packet.quantizers[layer] - packet.quantizers[-1]
        first = packet.keyframe and layer == 0
        return numerics.side_vectors(list(self.planes), depth, q, first, later, above)


class _TileReader:
    """Reads the symbols of one layer in one tile into the frame's token field (section 3.1)."""

    def __init__(
        self,
        tile: Tile,
        coder: RangeDecoder,
        contexts: TileContexts,
        field: TokenField,
        delta_q: tuple[DeltaQ, bool],
    ) -> None:
        """`delta_q`: with whether the packet is a keyframe."""
        self.tile, self.coder, self.contexts, self.field = tile, coder, contexts, field
        self.delta_q = delta_q
        side = SUPERBLOCK_TOKENS
        self.tokens = (
            slice(tile.y0 * side, min(tile.y1 * side, field.stages.shape[0])),
            slice(tile.x0 * side, min(tile.x1 * side, field.stages.shape[1])),
        )

    def read_superblocks(self, previous: BoolArray, t: int, vectors: IntArray | None) -> None:
        """Motion, where there are `vectors` to fill, and active flags in the contexts of t."""
        tile, active = self.tile, self.field.superblocks
        motion = TileMotion(vectors, self.coder, self.contexts) if vectors is not None else None
        for y in range(tile.y0, tile.y1):
            for x in range(tile.x0, tile.x1):
                if motion is not None:
                    motion.read_superblock(x, y)
                above = y > tile.y0 and bool(active[y - 1, x])
                left = x > tile.x0 and bool(active[y, x - 1])
                context = 6 * t + 2 * (above + left) + int(previous[y, x])
                active[y, x] = self.contexts.active[context].read(self.coder)
                if active[y, x]:
                    self._read_delta_q(*self.delta_q, x, y)

    def _read_delta_q(self, delta_q: DeltaQ, keyframe: bool, x: int, y: int) -> None:
        """Delta q of a superblock, unless an earlier layer has coded it."""
        values, coded = delta_q.values, delta_q.coded
        if coded[y, x]:
            return
        predictor = int(values[y, x])
        if keyframe:
            predictor = 0
            if x > self.tile.x0 and coded[y, x - 1]:
                predictor = int(values[y, x - 1])
            elif y > self.tile.y0 and coded[y - 1, x]:
                predictor = int(values[y - 1, x])
        difference = 0
        if not self.contexts.same_delta_q[int(keyframe)].read(self.coder):
            difference = self.contexts.delta_q.read(self.coder)
        value = predictor + difference
        require(-16 <= value <= 16, f"a delta q of {value}")
        values[y, x], coded[y, x] = value, True

    def read_stages(self, flag_logits: IntArray, most: int, t: int) -> None:
        """The stage counts up to `most`; `flag_logits` [rows, columns, 3 S] are the trunk's."""
        logits, corrections = flag_logits[self.tokens], self.contexts.flags[t]
        active, stages = self.field.active[self.tokens], self.field.stages[self.tokens]
        for y, x in np.argwhere(active):
            above = stages[y - 1, x] if y > 0 else 0
            left = stages[y, x - 1] if x > 0 else 0
            n = 0
            while n < most:
                near = int(above > n) + int(left > n)
                output = 3 * n + near
                if not corrections[output].read(self.coder, int(logits[y, x, output])):
                    break
                n += 1
            stages[y, x] = n

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
        self, coded_bits: list[CorrectedBit], logits: IntArray, pair: IntArray
    ) -> list[int]:
        """Eight bits of a token; the known ones change the logits of the others."""
        bits: list[int] = []
        for i, coded_bit in enumerate(coded_bits):
            known = int(pair[i, :i] @ np.array(bits, np.int64))
            bits.append(coded_bit.read(self.coder, int(logits[i]) + known))
        return bits


def _middle(header: Header) -> list[IntArray]:
    """The prediction of a keyframe's first layer."""
    width, height = header.coded_size
    shapes = [(height, width)] + [(height // 2, width // 2)] * (2 * header.chroma)
    return [np.full(shape, 2 ** (header.depth - 1), np.int64) for shape in shapes]


def _crop(planes: list[IntArray], header: Header) -> list[Plane]:
    """The planes without the padding to multiples of 8."""
    sizes = [(header.height, header.width)]
    sizes += [(-(-header.height // 2), -(-header.width // 2))] * (len(planes) - 1)
    cut = [plane[:h, :w] for plane, (h, w) in zip(planes, sizes, strict=True)]
    if header.depth == 8:
        return [plane.astype(np.uint8) for plane in cut]
    return [plane.astype(np.uint16) for plane in cut]


def decode_stream(packets: Iterable[bytes], model: bytes) -> list[list[Plane]]:
    """The frames of a stream, each a list of cropped planes (uint8 for 8 bits, else uint16).

    Raises:
        DamageError: the stream breaks a rule, has a gap, or needs another model.
    """
    decoder = Decoder(model)
    return [decoder.decode(packet) for packet in packets]
