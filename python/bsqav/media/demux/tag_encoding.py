"""Opening files whose tags are not UTF-8: those of old AVI and 3GP files are Latin-1."""

from __future__ import annotations

import codecs
import inspect
import threading
from typing import Any

import av
from av.container import InputContainer

__all__ = ["FOREIGN_TAGS", "open_av", "open_with_tags"]

FOREIGN_TAGS = "tags that are not UTF-8 are read as Latin-1 (Windows-1252)"
_HANDLER = "bsqav.latin1"
_met = threading.local()


def _as_latin1(error: UnicodeError) -> tuple[str, int]:
    """Bytes that are no UTF-8 as Windows-1252, which has Latin-1's letters and no control codes."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    _met.count = getattr(_met, "count", 0) + 1
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(_HANDLER, _as_latin1)


def open_with_tags(file: object, mode: str = "r", **options: Any) -> tuple[InputContainer, bool]:
    """PyAV's own `av.open` for reading, for tags in any encoding; the same arguments.

    Returns:
        The container, and whether it has tags that are not UTF-8.
    """
    options.setdefault("metadata_errors", _HANDLER)
    before = getattr(_met, "count", 0)
    # Also where bsqav.install has put another in its place.
    container = inspect.unwrap(av.open)(file, mode, **options)
    container.chapters()  # of the file and its tracks they are decoded by opening it
    return container, getattr(_met, "count", 0) != before


def open_av(file: object, mode: str = "r", **options: Any) -> InputContainer:
    """The container alone."""
    return open_with_tags(file, mode, **options)[0]
