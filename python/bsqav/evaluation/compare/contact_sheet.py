"""A contact sheet: one detail of one frame by every codec at matched rate, with captions."""

import io
from pathlib import Path

import numpy as np

from bsqav.evaluation.compare.results import ClipResult, CompareResult
from bsqav.evaluation.compare.viewer import ORIGINAL, ClipFrames, Frame, unpack_planes
from bsqav.evaluation.io.images import Pixels, pillow
from bsqav.evaluation.io.sources import planes_to_rgb
from bsqav.evaluation.metrics.quality import METRICS

# of the part that is shown; it is drawn at twice that
WIDTH, HEIGHT = 256, 192
SCALE = 2
CAPTION = 44
COLUMNS = 3


def write_contact_sheet(
    result: CompareResult, clip: ClipResult, frames: ClipFrames, path: Path
) -> None:
    """Writes the clip's most telling frame as a WebP of quality 90.

    Shown is the part in which the codec under test is furthest from the original.
    """
    from PIL import ImageDraw, ImageFont

    frame = frames.frames[0]
    shown = {name: _rgb(data, clip, frames) for name, data in frame.pictures.items()}
    top, left = _worst_part(shown)
    image = pillow()
    rows = -(-len(shown) // COLUMNS)
    cell = (SCALE * min(WIDTH, clip.width), SCALE * min(HEIGHT, clip.height) + CAPTION)
    sheet = image.new("RGB", (COLUMNS * (cell[0] + 8) - 8, rows * cell[1]), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (name, pixels) in enumerate(shown.items()):
        x, y = i % COLUMNS * (cell[0] + 8), i // COLUMNS * cell[1]
        part = image.fromarray(pixels[top : top + HEIGHT, left : left + WIDTH])
        zoomed = part.resize((part.width * SCALE, part.height * SCALE), image.Resampling.NEAREST)
        sheet.paste(zoomed, (x, y + CAPTION))
        for line, text in enumerate(_caption(result, clip, frame, name)):
            size = 16 if line == 0 else 13
            draw.text((x + 2, y + 3 + 20 * line), text, "black", ImageFont.load_default(size))
    sheet.save(path, "WEBP", quality=90, method=6)


def _rgb(data: bytes, clip: ClipResult, frames: ClipFrames) -> Pixels:
    packed = np.asarray(pillow().open(io.BytesIO(data)))[..., 0]
    planes = unpack_planes(packed, clip.width, clip.height, frames.chroma)
    return planes_to_rgb(planes, frames.matrix, frames.full_range)


def _worst_part(shown: dict[str, Pixels]) -> tuple[int, int]:
    """Row and column of the window with the greatest mean error of the first codec."""
    names = list(shown)
    original, tested = (shown[name].astype(np.float64) for name in names[:2])
    error = np.abs(original - tested).sum(axis=2)
    height, width = error.shape
    sums = np.pad(error.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    h, w = min(HEIGHT, height), min(WIDTH, width)
    windows = sums[h:, w:] - sums[:-h, w:] - sums[h:, :-w] + sums[:-h, :-w]
    top, left = np.unravel_index(int(windows.argmax()), windows.shape)
    return int(top), int(left)


def _caption(result: CompareResult, clip: ClipResult, frame: Frame, name: str) -> tuple[str, str]:
    if name == ORIGINAL:
        where = f"frame {frame.index}, " if clip.frames > 1 else ""
        return "Original", f"{where}a part of {clip.width}x{clip.height}"
    point = clip.matched[name]
    values = [
        f"{METRICS[metric]} {point.per_frame[metric][frame.index]:.4g}"
        for metric in result.metrics
        if metric in point.per_frame
    ]
    title = result.titles.get(name, name)
    return f"{title}, {point.bpp:.3f} bpp", f"{point.setting}; this frame {', '.join(values)}"
