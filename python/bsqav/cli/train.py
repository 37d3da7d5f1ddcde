"""`bsqav train`: packs data, trains networks from a recipe, exports a model file."""

from __future__ import annotations

import argparse
import json
import math
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bsqav.cli import train_paper
from bsqav.cli.display import show
from bsqav.cli.interrupts import interruptible
from bsqav.cli.train_paper import SWITCH
from bsqav.errors import MissingDependencyError, UsageError

# Options that are fields of the recipe's configuration.
CONFIGURED = (
    "steps",
    "minutes",
    "device",
    "threads",
    "seed",
    "batched",
    "graphs",
    "compiled",
    "board",
    "check_minutes",
    "checkpoint_minutes",
)

HELP = "train the codec's or the paper's networks (needs PyTorch: pip install 'bsqav[train]')"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand and its own subcommands."""
    parser = subparsers.add_parser("train", help=HELP, description=__doc__)
    jobs = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    _add_data_jobs(jobs)
    train = jobs.add_parser("tokenizer", help="train tokenizer and prior jointly")
    train.add_argument("recipe", help="name of a recipe, e.g. codec-v1 or small-image")
    train.add_argument(
        "--data",
        type=Path,
        required=True,
        help="folder of shards; of images or videos for recipes of the paper",
    )
    train.add_argument(
        "--run", dest="folder", type=Path, required=True, help="folder of the run; resumes there"
    )
    train.add_argument("--start", type=Path, help="weights to begin with (a .pt of an earlier run)")
    train.add_argument(
        "--keyframes",
        type=Path,
        metavar="FILE",
        help="of codec-v1-traced: finished weights of the keyframe networks (a .pt), which the "
        "encoder codes keyframes with; by default it takes the run's own",
    )
    _add_machine_options(train)
    train_paper.add_tokenizer_options(train)
    train_paper.add_token_jobs(jobs, _add_machine_options)
    export = jobs.add_parser("export", help="turn a run's weights into a model file")
    export.add_argument("folder", type=Path, metavar="run")
    export.add_argument("out", type=Path, help="model file to write (.bsqm)")
    export.add_argument("--name", required=True, help="name of the model")
    export.add_argument("--weights", type=Path, help="also write the float weights there (.pt)")
    export.add_argument(
        "--keyframes",
        type=Path,
        metavar="FILE",
        help="weights of the keyframe networks (a .pt of a run of codec-v1-keyframes); by default "
        "the run's networks code all frames",
    )
    export.add_argument("--card", type=Path, help="JSON object to store with the name")
    convert = jobs.add_parser(
        "convert", help="turn a checkpoint of the paper's authors into a folder for load_model"
    )
    convert.add_argument("checkpoint", type=Path, help="file of their program (.pt)")
    convert.add_argument("out", type=Path, help="folder to write")
    convert.add_argument(
        "--last", action="store_true", help="weights of the last step instead of the average"
    )
    parser.set_defaults(run=run)


def _add_data_jobs(jobs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Making shards, and checking what training is to read."""
    pack = jobs.add_parser("pack", help="cut photos and clips into training shards")
    pack.add_argument("source", type=Path, help="folder of photos and clips")
    pack.add_argument("out", type=Path, help="folder for the shards")
    pack.add_argument("--seed", type=int, default=1)
    pack.add_argument("--squares-per-clip", type=int, default=60, help="cut from each clip")
    pack.add_argument(
        "--frames", type=int, default=6, help="length of a clip; codec-v1-traced wants 17"
    )
    pack.add_argument("--squares-per-photo", type=int, default=10, help="cut from each photo")
    settings = jobs.add_parser("settings", help="list the settings of a recipe, for --set")
    settings.add_argument("recipe", help="name of a recipe, e.g. small-image")
    settings.add_argument("--set", dest="sets", action="append", default=[], metavar="NAME=VALUE")
    check = jobs.add_parser("check", help="list images, videos and shards that cannot be read")
    check.add_argument("data", type=Path, help="folder of them, as training takes it")
    check.add_argument(
        "--list",
        dest="listed",
        type=Path,
        metavar="FILE",
        help="text file of the paths under the folder to check, one a line",
    )


