"""Pillow's images on their way into the codec: pixels, rotation, and metadata."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from bsqav.codec.image_metadata import EXIF_PREFIX, ImageMetadata
from bsqav.errors import UnsupportedError

__all__ = [
    "EXIF_TURNS",
    "PillowPicture",
    "in_rgb",
    "is_pillow",
    "metadata_of_image",
    "pillow_picture",
]

# EXIF's orientation to degrees clockwise; the ones left out are mirrored.
EXIF_TURNS = MappingProxyType({1: 0, 3: 180, 6: 90, 8: 270})
# Modes whose pixels are 8-bit RGB or gray, or become so without loss.
_GRAY = {"1", "L"}
_COLOUR = {"P", "RGB", "RGBX"}
_ALPHA = {"LA", "La", "PA", "RGBA", "RGBa"}
# Modes that become RGB by another space of colours, as in Pillow's WebP and AVIF plugins.
_CONVERTED = {"CMYK", "YCbCr", "HSV"}
_DEEP_GRAY = {"I;16", "I;16L", "I;16B", "I;16N", "I"}
_DEEP = 1 << 16
# Tags of TIFF files that say where and how pixels lie in them, not what the picture is.
_TIFF_LAYOUT = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320}
    | {322, 323, 324, 325, 330, 332, 338, 339, 347, 700, 34675}
)
_ORIENTATION = 0x0112
_ICC_MARK, _ICC_PLACE = b"acsp", 36


@dataclass(frozen=True)
class PillowPicture:
    """An image as the codec takes it."""

    frame: av.VideoFrame | None  # of deep gray
    pixels: npt.NDArray[np.uint8] | None  # of everything else
    rotation: int  # degrees clockwise for display
    metadata: ImageMetadata


def is_pillow(picture: Any) -> bool:
    """Whether an object is a Pillow image; where Pillow was not imported, nothing is."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(picture, module.Image)


def metadata_of_image(image: Any) -> ImageMetadata:
    """Exif, colour profile and XMP that an image came with."""
    image.load()  # TIFF images are turned upright by that
    info = image.info
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp") or b""
    found = ImageMetadata(
        exif=info["exif"] if isinstance(info.get("exif"), bytes) else b"",
        icc=info.get("icc_profile") or b"",
        xmp=xmp.encode() if isinstance(xmp, str) else bytes(xmp),
    ).without_prefix()
    # Pillow has Exif of TIFF files elsewhere, looks for the orientation in XMP too, and lets users
    # set it.
    if not found.exif or image.getexif().get(_ORIENTATION, 1) != found.orientation:
        found = replace(found, exif=_exif_of(image))
    return found


def _exif_of(image: Any) -> bytes:
    """Exif as Pillow puts it together."""
    exif = image.getexif()
    if not exif:
        return b""
    plain = type(exif)()
    plain.load(exif.tobytes())
    for tag in _TIFF_LAYOUT & set(plain):
        del plain[tag]
    data: bytes = plain.tobytes() if plain else b""
    return data.removeprefix(EXIF_PREFIX)


def pillow_picture(
    image: Any, *, metadata: ImageMetadata | None = None, warn: Callable[[str], None]
) -> PillowPicture:
    """An image as the codec takes it.

    Args:
        image: of gray or RGB, with a palette, with alpha or without.
        metadata: instead of what the image came with. Its orientation says how to turn the picture.
        warn: takes a sentence on everything that is lost or changed.

    Raises:
        UnsupportedError: images of that mode are not coded.
    """
    found = metadata_of_image(image) if metadata is None else metadata.without_prefix()
    orientation = found.orientation
    if orientation not in EXIF_TURNS:
        # A header can say quarter turns and no more, so that the pixels themselves are mirrored.
        image = _mirrored(image, orientation)
    found = found.upright()
    if found.icc and found.icc[_ICC_PLACE : _ICC_PLACE + 4] != _ICC_MARK:
        warn("the colour profile is left out: it is no ICC profile")
        found = replace(found, icc=b"")
    rotation = EXIF_TURNS.get(orientation, 0)
    if image.mode in _DEEP_GRAY:
        return PillowPicture(_deep_gray(image), None, rotation, found)
    target = _target(image)
    pixels = np.asarray(image if image.mode == target else image.convert(target))
    return PillowPicture(None, pixels, rotation, found)


def _target(image: Any) -> str:
    """The mode that an image is coded as."""
    mode = image.mode
    if mode in _ALPHA or "transparency" in image.info:
        return "LA" if mode in ("LA", "La", *_GRAY) else "RGBA"
    if mode in _GRAY:
        return "L"
    if mode in _COLOUR:
        return "RGB"
    raise UnsupportedError(
        f"Pillow images of mode {mode} are not coded: convert to 'RGB' or 'L' first"
    )


def _mirrored(image: Any, orientation: int) -> Any:
    """The image upright, by pixels."""
    from PIL import Image

    methods = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        7: Image.Transpose.TRANSVERSE,
    }
    method = methods.get(orientation)
    return image if method is None else image.transpose(method)


def _deep_gray(image: Any) -> av.VideoFrame:
    """Gray of more than 8 bits as a frame of 16."""
    pixels = np.asarray(image)
    if pixels.size and (pixels.min() < 0 or pixels.max() >= _DEEP):
        raise UnsupportedError(
            f"a Pillow image of mode {image.mode} with values from {pixels.min()} to "
            f"{pixels.max()}: bring them into 0 to 65535, or convert to 'L'"
        )
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels.astype("<u2")), format="gray16le")


def in_rgb(
    image: Any, metadata: ImageMetadata, warn: Callable[[str], None]
) -> tuple[Any, ImageMetadata]:
    """An image in RGB where it has another space of colours, by its profile where it has one."""
    mode = image.mode
    if mode not in _CONVERTED:
        return image, metadata
    if mode == "CMYK" and metadata.icc:
        from PIL import ImageCms

        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(metadata.icc))
            srgb = ImageCms.createProfile("sRGB")
            image = ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError) as error:
            warn(f"CMYK is converted to RGB without its colour profile: {error}")
            return image.convert("RGB"), replace(metadata, icc=b"")
        warn("CMYK is converted to sRGB by its colour profile, which is left out then")
        return image, replace(metadata, icc=b"")
    if mode == "CMYK":
        warn("CMYK is converted to RGB; without a colour profile inks are taken as complements")
    return image.convert("RGB"), metadata
