"""Finds the first frame that is wanted of an input, and keeps what was read on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction

from bsqav.media.io.types import AvPacket
from bsqav.media.transcode.event_reader import EventReader
from bsqav.media.transcode.events import Event, SourceFrame
from bsqav.media.transcode.trim import TOLERANCE

__all__ = ["StartSearch"]

# Where to look for a keyframe when a seek lands behind the wanted time, or where nothing decodes:
# seconds further back, at last the beginning.
FROM_THE_START = Fraction(1 << 40)
SEEK_BACKOFF = (Fraction(0), Fraction(2), Fraction(10), Fraction(60), FROM_THE_START)
# After a seek a frame is waited for this long past the wanted time (seconds).
PATIENCE = 10


class StartSearch:
    """Reads up to the first wanted frame, then gives all events from there on.

    Where packets are copied, the events begin with the last keyframe up to that frame.

    Args:
        reader: where events come from.
        time_base: of frames.
        wanted: the time in seconds from which frames are wanted; all of them where None.
        copies: frames are not decoded.
    """

    def __init__(
        self, reader: EventReader, time_base: Fraction, wanted: Fraction | None, *, copies: bool
    ) -> None:
        self._reader, self._time_base = reader, time_base
        self._wanted, self._copies = wanted, copies
        self._queue: deque[Event] = deque()
        self._events: Iterator[Event] = iter(())
        self.wanted_time = Fraction(0)
        """Of the first wanted frame, once it was found."""

    @property
    def first(self) -> SourceFrame:
        """The first frame that comes out, once it was found."""
        return next(event for event in self._queue if isinstance(event, SourceFrame))

    def find(self) -> bool:
        """Reads up to the first wanted frame; False where there is none."""
        if self._wanted is None:
            self._events = self._reader.events()
            return self._queue_from(self._next_frame(), self._wanted)
        for backoff in SEEK_BACKOFF:
            self._queue.clear()
            may_go_back = self._reader.seek(self._wanted - backoff) and backoff != FROM_THE_START
            give_up = self._wanted + PATIENCE if may_go_back else None
            self._events = self._reader.events(give_up)
            frame = self._next_frame()
            if may_go_back and (frame is None or self._is_late(frame)):
                continue
            return self._queue_from(frame, self._wanted - TOLERANCE)
        return False

    def events(self) -> Iterator[Event]:
        """Everything from the first wanted frame on, and the packets before it."""
        while self._queue:
            yield self._queue.popleft()
        yield from self._events

    def _queue_from(self, frame: SourceFrame | None, earliest: Fraction | None) -> bool:
        """Queues what is wanted of a frame and those after it, up to the first at a time."""
        while frame is not None:
            time = frame.pts * self._time_base
            begins = earliest is None or time >= earliest
            is_trimmed = self._copies and earliest is not None
            if is_trimmed and frame.packet is not None and frame.packet.keyframe:
                self._forget_before(time)
            if self._copies or begins:
                self._queue.append(frame)
            if begins:
                self.wanted_time = time
                return True
            frame = self._next_frame()
        return False

    def _forget_before(self, keyframe: Fraction) -> None:
        """Drops from the queue what ends before a keyframe's time: all frames, and packets."""
        kept = (event for event in self._queue if not isinstance(event, SourceFrame))
        self._queue = deque(packet for packet in kept if not _ends_before(packet, keyframe))

    def _is_late(self, frame: SourceFrame) -> bool:
        """Whether a seek landed behind the wanted time although there may be frames before."""
        assert self._wanted is not None
        return frame.pts * self._time_base > self._wanted + TOLERANCE

    def _next_frame(self) -> SourceFrame | None:
        for event in self._events:
            if isinstance(event, SourceFrame):
                return event
            if not self._is_before_start(event):
                self._queue.append(event)
        return None

    def _is_before_start(self, packet: AvPacket) -> bool:
        """Whether a packet ends well before the wanted time: a pipe may bring hours of them."""
        if self._wanted is None or self._copies:
            return False
        return _ends_before(packet, self._wanted - TOLERANCE)


def _ends_before(packet: AvPacket, time: Fraction) -> bool:
    """Whether a packet says that it ends before a time in seconds."""
    stamp = packet.dts if packet.pts is None else packet.pts
    if stamp is None:
        return False
    return bool((stamp + (packet.duration or 0)) * packet.time_base < time)
