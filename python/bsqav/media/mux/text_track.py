"""Text subtitles as MOV and MP4 hold them: one sample after the other, none over another.

FFmpeg's muxer ends texts itself, at times that it reckons in wrong units; in fragments it then
meets times that run backward and aborts the whole program. So the samples that it is given here
are in order, of a known length, and in fragments without gaps: it has nothing left to reckon.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from bsqav.media.mux.subtitles import EMPTY_TEXT, join_mov_texts

__all__ = ["TextSample", "TextTrack"]

# A text whose end is not known is shown until the next one, and no longer than this (seconds).
OPEN_SECONDS = 5
# Without a text, so much emptiness is written ahead (seconds).
AHEAD = Fraction(1, 4)
# FFmpeg's muxer holds no longer sample (in ticks).
LONGEST = (1 << 31) - 2


@dataclass(frozen=True)
class TextSample:
    """What is shown from a time on; times in ticks of the track."""

    start: int
    duration: int
    data: bytes


@dataclass
class _Event:
    start: int
    end: int
    data: bytes
    is_open: bool  # its end is not known


class TextTrack:
    """Turns texts with their times into such samples.

    Args:
        time_base: of the track, no coarser than that of any other track of the file.
        gapless: the silence between texts is written too, as fragments need it.
    """

    def __init__(self, time_base: Fraction, *, gapless: bool) -> None:
        self.time_base = time_base
        self._gapless = gapless
        self._waiting: list[_Event] = []  # not begun yet, by time
        self._shown: list[_Event] = []
        self._end = 0  # of what has been written
        self._last = -1  # start of the last sample
        self._keyframe = -1  # latest time at which a fragment may have ended

    def add(self, start: int, duration: int, data: bytes) -> None:
        """Takes a text; a duration of 0 is an unknown one."""
        is_open = duration <= 0
        length = round(OPEN_SECONDS / self.time_base) if is_open else min(duration, LONGEST)
        end = start + length
        if end <= 0:
            return  # over before anything is shown
        self._waiting.append(_Event(max(start, 0), end, data, is_open))
        self._waiting.sort(key=lambda event: event.start)

    def keyframe(self, time: int) -> None:
        """Says that a fragment ends at a time: what is written of it stays as it is."""
        self._keyframe = max(self._keyframe, time)

    def until(self, time: int) -> list[TextSample]:
        """The samples that begin at or before a time, and in a gapless track all up to it."""
        found: list[TextSample] = []
        while self._waiting and self._waiting[0].start <= time:
            found += self._begin(self._waiting.pop(0))
        if self._gapless and self._end <= time:
            self._advance(time + 1, found, ahead=True)
        return found

    def finish(self) -> list[TextSample]:
        """All that is left, and the end of the last text."""
        found: list[TextSample] = []
        while self._waiting:
            found += self._begin(self._waiting.pop(0))
        self._advance(max((event.end for event in self._shown), default=self._end), found)
        if self._last >= 0:
            found.append(TextSample(self._end, 1, EMPTY_TEXT))
        return found

    def _begin(self, event: _Event) -> list[TextSample]:
        """What was to come before a text, and the text's first sample."""
        found: list[TextSample] = []
        self._advance(event.start, found)
        # A text may cut the sample before it short, unless a fragment holds that already.
        fixed = self._last < self._keyframe
        start = max(event.start, self._end if fixed else min(self._end, self._last), 0)
        if event.end <= start:
            event.end = start + max(1, event.end - event.start)
        for other in self._shown:
            if other.is_open:
                other.end = min(other.end, start)
        self._shown.append(event)
        self._end = start
        self._piece(found, start + 1)
        return found

    def _advance(self, to: int, found: list[TextSample], *, ahead: bool = False) -> None:
        """Writes what is shown from the end of what is written up to a time."""
        while self._end < to:
            self._piece(found, to, ahead=ahead)

    def _piece(self, found: list[TextSample], to: int, *, ahead: bool = False) -> None:
        """One sample: what is shown now, until that changes."""
        start = self._end
        self._shown = [event for event in self._shown if event.end > start]
        if self._shown:
            end = min(event.end for event in self._shown)
            data = join_mov_texts([event.data for event in self._shown])
        else:
            end = to + (round(AHEAD / self.time_base) if ahead else 0)
            if self._waiting:
                end = max(start + 1, min(end, self._waiting[0].start))
            data = EMPTY_TEXT
        end = min(end, start + LONGEST)
        if self._shown or self._gapless:
            found.append(TextSample(start, end - start, data))
            self._last = start
        self._end = end
