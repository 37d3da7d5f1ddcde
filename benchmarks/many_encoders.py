"""Many encoders at once in one process: megabytes of each, and whether all packets are right.

    python benchmarks/many_encoders.py [--count N] [--size WxH] [--lookahead N] [--threads N]

All encoders take turns, frame by frame, as streams of a server do; the weights of the model are
shared. Every packet is compared with that of a lone encoder.
"""

from __future__ import annotations

import argparse
import gc
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

import bsqav
from bsqav.codec.models import find_model
from bsqav.codec.settings import EncoderSettings

Planes = list[npt.NDArray[np.uint8]]


def resident_megabytes() -> float:
    """What this process holds in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def frame(number: int, width: int, height: int, texture: npt.NDArray[np.uint8]) -> Planes:
    """A texture that drifts."""
    moved = np.roll(texture, (number, 2 * number), (0, 1))
    sides = ((height, width), *[((height + 1) // 2, (width + 1) // 2)] * 2)
    return [np.ascontiguousarray(moved[:rows, :columns]) for rows, columns in sides]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--lookahead", type=int, default=EncoderSettings.for_files().lookahead)
    parser.add_argument("--frames", type=int, help="of each, else enough for a full lookahead")
    parser.add_argument("--threads", type=int, default=1, help="of each encoder")
    parser.add_argument("--model", help="else the default one")
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    frames = args.frames or args.lookahead + 4
    model = find_model(args.model)
    smooth = np.random.default_rng(1).integers(0, 256, (height // 8 + 1, width // 8 + 1))
    texture = np.kron(smooth, np.ones((8, 8), np.int64)).astype(np.uint8)

    def opened() -> bsqav.Encoder:
        options = {"lookahead": args.lookahead, "threads": args.threads}
        return bsqav.Encoder(width, height, model=model, frame_rate=25, **options)

    lone = opened()
    expected = [
        p.data for n in range(frames) for p in lone.encode(frame(n, width, height, texture))
    ]
    expected += [p.data for p in lone.flush()]
    del lone
    gc.collect()
    before = resident_megabytes()
    began = time.perf_counter()
    encoders = [opened() for _ in range(args.count)]
    packets: list[list[bytes]] = [[] for _ in encoders]
    peak = 0.0
    for number in range(frames):
        planes = frame(number, width, height, texture)
        for encoder, found in zip(encoders, packets, strict=True):
            found += [packet.data for packet in encoder.encode(planes)]
        peak = max(peak, resident_megabytes())
    for encoder, found in zip(encoders, packets, strict=True):
        found += [packet.data for packet in encoder.flush()]
    peak = max(peak, resident_megabytes())
    seconds = time.perf_counter() - began
    wrong = sum(found != expected for found in packets)
    print(
        f"{args.count} encoders, {width}x{height}, lookahead {args.lookahead}, {args.threads} "
        f"threads each, model {model.name}: {(peak - before) / args.count:.1f} MB each, besides "
        f"{before:.0f} MB, {args.count * frames / seconds:.1f} frames/s together, "
        f"{wrong} with wrong packets"
    )


if __name__ == "__main__":
    main()
