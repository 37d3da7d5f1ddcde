"""A quick look for timestamps that jump, and what is known of a container's timestamps."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from av.container import Container, InputContainer

from bsqav.media.io.types import AvPacket

__all__ = ["BACKWARD", "FORWARD", "MP4", "allows_jumps", "has_decoding_times", "may_jump"]

# FFmpeg's AVFMT_TS_DISCONT: formats in which jumps are no damage, forward ones too.
_MAY_JUMP = 0x0200
# Formats whose decoding times are stored, and not made up from the order of the frames.
MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
_STORES_DTS = {"asf", "avi", "flv", MP4, "mpeg", "mpegts"}
# A packet this far before its track's last one, or behind the end of it, may be a jump (seconds).
BACKWARD, FORWARD = Fraction(1, 10), 10


def allows_jumps(container: Container) -> bool:
    """Whether timestamps of the format may jump, forward ones too."""
    return bool(int(container.format.flags) & _MAY_JUMP)


def has_decoding_times(container: Container) -> bool:
    """Whether decoding times are those of the file."""
    return allows_jumps(container) or container.format.name in _STORES_DTS


def may_jump(container: InputContainer, packets: Iterable[AvPacket]) -> bool:
    """Whether there may be a jump: much quicker than `TimestampRepair`, and less exact.

    False is certain; true where a track was silent, too.

    Args:
        container: PyAV's of the packets.
        packets: from the beginning on; read up to a jump.
    """
    leaps, has_dts = allows_jumps(container), has_decoding_times(container)
    kinds = {each.index: each.type for each in container.streams}
    ticks = {each.index: Fraction(each.time_base or 1) for each in container.streams}
    back = {index: int(BACKWARD / tick) for index, tick in ticks.items()}
    forward = {index: int(FORWARD / tick) for index, tick in ticks.items()}
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
