"""`bsqav eval table`: a table of the paper on a data set, by one command."""

from __future__ import annotations

import argparse
import re
from dataclasses import asdict
from typing import Any

from bsqav.cli.display import say
from bsqav.cli.eval_options import add_common, add_figure_options, add_tokenizer_options
from bsqav.errors import UsageError

TABLES = ("kodak", "mcl-jcv", "uvg", "imagenet", "ucf101")


def add_parser(jobs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `table`."""
    table = jobs.add_parser(
        "table", help="a table of the paper: networks, other codecs and this one at one rate"
    )
    table.add_argument("table", choices=TABLES, metavar="TABLE", help=", ".join(TABLES))
    add_tokenizer_options(table, ["tiles", "whole"])
    table.add_argument("--prior", metavar="FILE", help="weights.pt of a prior, for its row")
    add_figure_options(table)
    table.add_argument(
        "--codecs",
        metavar="NAMES",
        help="peers, between commas; of images jpeg, webp, jpeg2000, jxl, avif (default: "
        "jpeg2000,webp), of videos x264, x265, svtav1, vp9 ... (default: x264,x265, both without "
        "B frames); an empty text omits them",
    )
    table.add_argument(
        "--rate",
        type=float,
        metavar="BPP",
        help="bits per pixel of the codecs (default: the tokenizer's, with its prior if given)",
    )
    table.add_argument(
        "--size",
        metavar="WxH",
        help="that videos are scaled to, or own (default: 640x360; the paper has 1920x1080 too)",
    )
    table.add_argument("--frames", type=int, help="of each video at most (default: all)")
    table.add_argument("--codec", metavar="MODEL", help="model of the codec's own row")
    add_common(table)


def measure(args: argparse.Namespace) -> tuple[dict[str, Any], str, list[str]]:
    """The table as figures and as text, and warnings."""
    from bsqav.evaluation.compare import reference_encoders, still_codecs
    from bsqav.evaluation.research import tokens
    from bsqav.evaluation.research.features import load_features
    from bsqav.evaluation.research.tables.protocols import PROTOCOLS
    from bsqav.evaluation.research.tables.table import Choices, make_table
    from bsqav.evaluation.research.tables.text import table_text
    from bsqav.training.paper.images import MediaFolder

    protocol = PROTOCOLS[args.table]
    names = protocol.peers
    if args.codecs is not None:
        names = tuple(name for name in args.codecs.split(",") if name)
    known = reference_encoders.REFERENCES if protocol.videos else still_codecs.REFERENCES
    protocol.check_peers(names, known)
    if args.rate is not None and not args.rate > 0:
        raise UsageError(f"--rate {args.rate:g}: bits per pixel, above 0")
    squares = protocol.fit == "squares"
    if not protocol.videos or squares:
        _refuse(args, protocol.name, "size", "frames")
    if not squares:
        _refuse(args, protocol.name, "side", "features")
    choices = Choices(
        peers=names,
        size=_size(args.size) if args.size else protocol.size,
        rate=args.rate,
        codec=args.codec,
        frames=args.frames,
        side=args.side,
        way=args.fit,
        device=args.device,
    )
    model = tokens.load_tokenizer(
        args.tokenizer, published=args.published, attention=args.attention
    )
    prior = tokens.load_prior(args.prior) if args.prior else None
    lpips = tokens.load_lpips(args.lpips, args.trunk) if args.lpips else None
    network = load_features(args.features, args.device) if args.features else None
    folder = MediaFolder(args.data, 2 if protocol.videos else 1, args.listed, matrix=args.matrix)
    sources = folder.sources[: args.limit]
    name = f"BSQ-ViT, {model.quantizer.bits:g} bits"
    table = make_table(protocol, folder, sources, model, name, choices, prior, lpips, network, say)
    figures = {
        "table": protocol.name,
        "items": table.items,
        "rate": table.rate,
        "rows": [{k: v for k, v in asdict(row).items() if k != "warnings"} for row in table.rows],
        "notes": table.notes,
    }
    warnings = list(dict.fromkeys(w for row in table.rows for w in row.warnings))
    return figures, table_text(table, network), warnings


def _refuse(args: argparse.Namespace, table: str, *names: str) -> None:
    for name in names:
        if getattr(args, name) is not None:
            raise UsageError(f"--{name}: the table {table} has no use of it")


def _size(text: str) -> tuple[int, int] | None:
    if text == "own":
        return None
    found = re.fullmatch(r"(\d{2,5})x(\d{2,5})", text)
    if found is None:
        raise UsageError(f"--size {text!r}: give WxH, such as 640x360, or own")
    return int(found[1]), int(found[2])
