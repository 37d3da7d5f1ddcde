"""Reading the headers and tables of a seekable file that another reader reads in order."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

__all__ = ["read_seekable"]

T = TypeVar("T")


def read_seekable(file: object, read: Callable[[BinaryIO], T]) -> T | None:
    """What `read` makes of a file from its start; None where it cannot be read at will.

    Args:
        file: a path, or a binary file object, whose position is put back.
        read: takes the file opened, at its start; may seek.
    """
    try:
        if isinstance(file, str | os.PathLike):
            path = Path(file)
            if not path.is_file():
                return None
            with path.open("rb") as opened:
                return read(opened)
        stream = cast(BinaryIO, file)
        if not stream.seekable():
            return None
        place = stream.tell()
        try:
            stream.seek(0)
            return read(stream)
        finally:
            stream.seek(place)
    except (OSError, ValueError, AttributeError, struct.error):
        return None
