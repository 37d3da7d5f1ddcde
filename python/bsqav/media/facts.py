"""What is known of a video once its first frame has been decoded."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import av
import numpy as np

from bsqav.codec.picture import Colour, PlaneFormat
from bsqav.codec.sequence import SequenceHeader, sequence_header
from bsqav.codec.units import Plane
from bsqav.media.light import NO_LIGHT, LightLevels

__all__ = [
    "VideoFacts",
    "constant_rate",
    "proportional",
    "rotation_of",
    "scaled_aspect",
    "turn_planes",
    "turned",
]


@dataclass(frozen=True)
class VideoFacts:
    """Size, timing, colour and display of a video."""

    codec: str
    layout: PlaneFormat
    colour: Colour
    time_base: Fraction  # seconds per tick
    frame_rate: Fraction | None  # None where variable or unknown
    sample_aspect: Fraction | None  # width over height of one sample
    rotation: int  # degrees clockwise for display
    duration: Fraction | None  # seconds that will be read, where the container says so
    chroma_location: int = 0  # FFmpeg's AVChromaLocation, 0 where unknown
    light: LightLevels = NO_LIGHT

    @property
    def frames(self) -> int | None:
        """How many frames are to be expected, None where that cannot be said."""
        if self.duration is None or self.frame_rate is None:
            return None
        return round(self.duration * self.frame_rate)

    def sequence(self) -> SequenceHeader:
        """The sequence header for coding this video."""
        return sequence_header(
            self.layout,
            self.colour,
            time_base=self.time_base,
            frame_rate=self.frame_rate,
            sample_aspect=self.sample_aspect,
            chroma_location=self.chroma_location if self.layout.chroma == "420" else 0,
            rotation=self.rotation,
        )


def turned(facts: VideoFacts) -> VideoFacts:
    """What is known of the same video once its pictures are turned as they are to be shown."""
    layout, aspect = facts.layout, facts.sample_aspect
    if facts.rotation % 180:
        layout = replace(layout, width=layout.height, height=layout.width)
        aspect = 1 / aspect if aspect else None
    return replace(facts, layout=layout, sample_aspect=aspect, rotation=0)


def turn_planes(planes: Sequence[Plane], rotation: int) -> list[Plane]:
    """Planes (height x width) turned clockwise by a multiple of 90 degrees."""
    return [np.rot90(plane, -rotation // 90) for plane in planes]


def constant_rate(stream: Any) -> Fraction | None:
    """Frames per second of a PyAV stream, None where it varies or is not known."""
    average, base = stream.average_rate, stream.base_rate
    if not average or not base or abs(average / base - 1) > Fraction(1, 1000):
        return None
    # A rate that was derived from rounded timestamps has terms without meaning.
    return Fraction(base if base.denominator in (1, 1001) else average)


def proportional(scale: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Fills in the side of `scale` that is -1: even, and in the proportions of `size`."""
    width, height = scale
    if width == -1:
        width = max(2, round(height * size[0] / size[1] / 2) * 2)
    elif height == -1:
        height = max(2, round(width * size[1] / size[0] / 2) * 2)
    return width, height


def scaled_aspect(
    aspect: Fraction | None, size: tuple[int, int], scaled: tuple[int, int]
) -> Fraction | None:
    """The sample aspect ratio that keeps the display shape when `size` becomes `scaled`."""
    if aspect is None or size == scaled:
        return aspect
    stretch = Fraction(size[0] * scaled[1], size[1] * scaled[0])
    return (aspect * stretch).limit_denominator(1 << 15)


def rotation_of(frame: av.VideoFrame, warn: Callable[[str], None]) -> int:
    """Degrees clockwise to turn a frame for display, by its display matrix: a quarter turn each."""
    clockwise = -frame.rotation % 360
    nearest = round(clockwise / 90) * 90 % 360
    if abs((clockwise - nearest + 180) % 360 - 180) > 1:
        warn(f"a rotation of {clockwise} degrees is carried as {nearest}")
    try:
        matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        matrix = None  # PyAV 18 cannot list side data of kinds that it has no name for, as EXIF's
    if matrix is not None:
        a, b, _, c, d = struct.unpack("=5i", bytes(matrix)[:20])
        if a * d - b * c < 0:
            warn("the mirroring of the display matrix is left out")
    return nearest
