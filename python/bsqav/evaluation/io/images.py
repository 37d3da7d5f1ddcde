"""Still images as RGB arrays, read by Pillow."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bsqav.evaluation.io.errors import MissingToolError, SourceError

Pixels = NDArray[np.uint8]  # RGB [H, W, 3]


def pillow() -> Any:
    """Pillow's `Image`, with the plug-in for JPEG XL where that is installed.

    Raises MissingToolError without Pillow.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingToolError(
            "stills are measured with Pillow: pip install 'bsqav[compare]'"
        ) from error
    try:
        import pillow_jxl  # noqa: F401, registers itself
    except ImportError:
        return Image
    return Image


def read_pixels(path: Path, scale: tuple[int, int] | None = None) -> Pixels:
    """A still picture as RGB uint8 [H, W, 3], upright and without transparency.

    Raises FileNotFoundError, and SourceError for what Pillow cannot read.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    image = pillow()
    from PIL import ImageOps

    try:
        with image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, ValueError, SyntaxError, image.DecompressionBombError) as error:
        raise SourceError(f"{path}: cannot be read as a picture: {error}") from error
    if scale is not None and scale != picture.size:
        picture = picture.resize(scale, image.Resampling.LANCZOS)
    return np.asarray(picture)
