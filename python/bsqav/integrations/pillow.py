"""Pillow opens and saves `.bsq` files, stills and animations, once `register` has been called.

    import bsqav.integrations.pillow
    bsqav.integrations.pillow.register()
    Image.open("in.png").save("out.bsq", quality=75)

Pillow finds plugins of other packages in no other way: one call per process.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import IO, Any

import numpy as np

from bsqav.codec.animation import DEFAULT_DURATION, Animation, encode_animation, is_animation
from bsqav.codec.image import encode_image, pillow_info
from bsqav.codec.image_metadata import NO_METADATA, ImageMetadata
from bsqav.codec.pillow_image import in_rgb, metadata_of_image
from bsqav.codec.sequence import SequenceHeader
from bsqav.codec.settings import StillArguments
from bsqav.codec.still import is_still
from bsqav.errors import BsqWarning, MissingDependencyError, UsageError

try:
    from PIL import Image, ImageFile, ImageSequence
except ImportError as error:
    raise MissingDependencyError("this needs Pillow: pip install 'bsqav[pillow]'") from error

__all__ = ["BsqImageFile", "crf_of_quality", "register"]

FORMAT = "BSQ"
SUFFIX = ".bsq"
MIME = "image/x-bsq"
DEFAULT_QUALITY = 75
_GRAY = {"1", "L", "LA"}
# The crf at which four Kodak photographs come out as near (PSNR) as JPEG files of that quality.
_QUALITIES = (0, 10, 30, 50, 75, 90, 95, 100)
_CRFS = (63, 55, 45, 41, 35, 28, 20, 10)


def register() -> None:
    """Adds BSQ to Pillow's formats, in this process; a second call changes nothing."""
    Image.register_open(FORMAT, BsqImageFile, _accept)
    Image.register_save(FORMAT, _save)
    Image.register_save_all(FORMAT, _save_all)
    Image.register_extension(FORMAT, SUFFIX)
    Image.register_mime(FORMAT, MIME)


def crf_of_quality(quality: Any) -> float:
    """The crf that stands for a quality from 0 to 100 of Pillow's.

    Raises:
        UsageError: the quality is out of range.
    """
    if isinstance(quality, str) or not 0 <= quality <= 100:
        raise UsageError(f"quality {quality!r} is not between 0 and 100")
    return float(np.interp(quality, _QUALITIES, _CRFS))


# ---- opening ----


def _accept(prefix: bytes) -> bool:
    return is_still(prefix) or is_animation(prefix)


class BsqImageFile(ImageFile.ImageFile):
    """A `.bsq` file in Pillow; pictures are decoded when they are needed.

    `info` has `exif`, `icc_profile` and `xmp` where the file holds them; their orientation is 1,
    since the pixels are upright. That of an animation has `loop`, and `duration` in milliseconds of
    the current picture.
    A damaged file raises BitstreamError (a ValueError), when it is opened or when it is loaded.
    """

    format = FORMAT
    format_description = "Binary Spherical Quantization"
    _frame = 0
    _loaded: int | None = None

    def _open(self) -> None:
        assert self.fp is not None
        self._animation = Animation(self.fp.read(), output="pillow")
        self.n_frames = len(self._animation)
        self.is_animated = self.n_frames > 1
        sequence = self._animation.sequence
        width, height = sequence["width"], sequence["height"]
        self._size = (height, width) if sequence["rotation"] % 180 else (width, height)
        self._mode = _mode(sequence)
        self.info.update(pillow_info(self._animation.metadata))
        if self.is_animated:
            self.info["loop"] = self._animation.loops
            self._go(0)

    def _go(self, frame: int) -> None:
        self._frame = frame
        self._loaded = None
        self.info["duration"] = round(1000 * self._animation.duration(frame))

    def seek(self, frame: int) -> None:
        """Goes to a picture; EOFError past the last one."""
        if self._seek_check(frame):
            self._go(frame)

    def tell(self) -> int:
        """The number of the current picture, from 0."""
        return self._frame

    def load(self) -> Any:
        """Decodes the current picture."""
        if self._loaded != self._frame:
            image = self._animation[self._frame]
            self.im, self._mode, self._size = image.im, image.mode, image.size
            self._loaded = self._frame
            if self._exclusive_fp and self.fp is not None:
                self.fp.close()
            self.fp = None
        return super().load()


def _mode(sequence: SequenceHeader) -> str:
    alpha = "A" if sequence.get("alpha") else ""
    if sequence["chroma"] != "gray":
        return "RGB" + alpha
    return "I;16" if sequence["bit_depth"] > 8 and not alpha else "L" + alpha


# ---- saving ----

# Options of save() that go to the encoder as they are, and those of animations.
_ENCODER_OPTIONS = ("model", *(name for name in StillArguments.__annotations__ if name != "crf"))
_ANIMATION_OPTIONS = ("append_images", "duration", "loop", "gop")
_METADATA_OPTIONS = ("exif", "icc_profile", "xmp")
_KNOWN = frozenset(
    (
        *_ENCODER_OPTIONS,
        *_ANIMATION_OPTIONS,
        *_METADATA_OPTIONS,
        "crf",
        "quality",
        "subsampling",
        "lossless",
        "save_all",
    )
)
# As Pillow's JPEG plugin takes it; 4:1:1 means 4:2:0 there too.
_SUBSAMPLINGS: dict[Any, Any] = {
    **dict.fromkeys((0, "4:4:4"), "444"),
    **dict.fromkeys((1, "4:2:2"), "422"),
    **dict.fromkeys((2, "4:2:0", "4:1:1"), "420"),
    -1: None,
}


