"""`bsqav compare`: BSQ beside reference codecs on the user's own clips."""

import argparse
import math
import sys
from pathlib import Path

from bsqav.errors import BsqError

DEFAULT_CODECS = "mjpeg,mpeg2,x264,x265"
DEFAULT_CRFS = "26,32,38,44,50"
# names on the command line -> names in results
_METRIC_NAMES = {"psnr": "psnr_y", "ms-ssim": "ms_ssim", "vmaf": "vmaf"}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "compare",
        help="measure BSQ beside other codecs",
        description="Encode clips with BSQ and with reference codecs at several qualities, and "
        "print rate, PSNR-Y, MS-SSIM, VMAF, speed and BD-rate. Needs imageio-ffmpeg.",
    )
    parser.add_argument("inputs", nargs="+", metavar="IN", type=Path, help="video files")
    parser.add_argument(
        "--codecs",
        default=DEFAULT_CODECS,
        metavar="LIST",
        help="references: mjpeg, mpeg2, mpeg4, x264, x265, svtav1 (default %(default)s)",
    )
    parser.add_argument(
        "--metrics",
        default=",".join(_METRIC_NAMES),
        metavar="LIST",
        help="metrics to show and to compute BD-rate in (default %(default)s)",
    )
    parser.add_argument(
        "--crf",
        default=DEFAULT_CRFS,
        metavar="LIST",
        help="BSQ's qualities, at least four for a BD-rate (default %(default)s)",
    )
    parser.add_argument(
        "--frames",
        type=int,
        metavar="N",
        help="frames per clip; a shorter clip is played forward and backward (default: all)",
    )
    parser.add_argument(
        "--gop",
        type=int,
        default=250,
        metavar="N",
        help="frames between keyframes at most, for every codec (default %(default)s)",
    )
    parser.add_argument("--scale", metavar="WxH", help="scale the clips first")
    parser.add_argument("--model", metavar="NAME|FILE", help="model for BSQ")
    parser.add_argument(
        "--json", metavar="FILE", help="write every figure as JSON; - for standard output"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status 0, 1 where anything failed, 2 for wrong usage."""
    try:
        codecs = _names(args.codecs)
        metrics = [_metric(name) for name in _names(args.metrics)]
        crfs = [_crf(text) for text in _names(args.crf)]
        scale = None if args.scale is None else _size(args.scale)
        for option, value in (("--frames", args.frames), ("--gop", args.gop)):
            if value is not None and value < 1:
                raise ValueError(f"{option} {value}: at least 1")
        _check_codecs(codecs)
    except ValueError as error:
        print(f"bsqav compare: {error}", file=sys.stderr)
        return 2
    try:
        return _compare(args, codecs, metrics, crfs, scale)
    except (BsqError, OSError) as error:
        print(f"bsqav compare: {error}", file=sys.stderr)
        return 1


def _compare(
    args: argparse.Namespace,
    codecs: list[str],
    metrics: list[str],
    crfs: list[float],
    scale: tuple[int, int] | None,
) -> int:
    from bsqav.evaluation.bsq import PublicBsq
    from bsqav.evaluation.compare import compare
    from bsqav.evaluation.table import format_table

    def progress(text: str) -> None:
        if not args.quiet:
            print(text, file=sys.stderr, flush=True)

    result = compare(
        args.inputs,
        codecs=codecs,
        metrics=metrics,
        bsq=PublicBsq(args.model),
        crfs=crfs,
        frames=args.frames,
        gop=args.gop,
        scale=scale,
        progress=progress,
    )
    # with JSON on standard output, the table must not stand in its way
    print(format_table(result), file=sys.stderr if args.json == "-" else sys.stdout)
    if args.json == "-":
        print(result.to_json())
    elif args.json is not None:
        Path(args.json).write_text(result.to_json() + "\n", encoding="utf-8")
    return 1 if result.failures else 0


def _names(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise ValueError(f"{text!r} is an empty list")
    return names


def _check_codecs(names: list[str]) -> None:
    from bsqav.evaluation.references import REFERENCES

    for name in names:
        if name not in REFERENCES:
            raise ValueError(f"unknown codec {name!r}; choose from {', '.join(REFERENCES)}")


def _metric(name: str) -> str:
    if name not in _METRIC_NAMES:
        raise ValueError(f"unknown metric {name!r}; choose from {', '.join(_METRIC_NAMES)}")
    return _METRIC_NAMES[name]


def _crf(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"--crf {text!r}: not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"--crf {text!r}: not a finite number")
    return value


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ValueError(f"--scale {text!r}: give WxH, such as 640x360")
    return int(width), int(height)
