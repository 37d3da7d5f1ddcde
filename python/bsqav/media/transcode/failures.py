"""Errors of a transcode: whose they are, and sentences on what is left of the output."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import av

from bsqav.errors import BitstreamError, BsqError, MediaError, UnsupportedError
from bsqav.media.transcode.destination import explain_os_error

__all__ = ["DamagedInput", "explained", "with_name", "with_remark"]


class DamagedInput(Exception):  # noqa: N818 - is caught inside the pipeline
    """Marks an error of the input, so that the output is finished properly."""

    def __init__(self, error: BsqError) -> None:
        super().__init__(str(error))
        self.error = error


def with_name(error: BsqError, name: str) -> BsqError:
    """The same error with the input's name before its message, unless it is in there."""
    if isinstance(error, BitstreamError | MediaError | UnsupportedError) and name not in str(error):
        error.args = (f"{name}: {error.args[0] if error.args else ''}", *error.args[1:])
    return error


def with_remark(error: BsqError, remark: str) -> BsqError:
    """The same error with a remark after its message."""
    error.args = (f"{error.args[0] if error.args else ''}; {remark}", *error.args[1:])
    return error


@contextlib.contextmanager
def explained(action: str) -> Iterator[None]:
    """Turns errors of the system and of FFmpeg into sentences."""
    try:
        yield
    except BsqError:
        raise
    except (av.FFmpegError, OSError) as error:
        if isinstance(error, OSError):
            raise explain_os_error(error, action) from error
        raise MediaError(f"{action}: {error.strerror or error}") from error
