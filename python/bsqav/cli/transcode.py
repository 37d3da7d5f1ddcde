"""`bsqav transcode`: one video into another."""

from __future__ import annotations

import argparse
import json
import sys
from fractions import Fraction
from typing import Any

from bsqav.cli.display import ProgressDisplay, show
from bsqav.cli.interrupts import interruptible
from bsqav.cli.settings import add_settings
from bsqav.cli.spellings import same_options
from bsqav.cli.values import frame_rate, human_size, seconds, size
from bsqav.codec.settings import SETTINGS
from bsqav.errors import UsageError
from bsqav.media.transcode.api import TranscodeResult, transcode

__all__ = ["add_parser", "run"]

_DESCRIPTION = """\
Writes BSQ (.mkv, .mov, .nut, .m3u8) unless the input is BSQ already, which becomes H.264 or
whatever -c:v says. Sound is copied; subtitles, chapters, attachments, metadata, colour, rotation
and timestamps are carried over. OUT is written as OUT.partial and renamed at the end."""


# Options that `bsqav.transcode` takes by the same names, besides the settings.
_SAME_NAMES = (
    *("codec", "two_pass", "model", "embed_model", "parallel", "start", "scale", "pixel_format"),
    *("audio", "video_track", "audio_tracks", "subtitle_tracks", "strict", "overwrite"),
    *("format", "input_format", "fps", "start_number"),
)


def add_parser(subparsers: Any) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "transcode",
        help="turn a video into BSQ, or BSQ into another video",
        description=_DESCRIPTION,
        epilog=f"ffmpeg's {', '.join(sorted(same_options()))}, -i, -an, -sn and -loglevel are "
        "understood.",
    )
    add = parser.add_argument
    add(
        "input",
        metavar="IN",
        help="any video that FFmpeg reads; - for standard input; in_%%04d.png for images",
    )
    add(
        "output",
        metavar="OUT",
        help="a file; - for NUT on standard output; out_%%04d.png for images",
    )
    add("-c:v", dest="codec", metavar="CODEC", help="bsq, copy, or an FFmpeg encoder")
    add(
        "-c:a",
        dest="audio",
        default="copy",
        metavar="CODEC",
        help="copy (default), none, or an FFmpeg encoder such as aac",
    )
    add_settings(parser)
    add("--two-pass", action="store_true", help="read IN twice to share the bit rate out evenly")
    add("--model", metavar="NAME|FILE", help="model to use, see `bsqav models`")
    add("--embed-model", action="store_true", help="attach the model to OUT (.mkv)")
    add(
        "--video",
        dest="video_track",
        type=int,
        metavar="N",
        help="the video track, by its number in `bsqav info`",
    )
    tracks = "all (default), none, or numbers and languages, as in 1,eng"
    add("--audio", dest="audio_tracks", default="all", metavar="LIST", help=f"sound: {tracks}")
    add(
        "--subtitles",
        dest="subtitle_tracks",
        default="all",
        metavar="LIST",
        help="subtitles: likewise",
    )
    add(
        "--scale",
        type=size,
        metavar="WxH",
        help="scale; -1 for a side keeps the proportions, 50%% halves both",
    )
    add(
        "--pix-fmt",
        dest="pixel_format",
        metavar="NAME",
        help="convert frames: yuv420p, yuv422p, yuv444p, gray, yuva420p (alpha), yuv420p10le "
        "and so on; by default they stay what they are, and RGB becomes yuv420p",
    )
    add("--start", type=seconds, metavar="T", help="begin there: seconds or HH:MM:SS.s")
    end = parser.add_mutually_exclusive_group()
    end.add_argument("--duration", type=seconds, metavar="T", help="take that much")
    end.add_argument("--to", type=seconds, metavar="T", help="end there, instead")
    add("--fps", type=frame_rate, metavar="N", help="of numbered images, default 25")
    add("--start-number", type=int, metavar="N", help="of the first image, default the lowest")
    add(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where BSQ is decoded and encoded (docs/cuda.md); auto is the processor",
    )
    add(
        "--parallel",
        type=int,
        metavar="N",
        help="groups of pictures coded at a time, default 1; they share the threads",
    )
    add(
        "--strict",
        action="store_true",
        help="fail instead of leaving a track out, and where IN says a wrong size",
    )
    add("-f", "--format", metavar="NAME", help="container of OUT, by FFmpeg's name")
    add("--input-format", metavar="NAME", help="container of IN, by FFmpeg's name")
    add("-y", dest="overwrite", action="store_true", help="replace OUT where it exists")
    add("--quiet", action="store_true", help="no progress, no warnings")
    add("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    display = ProgressDisplay(quiet=args.quiet)
    duration = _duration(args)
    given: Any = {name: getattr(args, name) for name in (*SETTINGS, *_SAME_NAMES)}
    with interruptible() as stop:
        try:
            result = transcode(
                args.input,
                args.output,
                device="cuda" if args.device == "cuda" else "cpu",
                duration=duration,
                progress=display.progress,
                warn=display.warn,
                cancelled=stop.is_set,
                **given,
            )
        finally:
            display.clear()
    display.line(_summary(args.input, result))
    if args.json:
        # Standard output may be the video itself.
        stream = sys.stderr if args.output == "-" else sys.stdout
        show(json.dumps(result.to_dict(), indent=2), file=stream)
    return 0


def _duration(args: argparse.Namespace) -> Fraction | None:
    """Seconds to take: --duration, or what lies between --start and --to."""
    taken: Fraction | None = args.duration
    if args.to is not None:
        taken = args.to - (args.start or Fraction(0))
        if taken <= 0:
            raise UsageError(f"--to {float(args.to):g} s is not behind --start")
    return taken


def _summary(source: str, result: TranscodeResult) -> str:
    speed = result.duration / result.seconds if result.seconds else 0.0
    return (
        f"{source} -> {result.output}: {result.codec}, {result.frames_out} frames, "
        f"{human_size(result.bytes)}, {result.bitrate / 1000:.0f} kb/s "
        f"({result.video_bitrate / 1000:.0f} of video), "
        f"{result.fps:.1f} fps ({speed:.2f}x)"
    )
