"""A comparison as one HTML file that needs nothing else: curves, tables, a viewer.

The page's parts are next to this module; its script draws everything from the data in the page.
"""

import base64
import html
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

from bsqav.evaluation.compare.results import CompareResult
from bsqav.evaluation.compare.viewer import ClipFrames, Viewer

__all__ = ["MAX_BYTES", "style", "write_report"]

# Larger pages are slow to open on a phone and too large for most mail; pictures that would not
# fit are left out, the least telling first.
MAX_BYTES = 14_800_000
_SCRIPTS = ("base.js", "chart.js", "curves.js", "colour.js", "frames.js", "viewer.js")
# Their frames are drawn for one rate only, the matched one.
_BULKY = ("packet_bytes", "frame_bytes", "per_frame")


def write_report(result: CompareResult, path: Path, viewer: Viewer | None = None) -> None:
    """Writes the page of a comparison to `path`.

    Raises OSError where it cannot be written.
    """
    path.write_text(report_page(result, viewer, path.parent), encoding="utf-8")


def report_page(result: CompareResult, viewer: Viewer | None = None, folder: Path = Path()) -> str:
    """The page as text; `folder` is where it will be."""
    content = result.to_dict()
    for clip in content["clips"]:
        for point in clip["points"]:
            for name in _BULKY:
                del point[name]
    clips = [(viewer.clips if viewer else {}).get(clip.path) for clip in result.clips]
    space = MAX_BYTES - len(json.dumps(content)) - 100_000
    chosen = fit_frames(clips, space)
    content["frames"] = [
        None if frames is None else _described(frames, kept, folder)
        for frames, kept in zip(clips, chosen, strict=True)
    ]
    left_out = sum(
        len(frames.frames) - len(kept)
        for frames, kept in zip(clips, chosen, strict=True)
        if frames is not None
    )
    if left_out:
        content["notes"].append(
            f"the pictures of {left_out} further frames would have made this page larger than "
            f"{MAX_BYTES / 1e6:.3g} MB"
        )
    parts = {
        "title": html.escape("BSQ compared with other codecs"),
        "style": style(),
        "data": _safe(json.dumps(content, separators=(",", ":"))),
        "pictures": "\n".join(_pictures(clips, chosen)),
        "script": "\n".join(_text(name) for name in _SCRIPTS),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _text("page.html"))


def fit_frames(clips: list[ClipFrames | None], space: int) -> list[list[int]]:
    """For every clip the positions of the frames whose pictures fit into `space` bytes of a page.

    Clips take turns, each giving its most telling frame that is left.
    """
    chosen: list[list[int]] = [[] for _ in clips]
    most = max((len(clip.frames) for clip in clips if clip is not None), default=0)
    for i in range(most):
        for clip, mine in zip(clips, chosen, strict=True):
            if clip is None or i >= len(clip.frames):
                continue
            size = clip.frames[i].size * 4 // 3 + 100 * len(clip.frames[i].pictures)
            if size <= space:
                space -= size
                mine.append(i)
    return chosen


def style() -> str:
    """The style sheet, for other pages that look the same."""
    return _text("style.css")


def _described(clip: ClipFrames, kept: list[int], folder: Path) -> dict[str, Any]:
    sidecar = clip.sidecar
    return {
        "frames": [{"index": clip.frames[i].index, "why": clip.frames[i].why} for i in kept],
        "matrix": clip.matrix,
        "full_range": clip.full_range,
        "chroma": clip.chroma,
        "sidecar": None if sidecar is None else sidecar.relative_to(folder).as_posix(),
    }


def _pictures(clips: list[ClipFrames | None], chosen: list[list[int]]) -> list[str]:
    """A block for every picture; the script reads one when it is looked at."""
    blocks = []
    for number, (clip, kept) in enumerate(zip(clips, chosen, strict=True)):
        for frame in (clip.frames[i] for i in kept) if clip is not None else ():
            for version, data in frame.pictures.items():
                name = html.escape(f"p-{number}-{frame.index}-{version}", quote=True)
                text = base64.b64encode(data).decode("ascii")
                blocks.append(f'<script type="text/plain" id="{name}">{text}</script>')
    return blocks


def _safe(text: str) -> str:
    """JSON that cannot end the script element that it is in."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
