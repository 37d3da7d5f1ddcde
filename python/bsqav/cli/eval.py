"""`bsqav eval`: measures the paper's networks: reconstruction, compression, generation."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bsqav.cli import eval_table
from bsqav.cli.display import say, show, warn
from bsqav.cli.eval_options import (
    FEATURES,
    add_common,
    add_figure_options,
    add_tokenizer_options,
)
from bsqav.errors import MissingDependencyError, UsageError

# Qualities of the codec that a prior is compared with.
CRFS = (32.0, 40.0, 48.0, 56.0)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand and its own subcommands."""
    parser = subparsers.add_parser(
        "eval", help="measure the paper's networks (needs PyTorch)", description=__doc__
    )
    jobs = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    reconstruction = jobs.add_parser("reconstruction", help="a tokenizer's images and codes")
    add_figure_options(reconstruction)
    compression = jobs.add_parser(
        "compression", help="bits of tokens with and without a prior, compared with the codec's"
    )
    compression.add_argument("--prior", type=Path, required=True, help="weights.pt of a prior")
    compression.add_argument(
        "--codec",
        metavar="MODEL",
        help="model of the codec that it is compared with",
    )
    compression.add_argument(
        "--crf",
        type=float,
        nargs="*",
        default=CRFS,
        help="qualities of the codec it is compared with; none after --crf omits it "
        f"(default: {' '.join(f'{crf:g}' for crf in CRFS)})",
    )
    for job, names in (
        (reconstruction, ["squares", "tiles", "whole"]),
        (compression, ["squares", "tiles"]),
    ):
        add_tokenizer_options(job, names)
        add_common(job)
        _add_batch(job)
    _add_generation(jobs)
    eval_table.add_parser(jobs)
    parser.set_defaults(run=run)


