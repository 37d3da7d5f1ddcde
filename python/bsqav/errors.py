"""Errors and warnings of bsqav: each derives from BsqError and from the builtin a caller expects.

A message says what was wrong, where, and what to do about it.
"""

from __future__ import annotations

__all__ = [
    "BitstreamError",
    "BsqError",
    "BsqWarning",
    "DivergedError",
    "EndOfStreamError",
    "MediaError",
    "MissingDependencyError",
    "ModelError",
    "ModelNotFoundError",
    "UnsupportedError",
    "UsageError",
]


class BsqError(Exception):
    """Base of every error that bsqav raises on purpose."""


class UsageError(BsqError, ValueError):
    """An argument or an option is out of its range, or does not go with another one."""


class BitstreamError(BsqError, ValueError):
    """A codestream is damaged, cut short, or no BSQ at all.

    Attributes:
        packet: index of the packet in its stream, from 0, or None where it is not known.
        byte: offset in bytes from the start of that packet (of the file where packet is None),
            or None where it is not known.
    """

    def __init__(self, message: str, *, packet: int | None = None, byte: int | None = None) -> None:
        super().__init__(message)
        self.packet = packet
        self.byte = byte

    def __str__(self) -> str:
        place = ", ".join(
            f"{name} {value}"
            for name, value in (("packet", self.packet), ("byte", self.byte))
            if value is not None
        )
        return f"{super().__str__()} ({place})" if place else super().__str__()


class ModelError(BsqError, ValueError):
    """A model file is damaged, does not match its hash, or does not fit the stream."""


class ModelNotFoundError(BsqError, FileNotFoundError):
    """A stream or an option names a model that is not installed.

    Attributes:
        model_id: the hash or name that was looked for, or None where it is not known.
    """

    def __init__(self, message: str, *, model_id: str | None = None) -> None:
        super().__init__(message)
        self.model_id = model_id


class UnsupportedError(BsqError, NotImplementedError):
    """A version, profile, pixel format or feature that this build does not have."""


class MediaError(BsqError, OSError):
    """A media file could not be opened, read, written or understood."""


class MissingDependencyError(BsqError, ImportError):
    """An optional package is missing; the message names the extra that brings it."""


class EndOfStreamError(BsqError, EOFError):
    """An encoder or a decoder was asked for more after it had been flushed and drained."""


class DivergedError(BsqError, ArithmeticError):
    """A training run's loss or gradients were no numbers for many steps in a row."""


class BsqWarning(UserWarning):
    """Something was left out or changed on the way, and the result is still good."""
