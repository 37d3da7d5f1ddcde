"""`bsqav verify`: decodes everything, checks every checksum, and prints the conformance hash."""

from __future__ import annotations

import argparse
import json
from typing import Any

from bsqav.cli.display import ProgressDisplay, show
from bsqav.cli.interrupts import interruptible
from bsqav.errors import BitstreamError, BsqError
from bsqav.media.inspect.verification import Verification, verify

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "verify",
        help="check every packet and print the conformance hash",
        description="Checks the checksum of every BSQ packet, decodes every frame, looks for "
        "missing ones, and prints the SHA-256 of all decoded planes, which is the same on every "
        "machine. Damage and missing frames give the exit status 1 and the place.",
    )
    parser.add_argument("file", metavar="FILE", help="a file, or - for standard input")
    parser.add_argument("--model", metavar="NAME|FILE", help="model to try with the installed ones")
    parser.add_argument("--video", type=int, metavar="N", help="a BSQ track by its number in info")
    parser.add_argument("--threads", type=int, default=0, metavar="N")
    parser.add_argument(
        "--strict", action="store_true", help="exit status 1 for what is warned of, too"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    display = ProgressDisplay(quiet=args.quiet or args.json)
    models = () if args.model is None else (args.model,)
    with interruptible() as stop:
        try:
            found = verify(
                args.file,
                models=models,
                threads=args.threads,
                video_track=args.video,
                strict=args.strict,
                warn=display.warn,
                progress=display.progress,
                cancelled=stop.is_set,
            )
        except BsqError as error:
            if args.json:
                show(json.dumps(_failure(args.file, error), indent=2))
            raise
        finally:
            display.clear()
    if args.json:
        show(json.dumps(_success(args.file, found), indent=2))
    else:
        show(f"{found.hash}  {args.file}")
        display.line(
            f"{found.frames} frames, {found.keyframes} keyframes, "
            f"{found.width}x{found.height} {found.pixel_format}, model {found.model}"
        )
    return 0


def _success(file: str, found: Verification) -> dict[str, Any]:
    return {"file": file, "ok": True, **found.to_dict()}


def _failure(file: str, error: BsqError) -> dict[str, Any]:
    damage = error if isinstance(error, BitstreamError) else None
    return {
        "file": file,
        "ok": False,
        "error": str(error),
        "packet": damage.packet if damage else None,
        "byte": damage.byte if damage else None,
    }
