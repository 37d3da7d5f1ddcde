"""Finds places in a BSQ track where frames are missing, by what its packets say of themselves.

Inside a group the indices rise by one. From group to group the group counter rises
(docs/bitstream.md 2.1), and a stream of a constant rate goes on one frame later. A joined file
breaks these rules where two pieces meet; there the container's times move against the packets' own,
by which it is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from bsqav.codec.sequence import GROUP_COUNTERS

__all__ = ["Gap", "GapDetector", "PacketInfo", "named", "places"]

OUT_OF_ORDER = "the time does not rise: packets are out of order or there twice"
# So many steps between frames must equal the stated durations before one that does not is a gap.
MIN_EXACT_STEPS = 4
# More changes of the move than this inside groups: the file was given other times on purpose.
MAX_STRAY_MOVES = 4
# Other times than these, slower or faster by so much, are damage.
MAX_SPEED = Fraction(5, 2)
# Moves this near to each other are the same, rounded (seconds).
SAME_MOVE = Fraction(4, 1000)
# Less than this between two frames is rounding (seconds).
SAME_TIME = Fraction(2, 1000)
# Among so many moves before and behind one it is asked whether times come back to where they were.
NEAR_MOVES = 8


@dataclass(frozen=True, slots=True)
class Gap:
    """A place where frames are missing, or where something replaces them."""

    number: int | None  # of the packet that shows it, from 0; None after a seek
    time: Fraction  # of that packet, in seconds
    what: str

    def __str__(self) -> str:
        packet = "" if self.number is None else f"packet {self.number}, "
        return f"{packet}{float(self.time):.3f} s: {self.what}"


@dataclass(frozen=True, slots=True)
class PacketInfo:
    """What the watch needs of an intact packet. Times are in seconds."""

    number: int | None
    keyframe: bool
    index: int  # in the group
    group_counter: int  # rises from group to group
    own: Fraction  # the packet's own time
    end: Fraction  # when its frame ends, likewise
    move: Fraction  # from the packets' own times to the container's
    frame: Fraction  # duration of a frame at a constant rate, 0 where variable
    duration: Fraction  # as the packet or its header states, 0 where unknown

    @property
    def time(self) -> Fraction:
        """When the frame is due."""
        return self.own + self.move if self.move else self.own


class GapDetector:
    """Takes the packets of a track in their order and keeps a list of gaps."""

    def __init__(self) -> None:
        self.found: list[Gap] = []
        self.reset()

    def reset(self) -> None:
        """Forgets everything, as after a seek."""
        self.found.clear()
        self._first: PacketInfo | None = None
        self._last: PacketInfo | None = None
        self._unplaced: Fraction | None = None  # time of a packet that `lose` took before
        self._exact, self._inexact = 0, 0  # steps inside groups that equal the stated duration
        self._holes: list[Gap] = []  # of time, which count where the other steps are exact
        self._moves: list[PacketInfo] = []  # the first packets with another move
        self._stray: list[PacketInfo] = []  # those of them that are no keyframes

    def take(self, packet: PacketInfo) -> None:
        """Compares a packet with the one before."""
        last, self._last = self._last, packet
        if (last is None or packet.move != last.move) and not self.is_retimed:
            self._moves.append(packet)
        if last is None:
            self._first = packet
            if self._unplaced is not None and packet.time <= self._unplaced:
                self.found.append(Gap(packet.number, packet.time, OUT_OF_ORDER))
            self._unplaced = None
            return
        if self._first is last and not packet.keyframe and packet.move != last.move:
            self._moves = [packet]  # FFmpeg puts the first packet of a fragmented file elsewhere
            last = replace(last, move=packet.move)
        goes_on = packet.move == last.move
        rises = packet.own > last.own if goes_on else packet.time > last.time
        if not rises and (goes_on or not packet.keyframe):
            what: str | None = OUT_OF_ORDER
        elif packet.keyframe:
            what = self._between_groups(last, packet)
        else:
            what = self._inside_group(last, packet)
        if what is not None:
            self.found.append(Gap(packet.number, packet.time, what))

    def lose(self, time: Fraction | None) -> None:
        """Takes a packet without usable times: damaged, or without a keyframe before.

        Args:
            time: the container's, in seconds; None where unknown.
        """
        self._last, self._unplaced = None, time

    def finish(self) -> list[Gap]:
        """All gaps, those included that show only when the end has come."""
        strange = self._odd_speed() if self.is_retimed else [*self._stray, *self._replaced()]
        for packet in {id(each): each for each in strange}.values():
            what = "the container's time does not fit the packet's own, nor the packets around it"
            self.found.append(Gap(packet.number, packet.time, what))
        if not self.is_retimed:
            self._stray.clear()
        if not self._inexact:
            self.found += self._holes
        self._moves.clear()
        self._holes.clear()
        return self.found

    @property
    def is_retimed(self) -> bool:
        """Whether the container's times run at another speed than the packets' own."""
        return len(self._stray) > MAX_STRAY_MOVES

    def _inside_group(self, last: PacketInfo, packet: PacketInfo) -> str | None:
        if packet.group_counter != last.group_counter:
            return "it belongs to another group than the packet before: a keyframe is missing"
        if packet.index != last.index + 1:
            return f"index {packet.index} follows index {last.index}: packets are missing"
        if packet.move != last.move and not self.is_retimed:
            self._stray.append(packet)
        if last.duration:
            exact = packet.own == last.end or (
                abs(_hole(last, packet)) <= max(last.frame / 4, SAME_TIME)
            )
            self._exact += exact
            self._inexact += not exact
        return None

    def _between_groups(self, last: PacketInfo, packet: PacketInfo) -> str | None:
        if packet.move != last.move:
            return None  # a joint: the times of each piece are its own
        hole = _hole(last, packet) if last.duration else Fraction(0)
        is_hole = hole > max(last.frame / 2, SAME_TIME)
        follows = packet.group_counter == (last.group_counter + 1) % GROUP_COUNTERS
        if not follows and (is_hole or not last.duration):
            return "its group counter does not follow that of the group before: groups are missing"
        if is_hole and (last.frame or self._exact >= MIN_EXACT_STEPS):
            what = f"{float(hole):.3f} s of frames are missing before it, by the times"
            self._holes.append(Gap(packet.number, packet.time, what))
        return None

    def _odd_speed(self) -> list[PacketInfo]:
        """The last packet, where the container's times run at a speed that nobody asks for."""
        first, last = self._first, self._last
        if first is None or last is None or last.own <= first.own:
            return []
        speed = (last.time - first.time) / (last.own - first.own)
        return [] if 1 / MAX_SPEED <= speed <= MAX_SPEED else [last]

    def _replaced(self) -> list[PacketInfo]:
        """Packets with which the times leave their place, to which they come back later."""
        found = []
        for at in range(1, len(self._moves) - 1):
            before = self._moves[max(0, at - NEAR_MOVES) : at]
            after = self._moves[at + 1 : at + 1 + NEAR_MOVES]
            back = [x for x in before for y in after if abs(x.move - y.move) <= SAME_MOVE]
            packet = self._moves[at]
            # Programs that join pieces may err by a frame or two at a joint, and come back.
            most = max(SAME_MOVE, 2 * packet.duration if packet.keyframe else Fraction(0))
            if any(abs(x.move - packet.move) > most for x in back):
                found.append(packet)
        return found


def _hole(last: PacketInfo, packet: PacketInfo) -> Fraction:
    """Seconds from the end of a packet's frame to the next one."""
    return packet.own - last.end


def places(gaps: list[Gap]) -> str:
    """A sentence on all gaps."""
    return f"frames are missing or displaced: {named([str(gap) for gap in gaps])}"


def named(found: list[str]) -> str:
    """The first of several places, and how many there are."""
    return found[0] if len(found) == 1 else f"{len(found)} places, the first at {found[0]}"
