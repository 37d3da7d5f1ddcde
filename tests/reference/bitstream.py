"""Sequence headers, packets and tiles, written from docs/bitstream.md sections 1 to 3 and 7."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

KEYFRAME, QUANTIZERS, DEVIATION, DURATION, GROUP_TOGGLE = 0x80, 0x08, 0x04, 0x02, 0x01
FIRST_COMPONENT_MOTION = 0x01  # in the flags of a component after the first
ALPHA = 0x10  # in the format
ONE_TILE_SAMPLES = 1280 * 720
TILE_SUPERBLOCKS = 900
MAX_NUMBER = 2**31 - 1
MAX_TIME = 2**62


class DamageError(ValueError):
    """A stream that does not follow docs/bitstream.md."""


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

    def time(self) -> int:
        """A timestamp or a deviation, a signed varint."""
        value = self.varint()
        value = -(value + 1) // 2 if value & 1 else value // 2
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
    require(form & ~0x17 == 0, f"unknown format {form}")
    chroma, alpha = form & 3, bool(form & ALPHA)
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
    )


def _components(width: int, chroma: int, alpha: bool) -> list[tuple[int, int, int]]:
    """Width, chroma and width_shift of every component (section 2.3)."""
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
class Packet:
    """The fields of a packet, or those of a component after the first.

    `header` is that of the component. `quantizers` are those of the packet before where the packet
    has none.
    """

    header: Header
    keyframe: bool
    group_toggle: bool
    index: int
    pts: int
    duration: int
    quantizers: tuple[int, ...]
    payloads: tuple[bytes, ...]
    base: Packet | None = None
    first_motion: bool = False
    others: tuple[Packet, ...] = ()


class PacketParser:
    """Parses packets, one after the other (section 2.1)."""

    def __init__(self) -> None:
        self.previous: Packet | None = None
        self.component_headers: list[Header] = []
        self.keyframe_pts = 0

    def parse(self, data: bytes) -> Packet:
        """One packet; a gap is an error here."""
        require(len(data) > 0, "an empty packet")
        flags, previous = data[0], self.previous
        keyframe = bool(flags & KEYFRAME)
        body = self._check(data, keyframe)
        reader = Reader(body)
        reader.take(1)
        group_toggle = bool(flags & GROUP_TOGGLE)
        require(
            not keyframe or flags & (QUANTIZERS | DEVIATION) == QUANTIZERS, "flags of a keyframe"
        )
        if keyframe:
            self.component_headers = components(parse_header(reader))
            header, index = self.component_headers[0], 0
            pts = self.keyframe_pts = reader.time()
        else:
            require(previous is not None, "the stream does not begin with a keyframe")
            assert previous is not None
            header, index = previous.header, reader.up_to(MAX_NUMBER)
            require(index == previous.index + 1, f"gap: index {index} follows {previous.index}")
            require(group_toggle == previous.group_toggle, "gap: the group toggle differs")
            deviation = reader.time() if flags & DEVIATION else 0
            pts = self.keyframe_pts + index * header.ticks_per_frame + deviation
            require(abs(pts) <= MAX_TIME, f"timestamp {pts}")
        require(
            keyframe or previous is None or pts > previous.pts, f"timestamp {pts} does not rise"
        )
        duration = reader.up_to(MAX_TIME) if flags & DURATION else header.ticks_per_frame
        quantizers = self._quantizers(reader, flags, previous)
        base = self._base(reader, header) if keyframe else None
        before = (None,) * 3 if previous is None or keyframe else previous.others
        others = tuple(
            self._component(Reader(reader.take(reader.varint())), keyframe, own, last)
            for own, last in zip(self.component_headers[1:], before, strict=False)
        )
        payloads = self._payloads(reader, len(tiles(*header.coded_size)))
        packet = Packet(
            header,
            keyframe,
            group_toggle,
            index,
            pts,
            duration,
            quantizers,
            payloads,
            base,
            others=others,
        )
        self.previous = packet
        return packet

    def _quantizers(self, reader: Reader, flags: int, previous: Packet | None) -> tuple[int, ...]:
        """The quantizer index of every layer: the packet's, or those of the packet before."""
        layers = (flags >> 4 & 7) + 1
        if flags & QUANTIZERS:
            quantizers = tuple(reader.number(2) for _ in range(layers))
            require(max(quantizers) <= 504, f"quantizers {quantizers}")
            return quantizers
        assert previous is not None
        require(
            len(previous.quantizers) == layers, "the packet before has another number of layers"
        )
        return previous.quantizers

    def _component(
        self, reader: Reader, keyframe: bool, header: Header, previous: Packet | None
    ) -> Packet:
        """The fields of a component after the first (section 2.3)."""
        flags = reader.number(1)
        require(flags & ~0x79 == 0, f"flags {flags} of a component")
        motion = bool(flags & FIRST_COMPONENT_MOTION)
        require(
            not keyframe or (bool(flags & QUANTIZERS) and not motion),
            "flags of a keyframe's component",
        )
        quantizers = self._quantizers(reader, flags, previous)
        base = self._base(reader, header) if keyframe else None
        payloads = self._payloads(reader, len(tiles(*header.coded_size)))
        return Packet(header, keyframe, False, 0, 0, 0, quantizers, payloads, base, motion)

    def _base(self, whole: Reader, header: Header) -> Packet | None:
        """The fields of the base frame (section 3.6)."""
        reader = Reader(whole.take(whole.varint()))
        if not reader.data:
            return None
        layers = reader.number(1) + 1
        require(layers <= 8, f"{layers} layers of the base frame")
        quantizers = tuple(reader.number(2) for _ in range(layers))
        require(max(quantizers) <= 504, f"quantizers {quantizers} of the base frame")
        header = base_header(header)
        payloads = self._payloads(reader, len(tiles(*header.coded_size)))
        return Packet(header, True, False, 0, 0, 0, quantizers, payloads)

    def _check(self, data: bytes, keyframe: bool) -> bytes:
        """The packet without its checksum, which is verified."""
        size = 4 if keyframe else 2
        require(len(data) > size, "the packet ends early")
        body, checksum = data[:-size], int.from_bytes(data[-size:], "little")
        require(zlib.crc32(body) & (1 << 8 * size) - 1 == checksum, "wrong checksum")
        return body

    def _payloads(self, reader: Reader, count: int) -> tuple[bytes, ...]:
        sizes = [reader.varint() for _ in range(count - 1)]
        payloads = [reader.take(size) for size in sizes]
        return (*payloads, reader.data[reader.position :])


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
