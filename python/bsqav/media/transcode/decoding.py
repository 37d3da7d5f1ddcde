"""Decoders behind one interface: packets of the chosen video stream in, frames out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import av

from bsqav.codec import Decoder, Frame
from bsqav.codec.frame_format import FrameConverter
from bsqav.codec.models import ModelLike
from bsqav.codec.units import Plane
from bsqav.errors import BitstreamError
from bsqav.media.demux.demuxer import BsqPacket, DemuxedPacket
from bsqav.media.io.types import AvPacket, Warn
from bsqav.media.metadata.dropped_side_data import SideDataWatch
from bsqav.media.metadata.stream_info import is_elementary_stream
from bsqav.media.transcode.deinterlace import Deinterlacer

__all__ = ["AvDecoding", "BsqDecoding", "Decoded", "Plane", "VideoDecoding"]

# Of a stream that says none, as the source counts it.
DEFAULT_TIME_BASE = Fraction(1, 90000)


class Decoded(Protocol):
    """A decoded frame; times in ticks of the stream's time base."""

    pts: int | None
    duration: int | None

    @property
    def frame(self) -> av.VideoFrame:
        """The frame as PyAV's."""

    def planes(self, converter: FrameConverter) -> list[Plane]:
        """The frame in the converter's format."""


class VideoDecoding(Protocol):
    """What a source needs of a decoder."""

    def decode(self, packet: DemuxedPacket) -> Iterator[Decoded]:
        """Frames that are ready after this packet."""

    def flush(self) -> Iterator[Decoded]:
        """Frames that were held back."""

    def reset(self) -> None:
        """Forgets everything, as before a seek."""

    def finish(self) -> None:
        """Says what there is to say at the end."""


@dataclass
class AvDecoded:
    """A frame of an FFmpeg decoder."""

    frame: av.VideoFrame
    pts: int | None
    duration: int | None

    def planes(self, converter: FrameConverter) -> list[Plane]:
        """The frame in the converter's format."""
        return converter.convert(self.frame)


class AvDecoding:
    """Decodes with FFmpeg, and deinterlaces.

    A packet that cannot be decoded is counted and passed over.
    """

    def __init__(self, stream: av.VideoStream, threads: int, warn: Warn) -> None:
        self._stream = stream
        self._deinterlacer = Deinterlacer(Fraction(stream.time_base or DEFAULT_TIME_BASE), warn)
        self._warn = warn
        self._bare = is_elementary_stream(stream.container)
        self._in_order = stream.container.format.name == "avi"
        self._entry: int | None = None  # decoding time of the first keyframe
        self._delay: int | None = None  # ticks that the first frame came later
        self.side_data = SideDataWatch(stream.codec_context.name, warn)
        self._bad = 0
        self._first_bad = ""
        stream.codec_context.thread_type = "AUTO"
        stream.codec_context.thread_count = threads

    def decode(self, packet: DemuxedPacket) -> Iterator[AvDecoded]:
        """Frames that are ready after this packet."""
        assert not isinstance(packet, BsqPacket)
        if not packet.size:
            return  # the frame before lasts longer (Theora, AVI)
        if self._entry is None and packet.is_keyframe:
            self._entry = packet.dts
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            self._note(packet, error)
            return
        yield from self._whole(frames)

    def flush(self) -> Iterator[AvDecoded]:
        """Frames that were held back."""
        try:
            frames = self._stream.decode(None)
        except av.EOFError:
            frames = []
        except av.FFmpegError as error:
            self._note(None, error)
            frames = []
        yield from self._whole(frames)
        yield from map(self._wrap, self._deinterlacer.flush())

    def _whole(self, frames: list[av.VideoFrame]) -> Iterator[AvDecoded]:
        """Frames with the lines of one moment."""
        for frame in frames:
            self.side_data.check(frame)
            frame.pts = self._time_of(frame)
            yield from map(self._wrap, self._deinterlacer.push(frame))

    def _time_of(self, frame: av.VideoFrame) -> int | None:
        """When a frame is due; None where it is one after the frame before."""
        if self._bare:
            return None  # what FFmpeg says there is a guess: frames are counted
        if not self._in_order:
            return frame.dts if frame.pts is None else frame.pts
        # AVI stores times of decoding only, and what FFmpeg makes of them belongs to other frames.
        if frame.dts is None:
            return None
        if self._delay is None:
            self._delay = 0 if self._entry is None else max(frame.dts - self._entry, 0)
        return frame.dts - self._delay

    def reset(self) -> None:
        """Forgets everything, as before a seek."""
        self._entry = self._delay = None
        self._deinterlacer.reset()
        self._stream.codec_context.flush_buffers()

    def finish(self) -> None:
        """Says how many packets could not be decoded."""
        if self._bad:
            self._warn(f"{self._bad} video packets could not be decoded: {self._first_bad}")

    def _note(self, packet: AvPacket | None, error: av.FFmpegError) -> None:
        self._bad += 1
        if not self._first_bad:
            place = "at the end"
            if packet is not None and packet.pts is not None and packet.time_base:
                place = f"the first at {float(packet.pts * packet.time_base):.3f} s"
            self._first_bad = f"{place} ({error.strerror or error})"

    def _wrap(self, frame: av.VideoFrame) -> AvDecoded:
        # FFmpeg gives every GIF an alpha channel: it counts where something shows through.
        if self._stream.codec_context.name == "gif" and _is_opaque(frame):
            pts, duration = frame.pts, frame.duration
            return AvDecoded(frame.reformat(format="bgr0"), pts, duration)
        return AvDecoded(frame, frame.pts, frame.duration)


