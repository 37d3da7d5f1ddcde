"""Still pictures: one picture in, the bytes of a `.bsq` file out, and back."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Literal, SupportsBytes, TypeAlias, overload

import av
import numpy as np
import numpy.typing as npt

from bsqav.codec.decoder import Decoder
from bsqav.codec.encoder import Encoder
from bsqav.codec.models import ModelLike
from bsqav.codec.picture import Colour, Plane, PlaneFormat, planes_to_frame
from bsqav.codec.sequence import colour_of, sequence_header
from bsqav.codec.still import (
    StillConverter,
    check_still,
    shown_frame,
)
from bsqav.codec.units import Frame
from bsqav.errors import (
    BitstreamError,
    BsqWarning,
    MissingDependencyError,
    UnsupportedError,
    UsageError,
)

__all__ = ["decode_image", "encode_image", "encode_planes", "picture_frame", "shown_picture"]

Output = Literal["array", "pillow", "frame"]
Chroma = Literal["420", "422", "444"]
MAX_SIDE = 8192
Pixels: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

# EXIF's orientation to degrees clockwise; the ones left out are mirrored.
_EXIF_ORIENTATION = 0x0112
_EXIF_TURNS = MappingProxyType({1: 0, 3: 180, 6: 90, 8: 270})
# Modes of Pillow's whose pixels are 8-bit RGB or gray, or become so without loss.
_PILLOW_GRAY = {"1", "L"}
_PILLOW_COLOUR = {"P", "RGB", "RGBX"}
_PILLOW_ALPHA = {"LA", "La", "PA", "RGBA", "RGBa"}


def encode_image(
    picture: Any,
    *,
    crf: float = 32.0,
    chroma: Chroma | None = None,
    model: ModelLike | None = None,
    preset: str = "medium",
    tune: str = "balanced",
    threads: int = 0,
) -> bytes:
    """Codes one picture; the result is the content of a `.bsq` file.

    RGB is coded as full-range BT.601 YCbCr in 4:2:0, as in JPEG files, and tagged so. YCbCr and
    gray frames of PyAV's keep their samples and colour tags, in 8 or 10 bits. Alpha is kept,
    unless it is opaque throughout.

    Args:
        picture: a NumPy array of uint8, height x width x 3 for RGB or height x width for gray, with
            alpha x 4 or x 2; a Pillow image; or an `av.VideoFrame`. Each side is 1 to 8192.
        chroma: "420", "422" or "444"; where None 4:2:0 for RGB, and for frames of YCbCr what they
            have. 4:4:4 is for text, diagrams and screens.
        crf: quality from 0 (finest) to 63 (coarsest): that of a keyframe in a video of this crf.
        model: name, id, path or Model; the default model where None.
        preset: "fast", "medium" or "slow".
        tune: "balanced", "psnr" or "perceptual", see `Encoder`.
        threads: 1 to 64, 0 for the number of processors.

    Raises:
        UsageError: the picture is none of these, or an argument is out of range.
        UnsupportedError: an array has more than 8 bits a sample.
        ModelNotFoundError, ModelError: the model is missing or damaged.
    """
    if chroma not in (None, "420", "422", "444"):
        raise UsageError(f"chroma {chroma!r} is none of '420', '422', '444'")
    pixels, rotation = picture_frame(picture)
    converter = StillConverter(pixels, chroma=chroma, warn=_warn)
    return encode_planes(
        converter.convert(pixels),
        converter.format,
        converter.colour,
        chroma_location=converter.chroma_location,
        rotation=rotation,
        crf=crf,
        model=model,
        preset=preset,
        tune=tune,
        threads=threads,
    )


def encode_planes(
    planes: Sequence[Plane],
    layout: PlaneFormat,
    colour: Colour,
    *,
    sample_aspect: Fraction | None = None,
    chroma_location: int = 0,
    rotation: int = 0,
    crf: float = 32.0,
    model: ModelLike | None = None,
    preset: str = "medium",
    tune: str = "balanced",
    threads: int = 0,
) -> bytes:
    """Codes native planes, height x width arrays that `layout` describes, as a still.

    Raises what `encode_image` does.
    """
    sequence = sequence_header(
        layout,
        colour,
        time_base=Fraction(1),
        sample_aspect=sample_aspect,
        chroma_location=chroma_location,
        rotation=rotation,
    )
    encoder = Encoder(
        sequence=sequence, model=model, crf=crf, gop=1, threads=threads, preset=preset, tune=tune
    )
    (packet,) = [*encoder.encode(planes, pts=0), *encoder.flush()]
    return packet.data


@overload
def decode_image(
    data: bytes | bytearray | memoryview | SupportsBytes,
    *,
    output: Literal["array"] = ...,
    model: ModelLike | None = ...,
    threads: int = ...,
) -> Pixels: ...


@overload
def decode_image(
    data: bytes | bytearray | memoryview | SupportsBytes,
    *,
    output: Literal["frame"],
    model: ModelLike | None = ...,
    threads: int = ...,
) -> av.VideoFrame: ...


@overload
def decode_image(
    data: bytes | bytearray | memoryview | SupportsBytes,
    *,
    output: Literal["pillow"],
    model: ModelLike | None = ...,
    threads: int = ...,
) -> Any: ...


def decode_image(
    data: bytes | bytearray | memoryview | SupportsBytes,
    *,
    output: Output = "array",
    model: ModelLike | None = None,
    threads: int = 0,
) -> Any:
    """Decodes the content of a `.bsq` file, or any keyframe packet of a video.

    Args:
        data: its bytes, or a packet.
        output: "array" for a NumPy array, height x width x 3 of RGB or height x width of gray,
            x 4 and x 2 with alpha (straight), uint8, or uint16 over the whole range 0 .. 65535 for
            pictures of 10 bits;
            "pillow" for a Pillow image of mode RGB, RGBA, L, LA or (gray of 10 bits) I;16;
            "frame" for an `av.VideoFrame` of the samples as they are coded, with colour tags.
            Arrays and Pillow images are turned upright where the header asks for it.
        model: a model to use beside the installed ones: name, id, path or Model.
        threads: 1 to 64, 0 for the number of processors.

    Raises:
        BitstreamError: the data is no BSQ picture, damaged, or cut short; `.byte` says where.
        UnsupportedError: its version is newer than this library.
        ModelNotFoundError: its model is not installed; `.model_id` names it.
        MissingDependencyError: "pillow" without Pillow.
    """
    if output not in ("array", "pillow", "frame"):
        raise UsageError(f"output {output!r} is none of 'array', 'pillow', 'frame'")
    return shown_picture(_decode(data, model, threads), output)


def shown_picture(frame: Frame, output: Output) -> Any:
    """A decoded frame as `decode_image` gives it."""
    if output == "frame":
        return frame.to_video_frame()
    deep = output == "array" or frame.layout.pixel_format == "gray10le"
    pixels = _upright_pixels(frame, deep=deep)
    return pixels if output == "array" else _pillow().fromarray(pixels)


def _decode(data: Any, model: ModelLike | None, threads: int) -> Frame:
    if isinstance(data, str | os.PathLike):
        raise UsageError(f"{os.fspath(data)!r} is a path: give the bytes of the file")
    content = bytes(data)
    check_still(content)
    decoder = Decoder(models=() if model is None else (model,), threads=threads, strict=True)
    try:
        frames = [*decoder.decode(content), *decoder.flush()]
    except BitstreamError as error:
        raise BitstreamError(f"the picture is damaged: {error.args[0]}", byte=error.byte) from error
    return frames[0]


def _upright_pixels(frame: Frame, *, deep: bool) -> Pixels:
    """RGB or gray, and alpha, as they are to be shown; `deep` keeps more than 8 bits as 16."""
    layout = frame.layout
    wide = deep and layout.bit_depth > 8
    if layout.chroma == "gray":
        name = "gray16le" if wide else "gray"
    else:
        name = "rgb48le" if wide else "rgb24"
    planes = frame.planes[:-1] if layout.alpha else frame.planes
    opaque = replace(layout, alpha=False)
    pixels: Any = shown_frame(planes, opaque, colour_of(frame.sequence), name).to_ndarray()
    if layout.alpha:
        alpha = _alpha_pixels(frame.planes[-1], layout.bit_depth, wide)
        pixels = np.dstack([pixels, alpha])
    turned: Any = np.rot90(pixels, -frame.sequence["rotation"] // 90)
    contiguous: Pixels = np.ascontiguousarray(turned)
    return contiguous


def _alpha_pixels(plane: Any, bit_depth: int, wide: bool) -> Pixels:
    """Alpha in 8 or 16 bits, 0 and the largest value what they were."""
    largest = 65535 if wide else 255
    if (1 << bit_depth) - 1 == largest:
        same: Pixels = plane
        return same
    top = (1 << bit_depth) - 1
    scaled: Any = (plane.astype(np.uint32) * largest + top // 2) // top
    pixels: Pixels = scaled.astype(np.uint16 if wide else np.uint8)
    return pixels


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDependencyError("output 'pillow' needs Pillow: pip install pillow") from error
    return Image


# ---- what is to be coded ----


def picture_frame(picture: Any) -> tuple[av.VideoFrame, int]:
    """The picture as a PyAV frame, and its rotation for display in degrees clockwise."""
    if isinstance(picture, av.VideoFrame):
        return picture, round(-picture.rotation / 90) * 90 % 360
    rotation = 0
    if _is_pillow(picture):
        picture, rotation = _pillow_pixels(picture)
    if not isinstance(picture, np.ndarray):
        hint = ""
        if isinstance(picture, str | os.PathLike):
            hint = "; bsqav.transcode(path, 'picture.bsq') codes picture files"
        raise UsageError(
            f"a {type(picture).__name__} is no picture: give a NumPy array, a Pillow image or an "
            f"av.VideoFrame{hint}"
        )
    pixels = _checked_array(picture)
    height, width = pixels.shape[:2]
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise UsageError(f"a picture of {width}x{height}: each side must be 1 to {MAX_SIDE}")
    if pixels.ndim == 3 and pixels.shape[2] == 2:
        layout = PlaneFormat(width, height, "gray", 8, alpha=True)
        return planes_to_frame([pixels[..., 0], pixels[..., 1]], layout), rotation
    name = "gray" if pixels.ndim == 2 else "rgb24" if pixels.shape[2] == 3 else "rgba"
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=name), rotation


def _checked_array(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The array as uint8 RGB or gray, alpha last; raises what `encode_image` promises."""
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4)):
        raise UsageError(
            f"an array of shape {array.shape} is no picture: RGB is height x width x 3, gray is "
            "height x width; with alpha x 4 and x 2"
        )
    if array.dtype == np.uint16:
        raise UnsupportedError(
            "arrays of 16 bits a sample are not coded: scale to uint8, or give an av.VideoFrame "
            "of yuv420p10le or gray10le"
        )
    if array.dtype != np.uint8:
        raise UsageError(f"an array of {array.dtype} is no picture: samples are uint8, 0 to 255")
    pixels: npt.NDArray[np.uint8] = array
    return pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels


def _is_pillow(picture: Any) -> bool:
    """Whether an object is a Pillow image; where Pillow was not imported, nothing is."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(picture, module.Image)


def _pillow_pixels(image: Any) -> tuple[npt.NDArray[np.uint8], int]:
    """Pixels of a Pillow image, and its rotation by EXIF in degrees clockwise."""
    mode = image.mode
    if mode in _PILLOW_ALPHA or "transparency" in image.info:
        target = "LA" if mode in ("LA", "La") else "RGBA"
    elif mode in _PILLOW_GRAY:
        target = "L"
    elif mode in _PILLOW_COLOUR:
        target = "RGB"
    else:
        raise UnsupportedError(
            f"Pillow images of mode {mode} are not coded: convert to 'RGB' or 'L' first"
        )
    if image.info.get("icc_profile"):
        _warn("the colour profile is left out: the samples are taken for sRGB")
    orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    if orientation not in _EXIF_TURNS:
        _warn(f"the mirrored EXIF orientation {orientation} is left out")
    pixels = np.asarray(image if mode == target else image.convert(target))
    return pixels, _EXIF_TURNS.get(orientation, 0)


def _warn(message: str) -> None:
    warnings.warn(message, BsqWarning, stacklevel=5)
