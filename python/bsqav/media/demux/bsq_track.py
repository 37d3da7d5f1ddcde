"""A BSQ track of an open file, and its packets with the exact times that they state themselves.

Every packet states its own timestamp in the stream's ticks. Containers round times (Matroska to
milliseconds) and move them (a cut, files joined): the packet's own tick gives the exact place, the
container gives the move.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor, lcm

from av.stream import Stream

from bsqav import _core
from bsqav.codec.frame_format import HasLayout, PlaneFormat
from bsqav.codec.sequence import (
    PacketHeader,
    SequenceHeader,
    frame_rate_of,
    plane_format_of,
    sample_aspect_of,
    sequence_of,
    time_base_of,
)
from bsqav.errors import BitstreamError
from bsqav.media.demux.gaps import GapDetector, PacketInfo
from bsqav.media.io.types import AvPacket

__all__ = ["ROUNDING", "BsqPacket", "BsqTrack", "header_bytes", "skipped_notice"]

# Container times this near to a packet's own time are rounding, not a move (seconds).
ROUNDING = Fraction(2, 1000)


@dataclass(frozen=True, slots=True)
class BsqPacket:
    """A packet of a BSQ track. Times are in ticks of `time_base`."""

    data: bytes
    pts: int | None  # None only for a damaged packet in a container without times
    duration: int  # 0 where unknown
    keyframe: bool
    time_base: Fraction
    track: BsqTrack
    number: int | None  # index in the track, from 0; None after a seek
    index_in_group: int | None  # 0 at a keyframe; None where damaged
    position: int | None  # offset in bytes in the file, where known
    damage: str | None = None  # what is wrong with the packet
    before_keyframe: bool = False  # intact, with no keyframe since the beginning or the seek
    disposable: bool = False  # no other frame refers to those in it: it may be left out

    def __bytes__(self) -> bytes:
        return self.data

    @property
    def stream_index(self) -> int:
        """Index of the track in its file."""
        return self.track.index

    @property
    def time(self) -> Fraction | None:
        """Presentation time in seconds."""
        return None if self.pts is None else self.pts * self.time_base


class BsqTrack(HasLayout):
    """A BSQ track of an open file; its properties are those of the latest sequence header."""

    def __init__(self, stream: Stream, sequence: SequenceHeader, header: bytes) -> None:
        self.stream = stream  # of PyAV
        self.index: int = stream.index
        self.header = header  # the sequence header's bytes
        self.time_base = time_base_of(sequence)
        self._container_tick = Fraction(stream.time_base or 1)
        self._own_tick = self.time_base  # of the latest header; a joined file may change it
        self._ticks_per_frame = 0  # of the latest keyframe
        self._keyframe_tick: int | None = None
        self._move = Fraction(0)  # seconds from the packets' own times to the container's
        self._lead = Fraction(0)
        self._count: int | None = 0
        self.gaps = GapDetector()  # places where frames are missing, among the packets read
        self._use(sequence)

    @property
    def layout(self) -> PlaneFormat:
        """Size, chroma and bit depth of the planes."""
        return plane_format_of(self.sequence)

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames per second, None where variable or unknown."""
        return frame_rate_of(self.sequence)

    @property
    def sample_aspect(self) -> Fraction | None:
        """Width over height of one sample, None where unknown."""
        return sample_aspect_of(self.sequence)

    @property
    def rotation(self) -> int:
        """Degrees clockwise to turn the frame for display."""
        return int(self.sequence["rotation"])

    @property
    def metadata(self) -> dict[str, str]:
        """The track's tags."""
        return dict(self.stream.metadata)

    @property
    def lead(self) -> Fraction:
        """Seconds to take off the container's times first."""
        return self._lead

    @lead.setter
    def lead(self, seconds: Fraction) -> None:
        self._lead = seconds
        self._choose_units()

    def forget_position(self) -> None:
        """To be called when the file is read from another place."""
        self._keyframe_tick = None
        self._count = None
        self.gaps.reset()

    def packet(self, packet: AvPacket) -> BsqPacket:
        """A PyAV packet of this track with its exact times."""
        data = bytes(packet)
        number = self._count
        if self._count is not None:
            self._count += 1
        damage: str | None = None
        index: int | None = None
        tick: int | None = None
        disposable = False
        keyframe = bool(packet.is_keyframe)
        try:
            info = _core.probe_packet(data)
        except BitstreamError as error:
            damage = str(error)
        else:
            keyframe, index = bool(info["keyframe"]), int(info["index_in_group"])
            disposable = info["frames"] > 0 and info["held_frames"] == 0
            if keyframe:
                self._take_header(sequence_of(info), data)
                self._ticks_per_frame = int(info["ticks_per_frame"])
                self._keyframe_tick = tick = int(info["pts"])
            elif self._keyframe_tick is not None:
                # What is stated is the difference from its time at a constant rate.
                tick = self._keyframe_tick + index * self._ticks_per_frame + int(info["pts"])
        pts = self._place(tick, packet.pts)
        if damage is not None or tick is None:
            self.gaps.lose(None if damage or pts is None else pts * self.time_base)
        else:
            self.gaps.take(self._packet_info(number, tick, info))
        return BsqPacket(
            data,
            pts,
            self._duration(packet.duration),
            keyframe,
            self.time_base,
            self,
            number,
            index,
            packet.pos,
            damage,
            before_keyframe=damage is None and self._keyframe_tick is None,
            disposable=disposable,
        )

    def _packet_info(self, number: int | None, tick: int, info: PacketHeader) -> PacketInfo:
        """What an intact packet says, for finding gaps."""
        stated = int(info["duration"])
        duration = self._ticks_per_frame if stated < 0 else stated
        return PacketInfo(
            number=number,
            keyframe=bool(info["keyframe"]),
            index=int(info["index_in_group"]),
            group_counter=int(info["group_counter"]),
            own=tick * self._own_tick,
            move=self._move,
            end=(tick + duration) * self._own_tick,
            frame=self._frame,
            duration=duration * self._own_tick,
        )

    def _take_header(self, sequence: SequenceHeader, data: bytes) -> None:
        # A joined file may change the header, even the time base; ticks are then
        # given in the first one, so that a reader sees one time line.
        self._own_tick = time_base_of(sequence)
        self._use({**sequence, "time_base": self.sequence["time_base"]})
        self.header = header_bytes(data)

    def _use(self, sequence: SequenceHeader) -> None:
        """Takes a sequence header, and computes once what every packet needs of it."""
        self.sequence = sequence
        rate = self.frame_rate
        self._frame = Fraction(0) if rate is None else 1 / rate  # seconds, 0 where variable
        self._frame_ticks = None if rate is None else round(self._frame / self.time_base)
        self._choose_units()

    def _choose_units(self) -> None:
        """Finds units in which the times of the container and the packets are whole numbers."""
        fractions = (self._container_tick, self._own_tick, self._lead, self._move)
        units = lcm(*(each.denominator for each in fractions))
        self._units = units  # in a second
        self._container_units, self._own_units, self._lead_units, self._move_units = (
            int(each * units) for each in fractions
        )
        self._tolerance = floor(max(ROUNDING, self._container_tick) * units)

    def _place(self, tick: int | None, container_pts: int | None) -> int | None:
        """The time in ticks of the track: the packet's own, moved as the container moved it."""
        there = None
        if container_pts is not None:
            there = container_pts * self._container_units - self._lead_units
        if tick is None:
            return None if there is None else self._ticks(there)
        own = tick * self._own_units
        if there is not None and abs(there - own - self._move_units) > self._tolerance:
            move = there - own
            self._move_units = 0 if abs(move) <= self._tolerance else move
            self._move = Fraction(self._move_units, self._units)
        if not self._move_units and self._own_tick == self.time_base:
            return tick
        return self._ticks(own + self._move_units)

    def _ticks(self, units: int) -> int:
        return round(Fraction(units, self._units) / self.time_base)

    def _duration(self, container_duration: int | None) -> int:
        if self._frame_ticks is not None:
            return self._frame_ticks
        return round((container_duration or 0) * self._container_tick / self.time_base)


def skipped_notice(count: int) -> str:
    """The warning about packets before the first keyframe (docs/bitstream.md 2.1)."""
    packets = "1 packet" if count == 1 else f"{count} packets"
    return f"the video begins between keyframes: its first {packets} cannot be shown"


def header_bytes(data: bytes) -> bytes:
    """The sequence header in a keyframe packet that has been verified (docs/bitstream.md 2.2)."""
    place, length, shift = 6, 0, 0
    while place < len(data):
        byte = data[place]
        length |= (byte & 0x7F) << shift
        shift += 7
        place += 1
        if byte < 0x80:
            break
    return data[1 : place + length]
