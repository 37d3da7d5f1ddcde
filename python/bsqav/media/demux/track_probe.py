"""Finds the BSQ tracks of an input by its first packets.

FFmpeg does not know the codec: such a stream has no codec context, and nothing but its packets
tells what it is. The sequence headers in them are the source of truth.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction

from av.stream import Stream

from bsqav import _core
from bsqav.errors import BitstreamError
from bsqav.media.demux.bsq_track import ROUNDING, BsqTrack, header_bytes
from bsqav.media.demux.packet_reader import PacketReader
from bsqav.media.io.codec_tag import FOURCC
from bsqav.media.io.types import AvPacket, decoder_of
from bsqav.media.metadata.file_metadata import is_cover

__all__ = ["MAX_PROBED_BYTES", "MAX_PROBED_PACKETS", "TrackProbe", "may_be_bsq"]

# All tracks moved later by no more than this: a muxer made room for sound before zero (seconds).
MAX_LEAD = 1
# How far a file is read to find out what its unknown video streams are.
MAX_PROBED_PACKETS = 5000
MAX_PROBED_BYTES = 64 << 20


def may_be_bsq(stream: Stream) -> bool:
    """Whether FFmpeg takes a stream for video of a codec that it does not know."""
    return stream.type == "video" and decoder_of(stream) is None and not is_cover(stream)


class TrackProbe:
    """Reads ahead until every stream that may be BSQ has shown what it is.

    Raises:
        BitstreamError: a BSQ track has no keyframe that can be read.
        UnsupportedError: a BSQ track is of a version that this library does not have.
    """

    def __init__(self, reader: PacketReader) -> None:
        self.tracks: list[BsqTrack] = []
        self.read: deque[AvPacket] = deque()  # all packets so far
        self.lead = Fraction(0)  # seconds by which the container's times are later
        self._reader = reader
        self._unknown = {s.index: s for s in reader.container.streams if may_be_bsq(s)}
        self._errors: dict[int, BitstreamError] = {}
        self._without_keyframe: set[int] = set()  # tracks with intact packets, no keyframe so far
        self._run()

    def _run(self) -> None:
        size = 0
        while self._unknown and len(self.read) < MAX_PROBED_PACKETS and size < MAX_PROBED_BYTES:
            packet = self._reader.read()
            if packet is None:
                break
            self.read.append(packet)
            size += packet.size
            stream = self._unknown.get(packet.stream_index)
            if stream is not None:
                self._take(stream, packet)
        for index in self._without_keyframe & self._unknown.keys() - self._errors.keys():
            self.tracks.append(self._track_by_private_data(self._unknown[index]))
        self.tracks.sort(key=lambda track: track.index)
        for track in self.tracks:
            track.lead = self.lead
        for index in self._unknown:
            if index in self._errors:
                raise BitstreamError(
                    f"{self._reader.name}: track {index} has no keyframe that can be read: "
                    f"{self._errors[index]}"
                )

    def _take(self, stream: Stream, packet: AvPacket) -> None:
        """Probes a packet of a stream that is not known yet."""
        data = bytes(packet)
        try:
            info = _core.probe_packet(data)
        except BitstreamError as error:
            if data[1:5] != FOURCC and stream.index not in self._errors:
                del self._unknown[stream.index]  # another codec that FFmpeg has not got
            self._errors.setdefault(stream.index, error)
            return
        if info["sequence"] is None:
            self._without_keyframe.add(stream.index)
            return
        track = BsqTrack(stream, info["sequence"], header_bytes(data))
        self.tracks.append(track)
        if len(self.tracks) == 1 and packet.pts is not None:
            self._find_lead(track, packet.pts, info["pts"])
        del self._unknown[stream.index]

    def _track_by_private_data(self, stream: Stream) -> BsqTrack:
        """A track whose packets are BSQ, but no keyframe, which would say what it is."""
        header = self._reader.private_data(stream.index)
        if header is None:
            raise BitstreamError(
                f"{self._reader.name}: track {stream.index} is BSQ video without a keyframe: "
                "nothing of it can be shown"
            )
        return BsqTrack(stream, _core.probe_sequence(header), header)

    def _find_lead(self, track: BsqTrack, container_pts: int, tick: int) -> None:
        move = container_pts * Fraction(track.stream.time_base or 1) - tick * track.time_base
        if ROUNDING < move <= MAX_LEAD:
            self.lead = move
