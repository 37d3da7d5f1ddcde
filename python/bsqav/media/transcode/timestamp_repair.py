"""Repairs timestamps that start again or jump: files put one behind the other, cut recordings.

Taken as they stand, such times would run backward or leave a hole of hours. What follows a jump is
moved so that every track goes on behind what it had, all tracks by the same time: sound stays with
its frames.

The tracks of a file jump one after the other. So packets wait, from the first track's jump until
the others have followed; elsewhere they pass at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import av

from bsqav.errors import BsqError
from bsqav.media.demux.bsq_track import BsqPacket
from bsqav.media.metadata.stream_info import is_bare

__all__ = ["Continuity", "may_jump"]

# FFmpeg's AVFMT_TS_DISCONT: formats in which jumps are no damage, forward ones too.
_MAY_JUMP = 0x0200
# Formats whose decoding times are stored, and not made up from the order of the frames.
_MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
_STORES_DTS = {"asf", "avi", "flv", _MP4, "mpeg", "mpegts"}
# A packet this far before its track's last one, or behind the end of it, may be a jump (seconds).
_BACKWARD, _FORWARD = Fraction(1, 10), Fraction(10)
# The same where another track has jumped already: only rounding is less.
_ROUNDING = Fraction(1, 200)
# Sound that goes back by less, and alone, was late: it is none of the file's doing.
_ALONE = Fraction(1, 2)
# So many packets show whether a time was a stray one.
_WITNESSES = 3
# Tracks that end this near to each other jump together, within this time (seconds).
_TOGETHER, _PATIENCE = 3, 3
# A track that would overlap by more has jumped by itself (seconds).
_OVERLAP = 1
# So much waits at most: packets, and bytes of them.
MAX_HELD = 3000
MAX_HELD_BYTES = 64 << 20


@dataclass
class _Entry:
    """A packet on its way."""

    packet: Any
    size: int  # in bytes
    index: int  # of the track
    stamp: Fraction | None  # decoding time where there is one, else that of presentation; seconds
    time: Fraction | None  # of presentation, likewise
    duration: Fraction
    keyframe: bool
    unwanted: bool = False  # FFmpeg marks it as not to be shown, after an edit list
    epoch: int | None = None  # from one jump to the next


@dataclass
class _Track:
    """Where a track of sound or video is, by the clock of the file."""

    is_video: bool
    epoch: int
    last: Fraction | None = None  # stamp of its latest packet
    highest: Fraction | None = None  # time of its latest frame
    end: Fraction = Fraction(0)  # of that frame
    step: Fraction = Fraction(0)
    suspects: list[_Entry] = field(default_factory=list)  # a jump, perhaps, and what came behind it


@dataclass
class _Joint:
    """How one track went into an epoch."""

    before: int  # the epoch it left
    end: Fraction  # of its frames there
    start: Fraction  # of its first frame here
    is_video: bool


@dataclass
class _Epoch:
    """What lies between two jumps."""

    opener: int  # the track that came first
    move: Fraction | None = None  # seconds to add to its packets; None until tracks have come
    joints: dict[int, _Joint] = field(default_factory=dict)
    awaited: set[int] = field(default_factory=set)
    travelled: Fraction = Fraction(0)  # how far the opener has come since


class Continuity:
    """Moves packets behind a jump so that their track goes on.

    Args:
        container: a PyAV input container; packets of a bare stream stay as they are.
        warn: takes a sentence at the first jump.
    """

    def __init__(self, container: Any, warn: Callable[[str], None]) -> None:
        form = container.format
        self._active = not is_bare(container)
        self._leaps = bool(int(form.flags) & _MAY_JUMP)
        self._has_dts = self._leaps or form.name in _STORES_DTS
        # Of fragments whose times start again FFmpeg may read all of one track first.
        self._expected = _sound_and_video(container) if form.name == _MP4 else set()
        self._warn = warn
        self._warned = False
        self.reset()

    def reset(self) -> None:
        """Forgets where the tracks were, as before a seek."""
        self._tracks: dict[int, _Track] = {}
        self._epochs = [_Epoch(-1, Fraction(0))]
        self._settled = 1  # epochs whose move is fixed
        self._held: deque[_Entry] = deque()
        self._held_bytes = 0

    def mended(self, packets: Iterable[Any]) -> Iterator[Any]:
        """The packets in their order, their times moved where a clock has jumped.

        Raises:
            BsqError: what reading the packets raises, behind those that were held.
        """
        if not self._active:
            yield from packets
            return
        try:
            for packet in packets:
                self._push(packet)
                yield from self._ready()
        except BsqError:
            yield from self._rest()
            raise
        yield from self._rest()

    def _push(self, packet: Any) -> None:
        entry = _entry(packet)
        self._held.append(entry)
        self._held_bytes += entry.size
        if _kind(packet) in ("audio", "video"):
            self._take(entry)
        else:
            entry.epoch = self._epoch_near(entry.stamp)
        if len(self._held) > MAX_HELD or self._held_bytes > MAX_HELD_BYTES:
            self._decide()
        else:
            self._settle(at_once=False)

    def _ready(self) -> Iterator[Any]:
        while self._held and (epoch := self._held[0].epoch) is not None:
            move = self._epochs[epoch].move
            if move is None:
                return
            entry = self._held.popleft()
            self._held_bytes -= entry.size
            # FFmpeg also marks fragments of MP4 so whose times start again.
            packet = _shown(entry.packet) if epoch and entry.unwanted else entry.packet
            yield _moved(packet, move)

    def _rest(self) -> Iterator[Any]:
        self._decide()
        yield from self._ready()

    def _decide(self) -> None:
        """Judges all that waits by what has come so far."""
        for index, track in self._tracks.items():
            while track.suspects:
                self._weigh(index, track, at_once=True)
        self._settle(at_once=True)

    # ---- one track ----

    def _take(self, entry: _Entry) -> None:
        """Finds out to which epoch a packet belongs."""
        track = self._tracks.get(entry.index)
        if track is None:
            video = _kind(entry.packet) == "video"
            newest = 0 if entry.index in self._expected else len(self._epochs) - 1
            track = self._tracks[entry.index] = _Track(video, newest)
        passed = entry.unwanted and not track.epoch and not self._falls(track, entry, _BACKWARD)
        if entry.stamp is None or (passed and not track.suspects):
            entry.epoch = track.epoch
        elif track.suspects or self._jumps(track, entry):
            track.suspects.append(entry)
            self._weigh(entry.index, track, at_once=False)
        else:
            self._place(track, entry)

    def _jumps(self, track: _Track, entry: _Entry) -> bool:
        """Whether a packet's time is not one that its track can have next."""
        if track.last is None or track.highest is None or entry.stamp is None:
            return False
        followed = track.epoch == len(self._epochs) - 1
        back = _BACKWARD if followed else _ROUNDING
        if self._leaps and entry.stamp > track.end + _FORWARD:
            return not self._was_silent(track.epoch, track.end, entry.stamp)
        if self._falls(track, entry, back):
            return True
        # Frames may come in any order, but not across a keyframe.
        return entry.keyframe and entry.time is not None and entry.time < track.highest - back

    def _was_silent(self, number: int, end: Fraction, start: Fraction) -> bool:
        """Whether other tracks of an epoch went on while one had nothing between two times.

        Where all of them leap, one may end before another, but not by half of the leap.
        """
        move = self._epochs[number].move
        return any(
            each.last is not None
            and each.last > (end + start) / 2
            and (each.epoch == number or (move is not None and move == self._move_of(each)))
            for each in self._tracks.values()
        )

    def _move_of(self, track: _Track) -> Fraction | None:
        return self._epochs[track.epoch].move

    def _falls(self, track: _Track, entry: _Entry, by: Fraction) -> bool:
        """Whether decoding times go back, in a track that holds them."""
        if track.last is None or entry.stamp is None or (track.is_video and not self._has_dts):
            return False
        return entry.stamp < track.last - by

    def _weigh(self, index: int, track: _Track, *, at_once: bool) -> None:
        """Decides on a possible jump by the packets behind it: do they stay there?"""
        first, *others = track.suspects
        assert first.stamp is not None
        assert track.highest is not None
        if first.stamp > track.highest:
            stay = any(each.stamp is not None and each.stamp > track.end for each in others)
        else:
            stay = any(each.time is not None and each.time < track.highest for each in others)
        if stay or (at_once and not others):
            if self._jumps(track, first):  # still: others may have gone on meanwhile
                self._enter(index, track, first)
            else:
                self._place(track, first)
        elif at_once or len(others) >= _WITNESSES:
            first.epoch = track.epoch  # a stray time
        else:
            return
        track.suspects = []
        for each in others:
            self._take(each)

    def _place(self, track: _Track, entry: _Entry) -> None:
        """A packet that goes on where its track was."""
        assert entry.stamp is not None
        entry.epoch = track.epoch
        if track.last is not None and entry.stamp > track.last:
            track.step = entry.stamp - track.last
            for opened in self._epochs[self._settled :]:
                if opened.opener == entry.index:
                    opened.travelled += track.step
        track.last = entry.stamp
        time = entry.stamp if entry.time is None else entry.time
        if track.highest is None or time >= track.highest:
            track.highest = time
            lasts = entry.duration
            if not lasts or (track.step and lasts > max(_FORWARD * track.step, _FORWARD)):
                lasts = track.step  # none, or below zero and wrapped
            track.end = time + lasts

    # ---- all tracks ----

    def _enter(self, index: int, track: _Track, entry: _Entry) -> None:
        """A track jumps: into the epoch that another has opened, or into one of its own."""
        start = entry.stamp if entry.time is None else entry.time
        assert start is not None
        joint = _Joint(track.epoch, track.end, start, track.is_video)
        later = range(track.epoch + 1, len(self._epochs))
        number = next((each for each in later if self._fits(each, joint)), len(self._epochs))
        if number == len(self._epochs):
            self._epochs.append(_Epoch(index))
            self._epochs[number].awaited = {
                other
                for other, each in self._tracks.items()
                if other != index
                and (
                    each.epoch < track.epoch
                    or abs(each.end - track.end) <= _TOGETHER
                    or (each.epoch == track.epoch and each.end > track.end)  # it went on longer
                )
            } | (self._expected - self._tracks.keys())
        epoch = self._epochs[number]
        if epoch.move is None:
            epoch.joints[index] = joint
        track.epoch, track.last, track.highest, track.end = number, None, None, start
        self._place(track, entry)

    def _fits(self, number: int, joint: _Joint) -> bool:
        """Whether a track that jumps may go into an epoch that is there."""
        move, before = self._epochs[number].move, self._epochs[joint.before].move
        if move is None or before is None:
            return True
        gap = joint.start + move - joint.end - before
        # One that was silent for long comes to where the others are.
        others = (each.last for each in self._tracks.values() if each.epoch == number)
        there = any(last is not None and abs(last - joint.start) <= _TOGETHER for last in others)
        return gap >= -_OVERLAP and (gap <= _FORWARD or there)

    def _settle(self, *, at_once: bool) -> None:
        """Fixes the moves of epochs, in order, when all tracks have come or time is up."""
        while (number := self._settled) < len(self._epochs):
            epoch = self._epochs[number]
            missing = {each for each in epoch.awaited if self._epoch_of(each) < number}
            if missing and not at_once and epoch.travelled <= _PATIENCE:
                return
            self._settled += 1
            self._fix(epoch, alone=bool(missing) and len(epoch.joints) == 1)

    def _epoch_of(self, index: int) -> int:
        track = self._tracks.get(index)
        return 0 if track is None else track.epoch

    def _fix(self, epoch: _Epoch, *, alone: bool) -> None:
        moves = []
        for joint in epoch.joints.values():
            before = self._epochs[joint.before].move
            assert before is not None
            late = alone and not joint.is_video and 0 < joint.end - joint.start < _ALONE
            silent = alone and joint.start > joint.end + _FORWARD
            if late or (silent and self._was_silent(joint.before, joint.end, joint.start)):
                moves.append((before, joint, before))
            else:
                moves.append((before + joint.end - joint.start, joint, before))
        epoch.move, joint, before = max(moves, key=lambda each: each[0])
        if epoch.move != before and not self._warned:
            self._warned = True
            self._warn(
                f"the timestamps jump at {float(joint.end + before):.3f} s: what follows is moved "
                "to go on from there"
            )

    def _epoch_near(self, stamp: Fraction | None) -> int:
        """The epoch for a packet of a track that is too sparse to tell a jump from silence."""
        tracks = [each for each in self._tracks.values() if each.last is not None]
        if stamp is None or not tracks:
            return len(self._epochs) - 1
        return min(tracks, key=lambda each: abs((each.last or 0) - stamp)).epoch


