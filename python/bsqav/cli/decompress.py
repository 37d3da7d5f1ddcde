"""`bsqav decompress`: files of `bsqav compress` back as images and videos."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bsqav.cli.compress import add_model_options, check_torch, target
from bsqav.cli.display import show
from bsqav.errors import MediaError

HELP = "decode files of compress (needs PyTorch)"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand."""
    job = subparsers.add_parser("decompress", help=HELP, description=__doc__)
    job.add_argument("inputs", type=Path, nargs="+", metavar="in", help=".bsqt files, or folders")
    job.add_argument("out", type=Path, help="a .png or .mkv file (FFV1), or a folder for them")
    add_model_options(job)
    job.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Writes an image or a video for each file; returns the exit status."""
    check_torch()
    from bsqav.evaluation.research.token_files import SUFFIX, TokenCodec

    codec = TokenCodec(args.tokenizer, args.prior, args.device)
    files: list[tuple[str, Path]] = []
    for given in args.inputs:
        if given.is_dir():
            found = sorted(given.rglob(f"*{SUFFIX}"))
            if not found:
                raise MediaError(f"{given} holds no {SUFFIX} files")
            files += [(str(path.relative_to(given).with_suffix("")), path) for path in found]
        else:
            files.append((given.stem, given))
    suffix = ".mkv" if codec.videos else ".png"
    for key, path in files:
        out = target(args.out, key, suffix, args.overwrite, len(files) == 1)
        codec.decompress(path, out)
        print(out, file=sys.stderr, flush=True)
    show(f"{len(files)} {'videos' if codec.videos else 'images'}")
    return 0
