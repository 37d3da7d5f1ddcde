"""PyAV frames as the planes that the codec takes, and planes as PyAV frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from bsqav.errors import UnsupportedError

__all__ = ["Colour", "FrameConverter", "PlaneFormat", "frame_planes", "planes_to_frame"]

Plane: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

# Code points of ISO/IEC 23091-2 that are handled by name below.
UNSPECIFIED = 2
MATRIX_RGB = 0
MATRIX_BT709 = 1

# From the matrix code points to libswscale's own numbers; the ones left out mean BT.601 to it.
_SWS_MATRIX = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
_SWS_RANGE = {0: ColorRange.MPEG, 1: ColorRange.JPEG}
_SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP

# Formats that hold the same samples as a coded one in another order: no warning is due.
_SAME_SAMPLES = {"nv12", "nv21", "yuvj420p", "p010le", "p010be", "yuv420p10be", "gray10be"}


@dataclass(frozen=True)
class Colour:
    """How samples map to light: code points of ISO/IEC 23091-2, 2 where unspecified.

    `full_range` is 0 for limited, 1 for full, 2 for unspecified, as in the sequence header.
    """

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    full_range: int = UNSPECIFIED

    @classmethod
    def of_frame(cls, frame: av.VideoFrame) -> Colour:
        """The colour tags that a decoded PyAV frame carries."""
        return cls(
            primaries=int(frame.color_primaries),
            transfer=int(frame.color_trc),
            matrix=int(frame.colorspace),
            full_range=_full_range(frame),
        )

    def tag(self, target: Any) -> None:
        """Write these tags on a PyAV frame or codec context."""
        target.color_primaries = self.primaries
        target.color_trc = self.transfer
        target.colorspace = self.matrix
        target.color_range = {0: 1, 1: 2}.get(self.full_range, 0)


def _full_range(frame: av.VideoFrame) -> int:
    if frame.format.name.startswith("yuvj"):
        return 1
    return {1: 0, 2: 1}.get(int(frame.color_range), UNSPECIFIED)


@dataclass(frozen=True)
class PlaneFormat:
    """The shape in which frames reach the codec: size in luma samples, chroma and bit depth."""

    width: int
    height: int
    chroma: str  # "gray" or "420"
    bit_depth: int  # 8 or 10

    @property
    def pixel_format(self) -> str:
        """FFmpeg's name of the pixel format, samples in the machine's byte order."""
        name = "gray" if self.chroma == "gray" else "yuv420p"
        return name if self.bit_depth == 8 else f"{name}10le"

    @property
    def plane_sizes(self) -> list[tuple[int, int]]:
        """(width, height) of each plane; chroma is half the size of luma, rounded up."""
        luma = (self.width, self.height)
        if self.chroma == "gray":
            return [luma]
        half = ((self.width + 1) // 2, (self.height + 1) // 2)
        return [luma, half, half]


def _coded_format(frame: av.VideoFrame, max_bit_depth: int) -> tuple[str, int]:
    """Chroma and bit depth in which frames of this kind are coded."""
    components = [part for part in frame.format.components if not part.is_alpha]
    depth = max((part.bits for part in components), default=8)
    gray = len(components) == 1 and not frame.format.has_palette and not frame.format.is_bayer
    return "gray" if gray else "420", min(10 if depth > 8 else 8, max_bit_depth)


def _is_rgb(frame: av.VideoFrame) -> bool:
    if frame.format.has_palette or frame.format.is_bayer:
        return True
    return bool(frame.format.is_rgb)


class FrameConverter:
    """Turns decoded frames of any pixel format and size into planes of one fixed format.

    The first frame settles the format: gray stays gray, everything else becomes 4:2:0; more than
    8 bits become 10, as far as `max_bit_depth` allows; `scale` gives another size. RGB is
    converted with BT.709 in limited range and tagged so; other samples keep their matrix and
    range. Whatever loses something is said once through `warn`.
    """

    def __init__(
        self,
        first: av.VideoFrame,
        *,
        scale: tuple[int, int] | None = None,
        max_bit_depth: int = 10,
        warn: Callable[[str], None],
    ) -> None:
        width, height = scale or (first.width, first.height)
        chroma, bit_depth = _coded_format(first, max_bit_depth)
        self.format = PlaneFormat(width, height, chroma, bit_depth)
        self.colour = Colour.of_frame(first)
        if _is_rgb(first) and chroma == "420":
            self.colour = replace(self.colour, matrix=MATRIX_BT709, full_range=0)
        elif self.colour.matrix == MATRIX_RGB and chroma == "420":
            self.colour = replace(self.colour, matrix=UNSPECIFIED)
        self._warn = warn
        self._reformatter = VideoReformatter()
        self._source = (first.width, first.height)
        self._said: set[str] = set()
        self._say_losses(first)

    def _say_losses(self, frame: av.VideoFrame) -> None:
        name, target = frame.format.name, self.format.pixel_format
        if name != target and name not in _SAME_SAMPLES:
            how = ""
            if _is_rgb(frame) and self.format.chroma == "420":
                how = " with the BT.709 matrix, limited range"
            self._warn_once(f"pixel format {name} is converted to {target}{how}")
        if any(part.is_alpha for part in frame.format.components):
            self._warn_once(f"the alpha channel of {name} is left out")
        if frame.interlaced_frame:
            self._warn_once("interlaced video is coded as whole frames, not deinterlaced")

    def _warn_once(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            self._warn(message)

    def convert(self, frame: av.VideoFrame) -> list[Plane]:
        """Planes of one frame: height x width arrays that alias the frame where they can."""
        if (frame.width, frame.height) != self._source:
            self._warn_once(
                f"the picture size changes on the way, from {self._source[0]}x{self._source[1]} "
                f"to {frame.width}x{frame.height}: scaled to {self.format.width}x"
                f"{self.format.height}"
            )
        if any(plane.line_size < 0 for plane in frame.planes):
            # Rows that run upward in memory are beyond PyAV's buffers; a detour turns them.
            detour = "yuv444p" if self.format.bit_depth == 8 else "yuv444p10le"
            frame = self._reformat(frame, detour if self.format.chroma == "420" else "gray16le")
        target = self.format.pixel_format
        # The names that start with yuvj are the same samples, said to be in full range.
        name = frame.format.name.replace("yuvj", "yuv")
        if name != target or (frame.width, frame.height) != (self.format.width, self.format.height):
            frame = self._reformat(frame, target)
        return frame_planes(frame, self.format)

    def _reformat(self, frame: av.VideoFrame, pixel_format: str) -> av.VideoFrame:
        self._say_losses(frame)
        source = Colour.of_frame(frame)
        target_matrix = _SWS_MATRIX.get(self.colour.matrix)
        source_matrix = None if _is_rgb(frame) else _SWS_MATRIX.get(source.matrix, target_matrix)
        target_range = _SWS_RANGE.get(self.colour.full_range)
        source_range = _SWS_RANGE.get(source.full_range)
        if source_range is None and not _is_rgb(frame):
            source_range = target_range
        try:
            return self._reformatter.reformat(
                frame,
                self.format.width,
                self.format.height,
                pixel_format,
                src_colorspace=source_matrix,
                dst_colorspace=target_matrix,
                src_color_range=source_range,
                dst_color_range=target_range,
                interpolation=_SCALING,
                threads=1,
            )
        except (av.FFmpegError, ValueError) as error:
            raise UnsupportedError(
                f"frames of pixel format {frame.format.name} cannot be converted to "
                f"{pixel_format}: {error}"
            ) from error


def frame_planes(frame: av.VideoFrame, layout: PlaneFormat) -> list[Plane]:
    """The planes of a PyAV frame that has the pixel format and size of `layout`.

    Rows are padded in memory; the arrays are height x width views that skip the padding and keep
    the frame alive.
    """
    dtype = np.dtype(np.uint8 if layout.bit_depth == 8 else np.uint16)
    planes: list[Plane] = []
    for plane, (width, height) in zip(frame.planes, layout.plane_sizes, strict=False):
        pitch = plane.line_size // dtype.itemsize
        rows = np.frombuffer(memoryview(plane), dtype, pitch * height)
        planes.append(rows.reshape(height, pitch)[:, :width])
    return planes


def planes_to_frame(planes: Sequence[Plane], layout: PlaneFormat) -> av.VideoFrame:
    """A PyAV frame with a copy of the planes (height x width arrays)."""
    frame = av.VideoFrame(layout.width, layout.height, layout.pixel_format)
    for target, source in zip(frame_planes(frame, layout), planes, strict=True):
        target[:] = source
    return frame
