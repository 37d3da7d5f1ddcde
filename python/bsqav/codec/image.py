"""Still pictures: one picture in, the bytes of a `.bsq` file out, and back."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal, SupportsBytes, TypeAlias, Unpack, overload

import av
import numpy as np
import numpy.typing as npt

from bsqav.codec.animation_file import is_animation, read_animation, still_with_metadata
from bsqav.codec.decoder import Decoder
from bsqav.codec.encoder import Encoder
from bsqav.codec.frame_format import Colour, Plane, PlaneFormat, planes_to_frame
from bsqav.codec.image_metadata import NO_METADATA, ImageMetadata
from bsqav.codec.models import ModelLike
from bsqav.codec.pillow_image import EXIF_TURNS, is_pillow, pillow_picture
from bsqav.codec.sequence import colour_of, sequence_header
from bsqav.codec.settings import EncoderSettings, StillArguments, given_settings
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

__all__ = [
    "decode_image",
    "encode_image",
    "encode_planes",
    "picture_frame",
    "pillow_info",
    "shown_picture",
]

Output = Literal["array", "pillow", "frame"]
Chroma = Literal["420", "422", "444"]
MAX_SIDE = 8192
Pixels: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


def encode_image(
    picture: Any,
    *,
    chroma: Chroma | None = None,
    metadata: ImageMetadata | None = None,
    model: ModelLike | None = None,
    **arguments: Unpack[StillArguments],
) -> bytes:
    """Codes one picture; the result is the content of a `.bsq` file.

    RGB is coded as full-range BT.601 YCbCr in 4:2:0, as in JPEG files, and tagged so. YCbCr and
    gray frames of PyAV's keep their samples and colour tags, in 8 or 10 bits. Alpha is kept,
    unless it is opaque throughout. Without metadata the result is one keyframe packet.

    Args:
        picture: a NumPy array of uint8, height x width x 3 for RGB or height x width for gray, with
            alpha x 4 or x 2; a Pillow image; or an `av.VideoFrame`. Each side is 1 to 8192.
        chroma: "420", "422" or "444"; where None 4:2:0 for RGB, and for frames of YCbCr what they
            have. 4:4:4 is for text, diagrams and screens.
        metadata: Exif, a colour profile and XMP to keep; where None those of a Pillow image. Exif's
            orientation turns the picture, and is 1 in what is kept.
        model: name, id, path or Model; the default model where None.
        arguments: the settings that `StillArguments` names, see `EncoderSettings`. A crf gives the
            quality of a keyframe in a video of this crf.

    Raises:
        UsageError: the picture is none of these, or an argument is out of range.
        TypeError: there is no argument of that name.
        UnsupportedError: an array has more than 8 bits a sample.
        ModelNotFoundError, ModelError: the model is missing or damaged.
    """
    if chroma not in (None, "420", "422", "444"):
        raise UsageError(f"chroma {chroma!r} is none of '420', '422', '444'")
    settings = EncoderSettings.for_stills().changed(
        given_settings(arguments, encode_image, StillArguments)
    )
    given = picture_frame(picture, metadata)
    converter = StillConverter(given.frame, chroma=chroma, warn=_warn)
    packet = encode_planes(
        converter.convert(given.frame),
        converter.format,
        converter.colour,
        chroma_location=converter.chroma_location,
        rotation=given.rotation,
        model=model,
        settings=settings,
    )
    return still_with_metadata(packet, given.metadata)


def encode_planes(
    planes: Sequence[Plane],
    layout: PlaneFormat,
    colour: Colour,
    *,
    sample_aspect: Fraction | None = None,
    chroma_location: int = 0,
    rotation: int = 0,
    model: ModelLike | None = None,
    settings: EncoderSettings,
) -> bytes:
    """Codes native planes, height x width arrays that `layout` describes, as a keyframe packet.

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
    encoder = Encoder(sequence=sequence, model=model, settings=replace(settings, gop=1))
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
            "pillow" for a Pillow image of mode RGB, RGBA, L, LA or (gray of 10 bits) I;16, with
            the file's metadata in `info`;
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
    packet, metadata = _only_packet(data)
    shown = shown_picture(_decode(packet, model, threads), output)
    if output == "pillow":
        shown.info.update(pillow_info(metadata))
    return shown


def pillow_info(metadata: ImageMetadata) -> dict[str, bytes]:
    """What Pillow's images have in `info`, by Pillow's names."""
    found = {"exif": metadata.exif, "icc_profile": metadata.icc, "xmp": metadata.xmp}
    return {name: data for name, data in found.items() if data}


def shown_picture(frame: Frame, output: Output) -> Any:
    """A decoded frame as `decode_image` gives it."""
    if output == "frame":
        return frame.to_video_frame()
    deep = output == "array" or frame.layout.pixel_format == "gray10le"
    pixels = _upright_pixels(frame, deep=deep)
    return pixels if output == "array" else _pillow().fromarray(pixels)


def _only_packet(data: Any) -> tuple[bytes, ImageMetadata]:
    """The packet of a still, and what its file says beside it."""
    if isinstance(data, str | os.PathLike):
        raise UsageError(f"{os.fspath(data)!r} is a path: give the bytes of the file")
    content = bytes(data)
    if not is_animation(content):
        return content, NO_METADATA
    file = read_animation(content)
    for fault in file.faults:
        _warn(fault)
    if len(file.packets) > 1 or not file.complete:
        return content, NO_METADATA  # check_still says what it is
    return file.packets[0], file.metadata


def _decode(content: bytes, model: ModelLike | None, threads: int) -> Frame:
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


@dataclass(frozen=True)
class GivenPicture:
    """A picture as it is to be coded."""

    frame: av.VideoFrame
    rotation: int  # degrees clockwise for display
    metadata: ImageMetadata


def picture_frame(picture: Any, metadata: ImageMetadata | None = None) -> GivenPicture:
    """A picture of any kind as a PyAV frame with what is said of it beside its samples."""
    if is_pillow(picture):
        image = pillow_picture(picture, metadata=metadata, warn=_warn)
        frame = image.frame if image.pixels is None else _frame_of(image.pixels)
        assert frame is not None
        return GivenPicture(frame, image.rotation, image.metadata)
    plain = (metadata or NO_METADATA).without_prefix()
    if plain.orientation not in EXIF_TURNS:
        _warn(f"the mirrored Exif orientation {plain.orientation} is left out: mirror the picture")
    rotation = EXIF_TURNS.get(plain.orientation, 0)
    if isinstance(picture, av.VideoFrame):
        rotation = rotation or round(-picture.rotation / 90) * 90 % 360
        return GivenPicture(picture, rotation, plain.upright())
    return GivenPicture(_frame_of(picture), rotation, plain.upright())


def _frame_of(picture: Any) -> av.VideoFrame:
    """An array as a frame."""
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
        return planes_to_frame([pixels[..., 0], pixels[..., 1]], layout)
    name = "gray" if pixels.ndim == 2 else "rgb24" if pixels.shape[2] == 3 else "rgba"
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=name)


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


def _warn(message: str) -> None:
    warnings.warn(message, BsqWarning, stacklevel=5)
