"""PyAV frames as the planes that the codec takes, and planes as PyAV frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from bsqav.errors import UnsupportedError

__all__ = [
    "SWS_MATRIX",
    "Colour",
    "FrameConverter",
    "HasLayout",
    "PlaneFormat",
    "coded_format",
    "frame_planes",
    "has_transparent_pixels",
    "is_rgb",
    "planes_to_frame",
]

Plane: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

# Code points of ISO/IEC 23091-2 that are handled by name below.
UNSPECIFIED = 2
MATRIX_RGB = 0
MATRIX_BT709 = 1

# From the matrix code points to libswscale's own numbers; the ones left out mean BT.601 to it.
SWS_MATRIX = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
_MATRIX_NAMES = {1: "BT.709", 4: "FCC", 5: "BT.601", 6: "BT.601", 7: "SMPTE 240M", 9: "BT.2020"}
_SWS_RANGE = {0: ColorRange.MPEG, 1: ColorRange.JPEG}
_SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP

# Log2 of how many luma samples a chroma sample stands for in a row and in a column.
_SUBSAMPLING = {"420": (1, 1), "422": (1, 0), "444": (0, 0)}
# Chroma of RGB where nothing else is asked for, in videos and images alike: docs/cli.md says why.
RGB_CHROMA = "420"
# What 4:4:0 and 4:1:1 lose nothing in, and 4:1:0 hardly anything.
_NEAREST = {(0, 1): "444", (2, 0): "422", (2, 1): "420", (2, 2): "420"}


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
    chroma: str  # "gray", "420", "422" or "444"
    bit_depth: int  # 8 or 10
    alpha: bool = False  # a plane of its own after the others, of the size of luma

    @classmethod
    def named(cls, width: int, height: int, pixel_format: str) -> PlaneFormat:
        """That of a pixel format which is coded as it is.

        Raises:
            UnsupportedError: there is none of that name.
        """
        for chroma in ("420", "422", "444", "gray"):
            for bit_depth in (8, 10):
                for alpha in (False, True):
                    layout = cls(width, height, chroma, bit_depth, alpha)
                    if layout.pixel_format == pixel_format:
                        return layout
        raise UnsupportedError(
            f"pixel format {pixel_format} is not coded as it is: take one of yuv420p, yuv422p, "
            "yuv444p, yuva420p, yuva422p, yuva444p (each also with 10le), gray, gray10le, ya8, "
            "ya16le; frames of other formats are converted to it"
        )

    @property
    def pixel_format(self) -> str:
        """FFmpeg's name of the pixel format, samples in the machine's byte order.

        FFmpeg has gray with alpha as ya8 and ya16le alone: 10 bits of it are the upper ones of 16.
        """
        if self.chroma == "gray" and self.alpha:
            return "ya8" if self.bit_depth == 8 else "ya16le"
        name = "gray" if self.chroma == "gray" else f"yuv{'a' * self.alpha}{self.chroma}p"
        return name if self.bit_depth == 8 else f"{name}10le"

    @property
    def plane_sizes(self) -> list[tuple[int, int]]:
        """(width, height) of each plane: luma, chroma (odd sizes rounded up), alpha."""
        luma = (self.width, self.height)
        sizes = [luma]
        if self.chroma != "gray":
            across, down = _SUBSAMPLING[self.chroma]
            sizes += [(-(-self.width >> across), -(-self.height >> down))] * 2
        return [*sizes, *[luma] * self.alpha]


class HasLayout(ABC):
    """What has frames of one format: their size and FFmpeg's name of it."""

    __slots__ = ()

    @property
    @abstractmethod
    def layout(self) -> PlaneFormat:
        """Size, chroma and bit depth of the planes."""

    @property
    def width(self) -> int:
        """Luma samples in a row."""
        return self.layout.width

    @property
    def height(self) -> int:
        """Rows of luma samples."""
        return self.layout.height

    @property
    def pix_fmt(self) -> str:
        """FFmpeg's name of the pixel format of decoded frames."""
        return self.layout.pixel_format


def has_transparent_pixels(frame: av.VideoFrame) -> bool:
    """Whether any pixel is not opaque."""
    return int(frame.reformat(format="rgba").to_ndarray()[..., 3].min()) < 255


