"""Scene cuts of source frames, found at a glance: where parallel groups best begin."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from bsqav.codec.units import Plane

__all__ = ["SceneCuts"]

_SAMPLE = 4  # every fourth row and column is looked at
_BLOCK = 4  # and means are taken over blocks of so many of those
_BEFORE = 6  # differences that a cut must stand out from
_LEAST = 6.0  # mean difference, in 8-bit sample values
_RATIO = 2.5  # over the largest before


class SceneCuts:
    """Tells where frames change at once, from their blurred luma.

    An encoder knows more, since it has searched for motion, but only when all before is coded.
    """

    def __init__(self, bit_depth: int) -> None:
        self._scale = 1 << (bit_depth - 8)
        self._last: npt.NDArray[np.int64] | None = None
        self._differences: deque[float] = deque(maxlen=_BEFORE)

    def is_cut(self, luma: Plane) -> bool:
        """Whether a scene begins with the next frame, of height x width samples."""
        blurred = _blurred(luma)
        last, self._last = self._last, blurred
        if last is None:
            return False
        missed = np.abs(blurred - last).mean() / (self._scale * _BLOCK * _BLOCK)
        usual = max(self._differences, default=0.0)
        self._differences.append(float(missed))
        return bool(missed >= _LEAST and missed >= _RATIO * usual)


def _blurred(luma: Plane) -> npt.NDArray[Any]:
    """Sums over blocks of samples."""
    sparse = luma[::_SAMPLE, ::_SAMPLE]
    height, width = sparse.shape
    rows = np.add.reduceat(sparse, np.arange(0, height, _BLOCK), axis=0, dtype=np.int64)
    return np.add.reduceat(rows, np.arange(0, width, _BLOCK), axis=1)
