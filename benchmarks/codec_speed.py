"""Frames per second of the codec, beside PyTorch running the same networks in bfloat16.

    python benchmarks/codec_speed.py [CLIP] [--size 640x360] [--frames 48] [--crf 32]

The clip is scaled to the size and played forward and backward to the number of frames; without
one a moving texture is made. PyTorch runs what an encoder (decoder) runs of the networks for one
layer with every window active and one stage per token, on the same number of threads, in the same
process, right after. Needs the extra `train` for the PyTorch rows. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bsqav import _core
from bsqav.codec.encoder import DEFAULT_LOOKAHEAD
from bsqav.codec.models import default_model, find_model

Planes = list[npt.NDArray[np.uint8]]

# Share of bits that are 1 in the tokens PyTorch works on.
ONES = 0.2


def read_clip(path: str, width: int, height: int, count: int) -> list[Planes]:
    """The clip's pictures, forward and backward until there are `count`; width 0 keeps its size."""
    import av

    pictures: list[Planes] = []
    with av.open(path) as container:
        for frame in container.decode(video=0):
            frame = frame.reformat(width=width or None, height=height or None, format="yuv420p")
            pictures.append(split_planes(frame.to_ndarray(), frame.width, frame.height))
            if len(pictures) == count:
                break
    turn = pictures + pictures[-2:0:-1]
    return [turn[i % len(turn)] for i in range(count)]


def split_planes(packed: npt.NDArray[np.uint8], width: int, height: int) -> Planes:
    """[3/2 * H, W] -> y, u, v."""
    chroma = packed[height:].reshape(2, height // 2, width // 2)
    return [np.ascontiguousarray(p) for p in (packed[:height], chroma[0], chroma[1])]


def moving_texture(width: int, height: int, count: int) -> list[Planes]:
    """A smooth random picture that moves by (2, 1) samples a frame."""
    rng = np.random.default_rng(1)
    small = rng.integers(30, 220, ((height + count) // 6 + 2, (width + 2 * count) // 6 + 2))
    big = np.kron(small, np.ones((6, 6))).astype(np.uint8)
    gray = np.full((height // 2, width // 2), 128, np.uint8)
    return [
        [np.ascontiguousarray(big[i : i + height, 2 * i : 2 * i + width]), gray, gray]
        for i in range(count)
    ]


def code(
    pictures: list[Planes], model: Any, crf: float, threads: int
) -> tuple[dict[str, Any], list[bytes]]:
    """Encodes and decodes; returns figures and the packets."""
    height, width = pictures[0][0].shape
    encoder = _core.Encoder(
        {"width": width, "height": height},
        model,
        crf=crf,
        threads=threads,
        lookahead=DEFAULT_LOOKAHEAD,
    )
    packets: list[bytes] = []
    began = time.perf_counter()
    for index, planes in enumerate(pictures):
        encoder.send(planes, index)
        while (packet := encoder.receive()) is not None:
            packets.append(packet.data)
    encoder.flush()
    while (packet := encoder.receive()) is not None:
        packets.append(packet.data)
    encoded = time.perf_counter() - began
    decoder = _core.Decoder([model], threads=threads)
    began = time.perf_counter()
    count = 0
    for data in packets:
        decoder.send(data)
        while decoder.receive() is not None:
            count += 1
    decoded = time.perf_counter() - began
    if count != len(pictures):
        raise SystemExit(f"{len(pictures)} pictures in, {count} out")
    bits = 8 * sum(map(len, packets))
    figures = {
        "encode_fps": round(count / encoded, 2),
        "decode_fps": round(count / decoded, 2),
        "bpp": round(bits / (count * width * height), 4),
    }
    return figures, packets


def best_of(run: Callable[[], object], times: int = 4) -> float:
    """Seconds of the fastest run after a first one that does not count."""
    run()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def pytorch_fps(width: int, height: int, threads: int) -> dict[str, float] | None:
    """The same networks in PyTorch bfloat16, every window active; None without PyTorch."""
    try:
        import torch
    except ImportError:
        return None
    from bsqav.nn import CodecNet, fields

    torch.set_num_threads(threads)
    net = CodecNet().eval()
    h, w = -(-height // 8), -(-width // 8)
    side, residual = torch.randn(1, h, w, fields.SIDE_WIDTH), torch.randn(1, h, w, fields.SAMPLES)
    mask = torch.ones(1, h, w, 1)
    bits = (torch.rand(1, h, w, net.config.stages * fields.STAGE_BITS) < ONES).float()
    stages = torch.ones(1, h, w, dtype=torch.long)
    token = fields.token_vector(bits, stages)
    flat_bits, flat_stages = bits.flatten(0, 2), stages.flatten()

    def decode() -> None:
        trunk = net.prior.trunk(token, side, mask)
        net.prior.flag_logits(trunk)
        context = net.prior.context(trunk, token, mask).flatten(0, 2)
        net.prior.bit_logits(context, flat_bits, flat_stages)
        net.dec(token, side, mask)

    def encode() -> None:
        net.enc(residual, side, mask)
        decode()

    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        return {
            "encode_fps": round(1 / best_of(encode), 2),
            "decode_fps": round(1 / best_of(decode), 2),
        }


def main() -> None:
    """Parses the arguments and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", nargs="?")
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--crf", type=float, default=32.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default=None)
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    if args.clip:
        pictures = read_clip(args.clip, width, height, args.frames)
    else:
        pictures = moving_texture(width, height, args.frames)
    model = default_model() if args.model is None else find_model(args.model)
    rows: dict[str, Any] = {}
    for name in _core.kernel_sets():
        _core.set_kernels(name)
        short = pictures[:6] if name == "scalar" else pictures
        rows[name], _ = code(short, model, args.crf, args.threads)
    _core.set_kernels(None)
    result = {
        "version": _core.__version__,
        "size": args.size,
        "crf": args.crf,
        "threads": args.threads,
        "codec": rows,
        "pytorch_bfloat16_networks": pytorch_fps(width, height, args.threads),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
