"""All that the commands show: results, warnings, errors, and progress on standard error."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from typing import Any, TextIO

from bsqav.cli.values import human_size, human_time, printable
from bsqav.media.io.progress import Progress

__all__ = ["ProgressDisplay", "describe", "say", "show", "warn"]

_TERMINAL_SECONDS = 0.1
_PLAIN_SECONDS = 5.0
# Of a terminal that does not say, and the least that is written into one.
_USUAL_COLUMNS = 80
_LEAST_COLUMNS = 10


def show(text: Any = "", *, file: TextIO | None = None) -> None:
    """Shows text of one line or more on standard output, or in another file.

    Names and tags in files may hold codes that would command a terminal: they become visible.
    """
    lines = (printable(line) for line in str(text).split("\n"))
    print("\n".join(lines), file=file or sys.stdout, flush=file is not None)


def say(message: str) -> None:
    """Shows a sentence in one line on standard error, with the program's name before it."""
    ProgressDisplay.take_away()
    show(f"bsqav: {' '.join(message.split())}", file=sys.stderr)


def warn(message: str) -> None:
    """Shows a warning."""
    say(f"warning: {message}")


class ProgressDisplay:
    """Shows progress and warnings without one spoiling the other.

    Args:
        quiet: show nothing at all.
        stream: where to; standard error where None.
    """

    _shown: ProgressDisplay | None = None  # whose line is on the terminal

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._terminal = self._stream.isatty()
        self._next = time.monotonic() + (0.0 if self._terminal else _PLAIN_SECONDS)
        self._width = 0

    @classmethod
    def take_away(cls) -> None:
        """Removes the progress line from the terminal."""
        if cls._shown is not None:
            cls._shown.clear()

    def progress(self, state: Progress) -> None:
        """Shows a state, unless the last one is too fresh."""
        now = time.monotonic()
        if self._quiet or now < self._next:
            return
        self._next = now + (_TERMINAL_SECONDS if self._terminal else _PLAIN_SECONDS)
        if self._terminal:
            columns = self._columns()
            # The last column stays free: some terminals go to the next line behind it.
            line = describe(state, columns - 1)
            self._stream.write("\r" + line.ljust(min(self._width, columns - 1)))
            self._width = len(line)
            ProgressDisplay._shown = self
        else:
            self._stream.write(describe(state) + "\n")
        self._stream.flush()

    def _columns(self) -> int:
        """How wide the terminal is at the moment: it may be resized at any time."""
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            columns = shutil.get_terminal_size((_USUAL_COLUMNS, 24)).columns
        return max(columns or _USUAL_COLUMNS, _LEAST_COLUMNS)

    def warn(self, message: str) -> None:
        """Shows a warning on a line of its own."""
        self.line(f"bsqav: warning: {message}")

    def line(self, text: str) -> None:
        """Shows a line of text."""
        if self._quiet:
            return
        self.clear()
        show(text, file=self._stream)

    def clear(self) -> None:
        """Takes the progress line away."""
        if self._width:
            # A terminal that has gone needs no clearing.
            with contextlib.suppress(OSError, ValueError):
                self._stream.write("\r" + " " * min(self._width, self._columns() - 1) + "\r")
                self._stream.flush()
            self._width = 0
        ProgressDisplay._shown = None


def describe(state: Progress, columns: int | None = None) -> str:
    """A state in one line: frames, speed, size, and the time left where it can be known.

    Args:
        state: what to describe.
        columns: how long the line may be; what matters least is left out first.
    """
    frames = f"{state.frames}"
    if state.total_frames:
        frames += f"/{max(state.total_frames, state.frames)}"
    size = human_size(state.bytes)
    rate = f" ({state.bitrate / 1000:.0f} kb/s)" if state.time > 0 else ""
    # In the order of the line, with how much each part matters.
    parts = [(5, f"frame {frames}")]
    if state.stages > 1:
        parts.insert(0, (3, f"pass {state.stage}/{state.stages}"))
    if state.fraction is not None:
        parts.append((6, f"{100 * state.fraction:.0f} %"))
    if state.frames:  # while the look-ahead fills, there is no speed yet
        parts += [(2, f"{state.fps:.1f} fps"), (0, f"{state.speed:.2f}x")]
    parts.append((1, size + rate))
    if state.remaining is not None:
        parts.append((4, f"{human_time(state.remaining)} left"))
    line = ", ".join(text for _, text in parts)
    while columns is not None and len(line) > columns and len(parts) > 1:
        least = min(parts)
        if least[1].endswith(rate) and rate and least[0] == 1 and least[1] != size:
            parts[parts.index(least)] = (1, size)
        else:
            parts.remove(least)
        line = ", ".join(text for _, text in parts)
    return line[:columns]
