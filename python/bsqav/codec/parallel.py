"""Several groups of pictures coded at the same time, for files: encoders in threads of their own.

The frames are cut into segments, where a scene begins (see `SceneCuts`) or a group is as long as
it may be: where one encoder of all frames would put a keyframe. Each segment has an encoder,
which also looks at the frame before its first and at as many after its last as the look-ahead
reaches, and so codes what one encoder of all would.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from bsqav import _core
from bsqav.codec.scenes import SceneCuts
from bsqav.codec.sequence import GROUP_COUNTERS, SequenceHeader
from bsqav.codec.settings import EncoderSettings
from bsqav.codec.units import Plane
from bsqav.errors import EndOfStreamError

__all__ = ["MAX_PARALLEL", "ParallelCore", "Plan", "memory_limit", "plan_parallel"]

MAX_PARALLEL = 64
# Frames in a segment at least: each costs a look-ahead more.
_MIN_SEGMENT = 50
# From one keyframe to a scene cut that is one too: as in the encoder.
_CUT_DISTANCE = 8
# What an encoder takes besides the frames of its look-ahead, in frames of 8 bits.
_ENCODER_PICTURES = 90
_SLACK = 8  # frames on the way
_POLL = 0.1  # seconds
_UNKNOWN_MEMORY = 4 << 30
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_limit() -> int:
    """Bytes that parallel groups may take: half of what this process may have."""
    sizes = []
    if hasattr(os, "sysconf"):
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for name in _CGROUP_LIMITS:
        try:
            text = Path(name).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            sizes.append(int(text))
    return min(sizes, default=_UNKNOWN_MEMORY) // 2


class Plan(NamedTuple):
    """How many encoders work at a time, and what they may hold."""

    workers: int
    longest: int  # frames of a segment
    ahead: int  # frames that an encoder looks at after its segment
    held: int  # frames that wait at most
    bytes: int  # of all that, roughly


def plan_parallel(parallel: int, gop: int, lookahead: int, frame: int, limit: int) -> Plan:
    """What `parallel` encoders need: as many of them as memory allows, one at least.

    Args:
        parallel: encoders that are wanted.
        gop, lookahead: as in `Encoder`.
        frame: bytes of a frame.
        limit: bytes for frames and encoders.
    """
    longest = gop + _MIN_SEGMENT - 1
    ahead = min(lookahead, gop - 1)
    slack = ahead + _SLACK
    for workers in range(parallel, 0, -1):
        # While one segment is coded, the others' frames wait; half of them if they take turns.
        most, least = (workers - 1) * longest, (workers - 1) * longest // 2
        fixed = workers * (2 * lookahead + _ENCODER_PICTURES) + slack
        if (fixed + least) * frame <= limit or workers == 1:
            held = max(least, min(most, limit // frame - fixed))
            return Plan(workers, longest, ahead, held + slack, (fixed + held) * frame)
    raise AssertionError("one encoder is always allowed")


@dataclass(eq=False)
class _Frame:
    planes: list[Plane]
    pts: int
    duration: int
    keyframe: bool
    uses: int = 0  # segments that have not taken it yet


class _Coded(NamedTuple):
    data: bytes
    pts: int
    duration: int
    keyframe: bool
    disposable: bool
    stats: dict[str, Any]


@dataclass(eq=False)
class _Segment:
    """Frames with what to do with them, and what has become of them."""

    frames: deque[tuple[_Frame, bool]] = field(default_factory=deque)  # look only
    complete: bool = False  # no more frames come
    packets: deque[_Coded] = field(default_factory=deque)
    done: bool = False
    end: int | None = None  # number of the first frame after it


class _Shared:
    """What the threads have in common. Everything is read and written under `changed`."""

    def __init__(self, open_encoder: Callable[[], _core.Encoder]) -> None:
        self.open_encoder = open_encoder
        self.changed = threading.Condition()
        self.waiting: deque[_Segment] = deque()  # segments without an encoder
        self.held = 0
        self.error: BaseException | None = None
        self.stopped = False
        self.threads: list[threading.Thread] = []

    def start(self, count: int) -> None:
        """Begins to work."""
        for number in range(count):
            thread = threading.Thread(target=self._work, name=f"bsqav group {number}", daemon=True)
            self.threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Ends the threads after the frame that they are at."""
        with self.changed:
            self.stopped = True
            self.changed.notify_all()

    def join(self) -> None:
        """Waits until the threads have ended."""
        for thread in self.threads:
            thread.join()

    def push(self, segment: _Segment, frame: _Frame, *, context_only: bool) -> None:
        """Hands a frame to a segment."""
        self.held += not frame.uses
        frame.uses += 1
        segment.frames.append((frame, context_only))

    def _work(self) -> None:
        try:
            while (segment := self._next_segment()) is not None:
                encoder = self.open_encoder()
                for frame, context_only in self._frames(segment):
                    encoder.send(
                        frame.planes,
                        frame.pts,
                        duration=frame.duration,
                        keyframe=frame.keyframe,
                        context_only=context_only,
                    )
                    self._collect(encoder, segment)
                encoder.flush()
                self._collect(encoder, segment)
                with self.changed:
                    segment.done = True
                    self.changed.notify_all()
        except BaseException as error:  # for whoever waits for packets
            with self.changed:
                self.error = self.error or error
                self.stopped = True
                self.changed.notify_all()

    def _next_segment(self) -> _Segment | None:
        with self.changed:
            self.changed.wait_for(lambda: self.waiting or self.stopped)
            return None if self.stopped else self.waiting.popleft()

    def _frames(self, segment: _Segment) -> Iterator[tuple[_Frame, bool]]:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: segment.frames or segment.complete or self.stopped)
                if self.stopped or not segment.frames:
                    return
                frame, context_only = segment.frames.popleft()
                frame.uses -= 1
                self.held -= not frame.uses
                self.changed.notify_all()
            yield frame, context_only

    def _collect(self, encoder: _core.Encoder, segment: _Segment) -> None:
        while (packet := encoder.receive()) is not None:
            with self.changed:
                if self.stopped:
                    return
                segment.packets.append(
                    _Coded(
                        packet.data,
                        packet.pts,
                        packet.duration,
                        packet.keyframe,
                        packet.disposable,
                        encoder.stats,
                    )
                )
                self.changed.notify_all()


