"""Finds a second file appended to the first by `cat` or a recorder: FFmpeg reads one only."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO

from bsqav.media.io.boxes import box_at
from bsqav.media.io.ebml import read_segment_head

__all__ = ["is_joined", "next_file"]

# After the last packet there is an index at most; another header is searched for up to here.
MAX_SEARCHED = 1 << 20
MAX_BOXES = 10_000
_WITHOUT_STRUCTURE = {"flv", "mpeg", "mpegts"}
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_EBML, _DOCTYPE = b"\x1aE\xdf\xa3", b"B\x82"
_FLV, _FLV_LENGTH = b"FLV\x01", b"\0\0\0\x09"


def next_file(file: BinaryIO, form: str, end: int) -> int | None:
    """The byte at which another file of the same format begins, None where there is none.

    Args:
        file: what was read, which can seek.
        form: FFmpeg's name of the format.
        end: the byte after the last packet that was read.
    """
    if form.startswith("mov,"):
        return _appended_box(file, end)
    head = _HEADS.get(form)
    if head is None:
        return None
    file.seek(end)
    data = file.read(MAX_SEARCHED)
    magic, is_head = head
    at = data.find(magic)
    while at >= 0:
        if is_head(data[at : at + 64]):
            return end + at
        at = data.find(magic, at + 1)
    return None


def is_joined(file: BinaryIO, form: str) -> bool | None:
    """Whether another file is appended to a file; None where its structure does not tell."""
    if form.startswith("mov,"):
        return _appended_box(file, 1) is not None
    if form != "matroska,webm":
        return None if form in _WITHOUT_STRUCTURE else False
    segment = read_segment_head(file)
    if segment is None:
        return False
    if segment.end is None:
        return None  # written to a pipe
    file.seek(segment.end)
    return file.read(len(_EBML)) == _EBML


_HEADS: dict[str, tuple[bytes, Callable[[bytes], bool]]] = {
    "asf": (_ASF, lambda _: True),
    "flv": (_FLV, lambda head: head[5:9] == _FLV_LENGTH),
    "matroska,webm": (_EBML, lambda head: _DOCTYPE in head),
}


def _appended_box(file: BinaryIO, end: int) -> int | None:
    """Offset of a file type box after the last packet."""
    size, place = file.seek(0, os.SEEK_END), 0
    for _ in range(MAX_BOXES):
        box = box_at(file, place)
        if box is None:
            return None
        if box.kind == b"ftyp" and place >= end:
            return place
        place = box.end
        if not box.is_sized or place >= size:
            return None
    return None
