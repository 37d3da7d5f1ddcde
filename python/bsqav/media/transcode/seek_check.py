"""Tells whether a seek would land in a wrong place: times are missing, or there twice."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TypeVar

import av
from av.container import InputContainer

from bsqav.errors import BsqError
from bsqav.media.demux.bsq_track import BsqPacket
from bsqav.media.demux.inputs import open_input
from bsqav.media.demux.joined_files import is_joined
from bsqav.media.io.types import AvPacket, Cancelled, MediaFile
from bsqav.media.io.waiting import Direct, caller_for
from bsqav.media.metadata.stream_info import is_elementary_stream
from bsqav.media.metadata.track_colour import of_file
from bsqav.media.transcode.jump_scan import may_jump
from bsqav.media.transcode.timestamp_repair import TimestampRepair

__all__ = ["must_read_on"]

_POLL_PACKETS = 64
P = TypeVar("P")


def must_read_on(
    file: MediaFile,
    container: InputContainer,
    format: str | None,  # noqa: A002
    cancelled: Cancelled = lambda: False,
) -> bool:
    """Whether an input has to be read from its beginning to find what is at a time.

    Args:
        file: what was opened.
        container: PyAV's of it.
        format: the container's name, where it was given.
        cancelled: polled while the file is read.

    Raises:
        KeyboardInterrupt: `cancelled` answered true.
    """
    if is_elementary_stream(container):
        return True  # no packet says where it belongs: frames are counted
    form = container.format.name
    joined = of_file(file, lambda opened: {0: is_joined(opened, form)}).get(0, False)
    if joined is not None or not isinstance(file, str | os.PathLike):
        return bool(joined)
    return _starts_again(file, format, cancelled)


def _starts_again(file: MediaFile, format: str | None, cancelled: Cancelled) -> bool:  # noqa: A002
    """Whether times start again anywhere, of which only the packets tell.

    Where the file is damaged, what comes before the damage decides.
    """
    said: list[str] = []
    try:
        with open_input(file, format=format, cancelled=cancelled) as other:
            # Not to be read past the thread that waits for a server.
            direct = isinstance(caller_for(file, cancelled), Direct)
            packets: Iterator[AvPacket]
            if direct:
                packets = other.container.demux()
            else:
                packets = (each for each in other.demux() if not isinstance(each, BsqPacket))
            if not may_jump(other.container, _polled(packets, cancelled)):
                return False
        with open_input(file, format=format, cancelled=cancelled) as other:
            repair = TimestampRepair(other.container, said.append, other.tracks)
            for _ in repair.repaired(_polled(other.demux(), cancelled)):
                if said:
                    return True
    except (BsqError, av.FFmpegError):
        pass  # reading the input itself tells of it, if it comes so far
    return bool(said)


def _polled(packets: Iterable[P], cancelled: Cancelled) -> Iterator[P]:
    """The packets, until the user gives up."""
    for number, packet in enumerate(packets):
        if number % _POLL_PACKETS == 0 and cancelled():
            raise KeyboardInterrupt("interrupted")
        yield packet
