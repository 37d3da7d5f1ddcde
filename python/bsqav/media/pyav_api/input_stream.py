"""BSQ streams of an input container, with PyAV's attributes."""

from __future__ import annotations

import warnings
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.stream import Discard, Stream

from bsqav.codec.decoder import Decoder
from bsqav.codec.frame_format import Colour, HasLayout, PlaneFormat
from bsqav.codec.models import ModelLike, find_model
from bsqav.codec.sequence import SequenceHeader, colour_of
from bsqav.errors import BitstreamError, BsqWarning, UsageError
from bsqav.media.demux.bsq_track import skipped_notice
from bsqav.media.demux.demuxer import BsqPacket, BsqTrack
from bsqav.media.metadata.file_metadata import metadata_of
from bsqav.media.metadata.hdr import NO_HDR, HdrMetadata
from bsqav.media.pyav_api.packets import InputPacket
from bsqav.media.pyav_api.stream_attributes import CodecAttributes

if TYPE_CHECKING:
    from bsqav.media.pyav_api.container_read import InputContainer

__all__ = ["BsqInputStream"]

# Values of `skip_frame` to what is not decoded. Packets may be left out alone where no other frame
# refers to what they hold; the other B frames are references.
_SKIPPED = {
    "NONE": "nothing",
    "DEFAULT": "nothing",
    "NONREF": "disposable",
    "BIDIR": "disposable",
    "NONINTRA": "between keyframes",
    "NONKEY": "between keyframes",
    "ALL": "all",
}


