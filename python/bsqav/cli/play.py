"""`bsqav play`: decodes into a pipe and lets ffplay show it."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
from typing import Any

from bsqav.cli.display import ProgressDisplay
from bsqav.cli.transcode import interruptible
from bsqav.cli.values import seconds
from bsqav.errors import MediaError
from bsqav.media.transcode import transcode

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "play",
        help="play a file through ffplay",
        description="Decodes a file and shows it with FFmpeg's ffplay, sound included.",
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="a file, or - for standard input")
    parser.add_argument("--start", type=seconds, metavar="T", help="begin there")
    parser.add_argument("--model", metavar="NAME|FILE", help="model to try beside the installed")
    parser.add_argument("--video", type=int, metavar="N", help="the video track (see info)")
    parser.add_argument("--audio", default="all", metavar="LIST", help="sound, as in transcode")
    parser.add_argument("--threads", type=int, default=0, metavar="N")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    player = shutil.which("ffplay")
    if player is None:
        raise MediaError("ffplay is not installed: it comes with FFmpeg (apt install ffmpeg)")
    command = [player, "-hide_banner", "-loglevel", "error", "-autoexit"]
    command += ["-window_title", args.file, "-f", "nut", "-i", "-"]
    display = ProgressDisplay()
    with interruptible() as stop, subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        # A window that is closed ends the playing, and that is no failure.
        with contextlib.suppress(BrokenPipeError):
            transcode(
                args.file,
                process.stdin,
                codec="rawvideo",
                format="nut",
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
