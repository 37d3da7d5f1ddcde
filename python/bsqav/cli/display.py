"""Progress on standard error: a line that renews itself on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from bsqav.cli.values import human_size, human_time, printable
from bsqav.media.progress import Progress

__all__ = ["ProgressDisplay"]

_TERMINAL_SECONDS = 0.1
_PLAIN_SECONDS = 5.0


class ProgressDisplay:
    """Shows progress and warnings without one spoiling the other.

    Args:
        quiet: show nothing at all.
        stream: where to; standard error where None.
    """

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._terminal = self._stream.isatty()
        self._next = time.monotonic() + (0.0 if self._terminal else _PLAIN_SECONDS)
        self._width = 0

    def progress(self, state: Progress) -> None:
        """Shows a state, unless the last one is too fresh."""
        now = time.monotonic()
        if self._quiet or now < self._next:
            return
        self._next = now + (_TERMINAL_SECONDS if self._terminal else _PLAIN_SECONDS)
        line = describe(state)
        if self._terminal:
            self._stream.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def warn(self, message: str) -> None:
        """Shows a warning on a line of its own."""
        self.line(f"bsqav: warning: {message}")

    def line(self, text: str) -> None:
        """Shows a line of text."""
        if self._quiet:
            return
        self.clear()
        self._stream.write(printable(text) + "\n")
        self._stream.flush()

    def clear(self) -> None:
        """Takes the progress line away."""
        if self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0


def describe(state: Progress) -> str:
    """A state in one line: frames, speed, size, and the time left where it can be known."""
    frames = f"{state.frames}"
    if state.total_frames:
        frames += f"/{max(state.total_frames, state.frames)}"
    parts = [
        f"frame {frames}",
        f"{state.fps:.1f} fps",
        f"{state.speed:.2f}x",
        f"{human_size(state.bytes)} ({state.bitrate / 1000:.0f} kb/s)",
    ]
    if state.fraction is not None:
        parts.insert(1, f"{100 * state.fraction:.0f} %")
    if state.stages > 1:
        parts.insert(0, f"pass {state.stage}/{state.stages}")
    if state.remaining is not None:
        parts.append(f"{human_time(state.remaining)} left")
    return ", ".join(parts)
