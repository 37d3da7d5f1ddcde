"""Demuxing and decoding as one stream of events: frames, and packets of the other tracks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.stream import Stream

from bsqav.codec.frame_format import FrameConverter
from bsqav.codec.image_metadata import MIRRORED_TURNS, NO_METADATA, ImageMetadata
from bsqav.codec.units import Plane
from bsqav.errors import BitstreamError, BsqError, MediaError
from bsqav.media.demux.bsq_track import BsqPacket, BsqTrack
from bsqav.media.demux.demuxer import DemuxedPacket, Demuxer
from bsqav.media.demux.gaps import named, places
from bsqav.media.io.types import AvPacket, Warn
from bsqav.media.metadata.file_metadata import Attachment, cover_attachment, is_cover
from bsqav.media.metadata.hdr import NO_HDR, HdrMetadata, hdr_of_frame
from bsqav.media.metadata.image_file_metadata import IMAGE_CODECS, read_image_metadata
from bsqav.media.metadata.stream_info import proportional, rotation_of
from bsqav.media.transcode.decoding import AvDecoding, Decoded, VideoDecoding
from bsqav.media.transcode.events import Event, SourceFrame
from bsqav.media.transcode.timestamp_repair import TimestampRepair

__all__ = ["EventReader", "FrameFormat", "VideoInput"]


@dataclass
class FrameFormat:
    """What decoded frames become, decided by the first of them.

    Args:
        type: what turns decoded frames into planes.
        scale: (width, height), -1 for one of them keeps the proportions; or a factor.
        pixel_format: see `PlaneFormat.named`; nearest to theirs where None.
        warn: takes a sentence on everything that is changed.
    """

    type: type[FrameConverter]
    scale: tuple[int, int] | Fraction | None
    pixel_format: str | None
    warn: Warn
    converter: FrameConverter | None = None
    coded_size: tuple[int, int] = (0, 0)
    rotation: int = 0
    is_mirrored: bool = False  # left and right change places, as Exif has it
    hdr: HdrMetadata = NO_HDR

    def converter_for(
        self, frame: av.VideoFrame, track: BsqTrack | None, orientation: int
    ) -> FrameConverter:
        """The converter, made for the first frame; `orientation` is Exif's, 1 without any."""
        if self.converter is None:
            self.coded_size = (frame.width, frame.height)
            self.rotation = track.rotation if track else rotation_of(frame, self.warn)
            if orientation in MIRRORED_TURNS:  # FFmpeg makes a rotation of it and no more
                self.is_mirrored, self.rotation = True, MIRRORED_TURNS[orientation]
            self.hdr = hdr_of_frame(frame)
            scale = self.scale and proportional(self.scale, self.coded_size)
            self.converter = self.type(
                frame, scale=scale or None, pixel_format=self.pixel_format, warn=self.warn
            )
        return self.converter


@dataclass(frozen=True)
class VideoInput:
    """The video stream that is read, and how."""

    stream: av.VideoStream
    track: BsqTrack | None  # where it is BSQ
    decoding: VideoDecoding | None  # None passes BSQ packets on
    format: FrameFormat  # what frames become
    frame_ticks: int  # how long a frame lasts where it does not say itself, in ticks