def _has_alpha(frame: av.VideoFrame) -> bool:
    """Whether frames of this kind can be transparent; a palette is looked at."""
    if frame.format.has_palette:
        return has_transparent_pixels(frame)
    return any(part.is_alpha for part in frame.format.components)


def _subsampling(frame: av.VideoFrame) -> tuple[int, int]:
    """Log2 of luma samples for a chroma sample, in a row and in a column."""
    form = frame.format
    return 6 - form.chroma_width(64).bit_length() + 1, 6 - form.chroma_height(64).bit_length() + 1


def _coded_chroma(frame: av.VideoFrame) -> str:
    """Chroma in which frames of this kind are coded."""
    if is_rgb(frame):
        return RGB_CHROMA
    if sum(not part.is_alpha for part in frame.format.components) == 1:
        return "gray"
    found = _subsampling(frame)
    exact = {sampling: name for name, sampling in _SUBSAMPLING.items()}
    return exact.get(found) or _NEAREST.get(found, "420")


def _depth(frame: av.VideoFrame) -> int:
    """Bits of a sample."""
    return max((part.bits for part in frame.format.components if not part.is_alpha), default=8)


def coded_format(frame: av.VideoFrame, max_bit_depth: int = 10) -> PlaneFormat:
    """The format in which frames of this kind are coded."""
    bit_depth = min(10 if _depth(frame) > 8 else 8, max_bit_depth)
    return PlaneFormat(
        frame.width, frame.height, _coded_chroma(frame), bit_depth, _has_alpha(frame)
    )


def is_rgb(frame: av.VideoFrame) -> bool:
    """Whether samples are red, green and blue, also by a palette or in a Bayer pattern."""
    return frame.format.has_palette or frame.format.is_bayer or bool(frame.format.is_rgb)


