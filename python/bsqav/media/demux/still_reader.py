"""Reads `.bsq` files: a still as a video of one frame, an animation as one of all its frames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import av
from av.container import InputContainer
from av.stream import Disposition, Stream

from bsqav import _core
from bsqav.codec.animation_file import AnimationFile, is_animation, read_animation
from bsqav.codec.sequence import frame_rate_of, sequence_of, time_base_of
from bsqav.codec.still import HEAD_BYTES, check_still, is_still
from bsqav.errors import BitstreamError, MediaError
from bsqav.media.demux.packet_reader import PacketReader
from bsqav.media.io.types import AvPacket, MediaFile, Warn

__all__ = ["FORMAT", "StillReader", "detect_still"]

# The container's name in `--format` and in what `info` prints.
FORMAT = "bsq"
# An image of 8192x8192, 4:4:4 with alpha and 10 bits, is smaller than this uncoded.
MAX_BYTES = 512 << 20
# Of the packets' times: the packets state the exact ones themselves.
TICK = Fraction(1, 1000)


class _Rejoined:
    """An unseekable file whose first bytes have been read already."""

    def __init__(self, head: bytes, file: BinaryIO, name: str) -> None:
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
        return head + self._file.read(size)


def _is_ours(head: bytes) -> bool:
    return is_still(head) or is_animation(head)


def detect_still(file: MediaFile, name: str) -> tuple[bool, MediaFile]:
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
    return _is_ours(head), cast(BinaryIO, _Rejoined(head, file, name))


def _read_all(file: MediaFile, name: str) -> bytes:
    try:
        if isinstance(file, str | os.PathLike):
            with Path(file).open("rb") as opened:
                return _read_limited(opened, name)
        return _read_limited(file, name)
    except OSError as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError(f"{name} cannot be read: {error.strerror or error}") from error


def _read_limited(file: BinaryIO, name: str) -> bytes:
    parts = []
    left = MAX_BYTES + 1
    while left and (part := file.read(min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    if not left:
        raise MediaError(f"{name} has more than {MAX_BYTES >> 20} MiB, which no still has")
    return b"".join(parts)


class _Format:
    """The attributes of av.ContainerFormat."""

    name = FORMAT
    long_name = "BSQ still or animation"
    flags = 0


class _Stream:
    """The attributes of av.VideoStream that are read where a codec is not FFmpeg's."""

    index = id = frames = 0
    type = "video"
    codec_context = None
    time_base = TICK
    duration = None
    disposition = Disposition(0)

    def __init__(self, container: _Container, start_time: int, rate: Fraction | None) -> None:
        self.container, self.start_time = container, start_time
        self.average_rate = self.base_rate = self.guessed_rate = rate  # None where variable
        self.metadata: dict[str, str] = {}


class _Streams(tuple[_Stream, ...]):
    """One video stream, and no attachments."""

    attachments = ()

    @property
    def video(self) -> tuple[_Stream, ...]:
        """All of them."""
        return self


class _Container:
    """The attributes of av.container.InputContainer that readers of tracks ask for."""

    def __init__(self, name: str, first: Fraction, last: Fraction, rate: Fraction | None) -> None:
        self.name = name
        self.format = _Format()
        self.metadata: dict[str, str] = {}
        self.start_time = round(first * av.time_base)
        self.duration = round(last * av.time_base) or None
        self.streams = _Streams([_Stream(self, round(first / TICK), rate)])

    def chapters(self) -> list[object]:
        """None."""
        return []


class _Timed(NamedTuple):
    """A packet with its time in seconds."""

    data: bytes
    time: Fraction
    keyframe: bool

    def packet(self) -> AvPacket:
        """The same as PyAV has it."""
        packet: AvPacket = av.Packet(self.data)
        packet.time_base = TICK
        packet.pts = packet.dts = round(self.time / TICK)
        packet.is_keyframe = self.keyframe
        return packet


class StillReader(PacketReader):
    """The packets of a still or an animation.

    Args:
        file: a path or a readable file of bytes.
        name: what messages call it.

    Raises:
        BitstreamError: it is damaged or cut short; `.byte` says where.
        UnsupportedError: its version is newer than this library.
        MediaError: it cannot be read.
    """

    def __init__(self, file: MediaFile, *, name: str) -> None:
        self.name = name
        data = _read_all(file, name)
        if is_animation(data):
            content = read_animation(data, name)
            self._packets = list(_timed(content.packets, name))
        else:
            content = AnimationFile((data,), 1, complete=True)
            # The packet's own time is of no use here, and may be any.
            self._packets = [_Timed(data, Fraction(0), keyframe=True)]
        rate = frame_rate_of(sequence_of(check_still(content.packets[0], name)))
        first, last = self._packets[0].time, self._packets[-1].time
        self.container = cast(InputContainer, _Container(name, first, last, rate))
        self.image_metadata = content.metadata
        self._metadata_faults = content.faults
        self._complete = content.complete
        self._next = 0

    @property
    def format(self) -> str:
        """Always FORMAT."""
        return FORMAT

    def read(self) -> AvPacket | None:
        """The next packet, None at the end."""
        if self._next == len(self._packets):
            return None
        self._next += 1
        return self._packets[self._next - 1].packet()

    @property
    def can_seek(self) -> bool:
        """Always true: all packets are in memory."""
        return True

    def seek(self, offset: int, *, backward: bool, any_frame: bool, stream: Stream | None) -> None:
        """Goes to a keyframe, or to any frame; the first one where there is none before."""
        del stream
        times = {
            number: round(each.time / TICK)
            for number, each in enumerate(self._packets)
            if each.keyframe or any_frame
        }
        if backward:
            self._next = max((n for n, time in times.items() if time <= offset), default=0)
            return
        found = next((n for n, time in times.items() if time >= offset), None)
        if found is None:
            raise MediaError(
                f"{self.name}: no frame is at {float(offset * TICK):.3f} s or after it"
            )
        self._next = found

    def close(self) -> None:
        """Lets go of the packets."""
        self._packets = self._packets[:0]
        self._next = 0

    @property
    def truncated(self) -> bool:
        """Whether frames are missing at an animation's end."""
        return not self._complete

    def missing_at_end(self, stream: Stream) -> str | None:
        """An animation does not say how many frames it has."""
        del stream
        return None if self._complete else "frames are missing at its end"

    def check_metadata(self, warn: Warn) -> None:
        """Tells of damaged metadata, which was left out."""
        for fault in self._metadata_faults:
            warn(f"{self.name}: {fault}")


def _timed(packets: Sequence[bytes], name: str) -> Iterator[_Timed]:
    """The packets of an animation with the times that they state."""
    tick = time_base_of(sequence_of(check_still(packets[0], name)))
    start = ticks_per_frame = 0
    for number, data in enumerate(packets):
        try:
            info = _core.probe_packet(data)
        except BitstreamError as error:
            raise BitstreamError(f"{name}: {error.args[0]}", packet=number) from error
        if info["keyframe"]:
            start, ticks_per_frame = info["pts"], info["ticks_per_frame"]
            ticks = start
        else:
            ticks = start + info["index_in_group"] * ticks_per_frame + info["pts"]
        yield _Timed(data, ticks * tick, number == 0 or is_still(data))
