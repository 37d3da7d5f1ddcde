"""PSNR and MS-SSIM of decoded RGB pictures, in NumPy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bsqav.errors import UsageError
from bsqav.evaluation.io.images import Pixels

Field = NDArray[np.float32]

# Z. Wang, E. P. Simoncelli, A. C. Bovik, "Multiscale structural similarity for image quality
# assessment", Asilomar 2003: five scales, a Gaussian window of 11 taps.
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_TAPS = 11
_SIGMA = 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
MS_SSIM_MIN_SIDE = (_TAPS - 1) * 2 ** (len(_WEIGHTS) - 1) + 1
# Luma of BT.601 in full range, as in JPEG files.
_LUMA = np.array([0.299, 0.587, 0.114], np.float64)


def psnr(decoded: NDArray[Any], source: NDArray[Any]) -> float:
    """dB over all samples of two arrays of equal shape, for a peak of 255; 100 where equal."""
    _check_shapes(decoded, source)
    error = float(np.mean((decoded.astype(np.float64) - source) ** 2))
    return min(100.0, 10.0 * float(np.log10(255.0**2 / error))) if error else 100.0


def psnr_luma(decoded: Pixels, source: Pixels) -> float:
    """dB of BT.601 luma, not rounded, of two RGB pictures [H, W, 3]."""
    return psnr(decoded @ _LUMA, source @ _LUMA)


def ms_ssim(decoded: Pixels, source: Pixels) -> float:
    """MS-SSIM of two RGB pictures [H, W, 3], 0 to 1: the mean over the channels.

    As in the packages that papers use: valid windows only, means of 2x2 pixels from scale to scale
    (an odd last row or column falls away), negative structure terms counted as 0.

    Raises UsageError where the shapes differ or a side is below MS_SSIM_MIN_SIDE.
    """
    _check_shapes(decoded, source)
    if min(source.shape[:2]) < MS_SSIM_MIN_SIDE:
        raise UsageError(f"MS-SSIM needs sides of {MS_SSIM_MIN_SIDE} pixels at least")
    x, y = (np.moveaxis(picture, 2, 0).astype(np.float32) for picture in (decoded, source))
    value = np.ones(x.shape[0])
    for scale, weight in enumerate(_WEIGHTS):
        luminance, structure = _ssim_terms(x, y)
        last = scale == len(_WEIGHTS) - 1
        term = luminance * structure if last else structure
        value *= np.maximum(term.mean(axis=(1, 2), dtype=np.float64), 0.0) ** weight
        x, y = _half(x), _half(y)
    return float(value.mean())


def _check_shapes(decoded: NDArray[Any], source: NDArray[Any]) -> None:
    if decoded.shape != source.shape:
        raise UsageError(f"pictures of {decoded.shape} and {source.shape} cannot be compared")


def _window() -> Field:
    offsets = np.arange(_TAPS) - _TAPS // 2
    weights = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    window: Field = (weights / weights.sum()).astype(np.float32)
    return window


def _blur(fields: Field) -> Field:
    """Gaussian means over the last two axes, valid positions only."""
    window = _window()
    height, width = (side - _TAPS + 1 for side in fields.shape[-2:])
    rows = np.zeros((*fields.shape[:-1], width), np.float32)
    for i, weight in enumerate(window):
        rows += weight * fields[..., i : i + width]
    means = np.zeros((*fields.shape[:-2], height, width), np.float32)
    for i, weight in enumerate(window):
        means += weight * rows[..., i : i + height, :]
    return means


def _ssim_terms(x: Field, y: Field) -> tuple[Field, Field]:
    """Luminance and contrast-structure terms of SSIM at every position, [C, h, w] each."""
    mean_x, mean_y, xx, yy, xy = _blur(np.stack([x, y, x * x, y * y, x * y]))
    xx, yy, xy = xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    return luminance, (2 * xy + _C2) / (xx + yy + _C2)


def _half(x: Field) -> Field:
    x = x[..., : x.shape[-2] // 2 * 2, : x.shape[-1] // 2 * 2]
    sums: Field = x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]
    return sums * np.float32(0.25)
