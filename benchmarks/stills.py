"""BSQ stills compared with JPEG, WebP and JPEG 2000 over a folder of pictures.

    python benchmarks/stills.py FOLDER [--crf 26,32,38,44,50,54,57] [--json FILE]

Prints mean curves, the qualities at the rates of the BSQ-ViT paper, BD-rates, and the settings of
every codec; --json writes every figure, those of single pictures too. Needs the extra `compare`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bsqav.errors import BsqError
from bsqav.evaluation.compare.stills import (
    PAPER_RATES,
    REFERENCES,
    bsq_codec,
    measure_stills,
    pictures_in,
)
from bsqav.evaluation.compare.stills_table import format_stills


def numbers(text: str) -> tuple[float, ...]:
    """Numbers between commas."""
    return tuple(float(part) for part in text.split(","))


def main() -> None:
    """Parses the arguments, measures, and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--crf", type=numbers, default=numbers("26,32,38,44,50,54,57"))
    parser.add_argument("--codecs", default=",".join(REFERENCES), help="default %(default)s")
    parser.add_argument("--rates", type=numbers, default=PAPER_RATES, help="bits per pixel")
    parser.add_argument("--pictures", type=int, default=None, help="the first so many only")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--model", default=None)
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args()
    names = [name for name in args.codecs.split(",") if name]
    if unknown := [name for name in names if name not in REFERENCES]:
        parser.error(f"unknown codecs {', '.join(unknown)}: take from {', '.join(REFERENCES)}")
    try:
        result = measure_stills(
            pictures_in(args.folder)[: args.pictures],
            [bsq_codec(args.crf, args.model, args.threads), *(REFERENCES[name] for name in names)],
            rates=args.rates,
            progress=lambda text: print(text, file=sys.stderr),
        )
    except BsqError as error:
        raise SystemExit(f"stills: {error}") from error
    print(format_stills(result))
    if args.json is not None:
        args.json.write_text(result.to_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
