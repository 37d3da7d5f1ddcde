"""What is particular about single pictures: RGB to planes and back, and what a `.bsq` file is.

A `.bsq` file is one keyframe packet as it is (docs/bitstream.md, "Still pictures"): its first byte
has the top bit set and the four bytes after it are `BSQ1`, so it can be told by its first five
bytes, and the checksum at its end covers all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from bsqav import _core
from bsqav.codec.frame_format import (
    SWS_MATRIX,
    UNSPECIFIED,
    Colour,
    FrameConverter,
    Plane,
    PlaneFormat,
    coded_format,
    has_transparent_pixels,
    is_rgb,
    planes_to_frame,
)
from bsqav.codec.sequence import PacketHeader
from bsqav.errors import BitstreamError, UnsupportedError

__all__ = [
    "CENTRED_CHROMA",
    "HEAD_BYTES",
    "STILL_COLOUR",
    "StillConverter",
    "check_still",
    "is_still",
    "rgb_planes",
    "shown_frame",
]

# Bytes that tell a still from everything else.
HEAD_BYTES = 5
_MAGIC = b"BSQ1"
_KEYFRAME = 0x80

# How RGB pictures are coded: sRGB primaries and curve, BT.601 in full range, as JPEG files are.
STILL_COLOUR = Colour(primaries=1, transfer=13, matrix=5, full_range=1)
# AVCHROMA_LOC_CENTER: a chroma sample stands for the mean of 2x2 pixels.
CENTRED_CHROMA = 2

_SHOWN = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
# Rows that are converted at a time; the intermediate sums take 40 bytes a pixel.
_STRIP_ROWS = 256

# What the beginnings of other files say that they are.
_OTHERS = (
    (0, b"\x1a\x45\xdf\xa3", "a Matroska video, which bsqav.open reads"),
    (4, b"ftyp", "an MP4 or MOV video, which bsqav.open reads"),
    (0, b"nut/multimedia", "a NUT video, which bsqav.open reads"),
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (8, b"WEBP", "a WebP picture"),
    (0, b"BSQM", "a model file"),
    (0, b"BSQA", "an animation, which bsqav.codec.Animation reads"),
)


def is_still(head: bytes) -> bool:
    """Whether data that begins so (HEAD_BYTES suffice) is a keyframe packet."""
    return len(head) >= HEAD_BYTES and bool(head[0] & _KEYFRAME) and head[1:5] == _MAGIC


def check_still(data: bytes, name: str = "") -> PacketHeader:
    """Verifies the headers and the checksum of a still; answers what `_core.probe_packet` does.

    Args:
        data: the whole file.
        name: what messages call it.

    Raises:
        BitstreamError: the data is no still, damaged, or cut short; `.byte` says where.
        UnsupportedError: its version is newer than this library.
    """
    where = f"{name}: " if name else ""
    if not data:
        raise BitstreamError(f"{where}there are no bytes to decode", byte=0)
    if not is_still(data):
        raise BitstreamError(f"{where}{_what_instead(data)}", byte=0)
    try:
        return _core.probe_packet(data)
    except BitstreamError as error:
        raise BitstreamError(f"{where}{error.args[0]}", byte=error.byte) from error
    except UnsupportedError as error:
        raise UnsupportedError(f"{where}{error}") from error


def _what_instead(data: bytes) -> str:
    """A sentence on data that does not begin as a still does."""
    if len(data) < HEAD_BYTES:
        return f"{len(data)} bytes are no BSQ picture, whose first five are flags and 'BSQ1'"
    if data[1:5] == _MAGIC:
        return "a packet that is no keyframe cannot be decoded on its own"
    for offset, magic, what in _OTHERS:
        if data[offset : offset + len(magic)] == magic:
            return f"no BSQ picture but {what}"
    return "this is no BSQ picture: 'BSQ1' does not stand at bytes 1 to 4"


# ---- RGB to planes ----


def rgb_planes(
    rgb: npt.NDArray[np.uint8], chroma_format: str = "420"
) -> list[npt.NDArray[np.uint8]]:
    """Planes of 4:2:0, 4:2:2 or 4:4:4 in the colour of STILL_COLOUR.

    The matrix is that of ITU-R BT.601 in 16-bit fixed point; a chroma sample is computed from the
    sum of its pixels (2x2 in 4:2:0) and rounded once. Edges of odd sizes are repeated.

    Args:
        rgb: height x width x 3.
        chroma_format: "420", "422" or "444".
    """
    height, width = rgb.shape[:2]
    layout = PlaneFormat(width, height, chroma_format, 8)
    luma, *chroma = (np.empty(size[::-1], np.uint8) for size in layout.plane_sizes)
    down = 1 + (chroma_format == "420")
    across = 1 + (chroma_format != "444")
    bits = 16 + (down * across).bit_length() - 1
    for top in range(0, height, _STRIP_ROWS):
        strip = rgb[top : top + _STRIP_ROWS].astype(np.int32)
        red, green, blue = strip[..., 0], strip[..., 1], strip[..., 2]
        luma[top : top + len(strip)] = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
        red, green, blue = (_sums(part, down, across) for part in (red, green, blue))
        rows = slice(top // down, top // down + len(red))
        # 128 and one half, in units of 2^-bits; the largest value may round to 256.
        offset = (128 << bits) + (1 << bits - 1)
        blue_difference = (-11059 * red - 21709 * green + 32768 * blue + offset) >> bits
        red_difference = (32768 * red - 27439 * green - 5329 * blue + offset) >> bits
        chroma[0][rows] = np.minimum(blue_difference, 255)
        chroma[1][rows] = np.minimum(red_difference, 255)
    return [luma, *chroma]


def _sums(part: npt.NDArray[np.int32], down: int, across: int) -> npt.NDArray[np.int32]:
    """Sums over rectangles of so many (1 or 2) rows and columns, edges repeated."""
    if down == 2:
        if part.shape[0] % 2:
            part = np.pad(part, ((0, 1), (0, 0)), mode="edge")
        part = part[::2] + part[1::2]
    if across == 2:
        if part.shape[1] % 2:
            part = np.pad(part, ((0, 0), (0, 1)), mode="edge")
        part = part[:, ::2] + part[:, 1::2]
    return part


def _is_transparent(frame: av.VideoFrame) -> bool:
    """Whether a frame has an alpha channel that is not opaque throughout."""
    parts = frame.format.components
    may_be = frame.format.has_palette or any(part.is_alpha for part in parts)
    return may_be and has_transparent_pixels(frame)


class StillConverter(FrameConverter):
    """Turns a picture of any pixel format into planes, as `FrameConverter` does video frames.

    RGB of 8 bits goes through `rgb_planes` and is tagged STILL_COLOUR; deeper RGB becomes 10 bits
    in the same colour. It becomes 4:2:0 unless `chroma` says otherwise, and that is not said: every
    photograph does. YCbCr and gray keep their samples, matrix and range. An alpha channel that is
    opaque throughout is left out.
    """

    def __init__(
        self,
        first: av.VideoFrame,
        *,
        scale: tuple[int, int] | None = None,
        pixel_format: str | None = None,
        chroma: str | None = None,
        warn: Callable[[str], None],
    ) -> None:
        if pixel_format is None:
            layout = coded_format(first)
            if layout.chroma != "gray":
                layout = replace(layout, chroma=chroma or layout.chroma)
            pixel_format = replace(layout, alpha=_is_transparent(first)).pixel_format
        super().__init__(first, scale=scale, pixel_format=pixel_format, warn=warn)
        given = Colour.of_frame(first)
        self.chroma_location = 0
        """For the sequence header."""
        if self.format.chroma == "gray":
            # Gray files have no matrix, and those that name no range are in full range.
            self.colour = _specified(replace(given, matrix=UNSPECIFIED))
        elif is_rgb(first):
            self.colour = _specified(replace(given, matrix=STILL_COLOUR.matrix, full_range=1))
            self.chroma_location = CENTRED_CHROMA if self.format.chroma == "420" else 0

    def _say_losses(self, frame: av.VideoFrame) -> None:
        if not self.format.alpha and _is_transparent(frame):
            self._warn_once(f"the alpha channel of {frame.format.name} is left out")
        depth = max(part.bits for part in frame.format.components)
        if depth > 10:
            self._warn_once(f"the {depth} bits of a sample of {frame.format.name} become 10")

    def convert(self, frame: av.VideoFrame) -> list[Plane]:
        """Planes of one frame: height x width arrays."""
        if not is_rgb(frame) or self.format.bit_depth != 8 or self.format.chroma == "gray":
            return super().convert(frame)
        size = (self.format.width, self.format.height)
        wanted = "rgba" if self.format.alpha else "rgb24"
        if frame.format.name != wanted or (frame.width, frame.height) != size:
            frame = frame.reformat(*size, format=wanted, interpolation=_SHOWN)
        pixels: Any = frame.to_ndarray()
        planes: list[Plane] = list(rgb_planes(pixels[..., :3], self.format.chroma))
        return [*planes, pixels[..., 3]] if self.format.alpha else planes


def _specified(colour: Colour) -> Colour:
    """The same colour, with what a picture file does not say taken for sRGB in full range."""
    unknown = (0, UNSPECIFIED)
    return replace(
        colour,
        primaries=STILL_COLOUR.primaries if colour.primaries in unknown else colour.primaries,
        transfer=STILL_COLOUR.transfer if colour.transfer in unknown else colour.transfer,
        full_range=1 if colour.full_range == UNSPECIFIED else colour.full_range,
    )


# ---- planes to RGB ----


def shown_frame(
    planes: Sequence[Plane], layout: PlaneFormat, colour: Colour, pixel_format: str
) -> av.VideoFrame:
    """A picture as it is to be looked at or put in a picture file.

    Args:
        planes: height x width each.
        layout: their format.
        colour: the stream's tags; where no matrix is named, pictures of 720 rows and more are
            BT.709 and smaller ones BT.601, as players do.
        pixel_format: FFmpeg's name: gray, RGB, with alpha or without, or that of a JPEG file, as
            yuvj420p.
    """
    assumed = Colorspace.ITU709 if layout.height >= 720 else Colorspace.ITU601
    full = colour.full_range == 1 or layout.chroma == "gray"
    return VideoReformatter().reformat(
        planes_to_frame(planes, layout),
        format=pixel_format,
        src_colorspace=SWS_MATRIX.get(colour.matrix, assumed),
        dst_colorspace=Colorspace.ITU601 if pixel_format.startswith("yuvj") else None,
        src_color_range=2 if full else 1,
        dst_color_range=2,
        interpolation=_SHOWN,
        threads=1,
    )
