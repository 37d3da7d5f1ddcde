"""Valid streams of random symbols: they use all of the syntax, also where no encoder would.

The reference decoder runs with coders that draw every bit and note it with its probability; the
range code of the notes is the payload.
"""

from __future__ import annotations

import copy
import random

from tests.bitstream.packets import Header as HeaderFields
from tests.bitstream.packets import PacketFields, varint
from tests.entropy.range_code import encode
from tests.reference.bitstream import (
    DamageError,
    Packet,
    Plane,
    Reader,
    base_header,
    blocks,
    parse_header,
)
from tests.reference.decoder import Decoder
from tests.reference.range_decoder import RangeDecoder


class ForgedCoder(RangeDecoder):
    """Draws its bits: half of them as their probabilities say, of the others `ones` are 1."""

    def __init__(self, rng: random.Random, ones: float) -> None:
        super().__init__(b"")
        self.rng = rng
        self.ones = ones
        self.symbols: list[tuple[int, int]] = []

    def bit(self, p: int) -> int:
        """A drawn bit, at times one that is hardly possible."""
        chance = p / 65536 if self.rng.random() < 0.5 else self.ones
        bit = int(self.rng.random() < chance)
        self.symbols.append((bit, p))
        return bit


def _body(coders: list[ForgedCoder]) -> bytes:
    """Sizes and payloads."""
    payloads = [encode(coder.symbols) for coder in coders]
    return b"".join([varint(len(part)) for part in payloads[:-1]] + payloads)


class Forger:
    """Makes a stream, packet by packet.

    Attributes:
        packets: the stream.
        pictures: what its packets decode to.
        times: pts and duration of every packet.
    """

    def __init__(
        self, header: HeaderFields, model: bytes, seed: int, ones: float, start: int = -200
    ) -> None:
        """A stream of `model` (the bytes of its file), whose id and version the header gets.

        `ones` is the share of ones among half of the symbols: above all of what is active.
        The first timestamp follows `start`.
        """
        self.decoder = Decoder(model)
        header.model = self.decoder.model_id
        header.version = header.numerics = self.decoder.networks.version
        self.fields = header
        self.header = parse_header(Reader(header.write()))
        self.rng = random.Random(seed)
        self.ones = ones
        self.start = start
        self.packets: list[bytes] = []
        self.pictures: list[list[Plane]] = []
        self.times: list[tuple[int, int]] = []
        self.previous: Packet | None = None
        self.keyframe_pts = 0

    def add(self, keyframe: bool, layers: int) -> None:
        """Adds a packet with random times, steps and symbols."""
        packet, fields = self._draw_fields(keyframe, layers)
        coders, base = self._draw_symbols(packet)
        if packet.base is not None:
            steps = b"".join(step.to_bytes(2, "little") for step in packet.base.steps)
            fields.base = bytes([len(packet.base.steps) - 1]) + steps + _body(base)
        fields.body = _body(coders)
        self.packets.append(fields.write())
        self.times.append((packet.pts, packet.duration))
        self.previous = packet

    def _draw_fields(self, keyframe: bool, layers: int) -> tuple[Packet, PacketFields]:
        rng, before, ticks = self.rng, self.previous, self.header.ticks_per_frame
        index = 0 if keyframe or before is None else before.index + 1
        pts = (before.pts if before else self.start) + rng.randint(1, 300)
        parity = rng.random() < 0.5 if keyframe or before is None else before.parity
        fields = PacketFields(keyframe, self.fields, layers, pts, index, parity=parity)
        if keyframe:
            self.keyframe_pts = pts
        else:
            deviation = pts - self.keyframe_pts - index * ticks
            fields.deviation = deviation if deviation or rng.random() < 0.5 else None
        steps = () if keyframe or before is None else before.steps
        fields.steps = None
        if len(steps) != layers or rng.random() < 0.5:
            fields.steps = [rng.randint(0, 504) for _ in range(layers)]
            steps = tuple(fields.steps)
        fields.duration = rng.choice([None, 0, 1, 1000])
        duration = ticks if fields.duration is None else fields.duration
        base = None
        if keyframe and self.header.version > 2 and rng.random() < 0.7:
            small = tuple(rng.randint(0, 504) for _ in range(rng.randint(1, 8)))
            base = Packet(base_header(self.header), True, False, 0, 0, 0, small, ())
        return Packet(self.header, keyframe, parity, index, pts, duration, steps, (), base), fields

    def _coders(self, packet: Packet | None) -> list[ForgedCoder]:
        if packet is None:
            return []
        count = len(blocks(*packet.header.coded_size))
        return [ForgedCoder(self.rng, self.ones) for _ in range(count)]

    def _draw_symbols(self, packet: Packet) -> tuple[list[ForgedCoder], list[ForgedCoder]]:
        """Coders with the packet's symbols; vectors out of range are drawn again."""
        decoder = self.decoder
        state = decoder.planes, decoder.field, copy.deepcopy(decoder.models)
        for _ in range(100):
            coders, base = self._coders(packet), self._coders(packet.base)
            try:
                self.pictures.append(decoder.decode_symbols(packet, coders, base))
            except DamageError:
                decoder.planes, decoder.field, decoder.models = copy.deepcopy(state)
            else:
                return coders, base
        raise AssertionError("no valid vectors were drawn in 100 attempts")
