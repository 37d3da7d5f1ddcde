"""Opening a path, an address or a file object with PyAV, and checks of it beforehand."""

from __future__ import annotations

import os
from pathlib import Path

import av
from av.container import InputContainer

from bsqav.errors import MediaError
from bsqav.media.demux.tag_encoding import open_with_tags
from bsqav.media.io.file_access import read_seekable
from bsqav.media.io.truncation import LengthWatch, cut_short, is_endless_playlist
from bsqav.media.io.types import MediaFile
from bsqav.media.io.waiting import READ_TIMEOUT

__all__ = [
    "SILENT",
    "InputNotFoundError",
    "can_seek",
    "is_truncated",
    "open_container",
    "watched",
]

# FFmpeg would play any text, or bytes, as an old terminal's screen.
_TEXT_FORMATS = {"tty", "bin", "xbin", "adf", "idf"}
# Addresses at which a server answers a question.
_SERVED = ("http://", "https://", "ftp://", "ftps://", "sftp://")
SILENT = f"nothing has come for {READ_TIMEOUT:.0f} seconds: try again, or save it to a file first"


class InputNotFoundError(MediaError, FileNotFoundError):
    """There is no such file."""


def watched(file: MediaFile) -> LengthWatch | None:
    """A file object that cannot seek, with an eye on its length; None for all else."""
    if isinstance(file, str | os.PathLike) or can_seek(file):
        return None
    return LengthWatch(file)


def can_seek(file: MediaFile) -> bool:
    """Whether an input can be read from anywhere, and twice."""
    if isinstance(file, str | os.PathLike):
        return not Path(file).is_fifo()
    try:
        return bool(file.seekable())
    except AttributeError:
        return False


def is_truncated(file: MediaFile | LengthWatch) -> bool:
    """Whether a file ends before it says it does; False where that cannot be told at once."""
    return bool(read_seekable(file, cut_short))


def open_container(
    file: MediaFile | LengthWatch,
    name: str,
    format: str | None,  # noqa: A002
    options: dict[str, str],
) -> tuple[InputContainer, bool]:
    """PyAV's container of an input, and whether its tags were not UTF-8.

    Args:
        file: a path, an address that FFmpeg opens, or a binary file object.
        name: what messages call it.
        format: FFmpeg's name of the container, guessed where None.
        options: of FFmpeg's demuxer.

    Raises:
        InputNotFoundError: there is no such file.
        MediaError: it cannot be opened, or is no media file.
    """
    target: MediaFile | LengthWatch = file
    if isinstance(file, str | os.PathLike):
        path = Path(file)
        if path.is_dir():
            raise MediaError(f"{name} is a folder")
        if path.is_file():
            if path.stat().st_size == 0:
                raise MediaError(f"{name} is empty")
            # FFmpeg would take a name with a colon for a protocol.
            target = f"file:{os.fspath(file)}"
            options = {**_playlist_options(path), **options}
        else:
            target = os.fspath(file)
    try:
        container, foreign = open_with_tags(
            target, "r", format=format, options=options, timeout=_timeout(target)
        )
        if format is None and container.format.name in _TEXT_FORMATS:
            container.close()
            raise MediaError(f"{name} is a text file, no video")
        return container, foreign
    except MediaError:
        raise
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _why_not_opened(file, name, error) from error


def _why_not_opened(file: MediaFile | LengthWatch, name: str, error: Exception) -> MediaError:
    """What FFmpeg's error means for the user."""
    reason = getattr(error, "strerror", None) or error
    if isinstance(error, av.FileNotFoundError):
        return InputNotFoundError(f"there is no file {name}")
    if isinstance(error, av.ExitError):
        return MediaError(f"{name}: {SILENT}")
    if isinstance(error, av.EOFError) or (
        isinstance(error, av.InvalidDataError) and is_truncated(file)
    ):
        return MediaError(f"{name} is cut short: it ends before it says what is in it")
    if isinstance(error, av.InvalidDataError):
        return MediaError(f"{name} is no media file that can be read: {reason}")
    return MediaError(f"{name} cannot be opened: {reason}")


def _playlist_options(path: Path) -> dict[str, str]:
    """FFmpeg would wait many minutes for a playlist to go on, and begin at its end."""
    if path.suffix.lower() not in (".m3u8", ".m3u"):
        return {}
    with path.open("rb") as opened:
        is_endless = is_endless_playlist(opened)
    return {"m3u8_hold_counters": "3", "live_start_index": "0"} if is_endless else {}


def _timeout(target: object) -> float | None:
    """Seconds that FFmpeg waits for data: of servers only, since others may wait for a sender."""
    is_served = isinstance(target, str) and target.startswith(_SERVED)
    return READ_TIMEOUT if is_served else None
