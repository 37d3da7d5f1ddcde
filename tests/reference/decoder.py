"""A second decoder in plain Python and NumPy, written from docs/bitstream.md and docs/numerics.md.

It is slow and simple, and it raises DamageError where the real decoder would conceal.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bsqav.codec.modelfile import parse_model
from tests.reference import filters, numerics
from tests.reference.bitstream import (
    SLOTS,
    Component,
    DamageError,
    Frame,
    FrameError,
    Header,
    LostFrameError,
    PacketParser,
    Plane,
    components,
    conformance_hash,
    require,
    tiles,
)
from tests.reference.layers import IntArray, LayerDecoder, State
from tests.reference.motion import BTileMotion, Motion, TileMotion, compensate, prediction_side
from tests.reference.range_decoder import RangeDecoder, TileContexts

__all__ = ["Decoder", "LostFrameError", "conformance_hash", "decode_stream"]


@dataclass(frozen=True)
class DecodedComponent:
    """A component of a decoded frame; the planes have the coded size, padding included."""

    planes: list[IntArray]
    motion: Motion | None  # None in a keyframe
    state: State


@dataclass(frozen=True)
class DecodedFrame:
    """A decoded frame; `number` counts the frames in decoding order."""

    index: int
    number: int
    components: list[DecodedComponent]


@dataclass
class Coders:
    """The range decoders of a component's tiles and of those of its base frame."""

    tiles: list[RangeDecoder]
    base: list[RangeDecoder]

    @classmethod
    def of(cls, component: Component) -> Coders:
        """Those of the component's payloads."""
        base = component.base.payloads if component.base else ()
        return cls([RangeDecoder(p) for p in component.payloads], [RangeDecoder(p) for p in base])

    def finish(self) -> None:
        """Checks that all bytes were read."""
        for coder in [*self.base, *self.tiles]:
            coder.finish()


class Decoder:
    """Decodes the packets of a stream, one after the other.

    After an error it goes on with the next packet: LostFrameError if frames that are missing are
    needed for the one shown, else DamageError.
    """

    def __init__(self, model: bytes) -> None:
        contents = parse_model(model)
        self.model_id = bytes.fromhex(contents.id)
        self.networks = numerics.Networks(contents.tensors)
        self.keyframe_networks = numerics.Networks(contents.tensors, "key.")
        self.parser = PacketParser()
        self.slots: list[DecodedFrame | None] = [None] * SLOTS
        self.decoded = 0

    def decode(self, data: bytes) -> list[Plane]:
        """The planes of the frame that a packet shows, cropped."""
        try:
            packet = self.parser.parse(data)
        except FrameError:
            self.slots = [None] * SLOTS
            raise
        if packet.keyframe or packet.foreign:
            self.slots = [None] * SLOTS
        require(packet.header.model == self.model_id, f"another model: {packet.header.model.hex()}")
        shown = None if packet.frames else self.held(packet.index)
        try:
            for frame in packet.frames:
                shown = self._decode_frame(frame)
        except DamageError:
            self.slots = [None] * SLOTS
            raise
        if shown is None:
            raise LostFrameError(f"frame {packet.index} is lost")
        return crop(shown, packet.header)

    def held(self, index: int) -> DecodedFrame | None:
        """The held frame of that index, if any."""
        return next((f for f in self.slots if f is not None and f.index == index), None)

    def _decode_frame(self, frame: Frame) -> DecodedFrame | None:
        """Decodes a frame; None if one of its references is not held."""
        require(self.held(frame.index) is None, f"frame {frame.index} is held already")
        references = self.references(frame)
        if references is None:
            return None
        networks = self.keyframe_networks if frame.keyframe else self.networks
        components: list[DecodedComponent] = []
        for number, component in enumerate(frame.components):
            decoder = ComponentDecoder(networks, frame, number, references, components)
            coders = Coders.of(component)
            components.append(decoder.decode(coders))
            coders.finish()
        return self.finish(frame, components)

    def references(self, frame: Frame) -> list[DecodedFrame] | None:
        """The references of a frame, or None if one is not held."""
        held = [self.held(index) for index in frame.references]
        found = [reference for reference in held if reference is not None]
        return found if len(found) == len(held) else None

    def finish(self, frame: Frame, components: list[DecodedComponent]) -> DecodedFrame:
        """The decoded frame, which is held if it says so."""
        self.decoded += 1
        decoded = DecodedFrame(frame.index, self.decoded, components)
        if frame.slot is not None:
            self.slots[frame.slot] = decoded
        return decoded