class FrameConverter:
    """Turns decoded frames of any pixel format and size into planes of one fixed format.

    The first frame settles the format, unless `pixel_format` names one (see `PlaneFormat.named`):
    gray, 4:2:0, 4:2:2, 4:4:4 and alpha stay what they are, RGB becomes 4:2:0; more than 8 bits
    become 10, as far as `max_bit_depth` allows; `scale` gives another size. RGB is converted with
    BT.709 in limited range and tagged so, or as `colour` says; other samples keep their matrix and
    range. Whatever loses something is said once through `warn`.
    """

    def __init__(
        self,
        first: av.VideoFrame,
        *,
        scale: tuple[int, int] | None = None,
        max_bit_depth: int = 10,
        pixel_format: str | None = None,
        colour: Colour | None = None,
        warn: Callable[[str], None],
    ) -> None:
        width, height = scale or (first.width, first.height)
        if pixel_format is not None:
            self.format = PlaneFormat.named(width, height, pixel_format)
        else:
            self.format = replace(coded_format(first, max_bit_depth), width=width, height=height)
        self._chroma_is_asked = pixel_format is not None
        gray = self.format.chroma == "gray"
        self.colour = Colour.of_frame(first)
        if colour is not None and (colour.matrix, colour.full_range) != (UNSPECIFIED, UNSPECIFIED):
            self.colour = colour
        elif is_rgb(first) and not gray:
            self.colour = replace(self.colour, matrix=MATRIX_BT709, full_range=0)
        elif self.colour.matrix == MATRIX_RGB and not gray:
            self.colour = replace(self.colour, matrix=UNSPECIFIED)
        self._warn = warn
        self._reformatter = VideoReformatter()
        self._source = (first.width, first.height)
        self._said: set[str] = set()
        self._say_losses(first)

    def _say_losses(self, frame: av.VideoFrame) -> None:
        name, target = frame.format.name, self.format.pixel_format
        if not self._has_same_samples(frame):
            how = ""
            if is_rgb(frame) and self.format.chroma != "gray":
                extent = "full" if self.colour.full_range == 1 else "limited"
                matrix = _MATRIX_NAMES.get(self.colour.matrix, "BT.601")
                how = f" with the {matrix} matrix, {extent} range"
                if not self._chroma_is_asked:
                    whole = replace(self.format, chroma="444").pixel_format
                    how += f" ({whole}, where asked for, keeps the colours of every pixel)"
            elif _depth(frame) > self.format.bit_depth and target == "ya16le":
                how = f", of which {self.format.bit_depth} bits are kept"
            if name != target or how:
                self._warn_once(f"pixel format {name} is converted to {target}{how}")
        if not self.format.alpha and _has_alpha(frame):
            self._warn_once(f"the alpha channel of {name} is left out")
        if frame.interlaced_frame:
            self._warn_once("interlaced video is coded as whole frames, not deinterlaced")

    def _has_same_samples(self, frame: av.VideoFrame) -> bool:
        """Whether the samples are those of the coded format, if in another order."""
        if is_rgb(frame) or _depth(frame) != self.format.bit_depth:
            return False
        if _coded_chroma(frame) != self.format.chroma:
            return False
        return self.format.chroma == "gray" or (
            _subsampling(frame) == _SUBSAMPLING[self.format.chroma]
        )

    def _warn_once(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            self._warn(message)

    def convert(self, frame: av.VideoFrame) -> list[Plane]:
        """Planes of one frame: height x width arrays that alias the frame where they can."""
        if (frame.width, frame.height) != self._source:
            self._warn_once(
                f"the frame size changes on the way, from {self._source[0]}x{self._source[1]} "
                f"to {frame.width}x{frame.height}: scaled to {self.format.width}x"
                f"{self.format.height}"
            )
        if any(plane.line_size < 0 for plane in frame.planes):
            # Rows that run upward in memory are beyond PyAV's buffers; a detour turns them.
            detours = ["yuva444p16le" if self.format.alpha else "yuv444p16le", "yuva444p12le"]
            if self.format.chroma == "gray":
                detours = ["ya16le" if self.format.alpha else "gray16le", "gray12le"]
            frame = self._reformat(frame, next(d for d in detours if d != frame.format.name))
        target = self.format.pixel_format
        # The names that start with yuvj are the same samples, said to be in full range.
        name = frame.format.name.replace("yuvj", "yuv")
        if name != target or (frame.width, frame.height) != (self.format.width, self.format.height):
            frame = self._reformat(frame, target)
        return frame_planes(frame, self.format)

    def _reformat(self, frame: av.VideoFrame, pixel_format: str) -> av.VideoFrame:
        self._say_losses(frame)
        source = Colour.of_frame(frame)
        target_matrix = SWS_MATRIX.get(self.colour.matrix)
        source_matrix = None if is_rgb(frame) else SWS_MATRIX.get(source.matrix, target_matrix)
        target_range = _SWS_RANGE.get(self.colour.full_range)
        source_range = _SWS_RANGE.get(source.full_range)
        if source_range is None and not is_rgb(frame):
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


def _views(frame: av.VideoFrame, layout: PlaneFormat) -> list[Any]:
    """The frame's own samples: height x width views that skip the padding of rows."""
    dtype = np.dtype(np.uint8 if layout.bit_depth == 8 else np.uint16)
    packed = layout.chroma == "gray" and layout.alpha
    planes: list[Any] = []
    for plane, (width, height) in zip(frame.planes, layout.plane_sizes, strict=False):
        pitch = plane.line_size // dtype.itemsize
        rows = np.frombuffer(memoryview(plane), dtype, pitch * height).reshape(height, pitch)
        if packed:  # gray and alpha side by side
            return [rows[:, : 2 * width : 2], rows[:, 1 : 2 * width : 2]]
        planes.append(rows[:, :width])
    return planes


def frame_planes(frame: av.VideoFrame, layout: PlaneFormat) -> list[Plane]:
    """The planes of a PyAV frame that has the pixel format and size of `layout`.

    The arrays are height x width views where they can be, and keep the frame alive.
    """
    views = _views(frame, layout)
    return [view >> 6 for view in views] if layout.pixel_format == "ya16le" else views


def planes_to_frame(planes: Sequence[Plane], layout: PlaneFormat) -> av.VideoFrame:
    """A PyAV frame with a copy of the planes (height x width arrays)."""
    frame = av.VideoFrame(layout.width, layout.height, layout.pixel_format)
    wide = layout.pixel_format == "ya16le"
    for target, source in zip(_views(frame, layout), planes, strict=True):
        target[:] = source << 6 | source >> 4 if wide else source
    return frame
