"""`bsqav compare`: BSQ compared with reference codecs on the user's own clips and pictures."""

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bsqav.cli.display import say, show
from bsqav.cli.parsing import did_you_mean, setting
from bsqav.errors import BsqError, UsageError

if TYPE_CHECKING:
    from bsqav.evaluation.compare.results import CompareResult
    from bsqav.evaluation.compare.viewer import Viewer

DEFAULT_CODECS = "mjpeg,mpeg2,x264,x265,jpeg,webp,jpeg2000,jxl,avif"
DEFAULT_CRFS = "26,32,38,44,50"
DEFAULT_METRICS = "psnr,psnr-yuv,ms-ssim,vmaf"
# names on the command line -> names in results
_METRIC_NAMES = {
    "psnr": "psnr_y",
    "psnr-yuv": "psnr_yuv",
    "ssim": "ssim",
    "ms-ssim": "ms_ssim",
    "vmaf": "vmaf",
    "xpsnr": "xpsnr",
    "st-lpips": "st_lpips",
}
# what a codec is called elsewhere
_CODECS_MEANT = {"h264": "x264", "h265": "x265", "hevc": "x265", "av1": "svtav1", "h266": "vvenc"}
# have options of their own, or are what is compared
_NOT_SETTINGS = {"crf", "bitrate", "b", "gop", "g", "model", "parallel"}
# needs weights and PyTorch
_NOT_IN_ALL = ("st-lpips",)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "compare",
        help="compare BSQ with other codecs",
        description="Encode clips and pictures with BSQ and with reference codecs at several "
        "qualities, and print rate, quality, speed, memory and BD-rate; --html makes a page of "
        "curves and pictures. Needs the extra compare.",
    )
    parser.add_argument(
        "inputs", nargs="+", metavar="IN", help="videos, pictures, folders, patterns"
    )
    _add_measured(parser)
    _add_outputs(parser)
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="measurements at a time; more than one blurs the speeds (default %(default)s)",
    )
    parser.add_argument(
        "--no-cache", action="store_true", help="measure everything again and keep nothing"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    parser.set_defaults(run=run)


def _add_measured(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--codecs",
        default=DEFAULT_CODECS,
        metavar="LIST",
        help="references; for clips mjpeg, mpeg2, mpeg4, x264, x265, svtav1, vp9, vvenc, for "
        "pictures jpeg, webp, jpeg2000, jxl, avif (default %(default)s)",
    )
    parser.add_argument(
        "--metrics",
        default=DEFAULT_METRICS,
        metavar="LIST",
        help=f"metrics to show and to compute BD-rate in: {', '.join(_METRIC_NAMES)}, "
        "or all but the last "
        "(default %(default)s)",
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
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of BSQ for clips, as of transcode: lookahead=0; may be repeated",
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", metavar="FILE", help="write every figure as JSON; - for standard output"
    )
    parser.add_argument("--csv", metavar="FILE", help="write a line for every point as CSV")
    parser.add_argument("--html", metavar="FILE", help="write a page that needs nothing else")
    parser.add_argument(
        "--all-frames",
        action="store_true",
        help="with --html: every frame of every codec as WebP in a folder next to the page",
    )
    parser.add_argument(
        "--plots", metavar="FOLDER", help="write curves as PNG and SVG, and a contact sheet"
    )


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status 0, 1 where anything failed, 2 for wrong usage."""
    try:
        codecs = _names(args.codecs)
        metrics = _metrics(args.metrics)
        crfs = [_crf(text) for text in _names(args.crf)]
        scale = None if args.scale is None else _size(args.scale)
        settings = _settings(args.set)
        for option, value in (
            ("--frames", args.frames),
            ("--gop", args.gop),
            ("--jobs", args.jobs),
        ):
            if value is not None and value < 1:
                raise ValueError(f"{option} {value}: at least 1")
        if args.all_frames and args.html is None:
            raise ValueError("--all-frames needs --html")
        _check_codecs(codecs)
    except ValueError as error:
        say(f"compare: {error}")
        return 2
    try:
        return _compare(args, codecs, metrics, crfs, scale, settings)
    except (BsqError, OSError) as error:
        say(f"compare: {error}")
        return 1


def _compare(
    args: argparse.Namespace,
    codecs: list[str],
    metrics: list[str],
    crfs: list[float],
    scale: tuple[int, int] | None,
    settings: dict[str, Any],
) -> int:
    from bsqav.evaluation.compare.bsq import PublicBsq
    from bsqav.evaluation.compare.comparison import CompareConfig, compare
    from bsqav.evaluation.compare.table import format_table
    from bsqav.evaluation.compare.viewer import Viewer
    from bsqav.evaluation.io.cache import Cache, cache_folder
    from bsqav.evaluation.io.inputs import expand_inputs

    def progress(text: str) -> None:
        if not args.quiet:
            show(text, file=sys.stderr)

    viewer = None
    if args.html is not None:
        html = Path(args.html)
        viewer = Viewer(html.with_name(html.stem + "_frames") if args.all_frames else None)
    elif args.plots is not None:
        viewer = Viewer()
    result = compare(
        expand_inputs(args.inputs),
        CompareConfig(
            codecs=codecs,
            metrics=metrics,
            crfs=crfs,
            frames=args.frames,
            gop=args.gop,
            scale=scale,
            jobs=args.jobs,
        ),
        bsq=PublicBsq(args.model, settings),
        progress=progress,
        cache=None if args.no_cache else Cache(cache_folder()),
        viewer=viewer,
    )
    # with JSON on standard output, the table goes to standard error
    show(format_table(result), file=sys.stderr if args.json == "-" else sys.stdout)
    _write_outputs(args, result, viewer)
    return 1 if result.failures else 0


def _write_outputs(
    args: argparse.Namespace, result: "CompareResult", viewer: "Viewer | None"
) -> None:
    if args.json == "-":
        show(result.to_json())
    elif args.json is not None:
        Path(args.json).write_text(result.to_json() + "\n", encoding="utf-8")
    if args.csv is not None:
        Path(args.csv).write_text(result.to_csv(), encoding="utf-8")
    if args.plots is not None:
        from bsqav.evaluation.compare.plots import write_plots

        write_plots(result, Path(args.plots), viewer)
    if args.html is not None:
        from bsqav.evaluation.compare.report import write_report

        write_report(result, Path(args.html), viewer)


def _metrics(text: str) -> list[str]:
    names = _names(text)
    if names == ["all"]:
        return [value for name, value in _METRIC_NAMES.items() if name not in _NOT_IN_ALL]
    return [_metric(name) for name in names]


def _names(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise ValueError(f"{text!r} is an empty list")
    return names


def _check_codecs(names: list[str]) -> None:
    from bsqav.evaluation.compare.reference_encoders import REFERENCES
    from bsqav.evaluation.compare.still_codecs import REFERENCES as PICTURES

    for name in names:
        if name not in REFERENCES and name not in PICTURES:
            known = [*REFERENCES, *PICTURES]
            raise ValueError(f"unknown codec {name!r}{_remedy(name, known)}")


def _remedy(name: str, known: list[str]) -> str:
    meant = _CODECS_MEANT.get(name.lower()) or did_you_mean(name, known)
    listed = ", ".join(known)
    return f": did you mean {meant}? There is {listed}" if meant else f"; choose from {listed}"


def _metric(name: str) -> str:
    if name not in _METRIC_NAMES:
        raise ValueError(f"unknown metric {name!r}{_remedy(name, [*_METRIC_NAMES, 'all'])}")
    return _METRIC_NAMES[name]


def _crf(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"--crf {text!r}: not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"--crf {text!r}: not a finite number")
    return value


def _settings(texts: list[str]) -> dict[str, Any]:
    from bsqav.codec.encoder_options import encoder_arguments
    from bsqav.codec.settings import EncoderSettings

    try:
        given = dict(map(setting, texts))
        if refused := sorted(_NOT_SETTINGS.intersection(given)):
            raise UsageError(f"{refused[0]} is no setting here; see --crf, --gop and --model")
        settings = encoder_arguments(given)
        EncoderSettings.for_files().changed(settings)
    except (BsqError, argparse.ArgumentTypeError) as error:
        raise ValueError(f"--set: {error}") from None
    return settings


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ValueError(f"--scale {text!r}: give WxH, such as 640x360")
    return int(width), int(height)
