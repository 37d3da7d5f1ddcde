"""Reading `.bsq` files: a still is read as a video of one picture, an animation as one of all."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from bsqav import _core
from bsqav.codec.animation_file import AnimationFile, is_animation, read_animation
from bsqav.codec.picture_metadata import PictureMetadata
from bsqav.codec.sequence import time_base_of
from bsqav.codec.still import HEAD_BYTES, check_still, is_still
from bsqav.errors import BitstreamError, MediaError
from bsqav.media.demux.bsq_track import header_bytes
from bsqav.media.demux.demuxer import Demuxer
from bsqav.media.mux.matroska import MatroskaMuxer

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


def _is_ours(head: bytes) -> bool:
    return is_still(head) or is_animation(head)


def look_ahead(file: Any, name: str) -> tuple[bool, Any]:
    """Whether an input is a `.bsq` file, and what to read it from: pipes cannot be read twice."""
    if isinstance(file, str | os.PathLike):
        path = Path(file)
        try:
            if not path.is_file():
                return False, file
            with path.open("rb") as opened:
                return _is_ours(opened.read(HEAD_BYTES)), file
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
        return _is_ours(head), file
    head = b""
    while len(head) < HEAD_BYTES and (more := file.read(HEAD_BYTES - len(head))):
        head += more
    return _is_ours(head), _Rejoined(head, file, name)


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
    """A still as an open video of one picture, or an animation as one of its pictures.

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
        held = io.BytesIO()
        if is_animation(data):
            file = read_animation(data, name)
            _animation_as_video(file, held, name)
        else:
            file = AnimationFile((data,), 1, complete=True)
            _still_as_video(data, held, name)
        held.seek(0)
        super().__init__(held, format="matroska", name=name)
        self._complete = file.complete
        self._metadata_faults = file.faults
        self.metadata: PictureMetadata = file.metadata
        """Exif, colour profile and XMP of the file."""

    @property
    def truncated(self) -> bool:
        """Whether pictures are missing at an animation's end."""
        return not self._complete

    def missing_at_end(self, stream: Any) -> str | None:
        """What is missing of an animation: it does not say how many pictures it has."""
        del stream
        return None if self._complete else "pictures are missing at its end"

    def check_end(self, stream: Any, warn: Callable[[str], None], *, strict: bool = False) -> None:
        """Tells damaged metadata too, which are left out."""
        for fault in self._metadata_faults:
            if strict:
                raise MediaError(f"{self.name}: {fault}")
            warn(f"{self.name}: {fault}")
        super().check_end(stream, warn, strict=strict)

    @property
    def format(self) -> str:
        """Not that of the container around it."""
        return FORMAT


def _still_as_video(data: bytes, held: io.BytesIO, name: str) -> None:
    sequence = check_still(data, name)["sequence"]
    # The packet's own time is of no use here, and may be any.
    muxer = MatroskaMuxer(held)
    track = muxer.add_video(header_bytes(data), sequence)
    muxer.mux(track, data, pts=0, keyframe=True, time_base=Fraction(1))
    muxer.close()


def _animation_as_video(file: AnimationFile, held: io.BytesIO, name: str) -> None:
    """Writes an animation's packets as Matroska."""
    sequence = check_still(file.packets[0], name)["sequence"]
    muxer = MatroskaMuxer(held)
    track = muxer.add_video(header_bytes(file.packets[0]), sequence)
    for number, (pts, packet) in enumerate(_timed(file.packets, name)):
        muxer.mux(
            track,
            packet,
            pts=pts,
            keyframe=number == 0 or is_still(packet),
            time_base=time_base_of(sequence),
        )
    muxer.close()


def _timed(packets: Sequence[bytes], name: str) -> Iterator[tuple[int, bytes]]:
    """Packets with their times in ticks."""
    start = ticks_per_frame = 0
    for number, packet in enumerate(packets):
        try:
            info = _core.probe_packet(packet)
        except BitstreamError as error:
            raise BitstreamError(f"{name}: {error.args[0]}", packet=number) from error
        if info["keyframe"]:
            start, ticks_per_frame = info["pts"], info["ticks_per_frame"]
            yield start, packet
        else:
            yield start + info["index_in_group"] * ticks_per_frame + info["pts"], packet
