"""FFmpeg's log as the text of an error: its error codes say no more than "Invalid argument"."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import av

__all__ = ["captured_log", "error_message", "show_log"]

# FFmpeg's lines pass through Python's logging: without a handler they would be printed.
logging.getLogger("libav").addHandler(logging.NullHandler())


class _State:
    """What happens to FFmpeg's log in this process."""

    shown = False


def show_log() -> None:
    """Has FFmpeg write its log to standard error from now on; `captured_log` is empty then."""
    _State.shown = True
    av.logging.set_libav_level(av.logging.VERBOSE)
    av.logging.restore_default_callback()


@contextlib.contextmanager
def captured_log() -> Iterator[list[str]]:
    """Gathers the error lines that FFmpeg logs inside; nothing of them is printed.

    Not for the usual path: a decoder's thread that logs waits for the interpreter.
    """
    if _State.shown:
        yield []
        return
    before, repeats = av.logging.get_level(), av.logging.get_skip_repeated()
    lines: list[str] = []
    if before is None or before < av.logging.ERROR:
        av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    logs: list[tuple[int, str, str]] = []
    try:
        with av.logging.Capture() as logs:
            yield lines
    finally:
        av.logging.set_level(before)
        av.logging.set_skip_repeated(repeats)
        lines += [text for _, _, message in logs if (text := message.strip())]
        if before is not None:
            for level, name, message in logs:  # whoever asked for them gets them all the same
                logging.getLogger(f"libav.{name}").log(av.logging.adapt_level(level), message)


def error_message(error: BaseException, lines: list[str] | None = None) -> str:
    """An error's message: FFmpeg's last line of log where there is one, else what the code says."""
    if lines:
        return lines[-1]
    log: tuple[int, str, str] | None = getattr(error, "log", None)
    if log and str(log[2]).strip():
        return str(log[2]).strip()
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