class EventReader:
    """Frames and packets of an input in the order of the file, not yet trimmed or shifted.

    Args:
        demuxer: the input.
        video: its video.
        others: the other streams that are wanted.
        warn: takes a sentence on everything that is lost or changed.
        strict: sizes that a file states wrongly are an error.
    """

    def __init__(
        self,
        demuxer: Demuxer,
        video: VideoInput,
        *,
        others: Sequence[Stream],
        warn: Warn,
        strict: bool,
    ) -> None:
        self._demuxer, self._others = demuxer, others
        self._stream, self._track = video.stream, video.track
        self._decoding, self._format = video.decoding, video.format
        self._frame_ticks, self._warn, self._strict = video.frame_ticks, warn, strict
        self._repair = TimestampRepair(demuxer.container, warn, demuxer.tracks)
        self._displaced = 0  # frames whose times do not rise
        self._give_up: Fraction | None = None  # reading ends there without a frame
        self.reads_on = False
        """A seek would go astray: events come from the beginning."""
        self.last_pts: int | None = None
        """Of the last frame read, in ticks."""
        self.skipped = 0
        """Packets before the first keyframe since the beginning or the seek."""
        self.first_packet: AvPacket | None = None
        """Of the first frame, where FFmpeg decodes it."""
        self.covers: dict[int, Attachment] = {}
        """Cover art, by the index of its stream."""

    @property
    def image_metadata(self) -> ImageMetadata:
        """Exif, colour profile and XMP of the first image, where the input is image files."""
        packet = self.first_packet
        if packet is None or self._stream.codec_context.name not in IMAGE_CODECS:
            return NO_METADATA
        return read_image_metadata(bytes(packet))

    def seek(self, seconds: Fraction) -> bool:
        """Goes to the keyframe at or before a time; False where events come from the beginning."""
        self.last_pts, self._displaced, self.skipped = None, 0, 0
        self._repair.reset()
        if self._decoding is not None:
            self._decoding.reset()
        if self.reads_on:
            return False
        try:
            self._demuxer.seek(max(seconds, Fraction(0)), track=self._track)
        except (av.FFmpegError, BsqError, OSError):
            return False  # a pipe: read from the beginning and drop what is before
        return True

    def events(self, give_up: Fraction | None = None) -> Iterator[Event]:
        """All of them, from the place that was read to.

        Args:
            give_up: a time in seconds at which reading ends if no frame has come.
        """
        self._give_up = give_up
        wanted = [s for s in self._others if s.type in ("audio", "subtitle")]
        covers = [s for s in self._others if is_cover(s)]
        try:
            packets = self._demuxer.demux(self._stream, *wanted, *covers)
            for packet in self._repair.repaired(packets):
                if self._gives_up(packet):
                    return
                if isinstance(packet, BsqPacket) or packet.stream_index == self._stream.index:
                    yield from self._decode(packet)
                elif is_cover(packet.stream):
                    self._keep_cover(packet)
                else:
                    yield packet
        except MediaError:
            yield from self._drain()  # what came before the damage is good
            raise
        yield from self._drain()
        if self._decoding is not None:
            self._decoding.finish()
        self._demuxer.check_end(self._stream, self._warn, strict=self._strict)
        self._demuxer.warn_of_another_file(self._warn)
        self.say_missing(at_end=True)

    def say_missing(self, *, at_end: bool) -> None:
        """Warns of frames that are missing in BSQ; damage inside a group is an error elsewhere."""
        if self._track is None:
            return
        gaps = self._track.gaps.finish()
        if gaps:
            self._warn(places(gaps))
        elif at_end and (faults := self._demuxer.faults(self._track)):
            self._warn(f"frames may be missing: {named(faults)}")

    def say_displaced(self) -> None:
        """Warns of frames whose times did not rise."""
        count, self._displaced = self._displaced, 0
        if count:
            frames = "frame was" if count == 1 else "frames were"
            self._warn(f"timestamps do not rise: {count} {frames} moved after the one before")

    def _gives_up(self, packet: DemuxedPacket) -> bool:
        if self._give_up is None or self.last_pts is not None or packet.pts is None:
            return False
        is_video = packet.stream_index == self._stream.index
        return is_video and bool(packet.pts * packet.time_base > self._give_up)

    def _decode(self, packet: DemuxedPacket) -> Iterator[SourceFrame]:
        if isinstance(packet, BsqPacket):
            if packet.before_keyframe:
                self.skipped += 1
                return
        elif self.first_packet is None and isinstance(self._decoding, AvDecoding):
            self.first_packet = packet
        if self._decoding is not None:
            yield from map(self._convert, self._decoding.decode(packet))
            return
        assert isinstance(packet, BsqPacket)  # nothing else is passed on
        if packet.damage is not None:
            raise BitstreamError(packet.damage, packet=packet.number)
        assert packet.pts is not None  # as it is intact
        self.last_pts = packet.pts
        yield SourceFrame([], packet.pts, packet.duration, packet)

    def _drain(self) -> Iterator[SourceFrame]:
        if self._decoding is not None:
            yield from map(self._convert, self._decoding.flush())

    def _keep_cover(self, packet: AvPacket) -> None:
        cover = cover_attachment(packet.stream, bytes(packet))
        if cover is not None:
            self.covers[packet.stream_index] = cover

    def _convert(self, decoded: Decoded) -> SourceFrame:
        """One decoded frame as planes with a timestamp that rises."""
        converter = self._format.converter or self._format.converter_for(
            decoded.frame, self._track, self.image_metadata.orientation
        )
        pts = decoded.pts
        if pts is None:
            pts = 0 if self.last_pts is None else self.last_pts + self._frame_ticks
        if self.last_pts is not None and pts <= self.last_pts:
            self._displaced += 1
            pts = self.last_pts + max(1, self._frame_ticks // 2)
        self.last_pts = pts
        planes = decoded.planes(converter)
        if self._format.is_mirrored:
            planes = [_mirrored(plane) for plane in planes]
        return SourceFrame(planes, pts, max(decoded.duration or 0, 0))


def _mirrored(plane: Plane) -> Plane:
    return cast(Plane, np.ascontiguousarray(plane[:, ::-1]))
