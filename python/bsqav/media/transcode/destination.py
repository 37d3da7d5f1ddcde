"""Where an output goes: a file that gets its name at the end, a file object, or standard output."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import BinaryIO, cast

from bsqav.errors import MediaError, UsageError
from bsqav.media.io.output_file import OutputExistsError, OutputFile
from bsqav.media.io.pipes import PipeWriter, name_of, open_fifo_to_write, standard_output
from bsqav.media.io.types import Cancelled, MediaFile
from bsqav.media.mux.muxers import open_output

__all__ = ["Destination", "OutputClosedError", "OutputExistsError", "explain_os_error"]


class OutputClosedError(MediaError, BrokenPipeError):
    """The reader of the output's pipe has closed it."""


def explain_os_error(error: OSError, action: str) -> MediaError:
    """A sentence for an error of the operating system's, e.g. a full disk."""
    if isinstance(error, BrokenPipeError):
        return OutputClosedError(f"{action}: it was closed by its reader")
    reason = error.strerror or str(error) or type(error).__name__
    hint = ": make room and run again" if error.errno == errno.ENOSPC else ""
    return MediaError(f"{action}: {reason}{hint}")


def _check_apart(output: OutputFile, source: Path) -> None:
    """Refuses an input that would be written over while it is read."""
    written = [(output.partial, f"{output.path} is written there until it is complete")]
    if output.companion is not None:
        media = output.companion
        written.append((media.path, f"it would be written next to {output.path}"))
        written.append((media.partial, f"{media.path} is written there until it is complete"))
    for file, why in written:
        if file.exists() and file.samefile(source):
            raise UsageError(f"{file} is the input, and {why}: rename it first")


def _open_device(path: Path, cancelled: Cancelled) -> BinaryIO | PipeWriter:
    try:
        return open_fifo_to_write(path, cancelled) if path.is_fifo() else path.open("wb")
    except OSError as error:
        raise explain_os_error(error, f"{path} cannot be written") from error


class Destination:
    """An output of `transcode`.

    Args:
        target: a path, a writable file of bytes, or "-" for standard output.
        overwrite: whether an existing file may be replaced.
        source: what is read, which must be another file.
        cancelled: polled while a pipe waits for its reader.

    Attributes:
        name: what messages call it.
        file: what to write to: the path of the partial file, or the file object.

    Raises:
        OutputExistsError: the file exists.
        MediaError: the folder is missing or cannot be written.
        KeyboardInterrupt: `cancelled` answered true.
    """

    def __init__(
        self,
        target: MediaFile,
        *,
        overwrite: bool,
        source: MediaFile,
        cancelled: Cancelled = lambda: False,
    ) -> None:
        self._output: OutputFile | None = None
        self._device: BinaryIO | PipeWriter | None = None
        self._before: tuple[int, int] | None = None  # what an earlier run has left
        self.file: MediaFile
        if isinstance(target, str) and target == "-":
            self.name, self.file = "standard output", standard_output(cancelled)
        elif not isinstance(target, str | os.PathLike):
            self.name, self.file = name_of(target), target
            if not hasattr(target, "write"):
                raise UsageError(f"the output is a {type(target).__name__}: no path and no file")
        else:
            self.name = os.fspath(target)
            path = Path(target)
            if path.exists() and not path.is_file() and not path.is_dir():
                # A device or a named pipe is written as it is: it must not be renamed over.
                self._device = _open_device(path, cancelled)
                self.file = cast(BinaryIO, self._device)
            else:
                self._output = self._open(path, overwrite, source)
                self.file = self._output.partial
                self._before = self._state()
                self._hold()

    def _open(self, path: Path, overwrite: bool, source: MediaFile) -> OutputFile:
        read = Path(source) if isinstance(source, str | os.PathLike) else None
        if read is not None and path.exists() and read.exists() and path.samefile(read):
            raise UsageError(f"{path} is both the input and the output")
        if not path.parent.is_dir():
            raise MediaError(f"there is no folder {path.parent} to write {path.name} to")
        try:
            output = open_output(path, overwrite=overwrite)
        except OutputExistsError:
            raise
        except OSError as error:
            raise explain_os_error(error, f"{path} cannot be written") from error
        if not os.access(path.parent, os.W_OK):
            raise MediaError(f"{path} cannot be written: the folder {path.parent} is read-only")
        if read is not None and read.exists():
            _check_apart(output, read)
        return output

    def _hold(self) -> None:
        assert self._output is not None
        try:
            self._output.hold()
        except MediaError:
            raise
        except OSError as error:
            raise explain_os_error(error, f"{self.name} cannot be written") from error

    @property
    def path(self) -> str | None:
        """The path of the finished file, None for a file object."""
        return None if self._output is None else str(self._output.path)

    @property
    def partial(self) -> str:
        """What holds the result until it is finished."""
        if self._output is None:
            return self.name
        return str((self._output.companion or self._output).partial)

    def commit(self) -> int | None:
        """Gives the finished file its name; returns its size in bytes, None for a file object."""
        if self._output is None:
            try:
                with contextlib.suppress(AttributeError):
                    cast(BinaryIO, self.file).flush()
            except OSError as error:
                raise explain_os_error(error, f"writing {self.name} failed") from error
            return None
        try:
            self._output.commit()
        except OSError as error:
            raise explain_os_error(error, f"{self._output.path} cannot be written") from error
        size = self._output.path.stat().st_size
        companion = None if self._output.companion is None else self._output.companion.path
        return size + (
            companion.stat().st_size if companion is not None and companion.exists() else 0
        )

    def close(self) -> None:
        """Closes what was opened here, and lets others write to it."""
        if self._output is not None:
            self._output.release()
        if self._device is not None:
            with contextlib.suppress(OSError):
                self._device.close()

    def discard(self) -> None:
        """Removes what has been written, where that is a file; what was there before stays."""
        if self._output is not None and self._state() != self._before:
            with contextlib.suppress(OSError):
                self._output.discard()

    def _state(self) -> tuple[int, int] | None:
        """Size and time of the partial file, None where there is none."""
        try:
            found = Path(self.partial).stat()
        except OSError:
            return None
        return found.st_size, found.st_mtime_ns
