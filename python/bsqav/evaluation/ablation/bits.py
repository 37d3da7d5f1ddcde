"""Where the bits of a point are: by kind of symbol, and by level of the frame."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bsqav.evaluation.compare.results import ClipResult, CompareResult, Point

KEYFRAMES = "keyframes"
# Headers, timestamps, checksums and the range coder's last bytes.
OVERHEAD = "overhead"
_SUFFIX = "_bits"
# Sums over kinds.
_SUMS = frozenset(("ideal_bits", "level_bits"))

Bits = Mapping[str, float]
Split = Callable[[Point], Bits]


def by_kind(point: Point) -> dict[str, float]:
    """Bits of keyframes, and of the other packets by what their symbols say, in bits.

    The kinds are those that the encoder's statistics name.
    """
    found = {KEYFRAMES: 0.0}
    for stats, size in _packets(point):
        if stats["keyframe"]:
            found[KEYFRAMES] += 8 * size
            continue
        rest = 8.0 * size
        for name, bits in stats.items():
            if name.endswith(_SUFFIX) and name not in _SUMS:
                kind = name.removesuffix(_SUFFIX).replace("_", " ")
                found[kind] = found.get(kind, 0.0) + bits
                rest -= bits
        found[OVERHEAD] = found.get(OVERHEAD, 0.0) + rest
    return found


def by_level(point: Point) -> dict[str, float]:
    """Bits of keyframes, and of the other frames by level in their hierarchical group.

    Statistics say `level_bits`, the bits of a packet's frames of level 0, 1 and so on; a packet
    without is of level 0. What is in packets without frames is overhead.
    """
    found = {KEYFRAMES: 0.0}
    overhead = 0.0
    for stats, size in _packets(point):
        if stats["keyframe"]:
            found[KEYFRAMES] += 8 * size
            continue
        levels: Sequence[float] = stats.get("level_bits", [8.0 * size])
        overhead += 8.0 * size - sum(levels)
        for level, bits in enumerate(levels):
            if bits > 0:
                found[f"level {level}"] = found.get(f"level {level}", 0.0) + bits
    return found | ({OVERHEAD: overhead} if overhead > 0 else {})


def shares(a: Point, b: Point, split: Split) -> dict[str, tuple[float, float]]:
    """Percent of all bits of `a`: of `a` itself, and of `b`."""
    ours, theirs = split(a), split(b)
    names = dict.fromkeys((*ours, *theirs))
    return {
        name: (100 * ours.get(name, 0.0) / a.bits, 100 * theirs.get(name, 0.0) / a.bits)
        for name in names
    }


def mean_shares(
    pairs: Sequence[tuple[Point, Point]], split: Split
) -> dict[str, tuple[float, float]]:
    """Means of `shares` over clips."""
    every = [shares(a, b, split) for a, b in pairs]
    names = dict.fromkeys(name for one in every for name in one)
    none = (0.0, 0.0)
    return {
        name: (
            sum(one.get(name, none)[0] for one in every) / len(every),
            sum(one.get(name, none)[1] for one in every) / len(every),
        )
        for name in names
    }


def pairs_of(clip: ClipResult, anchor: str) -> dict[str, tuple[Point, Point]]:
    """Setting -> its points of the anchor and of the codec under test."""
    tests = {point.setting: point for point in clip.curve("bsq")}
    return {
        point.setting: (point, tests[point.setting])
        for point in reversed(clip.curve(anchor))
        if point.setting in tests
    }


def all_pairs(result: CompareResult, anchor: str) -> dict[str, list[tuple[Point, Point]]]:
    """Setting -> the pairs of all clips that have it."""
    found: dict[str, list[tuple[Point, Point]]] = {}
    for clip in result.clips:
        for setting, pair in pairs_of(clip, anchor).items():
            found.setdefault(setting, []).append(pair)
    return found


def _packets(point: Point) -> list[tuple[dict[str, Any], int]]:
    return list(zip(point.packet_stats, point.packet_bytes, strict=True))
