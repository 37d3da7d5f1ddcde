"""What a table is measured on: images and videos as every codec of it gets them.

Images are RGB. Videos are scaled in 4:2:0 of 8 bits, which codecs of video take as it is; networks,
and all figures, take the RGB of that by the source's matrix.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bsqav.errors import MediaError
from bsqav.evaluation.io.images import Pixels
from bsqav.evaluation.io.sources import frame_planes, planes_to_rgb
from bsqav.evaluation.io.y4m import Y4mFile, Y4mHeader, Y4mWriter
from bsqav.evaluation.research.tables.protocols import Size
from bsqav.training.paper.image_sources import (
    HD_LINES,
    Source,
    frames_of,
    matrix_of,
    open_image,
    open_video,
)
from bsqav.training.paper.images import centre_square

__all__ = ["Film", "Item", "Still", "film_of", "square_film", "still_of", "to_unit"]

FALLBACK_RATE = Fraction(25)
# AVColorSpace as FFmpeg numbers it.
MATRICES = {1: "bt709", 5: "bt601", 6: "bt601"}
FULL_RANGE = 2  # AVColorRange


@dataclass(frozen=True)
class Still:
    """An image: uint8 [rows, columns, 3]."""

    name: str
    pixels: Pixels

    @property
    def samples(self) -> int:
        """Pixels of all frames."""
        return int(self.pixels.size) // 3

    def batches(self, frames: int) -> Iterator[Tensor]:
        """[1, 3, rows, columns] from -1 to 1."""
        del frames
        yield to_unit(self.pixels).unsqueeze(0)


@dataclass(frozen=True)
class Film:
    """A video as a y4m file of 8-bit 4:2:0.

    matrix: bt601 or bt709. full_range: samples are from 0 to 255. squares: uint8
    [T, rows, columns, 3], the RGB that networks get, where it was not made from the y4m file.
    """

    name: str
    y4m: Path
    header: Y4mHeader
    frames: int
    matrix: str
    full_range: bool = False
    squares: Pixels | None = None

    @property
    def samples(self) -> int:
        """Pixels of all frames."""
        return self.frames * self.header.width * self.header.height

    def rgb(self, y4m: Path) -> Iterator[Pixels]:
        """The frames [rows, columns, 3] of this film's y4m file, or of a decoded one."""
        file = Y4mFile(y4m)
        for index in range(len(file)):
            yield planes_to_rgb(file[index], self.matrix, self.full_range)

    def batches(self, frames: int) -> Iterator[Tensor]:
        """All frames in order, from -1 to 1: clips [1, 3, T, rows, columns], the last may be short.

        Where frames is 1, images [1, 3, rows, columns].
        """
        held: list[Tensor] = []
        for pixels in self.rgb(self.y4m) if self.squares is None else self.squares:
            held.append(to_unit(pixels))
            if len(held) == frames:
                yield _clip(held, frames)
                held = []
        if held:
            yield _clip(held, frames)


Item = Still | Film


def to_unit(pixels: Pixels) -> Tensor:
    """uint8 [..., rows, columns, 3] -> float32 [..., 3, rows, columns] from -1 to 1."""
    return torch.from_numpy(pixels.copy()).movedim(-1, -3).float() / 127.5 - 1


def _clip(held: list[Tensor], frames: int) -> Tensor:
    return torch.stack(held, 1).unsqueeze(0) if frames > 1 else held[0].unsqueeze(0)


def still_of(source: Source, side: int | None) -> Still:
    """An image whole, or its central square scaled to a side. MediaError for what is none."""
    image = open_image(source)
    return Still(source.name, np.asarray(image) if side is None else centre_square(image, side))


def film_of(source: Source, y4m: Path, size: Size | None, frames: int | None) -> Film:
    """All frames of a video, or the first so many, scaled with Lanczos; writes the y4m file.

    Raises MediaError for what is no video.
    """
    with open_video(source) as container:
        found = frames_of(source, container)
        first = next(found, None)
        if first is None:
            raise MediaError(f"{source} has no frame")
        matrix, full_range = _colour(source, first)
        width, height = size or (first.width, first.height)
        header = Y4mHeader(width, height, _rate(container))
        with closing(Y4mWriter(y4m, header)) as writer:
            for frame in itertools.islice(itertools.chain([first], found), frames):
                writer.write(frame_planes(frame, (width, height)))
    return Film(source.name, y4m, header, writer.frames, matrix, full_range)


def square_film(source: Source, y4m: Path, side: int, frames: int) -> Film | None:
    """The central squares of a video's first frames, scaled with Lanczos; None if it is shorter.

    Raises MediaError for what is no video.
    """
    held = []
    with open_video(source) as container:
        for frame in itertools.islice(frames_of(source, container), frames):
            image = Image.fromarray(frame.reformat(format="rgb24").to_ndarray())
            held.append(centre_square(image, side))
    if len(held) < frames:
        return None
    header = Y4mHeader(side, side, FALLBACK_RATE)
    with closing(Y4mWriter(y4m, header)) as writer:
        for pixels in held:
            writer.write(frame_planes(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
    return Film(source.name, y4m, header, frames, "bt709", squares=np.stack(held))


def _rate(container: av.container.InputContainer) -> Fraction:
    rate = container.streams.video[0].average_rate
    return Fraction(rate).limit_denominator(100_000) if rate else FALLBACK_RATE


def _colour(source: Source, frame: av.VideoFrame) -> tuple[str, bool]:
    """Matrix and range: as tagged, raw video as matrix_of has it, others by their own height."""
    full = int(frame.color_range) == FULL_RANGE or frame.format.name == "yuvj420p"
    if source.is_raw:
        return matrix_of(source), False
    by_size = "bt709" if frame.height >= HD_LINES or frame.format.is_rgb else "bt601"
    return MATRICES.get(int(frame.colorspace), by_size), full
