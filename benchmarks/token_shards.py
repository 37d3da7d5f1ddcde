"""Training a prior on shards of tokens beside training it on pixels, in steps a second.

    python benchmarks/token_shards.py DATA --tokenizer photos-image [--recipe small-prior]
        [--steps 60] [--rounds 3] [--set NAME=VALUE ...]

DATA is a folder of images, or of videos for a tokenizer of videos. It is tokenized first, which is
not counted, then runs on pixels and on tokens take turns, from the same seed. Images stay in memory
after they were read once as long as 1 GiB holds them, videos do not; --no-cache reads images anew,
as with a data set that memory does not hold. Shown are the medians over the rounds, without what a
run does before its first step.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from bsqav.nn import BSQViT, load_model
from bsqav.recipes import paper
from bsqav.recipes.starting import start
from bsqav.training.paper import images
from bsqav.training.paper.tokenizing import TokenizeConfig, sources_of, tokenize

WARM_UP = 3  # steps


def steps_per_second(
    recipe: paper.Recipe, data: Path, tokenizer: Path | None, steps: int, folder: Path
) -> float:
    """Of a new run; tokenizer None: the data are tokens."""
    trainer = start(
        recipe, data, folder, device="cpu", tokenizer=tokenizer, tokens=tokenizer is None
    )
    trainer.net.train()
    trainer.open_stream()
    for _ in range(WARM_UP):
        trainer.advance()
    began = time.perf_counter()
    for _ in range(steps):
        trainer.advance()
    return steps / (time.perf_counter() - began)


def main() -> None:
    """Measures and prints both rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--recipe", default="small-prior")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-cache", action="store_true")
    parser.add_argument("--set", dest="sets", action="append", default=[])
    args = parser.parse_args()
    if args.no_cache:
        images.CACHE_BYTES = 0
    recipe = paper.configured(args.recipe, "prior", sets=args.sets)
    model = load_model(args.tokenizer, BSQViT)
    rates: dict[str, list[float]] = {"pixels": [], "tokens": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = sources_of([args.data], videos=model.config.frames > 1)
        count = tokenize(model, sources, folder / "tokens", TokenizeConfig(crops=4, clips=8))
        for turn in range(args.rounds):
            for kind in rates:
                data, known = folder / "tokens", None
                if kind == "pixels":
                    data, known = args.data, args.tokenizer
                run = folder / f"{kind}-{turn}"
                rates[kind].append(steps_per_second(recipe, data, known, args.steps, run))
    pixels, tokens = (statistics.median(values) for values in rates.values())
    print(
        f"{args.recipe}, {len(sources)} files, {count} samples, {torch.get_num_threads()} threads:"
    )
    print(f"{pixels:.2f} steps/s on pixels, {tokens:.2f} on tokens, {tokens / pixels:.1f} times")


if __name__ == "__main__":
    main()
