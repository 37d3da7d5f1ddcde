"""Valid streams of random symbols: they use all of the syntax, also where no encoder would.

The reference decoder runs with coders that draw every bit and note it with its probability; the
range code of the notes is the payload.
"""

from __future__ import annotations

import copy
import random

from tests.bitstream.packets import STEPS, PacketFields, varint
from tests.bitstream.packets import Header as HeaderFields
from tests.entropy.range_code import encode
from tests.reference.bitstream import (
    DamageError,
    Header,
    Packet,
    Plane,
    Reader,
    base_header,
    blocks,
    components,
    parse_header,
)
from tests.reference.decoder import Decoder, IntArray
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


def _base(packet: Packet, coders: list[ForgedCoder]) -> bytes:
    """The bytes of a base picture, none where there is none."""
    if packet.base is None:
        return b""
    steps = b"".join(step.to_bytes(2, "little") for step in packet.base.steps)
    return bytes([len(packet.base.steps) - 1]) + steps + _body(coders)


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
        """A stream of `model` (the bytes of its file), whose id the header gets.

        `ones` is the share of ones among half of the symbols: above all of what is active.
        The first timestamp follows `start`.
        """
        self.decoder = Decoder(model)
        header.model = self.decoder.model_id
        self.fields = header
        self.parts = components(parse_header(Reader(header.write())))
        self.header = self.parts[0]
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
        coders, base = self._draw_symbols(self.decoder, packet, None)
        self.pictures.append(self.planes)
        fields.base = _base(packet, base)
        fields.body = _body(coders)
        for decoder, part in zip(self.decoder.further(packet), packet.others, strict=True):
            fields.others.append(self._draw_component(decoder, part))
            self.pictures[-1] = self.pictures[-1] + self.planes
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
        steps = self._draw_steps(layers, () if keyframe or before is None else before.steps)
        fields.steps = list(steps) if self.told else None
        fields.duration = rng.choice([None, 0, 1, 1000])
        duration = ticks if fields.duration is None else fields.duration
        base = self._draw_base(self.header, keyframe)
        others = tuple(self._draw_part(i, keyframe, layers) for i in range(len(self.parts[1:])))
        packet = Packet(
            self.header, keyframe, parity, index, pts, duration, steps, (), base, others=others
        )
        return packet, fields

    def _draw_steps(self, layers: int, before: tuple[int, ...]) -> tuple[int, ...]:
        """Steps, those of the packet before or new ones; `told` says which."""
        self.told = len(before) != layers or self.rng.random() < 0.5
        return tuple(self.rng.randint(0, 504) for _ in range(layers)) if self.told else before

    def _draw_base(self, header: Header, keyframe: bool) -> Packet | None:
        if not keyframe or self.rng.random() > 0.7:
            return None
        small = tuple(self.rng.randint(0, 504) for _ in range(self.rng.randint(1, 8)))
        return Packet(base_header(header), True, False, 0, 0, 0, small, ())

    def _draw_part(self, index: int, keyframe: bool, layers: int) -> Packet:
        """A component after the first."""
        header, before = self.parts[1 + index], self.previous
        count = self.rng.choice([1, layers])
        last = () if keyframe or before is None else before.others[index].steps
        motion = not keyframe and self.rng.random() < 0.5
        steps = self._draw_steps(count, last)
        base = self._draw_base(header, keyframe)
        return Packet(header, keyframe, False, int(self.told), 0, 0, steps, (), base, motion)

    def _draw_component(self, decoder: Decoder, part: Packet) -> bytes:
        """The bytes of a component after the first; `part.index` says whether steps are told."""
        coders, base = self._draw_symbols(decoder, part, self.decoder.vectors)
        flags = (len(part.steps) - 1) << 4 | part.first_motion
        data = b""
        if part.index:
            flags |= STEPS
            data = b"".join(step.to_bytes(2, "little") for step in part.steps)
        if part.keyframe:
            small = _base(part, base)
            data += varint(len(small)) + small
        return bytes([flags]) + data + _body(coders)

    def _coders(self, packet: Packet | None) -> list[ForgedCoder]:
        if packet is None:
            return []
        count = len(blocks(*packet.header.coded_size))
        return [ForgedCoder(self.rng, self.ones) for _ in range(count)]

    def _draw_symbols(
        self, decoder: Decoder, packet: Packet, vectors: IntArray | None
    ) -> tuple[list[ForgedCoder], list[ForgedCoder]]:
        """Coders with a component's symbols, `planes` what they give.

        Vectors out of range are drawn again.
        """
        state = decoder.planes, decoder.field, copy.deepcopy(decoder.models)
        for _ in range(100):
            coders, base = self._coders(packet), self._coders(packet.base)
            try:
                self.planes = decoder.decode_symbols(packet, coders, base, vectors)
            except DamageError:
                decoder.planes, decoder.field, decoder.models = copy.deepcopy(state)
            else:
                return coders, base
        raise AssertionError("no valid vectors were drawn in 100 attempts")
