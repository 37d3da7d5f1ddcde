"""Curves as PNG and SVG files, for papers and pages; drawn by Matplotlib."""

import re
from pathlib import Path
from typing import Any

from bsqav.evaluation.compare.contact_sheet import write_contact_sheet
from bsqav.evaluation.compare.results import ClipResult, CompareResult
from bsqav.evaluation.compare.viewer import Viewer
from bsqav.evaluation.io.errors import MissingToolError
from bsqav.evaluation.metrics.quality import METRICS, to_db

# the codec under test first; the same colours as the report's
COLORS = ("#c2255c", "#1971c2", "#2b8a3e", "#d9480f", "#6741d9", "#0b7285", "#8a6a00", "#495057")
MARKS = ("o", "s", "^", "D", "v")
FORMATS = ("png", "svg")


def new_figure(width: float = 7.0, height: float = 4.5) -> Any:
    """An empty Matplotlib figure of a size in inches, without a window.

    Raises MissingToolError where Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingToolError(
            "plots are drawn by Matplotlib: pip install 'bsqav[compare]'"
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Any, path: Path, dpi: int) -> None:
    """Writes a figure, in SVG with its text as text."""
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none"}):
        figure.savefig(path, dpi=dpi)


def write_plots(result: CompareResult, folder: Path, viewer: Viewer | None = None) -> list[Path]:
    """Writes every curve as .png and .svg; returns the files.

    `rd_INPUT_METRIC` is quality over rate. With a viewer that `compare` has filled, further
    `frames_INPUT_METRIC`, quality by frame at matched rate, and `look_INPUT.webp`, a part of one
    frame by every codec.

    Raises MissingToolError without Matplotlib, OSError where the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, clip in enumerate(result.clips):
        name = re.sub(r"[^\w.-]+", "_", Path(clip.path).stem)
        if any(Path(other.path).stem == Path(clip.path).stem for other in result.clips[:number]):
            name += f"_{number}"
        frames = viewer.clips.get(clip.path) if viewer is not None else None
        if frames is not None and frames.frames:
            written.append(folder / f"look_{name}.webp")
            write_contact_sheet(result, clip, frames, written[-1])
        for metric in result.metrics:
            figures = {
                "rd": _curves(clip, result, metric),
                "frames": _by_frame(clip, result, metric),
            }
            for kind, figure in figures.items():
                for suffix in FORMATS if figure is not None else ():
                    path = folder / f"{kind}_{name}_{metric}.{suffix}"
                    save(figure, path, 150)
                    written.append(path)
    return written


def _curves(clip: ClipResult, result: CompareResult, metric: str) -> Any:
    """Quality over rate; None where no codec has the metric."""
    figure = new_figure()
    axes = figure.subplots()
    for i, codec in enumerate(result.codecs):
        values = ((point.bpp, getattr(point, metric)) for point in clip.curve(codec))
        points = [(bpp, to_db(metric, value)) for bpp, value in values if value is not None]
        if points:
            style = {"color": COLORS[i % len(COLORS)], "marker": MARKS[i % len(MARKS)]}
            width = 2.2 if i == 0 else 1.3
            axes.plot(*zip(*points, strict=True), label=_title(result, codec), lw=width, **style)
    if not axes.lines:
        return None
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("bits per pixel")
    axes.set_ylabel(_axis_title(metric))
    axes.legend(fontsize=8)
    return _finish(figure, axes, clip)


def _by_frame(clip: ClipResult, result: CompareResult, metric: str) -> Any:
    """Quality of every frame at the matched rate; None for one frame or without the metric."""
    found = {codec: point for codec, point in clip.matched.items() if metric in point.per_frame}
    if clip.frames < 2 or not found:
        return None
    figure = new_figure(7.0, 3.6)
    axes = figure.subplots()
    for codec, point in found.items():
        i = result.codecs.index(codec)
        label = f"{_title(result, codec)}, {point.bpp:.4f} bpp"
        color = COLORS[i % len(COLORS)]
        axes.plot(point.per_frame[metric], label=label, color=color, lw=1.8 if i == 0 else 1.0)
    axes.set_xlabel("frame")
    axes.set_ylabel(METRICS[metric])
    figure.legend(fontsize=8, loc="outside lower center", ncols=3)
    return _finish(figure, axes, clip)


def _axis_title(metric: str) -> str:
    return METRICS[metric] + ("" if metric == "vmaf" else " (dB)")


def _title(result: CompareResult, codec: str) -> str:
    return result.titles.get(codec, codec)


def _finish(figure: Any, axes: Any, clip: ClipResult) -> Any:
    axes.set_title(f"{Path(clip.path).name}, {clip.width}x{clip.height}", fontsize=10)
    axes.grid(alpha=0.3)
    return figure
