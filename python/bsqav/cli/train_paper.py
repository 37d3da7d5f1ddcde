"""The jobs of `bsqav train` on the paper's own networks: tokenizer, prior and masked-lm."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bsqav.cli.interrupts import interruptible
from bsqav.errors import UsageError

# Recipes of these networks begin so; others are the codec's.
PREFIXES = ("paper-", "small-")
# Options that are fields of PhaseConfig, and ones that other networks have.
CONFIGURED = (
    "checkpoint_minutes",
    "steps",
    "minutes",
    "threads",
    "seed",
    "compiled",
    "sharded",
    "attention",
    "board",
)
POSITIVE = ("steps", "minutes", "batch", "threads", "check_minutes", "checkpoint_minutes")
OTHERS = ("batched", "graphs", "check_minutes", "keyframes")
# How argparse takes options that switch something on; None, the recipe's, where they are not given.
SWITCH: Any = {"action": "store_const", "const": True}


def add_tokenizer_options(train: argparse.ArgumentParser) -> None:
    """What only the paper's tokenizers take."""
    paper = train.add_argument_group("recipes of the paper (paper-..., small-...)")
    lpips = paper.add_mutually_exclusive_group()
    lpips.add_argument(
        "--lpips",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="weights of LPIPS: torchvision's vgg16 and the authors' heads; recipes with LPIPS in "
        "the loss need this or the next option",
    )
    lpips.add_argument("--no-lpips", action="store_true", help="leave LPIPS out of the loss")
    paper.add_argument(
        "--images",
        dest="stills",
        type=Path,
        metavar="FOLDER",
        help="images for a tokenizer of videos besides those, in data.image_share of the steps",
    )
    paper.add_argument(
        "--published",
        **SWITCH,
        help="--start is a checkpoint of the authors' program, whose network is taken as it is",
    )
    paper.add_argument(
        "--discriminator",
        choices=("style", "patch", "clip"),
        help="of recipes with an adversary: StyleGAN2's (default), PatchGAN, or of videos "
        "StyleGAN2's over whole clips instead of single frames",
    )
    add_common_options(paper)


def refuse_options(args: argparse.Namespace) -> None:
    """Raises UsageError where the codec's own recipes are given what only the paper's take."""
    names = {"listed": "list", "sharded": "fsdp", "stills": "images"}
    tokenizers = ("lpips", "no_lpips", "discriminator", "published", "validate", "stills")
    for dest in (*tokenizers, "listed", "sharded", "attention", "skip_damaged", "matrix"):
        if getattr(args, dest):
            name = names.get(dest, dest).replace("_", "-")
            raise UsageError(f"--{name} is for recipes of the paper")


def add_common_options(train: Any) -> None:
    """Which files of the folder count, and how several processes share the work."""
    train.add_argument(
        "--fsdp",
        dest="sharded",
        **SWITCH,
        help="under torchrun: spread weights over the processes (FSDP2), not gradients alone",
    )
    train.add_argument(
        "--attention",
        choices=("sdpa", "flex"),
        help="of tokenizers of videos: scaled_dot_product_attention (default), or flex attention, "
        "which skips what the mask hides (training needs a GPU)",
    )
    train.add_argument(
        "--validate",
        type=Path,
        metavar="DATA",
        help="data like those of the run, held out: figures in validation.jsonl every "
        "run.validate_steps, and the best weights as best.pt",
    )
    train.add_argument(
        "--list",
        dest="listed",
        type=Path,
        metavar="FILE",
        help="text file of the paths under --data to take, one a line (UCF-101's splits)",
    )
    train.add_argument(
        "--skip-damaged",
        **SWITCH,
        help="take others in place of images and videos that cannot be read, and count them",
    )
    train.add_argument(
        "--matrix",
        choices=("auto", "bt601", "bt709"),
        help="of raw videos (.yuv); auto (default): BT.709 from 720 lines on, BT.601 below",
    )


def add_token_jobs(
    jobs: argparse._SubParsersAction[argparse.ArgumentParser],
    add_machine_options: Callable[[argparse.ArgumentParser], None],
) -> None:
    """Adds the jobs on the tokens of a finished tokenizer."""
    helps = {
        "prior": "train the paper's autoregressive prior over tokens",
        "masked-lm": "train the masked language model that generates images",
    }
    for name, words in helps.items():
        job = jobs.add_parser(name, help=words)
        job.add_argument("recipe", help=f"name of a recipe, e.g. small-{name}")
        data = job.add_mutually_exclusive_group(required=True)
        data.add_argument("--data", type=Path, help="folder of images or videos")
        data.add_argument("--tokens", type=Path, help="folder of shards of `bsqav tokenize`")
        job.add_argument("--run", dest="folder", type=Path, required=True, help="folder of the run")
        job.add_argument(
            "--tokenizer",
            type=Path,
            help="weights.pt, folder or name of a tokenizer; with --tokens it may be omitted",
        )
        add_common_options(job)
        add_machine_options(job)


def changes_of(args: argparse.Namespace, configured: Sequence[str]) -> dict[str, Any]:
    """What the command line changes of a recipe, by the names of its configuration's fields."""
    for name in POSITIVE:
        value = getattr(args, name)
        if value is not None and not value > 0:
            raise UsageError(f"--{name.replace('_', '-')} {value}: more than 0")
    given = {name: getattr(args, name) for name in configured}
    return {name: value for name, value in given.items() if value is not None}


def say_sets(args: argparse.Namespace) -> None:
    """Says what --set changed, for the log of a run."""
    if args.sets:
        print(f"set: {' '.join(args.sets)}", file=sys.stderr, flush=True)


def run(args: argparse.Namespace) -> int:
    """Trains one of the paper's networks; returns the exit status."""
    from bsqav.recipes.paper import configured
    from bsqav.recipes.starting import start
    from bsqav.training.common.run import run_process

    for name in OTHERS:
        if getattr(args, name, None) is not None:
            raise UsageError(f"--{name.replace('_', '-')} is for the codec's own recipes")
    changes = changes_of(args, CONFIGURED)
    tokens: Path | None = getattr(args, "tokens", None)
    if tokens is not None and (args.listed or args.skip_damaged or args.matrix):
        raise UsageError("--list, --skip-damaged and --matrix are for --data, not for --tokens")
    discriminator = getattr(args, "discriminator", None)
    lpips = not getattr(args, "no_lpips", False)
    recipe = configured(
        args.recipe, args.task, args.batch, changes, discriminator, lpips=lpips, sets=args.sets
    )
    trainer = start(
        recipe,
        tokens or args.data,
        args.folder,
        device=args.device or "auto",
        tokenizer=getattr(args, "tokenizer", None),
        tokens=tokens is not None,
        validate=args.validate,
        stills=getattr(args, "stills", None),
        published=bool(getattr(args, "published", None)),
        weights=getattr(args, "start", None),
        lpips=tuple(getattr(args, "lpips", ())),
        listed=args.listed,
        skip_damaged=bool(args.skip_damaged),
        matrix=args.matrix or "auto",
    )
    with interruptible() as stop:
        say_sets(args)
        run_process(trainer, stop.is_set, override=args.override)
    return 0
