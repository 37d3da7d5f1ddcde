"""A file that gets its name only when it is complete."""

from __future__ import annotations

import os
from pathlib import Path

from bsqav.errors import MediaError

__all__ = ["OutputExistsError", "OutputFile"]


class OutputExistsError(MediaError, FileExistsError):
    """The output is there already."""


class OutputFile:
    """The path PATH.partial to write to, and its renaming to PATH at the end.

    Args:
        path: where the finished file shall be.
        overwrite: replace a file that is there; else OutputExistsError, at once and at the end.

    Raises:
        OutputExistsError: there is such a file.
        MediaError: the path is a folder.
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.partial = self.path.with_name(self.path.name + ".partial")
        self._overwrite = overwrite
        if self.path.is_dir():
            raise MediaError(f"{self.path} is a folder")
        self._check()

    def _check(self) -> None:
        if not self._overwrite and self.path.exists():
            raise OutputExistsError(f"{self.path} exists already: -y (overwrite=True) replaces it")

    def commit(self) -> None:
        """Gives the finished file its name."""
        self._check()
        self.partial.replace(self.path)

    def discard(self) -> None:
        """Removes the partial file, where there is one."""
        self.partial.unlink(missing_ok=True)
