"""Sequence headers as dictionaries: what a stream says of its size, timing, colour and display."""

from __future__ import annotations

from fractions import Fraction
from typing import NotRequired, TypedDict

from bsqav.codec.frame_format import Colour, PlaneFormat
from bsqav.errors import UsageError

__all__ = [
    "GROUP_COUNTERS",
    "PacketHeader",
    "SequenceHeader",
    "colour_of",
    "frame_rate_of",
    "plane_format_of",
    "sample_aspect_of",
    "sequence_header",
    "sequence_of",
    "time_base_of",
]

MAX_TERM = (1 << 31) - 1
# Values of `group_counter` of a packet, which rises from group to group.
GROUP_COUNTERS = 4


class SequenceHeader(TypedDict):
    """A sequence header: the fields of bsq_sequence in bsq.h. Fractions are pairs of integers.

    What a caller omits has the defaults of bsq.h; a header that was read has all of them.
    """

    width: int
    height: int
    chroma: NotRequired[str]  # "420", "422", "444" or "gray"
    alpha: NotRequired[int]
    bit_depth: NotRequired[int]
    time_base: NotRequired[tuple[int, int]]
    frame_rate: NotRequired[tuple[int, int]]  # (0, 1) where variable or unknown
    sample_aspect: NotRequired[tuple[int, int]]
    color_primaries: NotRequired[int]
    color_transfer: NotRequired[int]
    color_matrix: NotRequired[int]
    full_range: NotRequired[int]
    chroma_location: NotRequired[int]
    rotation: NotRequired[int]  # degrees clockwise
    model_id: NotRequired[str]
    version: NotRequired[int]  # of the codestream
    level: NotRequired[int]
    chroma_crf_offset: NotRequired[int]


class PacketHeader(TypedDict):
    """What `_core.probe_packet` reads of a packet; see there."""

    keyframe: int
    index_in_group: int
    frames: int
    held_frames: int
    b_frames: int
    layers: int
    crf: float
    tiles: int
    pts: int
    ticks_per_frame: int
    group_counter: int
    duration: int
    sequence: SequenceHeader | None


class CodedFrame(TypedDict):
    """What `_core.probe_frames` reads of a frame in a packet; see there."""

    ahead: int
    back: int
    forth: int
    bytes: int
    crf: float


def sequence_of(packet: PacketHeader) -> SequenceHeader:
    """The sequence header in a keyframe."""
    assert packet["sequence"] is not None
    return packet["sequence"]


def _pair(value: Fraction | None, what: str) -> tuple[int, int]:
    """A fraction in terms that fit 32 bits, (0, 1) for unknown."""
    if value is None or value == 0:
        return (0, 1)
    if value < 0:
        raise UsageError(f"{what} {value} is negative")
    if value.numerator > MAX_TERM or value.denominator > MAX_TERM:
        raise UsageError(f"{what} {value} has terms above {MAX_TERM}")
    return (value.numerator, value.denominator)


def sequence_header(
    layout: PlaneFormat,
    colour: Colour | None = None,
    *,
    time_base: Fraction,
    frame_rate: Fraction | None = None,
    sample_aspect: Fraction | None = None,
    chroma_location: int = 0,
    rotation: int = 0,
) -> SequenceHeader:
    """What an encoder needs to know before the first frame.

    Args:
        layout: size, chroma and bit depth of the planes.
        colour: colour tags, unspecified where None.
        time_base: seconds per tick of the timestamps.
        frame_rate: frames per second, None where variable or unknown.
        sample_aspect: width over height of one sample, None where unknown.
        chroma_location: FFmpeg's AVChromaLocation, 0 unspecified.
        rotation: degrees clockwise to turn the frame for display: 0, 90, 180 or 270.

    Raises:
        UsageError: a fraction is negative or too fine, or the rotation is no quarter turn.
    """
    if time_base <= 0:
        raise UsageError(f"time base {time_base} is not positive")
    if rotation % 90:
        raise UsageError(f"rotation {rotation} is not a multiple of 90 degrees")
    colour = colour or Colour()
    return {
        "width": layout.width,
        "height": layout.height,
        "chroma": layout.chroma,
        "alpha": int(layout.alpha),
        "bit_depth": layout.bit_depth,
        "time_base": _pair(time_base, "time base"),
        "frame_rate": _pair(frame_rate, "frame rate"),
        "sample_aspect": _pair(sample_aspect, "sample aspect ratio"),
        "color_primaries": colour.primaries,
        "color_transfer": colour.transfer,
        "color_matrix": colour.matrix,
        "full_range": colour.full_range,
        "chroma_location": chroma_location,
        "rotation": rotation % 360,
    }


def _fraction(pair: tuple[int, int]) -> Fraction | None:
    num, den = pair
    return Fraction(num, den) if num and den else None


def time_base_of(sequence: SequenceHeader) -> Fraction:
    """Seconds per tick of a stream's timestamps."""
    value = _fraction(sequence["time_base"])
    if value is None:
        raise UsageError(f"the sequence header has the time base {sequence['time_base']}")
    return value


def frame_rate_of(sequence: SequenceHeader) -> Fraction | None:
    """Frames per second, None where variable or unknown."""
    return _fraction(sequence.get("frame_rate", (0, 1)))


def sample_aspect_of(sequence: SequenceHeader) -> Fraction | None:
    """Width over height of one sample, None where unknown."""
    return _fraction(sequence.get("sample_aspect", (0, 1)))


def plane_format_of(sequence: SequenceHeader) -> PlaneFormat:
    """The shape of a stream's planes."""
    return PlaneFormat(
        sequence["width"],
        sequence["height"],
        sequence.get("chroma", "420"),
        sequence.get("bit_depth", 8),
        bool(sequence.get("alpha", 0)),
    )


def colour_of(sequence: SequenceHeader) -> Colour:
    """A stream's colour tags; what a header leaves out is unspecified."""
    return Colour(
        primaries=sequence.get("color_primaries", 2),
        transfer=sequence.get("color_transfer", 2),
        matrix=sequence.get("color_matrix", 2),
        full_range=sequence.get("full_range", 2),
    )
