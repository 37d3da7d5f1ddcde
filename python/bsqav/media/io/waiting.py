"""Calls that may wait for ever, for a server or a pipe, and that a signal ends all the same.

While FFmpeg waits for data, Python's signal handlers do not run: a signal sets a mark, and the
interpreter looks at it when the call returns. So the call is made by another thread, and this one
waits in Python, where signals arrive.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import weakref
from collections.abc import Callable
from typing import TypeVar, cast

from bsqav.media.io.file_access import read_seekable
from bsqav.media.io.types import MediaFile

__all__ = ["READ_TIMEOUT", "Direct", "Waiting", "caller_for", "is_any_abandoned"]

T = TypeVar("T")

# Seconds after which a server that sends nothing counts as gone.
READ_TIMEOUT = 60.0
_POLL_SECONDS = 0.1
# Playlists are regular files, and name what is not there yet.
_PLAYLIST = b"#EXTM3U"
# Threads whose call was interrupted; each ends after that call and `close`.
_abandoned: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


class Direct:
    """Makes calls at once: for files, which answer."""

    is_abandoned = False

    def call(self, function: Callable[[], T]) -> T:
        """What the function returns or raises."""
        return function()

    def close(self, close: Callable[[], None]) -> None:
        """Calls `close`."""
        close()


class Waiting:
    """Makes calls in a thread of its own, one after another, while the caller can be interrupted.

    A call that is interrupted goes on in its thread, and whatever it used must not be touched any
    more: `close` leaves that to the thread.

    Args:
        cancelled: polled while a call waits.
    """

    def __init__(self, cancelled: Callable[[], bool] = lambda: False) -> None:
        self._cancelled = cancelled
        self._calls: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[object, BaseException | None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.is_abandoned = False

    def call(self, function: Callable[[], T]) -> T:
        """What the function returns or raises.

        Raises:
            KeyboardInterrupt: interrupted, by a signal or because `cancelled` answers true.
        """
        if self.is_abandoned:
            raise KeyboardInterrupt("interrupted")
        if self._thread is None:
            # A daemon: one that FFmpeg holds must not hold up the end of the program.
            self._thread = threading.Thread(target=self._work, name="bsqav-input", daemon=True)
            self._thread.start()
        self._calls.put(function)
        try:
            answer, error = self._wait()
        except BaseException:
            self.is_abandoned = True
            _abandoned.add(self._thread)
            raise
        if self._cancelled():
            # A pipe that is called off looks like one that has ended.
            raise KeyboardInterrupt("interrupted")
        if error is not None:
            raise error
        return cast(T, answer)

    def _wait(self) -> tuple[object, BaseException | None]:
        while True:
            try:
                return self._answers.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if self._cancelled():
                    raise KeyboardInterrupt("interrupted") from None

    def _work(self) -> None:
        while (function := self._calls.get()) is not None:
            try:
                self._answers.put((function(), None))
            except BaseException as error:
                self._answers.put((None, error))
            del function  # and what it holds

    def close(self, close: Callable[[], None]) -> None:
        """Calls `close`, after the call that is still at work where one was abandoned."""
        if self.is_abandoned:
            self._calls.put(lambda: _quietly(close))
        else:
            close()
        self._calls.put(None)


def is_any_abandoned() -> bool:
    """Whether a thread with an abandoned call has not ended yet, so that FFmpeg may run in it."""
    return any(thread.is_alive() for thread in _abandoned)


def _quietly(function: Callable[[], None]) -> None:
    with contextlib.suppress(Exception):
        function()


def caller_for(file: MediaFile, cancelled: Callable[[], bool]) -> Direct | Waiting:
    """What makes the calls that read an input: at once where it cannot keep anybody waiting."""
    return Waiting(cancelled) if _may_wait(file) else Direct()


def _may_wait(file: MediaFile) -> bool:
    """Whether an input is something else than a regular file, or a playlist."""
    if isinstance(file, str | os.PathLike):
        playlist = read_seekable(file, lambda opened: opened.read(len(_PLAYLIST)) == _PLAYLIST)
        return playlist is not False
    try:
        return not file.seekable()
    except (OSError, ValueError, AttributeError):
        return True
