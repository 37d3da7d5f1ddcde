"""Frames per second of encoder and decoder on a CUDA device, compared with the processor's.

    BSQAV_CUDA_LIBRARY=.../libbsq_cuda.so python benchmarks/cuda_speed.py [CLIP]
        [--size 1920x1080] [--frames 96] [--crf 32] [--lookahead 24] [--threads 0]

Without a clip a moving texture is coded. "device" leaves decoded frames in the device's memory
and encodes from there, "host" copies them. Every figure is of a second pass, the first one being
to warm up. Packets and frames must be those of the processor, or the program fails. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bsqav import Decoder, Encoder
from bsqav.codec.models import find_model
from bsqav.evaluation.io.frames import moving_texture, read_frames


def timed(run: Callable[[], Any], count: int) -> tuple[Any, float]:
    """What the second of two runs gives, and its frames per second."""
    run()
    began = time.perf_counter()
    result = run()
    return result, round(count / (time.perf_counter() - began), 2)


def encode(frames: Sequence[Any], **options: Any) -> list[bytes]:
    """Packets of all frames."""
    encoder = Encoder(frame_rate=25, **options)
    packets = [packet for frame in frames for packet in encoder.encode(frame)]
    return [packet.data for packet in packets + encoder.flush()]


def decode(packets: list[bytes], **options: Any) -> list[Any]:
    """Frames on the host."""
    decoder = Decoder(strict=True, **options)
    return [frame for data in packets for frame in decoder.decode(data)]


def decode_there(packets: list[bytes], **options: Any) -> list[Any]:
    """Frames on the device; waits until the last one is there."""
    decoder = Decoder(strict=True, **options)
    frames = [frame for data in packets for frame in decoder.decode_on_device(data)]
    frames[-1].planes[0].__dlpack__()
    return frames


def same(one: list[Any], other: list[Any]) -> bool:
    """Whether decoded frames are equal."""
    pairs = zip(one, other, strict=True)
    return all(
        np.array_equal(x, y) for a, b in pairs for x, y in zip(a.planes, b.planes, strict=True)
    )


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", nargs="?")
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--crf", type=float, default=32)
    parser.add_argument("--lookahead", type=int, default=24)
    parser.add_argument("--preset", default="medium")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--model")
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args()
    width, height = (int(part) for part in args.size.split("x"))
    model = find_model(args.model)
    if args.clip:
        frames = read_frames(args.clip, width, height, args.frames)
    else:
        frames = moving_texture(width, height, args.frames)
    count = len(frames)
    coding = {
        "width": width,
        "height": height,
        "model": model,
        "crf": args.crf,
        "lookahead": args.lookahead,
        "preset": args.preset,
        "threads": args.threads,
    }
    decoding = {"models": [model], "threads": args.threads}
    there = {"device": args.device}
    fps: dict[str, float] = {}
    packets, fps["encode_cpu"] = timed(lambda: encode(frames, **coding), count)
    coded, fps["encode_host"] = timed(lambda: encode(frames, **coding, **there), count)
    if coded != packets:
        raise SystemExit("the device's packets are not the processor's")
    frames, fps["decode_cpu"] = timed(lambda: decode(packets, **decoding), count)
    shown, fps["decode_host"] = timed(lambda: decode(packets, **decoding, **there), count)
    if not same(frames, shown):
        raise SystemExit("the device's frames are not the processor's")
    kept, fps["decode_device"] = timed(lambda: decode_there(packets, **decoding, **there), count)
    _, fps["encode_device"] = timed(lambda: encode(kept, **coding, **there), count)
    bits = 8 * sum(map(len, packets)) / count
    facts = {"size": args.size, "crf": args.crf, "model": model.name, "frames": count}
    print(json.dumps({**facts, "bits_per_picture": round(bits), "fps": fps}))


if __name__ == "__main__":
    main()
