"""A bounded queue that puts the packets of several tracks into one order by time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Entry", "Interleaver"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A packet on its way into a file. Times are nanoseconds."""

    track: int
    data: bytes
    time: int
    duration: int  # 0 where unknown
    keyframe: bool
    discard: int = 0  # sound to drop at the end of the packet
    disposable: bool = False  # no other packet needs it

    @property
    def end(self) -> int:
        """When the packet's content ends, as far as known."""
        return self.time + self.duration


class Interleaver:
    """Holds packets back until it is clear which comes next.

    A track that `waits` is awaited: nothing is released while it has no packet queued. Subtitles
    do not wait, they are too sparse. However long a track stays silent, no more than `max_bytes`
    and `max_span` (nanoseconds) are held.
    """

    def __init__(self, *, max_bytes: int = 32 << 20, max_span: int = 10_000_000_000) -> None:
        self._queues: list[deque[Entry]] = []
        self._needed: list[int] = []
        self._max_bytes = max_bytes
        self._max_span = max_span
        self.bytes = 0
        self._newest: int | None = None

    def add_track(self, *, waits: bool, lookahead: bool = False) -> int:
        """A new track's index. With `lookahead`, a packet leaves only when its next is known."""
        self._queues.append(deque())
        self._needed.append(0 if not waits else 2 if lookahead else 1)
        return len(self._queues) - 1

    def push(self, entry: Entry) -> None:
        """Takes a packet; within a track, packets leave in the order in which they came."""
        self._queues[entry.track].append(entry)
        self.bytes += len(entry.data)
        if self._newest is None or entry.time > self._newest:
            self._newest = entry.time

    def next_of(self, track: int) -> Entry | None:
        """The packet that a track would release next, where one is queued."""
        queue = self._queues[track]
        return queue[0] if queue else None

    def ready(self, *, everything: bool = False) -> Iterator[Entry]:
        """Releases what may leave now, in order of time; everything at the end of the file."""
        while True:
            track = self._earliest()
            if track is None or not (everything or self._may_release(track)):
                return
            entry = self._queues[track].popleft()
            self.bytes -= len(entry.data)
            yield entry

    def _earliest(self) -> int | None:
        heads = [(queue[0].time, track) for track, queue in enumerate(self._queues) if queue]
        return min(heads)[1] if heads else None

    def _may_release(self, track: int) -> bool:
        if all(
            len(queue) >= needed for queue, needed in zip(self._queues, self._needed, strict=True)
        ):
            return True
        head = self._queues[track][0]
        span = 0 if self._newest is None else self._newest - head.time
        return self.bytes > self._max_bytes or span > self._max_span
