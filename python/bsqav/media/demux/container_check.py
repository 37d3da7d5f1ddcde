"""Compares what has come out of a container with what the container says is in it."""

from __future__ import annotations

import os
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.stream import Stream

from bsqav.media.demux.matroska_check import check_matroska
from bsqav.media.demux.mov_check import check_mov
from bsqav.media.demux.nut_check import UnreadBytes, check_nut
from bsqav.media.io.file_access import read_seekable
from bsqav.media.io.truncation import StatedContents
from bsqav.media.io.types import AvPacket, MediaFile

__all__ = ["PacketTally", "container_faults", "shortfall"]

# Formats whose heads state how long they last; for others FFmpeg estimates it.
_STATE_DURATION = {"matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "avi", "flv", "asf", "nut", "hls"}
# A file may end this much earlier than it says, or one and a half frames (seconds).
END_TOLERANCE = Fraction(1, 10)
MAX_PLAYLIST = 16 << 20
CUT_INSIDE = "it ends inside a packet, and does not say how long it is"


class PacketTally:
    """Takes packets as they are read from the beginning on, and counts."""

    def __init__(self, container: InputContainer) -> None:
        self.is_whole = True  # nothing was passed over by a seek
        self.counts: Counter[int] = Counter()  # intact packets of every stream
        self._ends: dict[int, int] = {}  # of every stream, in its ticks
        self._ticks: dict[int, Fraction] = {}
        self.last_byte = 0  # offset after the last packet in the file
        self.unread = UnreadBytes() if container.format.name == "nut" else None

    def take(self, packet: AvPacket) -> None:
        """A packet of PyAV's as the container gave it."""
        index = packet.stream_index
        self.last_byte = max(self.last_byte, (packet.pos or 0) + packet.size)
        if self.unread is not None:
            self.unread.take(packet.pos, packet.size)
        if packet.is_corrupt:
            return  # it is not whole
        self.counts[index] += 1
        pts = packet.pts
        if pts is not None:
            if index not in self._ticks:
                self._ticks[index] = packet.time_base or Fraction(0)
            end = pts + (packet.duration or 0)
            if end > self._ends.get(index, end - 1):
                self._ends[index] = end

    @property
    def ends(self) -> dict[int, Fraction]:
        """Of every stream, in seconds."""
        ticks = self._ticks
        return {index: end * ticks[index] for index, end in self._ends.items() if ticks[index]}

    def skip(self) -> None:
        """The next packet comes from elsewhere in the file."""
        self.is_whole = False


def container_faults(
    file: MediaFile, container: InputContainer, tally: PacketTally, track: int
) -> list[str]:
    """Places where a container says that packets of a track are missing, once all were read.

    Args:
        file: what was read: a path, or a file object, whose position is put back.
        container: PyAV's.
        tally: what has come out of it.
        track: FFmpeg's number of the stream.
    """
    if not tally.is_whole:
        return []
    stated = _stated_contents(file, tally)
    found = [] if stated is None else stated.faults_of(track)
    expected = None if stated is None else stated.packets.get(track)
    came = tally.counts[track]
    if expected is not None and came != expected and not found:
        found.append(f"{expected} packets are in the file, and {came} can be read")
    if stated is not None and stated.cut_inside and not _duration(container):
        found.append(CUT_INSIDE)
    if not found and (early := _early_end(container, tally, None)):
        found.append(early)
    return found


def shortfall(
    file: MediaFile, container: InputContainer, tally: PacketTally, stream: Stream
) -> str | None:
    """What is missing of a video at the end of a file that is smaller than it says.

    Args:
        file, container, tally: as in `container_faults`.
        stream: PyAV's of the video.

    Returns:
        What is missing; None where every frame came that the container announces.
    """
    stated = _stated_contents(file, tally)
    came, index = tally.counts[stream.index], stream.index
    expected = stream.frames
    if stated is not None:
        if faults := stated.faults_of(index):
            return faults[0]
        expected = stated.packets.get(index, expected)
    if tally.is_whole and expected and came < expected:
        return f"{expected - came} of its {expected} frames are missing"
    if stated is not None and stated.is_exact and tally.is_whole and expected:
        short = any(tally.counts[at] < count for at, count in stated.packets.items())
        return "it ends inside a fragment" if stated.in_parts and short else None
    if early := _early_end(container, tally, stream if _is_cut(stated) else None):
        return early
    if container.format.name == "hls":
        return None  # each part that it names has come
    if _is_cut(stated) and not _duration(container):
        return CUT_INSIDE
    return None


def _is_cut(stated: StatedContents | None) -> bool:
    """Whether a packet may be missing at the end."""
    return stated is None or stated.cut_inside


def _duration(container: InputContainer) -> Fraction | None:
    """Seconds that a file says it lasts."""
    if container.format.name not in _STATE_DURATION or not container.duration:
        return None
    return Fraction(container.duration, av.time_base)


def _early_end(container: InputContainer, tally: PacketTally, stream: Stream | None) -> str | None:
    """A sentence where a file ends before the time it says; `stream`: where that track does."""
    said = _duration(container)
    if said is None:
        return None
    if stream is None:
        end = max(tally.ends.values(), default=Fraction(0))
        tolerance = END_TOLERANCE
    else:
        end = tally.ends.get(stream.index, Fraction(0))
        tolerance = Fraction(1, 2) / (stream.average_rate or 25)
    if end + tolerance >= said:
        return None
    return f"it ends at {float(end):.3f} s of {float(said):.3f} s"


def _stated_contents(file: MediaFile, tally: PacketTally) -> StatedContents | None:
    """What the structure of a file says; None for pipes and for formats that are not read."""
    if isinstance(file, str | os.PathLike) and Path(file).suffix.lower() == ".m3u8":
        return read_seekable(file, lambda opened: _playlist(Path(file), opened))
    return read_seekable(file, lambda opened: _check(opened, tally))


def _check(file: BinaryIO, tally: PacketTally) -> StatedContents | None:
    if tally.unread is not None:
        return check_nut(file, tally.unread)
    return check_matroska(file) or check_mov(file)


def _playlist(path: Path, opened: BinaryIO) -> StatedContents | None:
    """What the MOV file behind a playlist says, and which parts of it the playlist leaves out."""
    text = opened.read(MAX_PLAYLIST).decode("utf-8", "replace")
    names = {line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"}
    ranges = [(int(size), int(at)) for size, at in re.findall(r"BYTERANGE[:=]\"?(\d+)@(\d+)", text)]
    if len(names) != 1 or not ranges:
        return None
    media = path.parent / names.pop()
    if not media.is_file():
        return None
    with media.open("rb") as file:
        found = check_mov(file)
    if found is None:
        return None
    place = 0
    for size, at in ranges:
        if at != place:
            found.faults.append(
                f"the playlist goes on at byte {at} of {media.name}, not at {place}"
            )
        place = at + size
    return found
