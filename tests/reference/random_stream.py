"""Valid streams of random symbols, which use all of the syntax, also where no encoder would.

The reference decoder runs with coders that draw every bit at random and record it with its
probability; the range code of these records is the payload.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.bitstream.packets import (
    ComponentFields,
    FrameFields,
    PacketFields,
    varint,
    write_quantizers,
)
from tests.bitstream.packets import Header as HeaderFields
from tests.entropy.range_code import encode
from tests.reference.bitstream import (
    MAX_QUANTIZER,
    SLOTS,
    BaseFrame,
    Component,
    DamageError,
    Frame,
    Header,
    Plane,
    Reader,
    base_header,
    components,
    parse_header,
    tiles,
)
from tests.reference.decoder import (
    Coders,
    ComponentDecoder,
    DecodedComponent,
    DecodedFrame,
    Decoder,
    crop,
)
from tests.reference.range_decoder import RangeDecoder

ATTEMPTS = 300


@dataclass(frozen=True)
class Shape:
    """What a frame is before anything is drawn; `back` and `forth` are distances, 0 for none."""

    index: int
    back: int = 0
    forth: int = 0
    slot: int | None = None
    layers: int = 1


class RandomCoder(RangeDecoder):
    """Draws half of the bits by their probabilities; of the others the share `ones` is 1.

    Attributes:
        symbols: the bits with their probabilities.
        written: bits that come first; nothing is drawn while there are some.
    """

    def __init__(self, rng: random.Random, ones: float) -> None:
        super().__init__(b"")
        self.rng = rng
        self.ones = ones
        self.symbols: list[tuple[int, int]] = []
        self.written: list[int] = []

    def bit(self, p: int) -> int:
        """The next bit to write, or a random one, sometimes of very low probability."""
        bit = self.written.pop(0) if self.written else self._draw(p)
        self.symbols.append((bit, p))
        return bit

    def _draw(self, p: int) -> int:
        chance = p / 65536 if self.rng.random() < 0.5 else self.ones
        return int(self.rng.random() < chance)


def _body(coders: Sequence[RandomCoder]) -> bytes:
    """Sizes and payloads."""
    payloads = [encode(coder.symbols) for coder in coders]
    return b"".join([varint(len(payload)) for payload in payloads[:-1]] + payloads)


def _base(base: BaseFrame | None, coders: Sequence[RandomCoder]) -> bytes:
    """The bytes of a base frame; empty without one."""
    if base is None:
        return b""
    quantizers = write_quantizers(base.quantizers)
    return bytes([len(base.quantizers) - 1]) + quantizers + _body(coders)


class RandomStream:
    """Makes a stream, packet by packet.

    Attributes:
        packets: the stream.
        frames: what its packets show.
        times: pts and duration of every packet.
        shapes: the coded frames of every packet.
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
        self.header = parse_header(Reader(header.write()))
        self.component_headers = components(self.header)
        self.rng = random.Random(seed)
        self.ones = ones
        self.packets: list[bytes] = []
        self.frames: list[list[Plane]] = []
        self.times: list[tuple[int, int]] = []
        self.shapes: list[Sequence[Shape]] = []
        self.index = 0
        self.pts = start
        self.keyframe_pts = 0
        self.group_counter = self.rng.randrange(4)

    def add(self, keyframe: bool, layers: int) -> None:
        """Adds a packet of a keyframe, or of a P frame that refers to the frame before it."""
        if keyframe:
            self.add_packet([Shape(0, slot=0, layers=layers)])
        else:
            self.add_packet([Shape(self.index + 1, back=1, slot=0, layers=layers)])

    def add_packets(self, packets: Iterable[Sequence[Shape]]) -> None:
        """Adds packets of these frames."""
        for shapes in packets:
            self.add_packet(shapes)

    def add_packet(self, shapes: Sequence[Shape]) -> None:
        """Adds a packet of these frames, the one shown last; without any it shows a held frame."""
        packet = self._draw_packet(shapes[-1].index if shapes else self.index + 1)
        if packet.keyframe:
            self.decoder.slots = [None] * SLOTS
        shown = self.decoder.held(self.index)
        packet.frames = []
        for shape in shapes:
            fields, shown = self._draw_frame(shape)
            fields.ahead = None if shape is shapes[-1] else shape.index - self.index
            packet.frames.append(fields)
        assert shown is not None
        self.frames.append(crop(shown, self.header))
        self.packets.append(packet.write())
        self.shapes.append(shapes)

    def _draw_packet(self, index: int) -> PacketFields:
        """The fields before the frames, with random times."""
        rng, ticks, keyframe = self.rng, self.header.ticks_per_frame, index == 0
        self.index = index
        self.pts += rng.randint(1, 300)
        if keyframe:
            self.keyframe_pts, self.group_counter = self.pts, (self.group_counter + 1) % 4
        packet = PacketFields(keyframe, self.fields, self.pts, index)
        packet.group_counter = self.group_counter
        deviation = self.pts - self.keyframe_pts - index * ticks
        if not keyframe and (deviation or rng.random() < 0.5):
            packet.deviation = deviation
        packet.duration = rng.choice([None, 0, 1, 1000])
        self.times.append((self.pts, ticks if packet.duration is None else packet.duration))
        return packet

    def _draw_frame(self, shape: Shape) -> tuple[FrameFields, DecodedFrame]:
        """A frame of random quantizers and symbols, which is decoded and held."""
        rng = self.rng
        frame = Frame(shape.index, shape.slot, shape.back, shape.forth, ())
        references = self.decoder.references(frame)
        assert references is not None, f"references of {shape}"
        fields = FrameFields(hold=0 if shape.slot is None else shape.slot + 1)
        fields.b_frame, fields.back, fields.forth = shape.forth != 0, shape.back, shape.forth
        fields.escape = rng.random() < 0.2
        states: Sequence[DecodedComponent | None] = [None] * len(self.component_headers)
        if references:
            states = max(references, key=lambda reference: reference.number).components
        drawn: list[tuple[ComponentFields, Component]] = []
        for number, (header, last) in enumerate(zip(self.component_headers, states, strict=True)):
            own = fields if number == 0 else ComponentFields()
            own.layers = shape.layers if number == 0 else rng.choice([1, shape.layers])
            own.first_motion = bool(number and references) and rng.random() < 0.5
            drawn.append((own, self._draw_component(own, header, last)))
        frame = Frame(
            *(shape.index, shape.slot, shape.back, shape.forth), tuple(c for _, c in drawn)
        )
        decoded: list[DecodedComponent] = []
        for number, (own, component) in enumerate(drawn):
            networks = self.decoder.keyframe_networks if frame.keyframe else self.decoder.networks
            decoder = ComponentDecoder(networks, frame, number, references, decoded)
            decoded.append(self._draw_symbols(decoder, own, component))
        fields.others = [own.write(frame.keyframe) for own, _ in drawn[1:]]
        return fields, self.decoder.finish(frame, decoded)

    def _draw_component(
        self, fields: ComponentFields, header: Header, last: DecodedComponent | None
    ) -> Component:
        """Draws quantizers and base frame; `last`: the coding state's owner."""
        rng, layers = self.rng, fields.layers
        before = last.state.quantizers if last is not None else ()
        own, base = None, None
        if len(before) != layers or rng.random() < 0.5:
            own = self._draw_quantizers(layers)
        if last is None and rng.random() < 0.7:
            base = BaseFrame(base_header(header), self._draw_quantizers(rng.randint(1, 8)), ())
        fields.quantizers = None if own is None else list(own)
        fields.ladder = rng.random() < 0.7
        return Component(header, layers, own, (), base, fields.first_motion)

    def _draw_quantizers(self, layers: int) -> tuple[int, ...]:
        """Quantizer indices that do not rise; often on the ladder."""
        rng = self.rng
        last = rng.randint(0, MAX_QUANTIZER)
        places = range(1, min(7, (MAX_QUANTIZER - last) // 80) + 1)
        if len(places) >= layers - 1 and rng.random() < 0.5:
            above = sorted(rng.sample(places, layers - 1), reverse=True)
            return (*(last + 80 * k for k in above), last)
        return tuple(sorted((rng.randint(0, MAX_QUANTIZER) for _ in range(layers)), reverse=True))

    def _coders(self, header: Header) -> list[RandomCoder]:
        return [RandomCoder(self.rng, self.ones) for _ in tiles(*header.coded_size)]

    def _draw_symbols(
        self, decoder: ComponentDecoder, fields: ComponentFields, component: Component
    ) -> DecodedComponent:
        """Puts random symbols into the fields. Those that are not valid are drawn again."""
        for _ in range(ATTEMPTS):
            coders = self._coders(component.header)
            base = self._coders(component.base.header) if component.base else []
            try:
                decoded = decoder.decode(Coders([*coders], [*base]))
            except DamageError:
                continue
            fields.body, fields.base = _body(coders), _base(component.base, base)
            return decoded
        raise AssertionError(f"no valid symbols were drawn in {ATTEMPTS} attempts")
