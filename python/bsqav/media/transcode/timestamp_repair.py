"""Repairs timestamps that start again or jump: concatenated files, recordings with gaps.

Unrepaired, such times would run backward or leave a hole of hours. What follows a jump is moved so
that every track continues where it ended, all tracks by the same time: sound stays with its frames.

The tracks of a file jump one after the other. So packets wait, from the first track's jump until
the others have followed; elsewhere they pass at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

import av
from av.container import InputContainer

from bsqav.errors import BsqError
from bsqav.media.demux.bsq_track import BsqPacket, BsqTrack
from bsqav.media.demux.demuxer import DemuxedPacket
from bsqav.media.io.types import AvPacket, Warn
from bsqav.media.metadata.stream_info import is_elementary_stream
from bsqav.media.transcode.jump_scan import (
    BACKWARD,
    FORWARD,
    MP4,
    allows_jumps,
    has_decoding_times,
)
from bsqav.media.transcode.timeline import (
    Clock,
    Entry,
    Epoch,
    Joint,
    Time,
    Track,
    distance,
)

__all__ = ["TimestampRepair"]

# The same where another track has jumped already: only rounding is less (seconds).
_ROUNDING = Fraction(1, 200)
# Sound that goes back by less, and alone, was late: the file is in order.
_ALONE = Fraction(1, 2)
# So many packets show whether a time was a stray one.
_WITNESSES = 3
# Tracks that end this near to each other jump together, within this time (seconds).
_TOGETHER, _PATIENCE = 3, 3
# A track that would overlap by more has jumped by itself (seconds).
_OVERLAP = 1
# At most so much waits: packets, and bytes of them.
MAX_HELD = 3000
MAX_HELD_BYTES = 64 << 20


class TimestampRepair:
    """Moves packets behind a jump so that their track goes on.

    Args:
        container: a PyAV input container; packets of an elementary stream stay as they are.
        warn: takes a sentence at the first jump.
        tracks: the BSQ tracks among those that packets come from.
    """

    def __init__(
        self, container: InputContainer, warn: Warn, tracks: Iterable[BsqTrack] = ()
    ) -> None:
        self._active = not is_elementary_stream(container)
        self._leaps = allows_jumps(container)
        self._has_dts = has_decoding_times(container)
        streams = list(getattr(container, "streams", ()))
        bases = [*(each.time_base for each in streams), *(each.time_base for each in tracks)]
        self._clock = Clock(bases)
        units = self._clock.units
        self._backward, self._forward = units(BACKWARD), units(FORWARD)
        self._rounding, self._overlap = units(_ROUNDING), units(_OVERLAP)
        self._alone = units(_ALONE)
        self._together, self._patience = units(_TOGETHER), units(_PATIENCE)
        # Of fragments whose times start again FFmpeg may read all of one track first.
        self._expected = _sound_and_video(container) if container.format.name == MP4 else set()
        self._warn = warn
        self._warned = False
        self.reset()

    def reset(self) -> None:
        """Forgets where the tracks were, as before a seek."""
        self._tracks: dict[int, Track] = {}
        self._epochs = [Epoch(-1, 0)]
        self._settled = 1  # epochs whose move is fixed
        self._held: deque[Entry] = deque()
        self._held_bytes = 0

    def repaired(self, packets: Iterable[DemuxedPacket]) -> Iterator[DemuxedPacket]:
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

    def _push(self, packet: DemuxedPacket) -> None:
        entry = self._entry(packet)
        self._held.append(entry)
        self._held_bytes += entry.size
        if entry.is_video or _is_audio(packet):
            self._take(entry)
        else:
            entry.epoch = self._epoch_near(entry.stamp)
        if len(self._held) > MAX_HELD or self._held_bytes > MAX_HELD_BYTES:
            self._decide()
        else:
            self._settle(at_once=False)

    def _ready(self) -> Iterator[DemuxedPacket]:
        while self._held and (epoch := self._held[0].epoch) is not None:
            move = self._epochs[epoch].move
            if move is None:
                return
            entry = self._held.popleft()
            self._held_bytes -= entry.size
            # FFmpeg also marks fragments of MP4 so whose times start again.
            packet = entry.packet
            if epoch and entry.unwanted and not isinstance(packet, BsqPacket):
                packet = _shown(packet)
            yield self._moved(packet, move)

    def _rest(self) -> Iterator[DemuxedPacket]:
        self._decide()
        yield from self._ready()

    def _decide(self) -> None:
        """Judges all that waits by what has come so far."""
        for index, track in self._tracks.items():
            while track.suspects:
                self._weigh(index, track, at_once=True)
        self._settle(at_once=True)

    # ---- one track ----

    def _take(self, entry: Entry) -> None:
        """Finds out to which epoch a packet belongs."""
        track = self._tracks.get(entry.index)
        if track is None:
            newest = 0 if entry.index in self._expected else len(self._epochs) - 1
            track = self._tracks[entry.index] = Track(entry.is_video, newest)
        goes_on = not self._falls(track, entry, self._backward)
        passed = entry.unwanted and not track.epoch and goes_on
        if entry.stamp is None or (passed and not track.suspects):
            entry.epoch = track.epoch
        elif track.suspects or self._jumps(track, entry):
            track.suspects.append(entry)
            self._weigh(entry.index, track, at_once=False)
        else:
            self._place(track, entry)

    def _jumps(self, track: Track, entry: Entry) -> bool:
        """Whether a packet's time is not one that its track can have next."""
        if track.last is None or track.highest is None or entry.stamp is None:
            return False
        followed = track.epoch == len(self._epochs) - 1
        back = self._backward if followed else self._rounding
        if self._leaps and entry.stamp > track.end + self._forward:
            return not self._was_silent(track.epoch, track.end, entry.stamp)
        if self._falls(track, entry, back):
            return True
        # Frames may come in any order, but not across a keyframe.
        return entry.keyframe and entry.time is not None and entry.time < track.highest - back

    def _was_silent(self, number: int, end: Time, start: Time) -> bool:
        """Whether other tracks of an epoch went on while one had nothing between two times.

        Where all of them leap, one may end before another, but not by half of the leap.
        """
        move = self._epochs[number].move
        return any(
            each.last is not None
            and 2 * each.last > end + start
            and (each.epoch == number or (move is not None and move == self._move_of(each)))
            for each in self._tracks.values()
        )

    def _move_of(self, track: Track) -> Time | None:
        return self._epochs[track.epoch].move

    def _falls(self, track: Track, entry: Entry, by: int) -> bool:
        """Whether decoding times go back, in a track that holds them."""
        if track.last is None or entry.stamp is None or (track.is_video and not self._has_dts):
            return False
        return entry.stamp < track.last - by

    def _weigh(self, index: int, track: Track, *, at_once: bool) -> None:
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

    def _place(self, track: Track, entry: Entry) -> None:
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
            if not lasts or (track.step and lasts > max(FORWARD * track.step, self._forward)):
                lasts = track.step  # none, or below zero and wrapped
            track.end = time + lasts

    # ---- all tracks ----

    def _enter(self, index: int, track: Track, entry: Entry) -> None:
        """A track jumps: into the epoch that another has opened, or into one of its own."""
        start = entry.stamp if entry.time is None else entry.time
        assert start is not None
        joint = Joint(track.epoch, track.end, start, track.is_video)
        later = range(track.epoch + 1, len(self._epochs))
        number = next((each for each in later if self._fits(each, joint)), len(self._epochs))
        if number == len(self._epochs):
            self._epochs.append(Epoch(index))
            self._epochs[number].awaited = {
                other
                for other, each in self._tracks.items()
                if other != index
                and (
                    each.epoch < track.epoch
                    or distance(each.end, track.end) <= self._together
                    or (each.epoch == track.epoch and each.end > track.end)  # it went on longer
                )
            } | (self._expected - self._tracks.keys())
        epoch = self._epochs[number]
        if epoch.move is None:
            epoch.joints[index] = joint
        track.epoch, track.last, track.highest, track.end = number, None, None, start
        self._place(track, entry)

    def _fits(self, number: int, joint: Joint) -> bool:
        """Whether a track that jumps may go into an epoch that is there."""
        move, before = self._epochs[number].move, self._epochs[joint.before].move
        if move is None or before is None:
            return True
        gap = joint.start + move - joint.end - before
        # One that was silent for long comes to where the others are.
        others = (each.last for each in self._tracks.values() if each.epoch == number)
        near = self._together
        there = any(last is not None and distance(last, joint.start) <= near for last in others)
        return gap >= -self._overlap and (gap <= self._forward or there)

    def _settle(self, *, at_once: bool) -> None:
        """Fixes the moves of epochs, in order, when all tracks have come or time is up."""
        while (number := self._settled) < len(self._epochs):
            epoch = self._epochs[number]
            missing = {each for each in epoch.awaited if self._epoch_of(each) < number}
            if missing and not at_once and epoch.travelled <= self._patience:
                return
            self._settled += 1
            self._fix(epoch, alone=bool(missing) and len(epoch.joints) == 1)

    def _epoch_of(self, index: int) -> int:
        track = self._tracks.get(index)
        return 0 if track is None else track.epoch

    def _fix(self, epoch: Epoch, *, alone: bool) -> None:
        moves = []
        for joint in epoch.joints.values():
            before = self._epochs[joint.before].move
            assert before is not None
            late = alone and not joint.is_video and 0 < joint.end - joint.start < self._alone
            silent = alone and joint.start > joint.end + self._forward
            if late or (silent and self._was_silent(joint.before, joint.end, joint.start)):
                moves.append((before, joint, before))
            else:
                moves.append((before + joint.end - joint.start, joint, before))
        epoch.move, joint, before = max(moves, key=lambda each: each[0])
        if epoch.move != before and not self._warned:
            self._warned = True
            seconds = float(self._clock.seconds(joint.end + before))
            self._warn(
                f"the timestamps jump at {seconds:.3f} s: what follows is moved to go on from there"
            )

    def _epoch_near(self, stamp: Time | None) -> int:
        """The epoch for a packet of a track that is too sparse to tell a jump from silence."""
        tracks = [each for each in self._tracks.values() if each.last is not None]
        if stamp is None or not tracks:
            return len(self._epochs) - 1
        return min(tracks, key=lambda each: distance(each.last or 0, stamp)).epoch

    # ---- packets ----

    def _entry(self, packet: DemuxedPacket) -> Entry:
        index = packet.stream_index
        tick = self._clock.tick(index, packet.time_base)
        time = None if packet.pts is None else packet.pts * tick
        lasts = (packet.duration or 0) * tick
        if isinstance(packet, BsqPacket):
            size = len(packet.data)
            return Entry(packet, True, size, index, time, time, lasts, packet.keyframe)
        stamp = time if packet.dts is None else packet.dts * tick
        return Entry(
            packet,
            packet.stream.type == "video",
            packet.size,
            index,
            stamp,
            time,
            lasts,
            packet.is_keyframe,
            packet.is_discard,
        )

    def _moved(self, packet: DemuxedPacket, move: Time) -> DemuxedPacket:
        """The packet, `move` later."""
        ticks = round(self._clock.seconds(move) / packet.time_base) if move else 0
        if not ticks:
            return packet
        if isinstance(packet, BsqPacket):
            return replace(packet, pts=None if packet.pts is None else packet.pts + ticks)
        packet.pts = None if packet.pts is None else packet.pts + ticks
        packet.dts = None if packet.dts is None else packet.dts + ticks
        return packet


def _sound_and_video(container: InputContainer) -> set[int]:
    return {each.index for each in container.streams if each.type in ("audio", "video")}


def _is_audio(packet: DemuxedPacket) -> bool:
    return not isinstance(packet, BsqPacket) and packet.stream.type == "audio"


def _shown(packet: AvPacket) -> AvPacket:
    """The same packet without the mark that nothing of it is to be shown."""
    shown: AvPacket = av.Packet(bytes(packet))
    shown.stream, shown.time_base = packet.stream, packet.time_base
    shown.pts, shown.dts, shown.duration = packet.pts, packet.dts, packet.duration
    shown.is_keyframe = packet.is_keyframe
    return shown