class BsqInputStream(HasLayout, CodecAttributes):  # type: ignore[misc, override]  # size is fixed
    """A BSQ stream with the attributes of av.VideoStream.

    What the container says of it is read when the file is opened, and stays true after close().
    """

    is_encoder = False
    is_decoder = True

    def __init__(
        self,
        container: InputContainer,
        track: BsqTrack,
        models: tuple[ModelLike, ...],
        threads: int,
        strict: bool,
        hdr: HdrMetadata = NO_HDR,
    ) -> None:
        self.container = container
        self.track = track
        self._models = tuple(map(find_model, models))
        self._strict, self._threads = strict, threads
        self._open_decoder: Decoder | None = None
        self._skip_frame = "DEFAULT"
        self._warned = False
        self._begun = False  # a frame has come, or there was a seek
        self.hdr = hdr
        """Mastering display and content light level, where the container says them."""
        stream = track.stream
        self.id = int(stream.id)
        """The container's own number of the stream, 0 where it has none."""
        self.frames = int(stream.frames)
        """The number of frames, 0 where the container does not say."""
        self.metadata: dict[str, str] = metadata_of(stream)
        """The stream's tags."""
        self.disposition = stream.disposition
        """The stream's flags."""
        self.options: dict[str, str] = {}
        self._container_rate: Fraction | None = stream.average_rate
        self._container_tick = Fraction(stream.time_base or 1)
        self._start: int | None = stream.start_time
        self._duration: int | None = stream.duration
        self._whole: int | None = container.duration
        self._bit_rate = _bit_rate(stream)

    @property
    def sequence(self) -> SequenceHeader:
        """The latest sequence header; see `bsqav.codec.sequence`."""
        return self.track.sequence

    @property
    def index(self) -> int:
        """Index of the stream in its container."""
        return self.track.index

    @property
    def time_base(self) -> Fraction:
        """Seconds per tick of the stream's timestamps: the encoder's, exact."""
        return self.track.time_base

    @property
    def layout(self) -> PlaneFormat:
        """Size, chroma and bit depth of the frames."""
        return self.track.layout

    @property
    def average_rate(self) -> Fraction | None:
        """Frames per second: as stated, or as the container reckons."""
        return self.track.frame_rate or self._container_rate

    base_rate = guessed_rate = rate = framerate = average_rate

    @property
    def sample_aspect_ratio(self) -> Fraction | None:  # type: ignore[override]  # cannot be set
        """Width over height of one sample, None where unknown."""
        return self.track.sample_aspect

    @property
    def rotation(self) -> int:
        """Degrees clockwise to turn the frame for display."""
        return self.track.rotation

    @property
    def start_time(self) -> int | None:
        """The container's start time in ticks, on the time line of the packets."""
        start = self._ticks(self._start)
        return None if start is None else start - round(self.track.lead / self.time_base)

    @property
    def duration(self) -> int | None:
        """The duration in ticks: the stream's, else the file's, None where neither is known."""
        if self._duration is None and self._whole is not None:
            return round(Fraction(self._whole, av.time_base) / self.time_base)
        return self._ticks(self._duration)

    @property
    def bit_rate(self) -> int | None:
        """Bits per second of the stream, None where the container has no list of all packets."""
        return self._bit_rate

    @property
    def language(self) -> str | None:
        """The stream's language."""
        return self.metadata.get("language")

    @property
    def discard(self) -> Discard:
        """Which packets the demuxer leaves out."""
        return Discard(self._stream().discard)

    @discard.setter
    def discard(self, value: Discard) -> None:
        self._stream().discard = value

    def _stream(self) -> Stream:
        """PyAV's stream, which is gone when the container is closed."""
        if self.container.is_closed:
            raise UsageError(f"{self.container.name} is closed")
        return self.track.stream

    def _ticks(self, value: int | None) -> int | None:
        if value is None:
            return None
        return round(value * self._container_tick / self.time_base)

    # ---- what a codec context has ----

    @property
    def _colour(self) -> Colour:  # type: ignore[override]  # likewise
        return colour_of(self.sequence)

    @property
    def extradata(self) -> bytes:  # type: ignore[override]  # likewise
        """The sequence header, as containers hold it."""
        return self.track.header

    @property
    def gop_size(self) -> int:
        """For encoders only.

        Raises:
            RuntimeError: always, as in PyAV.
        """
        raise RuntimeError("Cannot access 'gop_size' as a decoder")

    @property
    def is_open(self) -> bool:
        """Whether the decoder is there, which is made when the first packet comes."""
        return self._open_decoder is not None

    @property
    def flags(self) -> int:
        """0: none of FFmpeg's flags changes how BSQ is decoded."""
        return 0

    @property
    def thread_count(self) -> int:
        """Threads for decoding, 0 for the number of processors; set it before the first frame."""
        return self._threads

    @thread_count.setter
    def thread_count(self, count: int) -> None:
        if self._open_decoder is not None:
            raise RuntimeError("Cannot change thread_count after codec is open.")
        self._threads = int(count)

    @property
    def skip_frame(self) -> str:
        """Which packets are not decoded.

        "NONREF" leaves out those that no other frame refers to, "NONKEY" all but keyframes, "ALL"
        all.
        """
        return self._skip_frame

    @skip_frame.setter
    def skip_frame(self, value: str) -> None:
        if value not in _SKIPPED:
            raise UsageError(f"skip_frame {value!r} is none of {', '.join(_SKIPPED)}")
        self._skip_frame = value

    # ---- decoding ----

    def open(self, strict: bool = True) -> None:
        """Nothing: a decoder is made when the first frame comes."""
        del strict

    @property
    def _decoder(self) -> Decoder:
        if self._open_decoder is None:
            self._open_decoder = Decoder(
                models=self._models, threads=self._threads, strict=self._strict
            )
        return self._open_decoder

    def flush_buffers(self) -> None:
        """Forgets all frames, as a seek does."""
        self._begun = True
        if self._open_decoder is not None:
            self._open_decoder.reset()

    def _is_skipped(self, packet: BsqPacket) -> bool:
        skipped = _SKIPPED[self._skip_frame]
        if skipped == "disposable":
            return packet.disposable
        return skipped == "all" or (skipped == "between keyframes" and not packet.keyframe)

    def decode(self, packet: InputPacket | None = None) -> list[av.VideoFrame]:
        """The frames that are ready after a packet, with pts, time_base and colour set.

        `key_frame` is true and `pict_type` I where a frame is coded on its own, else P or B.

        Raises:
            BitstreamError: the packet is damaged and there is no frame to show in its place,
                or the container was opened with strict=True.
            ModelNotFoundError: the stream's model is not installed.
        """
        source = None if packet is None else packet.source
        if source is None:
            frames = self._decoder.flush()
        elif self._is_skipped(source):
            return []
        else:
            try:
                frames = self._decoder.decode(source.data, pts=source.pts)
            except BitstreamError as error:
                error.packet = source.number
                raise
        shown = []
        for frame in frames:
            video_frame = frame.to_video_frame()
            if source is not None and source.pts is not None:
                video_frame.pts, video_frame.time_base = source.pts, self.time_base
                video_frame.dts = source.pts
            if frame.concealed:
                self._warn_once(source)
            self._warn_of_skipped()
            shown.append(video_frame)
        return shown

    def _warn_of_skipped(self) -> None:
        """Says how many packets before the first frame showed nothing."""
        if not self._begun and self._decoder.skipped:
            notice = skipped_notice(self._decoder.skipped)
            warnings.warn(f"{self.container.name}: {notice}", BsqWarning, stacklevel=4)
        self._begun = True

    def _warn_once(self, source: BsqPacket | None) -> None:
        if self._warned:
            return
        self._warned = True
        where = "" if source is None or source.time is None else f" from {float(source.time):.3f} s"
        warnings.warn(
            f"{self.container.name}: data is lost or damaged{where}; frames that it takes, up to "
            "the next keyframe at most, show the one before again",
            BsqWarning,
            stacklevel=3,
        )


def _bit_rate(stream: Stream) -> int | None:
    """Bits per second of a stream by the container's list of its packets, where that has all."""
    seconds = (stream.duration or 0) * Fraction(stream.time_base or 0)
    count = int(stream.frames)
    if not seconds or not count or len(stream.index_entries) != count:
        return None
    return int(8 * sum(entry.size for entry in stream.index_entries) / seconds)
