"""`.bsq` files of several pictures, or of one with metadata (docs/bitstream.md 10)."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import BinaryIO

from bsqav.codec.image_metadata import NO_METADATA, ImageMetadata, read_chunks
from bsqav.codec.still import is_still
from bsqav.codec.units import Packet
from bsqav.codec.varint import read_varint, varint
from bsqav.errors import BitstreamError, UnsupportedError, UsageError

__all__ = [
    "MAX_LOOPS",
    "AnimationFile",
    "is_animation",
    "read_animation",
    "still_with_metadata",
    "write_animation",
]

MAGIC = b"BSQA"
VERSION = 1
MAX_LOOPS = (1 << 31) - 1
MAX_PACKET_BYTES = 1 << 28


def is_animation(head: bytes) -> bool:
    """Whether data that begins so (four bytes suffice) is an animation."""
    return head[:4] == MAGIC


@dataclass(frozen=True)
class AnimationFile:
    """What an animation's file holds."""

    packets: tuple[bytes, ...]
    loops: int  # how often it is shown, 0 for ever
    complete: bool  # False: it was cut short
    metadata: ImageMetadata = NO_METADATA
    faults: tuple[str, ...] = field(default=(), compare=False)  # what is damaged of the metadata


def write_animation(
    file: BinaryIO,
    packets: Iterable[bytes | Packet],
    *,
    loops: int = 0,
    metadata: ImageMetadata = NO_METADATA,
) -> None:
    """Writes packets, the first of them a keyframe, as an animation.

    Raises:
        UsageError: there is no packet, the first is no keyframe, or loops is out of range.
    """
    if not 0 <= loops <= MAX_LOOPS:
        raise UsageError(f"{loops} loops: 0 (for ever) to {MAX_LOOPS}")
    head = varint(loops) + metadata.to_chunks()
    first = True
    for packet in packets:
        data = bytes(packet)
        if first:
            if not is_still(data):
                raise UsageError("an animation begins with a keyframe")
            file.write(MAGIC + bytes([VERSION]) + varint(len(head)) + head)
            first = False
        file.write(varint(len(data)) + data)
    if first:
        raise UsageError("an animation has at least one picture")
    file.write(b"\0")


def read_animation(data: bytes, name: str = "") -> AnimationFile:
    """The packets of an animation, unchecked themselves.

    A file that is cut short gives the packets that are whole.

    Args:
        data: the whole file.
        name: what messages call it.

    Raises:
        BitstreamError: the data is no animation, or has no whole packet; `.byte` says where.
        UnsupportedError: its version is newer than this library.
    """
    where = f"{name}: " if name else ""
    if not is_animation(data):
        raise BitstreamError(f"{where}no BSQ animation: 'BSQA' does not stand first", byte=0)
    if len(data) > 4 and data[4] != VERSION:
        raise UnsupportedError(f"{where}version {data[4]} of animations: {VERSION} is known")
    packets: list[bytes] = []
    faults: list[str] = []
    try:
        loops, chunks, place = _read_head(data, where)
        metadata = read_chunks(chunks, faults.append)
        while True:
            size, begin = read_varint(data, place)
            if size == 0:
                break
            if size > MAX_PACKET_BYTES:
                raise BitstreamError(f"{where}a picture of {size} bytes", byte=place)
            if begin + size > len(data):
                raise EOFError
            packets.append(data[begin : begin + size])
            place = begin + size
    except EOFError:
        if not packets:
            raise BitstreamError(f"{where}the animation is cut short", byte=len(data)) from None
        return AnimationFile(tuple(packets), loops, False, metadata, tuple(faults))
    if not packets:
        raise BitstreamError(f"{where}the animation has no picture", byte=place)
    if begin != len(data):
        raise BitstreamError(f"{where}bytes follow after the end of the animation", byte=begin)
    return AnimationFile(tuple(packets), loops, True, metadata, tuple(faults))


def _read_head(data: bytes, where: str) -> tuple[int, bytes, int]:
    """How often it is shown, the metadata, and where the pictures begin; EOFError past the end."""
    length, place = read_varint(data, 5)
    loops, after = read_varint(data[: place + length], place)
    if loops > MAX_LOOPS:
        raise BitstreamError(f"{where}{loops} loops are more than {MAX_LOOPS}", byte=place)
    place += length
    if place > len(data):
        raise EOFError
    return loops, data[after:place], place


def still_with_metadata(packet: bytes, metadata: ImageMetadata) -> bytes:
    """The content of a `.bsq` file: a keyframe packet as it is, or with metadata before it."""
    if not metadata:
        return packet
    held = io.BytesIO()
    write_animation(held, [packet], metadata=metadata)
    return held.getvalue()
