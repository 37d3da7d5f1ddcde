"""Decoded frames by their numbers, as pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from bsqav.codec.image import Output, shown_picture
from bsqav.codec.units import Frame

__all__ = ["ShownFrames"]


class ShownFrames(ABC):
    """Frames of which `len()` gives the number and an index one as `decode_image` gives it."""

    _output: Output

    @abstractmethod
    def __len__(self) -> int:
        """The number of frames."""

    @abstractmethod
    def frame(self, number: int, /) -> Frame:
        """A frame as it is coded."""

    def __getitem__(self, number: int) -> Any:
        return shown_picture(self.frame(number), self._output)

    def __iter__(self) -> Iterator[Any]:
        for number in range(len(self)):
            yield self[number]
