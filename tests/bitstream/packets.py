"""A second writer of packets, from docs/bitstream.md section 2, that can also write wrong ones."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

KEYFRAME, DEVIATION, DURATION = 0x80, 0x08, 0x04  # of packets
B_FRAME, QUANTIZERS, FIRST_COMPONENT_MOTION = 0x80, 0x08, 0x01  # of frames and components


def varint(value: int) -> bytes:
    """LEB128, shortest form."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value: int) -> bytes:
    """A signed varint."""
    return varint(2 * value if value >= 0 else -2 * value - 1)


def level_of(width: int, height: int, form: int = 0) -> int:
    """Smallest n with s <= 2^n, s being the samples of all components of that format."""
    samples = width * height
    if form & 3 > 1:
        samples += 2 * height * (width if form & 3 == 3 else (width + 1) // 2)
    if form & 16:
        samples += width * height
    return (samples - 1).bit_length()


@dataclass
class Header:
    """A sequence header; the defaults are valid."""

    width: int = 64
    height: int = 48
    format: int = 1
    level: int | None = None
    time_base: tuple[int, int] = (1, 100)
    ticks: int = 4
    rate: tuple[int, int] = (25, 1)
    aspect: tuple[int, int] = (0, 1)
    colour: bytes = b"\x02\x02\x02"
    display: int = 2
    model: bytes = bytes(16)
    numerics: int = 1
    version: int = 1
    magic: bytes = b"BSQ1"
    extra: bytes = b""

    def write(self) -> bytes:
        """The header's bytes."""
        level = self.level
        if level is None:
            level = level_of(self.width, self.height, self.format)
        fields = bytes([self.numerics, self.format]) + varint(self.width) + varint(self.height)
        fields += bytes([level]) + varint(self.time_base[0]) + varint(self.time_base[1])
        fields += varint(self.ticks) + varint(self.rate[0]) + varint(self.rate[1])
        fields += varint(self.aspect[0]) + varint(self.aspect[1]) + self.colour
        fields += bytes([self.display]) + self.model + self.extra
        return self.magic + bytes([self.version]) + varint(len(fields)) + fields


def write_quantizers(quantizers: Sequence[int], ladder: bool = True) -> bytes:
    """Quantizer indices, which must not rise; by the ladder's mask where that is possible."""
    last = quantizers[-1]
    rises = [a - b for a, b in itertools.pairwise(quantizers)]
    places = {(c - last) // 80 for c in quantizers[:-1]}
    on_ladder = all((c - last) % 80 == 0 for c in quantizers) and places <= set(range(1, 8))
    if ladder and on_ladder and len(places) == len(rises):
        mask = sum(1 << (k - 1) for k in places)
        return (last | mask << 9).to_bytes(2, "little")
    return last.to_bytes(2, "little") + b"".join(map(varint, reversed(rises)))


@dataclass
class ComponentFields:
    """A component after the first; the defaults are a valid one with an empty payload."""

    layers: int = 1
    quantizers: list[int] | None = field(default_factory=lambda: [256])
    ladder: bool = True  # quantizers that are on it are coded by its mask
    base: bytes = b""  # of keyframes
    body: bytes = b""
    first_motion: bool = False

    def write(self, keyframe: bool) -> bytes:
        """The component's bytes."""
        flags = self.layer_flags() | (FIRST_COMPONENT_MOTION if self.first_motion else 0)
        data = bytes([flags]) + self.write_quantizers()
        return data + (self.write_base() if keyframe else b"") + self.body

    def layer_flags(self) -> int:
        """Bits 6..3 of the flags of a component or a frame."""
        return (self.layers - 1) << 4 | (0 if self.quantizers is None else QUANTIZERS)

    def write_quantizers(self) -> bytes:
        """The quantizers, where there are any."""
        return write_quantizers(self.quantizers, self.ladder) if self.quantizers else b""

    def write_base(self) -> bytes:
        """The base frame with its size."""
        return varint(len(self.base)) + self.base


@dataclass
class FrameFields(ComponentFields):
    """A coded frame; the defaults are a valid frame of a keyframe packet with an empty payload."""

    hold: int = 1
    ahead: int | None = None  # of all frames of a packet but the last
    b_frame: bool = False
    back: int = 1  # from here on between keyframes
    forth: int = 0
    escape: bool = False  # distances follow the references also where four bits hold them
    others: list[bytes] = field(default_factory=list)  # components after the first

    def write(self, keyframe: bool) -> bytes:
        """The frame's bytes."""
        flags = self.layer_flags() | (B_FRAME if self.b_frame else 0) | self.hold
        data = bytes([flags])
        if self.ahead is not None:
            data += varint(self.ahead)
        if not keyframe:
            data += self.write_references()
        data += self.write_quantizers()
        if keyframe:
            data += self.write_base()
        for other in self.others:
            data += varint(len(other)) + other
        return data + self.body

    def write_references(self) -> bytes:
        """The distances of the references."""
        distances = [self.back, self.forth]
        short = [distance if 0 < distance < 16 and not self.escape else 0 for distance in distances]
        data = bytes([short[0] << 4 | short[1]])
        if not short[0]:
            data += varint(self.back)
        if self.b_frame and not short[1]:
            data += zigzag(self.forth)
        return data


@dataclass
class PacketFields:
    """A packet; the defaults are a valid keyframe with an empty payload."""

    keyframe: bool = True
    header: Header = field(default_factory=Header)
    pts: int = 0
    index: int = 1
    deviation: int | None = None
    duration: int | None = None
    frames: list[FrameFields] = field(default_factory=lambda: [FrameFields()])
    group_counter: int = 0
    flags: int = 0  # wrong ones
    checksum_error: int = 0

    def write(self) -> bytes:
        """The packet's bytes, with a checksum that fits unless an error is asked for."""
        flags = len(self.frames) << 4 | self.group_counter | self.flags
        flags |= KEYFRAME if self.keyframe else 0
        flags |= DEVIATION if self.deviation is not None else 0
        flags |= DURATION if self.duration is not None else 0
        data = bytes([flags])
        data += self.header.write() + zigzag(self.pts) if self.keyframe else varint(self.index)
        if self.deviation is not None:
            data += zigzag(self.deviation)
        if self.duration is not None:
            data += varint(self.duration)
        frames = [frame.write(self.keyframe) for frame in self.frames]
        for frame in frames[:-1]:
            data += varint(len(frame)) + frame
        data += b"".join(frames[-1:])
        checksum = zlib.crc32(data) ^ self.checksum_error
        size = 4 if self.keyframe else 2
        return data + (checksum & (1 << 8 * size) - 1).to_bytes(size, "little")
