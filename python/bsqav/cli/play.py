"""`bsqav play`: decodes into a pipe, at whose end ffplay or a window of our own shows it."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
from typing import Any

from bsqav.cli import window
from bsqav.cli.display import ProgressDisplay
from bsqav.cli.interrupts import interruptible
from bsqav.cli.values import seconds
from bsqav.cli.window import check_window
from bsqav.media.transcode import transcode

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "play",
        help="play a file",
        description="Decodes a file and shows it with FFmpeg's ffplay, sound included, or, where "
        "that is not installed, in a window of its own without sound.",
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="a file, or - for standard input")
    parser.add_argument("--start", type=seconds, metavar="T", help="begin there")
    parser.add_argument("--model", metavar="NAME|FILE", help="model to try beside the installed")
    parser.add_argument("--video", type=int, metavar="N", help="the video track (see info)")
    parser.add_argument("--audio", default="all", metavar="LIST", help="sound, as in transcode")
    parser.add_argument("--threads", type=int, default=0, metavar="N")
    parser.add_argument(
        "--window", action="store_true", help="the own window, even where ffplay is installed"
    )
    parser.set_defaults(run=run)


def _player(args: argparse.Namespace, display: ProgressDisplay) -> tuple[list[str], str]:
    """The command that shows what comes through a pipe in NUT, and what becomes of the sound."""
    found = None if args.window else shutil.which("ffplay")
    if found is not None:
        command = [found, "-hide_banner", "-loglevel", "error", "-autoexit"]
        return [*command, "-window_title", args.file, "-f", "nut", "-i", "-"], "copy"
    check_window()
    if not args.window:
        display.warn("ffplay is not installed: a window without sound takes its place")
    return [sys.executable, "-m", window.__name__, args.file], "none"


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    display = ProgressDisplay()
    command, audio = _player(args, display)
    with interruptible() as stop, subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        # A window that is closed ends the playing, and that is no failure.
        with contextlib.suppress(BrokenPipeError):
            transcode(
                args.file,
                process.stdin,
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
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        return 1 if process.wait() else 0
