"""How far a transcode has come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Progress", "ProgressCallback"]


@dataclass(frozen=True)
class Progress:
    """A moment of a transcode."""

    frames: int  # written so far, or decoded where nothing is written
    total_frames: int | None  # expected, None where unknown
    time: float  # seconds of video written so far
    duration: float | None  # seconds of video expected, None where unknown
    elapsed: float  # seconds since the beginning
    bytes: int  # of packets written so far; in a first pass, of those that it would write
    stage: int = 1  # number of the pass over the input, from 1
    stages: int = 1  # passes that there are
    frames_in: int = 0  # taken in so far: the encoder's look-ahead holds some of them

    @property
    def fps(self) -> float:
        """Frames per second of work."""
        return self.frames / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def speed(self) -> float:
        """Seconds of video per second of work."""
        return self.time / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def bitrate(self) -> float:
        """Bits per second of video so far, all tracks together."""
        return 8 * self.bytes / self.time if self.time > 0 else 0.0

    @property
    def fraction(self) -> float | None:
        """Part of this pass that is done, 0 to 1, None where the length is unknown."""
        if not self.duration:
            return None
        return min(self.time / self.duration, 1.0)

    @property
    def remaining(self) -> float | None:
        """Seconds of work left in this pass, None where the length is unknown."""
        if not self.duration or self.speed <= 0:
            return None
        return max(self.duration - self.time, 0.0) / self.speed


ProgressCallback: TypeAlias = Callable[[Progress], None]
