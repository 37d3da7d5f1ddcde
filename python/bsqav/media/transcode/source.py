"""Reading any input of a transcode: its video as planes with timestamps, its other tracks' packets.

One pass over the input gives frames and the packets of the other tracks in the order of the file,
so that memory does not grow with the length, and a pipe will do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import av.stream
from av.container import InputContainer

from bsqav.codec.frame_format import FrameConverter
from bsqav.codec.image_metadata import ImageMetadata
from bsqav.codec.models import ModelLike
from bsqav.codec.sequence import colour_of, plane_format_of
from bsqav.errors import MediaError, UsageError
from bsqav.media.demux.bsq_track import skipped_notice
from bsqav.media.demux.image_sequence import ImageSequence
from bsqav.media.demux.inputs import input_name, open_input
from bsqav.media.demux.opening import can_seek
from bsqav.media.demux.tag_encoding import FOREIGN_TAGS
from bsqav.media.io.types import Cancelled, MediaFile, Warn
from bsqav.media.metadata.file_metadata import (
    Attachment,
    attachments_of,
)
from bsqav.media.metadata.hdr import TrackColour
from bsqav.media.metadata.stream_info import (
    RATE_PACKETS,
    StreamInfo,
    constant_rate,
    first_times,
    is_elementary_stream,
    is_on_grid,
    scaled_aspect,
    usual_rate,
)
from bsqav.media.metadata.track_colour import read_colours, stream_colour
from bsqav.media.transcode.decoding import DEFAULT_TIME_BASE, AvDecoding, BsqDecoding, VideoDecoding
from bsqav.media.transcode.event_reader import EventReader, FrameFormat, VideoInput
from bsqav.media.transcode.events import Event, SourceFrame
from bsqav.media.transcode.seek_check import must_read_on
from bsqav.media.transcode.start_search import StartSearch
from bsqav.media.transcode.tracks import ALL_TRACKS, TrackChoice, choose_video
from bsqav.media.transcode.trim import Trim

__all__ = ["Source", "SourceOptions"]


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How an input is opened and read."""

    format: str | None = None  # FFmpeg's name of the container, guessed where None
    fps: Fraction | None = None  # frames per second of an input that has no times
    start_number: int | None = None  # of the first of numbered images
    start: Fraction | None = None  # seconds after the beginning of the video
    duration: Fraction | None = None  # seconds from there on
    scale: tuple[int, int] | Fraction | None = None  # (width, height), -1 for one; or a factor
    pixel_format: str | None = None  # see `PlaneFormat.named`; nearest to the input's where None
    converter: type[FrameConverter] = FrameConverter  # from decoded frames to planes
    models: tuple[ModelLike, ...] = ()  # tried with the installed ones, for BSQ input
    threads: int = 0  # for decoding, 0 for a fitting number
    device: str = "cpu"  # where BSQ is decoded, as in `Decoder`
    decode: bool = True  # False passes BSQ packets on without decoding them
    choice: TrackChoice = ALL_TRACKS  # which tracks are wanted
    strict: bool = False  # a wrong size is an error, although nothing of the video is missing


