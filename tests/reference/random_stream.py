"""Valid streams of random symbols, which use all of the syntax, also where no encoder would.

The reference decoder runs with coders that draw every bit at random and record it with its
probability; the range code of these records is the payload.
"""

from __future__ import annotations

import copy
import random

from tests.bitstream.packets import QUANTIZERS, PacketFields, varint
from tests.bitstream.packets import Header as HeaderFields
from tests.entropy.range_code import encode
from tests.reference.bitstream import (
    DamageError,
    Header,
    Packet,
    Plane,
    Reader,
    base_header,
    components,
    parse_header,
    tiles,
)
from tests.reference.decoder import Decoder, IntArray
from tests.reference.range_decoder import RangeDecoder


class RandomCoder(RangeDecoder):
    """Draws half of the bits by their probabilities; of the others the share `ones` is 1."""

    def __init__(self, rng: random.Random, ones: float) -> None:
        super().__init__(b"")
        self.rng = rng
        self.ones = ones
        self.symbols: list[tuple[int, int]] = []

    def bit(self, p: int) -> int:
        """A random bit, sometimes one of very low probability."""
        chance = p / 65536 if self.rng.random() < 0.5 else self.ones
        bit = int(self.rng.random() < chance)
        self.symbols.append((bit, p))
        return bit


def _body(coders: list[RandomCoder]) -> bytes:
    """Sizes and payloads."""
    payloads = [encode(coder.symbols) for coder in coders]
    return b"".join([varint(len(payload)) for payload in payloads[:-1]] + payloads)


def _base(packet: Packet, coders: list[RandomCoder]) -> bytes:
    """The bytes of a base frame; empty without one."""
    if packet.base is None:
        return b""
    quantizers = b"".join(c.to_bytes(2, "little") for c in packet.base.quantizers)
    return bytes([len(packet.base.quantizers) - 1]) + quantizers + _body(coders)


