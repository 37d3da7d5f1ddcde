"""Whether long groups of frames lose quality, and whether keyframes pulse.

    python benchmarks/drift.py CLIP... [--size 640x360] [--frames 600] [--crf 24,36,48]

Every clip is played forward and backward to the number of frames and coded twice: as one group, and
with a keyframe every 60 frames. Prints for every crf the PSNR-Y of the last 60 frames both
ways, and by how much a keyframe is above the mean of the frames around it. All is coded as
files are, with the lookahead.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from bsqav.codec.models import find_model
from bsqav.codec.settings import EncoderSettings
from bsqav.evaluation.io.coding import encode
from bsqav.evaluation.io.frames import read_frames
from bsqav.evaluation.io.y4m import Planes

TAIL = 60


def qualities(frames: list[Planes], model: Any, crf: float, gop: int) -> list[float]:
    """PSNR-Y of every frame."""
    coded = encode(frames, model, crf, gop=gop, lookahead=EncoderSettings.for_files().lookahead)
    return [stats["psnr_y"] for _, stats in coded]


def pulse(found: list[float], gop: int) -> float:
    """Mean height of keyframes, but the first, over the six frames before and after them."""
    heights = [
        found[k] - statistics.mean(found[k - 6 : k] + found[k + 1 : k + 7])
        for k in range(gop, len(found) - 6, gop)
    ]
    return statistics.mean(heights)


def main() -> None:
    """Prints the table, line by line."""
    parser = argparse.ArgumentParser(description="Drift and pulsing in long groups.")
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--crf", default="24,36,48")
    parser.add_argument("--model")
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    model = find_model(args.model)
    print(
        "| clip | crf | last 60, one group | with keyframes | difference | keyframe over others |"
    )
    print("|---|---|---|---|---|---|")
    for path in args.clips:
        frames = read_frames(path, width, height, args.frames)
        for crf in map(float, args.crf.split(",")):
            whole = statistics.mean(qualities(frames, model, crf, args.frames)[-TAIL:])
            often = qualities(frames, model, crf, TAIL)
            tail = statistics.mean(often[-TAIL:])
            name = path.rsplit("/", 1)[-1]
            print(
                f"| {name} | {crf:g} | {whole:.2f} dB | {tail:.2f} dB | {whole - tail:+.2f} dB |"
                f" {pulse(often, TAIL):+.2f} dB |",
                flush=True,
            )


if __name__ == "__main__":
    main()
