"""The first of two passes over an input: encodes every frame, and keeps how many bits each took."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from bsqav.codec import Packet
from bsqav.codec.encoder import PassRecord
from bsqav.errors import BsqError, UsageError
from bsqav.media.demux.inputs import input_name
from bsqav.media.io.types import Cancelled, MediaFile
from bsqav.media.transcode.events import SourceFrame
from bsqav.media.transcode.source import Source
from bsqav.media.transcode.to_bsq import BsqSettings, open_encoder

__all__ = ["check_rereadable", "first_pass"]

_INTERRUPTED = "interrupted in the first pass; no frame was written"


def check_rereadable(src: MediaFile) -> None:
    """Refuses an input that cannot be read twice.

    Raises:
        UsageError: it is not a path, or the path of a pipe.
    """
    name = input_name(src)
    if not isinstance(src, str | os.PathLike) or os.fspath(src) == "-":
        raise UsageError(
            f"{name} can be read once only, and two passes read twice: give the path of a file, or "
            "omit --two-pass (two_pass)"
        )
    path = Path(src)
    if path.exists() and not path.is_file():
        raise UsageError(
            f"{name} is no regular file, and two passes read the input twice: save it to a file "
            "first, or omit --two-pass (two_pass)"
        )


def first_pass(
    source: Source,
    settings: BsqSettings,
    *,
    took: Callable[[Packet, int, int], None],
    cancelled: Cancelled,
) -> tuple[PassRecord, ...]:
    """Encodes the frames of a source at the bit rate in one pass, and writes nothing.

    Args:
        source: a source of its own, which is read to its end or to where it is damaged: the second
            pass comes to the same place and reports it.
        settings: as for the second pass, without records.
        took: called for every packet that would be written, with it, the number of frames that
            were taken in and the bytes so far.
        cancelled: polled between packets.

    Raises:
        KeyboardInterrupt: cancelled.
    """
    encoder = open_encoder(source, settings)
    count = size = 0
    events = source.events()
    while True:
        try:
            event = next(events, None)
        except BsqError:
            break
        if cancelled():
            raise KeyboardInterrupt(_INTERRUPTED)
        if event is None:
            break
        if not isinstance(event, SourceFrame):
            continue
        count += 1
        for packet in encoder.encode(event.planes, pts=event.pts, duration=event.duration):
            size += len(packet)
            took(packet, count, size)
    for packet in encoder.drain():
        size += len(packet)
        took(packet, count, size)
        if cancelled():
            raise KeyboardInterrupt(_INTERRUPTED)
    return encoder.pass_records
