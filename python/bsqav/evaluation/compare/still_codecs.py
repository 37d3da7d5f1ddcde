"""The codecs of still pictures, each with settings that do it justice."""

import io
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from bsqav.evaluation.io.errors import MissingEncoderError
from bsqav.evaluation.io.images import Pixels, pillow


@dataclass(frozen=True)
class StillCodec:
    """A codec under test.

    encode    takes RGB uint8 [H, W, 3] and a quality; gives the file's bytes
    decode    takes these bytes; gives RGB
    settings  the qualities of its curve
    shown     the call as text, with Q for the quality
    check     raises MissingEncoderError where the codec is not there
    option    what the settings are settings of
    step      the least difference between two of them, 0 where any number will do
    """

    name: str
    title: str
    encode: Callable[[Pixels, float], bytes]
    decode: Callable[[bytes], Pixels]
    settings: tuple[float, ...]
    shown: str
    check: Callable[[], None] = lambda: None
    option: str = "quality"
    step: float = 1.0


def still_tools() -> dict[str, str]:
    """Versions of what codes stills."""
    image = pillow()
    from PIL import features

    tools = {"Pillow": image.__version__, "machine": f"{platform.system()} {platform.machine()}"}
    for name, module in (
        ("libjpeg-turbo", "libjpeg_turbo"),
        ("libwebp", "webp"),
        ("OpenJPEG", "jpg_2000"),
        ("libavif", "avif"),
    ):
        tools[name] = str(features.version(module))
    if "JXL" in image.SAVE:
        from importlib.metadata import version

        tools["pillow-jxl-plugin"] = version("pillow-jxl-plugin")
    return tools


def _save(
    pixels: Pixels, quality: float, *, kind: str, arguments: Callable[[float], Mapping[str, Any]]
) -> bytes:
    held = io.BytesIO()
    pillow().fromarray(pixels).save(held, kind, **arguments(quality))
    return held.getvalue()


def _load(data: bytes) -> Pixels:
    return np.asarray(pillow().open(io.BytesIO(data)).convert("RGB"))


def _check(kind: str, title: str) -> None:
    image = pillow()
    image.init()
    if kind not in image.SAVE:
        raise MissingEncoderError(f"this Pillow cannot write {title}: pip install 'bsqav[compare]'")


def _pillow_codec(
    name: str,
    title: str,
    kind: str,
    arguments: Callable[[float], Mapping[str, Any]],
    settings: tuple[float, ...],
    shown: str,
    option: str = "quality",
    step: float = 1.0,
) -> StillCodec:
    encode = partial(_save, kind=kind, arguments=arguments)
    text = f"Pillow save({kind!r}, {shown})"
    check = partial(_check, kind, title)
    return StillCodec(name, title, encode, _load, settings, text, check, option, step)


def _by_quality(name: str, title: str, settings: tuple[float, ...], **options: Any) -> StillCodec:
    """A codec of Pillow's with a whole number for the quality, and options that stay the same."""
    shown = ", ".join(["quality=Q", *(f"{key}={value!r}" for key, value in options.items())])
    return _pillow_codec(
        name, title, name.upper(), lambda q: {"quality": int(q), **options}, settings, shown
    )


# OpenJPEG without the component transform, Pillow's default, loses 2.5 dB at 0.3 bpp; the
# irreversible wavelet gains 0.4 dB. AVIF is 4:4:4 because pictures are compared in 4:4:4.
_JPEG2000 = _pillow_codec(
    "jpeg2000",
    "JPEG 2000",
    "JPEG2000",
    lambda bpp: {
        "quality_mode": "rates",
        "quality_layers": [24.0 / bpp],
        "irreversible": True,
        "mct": 1,
        "no_jp2": True,
    },
    (0.1, 0.15, 0.21, 0.28, 0.4, 0.6, 0.9, 1.4),
    "quality_mode='rates', quality_layers=[24/Q], irreversible=True, mct=1, no_jp2=True",
    option="bpp",
    step=0.0,
)
_JPEG_SETTINGS = (5, 8, 12, 20, 35, 55, 75, 88)
_AVIF_SETTINGS = (10, 20, 30, 40, 50, 60, 72, 84)
_ALL = (
    _by_quality("jpeg", "JPEG", _JPEG_SETTINGS, optimize=True, progressive=True),
    _by_quality("webp", "WebP", (1, 5, 10, 20, 35, 50, 70, 85), method=6),
    _JPEG2000,
    _by_quality("jxl", "JPEG XL", (10, 20, 30, 45, 60, 72, 84, 92), effort=7),
    _by_quality("avif", "AVIF", _AVIF_SETTINGS, speed=6, subsampling="4:4:4"),
)
REFERENCES = {codec.name: codec for codec in _ALL}


def bsq_codec(crfs: Sequence[float], model: str | None = None, threads: int = 0) -> StillCodec:
    """BSQ by its public functions."""

    def encode(pixels: Pixels, crf: float) -> bytes:
        import bsqav

        return bsqav.encode_image(pixels, crf=crf, model=model, threads=threads)

    def decode(data: bytes) -> Pixels:
        import bsqav

        decoded: Pixels = np.asarray(bsqav.decode_image(data, model=model, threads=threads))
        return decoded

    shown = "bsqav.encode_image(picture, crf=Q" + (f", model={model!r})" if model else ")")
    return StillCodec("bsq", "BSQ", encode, decode, tuple(crfs), shown, option="crf", step=0.0)
