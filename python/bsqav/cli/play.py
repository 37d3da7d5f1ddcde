"""`bsqav play`: decodes into a pipe, at whose end ffplay or bsqav's own window shows it."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

from bsqav.cli import window
from bsqav.cli.display import ProgressDisplay
from bsqav.cli.interrupts import interruptible
from bsqav.cli.values import printable, seconds
from bsqav.cli.window import NO_DISPLAY, check_display, check_window
from bsqav.errors import BsqError, MediaError
from bsqav.media.io.pipes import PipeWriter
from bsqav.media.transcode.api import transcode

__all__ = ["add_parser", "run"]

_POLL_SECONDS = 0.2
# What ffplay says where there is no screen.
_NO_VIDEO = "Could not initialize SDL"


def add_parser(subparsers: Any) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "play",
        help="play a file",
        description="Decodes a file and shows it with FFmpeg's ffplay, sound included, or, where "
        "that is not installed, in a window of its own without sound.",
    )
    parser.add_argument("file", metavar="FILE", help="a file, or - for standard input")
    parser.add_argument("--start", type=seconds, metavar="T", help="begin there")
    parser.add_argument("--model", metavar="NAME|FILE", help="model to try with the installed ones")
    parser.add_argument("--video", type=int, metavar="N", help="the video track (see info)")
    parser.add_argument("--audio", default="all", metavar="LIST", help="sound, as in transcode")
    parser.add_argument("--threads", type=int, default=0, metavar="N")
    parser.add_argument(
        "--window", action="store_true", help="the own window, even where ffplay is installed"
    )
    parser.set_defaults(run=run)


def _player(
    args: argparse.Namespace, display: ProgressDisplay
) -> tuple[list[str], str, Callable[[], None]]:
    """The program that shows what comes through a pipe in NUT.

    With what becomes of the sound, and what is to be checked before the program is started.
    """
    found = None if args.window else shutil.which("ffplay")
    if found is not None:
        command = [found, "-hide_banner", "-loglevel", "error", "-autoexit"]
        return (
            [*command, "-window_title", printable(args.file), "-f", "nut", "-i", "-"],
            "copy",
            check_display,
        )

    def check() -> None:
        check_window()
        if not args.window:
            display.warn("ffplay is not installed: a window without sound takes its place")

    return [sys.executable, "-m", window.__name__, printable(args.file)], "none", check


class _Player:
    """The program that shows the video, as a file to write to.

    It starts with the first bytes: those come when the input has been opened and its first frame
    decoded, so that nothing is started for a file that cannot be played.

    Args:
        command: the program and its arguments.
        check: called before it is started; raises where it cannot show anything.
        stopped: polled while it takes nothing, and while it is waited for.
    """

    name = "the player"

    def __init__(
        self, command: list[str], check: Callable[[], None], stopped: Callable[[], bool]
    ) -> None:
        self._command, self._check, self._stopped = command, check, stopped
        self._error: BsqError | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - see close()

    def write(self, data: bytes) -> int:
        """Hands bytes on."""
        if self._process is None:
            try:
                self._check()
            except BsqError as error:
                self._error = error
                raise BrokenPipeError(str(error)) from error
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stderr=self._errors
            )
        assert self._process.stdin is not None
        return PipeWriter(self._process.stdin.fileno(), self.name, self._stopped).write(data)

    def wait(self) -> None:
        """Waits until everything has been shown.

        Raises:
            BsqError: the program has failed, or could not be started.
            KeyboardInterrupt: stopped.
        """
        if self._error is not None:
            raise self._error
        if self._process is None:
            return
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        while True:
            try:
                status = self._process.wait(_POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                if self._stopped():
                    raise KeyboardInterrupt from None
        if status != 0:
            raise MediaError(self._failure(status))

    def _failure(self, status: int) -> str:
        """A sentence on what the program said last."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        if any(_NO_VIDEO in line for line in said):
            return NO_DISPLAY
        program = Path(self._command[0]).name
        last = said[-1].removeprefix("bsqav: ") if said else f"it ended with status {status}"
        return last if program != "ffplay" else f"ffplay cannot play it: {last}"

    def close(self) -> None:
        """Ends the program where it is still there."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
        self._errors.close()


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    display = ProgressDisplay()
    command, audio, check = _player(args, display)
    with (
        interruptible() as stop,
        contextlib.closing(_Player(command, check, stop.is_set)) as player,
    ):
        # A window that is closed ends the playing, and that is no failure.
        with contextlib.suppress(BrokenPipeError):
            transcode(
                args.file,
                cast(BinaryIO, player),  # of which nothing but `write` is called
                codec="rawvideo",
                format="nut",
                audio=audio,
                start=args.start,
                model=args.model,
                threads=args.threads,
                video_track=args.video,
                audio_tracks=args.audio,
                warn=display.warn,
                cancelled=stop.is_set,
            )
        player.wait()
    return 0
