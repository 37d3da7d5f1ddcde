"""Detects a truncated media file by the sizes that it states itself."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from bsqav.media.io import matroska_ids as ids
from bsqav.media.io.boxes import HEAD_BYTES, box_at, parse_box
from bsqav.media.io.ebml import read_segment_head

__all__ = ["LengthWatch", "StatedContents", "cut_short", "is_endless_playlist"]

_EBML = ids.EBML.to_bytes(4, "big")
_RIFF, _NO_SIZE = b"RIFF", 0xFFFFFFFF
_PLAYLIST, _PLAYLIST_END = b"#EXTM3U", b"#EXT-X-ENDLIST"
MAX_PLAYLIST = 16 << 20
# First boxes of MOV and MP4 files.
_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof"}
MAX_BOXES = 1_000_000
# The heads of Matroska's first two elements are in these bytes.
MATROSKA_HEAD = 4096


@dataclass
class StatedContents:
    """What a container's own structure says is in it. Tracks go by FFmpeg's numbers of streams."""

    packets: dict[int, int] = field(default_factory=dict)  # of every track, where it says so
    faults: list[str] = field(default_factory=list)  # places where the structure is broken
    # Faults that concern one track.
    missing: list[tuple[int, str]] = field(default_factory=list)
    sizes: list[str] = field(default_factory=list)  # places where a size is wrong, and no more
    cut_inside: bool = False  # the file ends inside a packet, or among packets
    is_exact: bool = False  # it lists its packets apart from them
    in_parts: bool = False  # further lists may have followed where it is cut

    def faults_of(self, track: int) -> list[str]:
        """Those that may concern a track."""
        return [*self.faults, *(what for index, what in self.missing if index == track)]


def cut_short(file: BinaryIO) -> bool:
    """Whether a Matroska, MOV or AVI file or a playlist ends before it says it does.

    False where it does not say.
    The file must be seekable; its position is put back.
    """
    place = file.tell()
    try:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        first = file.read(8)
        if first[:4] == _EBML:
            return _matroska(file, size)
        if first[4:8] in _BOXES:
            return _boxes(file, size)
        if first[:7] == _PLAYLIST:
            return is_endless_playlist(file)
        return first[:4] == _RIFF and _riff(first) > size
    finally:
        file.seek(place)


def is_endless_playlist(file: BinaryIO) -> bool:
    """Whether a file is an HLS playlist without its end: one to which parts may still be added."""
    file.seek(0)
    text = file.read(MAX_PLAYLIST)
    # A master playlist names other playlists, and has no end of its own.
    return text.startswith(_PLAYLIST) and b"#EXTINF" in text and _PLAYLIST_END not in text


def _matroska(file: BinaryIO, size: int) -> bool:
    segment = read_segment_head(file)
    if segment is None:
        return True
    return segment.id == ids.SEGMENT and segment.end is not None and segment.end > size


def _riff(head: bytes) -> int:
    """Bytes of an AVI file up to its first end; 0 where it does not say (written into a pipe)."""
    size = int.from_bytes(head[4:8], "little")
    return 0 if size in (0, _NO_SIZE) else size + 8


def _boxes(file: BinaryIO, size: int) -> bool:
    place = 0
    for _ in range(MAX_BOXES):
        if place >= size:
            return False
        box = box_at(file, place)
        if box is None:
            return True
        if not box.is_sized:
            return False
        place = box.end
        if place > size:
            return True
    return False


class LengthWatch:
    """A file that can only be read in order, and that tells at its end whether it was cut short.

    Everything but `read` is the file's own.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._count = 0
        self._ended = False
        self._first = bytearray()
        self._is_boxes = True  # until a head says otherwise
        self._next = 0  # offset of the next box
        self._head = bytearray()  # of it, as far as it has come

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def seekable(self) -> bool:
        """Always false."""
        return False

    def read(self, size: int = -1) -> bytes:
        """What the file gives."""
        data = self._file.read(size)
        if not data:
            self._ended = self._ended or (data == b"" and size != 0)
            return data or b""
        if len(self._first) < MATROSKA_HEAD:
            self._first += data[: MATROSKA_HEAD - len(self._first)]
        if self._is_boxes:
            self._walk(data)
        self._count += len(data)
        return data

    def _walk(self, data: bytes) -> None:
        """Follows the boxes through the next part of the file."""
        while (place := self._next + len(self._head) - self._count) < len(data):
            self._head += data[place : place + HEAD_BYTES - len(self._head)]
            if len(self._head) < HEAD_BYTES:
                return
            box = parse_box(bytes(self._head))
            if box is None or not box.is_sized or bytes(self._first[4:8]) not in _BOXES:
                self._is_boxes = False
                return
            self._next += box.size
            del self._head[: box.size]

    @property
    def cut_short(self) -> bool:
        """Whether the end came before the file says it does; False while it has not come."""
        if not self._ended:
            return False
        if self._is_boxes and bytes(self._first[4:8]) in _BOXES:
            rest = self._count - self._next
            if rest <= 0:
                return rest < 0
            box = parse_box(bytes(self._head))
            return box is None or (box.is_sized and box.size > rest)
        if self._first[:4] == _EBML:
            return _matroska(io.BytesIO(bytes(self._first)), self._count)
        return self._first[:4] == _RIFF and _riff(bytes(self._first[:8])) > self._count