class ComponentDecoder:
    """Decodes one component of a frame."""

    def __init__(
        self,
        networks: numerics.Networks,
        frame: Frame,
        number: int,
        references: Sequence[DecodedFrame],
        before: Sequence[DecodedComponent],
    ) -> None:
        """`before`: the components of the frame before this one, which is `number`."""
        self.networks, self.frame = networks, frame
        self.component = frame.components[number]
        self.header = self.component.header
        self.references = [reference.components[number] for reference in references]
        self.motion: Motion | None = None
        if self.component.first_motion:
            first = before[0].motion
            assert first is not None
            self.motion = first.taken(self.header.width_shift)
        if references:
            later = max(references, key=lambda reference: reference.number)
            self.state = later.components[number].state
        else:
            self.state = State.initial(self.header, networks.stages)

    def decode(self, coders: Coders) -> DecodedComponent:
        """The component with the symbols that the coders give."""
        state = copy.deepcopy(self.state)
        state.quantizers = self.component.quantizers(state.quantizers)
        layers = LayerDecoder(self.networks, self.header, state, coders.tiles, self.frame.keyframe)
        if self.references:
            motion = self._read_motion(state.contexts, coders.tiles)
            planes = [reference.planes for reference in self.references]
            prediction = compensate(planes, motion, self.header.depth)
            side = prediction_side(planes, motion, self.header.depth)
            decoded = layers.decode(prediction, motion, side)
        else:
            motion, decoded = None, layers.decode(self._start(coders.base), None)
        return DecodedComponent(decoded, motion, state)

    def _start(self, coders: Sequence[RangeDecoder]) -> list[IntArray]:
        """The prediction of a keyframe's first layer."""
        start, base, depth = _middle(self.header), self.component.base, self.header.depth
        if base is None:
            return start
        state = State.initial(base.header, self.networks.stages)
        state.quantizers = base.quantizers
        layers = LayerDecoder(self.networks, base.header, state, coders, keyframe=True)
        small = _crop(layers.decode(_middle(base.header), None, base=True), base.header)
        return [
            filters.enlarge(plane.astype(np.int64), full.shape[0], full.shape[1], depth)
            for plane, full in zip(small, start, strict=True)
        ]

    def _read_motion(
        self, contexts: Sequence[TileContexts], coders: Sequence[RangeDecoder]
    ) -> Motion:
        """The motion of all tiles, unless it is that of the first component."""
        if self.motion is not None:
            return self.motion
        frame, size = self.frame, self.header.coded_size
        motion = Motion.empty(size, frame.index, frame.back, frame.forth)
        known = [reference.motion for reference in self.references]
        for tile, coder, own in zip(tiles(*size), coders, contexts, strict=True):
            reader = (BTileMotion if frame.forth else TileMotion)(motion, coder, own, known)
            for y in range(tile.y0, tile.y1):
                for x in range(tile.x0, tile.x1):
                    reader.read_superblock(x, y)
        return motion


def _middle(header: Header) -> list[IntArray]:
    """The prediction of a keyframe's first layer."""
    width, height = header.coded_size
    shapes = [(height, width)] + [(height // 2, width // 2)] * (2 * header.chroma)
    return [np.full(shape, 2 ** (header.depth - 1), np.int64) for shape in shapes]


def crop(frame: DecodedFrame, header: Header) -> list[Plane]:
    """The planes of all components without padding."""
    pairs = zip(frame.components, components(header), strict=True)
    return [plane for component, own in pairs for plane in _crop(component.planes, own)]


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
        DamageError: the stream breaks a rule, lacks a frame that is needed, or needs another model.
    """
    decoder = Decoder(model)
    return [decoder.decode(packet) for packet in packets]
