"""Times of packets as FFmpeg's muxers take them: set, rising within a track, and in range."""

from __future__ import annotations

from fractions import Fraction

from bsqav.errors import MediaError
from bsqav.media.io.types import AvPacket

__all__ = ["PacketTimes", "check_seconds", "ticks_of"]

# Times beyond (eight years) are damage; muxers overflow at some of them.
MAX_SECONDS = 1 << 28
MAX_TICKS = 1 << 61
# Times that are moved by less are rounding (seconds).
_UNHEARD = Fraction(1, 500)


def ticks_of(time: int, base: Fraction, target: Fraction) -> int:
    """A time in ticks of another base, the nearest, halves away from zero."""
    ticks = abs(time) * base / target
    whole = int(ticks + Fraction(1, 2))
    return whole if time >= 0 else -whole


def check_seconds(name: str, seconds: Fraction) -> None:
    """Raises MediaError for a time that no file can have; `name` is the track's."""
    if abs(seconds) > MAX_SECONDS:
        raise MediaError(f"{name}: a time of {float(seconds):.6g} s cannot be written")


class PacketTimes:
    """Repairs the times of the packets of one track, in the time base in which they are written.

    Args:
        name: what messages call the track.
        time_base: that of the output's stream, once its header is written.
        longest: ticks from one packet to the next that the container can hold; None for any.
        step: ticks by which times must rise at least: 0 for subtitles, which may begin together.
    """

    def __init__(
        self, name: str, time_base: Fraction, longest: int | None = None, step: int = 1
    ) -> None:
        self._name, self._base, self._longest, self._step = name, time_base, longest, step
        self._last: int | None = None
        self._next = 0  # where a packet without a time goes
        self._moved = 0
        self._furthest = Fraction(0)

    def repair(self, packet: AvPacket) -> None:
        """Sets the packet's times.

        Raises:
            MediaError: a time, or a gap between two, is more than a file can hold.
        """
        base = Fraction(packet.time_base or self._base)
        pts = None if packet.pts is None else self._checked(packet.pts, base)
        dts = None if packet.dts is None else self._checked(packet.dts, base)
        if dts is None:
            dts = pts if pts is not None else self._next
        if pts is None:
            pts = dts
        duration = max(0, ticks_of(packet.duration or 0, base, self._base))
        if self._last is not None:
            if dts < self._last + self._step:
                self._note(self._last + self._step - dts)
                dts = self._last + self._step
            elif self._longest is not None and dts - self._last > self._longest:
                raise MediaError(
                    f"{self._name}: between {float(self._last * self._base):.3f} s and "
                    f"{float(dts * self._base):.3f} s is a gap that this container cannot hold: "
                    "write .mkv"
                )
            if not duration and self._step:
                duration = dts - self._last  # else readers would take the last packet for no sound
        if self._longest is not None:
            duration = min(duration, self._longest)
        packet.time_base = self._base
        packet.pts, packet.dts, packet.duration = max(pts, dts), dts, duration
        self._last, self._next = dts, dts + max(1, duration)

    def _checked(self, time: int, base: Fraction) -> int:
        ticks = ticks_of(time, base, self._base)
        if abs(ticks) > MAX_TICKS:
            raise MediaError(f"{self._name}: a time of {time} times {base} s cannot be written")
        check_seconds(self._name, time * base)
        return ticks

    def _note(self, ticks: int) -> None:
        move = ticks * self._base
        if move > _UNHEARD:
            self._moved += 1
            self._furthest = max(self._furthest, move)

    def remark(self) -> str | None:
        """A sentence on times that had to be moved; None where none was."""
        if not self._moved:
            return None
        return (
            f"{self._name}: the times of {self._moved} packets did not rise: they are moved behind "
            f"the packet before, by up to {float(self._furthest):.3f} s"
        )
