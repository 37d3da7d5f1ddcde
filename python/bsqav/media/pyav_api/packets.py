"""Packets of BSQ streams with the attributes of av.Packet."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import av

from bsqav.codec.units import Packet
from bsqav.media.demux.bsq_track import BsqPacket

if TYPE_CHECKING:
    from bsqav.media.pyav_api.input_stream import BsqInputStream
    from bsqav.media.pyav_api.output_stream import BsqOutputStream

__all__ = ["InputPacket", "OutputPacket"]


class _PyAvPacket:
    """The attributes that are the same for packets read and written."""

    is_corrupt = False
    is_discard = False
    is_disposable = False
    is_trusted = False
    pos: int | None = None  # offset in bytes in the file, where known
    opaque: object = None

    stream: BsqInputStream | BsqOutputStream
    data: bytes
    pts: int | None
    duration: int
    time_base: Fraction
    is_keyframe: bool

    def __bytes__(self) -> bytes:
        return self.data

    @property
    def size(self) -> int:
        """Bytes of data."""
        return len(self.data)

    @property
    def stream_index(self) -> int:
        """Index of the stream in its container."""
        return int(self.stream.index)

    def has_sidedata(self, dtype: str) -> bool:
        """False: BSQ has no side data, all is in the packet itself."""
        del dtype
        return False

    def iter_sidedata(self) -> Iterator[object]:
        """Nothing."""
        return iter(())


class InputPacket(_PyAvPacket):
    """A packet of a BSQ stream that was read. An empty one flushes."""

    def __init__(self, stream: BsqInputStream, source: BsqPacket | None) -> None:
        self.stream = stream
        self.source = source
        self.time_base = stream.time_base
        self.data, self.pts, self.duration = b"", None, 0
        self.is_keyframe = False
        if source is not None:
            self.data, self.pts, self.duration = source.data, source.pts, source.duration
            self.is_keyframe, self.pos = source.keyframe, source.position
            self.is_corrupt, self.is_disposable = source.damage is not None, source.disposable
        self.dts = self.pts
        self._decoding = stream

    def decode(self) -> list[av.VideoFrame]:
        """The frames that are ready after this packet."""
        return self._decoding.decode(self)


class OutputPacket(_PyAvPacket):
    """A packet of a BSQ stream on its way to mux()."""

    def __init__(self, stream: BsqOutputStream, packet: Packet) -> None:
        self.stream = stream
        self.data = packet.data
        self.pts = self.dts = packet.pts
        # As FFmpeg's muxers do: a frame that says nothing shows for one period of the rate.
        self.duration = packet.duration or stream.frame_ticks(packet.time_base)
        self.time_base = packet.time_base
        self.is_keyframe, self.is_disposable = packet.keyframe, packet.disposable
