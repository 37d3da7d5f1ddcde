"""The part of an input between a start and a duration, with times that count from its beginning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from av.stream import Stream

from bsqav.media.io.types import AvPacket
from bsqav.media.transcode.events import Event, SourceFrame

__all__ = ["TOLERANCE", "Trim"]

# How far a start or an end may lie from a frame's time and still mean that frame: decimal seconds
# rarely hit a timestamp exactly.
TOLERANCE = Fraction(1, 2000)
# Reading goes on this long past the end for tracks that lag behind the video (seconds).
TAIL_SECONDS = 5


class Trim:
    """Takes frames and packets one by one and keeps those of the part, their times moved.

    Args:
        time_base: seconds per tick of the frames.
        origin: the time that becomes 0, in seconds.
        first: time of the first frame of the part, from which the duration counts.
        duration: seconds; to the end where None.
        begins: whether the part has a start of its own, before which sound is dropped.
        others: the streams of other tracks.
    """

    def __init__(
        self,
        *,
        time_base: Fraction,
        origin: Fraction,
        first: Fraction,
        duration: Fraction | None,
        begins: bool,
        others: Sequence[Stream],
    ) -> None:
        self._time_base, self._origin, self._first = time_base, origin, first
        self._duration, self._begins = duration, begins
        self._video_ended = False
        # Tracks that may lag behind the video; subtitles are too sparse to tell when they end.
        self._open = {s.index for s in others if s.type in ("audio", "subtitle")}
        self._heard = {s.index for s in others if s.type == "audio"}

    @property
    def is_over(self) -> bool:
        """Whether nothing of the part can follow."""
        return self._video_ended and not self._open

    def take(self, event: Event) -> Event | None:
        """The frame or packet with its time in the part, None where it lies outside."""
        return self._frame(event) if isinstance(event, SourceFrame) else self._packet(event)

    def _frame(self, frame: SourceFrame) -> SourceFrame | None:
        time = frame.pts * self._time_base - self._first
        if self._duration is not None and time >= self._duration - TOLERANCE:
            self._video_ended = True
            if time > self._duration + TAIL_SECONDS:
                self._open.clear()
            return None
        return replace(frame, pts=frame.pts - round(self._origin / self._time_base))

    def _packet(self, packet: AvPacket) -> AvPacket | None:
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is None:
            return None
        shift = round(self._origin / packet.time_base)
        if packet.dts is not None:
            packet.dts -= shift
        packet.pts = stamp - shift
        time = packet.pts * packet.time_base
        if self._begins and time < 0:
            end = packet.pts + (packet.duration or 0)
            if packet.stream.type != "subtitle" or end <= 0:
                return None
            packet.pts, packet.dts, packet.duration = 0, 0, end
        if self._duration is not None and time >= self._duration:
            self._end_of_sound(packet.stream_index)
            return None
        return packet

    def _end_of_sound(self, index: int) -> None:
        """A sound track has come to the end of the part; with the last one all tracks have."""
        if index not in self._heard:
            return
        self._heard.discard(index)
        self._open.discard(index)
        if not self._heard:
            self._open.clear()
