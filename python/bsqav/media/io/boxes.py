"""The boxes of MOV and MP4 files (ISO/IEC 14496-12), read without trust in their sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, TypeAlias

__all__ = ["HEAD_BYTES", "Box", "Span", "box_at", "boxes", "find_box", "parse_box"]

MAX_BOXES = 10_000
# The longest head: size, type, and a size of 64 bits.
HEAD_BYTES = 16

Span: TypeAlias = tuple[int, int]
"""Offsets of a box's content and of its end."""


class Box(NamedTuple):
    """The head of a box."""

    kind: bytes
    place: int  # offset of the box in the file
    start: int  # offset of its content
    size: int  # bytes, head included, as it states; 0 where it reaches to the end of the file

    @property
    def is_sized(self) -> bool:
        """Whether it states a size that a box can have."""
        return self.size >= self.start - self.place

    @property
    def end(self) -> int:
        """Offset of the first byte after it, where it is sized."""
        return self.place + self.size


def parse_box(head: bytes, place: int = 0) -> Box | None:
    """The head of a box out of its first bytes, HEAD_BYTES of them where there are as many.

    None where that is too few for a head.
    """
    if len(head) < 8:
        return None
    size, kind = int.from_bytes(head[:4], "big"), head[4:8]
    if size != 1:
        return Box(kind, place, place + 8, size)
    large = int.from_bytes(head[8:16], "big") if len(head) >= HEAD_BYTES else 0
    return Box(kind, place, place + HEAD_BYTES, large)


def box_at(file: BinaryIO, place: int) -> Box | None:
    """The head of the box at an offset; None at the end of the file."""
    file.seek(place)
    return parse_box(file.read(HEAD_BYTES), place)


def boxes(file: BinaryIO, within: Span) -> Iterator[tuple[bytes, Span]]:
    """(kind, span) of the boxes in a span; stops where one does not fit."""
    place, end = within
    for _ in range(MAX_BOXES):
        box = box_at(file, place) if place + 8 <= end else None
        if box is None or not box.is_sized or box.end > end:
            return
        yield box.kind, (box.start, box.end)
        place = box.end


def find_box(file: BinaryIO, within: Span, *path: bytes) -> Span | None:
    """The first box of a kind in a span, and so on down a path; None where there is none."""
    span: Span | None = within
    for kind in path:
        if span is None:
            return None
        span = next((inner for found, inner in boxes(file, span) if found == kind), None)
    return span
