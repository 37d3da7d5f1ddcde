"""Stream info of a video: size, timing, colour and display, once its first frame is decoded."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
from av.container import Container
from av.stream import Stream

from bsqav.codec.frame_format import Colour, PlaneFormat
from bsqav.codec.sequence import SequenceHeader, sequence_header
from bsqav.codec.units import Plane
from bsqav.media.io.types import AvPacket
from bsqav.media.metadata.hdr import NO_HDR, HdrMetadata
from bsqav.media.metadata.side_data import frame_side_data

__all__ = [
    "COUNTS_FRAMES",
    "NO_GAPS",
    "RATE_PACKETS",
    "WITHOUT_TIMES",
    "StreamInfo",
    "constant_rate",
    "even_rate",
    "first_times",
    "is_elementary_stream",
    "is_on_grid",
    "proportional",
    "rotation_of",
    "scaled_aspect",
    "turn_planes",
    "turned",
    "usual_rate",
]

# Containers whose clock counts frames, by FFmpeg's names.
COUNTS_FRAMES = {"avi", "dv", "gxf", "ivf", "mxf", "ogg", "yuv4mpegpipe"}
# Of these, the ones that cannot say that a frame lasts longer.
NO_GAPS = {"dv", "gxf", "mxf", "yuv4mpegpipe"}
# FFmpeg's AVFMT_NOTIMESTAMPS: elementary streams.
WITHOUT_TIMES = 0x0080
# What is above this counts ticks of a clock (frames per second).
MAX_RATE = Fraction(500)
# How many packets are read for the rate, and how far they may be out of order.
RATE_PACKETS, RATE_REORDER = 32, 8
# A rate this near to a usual one is that one, rounded by a clock.
RATE_MARGIN = Fraction(1, 50)
# How far, in frames, one may lie from its place at a constant rate: clocks round, cameras jitter.
GRID_MARGIN = Fraction(1, 8)
# So many frames at even times make a constant rate.
MIN_EVEN_TIMES = 8
_NTSC = Fraction(1000, 1001)
_STANDARD_RATES = [Fraction(n) * by for n in (24, 25, 30, 50, 60, 120) for by in (1, _NTSC)]


@dataclass(frozen=True)
class StreamInfo:
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
    hdr: HdrMetadata = NO_HDR
    usual_rate: Fraction = Fraction(25)  # frames per second to reckon with where it varies

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


def turned(info: StreamInfo) -> StreamInfo:
    """What is known of the same video once its frames are turned as they are to be shown."""
    layout, aspect = info.layout, info.sample_aspect
    if info.rotation % 180:
        layout = replace(layout, width=layout.height, height=layout.width)
        aspect = 1 / aspect if aspect else None
    return replace(info, layout=layout, sample_aspect=aspect, rotation=0)


def turn_planes(planes: Sequence[Plane], rotation: int) -> list[Plane]:
    """Planes (height x width) turned clockwise by a multiple of 90 degrees."""
    return [np.rot90(plane, -rotation // 90) for plane in planes]


def constant_rate(stream: Stream, times: Sequence[Fraction] = ()) -> Fraction | None:
    """Frames per second of a PyAV stream, None where it varies or is not known.

    Args:
        stream: the video stream.
        times: of its first frames, in seconds and in order; they decide where what the container
            states is no rate.
    """
    average, base, form = stream.average_rate, stream.base_rate, stream.container.format
    if is_elementary_stream(stream.container):
        # What the stream itself says; FFmpeg puts 25 for the average where it reads no times.
        return _plain(stream.guessed_rate or average)
    if form.name in COUNTS_FRAMES and base and stream.time_base == 1 / base:
        return _plain(base)
    if average and base and abs(average / base - 1) <= Fraction(1, 1000) and _plain(average):
        # A rate that was derived from rounded timestamps has terms without meaning.
        return Fraction(base if base.denominator in (1, 1001) else average)
    stated = [base, base and base / 2, stream.guessed_rate, average]
    tick = Fraction(stream.time_base or 0)
    found = even_rate(times, tick, [rate for rate in stated if rate])
    if found is not None and stream.frames and stream.duration:
        # The first frames are not all. The last frame's duration may be anything.
        mean = stream.frames / (stream.duration * tick)
        margin = Fraction(1, 1000) + Fraction(1, stream.frames)
        return found if abs(mean / found - 1) <= margin else None
    return found


def is_elementary_stream(container: Container) -> bool:
    """Whether a file is an elementary stream (.h264, .m2v, ...), whose packets have no times."""
    return bool(int(container.format.flags) & WITHOUT_TIMES)


def even_rate(
    times: Sequence[Fraction], tick: Fraction, stated: Sequence[Fraction] = ()
) -> Fraction | None:
    """The rate of frames at such times, None where they are not even or too few.

    Args:
        times: seconds, rising.
        tick: the clock's step, to which times are rounded.
        stated: rates that are taken before others.
    """
    if len(times) < MIN_EVEN_TIMES or times[-1] <= times[0]:
        return None
    mean = (times[-1] - times[0]) / (len(times) - 1)
    for rate in (*stated, *_STANDARD_RATES, 1 / mean):
        if abs(mean * rate - 1) < Fraction(1, 20) and all(
            abs(time - times[0] - index / Fraction(rate)) <= tick
            for index, time in enumerate(times)
        ):
            return Fraction(rate)
    return None


def is_on_grid(times: Sequence[Fraction], rate: Fraction) -> bool:
    """Whether frames lie at whole numbers of frames from the first, as at a constant rate."""
    numbers = [(time - times[0]) * rate for time in times]
    return all(abs(number - round(number)) <= GRID_MARGIN for number in numbers)


def first_times(packets: Sequence[AvPacket]) -> list[Fraction]:
    """Times of the first frames in their order, in seconds, out of packets in that of decoding."""
    times = sorted(p.pts * Fraction(p.time_base) for p in packets if p.pts is not None)
    # Of the last ones some may be missing that come later.
    return times if len(packets) < RATE_PACKETS else times[:-RATE_REORDER]


def _plain(rate: Fraction | None) -> Fraction | None:
    """A stated rate, None where it is a clock and no rate of frames."""
    return Fraction(rate) if rate and rate <= MAX_RATE else None


def usual_rate(stream: Stream, times: Sequence[Fraction] = ()) -> Fraction:
    """Frames per second to reckon with where the rate varies, so that most steps are no shorter.

    Args:
        stream: the video stream.
        times: of its first frames, in seconds and in order.
    """
    steps = sorted(after - before for before, after in pairwise(times) if after > before)
    if steps:
        rate = 1 / steps[len(steps) // 10]
        near = min(_STANDARD_RATES, key=lambda each: abs(each / rate - 1))
        return near if abs(near / rate - 1) < RATE_MARGIN else min(rate, MAX_RATE)
    for stated in (stream.base_rate, stream.guessed_rate, stream.average_rate):
        if stated and stated <= MAX_RATE:
            return Fraction(stated)
    return Fraction(25)


def proportional(scale: tuple[int, int] | Fraction, size: tuple[int, int]) -> tuple[int, int]:
    """Fills in the side of `scale` that is -1, or takes that part of `size`: even sides."""
    if isinstance(scale, Fraction):
        width, height = (max(2, round(scale * side / 2) * 2) for side in size)
        return width, height
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
    (matrix,) = frame_side_data(frame, "DISPLAYMATRIX")
    if matrix:
        a, b, _, c, d = struct.unpack("=5i", matrix[:20])
        if a * d - b * c < 0:
            warn("the mirroring of the display matrix is left out")
    return nearest
