"""Sequence headers, packets and tiles, written from docs/bitstream.md sections 1 to 3 and 7."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

KEYFRAME, DEVIATION, DURATION, GROUP_COUNTER = 0x80, 0x08, 0x04, 0x03  # of packets
B_FRAME, QUANTIZERS = 0x80, 0x08  # of frames
FIRST_COMPONENT_MOTION = 0x01  # of components after the first
ALPHA = 0x10  # in the format
ONE_TILE_SAMPLES = 1280 * 720
TILE_SUPERBLOCKS = 900
MAX_NUMBER = 2**31 - 1
MAX_TIME = 2**62
MAX_AHEAD = 255
MAX_QUANTIZER = 504
SLOTS = 6


class DamageError(ValueError):
    """A stream that does not follow docs/bitstream.md."""


class FrameError(DamageError):
    """The coded frames of a packet break a rule, whose checksum holds."""


class LostFrameError(DamageError):
    """The frame that a packet shows is lost, since other packets are missing."""


def require(condition: bool, message: str) -> None:
    """Raises DamageError with the message unless the condition holds."""
    if not condition:
        raise DamageError(message)


class Reader:
    """A cursor over bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        taken = self.data[self.position : self.position + size]
        require(len(taken) == size, f"byte {self.position}: the data ends early")
        self.position += size
        return taken

    def number(self, size: int) -> int:
        """An unsigned integer of `size` bytes."""
        return int.from_bytes(self.take(size), "little")

    def varint(self) -> int:
        """LEB128 in its shortest form."""
        value = 0
        for index in range(10):
            byte = self.number(1)
            value |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                require(byte > 0 or index == 0, f"byte {self.position}: not the shortest form")
                require(value < 2**64, f"byte {self.position}: more than 64 bits")
                return value
        raise DamageError(f"byte {self.position}: a number of more than 10 bytes")

    def up_to(self, limit: int) -> int:
        """A varint of at most `limit`."""
        value = self.varint()
        require(value <= limit, f"byte {self.position}: {value} is more than {limit}")
        return value

    def from_to(self, least: int, limit: int) -> int:
        """A varint within these limits."""
        value = self.up_to(limit)
        require(value >= least, f"byte {self.position}: {value} is less than {least}")
        return value

    def signed(self) -> int:
        """A zigzag number."""
        value = self.varint()
        return -(value + 1) // 2 if value & 1 else value // 2

    def time(self) -> int:
        """A timestamp or a deviation."""
        value = self.signed()
        require(abs(value) <= MAX_TIME, f"byte {self.position}: time {value}")
        return value


