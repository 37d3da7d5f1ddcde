"""Signal handlers of the commands, for SIGINT (Ctrl-C) and SIGTERM.

The first signal asks a command to end cleanly, the second ends the process at once. No other
module of the package installs handlers.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["interruptible", "terminated_like_interrupted"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; the second ends the program at once.

    An exception raised by the signal itself could come up inside FFmpeg and be lost there. Python's
    handlers wait for the call in which the program is, which may be long: a thread hears of signals
    besides, by the pipe into which the interpreter writes their numbers at once.
    """
    event = threading.Event()

    def handle(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        event.set()

    before = [signal.signal(number, handle) for number in _SIGNALS]
    hearing, telling = os.pipe()
    os.set_blocking(telling, False)
    previous = signal.set_wakeup_fd(telling, warn_on_full_buffer=False)
    threading.Thread(target=_hear, args=(hearing, event), daemon=True).start()
    try:
        yield event
    finally:
        signal.set_wakeup_fd(previous)
        for number, handler in zip(_SIGNALS, before, strict=True):
            signal.signal(number, handler)
        os.close(telling)  # ends the thread


def _hear(hearing: int, event: threading.Event) -> None:
    """Sets the event at the first signal, and ends the program at the second."""
    count = 0
    while numbers := os.read(hearing, 64):
        for number in numbers:
            if number in _SIGNALS:
                count += 1
                event.set()
                if count > 1:
                    os._exit(128 + number)
    os.close(hearing)


@contextlib.contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt, as Ctrl-C does, so that what is temporary is removed."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    ):
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