def may_jump(container: Any, packets: Iterable[Any]) -> bool:
    """Whether there may be a jump among packets: much quicker than `Continuity`, and less exact.

    False is certain; true where a track was silent, too.

    Args:
        container: PyAV's of the packets.
        packets: PyAV's, from the beginning on; read up to a jump.
    """
    form = container.format
    leaps = bool(int(form.flags) & _MAY_JUMP)
    has_dts = leaps or form.name in _STORES_DTS
    kinds = {each.index: each.type for each in container.streams}
    ticks = {each.index: Fraction(each.time_base or 1) for each in container.streams}
    back = {index: int(_BACKWARD / tick) for index, tick in ticks.items()}
    forward = {index: int(_FORWARD / tick) for index, tick in ticks.items()}
    last: dict[int, int] = {}
    highest: dict[int, int] = {}
    for packet in packets:
        index = packet.stream_index
        kind = kinds.get(index)
        time, stamp = packet.pts, packet.dts
        stamp = time if stamp is None else stamp
        if stamp is None or (kind != "video" and kind != "audio"):
            continue
        time = stamp if time is None else time
        before = last.get(index, stamp)
        if stamp < before - back[index] and (has_dts or kind == "audio"):
            return True
        if leaps and stamp > before + forward[index]:
            return True
        top = highest.get(index, time)
        if time < top - back[index] and packet.is_keyframe:
            return True
        last[index], highest[index] = stamp, max(top, time)
    return False


