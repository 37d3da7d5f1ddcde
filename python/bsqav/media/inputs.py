"""Opening what a user names: a path, a file object, or standard input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bsqav.media.demux import Demuxer
from bsqav.media.pipes import name_of, standard_input
from bsqav.media.still_input import FORMAT, StillDemuxer, look_ahead

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
) -> Demuxer:
    """A demuxer for a path, a readable file of bytes, or "-" for standard input.

    Args:
        file: what to open.
        format: FFmpeg's name of the container, "bsq" for a still, guessed where None.
        cancelled: polled while waiting for standard input, another pipe or a server.

    Raises:
        MediaError: it cannot be opened, or is plain text.
        BitstreamError, UnsupportedError: it is a still that is damaged, or newer than this library.
        KeyboardInterrupt: `cancelled` answered true, here or in a call that reads.
    """
    name = input_name(file)
    target = standard_input(cancelled) if _is_standard_input(file) else file
    if format in (None, FORMAT):
        still, target = look_ahead(target, name)
        if cancelled():
            raise KeyboardInterrupt("interrupted")
        if still or format == FORMAT:
            return StillDemuxer(target, name=name)
    return Demuxer(target, format=format, name=name, cancelled=cancelled)
