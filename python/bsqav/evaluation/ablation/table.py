"""An ablation as text: BD-rates by clip, bits by kind and level, and a row for the log."""

from collections.abc import Sequence
from pathlib import Path

from bsqav.evaluation.ablation.bits import all_pairs, by_kind, by_level, mean_shares, pairs_of
from bsqav.evaluation.ablation.bits import shares as shares_of
from bsqav.evaluation.ablation.run import ANCHOR
from bsqav.evaluation.compare.results import ClipResult, CompareResult, Point
from bsqav.evaluation.io.text import align
from bsqav.evaluation.metrics.quality import METRICS

Shares = dict[str, tuple[float, float]]


def format_ablation(result: CompareResult, titles: tuple[str, str]) -> str:
    """All tables; `titles` are those of A and B."""
    parts = [f"A: {titles[0]}\nB: {titles[1]}", _rates_text(result)]
    pairs = all_pairs(result, ANCHOR)
    if pairs:
        parts += [_by_setting(pairs), _by_clip(result, _middle(list(pairs)))]
        parts.append(_cost_line(result, pairs))
    if result.failures:
        parts.append("\n".join(["failed:", *(f"  {line}" for line in result.failures)]))
    parts.append("row for docs/ablations.md:\n" + log_row(result, titles))
    return "\n\n".join(parts)


def log_row(result: CompareResult, titles: tuple[str, str]) -> str:
    """A row of the table in docs/ablations.md; its first and last cell are to be edited."""
    means = {metric: result.mean_rate(ANCHOR, metric)[0] for metric in result.metrics}
    first, *rest = means.items()
    figures = [_percent(first[1])]
    figures += [f"{METRICS[metric]} {_percent(value)}" for metric, value in rest]
    settings = list(all_pairs(result, ANCHOR))
    crfs = f"{settings[0]} to {settings[-1].split()[-1]}" if settings else "no point"
    longest = max((clip.frames for clip in result.clips), default=0)
    count = len(result.clips)
    measured = f"{count} clip{'s' * (count != 1)}, {longest} frames, {crfs}"
    return f"| {titles[1]} instead of {titles[0]} | {'; '.join(figures)} | {measured} | |"


def _rates_text(result: CompareResult) -> str:
    head = ["clip", "size", "frames", *(METRICS[metric] for metric in result.metrics)]
    rows = [_rate_row(clip, result.metrics) for clip in result.clips]
    means = [result.mean_rate(ANCHOR, metric)[0] for metric in result.metrics]
    if len(rows) > 1:
        rows.append(["mean", "", "", *map(_percent, means)])
    title = "BD-rate of B against A (negative: B needs fewer bits)"
    return "\n".join([title, *align([head, *rows])])


def _rate_row(clip: ClipResult, metrics: Sequence[str]) -> list[str]:
    rates = {delta.metric: delta.rate.value for delta in clip.deltas if delta.anchor == ANCHOR}
    figures = [_percent(rates.get(metric)) for metric in metrics]
    return [Path(clip.path).stem, f"{clip.width}x{clip.height}", str(clip.frames), *figures]


def _by_setting(pairs: dict[str, list[tuple[Point, Point]]]) -> str:
    """Shares by kind and level for every setting, means over the clips."""
    columns: list[Shares] = []
    for every in pairs.values():
        kinds, levels = (mean_shares(every, split) for split in (by_kind, by_level))
        columns.append({**kinds, **levels, "all": _total(kinds)})
    title = "bits by kind and by level at each crf, percent of A's bits, means of clips"
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [[name, *(_pair(column.get(name)) for column in columns)] for name in names]
    return "\n".join([title, *_aligned("", list(pairs), rows)])


def _by_clip(result: CompareResult, setting: str) -> str:
    """Shares by kind for every clip at one setting."""
    found: dict[str, Shares] = {}
    for clip in result.clips:
        pair = pairs_of(clip, ANCHOR).get(setting)
        if pair is not None:
            kinds = shares_of(*pair, by_kind)
            found[Path(clip.path).stem] = {**kinds, "all": _total(kinds)}
    names = list(dict.fromkeys(name for row in found.values() for name in row))
    rows = [[clip, *(_pair(row.get(name)) for name in names)] for clip, row in found.items()]
    title = f"the same by clip at {setting}"
    return "\n".join([title, *_aligned("clip", names, rows)])


def _cost_line(result: CompareResult, pairs: dict[str, list[tuple[Point, Point]]]) -> str:
    """The time of B over that of A, all points together."""
    every = [pair for of_setting in pairs.values() for pair in of_setting]
    ratios = []
    for way in ("encode_seconds", "decode_seconds"):
        a, b = (sum(getattr(pair[i], way) for pair in every) for i in (0, 1))
        ratios.append(f"{b / max(a, 1e-9):.2f}")
    text = f"processor time of B over A: encoding {ratios[0]}, decoding {ratios[1]}"
    if result.cached:
        points = sum(len(clip.points) for clip in result.clips)
        text += f" ({result.cached} of {points} points from the cache, with the times of their run)"
    return text


def _total(kinds: Shares) -> tuple[float, float]:
    a, b = (sum(pair[i] for pair in kinds.values()) for i in (0, 1))
    return a, b


def _middle(settings: Sequence[str]) -> str:
    return settings[len(settings) // 2]


def _pair(pair: tuple[float, float] | None) -> str:
    return f"{'-':>11}" if pair is None else f"{pair[0]:5.1f} {pair[1]:5.1f}"


def _aligned(first: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of pairs below their heads, and below these the names of the two sides."""
    sides = f"{'A':>5} {'B':>5}"
    return align(
        [[first, *(head.rjust(len(sides)) for head in heads)], ["", *[sides] * len(heads)], *rows]
    )


def _percent(value: float | None) -> str:
    if value is None:
        return "-"
    text = f"{value:+.1f} %"
    return text[1:] if text[1:] == "0.0 %" else text