def _save(image: Image.Image, file: IO[bytes], _name: str | bytes) -> None:
    info = image.encoderinfo
    _say_ignored(info, animation=False)
    image, metadata = in_rgb(image, _metadata(image, info), _warn)
    file.write(encode_image(image, metadata=metadata, **_settings(info)))


def _save_all(image: Image.Image, file: IO[bytes], name: str | bytes) -> None:
    """Saves all pictures of an image and of those in append_images."""
    info = image.encoderinfo
    images = [image, *info.get("append_images", ())]
    if sum(getattr(each, "n_frames", 1) for each in images) == 1:
        image.encoderinfo = {k: v for k, v in info.items() if k not in _ANIMATION_OPTIONS}
        _save(image, file, name)
        return
    _say_ignored(info, animation=True)
    if "exif" not in info and len({metadata_of_image(each).orientation for each in images}) > 1:
        raise UsageError(
            "the pictures are turned in different ways by their Exif: ImageOps.exif_transpose "
            "turns them upright"
        )
    place = image.tell()
    try:
        gray = all(frame.mode in _GRAY for frame, _ in _frames(images))
        durations = list(_durations(images, info.get("duration")))
        image.seek(0)
        _, metadata = in_rgb(image, _metadata(image, info), _warn)
        data = encode_animation(
            (frame if gray else _in_colour(frame) for frame, _ in _frames(images)),
            durations=durations,
            loops=int(info.get("loop", image.info.get("loop", 0))),
            metadata=metadata,
            **_settings(info),
            **({"gop": info["gop"]} if "gop" in info else {}),
        )
    finally:
        image.seek(place)
    file.write(data)


def _say_ignored(info: dict[str, Any], *, animation: bool) -> None:
    """Refuses or names the options that have no effect on a `.bsq` file."""
    if info.get("lossless"):
        raise UsageError("BSQ has no lossless mode: crf=0 is the finest")
    unknown = sorted(str(name) for name in set(info) - _KNOWN)
    if unknown:
        _warn(f"BSQ has no option {', '.join(unknown)}: left out")
    lonely = [] if animation else [name for name in _ANIMATION_OPTIONS if name in info]
    if lonely:
        _warn(f"a still takes no {', '.join(lonely)}: save_all=True saves an animation")


def _metadata(image: Image.Image, info: dict[str, Any]) -> ImageMetadata:
    """What the options give, else what the image came with; None or no bytes leave it out."""
    found = metadata_of_image(image)
    given = {
        field: _bytes_of(name, info[name])
        for field, name in (("exif", "exif"), ("icc", "icc_profile"), ("xmp", "xmp"))
        if name in info
    }
    return replace(found, **given).without_prefix()


def _bytes_of(name: str, given: Any) -> bytes:
    if isinstance(given, Image.Exif):
        given = given.tobytes()
    if isinstance(given, str) and name == "xmp":
        given = given.encode()
    if given is not None and not isinstance(given, bytes | bytearray | memoryview):
        raise UsageError(f"{name} is to be bytes, not {type(given).__name__}")
    return bytes(given or b"")


def _frames(images: Sequence[Image.Image]) -> Iterator[tuple[Image.Image, int | None]]:
    """All pictures, with the milliseconds for which each shows where it says so."""
    for image in images:
        for frame in ImageSequence.Iterator(image):
            yield frame, frame.info.get("duration")


def _durations(images: Sequence[Image.Image], asked: Any) -> Iterator[Fraction]:
    """Seconds for which the pictures show: as asked for, else as they say, else a tenth."""
    for number, (_, own) in enumerate(_frames(images)):
        given = asked
        if isinstance(asked, list | tuple):
            if number >= len(asked):
                raise UsageError(f"{len(asked)} durations for more pictures")
            given = asked[number]
        given = own if given is None else given
        yield Fraction(given) / 1000 if given else DEFAULT_DURATION


def _in_colour(frame: Image.Image) -> Image.Image:
    if frame.mode in ("RGB", "RGBA"):
        return frame
    if frame.has_transparency_data:
        return frame.convert("RGBA")
    converted: Image.Image = in_rgb(frame, NO_METADATA, lambda _: None)[0].convert("RGB")
    return converted


def _settings(info: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `encode_image` from the options of save()."""
    if "crf" in info and "quality" in info:
        raise UsageError("crf and quality exclude each other: give one of them")
    crf = info["crf"] if "crf" in info else crf_of_quality(info.get("quality", DEFAULT_QUALITY))
    subsampling = info.get("subsampling", -1)
    if subsampling not in _SUBSAMPLINGS:
        raise UsageError(
            f"subsampling {subsampling!r} is none of 0 or '4:4:4', 1 or '4:2:2', 2 or '4:2:0'"
        )
    others = {key: info[key] for key in _ENCODER_OPTIONS if key in info}
    return {"crf": crf, "chroma": _SUBSAMPLINGS[subsampling], **others}


def _warn(message: str) -> None:
    warnings.warn(message, BsqWarning, stacklevel=5)
