"""`bsqav tokenize`: images and videos as shards of tokens of the paper's tokenizers."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from bsqav.cli.display import show
from bsqav.cli.interrupts import interruptible
from bsqav.errors import MissingDependencyError

HELP = "turn images or videos into shards of tokens (needs PyTorch)"
FITS = {
    "squares": "squares of the tokenizer's size, of the image scaled to it (default)",
    "tiles": "the whole image, cut into squares of that size",
    "whole": "the whole image in one piece, positions interpolated",
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand."""
    job = subparsers.add_parser("tokenize", help=HELP, description=__doc__)
    job.add_argument(
        "inputs", type=Path, nargs="+", metavar="in", help="files, folders, .tar shards"
    )
    job.add_argument("out", type=Path, help="folder of the shards; a call goes on where it ended")
    add_model_options(job)
    job.add_argument("--format", choices=("webdataset", "parquet"), default="webdataset")
    job.add_argument(
        "--fit",
        choices=FITS,
        default="squares",
        help="; ".join(f"{n}: {t}" for n, t in FITS.items()),
    )
    job.add_argument(
        "--crops", type=int, default=1, help="random squares of each image or clip (1: the middle)"
    )
    job.add_argument("--flips", action="store_true", help="also all of them mirrored")
    job.add_argument("--clips", type=int, default=0, help="of a video at most (0: all)")
    job.add_argument("--per-shard", type=int, default=1000, help="images or videos (1000)")
    job.add_argument("--batch", type=int, default=16, help="that the network takes at once (16)")
    job.add_argument("--seed", type=int, default=1, help="of the random squares")
    job.add_argument("--list", dest="listed", type=Path, metavar="FILE", help="paths to take")
    job.add_argument("--skip-damaged", action="store_true", help="name and count what is damaged")
    job.add_argument("--matrix", choices=("auto", "bt601", "bt709"), default="auto")
    job.set_defaults(run=run)


def add_model_options(job: argparse.ArgumentParser) -> None:
    """The tokenizer, and where it runs."""
    job.add_argument(
        "--tokenizer", type=Path, required=True, help="weights.pt, folder or name of a tokenizer"
    )
    job.add_argument("--device", choices=("cpu", "cuda"), default="cpu")


def check_torch() -> None:
    """Raises MissingDependencyError without PyTorch."""
    if find_spec("torch") is None:
        raise MissingDependencyError("tokens need PyTorch: pip install 'bsqav[train]'")


def run(args: argparse.Namespace) -> int:
    """Writes shards; returns the exit status."""
    check_torch()
    from bsqav.training.paper.tokenizing import TokenizeConfig, load_tokenizer, sources_of, tokenize

    config = TokenizeConfig(
        fit=args.fit,
        crops=args.crops,
        flips=args.flips,
        clips=args.clips,
        form=args.format,
        per_shard=args.per_shard,
        seed=args.seed,
        batch=args.batch,
    )
    config.check()
    model = load_tokenizer(args.tokenizer, args.device)
    sources = sources_of(args.inputs, model.config.frames > 1, args.listed, args.matrix)
    with interruptible() as stop:
        count = tokenize(
            model,
            sources,
            args.out,
            config,
            skip_damaged=args.skip_damaged,
            cancelled=stop.is_set,
            say=lambda line: print(line, file=sys.stderr, flush=True),
        )
    show(f"{args.out}: {count} samples of {len(sources)} files")
    return 0
