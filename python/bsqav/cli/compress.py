"""`bsqav compress`: images and videos under the paper's tokenizer and prior."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from bsqav.cli.display import show
from bsqav.errors import MissingDependencyError, UsageError

HELP = "code images or videos with the paper's networks (needs PyTorch)"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand."""
    job = subparsers.add_parser("compress", help=HELP, description=__doc__)
    job.add_argument(
        "inputs", type=Path, nargs="+", metavar="in", help="files, folders, .tar shards"
    )
    job.add_argument("out", type=Path, help="a .bsqt file, or a folder for one of each input")
    add_model_options(job)
    job.set_defaults(run=run)


def add_model_options(job: argparse.ArgumentParser) -> None:
    """The two networks, where they run, and whether files may be replaced."""
    for name in ("tokenizer", "prior"):
        job.add_argument(
            f"--{name}", type=Path, required=True, help="its weights.pt, folder or name"
        )
    job.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    job.add_argument("-y", dest="overwrite", action="store_true", help="replace existing files")


def check_torch() -> None:
    """Raises MissingDependencyError without PyTorch."""
    if find_spec("torch") is None:
        raise MissingDependencyError(
            "the paper's networks need PyTorch: pip install 'bsqav[train]'"
        )


def target(out: Path, key: str, suffix: str, overwrite: bool, single: bool) -> Path:
    """The output file of an input. Raises UsageError for one that exists."""
    path = out if single and out.suffix == suffix else out / f"{key}{suffix}"
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists: -y replaces it")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def run(args: argparse.Namespace) -> int:
    """Writes a file for each input; returns the exit status."""
    check_torch()
    from bsqav.evaluation.research.token_files import SUFFIX, TokenCodec
    from bsqav.training.paper.tokenizing import sources_of

    codec = TokenCodec(args.tokenizer, args.prior, args.device)
    sources = sources_of(args.inputs, codec.videos)
    for key, source in sources:
        path = target(args.out, key, SUFFIX, args.overwrite, len(sources) == 1)
        size = codec.compress(source, path)
        print(f"{path}: {size} bytes", file=sys.stderr, flush=True)
    show(f"{len(sources)} {'videos' if codec.videos else 'images'}")
    return 0