# A thread that codes while the interpreter ends would bring it down.
_running: weakref.WeakSet[_Shared] = weakref.WeakSet()


@atexit.register
def _join_all() -> None:
    for shared in list(_running):
        shared.stop()
        shared.join()


class ParallelCore:
    """Has the place of a `_core.Encoder`, and codes several groups of pictures at the same time.

    The packets come in the order of the frames, and are the same for every number of encoders and
    threads. send() waits while too many frames are held; after flush(), receive() waits for the
    next packet.

    Args:
        sequence, model: of `_core.Encoder`.
        settings: how to code; threads are shared out among the encoders.
        place: where, as arguments of `_core.Encoder`.
        plan: see `plan_parallel`.
        while_waiting: called a few times a second while send() or receive() waits; may raise.
    """

    def __init__(
        self,
        sequence: SequenceHeader,
        model: _core.Model,
        settings: EncoderSettings,
        place: Mapping[str, Any],
        *,
        plan: Plan,
        while_waiting: Callable[[], None] | None = None,
    ) -> None:
        sequence = sequence.copy()
        threads = settings.threads or _processors()
        share = replace(settings, threads=max(1, threads // plan.workers))
        own = {**place, **asdict(share)}
        # Refuses what it does not take, now and here.
        self.header = _core.Encoder(sequence, model, **own).header
        self.plan = plan
        self._while_waiting = while_waiting
        self._shared = _Shared(lambda: _core.Encoder(sequence, model, **own))
        self._stop = weakref.finalize(self, self._shared.stop)
        _running.add(self._shared)
        self._cuts = SceneCuts(sequence.get("bit_depth", 8)) if settings.scene_cut else None
        self._gop = settings.gop
        self._count = 0
        # Numbers of the first frame of the segment and of the group.
        self._begin = self._keyframe = 0
        self._last: _Frame | None = None
        self._open: deque[_Segment] = deque()  # that frames still go to, the newest last
        self._out: deque[_Segment] = deque()  # whose packets have not all been received
        self._group_counter = -1  # of the group before
        self._flushed = False
        self.stats: dict[str, Any] = {}

    def send(
        self, planes: Sequence[Plane], pts: int, *, duration: int = 0, keyframe: bool = False
    ) -> None:
        """Takes a frame; its samples are copied."""
        frame = _Frame([plane.copy() for plane in planes], pts, duration, keyframe)
        if not self._shared.threads:
            self._shared.start(self.plan.workers)
        with self._shared.changed:
            self._wait(lambda: self._shared.held < self.plan.held)
            if self._begins(frame):
                self._begin_segment()
            *before, newest = self._open
            self._shared.push(newest, frame, context_only=False)
            for segment in before:
                self._shared.push(segment, frame, context_only=True)
            self._count += 1
            self._last = frame
            self._close_segments()
            self._shared.changed.notify_all()

    def _begins(self, frame: _Frame) -> bool:
        """Whether a segment begins with the frame; follows from the frames alone."""
        cut = self._cuts is not None and self._cuts.is_cut(frame.planes[0])
        if self._count == 0:
            return True
        length = self._count - self._keyframe
        if length >= self._gop or (cut and length >= _CUT_DISTANCE) or frame.keyframe:
            self._keyframe = self._count
            return self._count - self._begin >= _MIN_SEGMENT
        return False

    def _begin_segment(self) -> None:
        segment = _Segment()
        self._begin = self._count
        if self._last is not None:
            self._open[-1].end = self._count
            self._shared.push(segment, self._last, context_only=True)
        for segments in (self._open, self._out, self._shared.waiting):
            segments.append(segment)

    def _close_segments(self) -> None:
        """Those whose look-ahead has been sent take no more frames."""
        while (end := self._open[0].end) is not None and self._count >= end + self.plan.ahead:
            self._open.popleft().complete = True

    def flush(self) -> None:
        """Ends the input."""
        self._flushed = True
        with self._shared.changed:
            for segment in self._open:
                segment.complete = True
            self._open.clear()
            self._shared.changed.notify_all()

    def receive(self) -> _Coded | None:
        """The next packet; None: more input is needed, or all have been returned after flush()."""
        with self._shared.changed:
            if self._flushed:
                self._wait(lambda: self._settle() or not self._out)
            elif not self._settle():
                self._raise_error()
            packet = self._out[0].packets.popleft() if self._settle() else None
        if packet is None:
            if self._flushed:
                self.close()
            return None
        self.stats = packet.stats
        self._group_counter += packet.keyframe
        data = _core.set_packet_group_counter(packet.data, self._group_counter % GROUP_COUNTERS)
        return packet._replace(data=data)

    def close(self) -> None:
        """Ends the work; packets that have not been received are lost."""
        self._stop()
        self._shared.join()

    def _settle(self) -> bool:
        """Whether a packet is there; leaves the segments behind that have given all."""
        while self._out and self._out[0].done and not self._out[0].packets:
            self._out.popleft()
        return bool(self._out and self._out[0].packets)

    def _wait(self, ready: Callable[[], bool]) -> None:
        """Waits, holding the lock in between only."""
        while not ready():
            self._raise_error()
            self._shared.changed.wait(_POLL)
            if self._while_waiting is not None:
                self._shared.changed.release()
                try:
                    self._while_waiting()
                finally:
                    self._shared.changed.acquire()

    def _raise_error(self) -> None:
        if self._shared.error is not None:
            raise self._shared.error
        if self._shared.stopped:
            raise EndOfStreamError("the encoder has been closed: open a new one to go on")


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
