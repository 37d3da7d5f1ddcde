"""Pictures of text: letters of a few shades on a flat ground, the same everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tests.codec.streams import Format, Plane

LETTER = (9, 7)  # rows and columns, with the gap
LINE = 14


def _letters(rng: np.random.Generator, count: int = 12) -> npt.NDArray[np.int64]:
    """Shapes of 9x7, each sample one of four shades from 0 (ground) to 3 (ink)."""
    shapes = np.zeros((count, *LETTER), np.int64)
    inked = rng.integers(0, 4, (count, LETTER[0] - 2, LETTER[1] - 2))
    shapes[:, 1:-1, 1:-1] = np.where(rng.random(inked.shape) < 0.45, inked, 0)
    return shapes


def page(width: int, height: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """Lines of words over the whole page, as shades."""
    rng = np.random.default_rng(seed)
    letters = _letters(np.random.default_rng(7))
    shades = np.zeros((height, width), np.int64)
    for top in range(4, height - LETTER[0], LINE):
        left = 6
        while left + LETTER[1] < width * rng.uniform(0.5, 1.0):
            if rng.random() < 0.85:
                shape = letters[rng.integers(len(letters))]
                shades[top : top + LETTER[0], left : left + LETTER[1]] = shape
            left += LETTER[1]
    return shades


def drawn(shades: npt.NDArray[np.int64], form: Format) -> list[Plane]:
    """A picture of the page: bright ink on dark, chroma of the ink's own."""
    top = (1 << form.bit_depth) - 1
    planes: list[Plane] = []
    for index, (rows, columns) in enumerate(form.plane_shapes):
        down, across = form.height // rows, form.width // columns
        part = shades[: rows * down : down, : columns * across : across][:rows, :columns]
        part = np.pad(part, ((0, rows - part.shape[0]), (0, columns - part.shape[1])))
        ground, ink = (30, 225) if index in (0, 3) else (128, 128 + 20 * (1 if index == 1 else -1))
        samples = (ground + (ink - ground) * part // 3) * top // 255
        if form.bit_depth > 8:
            planes.append(samples.astype(np.uint16))
        else:
            planes.append(samples.astype(np.uint8))
    return planes


def scrolling(form: Format, frames: int, step: int = 0) -> list[list[Plane]]:
    """A page of text that moves up by so many rows a picture; without, lines are added to it."""
    tall = page(form.width, form.height + step * frames)
    pictures = []
    for t in range(frames):
        shades = tall[t * step : t * step + form.height].copy()
        if step == 0:
            shades[form.height * (t + 1) // (frames + 1) :] = 0
        pictures.append(drawn(shades, form))
    return pictures


def sample_bits(stats: list[dict[str, Any]]) -> list[float]:
    """Of the packets of a stream."""
    return [packet["sample_bits"] for packet in stats]
