"""Opening what a user names: a path, a file object, or standard input."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from bsqav.errors import UsageError
from bsqav.media.demux.demuxer import Demuxer
from bsqav.media.demux.image_sequence import PictureSequence, has_no_times
from bsqav.media.demux.still_input import FORMAT, StillDemuxer, look_ahead
from bsqav.media.io.pipes import name_of, standard_input

__all__ = ["input_name", "open_input"]


def input_name(file: Any) -> str:
    """What to call an input in messages."""
    return "standard input" if _is_standard_input(file) else name_of(file)


def _is_standard_input(file: Any) -> bool:
    return isinstance(file, str) and file == "-"


def open_input(
    file: Any,
    *,
    format: str | None = None,  # noqa: A002
    cancelled: Callable[[], bool] = lambda: False,
    fps: Fraction | None = None,
    pictures: PictureSequence | None = None,
) -> Demuxer:
    """A demuxer for a path, a readable file of bytes, or "-" for standard input.

    Args:
        file: what to open.
        format: FFmpeg's name of the container, "bsq" for a still, guessed where None.
        cancelled: polled while waiting for standard input, another pipe or a server.
        fps: frames per second of a raw stream, which has no times.
        pictures: what `file` stands for, where it stands for numbered pictures.

    Raises:
        MediaError: it cannot be opened, or is plain text.
        UsageError: `fps` is given and the input has times of its own.
        BitstreamError, UnsupportedError: it is a still that is damaged, or newer than this library.
        KeyboardInterrupt: `cancelled` answered true, here or in a call that reads.
    """
    name = input_name(file)
    if pictures is not None:
        return pictures.open(cancelled)
    target = standard_input(cancelled) if _is_standard_input(file) else file
    if format in (None, FORMAT):
        still, target = look_ahead(target, name)
        if cancelled():
            raise KeyboardInterrupt("interrupted")
        if still or format == FORMAT:
            return StillDemuxer(target, name=name)
    options = {} if fps is None else {"framerate": str(fps)}
    demuxer = Demuxer(target, format=format, options=options, name=name, cancelled=cancelled)
    if fps is not None and not has_no_times(demuxer.format):
        demuxer.close()
        raise UsageError(
            f"{name} has times of its own: the frame rate (--fps) is that of numbered pictures and "
            "raw streams"
        )
    return demuxer
