"""A window for `bsqav play` where there is no ffplay: shows raw video from a pipe, silently.

It is a program of its own, at the end of a pipe as ffplay is:

    python -m bsqav.cli.window [TITLE] < video.nut

Space pauses, Q and Escape close the window. Tk is what Python itself brings; it shows RGB frames,
scaled down to the screen where they are larger.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import av
from av.video.reformatter import Colorspace, VideoReformatter

from bsqav.cli.display import say
from bsqav.errors import BsqError, MediaError, MissingDependencyError

__all__ = [
    "NO_DISPLAY",
    "Clock",
    "check_display",
    "check_window",
    "fitting_size",
    "main",
    "portable_pixmap",
]

# Part of the screen that a frame may take: it leaves space for the window's border and a task bar.
_SCREEN_PART = 0.9
_QUEUED_FRAMES = 8
_POLL_SECONDS = 0.01
# Untagged frames of so many lines are taken for BT.709, smaller ones for BT.601, as players do.
_HD_LINES = 720
NO_DISPLAY = (
    "there is no display to play on (DISPLAY is not set): "
    "`bsqav transcode FILE OUT.mp4` makes a file that plays elsewhere"
)
# Any of these names a screen for SDL; a console shows with none of them, by a graphics card.
_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")


class Shown(NamedTuple):
    """A frame ready to be shown."""

    seconds: float  # its time
    frame: av.VideoFrame
    aspect: float  # width over height of a sample


class Clock:
    """Which time of the video it is: runs with the wall clock, except while paused.

    Args:
        start: time of the video, in seconds, at which it starts at once.
        now: the wall clock in seconds.
    """

    def __init__(self, start: float, now: float) -> None:
        self._offset = now - start
        self._paused_at: float | None = None

    @property
    def paused(self) -> bool:
        """True while it is paused."""
        return self._paused_at is not None

    def wait(self, seconds: float, now: float) -> float:
        """Seconds until a time of the video; negative where it has passed."""
        return seconds + self._offset - (now if self._paused_at is None else self._paused_at)

    def toggle(self, now: float) -> None:
        """Stops it, or lets it continue."""
        if self._paused_at is None:
            self._paused_at = now
        else:
            self._offset += now - self._paused_at
            self._paused_at = None


def fitting_size(
    width: int, height: int, aspect: float, screen: tuple[int, int]
) -> tuple[int, int]:
    """Width and height in square pixels in which a frame is shown, less than `screen`."""
    wide = width * aspect
    part = min(1.0, _SCREEN_PART * screen[0] / wide, _SCREEN_PART * screen[1] / height)
    return max(1, round(wide * part)), max(1, round(height * part))


def portable_pixmap(
    frame: av.VideoFrame, size: tuple[int, int], reformatter: VideoReformatter
) -> bytes:
    """The frame as binary PPM, which Tk reads."""
    matrix = Colorspace.ITU709 if frame.height >= _HD_LINES else Colorspace.ITU601
    rgb = reformatter.reformat(
        frame, width=size[0], height=size[1], format="rgb24", src_colorspace=matrix
    )
    return b"P6 %d %d 255\n" % size + rgb.to_ndarray().tobytes()


def check_window() -> None:
    """Raises where no window can be opened.

    Raises:
        MissingDependencyError: this Python was built without Tk.
        MediaError: there is no display.
    """
    try:
        import tkinter  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "ffplay is not installed, and this Python has no tkinter for a window: install one of "
            "them (apt install ffmpeg, apt install python3-tk)"
        ) from error
    if sys.platform not in ("win32", "darwin") and not os.environ.get("DISPLAY"):
        raise MediaError(NO_DISPLAY)


def check_display() -> None:
    """Raises MediaError where ffplay would play for nobody: SDL takes any screen, and none too."""
    if sys.platform in ("win32", "darwin") or any(map(os.environ.get, _SCREENS)):
        return
    if not any(Path("/dev").glob("dri/card*")):
        raise MediaError(NO_DISPLAY)


class _Reader(threading.Thread):
    """Reads frames ahead; `items` ends with None, or with the error that ended it."""

    def __init__(self, source: BinaryIO) -> None:
        super().__init__(daemon=True)
        self._source = source
        self.items: queue.Queue[Shown | Exception | None] = queue.Queue(_QUEUED_FRAMES)

    def run(self) -> None:
        try:
            for item in self._frames():
                self.items.put(item)
        except (av.FFmpegError, OSError, ValueError) as error:
            self.items.put(error)
        else:
            self.items.put(None)

    def _frames(self) -> Iterator[Shown]:
        with av.open(self._source, "r", format="nut") as container:
            stream = container.streams.video[0]
            for frame in container.decode(stream):
                if frame.time is not None:
                    yield Shown(frame.time, frame, float(stream.sample_aspect_ratio or 1))


class _Window:
    """The Tk window and what happens in it."""

    def __init__(self, title: str, source: BinaryIO) -> None:
        import tkinter

        try:
            self._root = tkinter.Tk()
        except tkinter.TclError as error:
            raise MediaError(f"no window can be opened: {error}") from error
        self._root.title(title)
        self._root.report_callback_exception = self._fail
        self._photo = tkinter.PhotoImage()
        tkinter.Label(self._root, image=self._photo, borderwidth=0).pack()
        for key in ("q", "Q", "<Escape>"):
            self._root.bind(key, self._close)
        self._root.bind("<space>", self._pause)
        self._screen = (self._root.winfo_screenwidth(), self._root.winfo_screenheight())
        self._reformatter = VideoReformatter()
        self._reader = _Reader(source)
        self._clock: Clock | None = None
        self._next: Shown | None = None
        self._ended = False
        self.error: BaseException | None = None

    def run(self) -> None:
        """Shows everything; returns when it has ended or the window has been closed."""
        self._reader.start()
        self._root.after(0, self._step)
        self._root.mainloop()

    def _close(self, _event: Any = None) -> None:
        self._root.destroy()

    def _pause(self, _event: Any) -> None:
        if self._clock is not None:
            self._clock.toggle(time.monotonic())

    def _peek(self) -> Shown | None:
        """The next frame, where it has been read."""
        if self._next is None and not self._ended:
            try:
                item = self._reader.items.get_nowait()
            except queue.Empty:
                return None
            if isinstance(item, Shown):
                self._next = item
            else:
                self._ended, self.error = True, item
        return self._next

    def _step(self) -> None:
        """Shows the last frame that is due, and comes back for the next one."""
        now = time.monotonic()
        due = None
        while (shown := self._peek()) is not None:
            if self._clock is None:
                self._clock = Clock(shown.seconds, now)
            if self._clock.paused or self._clock.wait(shown.seconds, now) > 0:
                break
            due, self._next = shown, None
        if due is not None:
            self._show(due)
        seconds = _POLL_SECONDS
        if self._next is not None and self._clock is not None and not self._clock.paused:
            seconds = self._clock.wait(self._next.seconds, time.monotonic())
        ended = self._ended and self._next is None
        self._root.after(max(1, round(1000 * seconds)), self._close if ended else self._step)

    def _show(self, shown: Shown) -> None:
        frame = shown.frame
        size = fitting_size(frame.width, frame.height, shown.aspect, self._screen)
        self._photo.configure(data=portable_pixmap(frame, size, self._reformatter))

    def _fail(self, _kind: type[BaseException], error: BaseException, _trace: Any) -> None:
        """What Tk would print and forget ends the program."""
        self.error = error
        self._close()


def main() -> int:
    """Carry out the program."""
    title = sys.argv[1] if len(sys.argv) > 1 else "bsqav"
    try:
        check_window()
        window = _Window(title, sys.stdin.buffer)
        window.run()
        if window.error is not None:
            raise MediaError(f"the frames cannot be read: {window.error}")
    except (BsqError, KeyboardInterrupt) as error:
        say(str(error) or "interrupted")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
