"""Warnings that are said and kept."""

from __future__ import annotations

import warnings

from bsqav.errors import BsqWarning
from bsqav.media.io.types import Warn

__all__ = ["WarningLog"]


class WarningLog:
    """Says what is odd, as a Python warning where nobody else listens, and keeps it."""

    def __init__(self, say: Warn | None) -> None:
        self._say = say
        self.all: list[str] = []

    def __call__(self, message: str) -> None:
        """Takes a sentence."""
        self.all.append(message)
        if self._say is not None:
            self._say(message)
        else:
            warnings.warn(message, BsqWarning, stacklevel=4)
