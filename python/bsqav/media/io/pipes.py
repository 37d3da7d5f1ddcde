"""Standard input and output, and other streams, as files that PyAV and the muxers take."""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
import time
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from bsqav.errors import MediaError

__all__ = [
    "PipeReader",
    "PipeWriter",
    "WholeWriter",
    "name_of",
    "open_fifo",
    "open_fifo_to_write",
    "standard_input",
    "standard_output",
]

_POLL_SECONDS = 0.2


class _PipeEnd:
    """An unseekable file over a file descriptor; `cancelled` calls off a wait."""

    def __init__(self, descriptor: int, name: str, cancelled: Callable[[], bool]) -> None:
        self.name = name
        self._descriptor = descriptor
        self._cancelled = cancelled

    def seekable(self) -> bool:
        """Always false."""
        return False

    def close(self) -> None:
        """Closes the descriptor."""
        os.close(self._descriptor)


class PipeReader(_PipeEnd):
    """A readable, unseekable file over a file descriptor that can be called off while it waits.

    FFmpeg calls `read` from C, where an exception would be lost: `cancelled` is polled instead,
    and when it answers true the file ends.
    """

    def readable(self) -> bool:
        """Always true."""
        return True

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end, or when called off."""
        while not self._cancelled():
            if self._ready():
                return os.read(self._descriptor, size)
        return b""

    def _ready(self) -> bool:
        if sys.platform == "win32":
            return True
        return bool(select.select([self._descriptor], [], [], _POLL_SECONDS)[0])


class PipeWriter(_PipeEnd):
    """A writable, unseekable file over a file descriptor that can be called off while it waits.

    Like `PipeReader` it is called from C: when `cancelled` answers true, writing fails with
    InterruptedError, an OSError, which FFmpeg hands on.
    """

    def writable(self) -> bool:
        """Always true."""
        return True

    def write(self, data: bytes) -> int:
        """All of `data`."""
        rest = memoryview(data)
        while rest:
            if self._cancelled():
                raise InterruptedError(errno.EINTR, "interrupted")
            if (
                sys.platform == "win32"
                or select.select([], [self._descriptor], [], _POLL_SECONDS)[1]
            ):
                # So much a pipe that is ready takes without waiting.
                rest = rest[os.write(self._descriptor, rest[: select.PIPE_BUF]) :]
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""


class WholeWriter:
    """A file of bytes that takes all of what it is given; a raw one may take a part each time.

    FFmpeg would continue after the part that was not taken. The rest is the file's own.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: bytes) -> int:
        """All of `data`."""
        rest = data
        while rest:
            taken = self._file.write(rest)
            rest = rest[taken:] if isinstance(taken, int) and taken > 0 else b""
        return len(data)


def standard_input(cancelled: Callable[[], bool]) -> BinaryIO:
    """Standard input as a file of bytes: seekable where a file is redirected into it."""
    if sys.stdin is None or sys.stdin.isatty():
        raise MediaError("standard input is a terminal: pipe a video into it, or name a file")
    descriptor = sys.stdin.fileno()
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb", closefd=False)
    return cast(BinaryIO, PipeReader(descriptor, "standard input", cancelled))


def open_fifo(path: str | os.PathLike[str], cancelled: Callable[[], bool]) -> PipeReader:
    """A named pipe for reading; it may have no writer yet, which the first read waits for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    return PipeReader(descriptor, os.fspath(path), cancelled)


def open_fifo_to_write(path: str | os.PathLike[str], cancelled: Callable[[], bool]) -> PipeWriter:
    """A named pipe for writing, as soon as somebody reads from it.

    Raises:
        KeyboardInterrupt: `cancelled` answered true before.
        OSError: it cannot be opened.
    """
    while not cancelled():
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            os.set_blocking(descriptor, True)
            return PipeWriter(descriptor, os.fspath(path), cancelled)
    raise KeyboardInterrupt("interrupted; no frame was written")


def standard_output(cancelled: Callable[[], bool] = lambda: False) -> BinaryIO:
    """Standard output as a file of bytes: seekable where it is redirected into a file."""
    if sys.stdout is None or sys.stdout.isatty():
        raise MediaError("standard output is a terminal: pipe it on, or name a file")
    descriptor = sys.stdout.fileno()
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return sys.stdout.buffer
    return cast(BinaryIO, PipeWriter(descriptor, "standard output", cancelled))


def name_of(file: object) -> str:
    """What to call an input or an output in messages."""
    if isinstance(file, (str, os.PathLike)):
        return os.fspath(file)
    name = getattr(file, "name", None)  # a number where it was opened by its descriptor
    return name if isinstance(name, str) and name else f"a {type(file).__name__} object"
