"""The quantizer and its entropy term beside vector-quantize-pytorch's, in time and memory.

    pip install vector-quantize-pytorch
    python benchmarks/quantizers.py [--tokens 4096] [--threads 2] [--rounds 5]

A case is a forward and backward pass of sign quantization on the unit sphere with both entropy
terms, over the same random latents: 9 bits with the exact entropy of the batch, 18 and 36 bits with
that of groups of nine. Of the other package it is LFQ with spherical=True, whose groups are
codebooks. Each case has a process of its own; processes of the two packages take turns, and medians
of the rounds are shown. Memory is what a process held at most beyond what it held before the first
pass.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

CASES = ((9, 9), (18, 9), (36, 9))
OURS, THEIRS = "bsqav", "vector-quantize-pytorch"
PASSES = 5


def memory(field: str) -> float:
    """VmHWM (the most so far) or VmRSS (now) of this process, in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def one_pass(package: str, bits: int, group: int, tokens: int) -> Callable[[], None]:
    """A forward and backward pass."""
    import torch

    torch.manual_seed(1)
    z = torch.randn(1, tokens, bits, requires_grad=True)
    if package == OURS:
        from bsqav.nn import BinarySphericalQuantizer, BSQConfig

        ours = BinarySphericalQuantizer(BSQConfig(bits, group_size=group))

        def run() -> None:
            found = ours(z)
            (found.vectors.square().sum() + found.loss).backward()
    else:
        from vector_quantize_pytorch import LFQ

        theirs = LFQ(
            dim=bits,
            codebook_size=2**group,
            num_codebooks=bits // group,
            spherical=True,
            entropy_loss_weight=0.1,
        )
        theirs.train()

        def run() -> None:
            vectors, _, loss = theirs(z)
            (vectors.square().sum() + loss).backward()

    return run


def worker(package: str, bits: int, group: int, tokens: int, threads: int) -> None:
    """Prints the milliseconds of a pass and the memory, as JSON."""
    import torch

    torch.set_num_threads(threads)
    run = one_pass(package, bits, group, tokens)
    before = memory("VmRSS")
    run()
    seconds = []
    for _ in range(PASSES):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    print(json.dumps([1000 * statistics.median(seconds), memory("VmHWM") - before]))


def measured(package: str, case: tuple[int, int], args: argparse.Namespace) -> tuple[float, float]:
    """Milliseconds and MiB of a case, in a new process."""
    words = [package, *map(str, case), str(args.tokens), str(args.threads)]
    found = subprocess.run(
        [sys.executable, __file__, "--worker", *words], capture_output=True, text=True, check=True
    )
    milliseconds, mebibytes = json.loads(found.stdout.splitlines()[-1])
    return milliseconds, mebibytes


def main() -> None:
    """Measures all cases and prints a table in Markdown."""
    if sys.argv[1:2] == ["--worker"]:
        package, *numbers = sys.argv[2:]
        worker(package, *map(int, numbers))
        return
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print(f"{args.tokens} tokens, {args.threads} threads, PyTorch {version('torch')}", end=", ")
    print(THEIRS, version(THEIRS))
    print("| bits | ours, ms | theirs, ms | ratio | ours, MiB | theirs, MiB |")
    print("|---|---|---|---|---|---|")
    for case in CASES:
        rounds = [
            (measured(OURS, case, args), measured(THEIRS, case, args)) for _ in range(args.rounds)
        ]
        times = [statistics.median(pair[i][0] for pair in rounds) for i in (0, 1)]
        sizes = [statistics.median(pair[i][1] for pair in rounds) for i in (0, 1)]
        name = f"{case[0]}" if case[0] == case[1] else f"{case[0]} in groups of {case[1]}"
        print(
            f"| {name} | {times[0]:.1f} | {times[1]:.1f} | {times[1] / times[0]:.1f} "
            f"| {sizes[0]:.0f} | {sizes[1]:.0f} |"
        )


if __name__ == "__main__":
    main()
