"""Typical bit rates and qualities by crf, as a table for docs/cli.md.

    python benchmarks/crf_table.py CLIP... [--size 640x360] [--frames 150] [--crf 16,24,32,40,48,56]

Every clip is scaled to the size and played forward and backward to the number of frames. For every
crf the table has the least, the middle and the greatest of the clips' mean rates, in bits per pixel
and, at the size and 30 frames a second, in kb/s; and the middle PSNR-Y.
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

PICTURES_PER_SECOND = 30


def measure(frames: list[Planes], model: Any, crf: float) -> tuple[float, float]:
    """Bits per pixel and PSNR-Y in dB, means over the frames."""
    height, width = frames[0][0].shape
    coded = encode(frames, model, crf, lookahead=EncoderSettings.for_files().lookahead)
    bits = sum(8 * len(packet.data) for packet, _ in coded)
    psnr = sum(stats["psnr_y"] for _, stats in coded)
    return bits / (len(frames) * width * height), psnr / len(frames)


def row(crf: float, figures: list[tuple[float, float]], pixels: int) -> str:
    """A line of the table."""
    rates = sorted(rate for rate, _ in figures)
    chosen = (rates[0], statistics.median(rates), rates[-1])
    kilobits = " / ".join(f"{rate * pixels * PICTURES_PER_SECOND / 1000:.0f}" for rate in chosen)
    bpp = " / ".join(f"{rate:.3f}" for rate in chosen)
    psnr = statistics.median(value for _, value in figures)
    return f"| {crf:g} | {bpp} | {kilobits} | {psnr:.1f} |"


def main() -> None:
    """Prints the table, line by line."""
    parser = argparse.ArgumentParser(description="Typical bit rates by crf.")
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--crf", default="16,24,32,40,48,56")
    parser.add_argument("--model")
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    model = find_model(args.model)
    clips = [read_frames(path, width, height, args.frames) for path in args.clips]
    print("| crf | bits per pixel | kb/s | PSNR-Y |\n|---|---|---|---|")
    for crf in map(float, args.crf.split(",")):
        figures = [measure(frames, model, crf) for frames in clips]
        print(row(crf, figures, width * height), flush=True)


if __name__ == "__main__":
    main()