def _add_generation(jobs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    generation = jobs.add_parser(
        "generation", help="FID, IS, precision and recall of images, FVD of videos"
    )
    generation.add_argument("data", type=Path, help="folder of generated images or videos")
    generation.add_argument(
        "reference", type=Path, help="folder of real ones, or an .npz of their statistics"
    )
    generation.add_argument("--features", required=True, metavar="FILE", help=FEATURES)
    generation.add_argument(
        "--side",
        type=int,
        help="scale and crop all to that many pixels a side (default: that of the samples, which "
        "must be squares of one size then)",
    )
    generation.add_argument(
        "--frames", type=int, default=1, help="of each video, the first ones (default: images)"
    )
    generation.add_argument(
        "--neighbours", type=int, default=3, help="of precision and recall (default: 3)"
    )
    generation.add_argument(
        "--save", type=Path, metavar="FILE.npz", help="write the reference's statistics"
    )
    add_common(generation)
    _add_batch(generation)


def _add_batch(job: argparse.ArgumentParser) -> None:
    job.add_argument("--batch", type=int, default=8)


def run(args: argparse.Namespace) -> int:
    """Measures and prints; returns the exit status."""
    for name in ("side", "batch", "limit", "frames", "neighbours"):
        value = getattr(args, name, None)
        if value is not None and value < 1:
            raise UsageError(f"--{name} {value}: at least 1")
    if find_spec("torch") is None:
        raise MissingDependencyError("measuring networks needs PyTorch: pip install 'bsqav[train]'")
    jobs = {
        "reconstruction": _reconstruction,
        "compression": _compression,
        "table": eval_table.measure,
        "generation": _generation,
    }
    figures, text, warnings = jobs[args.task](args)
    for warning in warnings:
        warn(warning)
    if args.json:
        json.dump({**figures, "warnings": warnings}, sys.stdout, indent=2)
        show()
    else:
        show(text)
    return 0


Outcome = tuple[dict[str, Any], str, list[str]]


def _model_and_batches(args: argparse.Namespace) -> tuple[Any, list[Any] | Iterator[Any]]:
    from bsqav.evaluation.research import tokens
    from bsqav.training.paper.images import centre_squares, whole_images

    if args.fit != "squares" and args.side is not None:
        raise UsageError("--side is for squares only: omit it, or --fit")
    model = tokens.load_tokenizer(
        args.tokenizer, published=args.published, attention=args.attention
    )
    side = args.side or model.config.size[0]
    if side % model.config.patch:
        raise UsageError(f"--side {side} is no multiple of the patch of {model.config.patch}")
    frames, limit = model.config.frames, args.limit
    listed, matrix = args.listed, args.matrix
    _say_matrix(args, args.data, frames, listed)
    if args.fit != "squares":
        return model, whole_images(args.data, frames, limit, listed, matrix)
    batches = centre_squares(
        args.data, side, args.batch, frames, limit, listed=listed, matrix=matrix
    )
    return model, batches


def _say_matrix(
    args: argparse.Namespace, root: Path, frames: int, listed: Path | None = None
) -> None:
    """Says by which matrix raw videos are read, where there are any."""
    from bsqav.training.paper.images import MediaFolder

    if frames > 1 and (words := MediaFolder(root, frames, listed, matrix=args.matrix).matrices()):
        say(f"raw videos: {words}")


def _reconstruction(args: argparse.Namespace) -> Outcome:
    from bsqav.evaluation.research import research_tables, tokens
    from bsqav.evaluation.research.features import load_features

    model, batches = _model_and_batches(args)
    lpips = tokens.load_lpips(args.lpips, args.trunk) if args.lpips else None
    network = load_features(args.features, args.device) if args.features else None
    way = None if args.fit == "squares" else args.fit
    found = tokens.reconstruction(model, iter(batches), lpips, args.device, network, way)
    figures = asdict(found)
    figures |= figures.pop("distances")
    if network is not None:
        figures["features"] = network.source
    return figures, research_tables.reconstruction_text(found, network), figures.pop("warnings")


def _compression(args: argparse.Namespace) -> Outcome:
    from bsqav.codec.models import find_model
    from bsqav.evaluation.research import research_tables, tokens
    from bsqav.evaluation.research.integer_prior import integer_prior

    if any(not 0 <= crf <= 63 for crf in args.crf):
        raise UsageError("--crf: from 0 to 63")
    model, batches = _model_and_batches(args)
    prior = tokens.load_prior(args.prior)
    codec = None
    if args.crf:
        codec = find_model(args.codec)
        batches = list(batches)
    tiles = args.fit == "tiles"
    found = tokens.compression(model, prior, iter(batches), args.device, tiles=tiles)
    compared = [integer_prior(batches, codec, crf) for crf in args.crf] if codec else []
    name = codec.name if codec else ""
    patch = model.config.patch
    what = f"{found.bits:g} bits, {patch} x {patch}"
    unit = "images" if model.config.frames == 1 else "clips"
    text = research_tables.compression_text(found, compared, name, what, unit)
    rows = [{"model": name, **asdict(row)} for row in compared]
    return {**asdict(found), "integer_prior": rows}, text, []


def _generation(args: argparse.Namespace) -> Outcome:
    from bsqav.evaluation.research import generated, research_tables
    from bsqav.evaluation.research.distribution import moments, save_moments
    from bsqav.evaluation.research.features import load_features
    from bsqav.training.paper.images import own_side

    if args.save is not None and args.save.suffix != ".npz":
        raise UsageError(f"--save {args.save}: statistics are written as .npz")
    network = load_features(args.features, args.device)
    generated.check_kind(network, args.frames)
    side = args.side or own_side(args.data, args.frames)
    samples, warnings = _gathered(args, network, args.data, side)
    if args.reference.suffix == ".npz":
        reference = generated.read_reference(network, args.reference)
    else:
        real, more = _gathered(args, network, args.reference, side)
        reference, warnings = moments(real.features, network.source), warnings + more
    found = generated.compare_sets(network, samples, reference, args.neighbours)
    warnings += found.warnings
    if args.save is not None:
        save_moments(args.save, reference)
    score, spread = found.inception_score or (None, None)
    figures = {
        "samples": found.samples,
        "reference": found.reference,
        "features": network.source,
        network.key: found.distance,
        "inception_score": score,
        "inception_score_deviation": spread,
        "precision": found.precision,
        "recall": found.recall,
        "neighbours": args.neighbours,
    }
    return figures, research_tables.generation_text(found, network, args.neighbours), warnings


def _gathered(args: argparse.Namespace, network: Any, root: Path, side: int) -> Any:
    """Features of a folder, and warnings of what was left out.

    Samples have one size where none is asked for; the reference is brought to it.
    """
    from bsqav.evaluation.research.generated import gather
    from bsqav.training.paper.images import MediaFolder, centre_squares

    strict = args.side is None and root == args.data
    limit, frames = args.limit, args.frames
    _say_matrix(args, root, frames)
    batches = centre_squares(
        root, side, args.batch, frames, limit, strict=strict, matrix=args.matrix
    )
    found = gather(network, batches, args.device)
    short = len(MediaFolder(root, frames).sources[:limit]) - len(found.features)
    words = f"{root}: {short} of the videos have fewer than {frames} frames and were left out"
    return found, [words] if short else []
