"""What the key-value cache of a video tokenizer brings: time a frame and memory, on this machine.

    python benchmarks/stream_cache.py [--size tiny|small|base] [--frames N] [--side PIXELS] [--flex]

Three ways to encode a clip: whole; frame by frame with the cache; frame by frame without it, each
time from the clip's beginning; with --flex also whole by flex attention. Random weights do.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from bsqav.nn.paper.attention import choose_attention
from bsqav.nn.paper.bsqvit import SIZES, BSQViT, sized
from bsqav.nn.paper.streaming import StreamingEncoder


def seconds(run: Callable[[], object], repeats: int) -> float:
    """The fastest of a few runs."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> None:
    """Measures and prints a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--flex", action="store_true", help="whole by flex attention as well")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    model = BSQViT(sized(args.size, 18, (args.side, args.side), args.frames)).eval()
    clip = torch.rand(1, 3, args.frames, args.side, args.side) * 2 - 1
    encoder = StreamingEncoder(model)

    def stream() -> None:
        encoder.reset()
        for t in range(args.frames):
            encoder.push(clip[:, :, t])

    def again() -> None:
        for t in range(args.frames):
            model.tokenize(clip[:, :, : t + 1])

    ways: dict[str, Callable[[], object]] = {
        "whole": lambda: model.tokenize(clip),
        "cache": stream,
        "no cache": again,
    }
    if args.flex:
        whole = ways["whole"]

        def flex() -> None:
            choose_attention(model, "flex")
            whole()
            choose_attention(model, "sdpa")

        flex()  # compiles
        ways["flex"] = flex
    for name, run in ways.items():
        took = seconds(run, args.repeats)
        print(f"{name:9} {1000 * took / args.frames:8.1f} ms a frame")
    print(f"cache     {encoder.nbytes / 1e6:8.1f} MB (encoder)")


if __name__ == "__main__":
    main()