class RandomStream:
    """Makes a stream, packet by packet.

    Attributes:
        packets: the stream.
        frames: what its packets decode to.
        times: pts and duration of every packet.
    """

    def __init__(
        self, header: HeaderFields, model: bytes, seed: int, ones: float, start: int = -200
    ) -> None:
        """A stream of `model` (the bytes of its file), whose id is put into the header.

        `ones` is the share of ones among half of the symbols; it decides above all how many
        superblocks are active. The first timestamp is after `start`.
        """
        self.decoder = Decoder(model)
        header.model = self.decoder.model_id
        self.fields = header
        self.component_headers = components(parse_header(Reader(header.write())))
        self.header = self.component_headers[0]
        self.rng = random.Random(seed)
        self.ones = ones
        self.start = start
        self.packets: list[bytes] = []
        self.frames: list[list[Plane]] = []
        self.times: list[tuple[int, int]] = []
        self.previous: Packet | None = None
        self.keyframe_pts = 0

    def add(self, keyframe: bool, layers: int) -> None:
        """Adds a packet with random times, quantizers and symbols."""
        packet, fields = self._draw_fields(keyframe, layers)
        coders, base = self._draw_symbols(self.decoder, packet, None)
        self.frames.append(self.planes)
        fields.base = _base(packet, base)
        fields.body = _body(coders)
        for decoder, component in zip(self.decoder.further(packet), packet.others, strict=True):
            fields.others.append(self._draw_component(decoder, component))
            self.frames[-1] = self.frames[-1] + self.planes
        self.packets.append(fields.write())
        self.times.append((packet.pts, packet.duration))
        self.previous = packet

    def _draw_fields(self, keyframe: bool, layers: int) -> tuple[Packet, PacketFields]:
        rng, before, ticks = self.rng, self.previous, self.header.ticks_per_frame
        index = 0 if keyframe or before is None else before.index + 1
        pts = (before.pts if before else self.start) + rng.randint(1, 300)
        group_toggle = rng.random() < 0.5 if keyframe or before is None else before.group_toggle
        fields = PacketFields(keyframe, self.fields, layers, pts, index, group_toggle=group_toggle)
        if keyframe:
            self.keyframe_pts = pts
        else:
            deviation = pts - self.keyframe_pts - index * ticks
            fields.deviation = deviation if deviation or rng.random() < 0.5 else None
        known = () if keyframe or before is None else before.quantizers
        quantizers = self._draw_quantizers(layers, known)
        fields.quantizers = list(quantizers) if self.quantizers_present else None
        fields.duration = rng.choice([None, 0, 1, 1000])
        duration = ticks if fields.duration is None else fields.duration
        base = self._draw_base(self.header, keyframe)
        others = tuple(
            self._draw_component_fields(i, keyframe, layers)
            for i in range(1, len(self.component_headers))
        )
        packet = Packet(
            *(self.header, keyframe, group_toggle, index, pts, duration, quantizers),
            payloads=(),
            base=base,
            others=others,
        )
        return packet, fields

    def _draw_quantizers(self, layers: int, before: tuple[int, ...]) -> tuple[int, ...]:
        """Quantizer indices: new ones where `quantizers_present`, else those of `before`."""
        self.quantizers_present = len(before) != layers or self.rng.random() < 0.5
        if not self.quantizers_present:
            return before
        return tuple(self.rng.randint(0, 504) for _ in range(layers))

    def _draw_base(self, header: Header, keyframe: bool) -> Packet | None:
        if not keyframe or self.rng.random() > 0.7:
            return None
        quantizers = tuple(self.rng.randint(0, 504) for _ in range(self.rng.randint(1, 8)))
        return Packet(base_header(header), True, False, 0, 0, 0, quantizers, ())

    def _draw_component_fields(self, index: int, keyframe: bool, layers: int) -> Packet:
        """Fields of a component after the first; `index` is 1 where it has quantizers."""
        header, before = self.component_headers[index], self.previous
        count = self.rng.choice([1, layers])
        last = () if keyframe or before is None else before.others[index - 1].quantizers
        motion = not keyframe and self.rng.random() < 0.5
        quantizers = self._draw_quantizers(count, last)
        base = self._draw_base(header, keyframe)
        present = int(self.quantizers_present)
        return Packet(header, keyframe, False, present, 0, 0, quantizers, (), base, motion)

    def _draw_component(self, decoder: Decoder, component: Packet) -> bytes:
        """The bytes of a component after the first."""
        coders, base = self._draw_symbols(decoder, component, self.decoder.vectors)
        flags = (len(component.quantizers) - 1) << 4 | component.first_motion
        data = b""
        if component.index:
            flags |= QUANTIZERS
            data = b"".join(c.to_bytes(2, "little") for c in component.quantizers)
        if component.keyframe:
            base_bytes = _base(component, base)
            data += varint(len(base_bytes)) + base_bytes
        return bytes([flags]) + data + _body(coders)

    def _coders(self, packet: Packet | None) -> list[RandomCoder]:
        if packet is None:
            return []
        count = len(tiles(*packet.header.coded_size))
        return [RandomCoder(self.rng, self.ones) for _ in range(count)]

    def _draw_symbols(
        self, decoder: Decoder, packet: Packet, vectors: IntArray | None
    ) -> tuple[list[RandomCoder], list[RandomCoder]]:
        """Coders with a component's symbols; sets `planes` to the decoded planes.

        Vectors out of range are drawn again.
        """
        state = copy.deepcopy((decoder.planes, decoder.field, decoder.contexts, decoder.delta_q))
        for _ in range(100):
            coders, base = self._coders(packet), self._coders(packet.base)
            try:
                self.planes = decoder.decode_symbols(packet, coders, base, vectors)
            except DamageError:
                decoder.planes, decoder.field, decoder.contexts, decoder.delta_q = copy.deepcopy(
                    state
                )
            else:
                return coders, base
        raise AssertionError("no valid vectors were drawn in 100 attempts")
