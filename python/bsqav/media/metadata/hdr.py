"""HDR metadata: mastering display (SMPTE ST 2086), content light level, and Dolby Vision.

No sample depends on it; a display maps tones by it. It is in the container, not in the stream.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av

from bsqav.media.metadata.side_data import frame_side_data

__all__ = ["NO_HDR", "DolbyVision", "HdrMetadata", "MasteringDisplay", "hdr_of_frame"]

# Struct AVMasteringDisplayMetadata: ten fractions of two ints, then two flags.
_MASTERING = struct.Struct("=20i2i")
_CONTENT = struct.Struct("=2I")
# ST 2086 counts chromaticity in these steps, and luminance in the second.
CHROMATICITY_STEPS, LUMINANCE_STEPS = 50000, 10000
MAX_NITS = 1_000_000


@dataclass(frozen=True)
class MasteringDisplay:
    """The display on which a video was graded. Chromaticities are CIE 1931 x and y."""

    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float]
    luminance: tuple[float, float]  # lowest and highest, candela per square metre

    @property
    def is_sound(self) -> bool:
        """Whether all values are such as a display may have."""
        points = (*self.red, *self.green, *self.blue, *self.white)
        low, high = self.luminance
        return all(0 <= value <= 1 for value in points) and 0 <= low < high <= MAX_NITS


@dataclass(frozen=True)
class HdrMetadata:
    """Static HDR metadata of a video: SMPTE ST 2086 and CTA-861.3."""

    mastering: MasteringDisplay | None = None
    max_cll: int = 0  # brightest sample, candela per square metre; 0 where unknown
    max_fall: int = 0  # brightest mean of a frame

    def __bool__(self) -> bool:
        return bool(self.mastering or self.max_cll or self.max_fall)

    def x265_parameters(self) -> list[str]:
        """The same as parameters of x265's."""
        return self._parameters("master-display", "max-cll", _st2086)

    def x264_parameters(self) -> list[str]:
        """The same as parameters of x264's."""
        return self._parameters("mastering-display", "cll", _st2086)

    def svtav1_parameters(self) -> list[str]:
        """The same as parameters of SVT-AV1's, which takes numbers as they are."""
        return self._parameters("mastering-display", "content-light", lambda value, _: f"{value:g}")

    def _parameters(
        self, mastering: str, content: str, number: Callable[[float, int], str]
    ) -> list[str]:
        found = []
        if self.mastering is not None:
            shown = self.mastering
            points = "".join(
                f"{name}({number(x, CHROMATICITY_STEPS)},{number(y, CHROMATICITY_STEPS)})"
                for name, (x, y) in (
                    ("G", shown.green),
                    ("B", shown.blue),
                    ("R", shown.red),
                    ("WP", shown.white),
                )
            )
            low, high = (number(value, LUMINANCE_STEPS) for value in shown.luminance)
            found.append(f"{mastering}={points}L({high},{low})")
        if self.max_cll or self.max_fall:
            found.append(f"{content}={self.max_cll},{self.max_fall}")
        return found


def _st2086(value: float, steps: int) -> str:
    return str(round(value * steps))


NO_HDR = HdrMetadata()


@dataclass(frozen=True)
class DolbyVision:
    """What a container says of the Dolby Vision in a track."""

    profile: int
    compatibility: int  # of the base layer with other standards; 0 for none

    @classmethod
    def of(cls, record: bytes) -> DolbyVision | None:
        """Reads a configuration record (ETSI TS 103 572 and Dolby's ISO media format)."""
        return cls(record[2] >> 1, record[4] >> 4) if len(record) >= 5 else None


@dataclass(frozen=True)
class TrackColour:
    """What a container says of a track's colour, and PyAV does not offer."""

    hdr: HdrMetadata = NO_HDR
    chroma_location: int = 0  # FFmpeg's AVChromaLocation, 0 where unknown
    dolby_vision: DolbyVision | None = None


def hdr_of_frame(frame: av.VideoFrame) -> HdrMetadata:
    """The HDR metadata of a decoded PyAV frame."""
    mastering, content = frame_side_data(frame, "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")
    levels = (0, 0)
    if len(content) >= _CONTENT.size:
        levels = _CONTENT.unpack_from(content)
    return HdrMetadata(_mastering(mastering), *(min(level, MAX_NITS) for level in levels))


def _mastering(data: bytes) -> MasteringDisplay | None:
    if len(data) < _MASTERING.size:
        return None
    numbers = _MASTERING.unpack_from(data)
    if not all(numbers[20:]) or not all(numbers[1:20:2]):
        return None
    values = [float(Fraction(a, b)) for a, b in zip(numbers[0:20:2], numbers[1:20:2], strict=True)]
    pairs = [(values[at], values[at + 1]) for at in range(0, 10, 2)]
    found = MasteringDisplay(*pairs)
    return found if found.is_sound else None