class Source:
    """An input whose video is decoded and whose other tracks are passed on as packets.

    With a start, the first frame at or after it gets timestamp 0.

    Args:
        file: a path, a readable file of bytes, or "-" for standard input.
        options: how to read it.
        warn: takes a sentence on everything that is lost or changed.
        cancelled: polled while waiting for a pipe.

    Raises:
        UsageError: there is no track that is asked for.
        MediaError: the input cannot be opened, or has no video that can be decoded.
        BitstreamError, ModelNotFoundError, UnsupportedError: BSQ input that cannot be decoded.
    """

    def __init__(
        self,
        file: MediaFile,
        options: SourceOptions | None = None,
        *,
        warn: Warn,
        cancelled: Cancelled = lambda: False,
    ) -> None:
        self._options = options = options or SourceOptions()
        self.name = input_name(file)
        self._warn = warn
        self.duration = options.duration
        """Seconds of the part that is read, all of the rest where None."""
        fps, format = options.fps, options.format  # noqa: A001
        images = ImageSequence.of(file, fps, options.start_number, warn)
        self._demuxer = open_input(file, format=format, cancelled=cancelled, fps=fps, images=images)
        try:
            if self._demuxer.foreign_tags:
                warn(FOREIGN_TAGS)
            self.stream, self.track = choose_video(self._demuxer, options.choice, self.name)
            self.time_base = self._video_time_base()
            self._frame_rate, self._usual_rate = self._find_rates(file)
            decoding = self._open_decoder()
            self._format = FrameFormat(options.converter, options.scale, options.pixel_format, warn)
            self._container_colour = self._read_colour(file)
            if isinstance(decoding, AvDecoding):
                decoding.side_data.note_dolby_vision(self._container_colour.dolby_vision)
            self._reader = EventReader(
                self._demuxer,
                VideoInput(self.stream, self.track, decoding, self._format, self.frame_ticks),
                others=self.other_streams(),
                warn=warn,
                strict=options.strict,
            )
            if options.start and self.track is None:
                self._reader.reads_on = must_read_on(file, self.container, format, cancelled)
            self._read_beginning(copies=decoding is None)
        except BaseException:
            self.close()
            raise

    # ---- what the input holds ----

    @property
    def container(self) -> InputContainer:
        """The av.InputContainer underneath."""
        return self._demuxer.container

    @property
    def is_bsq(self) -> bool:
        """Whether the video is BSQ."""
        return self.track is not None

    @property
    def chroma_location(self) -> int:
        """Where chroma samples lie, as the sequence header counts it; 0 where unknown."""
        if self.track is not None:
            return int(self.track.sequence["chroma_location"])
        return getattr(self._format.converter, "chroma_location", 0)

    @property
    def image_metadata(self) -> ImageMetadata:
        """Exif, colour profile and XMP of an image file, or of the first of several."""
        if self._demuxer.image_metadata is not None:
            return self._demuxer.image_metadata
        # As the sequence header and the decoder have it, images are turned apart from Exif.
        return self._reader.image_metadata.upright()

    def other_streams(self) -> list[av.stream.Stream]:
        """Every wanted stream except the video."""
        streams = [s for s in self.container.streams if s.index != self.stream.index]
        return [stream for stream in streams if self._options.choice.takes(stream)]

    def _open_decoder(self) -> VideoDecoding | None:
        options = self._options
        if self.track is None:
            return AvDecoding(self.stream, options.threads, self._warn)
        if not options.decode:
            return None
        models = (*options.models, *self._demuxer.models(self._warn))
        return BsqDecoding(models, options.threads, options.device)

    def attachments(self) -> list[Attachment]:
        """Fonts and other attached files, and cover art."""
        return [*attachments_of(self.container), *self._reader.covers.values()]

    def _read_colour(self, file: MediaFile) -> TrackColour:
        if self.track is None:
            return stream_colour(self.stream)
        return read_colours(file).get(self.stream.index, TrackColour())

    def _video_time_base(self) -> Fraction:
        if self.track is not None:
            return self.track.time_base
        return Fraction(self.stream.time_base or DEFAULT_TIME_BASE)

    # ---- beginning: the first frame decides what the video is like ----

    def _read_beginning(self, *, copies: bool) -> None:
        """Reads up to the first frame that is wanted; finds the origin and the stream info."""
        begin = Fraction(self.stream.start_time or 0) * Fraction(self.stream.time_base or 0)
        begin -= self._demuxer.lead  # packets come without it
        start = self._options.start
        self._wanted = begin + start if start else None
        self._search = StartSearch(self._reader, self.time_base, self._wanted, copies=copies)
        if not self._search.find():
            self._fail_without_frames()
        first = self._search.first
        self.origin = self._find_origin(first)
        self._extend_to_keyframe(first)
        if self._reader.skipped:
            self._warn(skipped_notice(self._reader.skipped))
        self.info = self._stream_info()

    def _extend_to_keyframe(self, first: SourceFrame) -> None:
        """What a copy begins with before the wanted time belongs to the part."""
        self._first_time, wanted = first.pts * self.time_base, self._search.wanted_time
        if self._first_time < wanted:
            early = wanted - self._first_time
            self._warn(
                f"what is copied begins with a keyframe: {float(early):.3f} s before the "
                "start that was asked for"
            )
            if self.duration is not None:
                self.duration += early

    def _fail_without_frames(self) -> None:
        last, skipped = self._reader.last_pts, self._reader.skipped
        start = self._options.start
        if self._wanted and start and last is not None:
            length = float(last * self.time_base - (self._wanted - start))
            raise UsageError(
                f"start {float(start):g} s is after the last frame of {self.name}, "
                f"which is at {length:.3f} s"
            )
        if skipped and self.track is not None:
            size = f"{self.track.width}x{self.track.height}"
            raise MediaError(
                f"{self.name} has {skipped} packets of BSQ video ({size}) and no keyframe: "
                "nothing of it can be shown"
            )
        raise MediaError(f"{self.name} has a video stream but no frame of it can be decoded")

    def _find_origin(self, first: SourceFrame) -> Fraction:
        """The time that becomes 0: the first frame of a cut, else the container's late start."""
        if self._wanted is not None:
            return first.pts * self.time_base
        if first.pts < 0:
            early = -first.pts * self.time_base
            if early >= Fraction(1, 1000):
                self._warn(
                    f"the first frame is {float(early):.3f} s before zero: everything is moved "
                    "later by that, so that no program hides frames"
                )
            return -early
        start = self.container.start_time
        if not start or start < 0:
            return Fraction(0)
        seconds = Fraction(start, av.time_base)
        # The container rounds to microseconds: use the exact time of the video where it is meant.
        exact = first.pts * self.time_base
        if abs(exact - seconds) < Fraction(1, 1000):
            return exact
        return round(seconds / self.time_base) * self.time_base

    def _stream_info(self) -> StreamInfo:
        track, form = self.track, self._format
        if form.converter is None:  # BSQ that is passed on undecoded
            assert track is not None
            layout, colour = plane_format_of(track.sequence), colour_of(track.sequence)
            form.coded_size, form.rotation = (layout.width, layout.height), track.rotation
        else:
            layout, colour = form.converter.format, form.converter.colour
        aspect = track.sample_aspect if track else self.stream.sample_aspect_ratio or None
        return StreamInfo(
            codec="bsq" if track else self.stream.codec_context.name,
            layout=layout,
            colour=colour,
            time_base=self.time_base,
            frame_rate=self._frame_rate,
            usual_rate=self._usual_rate,
            sample_aspect=scaled_aspect(aspect, form.coded_size, (layout.width, layout.height)),
            rotation=form.rotation,
            duration=self._expected_duration(),
            chroma_location=self.chroma_location or self._container_colour.chroma_location,
            hdr=form.hdr or self._container_colour.hdr,
        )

    def _find_rates(self, file: MediaFile) -> tuple[Fraction | None, Fraction]:
        """The constant rate, None where it varies, and the rate to calculate with."""
        rate = self.track.frame_rate if self.track else constant_rate(self.stream)
        # From a pipe, frames are not waited for to see whether a stated rate is true.
        is_pipe = file == "-" or not can_seek(file)
        if rate is not None and (self.track or is_elementary_stream(self.container) or is_pipe):
            return rate, rate
        times = first_times(self._demuxer.peek(self.stream, RATE_PACKETS))
        if rate is not None and is_on_grid(times, rate):
            return rate, rate
        rate = None if self.track or rate else constant_rate(self.stream, times)
        return rate, rate or usual_rate(self.stream, times)

    def _expected_duration(self) -> Fraction | None:
        total: Fraction | None = None
        if self.stream.duration and self.stream.time_base:
            total = Fraction(self.stream.duration * self.stream.time_base)
        elif self.container.duration:
            total = Fraction(self.container.duration, av.time_base)
        if total is not None and self._options.start:
            total = max(total - self._options.start, Fraction(0))
        if self.duration is not None:
            total = self.duration if total is None else min(total, self.duration)
        return total

    @property
    def frame_ticks(self) -> int:
        """How long a frame lasts where it does not say itself, in ticks."""
        return max(1, round(1 / (self._usual_rate * self.time_base)))

    # ---- the part that is wanted ----

    def events(self) -> Iterator[Event]:
        """Frames and packets of other tracks from start to end, times from 0 on.

        Packets keep their stream; their times are moved by the same amount as the frames'.

        Raises:
            MediaError, BitstreamError: the input is damaged or cut short; all that came before
                is good.
        """
        trim = Trim(
            time_base=self.time_base,
            origin=self.origin,
            first=self._first_time,
            duration=self.duration,
            begins=self._wanted is not None,
            others=self.other_streams(),
        )
        try:
            for event in self._search.events():
                taken = trim.take(event)
                if taken is not None:
                    yield taken
                if trim.is_over:
                    self._reader.say_missing(at_end=False)
                    return
        finally:
            self._reader.say_displaced()

    def close(self) -> None:
        """Closes the input."""
        self._demuxer.close()
