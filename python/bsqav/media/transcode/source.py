"""Reading the video of any input, BSQ or not, as planes with timestamps, beside its other packets.

One pass over the input gives frames and the packets of the other tracks in the order of the file,
so that memory does not grow with the length and a pipe will do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import av
import av.stream

from bsqav.codec.picture import FrameConverter
from bsqav.codec.picture_metadata import PictureMetadata
from bsqav.codec.sequence import colour_of, plane_format_of
from bsqav.errors import MediaError, UsageError
from bsqav.media.demux.bsq_track import skipped_notice
from bsqav.media.demux.image_sequence import ImageSequence
from bsqav.media.demux.inputs import input_name, open_input
from bsqav.media.demux.opening import can_seek
from bsqav.media.demux.tag_encoding import FOREIGN_TAGS
from bsqav.media.io.types import AvPacket
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
    is_bare,
    is_on_grid,
    scaled_aspect,
    usual_rate,
)
from bsqav.media.metadata.track_colour import read_colours, stream_colour
from bsqav.media.transcode.decoding import DEFAULT_TIME_BASE, AvDecoding, BsqDecoding, VideoDecoding
from bsqav.media.transcode.event_reader import EventReader, FrameFormat
from bsqav.media.transcode.seek_check import must_read_on
from bsqav.media.transcode.tracks import ALL_TRACKS, TrackChoice, choose_video
from bsqav.media.transcode.trim import CUT_TOLERANCE, Cut, SourceFrame

__all__ = ["Source", "SourceFrame"]

# Where to look for a keyframe when a seek lands behind the wanted time, or where nothing decodes:
# seconds further back, at last the beginning.
FROM_THE_START = Fraction(1 << 40)
SEEK_BACKOFF = (Fraction(0), Fraction(2), Fraction(10), Fraction(60), FROM_THE_START)
# Behind a seek a picture is waited for this long past the wanted time (seconds).
PATIENCE = 10


class Source:
    """An input whose video is decoded and whose other tracks are passed on as packets.

    Args:
        file: a path, a readable file of bytes, or "-" for standard input.
        format: FFmpeg's name of the container, guessed where None.
        fps: frames per second of an input that has no times.
        start_number: of the first of numbered pictures.
        start: seconds after the beginning of the video; the first frame at or after it comes out
            with timestamp 0.
        duration: seconds from there on.
        scale: (width, height) to scale to, -1 for one of them keeps the proportions; or a factor.
        pixel_format: what pictures become, see `PlaneFormat.named`; nearest to theirs where None.
        converter: what turns decoded pictures into planes.
        models: models to try beside the installed ones, for BSQ input.
        threads: threads for decoding, 0 for a fitting number.
        device: where BSQ is decoded, as in `Decoder`; nothing else is decoded there.
        decode: False passes BSQ packets on without decoding them.
        warn: takes a sentence on everything that is lost or changed.
        cancelled: polled while waiting for a pipe.
        choice: which tracks are wanted.
        strict: a file that says a wrong size is an error, although nothing of its video is missing.

    Raises:
        UsageError: there is no track that is asked for.
        MediaError: the input cannot be opened, or has no video that can be decoded.
        BitstreamError, ModelNotFoundError, UnsupportedError: BSQ input that cannot be decoded.
    """

    def __init__(
        self,
        file: Any,
        *,
        format: str | None = None,  # noqa: A002
        fps: Fraction | None = None,
        start_number: int | None = None,
        start: Fraction | None = None,
        duration: Fraction | None = None,
        scale: tuple[int, int] | Fraction | None = None,
        pixel_format: str | None = None,
        converter: type[FrameConverter] = FrameConverter,
        models: tuple[Any, ...] = (),
        threads: int = 0,
        device: str = "cpu",
        decode: bool = True,
        warn: Callable[[str], None],
        cancelled: Callable[[], bool] = lambda: False,
        choice: TrackChoice = ALL_TRACKS,
        strict: bool = False,
    ) -> None:
        self.name = input_name(file)
        self._warn = warn
        self._start, self.cut_duration = start, duration
        images = ImageSequence.of(file, fps, start_number, warn)
        self._demuxer = open_input(file, format=format, cancelled=cancelled, fps=fps, images=images)
        try:
            if self._demuxer.foreign_tags:
                warn(FOREIGN_TAGS)
            self._choice = choice
            self.stream, self.track = choose_video(self._demuxer, choice, self.name)
            self.time_base = self._video_time_base()
            self._frame_rate, self._usual_rate = self._find_rates(file)
            decoding = self._open_decoder(models, threads, device, decode)
            self._copies = decoding is None
            self._format = FrameFormat(converter, scale, pixel_format, warn)
            self._beside = self._read_beside(file)
            if isinstance(decoding, AvDecoding):
                decoding.side_data.note_dolby_vision(self._beside.dolby_vision)
            self._reader = EventReader(
                self._demuxer,
                self.stream,
                self.track,
                others=self.other_streams(),
                decoding=decoding,
                format=self._format,
                frame_ticks=self.frame_ticks,
                warn=warn,
                strict=strict,
            )
            if start and self.track is None:
                self._reader.reads_on = must_read_on(file, self.container, format, cancelled)
            self._first_time = Fraction(0)  # of the part, from which its duration counts
            self._queue: deque[SourceFrame | AvPacket] = deque()
            self._prime()
        except BaseException:
            self.close()
            raise

    # ---- what the input holds ----

    @property
    def container(self) -> Any:
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
    def picture_metadata(self) -> PictureMetadata:
        """Exif, colour profile and XMP of a picture file, or of the first of several."""
        if self._demuxer.image_metadata is not None:
            return self._demuxer.image_metadata
        # As the sequence header and the decoder have it, pictures are turned apart from Exif.
        return self._reader.picture_metadata.upright()

    def other_streams(self) -> list[av.stream.Stream]:
        """Every stream beside the video that is wanted."""
        streams = [s for s in self.container.streams if s.index != self.stream.index]
        return [stream for stream in streams if self._choice.takes(stream)]

    def _open_decoder(
        self, models: tuple[Any, ...], threads: int, device: str, decode: bool
    ) -> VideoDecoding | None:
        if self.track is None:
            return AvDecoding(self.stream, threads, self._warn)
        if not decode:
            return None
        return BsqDecoding((*models, *self._demuxer.models(self._warn)), threads, device)

    def attachments(self) -> list[Attachment]:
        """Fonts and other attached files, and cover pictures."""
        return [*attachments_of(self.container), *self._reader.pictures.values()]

    def _read_beside(self, file: Any) -> TrackColour:
        if self.track is None:
            return stream_colour(self.stream)
        return read_colours(file).get(self.stream.index, TrackColour())

    def _video_time_base(self) -> Fraction:
        if self.track is not None:
            return self.track.time_base
        return Fraction(self.stream.time_base or DEFAULT_TIME_BASE)

    # ---- beginning: the first frame decides the stream info ----

    def _prime(self) -> None:
        """Reads up to the first frame that is wanted, and decides stream info and origin."""
        begin = Fraction(self.stream.start_time or 0) * Fraction(self.stream.time_base or 0)
        begin -= self._demuxer.lead  # packets come without it
        self._wanted = begin + self._start if self._start else None
        if not self._find_first():
            self._fail_without_frames()
        first = next(event for event in self._queue if isinstance(event, SourceFrame))
        self.origin = self._find_origin(first)
        self._settle_beginning(first)
        if self._reader.skipped:
            self._warn(skipped_notice(self._reader.skipped))
        self.info = self._find_info()

    def _settle_beginning(self, first: SourceFrame) -> None:
        """What a copy begins with before the wanted time belongs to the part."""
        begin, wanted = first.pts * self.time_base, self._first_time
        self._first_time = begin
        if begin < wanted:
            self._warn(
                f"what is copied begins with a keyframe: {float(wanted - begin):.3f} s before the "
                "start that was asked for"
            )
            if self.cut_duration is not None:
                self.cut_duration += wanted - begin

    def _find_first(self) -> bool:
        """Reads up to the first wanted frame and queues it, behind the packets before it.

        Where packets are copied, the queue begins with the last keyframe up to that frame.
        """
        if self._wanted is None:
            self._events = self._reader.events()
            return self._queue_from(self._next_frame(), self._wanted)
        for backoff in SEEK_BACKOFF:
            self._queue.clear()
            may_go_back = self._reader.seek(self._wanted - backoff) and backoff != FROM_THE_START
            give_up = self._wanted + PATIENCE if may_go_back else None
            self._events = self._reader.events(give_up)
            frame = self._next_frame()
            if may_go_back and (frame is None or self._is_late(frame)):
                continue
            return self._queue_from(frame, self._wanted - CUT_TOLERANCE)
        return False

    def _queue_from(self, frame: SourceFrame | None, earliest: Fraction | None) -> bool:
        """Queues what is wanted of a frame and those after it, up to the first at a time."""
        while frame is not None:
            time = frame.pts * self.time_base
            begins = earliest is None or time >= earliest
            is_cut = self._copies and earliest is not None
            if is_cut and frame.packet is not None and frame.packet.keyframe:
                self._forget_before(time)
            if self._copies or begins:
                self._queue.append(frame)
            if begins:
                self._first_time = time
                return True
            frame = self._next_frame()
        return False

    def _forget_before(self, keyframe: Fraction) -> None:
        """Drops from the queue what ends before a keyframe's time: all frames, and packets."""
        kept = (event for event in self._queue if not isinstance(event, SourceFrame))
        self._queue = deque(packet for packet in kept if not _ends_before(packet, keyframe))

    def _is_late(self, frame: SourceFrame) -> bool:
        """Whether a seek landed behind the wanted time although there may be frames before."""
        assert self._wanted is not None
        return frame.pts * self.time_base > self._wanted + CUT_TOLERANCE

    def _next_frame(self) -> SourceFrame | None:
        for event in self._events:
            if isinstance(event, SourceFrame):
                return event
            if not self._is_before_cut(event):
                self._queue.append(event)
        return None

    def _is_before_cut(self, packet: AvPacket) -> bool:
        """Whether a packet ends well before the cut: a pipe may bring hours of them."""
        if self._wanted is None or self._copies:
            return False
        return _ends_before(packet, self._wanted - CUT_TOLERANCE)

    def _fail_without_frames(self) -> None:
        last, skipped = self._reader.last_pts, self._reader.skipped
        if self._wanted and self._start and last is not None:
            length = float(last * self.time_base - (self._wanted - self._start))
            raise UsageError(
                f"start {float(self._start):g} s is behind the last frame of {self.name}, "
                f"which is at {length:.3f} s"
            )
        if skipped and self.track is not None:
            size = f"{self.track.width}x{self.track.height}"
            raise MediaError(
                f"{self.name} has {skipped} packets of BSQ video ({size}) and no keyframe: "
                "nothing of it can be shown"
            )
        raise MediaError(f"{self.name} has a video stream but no picture in it can be decoded")

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

    def _find_info(self) -> StreamInfo:
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
            chroma_location=self.chroma_location or self._beside.chroma_location,
            hdr=form.hdr or self._beside.hdr,
        )

    def _find_rates(self, file: Any) -> tuple[Fraction | None, Fraction]:
        """The constant rate, None where it varies, and the rate to reckon with."""
        rate = self.track.frame_rate if self.track else constant_rate(self.stream)
        # From a pipe, frames are not waited for to see whether a stated rate is true.
        is_pipe = file == "-" or not can_seek(file)
        if rate is not None and (self.track or is_bare(self.container) or is_pipe):
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
        if total is not None and self._start:
            total = max(total - self._start, Fraction(0))
        if self.cut_duration is not None:
            total = self.cut_duration if total is None else min(total, self.cut_duration)
        return total

    @property
    def frame_ticks(self) -> int:
        """How long a frame lasts where it does not say itself, in ticks."""
        return max(1, round(1 / (self._usual_rate * self.time_base)))

    # ---- the cut ----

    def events(self) -> Iterator[SourceFrame | AvPacket]:
        """Frames and packets of other tracks, cut to start and duration, times from 0 on.

        Packets keep their stream; their times are moved by the same amount as the frames'.

        Raises:
            MediaError, BitstreamError: the input is damaged or cut short; all that came before
                is good.
        """
        cut = Cut(
            time_base=self.time_base,
            origin=self.origin,
            first=self._first_time,
            duration=self.cut_duration,
            begins=self._wanted is not None,
            others=self.other_streams(),
        )
        try:
            for event in self._all():
                taken = cut.take(event)
                if taken is not None:
                    yield taken
                if cut.is_over:
                    self._reader.say_missing(at_end=False)
                    return
        finally:
            self._reader.say_displaced()

    def _all(self) -> Iterator[SourceFrame | AvPacket]:
        """Everything from the first wanted frame on, and the packets before it."""
        while self._queue:
            yield self._queue.popleft()
        yield from self._events

    def close(self) -> None:
        """Closes the input."""
        self._demuxer.close()


def _ends_before(packet: AvPacket, time: Fraction) -> bool:
    """Whether a packet says that it ends before a time in seconds."""
    stamp = packet.dts if packet.pts is None else packet.pts
    if stamp is None:
        return False
    return bool((stamp + (packet.duration or 0)) * packet.time_base < time)
