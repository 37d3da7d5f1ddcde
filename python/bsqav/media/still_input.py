"""Reading `.bsq` stills: such a file is read as a video of one picture."""

from __future__ import annotations

import io
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

from bsqav.codec.still import HEAD_BYTES, check_still, is_still
from bsqav.errors import MediaError
from bsqav.media.bsq_track import header_bytes
from bsqav.media.demux import Demuxer
from bsqav.media.matroska import MatroskaMuxer

__all__ = ["FORMAT", "StillDemuxer", "look_ahead"]

# What `--format` calls a still, and what `info` says.
FORMAT = "bsq"
# A picture of 8192x8192, 4:4:4 with alpha and 10 bits, is smaller than this uncoded.
MAX_BYTES = 512 << 20


class _Rejoined:
    """An unseekable file whose first bytes have been read already."""

    def __init__(self, head: bytes, file: Any, name: str) -> None:
        self.name = name
        self._head, self._file = head, file

    def readable(self) -> bool:
        """Always true."""
        return True

    def seekable(self) -> bool:
        """Always false."""
        return False

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, all where it is negative; none at the end."""
        head = self._head if size < 0 else self._head[:size]
        self._head = self._head[len(head) :]
        if head and size >= 0:
            return head
        rest: bytes = self._file.read(size)
        return head + rest


def look_ahead(file: Any, name: str) -> tuple[bool, Any]:
    """Whether an input is a still, and what to read it from: pipes cannot be read twice."""
    if isinstance(file, str | os.PathLike):
        path = Path(file)
        try:
            if not path.is_file():
                return False, file
            with path.open("rb") as opened:
                return is_still(opened.read(HEAD_BYTES)), file
        except (OSError, ValueError):
            return False, file  # whoever opens it says what is wrong
    try:
        can_seek = file.seekable()
    except AttributeError:
        can_seek = hasattr(file, "seek")
    if can_seek:
        place = file.tell()
        head = file.read(HEAD_BYTES)
        file.seek(place)
        return is_still(head), file
    head = b""
    while len(head) < HEAD_BYTES and (more := file.read(HEAD_BYTES - len(head))):
        head += more
    return is_still(head), _Rejoined(head, file, name)


def _read_all(file: Any, name: str) -> bytes:
    try:
        if isinstance(file, str | os.PathLike):
            with Path(file).open("rb") as opened:
                return _read_limited(opened, name)
        return _read_limited(file, name)
    except OSError as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError(f"{name} cannot be read: {error.strerror or error}") from error


def _read_limited(file: Any, name: str) -> bytes:
    parts = []
    left = MAX_BYTES + 1
    while left and (part := file.read(min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    if not left:
        raise MediaError(f"{name} has more than {MAX_BYTES >> 20} MiB, which no still has")
    return b"".join(parts)


class StillDemuxer(Demuxer):
    """A still as an open video of one picture.

    Args:
        file: a path or a readable file of bytes.
        name: what messages call it.

    Raises:
        BitstreamError: it is damaged or cut short; `.byte` says where.
        UnsupportedError: its version is newer than this library.
        MediaError: it cannot be read.
    """

    def __init__(self, file: Any, *, name: str) -> None:
        data = _read_all(file, name)
        sequence = check_still(data, name)["sequence"]
        # The packet's own time is of no use here, and may be any.
        held = io.BytesIO()
        muxer = MatroskaMuxer(held)
        track = muxer.add_video(header_bytes(data), sequence)
        muxer.mux(track, data, pts=0, keyframe=True, time_base=Fraction(1))
        muxer.close()
        held.seek(0)
        super().__init__(held, format="matroska", name=name)

    @property
    def format(self) -> str:
        """Not that of the container around it."""
        return FORMAT
