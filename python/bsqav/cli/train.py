"""`bsqav train`: packs data, trains the codec's networks from a recipe, exports a model file."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bsqav.errors import MissingDependencyError, UsageError

HELP = "train the codec's networks (needs PyTorch: pip install 'bsqav[train]')"


def add_parser(subparsers: Any) -> None:
    """Adds the subcommand and its own subcommands."""
    parser = subparsers.add_parser("train", help=HELP, description=__doc__)
    jobs = parser.add_subparsers(dest="job", required=True, metavar="JOB")
    pack = jobs.add_parser("pack", help="cut photos and clips into training shards")
    pack.add_argument("source", type=Path, help="folder of photos and clips")
    pack.add_argument("out", type=Path, help="folder for the shards")
    pack.add_argument("--seed", type=int, default=1)
    train = jobs.add_parser("tokenizer", help="train tokenizer and prior jointly")
    train.add_argument("recipe", help="name of a recipe, e.g. codec-v1")
    train.add_argument("--data", type=Path, required=True, help="folder of shards")
    train.add_argument(
        "--run", dest="folder", type=Path, required=True, help="folder of the run; resumes there"
    )
    train.add_argument("--start", type=Path, help="weights to begin with (a .pt of an earlier run)")
    train.add_argument("--steps", type=int, help="budget in steps, instead of the recipe's")
    train.add_argument("--minutes", type=float, help="budget in minutes of training")
    export = jobs.add_parser("export", help="turn a run's weights into a model file")
    export.add_argument("folder", type=Path, metavar="run")
    export.add_argument("out", type=Path, help="model file to write (.bsqm)")
    export.add_argument("--name", required=True, help="name of the model")
    export.add_argument("--weights", type=Path, help="also write the float weights there (.pt)")
    export.add_argument("--card", type=Path, help="JSON object to store with the name")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the job; returns the exit status."""
    if find_spec("torch") is None:
        raise MissingDependencyError("training needs PyTorch: pip install 'bsqav[train]'")
    jobs = {"pack": _pack, "tokenizer": _tokenizer, "export": _export}
    return jobs[args.job](args)


def _pack(args: argparse.Namespace) -> int:
    from bsqav.training.pack import PackConfig, pack

    counts = pack(args.source, args.out, PackConfig(seed=args.seed))
    print(", ".join(f"{count} {kind}" for kind, count in counts.items()))
    return 0


def _tokenizer(args: argparse.Namespace) -> int:
    from bsqav.recipes.codec import RECIPES
    from bsqav.training.loop import Trainer

    if args.recipe not in RECIPES:
        raise UsageError(f"no recipe {args.recipe!r}; there are {', '.join(RECIPES)}")
    config = RECIPES[args.recipe]()
    for option, value in (("--steps", args.steps), ("--minutes", args.minutes)):
        if value is not None and not value > 0:
            raise UsageError(f"{option} {value}: more than 0")
    if args.steps is not None:
        config = replace(config, steps=args.steps)
    if args.minutes is not None:
        config = replace(config, minutes=args.minutes)
    # A run that is told to end saves what it has, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    trainer = Trainer(config, args.data, args.folder)
    if trainer.resume():
        print(f"resumed at step {trainer.progress.step}", file=sys.stderr)
    elif args.start is not None:
        trainer.start_from(args.start)
    trainer.train(lambda line: print(line, file=sys.stderr, flush=True))
    return 0


def _export(args: argparse.Namespace) -> int:
    from bsqav.export.exporter import export_run

    card = _card(args.card) if args.card else {}
    model_id = export_run(args.folder, args.out, {**card, "name": args.name}, args.weights)
    print(f"{args.out}: model {model_id}")
    return 0


def _card(path: Path) -> dict[str, Any]:
    """The JSON object in a file."""
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path} is no JSON: {error}") from error
    if not isinstance(card, dict):
        raise UsageError(f"{path} holds no JSON object")
    return card
