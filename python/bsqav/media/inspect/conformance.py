"""The conformance hash: one value for all samples of a decoded stream."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

__all__ = ["ConformanceHash"]


class ConformanceHash:
    """SHA-256 over the decoded planes of all frames in order.

    Each plane goes in row by row at its cropped size, one byte a sample at 8 bits, two bytes in
    little-endian order above. No colour conversion, no padding, no timing.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.frames = 0

    def update(self, planes: Iterable[npt.NDArray[np.uint8] | npt.NDArray[np.uint16]]) -> None:
        """Adds one frame: its planes, height x width of uint8 or uint16."""
        self.frames += 1
        for plane in planes:
            samples = plane.astype("<u2", copy=False) if plane.dtype.itemsize == 2 else plane
            self._hash.update(np.ascontiguousarray(samples).data)

    def hexdigest(self) -> str:
        """The hash so far, 64 hexadecimal digits."""
        return self._hash.hexdigest()
