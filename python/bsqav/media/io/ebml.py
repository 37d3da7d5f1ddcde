"""EBML, the binary grammar of Matroska: writing elements, and reading headers without trust.

Source: RFC 8794. Element ids include their length marker, as in a file.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from bsqav.media.io import matroska_ids as ids

__all__ = [
    "UNKNOWN_SIZE",
    "ElementHead",
    "binary",
    "children",
    "element",
    "floating",
    "head",
    "integer",
    "read_head",
    "read_segment_head",
    "signed",
    "size_field",
    "string",
    "uint",
    "void",
]

# A data size of all ones: the element ends where its parent's next one begins.
UNKNOWN_SIZE = b"\x01" + b"\xff" * 7
MAX_SIZE = (1 << 56) - 2


def size_field(size: int, width: int = 0) -> bytes:
    """A data size as a variable-length integer.

    Args:
        size: bytes of data, 0 .. 2^56 - 2.
        width: bytes to use, 1 .. 8; 0 takes the fewest. All ones is reserved for unknown sizes.
    """
    if not 0 <= size <= MAX_SIZE:
        raise ValueError(f"an EBML element cannot hold {size} bytes")
    needed = 1
    while size >= (1 << (7 * needed)) - 1:
        needed += 1
    width = width or needed
    if width < needed or width > 8:
        raise ValueError(f"size {size} does not fit {width} bytes")
    return (size | 1 << (7 * width)).to_bytes(width, "big")


def id_bytes(element_id: int) -> bytes:
    """An element id as it is in a file, length marker included."""
    return element_id.to_bytes((element_id.bit_length() + 7) // 8, "big")


def head(element_id: int, size: int | None, width: int = 0) -> bytes:
    """Id and data size of an element; a size of None is unknown."""
    field = UNKNOWN_SIZE if size is None else size_field(size, width)
    return id_bytes(element_id) + field


def binary(element_id: int, data: bytes | bytearray | memoryview) -> bytes:
    """An element that holds bytes."""
    return head(element_id, len(data)) + bytes(data)


def element(element_id: int, *children: bytes) -> bytes:
    """An element that holds other elements."""
    return binary(element_id, b"".join(children))


def uint(element_id: int, value: int, width: int = 0) -> bytes:
    """An unsigned integer in the fewest bytes, or in `width` bytes."""
    if value < 0:
        raise ValueError(f"element {element_id:X} cannot hold {value}")
    width = width or max(1, (value.bit_length() + 7) // 8)
    return binary(element_id, value.to_bytes(width, "big"))


def signed(element_id: int, value: int) -> bytes:
    """A signed integer in the fewest bytes."""
    width = ((value if value >= 0 else ~value).bit_length() + 8) // 8
    return binary(element_id, value.to_bytes(width, "big", signed=True))


def floating(element_id: int, value: float) -> bytes:
    """A number in 64-bit floating point."""
    return binary(element_id, struct.pack(">d", value))


def string(element_id: int, value: str) -> bytes:
    """Text in UTF-8. What cannot be encoded is replaced; a NUL would end the text, so it goes."""
    return binary(element_id, value.replace("\0", "").encode("utf-8", "replace"))


def void(size: int) -> bytes:
    """Exactly `size` bytes that readers skip, 2 at least."""
    if size < 2:
        raise ValueError(f"a Void element has 2 bytes at least, not {size}")
    width = 1 if size < 0x80 else 8
    return head(0xEC, size - 1 - width, width) + bytes(size - 1 - width)


class ElementHead(NamedTuple):
    """Where an element's data is and how long it is."""

    id: int
    start: int  # offset of the data in the file
    size: int | None  # bytes of data; None where unknown

    @property
    def end(self) -> int | None:
        """Offset of the first byte after the data, None where unknown."""
        return None if self.size is None else self.start + self.size


def _read_vint(file: BinaryIO, max_width: int) -> tuple[int, int] | None:
    """(value with its marker, width), None at the end of the file or for no such integer."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    width = 9 - first[0].bit_length()
    rest = file.read(width - 1)
    if width > max_width or len(rest) != width - 1:
        return None
    return int.from_bytes(first + rest, "big"), width


def read_head(file: BinaryIO) -> ElementHead | None:
    """The head of the element at the file's position; None where there is none to be read."""
    found = _read_vint(file, 4)
    if found is None:
        return None
    size = _read_vint(file, 8)
    if size is None:
        return None
    value = size[0] & ((1 << (7 * size[1])) - 1)
    unknown = value == (1 << (7 * size[1])) - 1
    return ElementHead(found[0], file.tell(), None if unknown else value)


def read_segment_head(file: BinaryIO) -> ElementHead | None:
    """The head of the element after the EBML header: the Segment, where the file is Matroska.

    Read from the file's start; None where there is no such header or nothing follows it.
    """
    file.seek(0)
    header = read_head(file)
    if header is None or header.id != ids.EBML or header.end is None:
        return None
    file.seek(header.end)
    return read_head(file)


def children(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(id, content) of the elements in another; stops where one is no element."""
    file = io.BytesIO(data)
    while (head := read_head(file)) is not None and head.end is not None and head.end <= len(data):
        yield head.id, data[head.start : head.end]
        file.seek(head.end)


def integer(data: bytes) -> int:
    """The value of an element that holds an unsigned integer."""
    return int.from_bytes(data[:8], "big")
