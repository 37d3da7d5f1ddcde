"""What the learned prior and earlier frames save, on real clips.

    python benchmarks/prior_gain.py CLIP... [--crf 32] [--frames 48] [--gop 250]

Encodes each clip, decodes it again, and counts the same tokens (flags of superblocks and stages,
and bits, of all layers of all packets) in two ways: as the codec coded them, and under an adaptive
count for every kind of flag and every bit position of every stage (Krichevsky-Trofimov, learning
over the whole clip). The second is done once with one set of counts, and once with a set each for
keyframes, for the last layers between them and for the layers before those, which knows more than
the tokens say. Then codes the clip once more with every frame a keyframe. Prints JSON: savings
per clip and over all clips, and the bits of the packets over what the model's probabilities ask
for.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from bsqav import _core
from bsqav.codec.models import find_model
from bsqav.codec.modelspec import MAX_STAGES, STAGE_BITS
from bsqav.evaluation.io.coding import encode
from bsqav.evaluation.io.frames import read_frames

# Bytes a packet may hold besides coded symbols (header, sizes, checksum, the coder's last bytes).
PACKET_ALLOWANCE = 12


class AdaptiveCounts:
    """One Krichevsky-Trofimov estimator per column of bits; costs are in bits."""

    def __init__(self, columns: int) -> None:
        self.counts = np.full((2, columns), 0.5)
        self.bits = 0.0

    def code(self, column: int, values: npt.NDArray[Any]) -> None:
        """Costs of a run of bits in one column, learning bit by bit."""
        ones = np.cumsum(values) - values
        seen = np.arange(len(values))
        one, zero = self.counts[1, column] + ones, self.counts[0, column] + seen - ones
        chosen = np.where(values == 1, one, zero)
        self.bits += float(-np.log2(chosen / (one + zero)).sum())
        self.counts[1, column] += values.sum()
        self.counts[0, column] += len(values) - values.sum()


class TokenCounts:
    """Adaptive counts for all flags and bits of tokens."""

    def __init__(self) -> None:
        self.superblock_counts = AdaptiveCounts(1)
        self.flag_counts = AdaptiveCounts(MAX_STAGES)
        self.bit_counts = AdaptiveCounts(MAX_STAGES * STAGE_BITS)

    @property
    def bits(self) -> float:
        """What everything so far costs."""
        return self.superblock_counts.bits + self.flag_counts.bits + self.bit_counts.bits

    def code(self, stages: npt.NDArray[np.uint8], words: npt.NDArray[np.uint32]) -> None:
        """Codes one layer: its superblocks, and the tokens of those that are active."""
        h, w = stages.shape
        padded = np.pad(stages, ((0, -h % 4), (0, -w % 4)))
        superblocks = padded.reshape(padded.shape[0] // 4, 4, -1, 4).any(axis=(1, 3))
        self.superblock_counts.code(0, superblocks.ravel().astype(np.int64))
        here = superblocks.repeat(4, 0).repeat(4, 1)[:h, :w]
        for k in range(words.shape[-1]):
            more = stages > k
            self.flag_counts.code(k, more[here].astype(np.int64))
            here = here & more
            chosen = words[..., k][here]
            for i in range(STAGE_BITS):
                self.bit_counts.code(k * STAGE_BITS + i, ((chosen >> i) & 1).astype(np.int64))


def measure(path: str, model: Any, args: argparse.Namespace) -> dict[str, float]:
    """Figures of one clip, in bits."""
    frames = read_frames(path, 0, 0, args.frames)
    packets = encode(frames, model, args.crf, gop=args.gop)
    decoder = _core.Decoder([model], keep_layers=True)
    plain = TokenCounts()
    key, last, earlier = TokenCounts(), TokenCounts(), TokenCounts()
    coded = 0.0
    for packet, stats in packets:
        decoder.send(packet.data)
        decoder.receive()
        layers = decoder.layer_tokens
        for index, layer in enumerate(layers):
            plain.code(*layer)
            kind = last if index + 1 == len(layers) else earlier
            (key if packet.keyframe else kind).code(*layer)
        coded += stats["flag_bits"] + stats["token_bits"]
    intra = encode(frames, model, args.crf, gop=1)
    total = 8.0 * sum(len(packet.data) for packet, _ in packets)
    ideal = sum(stats["ideal_bits"] for _, stats in packets)
    return {
        "coded": coded,
        "plain": plain.bits,
        "split": key.bits + last.bits + earlier.bits,
        "total": total,
        "intra_total": 8.0 * sum(len(packet.data) for packet, _ in intra),
        "ideal": ideal,
        "allowed": 1.01 * ideal + 8.0 * PACKET_ALLOWANCE * len(packets),
    }


def summary(figures: dict[str, float]) -> dict[str, float]:
    """Ratios that the figures give."""
    return {
        "prior_saves_percent": round(100 * (1 - figures["coded"] / figures["plain"]), 2),
        "prior_saves_by_kind_percent": round(100 * (1 - figures["coded"] / figures["split"]), 2),
        "without_earlier_frames_percent": round(
            100 * (figures["intra_total"] / figures["total"] - 1), 1
        ),
        "packet_bits_over_cross_entropy": round(figures["total"] / figures["ideal"], 5),
        "within_allowance": figures["total"] <= figures["allowed"],
    }


def main() -> None:
    """Parses the arguments and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--crf", type=float, default=32.0)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--gop", type=int, default=250)
    parser.add_argument("--model", default=None)
    args = parser.parse_args()
    model = find_model(args.model)
    rows = {path: measure(path, model, args) for path in args.clips}
    overall = {key: sum(row[key] for row in rows.values()) for key in next(iter(rows.values()))}
    result = {"clips": {path: summary(row) for path, row in rows.items()}, "all": summary(overall)}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
