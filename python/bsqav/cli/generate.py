"""`bsqav generate`: images drawn by a masked language model, by class or without one."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from bsqav.cli.display import show
from bsqav.errors import MissingDependencyError, UsageError


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "generate",
        help="draw images with a masked language model (needs PyTorch)",
        description=__doc__,
    )
    parser.add_argument("model", type=Path, help="weights.pt of a run of `train masked-lm`")
    parser.add_argument("out", type=Path, help="an image file for a grid of all, or a folder")
    parser.add_argument(
        "--tokenizer", type=Path, required=True, help="weights.pt of the tokenizer it learned from"
    )
    parser.add_argument("--count", type=int, default=16, help="images (default: 16)")
    parser.add_argument("--columns", type=int, default=8, help="of the grid (default: 8)")
    parser.add_argument(
        "--class",
        dest="classes",
        action="append",
        default=[],
        metavar="NAME",
        help="class by name or number; may be repeated, `all` is all of them in turn",
    )
    parser.add_argument("--steps", type=int, default=32, help="passes of the network (32)")
    parser.add_argument("--guidance", type=float, default=0.5, help="the paper's alpha (0.5)")
    parser.add_argument("--temperature", type=float, default=15.0, help="of the choices (15)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Draws and writes; returns the exit status."""
    for name in ("count", "columns", "steps"):
        if getattr(args, name) < 1:
            raise UsageError(f"--{name} {getattr(args, name)}: at least 1")
    if find_spec("torch") is None or find_spec("PIL") is None:
        raise MissingDependencyError("generating needs PyTorch: pip install 'bsqav[train]'")
    from bsqav.evaluation.research.generation import Generator, SamplingConfig, write_images

    generator = Generator(args.model, args.tokenizer, args.device)
    classes = [generator.label(name) for name in args.classes if name != "all"]
    if "all" in args.classes:
        classes = list(range(generator.net.config.classes))
    config = SamplingConfig(args.steps, args.guidance, args.temperature)
    images = generator.draw(args.count, classes, config, args.seed)
    for path in write_images(images, args.out, min(args.columns, args.count)):
        show(path)
    return 0
