"""The state of timestamp repair: packets on their way, tracks, and the epochs between jumps.

Times are integers in units of 1/`Clock.rate` seconds, of which a tick of every track is a whole
number: exact, and much faster than fractions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from bsqav.media.demux.demuxer import DemuxedPacket

__all__ = ["Clock", "Entry", "Epoch", "Joint", "Time", "Track", "distance"]

Time: TypeAlias = int | Fraction
"""Units of a `Clock`; a fraction only where a time base was not known beforehand."""
# In which the thresholds of timestamp repair, and MPEG's clock, are whole numbers.
_COMMON = math.lcm(200, 90_000)


def distance(one: Time, other: Time) -> Time:
    """How far two times lie apart."""
    return one - other if one > other else other - one


class Clock:
    """Units in which the times of all tracks are whole numbers.

    Args:
        time_bases: of the tracks, in seconds.
    """

    def __init__(self, time_bases: Iterable[Fraction | None]) -> None:
        self.rate = math.lcm(_COMMON, *(base.denominator for base in time_bases if base))
        """Units per second."""
        self._ticks: dict[int, tuple[Fraction, Time]] = {}  # by track, with the base they are of

    def tick(self, index: int, time_base: Fraction) -> Time:
        """How many units a tick of a track lasts."""
        known = self._ticks.get(index)
        if known is None or known[0] != time_base:
            exact = Fraction(time_base) * self.rate
            tick = exact.numerator if exact.denominator == 1 else exact
            known = self._ticks[index] = time_base, tick
        return known[1]

    def units(self, seconds: Fraction | int) -> int:
        """A threshold in units."""
        return int(seconds * self.rate)

    def seconds(self, time: Time) -> Fraction:
        """Units as seconds."""
        return Fraction(time) / self.rate


@dataclass(slots=True)
class Entry:
    """A packet on its way."""

    packet: DemuxedPacket
    is_video: bool
    size: int  # in bytes
    index: int  # of the track
    stamp: Time | None  # decoding time where there is one, else that of presentation
    time: Time | None  # of presentation
    duration: Time
    keyframe: bool
    unwanted: bool = False  # FFmpeg marks it as not to be shown, after an edit list
    epoch: int | None = None  # from one jump to the next


@dataclass(slots=True)
class Track:
    """Where a track of sound or video is, by the clock of the file."""

    is_video: bool
    epoch: int
    last: Time | None = None  # stamp of its latest packet
    highest: Time | None = None  # time of its latest frame
    end: Time = 0  # of that frame
    step: Time = 0
    suspects: list[Entry] = field(default_factory=list)  # perhaps a jump, and what came after it


@dataclass(slots=True)
class Joint:
    """How one track went into an epoch."""

    before: int  # the epoch it left
    end: Time  # of its frames there
    start: Time  # of its first frame here
    is_video: bool


@dataclass(slots=True)
class Epoch:
    """What lies between two jumps."""

    opener: int  # the track that came first
    move: Time | None = None  # to add to its packets' times; None until tracks have come
    joints: dict[int, Joint] = field(default_factory=dict)
    awaited: set[int] = field(default_factory=set)
    travelled: Time = 0  # how far the opener has come since
