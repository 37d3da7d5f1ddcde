"""`bsqav info`: what is in a file, and what its BSQ packets are made of."""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

from bsqav.cli.display import show
from bsqav.cli.interrupts import interruptible
from bsqav.cli.values import human_size
from bsqav.errors import UsageError
from bsqav.media.demux.still_reader import FORMAT as STILL
from bsqav.media.inspect.inspection import FileReport, StreamReport, TrackReport, inspect
from bsqav.media.metadata.hdr import HdrMetadata

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "info",
        help="show streams, model, blocks and bits per frame",
        description="Shows a file's streams, and for BSQ its sequence header, model, blocks and "
        "bits per frame. Every packet is read and none is decoded.",
    )
    parser.add_argument("file", metavar="FILE", help="a file, or - for standard input")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.add_argument(
        "--plot",
        metavar="PICTURE",
        help="draw bits and quality of every frame, and where one frame's bits went, as .png, "
        ".svg, .pdf or .webp; decodes the file, needs the extra compare",
    )
    parser.add_argument(
        "--frame",
        type=int,
        metavar="N",
        help="with --plot: look into frame N, from 0 (default: the largest that is no keyframe)",
    )
    parser.add_argument(
        "--original",
        metavar="FILE",
        help="with --plot: the clip that FILE was made from, to show quality in dB instead of crf",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    if args.plot is None and (args.frame is not None or args.original is not None):
        raise UsageError("--frame and --original are for --plot")
    if args.plot is not None and args.file == "-":
        raise UsageError("--plot reads FILE twice: give a file instead of standard input")
    with interruptible() as stop:
        report = inspect(args.file, cancelled=stop.is_set)
    if args.plot is not None:
        _plot(args)
    if args.json:
        show(json.dumps(report.to_dict(), indent=2))
        return 0
    show(_head(report, args.file))
    bare = report.format == STILL  # no container that has tracks
    for stream in () if bare else report.streams:
        show(_stream_line(stream))
    for track in report.bsq:
        still = bare and track.packets == 1
        kind = "animation" if bare else f"track {track.index}"
        show(_track_lines(track, kind="still" if still else kind, still=still))
    for key, value in report.metadata.items():
        show(f"  {key}: {' '.join(value.splitlines())}")
    return 0


def _plot(args: argparse.Namespace) -> None:
    from bsqav.evaluation.compare.bit_allocation import examine, plot

    original = None if args.original is None else Path(args.original)
    found = examine(args.file, frame=args.frame, original=original)
    plot(found, Path(args.plot), Path(args.file).name)


def _head(report: FileReport, file: str) -> str:
    parts = [report.format]
    if report.duration is not None:
        parts.append(f"{report.duration:.3f} s")
    if file != "-" and Path(file).is_file():
        parts.append(human_size(Path(file).stat().st_size))
    if report.chapters:
        parts.append(f"{report.chapters} chapters")
    if report.truncated:
        parts.append("cut short: it ends before it says it does")
    return f"{file}: {', '.join(parts)}"


def _stream_line(stream: StreamReport) -> str:
    named = stream["codec"] or stream.get("name") or "unknown"
    parts = [f"  track {stream['index']}: {stream['type']} {named}"]
    if mimetype := stream.get("mimetype"):
        parts.append(mimetype)
    if "width" in stream:
        parts.append(f"{stream['width']}x{stream['height']} {stream['pixel_format']}")
    if "sample_rate" in stream:
        parts.append(f"{stream['sample_rate']} Hz {stream['layout']}")
    if rate := stream.get("frame_rate"):
        parts.append(f"{float(Fraction(rate)):.3f} fps")
    if stream.get("language"):
        parts.append(stream["language"])
    if stream.get("title"):
        parts.append(stream["title"])
    return ", ".join(parts)


def _track_lines(track: TrackReport, *, kind: str, still: bool) -> str:
    head, bits = track.sequence, track.bits
    model = f"{track.model_name or 'not installed'} ({head['model_id']})"
    model += ", embedded in the file" if track.model_embedded else ""
    lines = [
        f"  BSQ {kind}: codestream version {head['version']}, level {head['level']}",
        f"    size      {head['width']}x{head['height']} {track.pixel_format}, "
        f"rotation {head['rotation']}, sample aspect {_ratio(head['sample_aspect'])}",
        f"    colour    primaries {head['color_primaries']}, transfer {head['color_transfer']}, "
        f"matrix {head['color_matrix']}, "
        f"{ {0: 'limited', 1: 'full'}.get(head['full_range'], 'unspecified') } range",
        *_hdr_line(track.hdr),
        f"    model     {model}",
        f"    coding    crf {_range(track.crf)}, {_range(track.layers)} layers, "
        f"{_range(track.tiles)} tiles a frame",
    ]
    if not still:
        lines += [
            f"    timing    {_ratio(head['time_base'])} s per tick, {_rate(head['frame_rate'])}",
            f"    packets   {track.packets}, {track.keyframes} of them keyframes, "
            f"longest group {track.longest_group}"
            + (f", {track.b_frames} B frames" if track.b_frames else "")
            + (f", {track.frames_ahead} frames coded ahead" if track.frames_ahead else "")
            + (f", {track.before_keyframe} before a keyframe" if track.before_keyframe else ""),
        ]
    if bits is not None:
        sizes = [
            f"    bits      {bits['mean']:.0f} per frame ({bits['min']} to {bits['max']}), "
            f"keyframes {bits['keyframe_mean']:.0f}, others {bits['other_mean']:.0f}",
        ]
        lines += [] if still else sizes
        lines += [
            f"    rate      {bits['bpp']:.5f} bits per pixel"
            + (f", {bits['bitrate'] / 1000:.1f} kb/s" if bits["bitrate"] else ""),
        ]
    return "\n".join(lines)


def _hdr_line(hdr: HdrMetadata | None) -> list[str]:
    if hdr is None:
        return []
    parts = []
    if hdr.mastering is not None:
        low, high = hdr.mastering.luminance
        parts.append(f"graded on a display of {low:g} to {high:g} cd/m2")
    if hdr.max_cll or hdr.max_fall:
        parts.append(f"MaxCLL {hdr.max_cll}, MaxFALL {hdr.max_fall}")
    return [f"    hdr       {', '.join(parts)}"]


def _ratio(pair: tuple[int, int]) -> str:
    return f"{pair[0]}/{pair[1]}" if pair[0] else "unknown"


def _rate(pair: tuple[int, int]) -> str:
    return f"{pair[0] / pair[1]:.3f} fps" if pair[0] else "variable frame rate"


def _range(values: tuple[float, float] | None) -> str:
    if values is None:
        return "no"
    low, high = values
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