def _is_opaque(frame: av.VideoFrame) -> bool:
    """Whether nothing shows through a frame with alpha."""
    return bool(frame.format.name == "bgra" and frame.to_ndarray()[..., 3].min() == 255)


@dataclass
class BsqDecoded:
    """A frame of a BSQ decoder."""

    own: Frame
    pts: int | None
    duration: int | None

    @property
    def frame(self) -> av.VideoFrame:
        """The frame as PyAV's, samples copied."""
        return self.own.to_video_frame()

    def planes(self, converter: FrameConverter) -> list[Plane]:
        """The frame in the converter's format, as it is where that fits."""
        if self.own.layout == converter.format:
            return list(self.own.planes)
        return converter.convert(self.frame)


class BsqDecoding:
    """Decodes BSQ. Damage is an error, since what came before it is worth keeping apart."""

    def __init__(self, models: tuple[ModelLike, ...], threads: int, device: str = "cpu") -> None:
        self._decoder = Decoder(models=models, threads=threads, strict=True, device=device)
        # A cut or joined file has times other than the packets' own: the container's count.
        self._times: deque[tuple[int | None, int]] = deque()

    def decode(self, packet: DemuxedPacket) -> Iterator[BsqDecoded]:
        """Frames that are ready after this packet."""
        assert isinstance(packet, BsqPacket)
        self._times.append((packet.pts, packet.duration))
        try:
            frames = self._decoder.decode(packet)
        except BitstreamError as error:
            error.packet = packet.number
            if packet.number is None and packet.time is not None:
                error.args = (f"{error.args[0]}, at {float(packet.time):.3f} s",)
            raise
        yield from map(self._wrap, frames)

    def flush(self) -> Iterator[BsqDecoded]:
        """Frames that were held back."""
        yield from map(self._wrap, self._decoder.flush())

    def reset(self) -> None:
        """Forgets everything, as before a seek."""
        self._times.clear()
        self._decoder.reset()

    def finish(self) -> None:
        """Does nothing: damage was raised where it was found."""

    def _wrap(self, frame: Frame) -> BsqDecoded:
        pts, duration = self._times.popleft() if self._times else (frame.pts, frame.duration)
        return BsqDecoded(frame, pts, duration or frame.duration)
