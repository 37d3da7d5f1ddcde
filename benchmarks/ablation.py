"""What a change of the codec brings: two builds or two settings, as rows for docs/ablations.md.

    python benchmarks/ablation.py --a lookahead=24 --b lookahead=8
    python benchmarks/ablation.py --before ../bsqav-main [--after ../other] [CLIP...]
    python benchmarks/ablation.py --before ../other/.venv/bin/python --b preset=slow

A is the build `--before` with the settings `--a`, B the build `--after` with `--b`; without these
options it is this build with the defaults of files. A build is a checkout whose extension is in
python/bsqav, a folder that holds the package, a virtual environment, or its interpreter. A setting
is one of `bsqav transcode` (lookahead=8, preset=slow), or `model=FILE`.

Every clip (default: all of $BSQAV_DATA/eval/clips) is coded at five crfs with one keyframe. Printed
are BD-rates by clip and their mean, and bits by kind of symbol and by level of the frame. Results
are cached by content (library, model, settings, clip, frames), so that an A that has been measured
costs nothing: the cache is that of `bsqav compare`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from bsqav.cli.parsing import setting
from bsqav.errors import BsqError
from bsqav.evaluation.ablation.builds import Build, BuildCodec
from bsqav.evaluation.ablation.run import AblationConfig, ablate
from bsqav.evaluation.ablation.table import format_ablation
from bsqav.evaluation.io.cache import Cache, cache_folder
from bsqav.evaluation.io.inputs import expand_inputs

CRFS = "26,32,38,44,50"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("clips", nargs="*", metavar="CLIP", help="clips, folders, patterns")
    made.add_argument("--before", type=Path, metavar="BUILD", help="build of A (default: this)")
    made.add_argument("--after", type=Path, metavar="BUILD", help="build of B (default: this)")
    for side in ("a", "b"):
        made.add_argument(
            f"--{side}",
            type=setting,
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help=f"a setting of {side.upper()}; may be repeated",
        )
    made.add_argument("--crf", default=CRFS, metavar="LIST", help="default %(default)s")
    made.add_argument("--frames", type=int, default=48, help="of a clip at most, default 48")
    made.add_argument(
        "--width", type=int, default=640, help="wider clips are scaled to it, 0: none"
    )
    made.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="default: processors")
    made.add_argument("--json", type=Path, metavar="FILE", help="write every figure")
    made.add_argument("--no-cache", action="store_true", help="measure everything again")
    made.add_argument("--quiet", action="store_true", help="no progress on standard error")
    return made


def default_clips() -> list[str]:
    """The folder of evaluation clips, where there is one."""
    data = os.environ.get("BSQAV_DATA")
    return [] if data is None else [str(Path(data) / "eval" / "clips")]


def main() -> int:
    """Measures and prints; exit status 1 where anything failed."""
    args = parser().parse_args()
    named = args.clips or default_clips()
    if not named:
        parser().error("name clips, or set BSQAV_DATA to a folder with eval/clips")

    def progress(text: str) -> None:
        if not args.quiet:
            print(text.replace(": bsq ", ": B ", 1), file=sys.stderr, flush=True)

    began = time.perf_counter()
    try:
        config = AblationConfig(
            [float(text) for text in args.crf.split(",")], args.frames, args.width, args.jobs
        )
        a, b = (
            BuildCodec(Build() if build is None else Build.at(build), dict(settings))
            for build, settings in ((args.before, args.a), (args.after, args.b))
        )
        cache = None if args.no_cache else Cache(cache_folder())
        result = ablate(expand_inputs(named), a, b, config, cache=cache, progress=progress)
    except (BsqError, OSError, ValueError) as error:
        print(f"ablation: {error}", file=sys.stderr)
        return 1
    print(format_ablation(result, (a.title, b.title)))
    minutes, seconds = divmod(round(time.perf_counter() - began), 60)
    print(f"\n{minutes}:{seconds:02} minutes", file=sys.stderr)
    if args.json is not None:
        args.json.write_text(result.to_json() + "\n", encoding="utf-8")
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