@dataclass(frozen=True)
class Header:
    """A sequence header; the names are those of section 2.2."""

    chroma: int
    alpha: bool
    depth: int
    width: int
    height: int
    time_base: tuple[int, int]
    ticks_per_frame: int
    frame_rate: tuple[int, int]
    sample_aspect: tuple[int, int]
    colour: bytes
    display: int
    model: bytes
    chroma_offset: int = 0  # in crf, -7..0
    width_shift: int = 0  # of a component: log2 of the first one's width over its own

    @property
    def coded_size(self) -> tuple[int, int]:
        """Coded width and height."""
        return -(-self.width // 8) * 8, -(-self.height // 8) * 8


def parse_header(reader: Reader) -> Header:
    """Reads a sequence header (section 2.2)."""
    require(reader.take(4) == b"BSQ1", "no sequence header")
    version = reader.number(1)
    require(version == 1, f"unknown version {version}")
    fields = Reader(reader.take(reader.varint()))
    version = fields.number(1)
    require(version == 1, f"unknown version {version} of the numerics")
    form = fields.number(1)
    require(form & 8 == 0, f"unknown format {form}")
    chroma, alpha, offset = form & 3, bool(form & ALPHA), -(form >> 5)
    require(offset == 0 or chroma == 1, f"a chroma crf offset of {offset} without 4:2:0")
    width, height = fields.varint(), fields.varint()
    require(1 <= width <= 8192 and 1 <= height <= 8192, f"size {width}x{height}")
    samples = sum(w * height for w, _, _ in _components(width, chroma, alpha))
    require(fields.number(1) == (samples - 1).bit_length(), "wrong level")
    time_base = (fields.up_to(MAX_NUMBER), fields.up_to(MAX_NUMBER))
    require(min(time_base) > 0, f"time base {time_base}")
    ticks = fields.up_to(MAX_NUMBER)
    rate, aspect = ((fields.up_to(MAX_NUMBER), fields.up_to(MAX_NUMBER)) for _ in range(2))
    require(rate[1] > 0 and aspect[1] > 0, "a denominator of 0")
    colour, display, model = fields.take(3), fields.number(1), fields.take(16)
    require(display & 3 < 3 and display >> 2 & 15 <= 6, f"display {display}")
    depth = 8 + 2 * (form >> 2 & 3)
    return Header(
        chroma,
        alpha,
        depth,
        width,
        height,
        time_base,
        ticks,
        rate,
        aspect,
        colour,
        display,
        model,
        offset,
    )


def _components(width: int, chroma: int, alpha: bool) -> list[tuple[int, int, int]]:
    """Width, chroma and width_shift of every component (section 2.4)."""
    if chroma == 3:
        found = [(width, 0, 0)] * 3
    elif chroma == 2:
        found = [(width, 0, 0)] + [((width + 1) // 2, 0, 1)] * 2
    else:
        found = [(width, chroma, 0)]
    return found + [(width, 0, 0)] * alpha


def components(header: Header) -> list[Header]:
    """The headers of the components, each as if it were a frame of its own."""
    found = _components(header.width, header.chroma, header.alpha)
    return [replace(header, width=w, chroma=c, alpha=False, width_shift=n) for w, c, n in found]


@dataclass(frozen=True)
class BaseFrame:
    """The fields of a base frame (section 3.6)."""

    header: Header
    quantizers: tuple[int, ...]
    payloads: tuple[bytes, ...]


@dataclass(frozen=True)
class Component:
    """The fields of a component of a frame (sections 2.3 and 2.4).

    `header` is that of the component; `own_quantizers` are None where the coding state has them.
    """

    header: Header
    layers: int
    own_quantizers: tuple[int, ...] | None
    payloads: tuple[bytes, ...]
    base: BaseFrame | None = None
    first_motion: bool = False

    def quantizers(self, before: tuple[int, ...]) -> tuple[int, ...]:
        """The quantizer indices of the layers; `before`: those of the coding state."""
        if self.own_quantizers is not None:
            return self.own_quantizers
        require(len(before) == self.layers, "the coding state has another number of layers")
        return before


@dataclass(frozen=True)
class Frame:
    """The fields of a coded frame (section 2.3).

    `back` and `forth` are the distances of the references, 0 for none; `forth` is negative where
    the second one is before the frame. `slot` is None for a frame that is not held.
    """

    index: int
    slot: int | None
    back: int
    forth: int
    components: tuple[Component, ...]

    @property
    def keyframe(self) -> bool:
        """Whether the frame has no references."""
        return self.back == 0

    @property
    def references(self) -> list[int]:
        """The indices of the references."""
        found = [self.index - self.back] if self.back else []
        return found + ([self.index + self.forth] if self.forth else [])


@dataclass(frozen=True)
class Packet:
    """The fields of a packet (section 2.1).

    `foreign`: it belongs to a group whose keyframe is lost.
    """

    header: Header
    keyframe: bool
    group_counter: int
    index: int
    pts: int
    duration: int
    frames: tuple[Frame, ...]
    foreign: bool = False


class PacketParser:
    """Parses packets, one after the other (section 2.1)."""

    def __init__(self) -> None:
        self.previous: Packet | None = None
        self.keyframe_pts = 0

    def parse(self, data: bytes) -> Packet:
        """One packet."""
        require(len(data) > 0, "an empty packet")
        flags, previous = data[0], self.previous
        keyframe = bool(flags & KEYFRAME)
        reader = Reader(self._check(data, keyframe))
        reader.take(1)
        count, group_counter = flags >> 4 & 7, flags & GROUP_COUNTER
        foreign = False
        if keyframe:
            require(count == 1 and not flags & DEVIATION, "flags of a keyframe")
            header, index = parse_header(reader), 0
            pts = self.keyframe_pts = reader.time()
        else:
            require(previous is not None, "the stream does not begin with a keyframe")
            assert previous is not None
            header, index = previous.header, reader.up_to(MAX_NUMBER)
            foreign = previous.foreign or group_counter != previous.group_counter
            deviation = reader.time() if flags & DEVIATION else 0
            pts = self.keyframe_pts + index * header.ticks_per_frame
            require(abs(pts) <= MAX_TIME, f"timestamp {pts} without its deviation")
            pts += deviation
            require(abs(pts) <= MAX_TIME, f"timestamp {pts}")
            if not foreign:
                require(index > previous.index, f"index {index} follows {previous.index}")
                require(pts > previous.pts, f"timestamp {pts} does not rise")
        duration = reader.up_to(MAX_TIME) if flags & DURATION else header.ticks_per_frame
        try:
            frames = FrameParser(components(header), keyframe, index).packet_frames(reader, count)
        except DamageError as error:
            raise FrameError(str(error)) from error
        packet = Packet(header, keyframe, group_counter, index, pts, duration, frames, foreign)
        self.previous = packet
        return packet

    def _check(self, data: bytes, keyframe: bool) -> bytes:
        """The packet without its checksum, which is verified."""
        size = 4 if keyframe else 2
        require(len(data) > size, "the packet ends early")
        body, checksum = data[:-size], int.from_bytes(data[-size:], "little")
        require(zlib.crc32(body) & (1 << 8 * size) - 1 == checksum, "wrong checksum")
        return body


class FrameParser:
    """Parses the coded frames of one packet (sections 2.3, 2.4 and 3.6)."""

    def __init__(self, headers: Sequence[Header], keyframe: bool, index: int) -> None:
        """`headers`: of the components; `index`: of the packet."""
        self.headers, self.keyframe, self.index = headers, keyframe, index

    def packet_frames(self, reader: Reader, count: int) -> tuple[Frame, ...]:
        """The frames of the packet, which end where the data end."""
        frames = [
            self._frame(Reader(reader.take(reader.varint())), last=False) for _ in range(count - 1)
        ]
        if count:
            frames.append(self._frame(reader, last=True))
        require(reader.position == len(reader.data), "bytes after the last field of a packet")
        return tuple(frames)

    def _frame(self, reader: Reader, *, last: bool) -> Frame:
        flags = reader.number(1)
        hold, b_frame = flags & 7, bool(flags & B_FRAME)
        require(hold <= SLOTS, f"hold {hold}")
        if self.keyframe:
            require(hold == 1 and not b_frame and bool(flags & QUANTIZERS), "flags of a keyframe")
        ahead = 0 if last else reader.from_to(1, MAX_AHEAD)
        require(self.index + ahead <= MAX_NUMBER, "the index of a frame")
        back, forth = (0, 0) if self.keyframe else self._distances(reader, b_frame)
        earliest = self.index + ahead + min(-back, forth)
        require(earliest >= 0, "a reference before the keyframe")
        layers, quantizers = self._layers(reader, flags)
        base = self._base(reader, self.headers[0]) if self.keyframe else None
        others = [
            self._component(Reader(reader.take(reader.varint())), header)
            for header in self.headers[1:]
        ]
        first = Component(
            self.headers[0], layers, quantizers, _payloads(reader, self.headers[0]), base
        )
        slot = hold - 1 if hold else None
        return Frame(self.index + ahead, slot, back, forth, (first, *others))

    def _distances(self, reader: Reader, b_frame: bool) -> tuple[int, int]:
        """The distances of the references; the second is 0 in a P frame."""
        references = reader.number(1)
        back, forth = references >> 4, references & 15
        if back == 0:
            back = reader.from_to(1, MAX_NUMBER)
        require(b_frame or forth == 0, "a second reference of a P frame")
        if b_frame and forth == 0:
            forth = reader.signed()
            require(-MAX_NUMBER <= forth <= MAX_AHEAD, f"{forth} frames to a reference")
            require(forth not in (0, -back), "a frame refers to itself, or to one frame twice")
        return back, forth

    def _layers(self, reader: Reader, flags: int) -> tuple[int, tuple[int, ...] | None]:
        """The number of layers, and their quantizers where they are present."""
        layers = (flags >> 4 & 7) + 1
        return layers, _quantizers(reader, layers) if flags & QUANTIZERS else None

    def _component(self, reader: Reader, header: Header) -> Component:
        """The fields of a component after the first (section 2.4)."""
        flags = reader.number(1)
        require(flags & ~0x79 == 0, f"flags {flags} of a component")
        motion = bool(flags & FIRST_COMPONENT_MOTION)
        if self.keyframe:
            require(bool(flags & QUANTIZERS) and not motion, "flags of a keyframe's component")
        layers, quantizers = self._layers(reader, flags)
        base = self._base(reader, header) if self.keyframe else None
        return Component(header, layers, quantizers, _payloads(reader, header), base, motion)

    def _base(self, whole: Reader, header: Header) -> BaseFrame | None:
        """The fields of the base frame (section 3.6)."""
        reader = Reader(whole.take(whole.varint()))
        if not reader.data:
            return None
        layers = reader.number(1) + 1
        require(layers <= 8, f"{layers} layers of the base frame")
        quantizers = _quantizers(reader, layers)
        header = base_header(header)
        return BaseFrame(header, quantizers, _payloads(reader, header))


def _quantizers(reader: Reader, layers: int) -> tuple[int, ...]:
    """The quantizer indices of the layers (section 2.3)."""
    value = reader.number(2)
    last, ladder = value & 511, value >> 9
    if ladder:
        found = [last + 80 * k for k in range(7, 0, -1) if ladder >> (k - 1) & 1] + [last]
        require(len(found) == layers, f"quantizers of {len(found)} layers, not of {layers}")
    else:
        rises = [reader.up_to(MAX_QUANTIZER) for _ in range(layers - 1)]
        found = list(accumulate((last, *rises)))[::-1]
    require(max(found) <= MAX_QUANTIZER, f"quantizers {found}")
    return tuple(found)


def _payloads(reader: Reader, header: Header) -> tuple[bytes, ...]:
    """The payloads of the tiles, which end where the data end."""
    count = len(tiles(*header.coded_size))
    sizes = [reader.varint() for _ in range(count - 1)]
    payloads = [reader.take(size) for size in sizes]
    return (*payloads, reader.take(len(reader.data) - reader.position))


def base_header(header: Header) -> Header:
    """The header of a keyframe's base frame."""
    width, height = header.coded_size
    return replace(header, width=width // 8, height=height // 8)


@dataclass(frozen=True)
class Tile:
    """The superblocks x0 <= x < x1, y0 <= y < y1."""

    x0: int
    y0: int
    x1: int
    y1: int


def tiles(width: int, height: int) -> list[Tile]:
    """The tiles of a coded size (section 3), in raster order."""
    superblocks_x, superblocks_y = -(-width // 32), -(-height // 32)
    if width * height <= ONE_TILE_SAMPLES:
        return [Tile(0, 0, superblocks_x, superblocks_y)]
    best = None
    for columns in range(1, superblocks_x + 1):
        for rows in range(1, superblocks_y + 1):
            w, h = -(-superblocks_x // columns), -(-superblocks_y // rows)
            if w * h <= TILE_SUPERBLOCKS:
                rank = (columns * rows, Fraction(max(w, h), min(w, h)), columns, rows)
                best = min(best or rank, rank)
                break  # more rows only give more tiles
    assert best is not None
    xs = _cuts(superblocks_x, best[2])
    ys = _cuts(superblocks_y, best[3])
    return [Tile(x0, y0, x1, y1) for y0, y1 in ys for x0, x1 in xs]


def _cuts(superblocks: int, count: int) -> list[tuple[int, int]]:
    return [(i * superblocks // count, (i + 1) * superblocks // count) for i in range(count)]


def conformance_hash(frames: Iterable[Sequence[Plane]]) -> str:
    """SHA-256 over the decoded frames (section 7), in hexadecimal digits."""
    digest = hashlib.sha256()
    for frame in frames:
        for plane in frame:
            digest.update(plane.astype(f"<u{plane.itemsize}").tobytes())
    return digest.hexdigest()
