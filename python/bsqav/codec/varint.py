"""Whole numbers in as many bytes as they need (docs/bitstream.md 1)."""

from __future__ import annotations

from bsqav.errors import BitstreamError

__all__ = ["read_varint", "varint"]


def varint(value: int) -> bytes:
    """A number from 0 on as LEB128."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def read_varint(data: bytes, place: int) -> tuple[int, int]:
    """The number at a place and the place after it.

    Raises:
        EOFError: it goes past the end.
        BitstreamError: it is not in its shortest form, or too long.
    """
    value = 0
    for shift in range(0, 63, 7):
        if place >= len(data):
            raise EOFError
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and shift:
                break
            return value, place
    raise BitstreamError("a number is not in its shortest form, or too long", byte=place)
