"""`bsqav eval`: measures the paper's networks: reconstruction, and compression with a prior."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bsqav.errors import MissingDependencyError, UsageError


def add_parser(subparsers: Any) -> None:
    """Adds the subcommand and its own subcommands."""
    parser = subparsers.add_parser(
        "eval", help="measure the paper's networks (needs PyTorch)", description=__doc__
    )
    jobs = parser.add_subparsers(dest="job", required=True, metavar="JOB")
    reconstruction = jobs.add_parser("reconstruction", help="a tokenizer's pictures and codes")
    reconstruction.add_argument(
        "--lpips", type=Path, nargs="+", metavar="FILE", help="weights of LPIPS: trunk and heads"
    )
    reconstruction.add_argument(
        "--trunk", choices=("vgg", "alex"), default="alex", help="of LPIPS (alex, the paper's)"
    )
    compression = jobs.add_parser("compression", help="bits of tokens with and without a prior")
    compression.add_argument("--prior", type=Path, required=True, help="weights.pt of a prior")
    for job in (reconstruction, compression):
        job.add_argument(
            "data", type=Path, help="folder of pictures, or of videos for a tokenizer of videos"
        )
        job.add_argument("--tokenizer", type=Path, required=True, help="weights.pt of a tokenizer")
        job.add_argument(
            "--published",
            action="store_true",
            help="the tokenizer is a checkpoint of the authors' program",
        )
        job.add_argument("--side", type=int, help="of the pictures (default: the tokenizer's)")
        job.add_argument("--batch", type=int, default=8)
        job.add_argument("--limit", type=int, help="pictures or videos at most")
        job.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
        job.add_argument("--json", action="store_true", help="the figures as a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measures and prints; returns the exit status."""
    for name in ("side", "batch", "limit"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name} {value}: at least 1")
    if find_spec("torch") is None:
        raise MissingDependencyError("measuring networks needs PyTorch: pip install 'bsqav[train]'")
    from bsqav.evaluation import tokens
    from bsqav.training.pictures import centre_squares

    model = tokens.load_tokenizer(args.tokenizer, published=args.published)
    side = args.side or model.config.size[0]
    if side % model.config.patch:
        raise UsageError(f"--side {side} is no multiple of the patch of {model.config.patch}")
    batches = centre_squares(args.data, side, args.batch, model.config.frames, args.limit)
    figures: dict[str, Any]
    if args.job == "reconstruction":
        lpips = tokens.load_lpips(args.lpips, args.trunk) if args.lpips else None
        figures = asdict(tokens.reconstruction(model, batches, lpips, args.device))
    else:
        prior = tokens.load_prior(args.prior)
        figures = asdict(tokens.compression(model, prior, batches, args.device))
    if args.json:
        json.dump(figures, sys.stdout, indent=2)
        print()
        return 0
    for name, value in figures.items():
        shown = "-" if value is None else f"{value:.4g}" if isinstance(value, float) else value
        print(f"{name:18} {shown}")
    return 0
