"""Opening what a user names: a path, a file object, or standard input."""

from __future__ import annotations

from fractions import Fraction

from bsqav.errors import UsageError
from bsqav.media.demux.av_reader import AvReader
from bsqav.media.demux.demuxer import Demuxer
from bsqav.media.demux.image_sequence import ImageSequence, has_no_times
from bsqav.media.demux.still_reader import FORMAT, StillReader, detect_still
from bsqav.media.io.pipes import name_of, standard_input
from bsqav.media.io.types import Cancelled, MediaFile

__all__ = ["input_name", "open_input"]


def input_name(file: MediaFile) -> str:
    """What to call an input in messages."""
    return "standard input" if _is_standard_input(file) else name_of(file)


def _is_standard_input(file: MediaFile) -> bool:
    return isinstance(file, str) and file == "-"


def open_input(
    file: MediaFile,
    *,
    format: str | None = None,  # noqa: A002
    cancelled: Cancelled = lambda: False,
    fps: Fraction | None = None,
    images: ImageSequence | None = None,
) -> Demuxer:
    """A demuxer for a path, a readable file of bytes, or "-" for standard input.

    Args:
        file: what to open.
        format: FFmpeg's name of the container, "bsq" for a still, guessed where None.
        cancelled: polled while waiting for standard input, another pipe or a server.
        fps: frames per second of a raw stream, which has no times.
        images: what `file` stands for, where it stands for numbered images.

    Raises:
        MediaError: it cannot be opened, or is plain text.
        UsageError: `fps` is given and the input has times of its own.
        BitstreamError, UnsupportedError: it is a still that is damaged, or newer than this library.
        KeyboardInterrupt: `cancelled` answered true, here or in a call that reads.
    """
    name = input_name(file)
    if images is not None:
        return images.open(cancelled)
    target = standard_input(cancelled) if _is_standard_input(file) else file
    if format in (None, FORMAT):
        is_bsq, target = detect_still(target, name)
        if cancelled():
            raise KeyboardInterrupt("interrupted")
        if is_bsq or format == FORMAT:
            return Demuxer(StillReader(target, name=name))
    options = {} if fps is None else {"framerate": str(fps)}
    demuxer = Demuxer(
        AvReader(target, format=format, options=options, name=name, cancelled=cancelled)
    )
    if fps is not None and not has_no_times(demuxer.format):
        demuxer.close()
        raise UsageError(
            f"{name} has times of its own: the frame rate (--fps) is that of numbered images and "
            "raw streams"
        )
    return demuxer
