"""Constant frame rates: for encoders and containers that count frames instead of keeping times."""

from __future__ import annotations

from fractions import Fraction

import av

__all__ = ["CLOCK_ROUNDING", "FrameClock", "encoder_rate"]

# MPEG-1's standard rates among those that FFmpeg's encoder lists.
_MPEG1_RATES = 8
# What a clock of milliseconds does to a time, twice (seconds).
CLOCK_ROUNDING = Fraction(2, 1000)


class FrameClock:
    """Counts frames at a constant rate: each time becomes the nearest number that is free.

    The grid of the numbers lies where the first frame is.

    Args:
        rate: frames per second.
    """

    def __init__(self, rate: Fraction) -> None:
        self.rate, self.tick = rate, 1 / rate
        self.moved = 0
        """Frames whose time was changed by more than a rounded clock explains."""
        self.farthest = Fraction(0)
        """By how many seconds at most."""
        self.skipped = 0
        """Frames behind which numbers are free."""
        self.offset = Fraction(0)
        """Seconds from a number's time to that of its frame: what the first one is off by."""
        self._last: int | None = None

    def count(self, time: Fraction) -> int:
        """The number of the frame at a time in seconds."""
        if self._last is None:
            self.offset = time - round(time * self.rate) * self.tick
        time -= self.offset
        number = round(time * self.rate)
        if self._last is not None:
            number = max(number, self._last + 1)
            self.skipped += number > self._last + 1
        self._last = number
        away = abs(number * self.tick - time)
        if away > max(self.tick / 10, CLOCK_ROUNDING):
            self.moved += 1
            self.farthest = max(self.farthest, away)
        return number


def encoder_rate(name: str, rate: Fraction) -> Fraction:
    """A rate that an encoder takes: the same, a multiple of it, or the next higher one."""
    taken = [Fraction(r.numerator, r.denominator) for r in av.Codec(name, "w").frame_rates or ()]
    if name == "mpeg1video":
        taken = taken[:_MPEG1_RATES]
    higher = sorted(each for each in taken if each >= rate)
    multiples = [each for each in higher if (each / rate).denominator == 1]
    return next(iter([*multiples, *higher, *sorted(taken, reverse=True)]), rate)
