"""What goes between frames and streams: Packet, which shows a frame, and Frame, that."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import PictureType

from bsqav.codec.frame_format import HasLayout, PlaneFormat, planes_to_frame
from bsqav.codec.sequence import SequenceHeader, colour_of, plane_format_of, time_base_of

__all__ = ["Frame", "Packet", "Plane"]

Plane: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Packet:
    """What is to be decoded to show one frame. `bytes(packet)` gives its data."""

    data: bytes
    pts: int  # ticks of time_base
    duration: int  # ticks of time_base, 0 where unknown
    keyframe: bool
    time_base: Fraction  # seconds per tick
    disposable: bool = False  # no other packet needs what is in it: without it one frame is lost

    def __bytes__(self) -> bytes:
        return self.data

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True, slots=True, eq=False)
class Frame(HasLayout):
    """One decoded frame."""

    planes: tuple[Plane, ...]  # height x width each, uint8 or (above 8 bits) uint16
    pts: int  # ticks of time_base
    duration: int  # ticks of time_base, 0 where unknown
    keyframe: bool
    b_frame: bool
    concealed: bool  # stands in for lost or damaged data
    sequence: SequenceHeader

    @property
    def layout(self) -> PlaneFormat:
        """Size, chroma and bit depth of the planes."""
        return plane_format_of(self.sequence)

    @property
    def time_base(self) -> Fraction:
        """Seconds per tick."""
        return time_base_of(self.sequence)

    @property
    def time(self) -> Fraction:
        """Presentation time in seconds, exact."""
        return self.pts * self.time_base

    def to_video_frame(self) -> av.VideoFrame:
        """A PyAV frame with a copy of the samples, with times, colour, key_frame and pict_type set.

        A frame that is coded on its own is a key frame of type I, any other of type P or B.
        """
        frame = planes_to_frame(self.planes, self.layout)
        colour_of(self.sequence).tag(frame)
        frame.pts = self.pts
        frame.time_base = self.time_base
        frame.duration = self.duration
        is_key = self.keyframe and not self.concealed
        frame.key_frame = is_key  # type: ignore[misc]  # PyAV's stub lacks the setter
        other = PictureType.B if self.b_frame else PictureType.P
        frame.pict_type = PictureType.I if is_key else other
        return frame

    def to_ndarray(self, format: str = "rgb24") -> npt.NDArray[Any]:  # noqa: A002
        """One array in a packed or gray pixel format of PyAV's, e.g. height x width x 3 for rgb24.

        The stream's own matrix and range are used; without a matrix, BT.709.
        """
        matrix = self.sequence.get("color_matrix", 2)
        frame = self.to_video_frame()
        converted = frame.reformat(
            format=format,
            src_colorspace="ITU709" if matrix in (1, 2) else None,
            src_color_range="JPEG" if self.sequence.get("full_range") == 1 else "MPEG",
        )
        return converted.to_ndarray()
