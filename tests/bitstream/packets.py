"""A second writer of packets, from docs/bitstream.md section 2, that can also write wrong ones."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

KEYFRAME, QUANTIZERS, DEVIATION, DURATION, GROUP_TOGGLE = 0x80, 0x08, 0x04, 0x02, 0x01


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


@dataclass
class PacketFields:
    """A packet; the defaults are a valid keyframe header with an empty payload."""

    keyframe: bool = True
    header: Header = field(default_factory=Header)
    layers: int = 1
    pts: int = 0
    index: int = 1
    deviation: int | None = None
    duration: int | None = None
    quantizers: list[int] | None = field(default_factory=lambda: [256])
    base: bytes = b""  # of keyframes
    others: list[bytes] = field(default_factory=list)  # components after the first
    body: bytes = b""
    group_toggle: bool = False
    checksum_error: int = 0

    def write(self) -> bytes:
        """The packet's bytes, with a checksum that fits unless an error is asked for."""
        flags = (self.layers - 1) << 4
        flags |= KEYFRAME if self.keyframe else 0
        flags |= QUANTIZERS if self.quantizers is not None else 0
        flags |= DEVIATION if self.deviation is not None else 0
        flags |= DURATION if self.duration is not None else 0
        flags |= GROUP_TOGGLE if self.group_toggle else 0
        data = bytes([flags])
        data += self.header.write() + zigzag(self.pts) if self.keyframe else varint(self.index)
        if self.deviation is not None:
            data += zigzag(self.deviation)
        if self.duration is not None:
            data += varint(self.duration)
        for c in self.quantizers or []:
            data += c.to_bytes(2, "little")
        if self.keyframe:
            data += varint(len(self.base)) + self.base
        for other in self.others:
            data += varint(len(other)) + other
        data += self.body
        checksum = zlib.crc32(data) ^ self.checksum_error
        size = 4 if self.keyframe else 2
        return data + (checksum & (1 << 8 * size) - 1).to_bytes(size, "little")
