"""Tells a media file that was cut short by the sizes that it states itself."""

from __future__ import annotations

import os
from typing import BinaryIO

from bsqav.media.ebml import read_head

__all__ = ["cut_short"]

_EBML = 0x1A45DFA3
_SEGMENT = 0x18538067
# First boxes of MOV and MP4 files (ISO/IEC 14496-12).
_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof"}
MAX_BOXES = 1_000_000


def cut_short(file: BinaryIO) -> bool:
    """Whether a Matroska or MOV file ends before it says it does; False where it does not say.

    The file must be seekable; its position is put back.
    """
    place = file.tell()
    try:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        first = file.read(8)
        if first[:4] == _EBML.to_bytes(4, "big"):
            return _matroska(file, size)
        if first[4:8] in _BOXES:
            return _boxes(file, size)
        return False
    finally:
        file.seek(place)


def _matroska(file: BinaryIO, size: int) -> bool:
    file.seek(0)
    head = read_head(file)
    if head is None or head.end is None or head.end > size:
        return True
    file.seek(head.end)
    segment = read_head(file)
    if segment is None:
        return True
    return segment.id == _SEGMENT and segment.end is not None and segment.end > size


def _boxes(file: BinaryIO, size: int) -> bool:
    place = 0
    for _ in range(MAX_BOXES):
        if place >= size:
            return False
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            return True
        length = int.from_bytes(head[:4], "big")
        if length == 1 and len(head) == 16:
            length = int.from_bytes(head[8:16], "big")
        elif length == 0:
            return False  # the last box reaches to the end, however long
        if length < 8:
            return False  # no box: whatever it is, it does not state a size
        place += length
        if place > size:
            return True
    return False
