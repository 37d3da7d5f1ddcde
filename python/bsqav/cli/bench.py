"""`bsqav bench`: speed of the codec and its parts, compared with reference encoders."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bsqav.cli.display import show
from bsqav.cli.values import pixel_size
from bsqav.codec.models import find_model
from bsqav.errors import UsageError

if TYPE_CHECKING:
    from bsqav.evaluation.bench.result import Settings


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "bench",
        help="measure speed",
        description="Time the codec by kernel set, threads, section and size; compare its kernels "
        "with a bare loop, its networks with PyTorch and OpenVINO, its range coder with "
        "constriction, and files with x264 and x265. References that are not installed are omitted "
        "with a note; pip install 'bsqav[bench]' brings them.",
    )
    parser.add_argument(
        "clip", nargs="?", metavar="CLIP", type=Path, help="a video; without one, a moving texture"
    )
    parser.add_argument(
        "--only",
        metavar="LIST",
        help="parts: codec, sections, kernels, entropy, networks, references, sizes, memory "
        "(default all)",
    )
    _add_size(parser, "--size", (640, 360), "of frames")
    parser.add_argument(
        "--heights",
        default="180,360,720,1080,2160",
        metavar="LIST",
        help="of the frames of the part sizes (default %(default)s)",
    )
    _add_size(parser, "--memory-size", (1920, 1080), "of the frames of the part memory")
    parser.add_argument("--frames", type=int, default=48, metavar="N", help="default %(default)s")
    parser.add_argument(
        "--size-frames", type=int, default=12, metavar="N", help="in the part sizes (default 12)"
    )
    parser.add_argument("--crf", type=float, default=32.0, metavar="N", help="default %(default)g")
    parser.add_argument(
        "--threads", default="1,2", metavar="LIST", help="numbers of threads (default %(default)s)"
    )
    parser.add_argument(
        "--repeats", type=int, default=3, metavar="N", help="of everything (default %(default)s)"
    )
    parser.add_argument("--model", metavar="NAME|FILE", help="model to code with")
    parser.add_argument(
        "--json", metavar="FILE", help="write every figure as JSON; - for standard output"
    )
    parser.add_argument("--html", metavar="FILE", help="write a page that needs nothing else")
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    parser.set_defaults(run=run)


def _add_size(
    parser: argparse.ArgumentParser, name: str, default: tuple[int, int], what: str
) -> None:
    """An option for a size in pixels."""
    help_text = f"{what} (default {default[0]}x{default[1]})"
    parser.add_argument(name, type=pixel_size, default=default, metavar="WxH", help=help_text)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status 0. Raises UsageError for wrong options, BsqError."""
    from bsqav.evaluation.bench.run import PARTS, bench

    names = list(PARTS) if args.only is None else args.only.split(",")
    for name in names:
        if name not in PARTS:
            raise UsageError(f"--only: there is no part {name!r}; choose from {', '.join(PARTS)}")
    settings = _settings(args)

    def progress(text: str) -> None:
        if not args.quiet:
            show(text, file=sys.stderr)

    report = bench(settings, names, _command(args), progress)
    shown = report.to_markdown() if args.markdown else report.to_text()
    # with JSON on standard output, the tables go to standard error
    show(shown, file=sys.stderr if args.json == "-" else sys.stdout)
    if args.json == "-":
        show(report.to_json())
    elif args.json is not None:
        Path(args.json).write_text(report.to_json() + "\n", encoding="utf-8")
    if args.html is not None:
        from bsqav.evaluation.bench.page import bench_page

        Path(args.html).write_text(bench_page(report), encoding="utf-8")
    return 0


def _settings(args: argparse.Namespace) -> Settings:
    from bsqav.evaluation.bench.result import Settings

    for option in ("frames", "size_frames", "repeats"):
        if getattr(args, option) < 1:
            raise UsageError(f"--{option.replace('_', '-')} must be at least 1")
    if not 0 <= args.crf <= 63:
        raise UsageError(f"--crf {args.crf:g}: 0 to 63")
    for option in ("size", "memory_size"):
        if min(getattr(args, option)) < 2 or any(side % 2 for side in getattr(args, option)):
            raise UsageError(f"--{option.replace('_', '-')}: two even numbers, such as 640x360")
    if args.clip is not None and not args.clip.exists():
        raise FileNotFoundError(f"{args.clip}: no such file")
    heights = _numbers("--heights", args.heights)
    if any(height % 2 for height in heights):
        raise UsageError(f"--heights {args.heights}: even numbers")
    return Settings(
        model=find_model(args.model),
        model_name=args.model,
        clip=args.clip,
        size=args.size,
        heights=heights,
        memory=args.memory_size,
        frames=args.frames,
        size_frames=args.size_frames,
        crf=args.crf,
        threads=_threads(args.threads),
        repeats=args.repeats,
    )


def _numbers(option: str, text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise UsageError(f"{option} {text!r}: give numbers above 0 with commas between")
    return tuple(sorted({int(word) for word in words}))


def _threads(text: str) -> tuple[int, ...]:
    """No more than there are processors: what runs on fewer tells nothing."""
    numbers = _numbers("--threads", text)
    here = os.cpu_count() or 1
    return tuple(n for n in numbers if n <= here) or (here,)


def _command(args: argparse.Namespace) -> str:
    """The command that measures the same again."""
    words = ["bsqav", "bench"]
    if args.clip is not None:
        words.append(args.clip.name)
    if args.only is not None:
        words += ["--only", args.only]
    width, height = args.size
    memory = "x".join(map(str, args.memory_size))
    shown = {
        "--size": (f"{width}x{height}", "640x360"),
        "--heights": (args.heights, "180,360,720,1080,2160"),
        "--memory-size": (memory, "1920x1080"),
        "--frames": (str(args.frames), "48"),
        "--size-frames": (str(args.size_frames), "12"),
        "--crf": (f"{args.crf:g}", "32"),
        "--threads": (args.threads, "1,2"),
        "--repeats": (str(args.repeats), "3"),
        "--model": (args.model, None),
    }
    for option, (value, default) in shown.items():
        if value != default:
            words += [option, value]
    return shlex.join(words)
