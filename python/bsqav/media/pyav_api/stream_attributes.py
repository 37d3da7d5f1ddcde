"""What PyAV's streams and codec contexts answer of any codec, and what BSQ's answer to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal, Self

import av
from av.codec.context import ThreadType

from bsqav.codec.frame_format import UNSPECIFIED, Colour
from bsqav.errors import UsageError
from bsqav.media.io.codec_tag import CODEC_TAG

__all__ = ["CODEC", "CodecAttributes", "CodecDescription"]

_UNKNOWN_LEVEL = -99


@dataclass(frozen=True)
class CodecDescription:
    """What a stream's `codec` says, with the attributes of av.codec.Codec that describe."""

    name: str = "bsq"
    canonical_name: str = "bsq"
    long_name: str = "Binary Spherical Quantization"
    type: Literal["video"] = "video"
    is_encoder: bool = True
    is_decoder: bool = True
    intra_only: bool = False
    lossy: bool = True
    lossless: bool = False
    reorder: bool = False


CODEC = CodecDescription()


class ColourCode:
    """A code point of ISO/IEC 23091-2 in a stream's colour, 2 where unspecified."""

    def __init__(self, field: Literal["primaries", "transfer", "matrix"]) -> None:
        self._field = field

    def __get__(self, stream: CodecAttributes, owner: object = None) -> int:
        return int(getattr(stream._colour, self._field))

    def __set__(self, stream: CodecAttributes, value: int) -> None:
        stream._colour = replace(stream._colour, **{self._field: int(value)})


class CodecAttributes:
    """Attributes of av.VideoStream and its codec context that a stream of BSQ has of its size.

    A class on top has width, height, pix_fmt, sample_aspect_ratio, and `_colour`.
    """

    type: Literal["video"] = "video"
    name = "bsq"
    codec = CODEC
    codec_tag = CODEC_TAG
    # BSQ has no profiles; its level follows from the size. Packets are in presentation order, with
    # B frames too.
    profile: str | None = None
    level = _UNKNOWN_LEVEL
    has_b_frames = False
    reorder_depth = 0
    max_b_frames = 0
    delay = 0
    field_order = 1  # AV_FIELD_PROGRESSIVE
    hwaccel = None
    is_hwaccel = False
    sw_format = None
    max_bit_rate: int | None = None
    bit_rate_tolerance: int | None = None
    bits_per_coded_sample = 0
    flags2 = 0
    qscale = False
    copy_opaque = False
    global_quality = 0

    width: int
    height: int
    pix_fmt: str | None
    sample_aspect_ratio: Fraction | None
    extradata: bytes | None

    _colour: Colour
    color_primaries = ColourCode("primaries")
    color_trc = ColourCode("transfer")
    colorspace = ColourCode("matrix")

    @property
    def color_range(self) -> int:
        """FFmpeg's AVColorRange: 0 unspecified, 1 limited, 2 full."""
        return {0: 1, 1: 2}.get(self._colour.full_range, 0)

    @color_range.setter
    def color_range(self, value: int) -> None:
        full_range = {1: 0, 2: 1}.get(int(value), UNSPECIFIED)
        self._colour = replace(self._colour, full_range=full_range)

    _thread_type = ThreadType.SLICE

    @property
    def codec_context(self) -> Self:
        """The stream itself, which has a codec context's attributes."""
        return self

    @property
    def thread_type(self) -> ThreadType:
        """What is asked for; several threads work on a frame together whatever it is."""
        return self._thread_type

    @thread_type.setter
    def thread_type(self, value: ThreadType | int | str) -> None:
        try:
            self._thread_type = ThreadType[value] if isinstance(value, str) else ThreadType(value)
        except (KeyError, ValueError):
            raise UsageError(f"there are no threads of type {value!r}") from None

    def __repr__(self) -> str:
        index = getattr(self, "index", "")
        return f"<bsqav stream #{index} bsq, {self.pix_fmt} {self.width}x{self.height}>"

    @property
    def profiles(self) -> list[str]:
        """None: BSQ has no profiles."""
        return []

    @property
    def format(self) -> av.VideoFormat | None:
        """The pixel format with its planes and components."""
        if self.pix_fmt is None:
            return None
        return av.VideoFormat(self.pix_fmt, self.width, self.height)

    @property
    def coded_width(self) -> int:
        """The same as width: sizes are coded as they are."""
        return self.width

    @property
    def coded_height(self) -> int:
        """The same as height."""
        return self.height

    @property
    def extradata_size(self) -> int:
        """Bytes of `extradata`."""
        return len(self.extradata or b"")

    @property
    def display_aspect_ratio(self) -> Fraction | None:
        """Width over height of the frame as it is to be shown, before any rotation."""
        if not self.width or not self.height:
            return None
        return Fraction(self.width, self.height) * (self.sample_aspect_ratio or 1)