def _add_machine_options(train: argparse.ArgumentParser) -> None:
    """How long, how and where a run computes; what is not given is the recipe's."""
    train.add_argument(
        "--set",
        dest="sets",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another value of a setting of the recipe (`bsqav train settings RECIPE` lists them); "
        "may be repeated",
    )
    train.add_argument("--steps", type=int, help="budget in steps, instead of the recipe's")
    train.add_argument("--minutes", type=float, help="budget in minutes of training")
    train.add_argument("--device", choices=("auto", "cpu", "cuda"), help="where to compute")
    train.add_argument("--batch", type=int, help="clips in a batch")
    train.add_argument("--threads", type=int, help="threads of the CPU's part")
    train.add_argument("--seed", type=int, help="of all random choices")
    train.add_argument(
        "--batched",
        **SWITCH,
        help="work in large operations on the device, as on a GPU, on a CPU too",
    )
    train.add_argument(
        "--no-graphs",
        dest="graphs",
        action="store_const",
        const=False,
        help="on a GPU: start every kernel by itself instead of capturing CUDA graphs",
    )
    train.add_argument(
        "--compile",
        dest="compiled",
        **SWITCH,
        help="let torch.compile fuse the networks' operations (minutes to begin with)",
    )
    train.add_argument(
        "--board",
        **SWITCH,
        help="write TensorBoard files into the run's folder (needs tensorboard)",
    )
    train.add_argument(
        "--check-minutes",
        type=float,
        help="how often to code held-out clips with the codec itself (see checks.jsonl)",
    )
    train.add_argument("--checkpoint-minutes", type=float, help="how often to save")
    train.add_argument(
        "--override",
        action="append",
        default=[],
        metavar="SETTING",
        help="resume although this setting (lr, data.batch, files ..., or all) is another than in "
        "the checkpoint; may be repeated",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the job; returns the exit status."""
    if find_spec("torch") is None:
        raise MissingDependencyError("training needs PyTorch: pip install 'bsqav[train]'")
    jobs = {
        "pack": _pack,
        "check": _check,
        "settings": _settings,
        "tokenizer": _tokenizer,
        "prior": train_paper.run,
        "masked-lm": train_paper.run,
        "export": _export,
        "convert": _convert,
    }
    return jobs[args.task](args)


def _pack(args: argparse.Namespace) -> int:
    from bsqav.training.codec.pack import PackConfig, pack

    config = PackConfig(
        frames=args.frames,
        squares_per_clip=args.squares_per_clip,
        squares_per_photo=args.squares_per_photo,
        seed=args.seed,
    )
    counts = pack(args.source, args.out, config)
    print(", ".join(f"{count} {kind}" for kind, count in counts.items()))
    return 0


def _check(args: argparse.Namespace) -> int:
    """Reads all data; 1 where something cannot be read."""
    from bsqav.training.codec.data import checked_shards
    from bsqav.training.paper.image_sources import checked_sources

    found = [] if args.listed else list(checked_shards(args.data))
    count = damaged = 0
    for _, reason in found or checked_sources(args.data, args.listed):
        count += 1
        if reason:
            damaged += 1
            show(reason)
    show(f"{damaged} of {count} cannot be read")
    return 1 if damaged else 0


def _settings(args: argparse.Namespace) -> int:
    """Prints the settings of a recipe, with --set applied."""
    from bsqav.evaluation.io.text import align
    from bsqav.recipes import codec, paper
    from bsqav.training.common.changes import listed

    config: object
    if args.recipe in paper.RECIPES:
        job = paper.RECIPES[args.recipe]().task
        config = paper.configured(args.recipe, job, sets=args.sets)
    elif args.recipe in codec.RECIPES:
        config = codec.configured(args.recipe, None, {}, args.sets)
    else:
        known = ", ".join([*codec.RECIPES, *paper.RECIPES])
        raise UsageError(f"no recipe {args.recipe!r}; there are {known}")
    rows = [[row.name, row.kind, row.value] for row in listed(config)]
    for line in align([["setting", "type", "value"], *rows]):
        show(line.rstrip())
    return 0


def _tokenizer(args: argparse.Namespace) -> int:
    if args.recipe.startswith(train_paper.PREFIXES):
        return train_paper.run(args)
    train_paper.refuse_options(args)
    from bsqav.recipes.check import CodecCheck, keyframe_networks, model_of
    from bsqav.recipes.codec import configured
    from bsqav.training.codec.data import held_out
    from bsqav.training.codec.loop import Trainer
    from bsqav.training.common.run import run_process
    from bsqav.training.common.setup import START, digest_of_file

    changes = train_paper.changes_of(args, CONFIGURED)
    config = configured(args.recipe, args.batch, changes, args.sets)
    keyframes = keyframe_networks(args.keyframes, config) if args.keyframes else None
    check = None
    if config.data.hold_out and math.isfinite(config.check_minutes):
        check = CodecCheck(held_out(args.data, config.data.hold_out), keyframes=keyframes)
    quantize = partial(model_of, keyframes=keyframes)
    files = {"keyframes": args.keyframes, START: args.start}
    inputs = {name: digest_of_file(path) for name, path in files.items() if path}
    inputs = {"keyframes": "", **inputs}
    trainer = Trainer(config, args.data, args.folder, check, quantize, inputs)
    begin = None if args.start is None else partial(trainer.start_from, args.start)
    with interruptible() as stop:
        train_paper.say_sets(args)
        run_process(trainer, stop.is_set, begin, args.override)
    return 0


def _export(args: argparse.Namespace) -> int:
    from bsqav.export.exporter import export_run

    text = {**(_card(args.card) if args.card else {}), "name": args.name}
    model_id = export_run(args.folder, args.out, text, args.weights, args.keyframes)
    print(f"{args.out}: model {model_id}")
    return 0


def _convert(args: argparse.Namespace) -> int:
    from bsqav.export.published import convert

    print(f"{args.out}: {convert(args.checkpoint, args.out, last=args.last)}")
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
