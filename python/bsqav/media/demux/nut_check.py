"""Detects bytes of a NUT file that were passed over: between packets there are frame heads only.

NUT has no table of its packets. FFmpeg looks for the next place where it can go on when a frame's
head is damaged; the bytes between two packets that were read are lost.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from bsqav.media.io.truncation import StatedContents

__all__ = ["UnreadBytes", "check_nut"]

FILE_ID = b"nut/multimedia container\0"
# The most that the head of a frame takes.
MAX_FRAME_HEAD = 48
# Bytes that most packets of a codec begin with (MP3's header) are stored once, in the header of
# the file: a packet may be so much longer than its place in the file.
MAX_ELIDED = 8
# Startcodes: main header, stream, syncpoint, index, info.
_MAIN, _STREAM, _INDEX = b"NM\x7aV\x1f\x5f\x04\xad", b"NS\x11@[\xf2\xf9\xdb", b"NX\xdd\x67/#\xe6N"
_STARTCODES = {_MAIN, _STREAM, _INDEX, b"NK\xe4\xad\xee\xcaEi", b"NI\xabh\xb5\x96\xbax"}
# Headers may be repeated before the index.
MAX_TAIL = 1 << 20
# Heads of packets with more than so many bytes have a checksum of their own.
LONG_PACKET = 4096


class UnreadBytes:
    """Takes the places of packets as they are read and notes what is not read between them."""

    def __init__(self) -> None:
        self.end = len(FILE_ID)  # offset after the last packet
        self.gaps: list[tuple[int, int]] = []

    def take(self, place: int | None, size: int) -> None:
        """A packet's offset, None where unknown, and its bytes."""
        if place is None or place < 0:
            return
        if not -MAX_ELIDED <= place - self.end <= MAX_FRAME_HEAD:
            self.gaps.append((self.end, place))
        self.end = place + size


def check_nut(file: BinaryIO, unread: UnreadBytes) -> StatedContents | None:
    """Faults of a NUT file; None for what is none.

    Args:
        file: seekable; its position is not put back.
        unread: what reading all its packets has left.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(len(FILE_ID)) != FILE_ID:
        return None
    found = StatedContents()
    for start, end in unread.gaps:
        if end < start:
            found.faults.append(f"byte {end}: a packet begins inside another")
        elif _rest(file, start, end) > MAX_FRAME_HEAD:
            found.faults.append(f"byte {start}: {end - start} bytes cannot be read as packets")
    tail = _tail(file, unread.end)
    file.seek(tail)
    if _INDEX not in file.read(MAX_TAIL):
        found.faults.append(f"byte {size}: the file ends without an index, as if cut short")
    elif _rest(file, tail, size):
        found.faults.append(f"byte {tail}: bytes at the end are no packet")
    return found


def _tail(file: BinaryIO, end: int) -> int:
    """Where the headers after the last packet begin, which may end earlier than its bytes say."""
    file.seek(end - MAX_ELIDED)
    data = file.read(2 * MAX_ELIDED)
    for early in range(MAX_ELIDED + 1):
        place = MAX_ELIDED - early
        if data[place : place + 8] in _STARTCODES:
            return end - early
    return end


def _rest(file: BinaryIO, place: int, end: int) -> int:
    """How many bytes are left after all headers in a gap."""
    while end - place >= 10:
        file.seek(place)
        head = file.read(20)
        if head[:8] not in _STARTCODES:
            break
        length, at = 0, 8
        while at < len(head):
            length = length << 7 | head[at] & 0x7F
            at += 1
            if head[at - 1] < 0x80:
                break
        place += at + length + (4 if length > LONG_PACKET else 0)
    return max(0, end - place)
