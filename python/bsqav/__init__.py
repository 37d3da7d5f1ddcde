"""A video codec on Binary Spherical Quantization that decodes to the same bits everywhere."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from bsqav.errors import (
    BitstreamError,
    BsqError,
    BsqWarning,
    DivergedError,
    EndOfStreamError,
    MediaError,
    MissingDependencyError,
    ModelError,
    ModelNotFoundError,
    UnsupportedError,
    UsageError,
)

if TYPE_CHECKING:
    from bsqav.codec import Decoder, Encoder, EncoderSettings, decode_image, encode_image
    from bsqav.integrations.pyav import install, uninstall
    from bsqav.media.pyav_api.container import open
    from bsqav.media.transcode.api import Progress, TranscodeResult, transcode

__all__ = [
    "BitstreamError",
    "BsqError",
    "BsqWarning",
    "Decoder",
    "DivergedError",
    "Encoder",
    "EncoderSettings",
    "EndOfStreamError",
    "MediaError",
    "MissingDependencyError",
    "ModelError",
    "ModelNotFoundError",
    "Progress",
    "TranscodeResult",
    "UnsupportedError",
    "UsageError",
    "__version__",
    "decode_image",
    "encode_image",
    "install",
    "open",
    "transcode",
    "uninstall",
]

__version__: str

# Where each public name lives. It is imported when it is first used, so that `import bsqav` costs
# neither PyAV nor NumPy; a type checker reads the same names above.
_HOMES = {
    "Decoder": "bsqav.codec",
    "Encoder": "bsqav.codec",
    "EncoderSettings": "bsqav.codec",
    "Progress": "bsqav.media.transcode.api",
    "TranscodeResult": "bsqav.media.transcode.api",
    "decode_image": "bsqav.codec",
    "encode_image": "bsqav.codec",
    "install": "bsqav.integrations.pyav",
    "open": "bsqav.media.pyav_api.container",
    "transcode": "bsqav.media.transcode.api",
    "uninstall": "bsqav.integrations.pyav",
}


def __getattr__(name: str) -> Any:
    """Imports a public name or a subpackage at its first use, and computes the version."""
    value: Any
    if name == "__version__":
        value = import_module("importlib.metadata").version("bsqav")
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    elif not name.startswith("_") and find_spec(f"bsqav.{name}") is not None:
        return import_module(f"bsqav.{name}")
    else:
        raise AttributeError(f"module 'bsqav' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
