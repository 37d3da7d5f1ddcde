"""Demultiplexing and decoding as one stream of events: frames, and packets of the other tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np

from bsqav.codec.picture import FrameConverter
from bsqav.codec.picture_metadata import MIRRORED_TURNS, NO_METADATA, PictureMetadata
from bsqav.errors import BitstreamError, BsqError, MediaError
from bsqav.media.demux.bsq_track import BsqPacket, BsqTrack
from bsqav.media.demux.demuxer import Demuxer
from bsqav.media.demux.gaps import named, places
from bsqav.media.io.types import AvPacket
from bsqav.media.metadata.file_metadata import Attachment, cover_attachment, is_cover
from bsqav.media.metadata.hdr import NO_HDR, hdr_of_frame
from bsqav.media.metadata.image_metadata import IMAGE_CODECS, read_image_metadata
from bsqav.media.metadata.stream_info import proportional, rotation_of
from bsqav.media.transcode.decoding import AvDecoding, VideoDecoding
from bsqav.media.transcode.timestamp_repair import TimestampRepair
from bsqav.media.transcode.trim import SourceFrame

__all__ = ["EventReader", "FrameFormat"]


@dataclass
class FrameFormat:
    """What decoded frames become, settled by the first of them.

    Args:
        type: what turns decoded frames into planes.
        scale: (width, height), -1 for one of them keeps the proportions; or a factor.
        pixel_format: see `PlaneFormat.named`; nearest to theirs where None.
        warn: takes a sentence on everything that is changed.
    """

    type: type[FrameConverter]
    scale: tuple[int, int] | Fraction | None
    pixel_format: str | None
    warn: Callable[[str], None]
    converter: FrameConverter | None = None
    coded_size: tuple[int, int] = (0, 0)
    rotation: int = 0
    is_mirrored: bool = False  # left and right change places, as Exif of a picture has it
    hdr: Any = NO_HDR

    def settle(
        self, picture: av.VideoFrame, track: BsqTrack | None, orientation: int
    ) -> FrameConverter:
        """The converter, made for the first frame; `orientation` is Exif's, 1 without any."""
        if self.converter is None:
            self.coded_size = (picture.width, picture.height)
            self.rotation = track.rotation if track else rotation_of(picture, self.warn)
            if orientation in MIRRORED_TURNS:  # FFmpeg makes a rotation of it and no more
                self.is_mirrored, self.rotation = True, MIRRORED_TURNS[orientation]
            self.hdr = hdr_of_frame(picture)
            scale = self.scale and proportional(self.scale, self.coded_size)
            self.converter = self.type(
                picture, scale=scale or None, pixel_format=self.pixel_format, warn=self.warn
            )
        return self.converter


class EventReader:
    """Frames and packets of an input in the order of the file, not yet cut or shifted.

    Args:
        demuxer: the input.
        stream, track: its video, `track` where that is BSQ.
        others: the streams beside it that are wanted.
        decoding: the decoder; None passes BSQ packets on.
        format: what frames become.
        frame_ticks: how long a frame lasts where it does not say itself, in ticks.
        warn: takes a sentence on everything that is lost or changed.
        strict: sizes that a file states wrongly are an error.
    """

    def __init__(
        self,
        demuxer: Demuxer,
        stream: Any,
        track: BsqTrack | None,
        *,
        others: Sequence[Any],
        decoding: VideoDecoding | None,
        format: FrameFormat,  # noqa: A002
        frame_ticks: int,
        warn: Callable[[str], None],
        strict: bool,
    ) -> None:
        self._demuxer, self._stream, self._track = demuxer, stream, track
        self._others, self._decoding, self._format = others, decoding, format
        self._frame_ticks, self._warn, self._strict = frame_ticks, warn, strict
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
        """Of the first picture, where FFmpeg decodes it."""
        self.pictures: dict[int, Attachment] = {}
        """Cover pictures, by the index of their stream."""

    @property
    def picture_metadata(self) -> PictureMetadata:
        """Exif, colour profile and XMP of the first picture, where the input is picture files."""
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

    def events(self, give_up: Fraction | None = None) -> Iterator[SourceFrame | AvPacket]:
        """All of them, from where the input stands.

        Args:
            give_up: a time in seconds at which reading ends if no frame has come.
        """
        self._give_up = give_up
        wanted = [s for s in self._others if s.type in ("audio", "subtitle")]
        pictures = [s for s in self._others if is_cover(s)]
        try:
            packets = self._demuxer.demux(self._stream, *wanted, *pictures)
            for packet in self._repair.repaired(packets):
                if self._gives_up(packet):
                    return
                if isinstance(packet, BsqPacket) or packet.stream_index == self._stream.index:
                    yield from self._decode(packet)
                elif is_cover(packet.stream):
                    self._keep_picture(packet)
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
            self._warn(f"timestamps do not rise: {count} {frames} moved behind the one before")

    def _gives_up(self, packet: Any) -> bool:
        if self._give_up is None or self.last_pts is not None or packet.pts is None:
            return False
        is_video = packet.stream_index == self._stream.index
        return is_video and bool(packet.pts * packet.time_base > self._give_up)

    def _decode(self, packet: Any) -> Iterator[SourceFrame]:
        if isinstance(packet, BsqPacket):
            if packet.before_keyframe:
                self.skipped += 1
                return
        elif self.first_packet is None and isinstance(self._decoding, AvDecoding):
            self.first_packet = packet
        if self._decoding is not None:
            yield from map(self._convert, self._decoding.decode(packet))
        elif packet.damage is not None:
            raise BitstreamError(packet.damage, packet=packet.number)
        else:
            self.last_pts = packet.pts
            yield SourceFrame([], packet.pts, packet.duration, packet)

    def _drain(self) -> Iterator[SourceFrame]:
        if self._decoding is not None:
            yield from map(self._convert, self._decoding.flush())

    def _keep_picture(self, packet: AvPacket) -> None:
        picture = cover_attachment(packet.stream, bytes(packet))
        if picture is not None:
            self.pictures[packet.stream_index] = picture

    def _convert(self, decoded: Any) -> SourceFrame:
        """One decoded frame as planes with a timestamp that rises."""
        converter = self._format.converter or self._format.settle(
            decoded.picture, self._track, self.picture_metadata.orientation
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
            planes = [np.ascontiguousarray(plane[:, ::-1]) for plane in planes]
        return SourceFrame(planes, pts, max(decoded.duration or 0, 0))
