"""Parallel groups of pictures compared with one encoder: speed, rate and quality of a file.

    python benchmarks/parallel_groups.py CLIP [--parallel N] [--threads N] [--crf LIST] [--gop N]
        [--size WxH] [--frames N] [--repeats N] [--model NAME]

One encoder with all threads and N encoders that share them take turns. Time is that of whole runs
from memory, first picture to last packet; quality is the mean PSNR of luma. With four crfs and more
there is a BD-rate.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from typing import Any

import av
import numpy as np

import bsqav
from bsqav.codec.frame_format import FrameConverter
from bsqav.codec.models import find_model
from bsqav.codec.settings import EncoderSettings
from bsqav.codec.units import Plane
from bsqav.evaluation.metrics.bdrate import MIN_POINTS, bd_rate


@dataclass
class Coded:
    """What one run gave."""

    seconds: float
    packets: list[bsqav.Packet]

    @property
    def bits(self) -> int:
        """Of all packets."""
        return 8 * sum(map(len, self.packets))


def read(path: str, size: tuple[int, int] | None, frames: int | None) -> list[list[Plane]]:
    """Pictures of a clip in 8 bits."""
    pictures: list[list[Plane]] = []
    converter: FrameConverter | None = None
    with av.open(path) as clip:
        for frame in clip.decode(video=0):
            if converter is None:
                converter = FrameConverter(frame, scale=size, pixel_format="yuv420p", warn=print)
            pictures.append([plane.copy() for plane in converter.convert(frame)])
            if len(pictures) == frames:
                break
    return pictures


def code(pictures: list[list[Plane]], **options: Any) -> Coded:
    """One run over all pictures."""
    height, width = pictures[0][0].shape
    began = time.perf_counter()
    encoder = bsqav.Encoder(
        width, height, frame_rate=25, settings=EncoderSettings.for_files(), **options
    )
    packets = [packet for picture in pictures for packet in encoder.encode(picture)]
    packets += encoder.flush()
    return Coded(time.perf_counter() - began, packets)


def psnr(pictures: list[list[Plane]], coded: Coded) -> float:
    """Mean over the pictures, of luma as a decoder shows it."""
    decoder = bsqav.Decoder()
    frames = [frame for packet in coded.packets for frame in decoder.decode(packet)]
    frames += decoder.flush()
    values = []
    for picture, frame in zip(pictures, frames, strict=True):
        error = np.mean((picture[0].astype(np.float64) - frame.planes[0]) ** 2)
        values.append(10 * np.log10(255**2 / error) if error else 100.0)
    return statistics.fmean(values)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip")
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2, help="of both together or of the one")
    parser.add_argument("--crf", default="32", help="separated by commas")
    parser.add_argument("--gop", type=int, default=250)
    parser.add_argument("--size", help="WxH")
    parser.add_argument("--frames", type=int)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--model", help="else the default one")
    args = parser.parse_args()
    size = None
    if args.size:
        width, height = (int(side) for side in args.size.split("x"))
        size = width, height
    pictures = read(args.clip, size, args.frames)
    model = find_model(args.model)
    curves: dict[int, list[tuple[float, float]]] = {1: [], args.parallel: []}
    ratios = []
    for crf in map(float, args.crf.split(",")):
        runs: dict[int, list[Coded]] = {1: [], args.parallel: []}
        for _ in range(args.repeats):
            for parallel, coded in runs.items():
                options = {"crf": crf, "gop": args.gop, "model": model, "threads": args.threads}
                coded.append(code(pictures, parallel=parallel, **options))
        for parallel, coded in runs.items():
            curves[parallel].append((coded[0].bits, psnr(pictures, coded[0])))
            seconds = statistics.median(run.seconds for run in coded)
            print(
                f"crf {crf:g}, parallel {parallel}: {len(pictures) / seconds:.1f} frames/s, "
                f"{coded[0].bits} bits, {curves[parallel][-1][1]:.3f} dB, "
                f"{sum(packet.keyframe for packet in coded[0].packets)} keyframes",
                flush=True,
            )
        pairs = zip(*runs.values(), strict=True)
        ratios += [one.seconds / several.seconds for one, several in pairs]
    print(
        f"speed of {args.parallel} over 1 in {args.threads} threads: "
        f"{statistics.median(ratios):.3f} ({min(ratios):.3f} .. {max(ratios):.3f})"
    )
    if len(curves[1]) >= MIN_POINTS:
        print(f"BD-rate: {bd_rate(curves[1], curves[args.parallel]).value:+.2f} %")


if __name__ == "__main__":
    main()
