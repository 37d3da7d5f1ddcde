"""Mends the times of inputs whose clock may jump: MPEG-TS and the like, recorded or joined.

Such a file goes on at another time where a recording was cut or two files were put one behind the
other. Taken as they stand, these times would run backward or leave a hole of hours.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

__all__ = ["Continuity"]

# FFmpeg's AVFMT_TS_DISCONT: a format in which jumps are no damage.
_MAY_JUMP = 0x0200
# A packet this far before or behind the end of its track's last one is a jump (seconds).
_BACKWARD = Fraction(1, 2)
_FORWARD = 10
# Tracks jump one after the other; a track that lands this near goes with the others (seconds).
_TOGETHER = 1


class Continuity:
    """Moves packets behind a jump so that their track goes on, all tracks by the same time.

    Args:
        container: a PyAV input container; of a format without jumps, packets stay as they are.
        warn: takes a sentence at the first jump.
    """

    def __init__(self, container: Any, warn: Callable[[str], None]) -> None:
        self._active = bool(int(container.format.flags) & _MAY_JUMP)
        self._warn = warn
        self._warned = False
        self.reset()

    def reset(self) -> None:
        """Forgets where the tracks were, as before a seek."""
        self._newest = Fraction(0)  # seconds added behind the latest jump
        self._moves: dict[int, Fraction] = {}  # track to seconds added to its packets
        self._ends: dict[int, Fraction] = {}  # track to the end of its last packet, moved

    def mend(self, packet: Any) -> Any:
        """The packet, its times moved where its clock has jumped."""
        stamp = packet.pts if packet.dts is None else packet.dts
        if not self._active or stamp is None:
            return packet
        index, tick = packet.stream_index, packet.time_base
        if packet.stream.type == "subtitle":
            move = self._newest  # too sparse to tell a jump from silence
        else:
            move = self._move_of(index, stamp * tick)
            self._moves[index] = move
            self._ends[index] = (stamp + (packet.duration or 0)) * tick + move
        ticks = round(move / tick)
        packet.pts = None if packet.pts is None else packet.pts + ticks
        packet.dts = None if packet.dts is None else packet.dts + ticks
        return packet

    def _move_of(self, index: int, time: Fraction) -> Fraction:
        """Seconds to add to a packet of a track that says `time`."""
        end = self._ends.get(index)
        move = self._moves.get(index, self._newest)
        if end is None or -_BACKWARD <= time + move - end <= _FORWARD:
            return move
        if abs(time + self._newest - end) > _TOGETHER:
            self._newest = end - time
            if not self._warned:
                self._warned = True
                self._warn(
                    f"the timestamps jump at {float(end):.3f} s: what follows is moved to go on "
                    "from there"
                )
        return self._newest
