"""Pictures per second of the decoder on a CUDA device, beside the processor's.

    BSQAV_CUDA_LIBRARY=.../libbsq_cuda.so python benchmarks/cuda_speed.py [CLIP]
        [--size 1920x1080] [--frames 96] [--crf 32] [--threads 0]

The clip is encoded on the processor; without one a moving texture is made. "device" leaves the
pictures in the device's memory, "host" copies them. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from codec_speed import code, moving_texture, read_clip

from bsqav import Decoder
from bsqav.codec.models import default_model, find_model


def decode_fps(packets: list[bytes], take: Callable[[bytes], list[Any]]) -> float:
    """Of a second pass over the packets, the first one being to warm up."""
    count, seconds = 0, 0.0
    for _ in range(2):
        began = time.perf_counter()
        last = [take(data) for data in packets][-1]
        for plane in last[0].planes:
            if hasattr(plane, "__dlpack__"):
                plane.__dlpack__()  # waits until the last picture is there
        seconds = time.perf_counter() - began
        count = len(packets)
    return round(count / seconds, 2)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", nargs="?")
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--crf", type=float, default=32)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--model")
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args()
    width, height = (int(part) for part in args.size.split("x"))
    model = find_model(args.model) if args.model else default_model()
    if args.clip:
        pictures = read_clip(args.clip, width, height, args.frames)
    else:
        pictures = moving_texture(width, height, args.frames)
    figures, packets = code(pictures, model, args.crf, args.threads)

    def decoder() -> Decoder:
        return Decoder(models=[model], threads=args.threads, device=args.device, strict=True)

    figures["device_fps"] = decode_fps(packets, decoder().decode_on_device)
    figures["host_fps"] = decode_fps(packets, decoder().decode)
    print(json.dumps({"size": args.size, "crf": args.crf, "model": model.name, **figures}))


if __name__ == "__main__":
    main()