def _sound_and_video(container: Any) -> set[int]:
    return {each.index for each in container.streams if each.type in ("audio", "video")}


def _kind(packet: Any) -> str:
    return "video" if isinstance(packet, BsqPacket) else str(packet.stream.type)


def _entry(packet: Any) -> _Entry:
    tick = Fraction(packet.time_base)
    time = None if packet.pts is None else packet.pts * tick
    lasts = (packet.duration or 0) * tick
    if isinstance(packet, BsqPacket):
        size, index = len(packet.data), packet.track.index
        return _Entry(packet, size, index, time, time, lasts, packet.keyframe)
    stamp = time if packet.dts is None else packet.dts * tick
    size, index, keyframe = packet.size, packet.stream_index, packet.is_keyframe
    return _Entry(packet, size, index, stamp, time, lasts, keyframe, packet.is_discard)


def _shown(packet: Any) -> Any:
    """The same packet without the mark that nothing of it is to be shown."""
    shown: Any = av.Packet(bytes(packet))
    shown.stream, shown.time_base = packet.stream, packet.time_base
    shown.pts, shown.dts, shown.duration = packet.pts, packet.dts, packet.duration
    shown.is_keyframe = packet.is_keyframe
    return shown


def _moved(packet: Any, move: Fraction) -> Any:
    """The packet, `move` seconds later."""
    ticks = round(move / packet.time_base)
    if not ticks:
        return packet
    if isinstance(packet, BsqPacket):
        return replace(packet, pts=None if packet.pts is None else packet.pts + ticks)
    packet.pts = None if packet.pts is None else packet.pts + ticks
    packet.dts = None if packet.dts is None else packet.dts + ticks
    return packet
