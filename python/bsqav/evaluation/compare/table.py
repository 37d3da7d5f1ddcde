"""A comparison as text for a terminal of 80 columns."""

import textwrap
from collections.abc import Sequence

from bsqav.evaluation.compare.results import ClipResult, CompareResult, Delta, Point
from bsqav.evaluation.io.text import align
from bsqav.evaluation.metrics.quality import METRICS as TITLES

COLUMNS = 80
_DIGITS = {"ms_ssim": 4, "ssim": 4, "vmaf": 1, "st_lpips": 4}


def format_table(result: CompareResult) -> str:
    """Per clip the points, the Bjontegaard deltas and the commands; then means and failures."""
    parts = [_clip_text(clip, result) for clip in result.clips]
    if len(result.clips) > 1:
        parts.append(_means_text(result))
    parts.append("\n".join(_wrapped(note, "") for note in result.notes))
    if result.failures:
        parts.append("\n".join(["failed:", *(f"  {line}" for line in result.failures)]))
    return "\n\n".join(part for part in parts if part)


def _clip_text(clip: ClipResult, result: CompareResult) -> str:
    lines = [clip.path]
    if clip.frames:
        lines[0] += f"  {clip.width}x{clip.height}"
        if clip.kind == "video":
            lines[0] += (
                f", {clip.frames} frames, {clip.fps:.3g} frames/s, keyframe interval {result.gop}"
            )
    lines += [_wrapped(f"note: {note}", "  ") for note in clip.notes]
    rows = [_row(point, result.metrics) for codec in result.codecs for point in clip.curve(codec)]
    if rows:
        titles = [TITLES[metric] for metric in result.metrics]
        head = ["codec", "quality", "bpp", "kbit/s", *titles, "enc fps", "dec fps", *_MEMORY_HEAD]
        lines += fitted([head, *rows])
    if clip.deltas:
        lines += ["", *fitted([_DELTA_HEAD, *(_delta_row(delta) for delta in clip.deltas)])]
    commands = {codec: clip.curve(codec)[0].command for codec in result.codecs if clip.curve(codec)}
    if commands:
        lines += ["", "  commands (the quality varies by row)"]
        lines += [_wrapped(command, "  ", " \\") for command in commands.values()]
    return "\n".join(lines)


def _row(point: Point, metrics: Sequence[str]) -> list[str]:
    values = [getattr(point, metric) for metric in metrics]
    shown = [
        "-" if value is None else f"{value:.{_DIGITS.get(metric, 2)}f}"
        for metric, value in zip(metrics, values, strict=True)
    ]
    speeds = [f"{point.encode_fps:.1f}", f"{point.decode_fps:.1f}"]
    memory = [
        "-" if count is None else f"{count / 1e6:.0f}"
        for count in (point.encode_memory, point.decode_memory)
    ]
    figures = [f"{point.bpp:.4f}", f"{point.kbps:.1f}", *shown, *speeds, *memory]
    return [point.codec, point.setting, *figures]


_MEMORY_HEAD = ("enc MB", "dec MB")
_DELTA_HEAD = ["against", "metric", "BD-rate", "BD-quality", "overlap", "from", "to", ""]


def _delta_row(delta: Delta) -> list[str]:
    rate, quality = delta.rate, delta.quality
    row = [delta.anchor, TITLES[delta.metric]]
    row.append("-" if rate.value is None else f"{rate.value:+.1f} %")
    row.append("-" if quality.value is None else f"{quality.value:+.2f}")
    row.append(f"{100 * rate.overlap:.0f} %")
    row += ["-" if end is None else f"{end:.2f}" for end in (rate.low, rate.high)]
    dropped = sum(rate.dropped)
    row.append(rate.reason or (f"{dropped} points left out" if dropped else ""))
    return row


def _means_text(result: CompareResult) -> str:
    rows = []
    for anchor in (codec for codec in result.codecs if codec != "bsq"):
        for metric in result.metrics:
            mean, count = result.mean_rate(anchor, metric)
            if mean is not None:
                clips = f"{count} of {len(result.clips)} clips"
                rows.append([anchor, TITLES[metric], f"{mean:+.1f} %", clips])
    if not rows:
        return ""
    return "\n".join(["mean BD-rate", *fitted([["against", "metric", "BD-rate", "over"], *rows])])


def _wrapped(text: str, indent: str, end: str = "") -> str:
    """A paragraph, further lines indented; `end` closes all lines but the last."""
    lines = textwrap.wrap(
        text,
        COLUMNS - len(end),
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"{end}\n".join(lines)


def fitted(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as `align` has them; columns that are too many for a line go into tables below.

    Each table begins with the first two columns, which are about as wide.
    """
    widths = [max(len(row[i]) for row in rows) + 2 for i in range(len(rows[0]))]
    tables = _split(widths, COLUMNS)
    for limit in range(sum(widths[:2]), COLUMNS):
        if len(even := _split(widths, limit)) == len(tables):
            tables = even
            break
    parts = [align([[*row[:2], *(row[i] for i in table)] for row in rows]) for table in tables]
    return [line for part in parts for line in ("", *part)][1:]


def _split(widths: Sequence[int], limit: int) -> list[list[int]]:
    """The columns behind the first two, put together to tables of no more than `limit` each."""
    tables: list[list[int]] = [[]]
    for i in range(2, len(widths)):
        taken = sum(widths[:2]) + sum(widths[k] for k in tables[-1])
        if tables[-1] and taken + widths[i] > limit:
            tables.append([])
        tables[-1].append(i)
    return tables
