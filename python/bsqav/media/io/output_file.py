"""A file that gets its name only when it is complete."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from bsqav.errors import MediaError

if sys.platform != "win32":
    import fcntl

__all__ = ["OutputExistsError", "OutputFile"]


class OutputExistsError(MediaError, FileExistsError):
    """The output is there already."""


class OutputFile:
    """The path PATH.partial to write to, and its renaming to PATH at the end.

    Args:
        path: where the finished file shall be.
        overwrite: replace a file that is there; else OutputExistsError, at once and at the end.
        companion: another file that belongs to it, written as its own .partial, and named first.

    Raises:
        OutputExistsError: there is such a file.
        MediaError: the path is a folder.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        companion: str | os.PathLike[str] | None = None,
    ) -> None:
        self.path = Path(path)
        self.partial = self.path.with_name(self.path.name + ".partial")
        self.companion = None if companion is None else OutputFile(companion, overwrite=overwrite)
        self._overwrite = overwrite
        self._lock: int | None = None
        self._made = False  # by taking the lock
        if self.path.is_dir():
            raise MediaError(f"{self.path} is a folder")
        self._check()

    def _check(self) -> None:
        if not self._overwrite and self.path.exists():
            raise OutputExistsError(f"{self.path} exists already: -y (overwrite=True) replaces it")

    def hold(self) -> None:
        """Keeps the partial file for this writer, until commit(), discard() or release().

        Raises:
            MediaError: another writer holds it.
            OSError: it cannot be made.
        """
        if sys.platform == "win32":
            return  # an open file could not be renamed there
        self._made = not self.partial.exists()
        self._lock = os.open(self.partial, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        if not _locked(self._lock):
            os.close(self._lock)
            self._lock = None
            raise MediaError(
                f"{self.partial} is being written by another run: wait for it, or choose another "
                "output"
            )
        if self.companion is not None:
            try:
                self.companion.hold()
            except BaseException:
                self.release()
                raise

    def release(self) -> None:
        """Lets others write; what was written stays, an empty file does not."""
        if self.companion is not None:
            self.companion.release()
        if self._lock is None:
            return
        with contextlib.suppress(OSError):
            if self._made and os.fstat(self._lock).st_size == 0:
                self.partial.unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = None

    @property
    def is_written(self) -> bool:
        """Whether there is anything in the partial file."""
        return self.partial.exists() and self.partial.stat().st_size > 0

    def commit(self) -> None:
        """Gives the finished file its name."""
        self._check()
        if self.companion is not None:
            # Another container than the name says needs no companion.
            self.companion.commit() if self.companion.is_written else self.companion.discard()
        self.partial.replace(self.path)
        self._made = False
        self.release()

    def discard(self) -> None:
        """Removes the partial file, where there is one."""
        if self.companion is not None:
            self.companion.discard()
        self.partial.unlink(missing_ok=True)
        self._made = False
        self.release()


def _locked(descriptor: int) -> bool:
    """Takes a lock that ends with the process; False where another writer has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks: as before there were any
    return True
