"""`bsqav detokenize`: shards of tokens back as images or videos."""

from __future__ import annotations

import argparse
from pathlib import Path

from bsqav.cli.display import show
from bsqav.cli.tokenize import add_model_options, check_torch
from bsqav.errors import UsageError

HELP = "turn shards of tokens into images or videos (needs PyTorch)"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand."""
    job = subparsers.add_parser("detokenize", help=HELP, description=__doc__)
    job.add_argument("folder", type=Path, metavar="in", help="folder of `bsqav tokenize`")
    job.add_argument("out", type=Path, help="folder of PNG files, or of videos (FFV1 in Matroska)")
    add_model_options(job)
    job.add_argument("--limit", type=int, help="samples at most, the first ones")
    job.add_argument("-y", dest="overwrite", action="store_true", help="into a folder with files")
    job.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Writes images or videos; returns the exit status."""
    check_torch()
    from bsqav.training.paper.tokenizing import detokenize, load_tokenizer

    if args.limit is not None and args.limit < 1:
        raise UsageError(f"--limit {args.limit}: at least 1")
    if not args.overwrite and args.out.is_dir() and any(args.out.iterdir()):
        raise UsageError(f"{args.out} has files in it: -y writes into it all the same")
    model = load_tokenizer(args.tokenizer, args.device)
    count = sum(1 for _ in detokenize(model, args.folder, args.out, args.limit))
    show(f"{args.out}: {count} {'videos' if model.config.frames > 1 else 'images'}")
    return 0
