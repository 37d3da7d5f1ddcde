"""Streams of an input container: BSQ streams with PyAV's attributes, and the list of all."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, Literal

import av

from bsqav.codec.decoder import Decoder
from bsqav.codec.models import ModelLike
from bsqav.errors import BitstreamError, BsqWarning, UsageError
from bsqav.media.contents import metadata_of
from bsqav.media.demux import BsqPacket, BsqTrack
from bsqav.media.light import NO_LIGHT, LightLevels

__all__ = ["CODEC", "BsqInputStream", "InputPacket", "StreamList"]

# What a stream's `codec` says, with the attributes of av.codec.Codec that describe.
CODEC = SimpleNamespace(
    name="bsq", canonical_name="bsq", long_name="Binary Spherical Quantization", type="video"
)


class InputPacket:
    """A packet of a BSQ stream with the attributes of av.Packet. An empty one flushes."""

    def __init__(self, stream: BsqInputStream, source: BsqPacket | None) -> None:
        self.stream: Any = stream
        self.source = source
        self.pts = None if source is None else source.pts
        self.dts = self.pts
        self.duration = 0 if source is None else source.duration
        self.time_base = stream.time_base
        self.is_keyframe = source is not None and source.keyframe
        self.is_corrupt = source is not None and source.damage is not None
        self._decoding = stream

    def __bytes__(self) -> bytes:
        return b"" if self.source is None else self.source.data

    @property
    def size(self) -> int:
        """Bytes of data."""
        return 0 if self.source is None else len(self.source.data)

    @property
    def stream_index(self) -> int:
        """Index of the stream in its container."""
        return int(self.stream.index)

    @property
    def pos(self) -> int | None:
        """Offset in bytes in the file, where known."""
        return None if self.source is None else self.source.position

    def decode(self) -> list[av.VideoFrame]:
        """The frames that are ready after this packet."""
        return self._decoding.decode(self)


class BsqInputStream:
    """A BSQ stream with the attributes of av.VideoStream."""

    type: Literal["video"] = "video"
    name = "bsq"
    codec = CODEC
    profile = None

    def __init__(
        self,
        container: Any,
        track: BsqTrack,
        models: tuple[ModelLike, ...],
        threads: int,
        strict: bool,
        light: LightLevels = NO_LIGHT,
    ) -> None:
        self.container = container
        self.track = track
        self._decoder = Decoder(models=models, threads=threads, strict=strict)
        self._warned = False
        self.light = light
        """Mastering display and content light level, where the container says them."""

    def __repr__(self) -> str:
        return f"<bsqav stream #{self.index} bsq, {self.pix_fmt} {self.width}x{self.height}>"

    @property
    def codec_context(self) -> BsqInputStream:
        """The stream itself, which has a codec context's attributes."""
        return self

    @property
    def sequence(self) -> dict[str, Any]:
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
    def width(self) -> int:
        """Luma samples in a row."""
        return self.track.width

    @property
    def height(self) -> int:
        """Rows of luma samples."""
        return self.track.height

    @property
    def pix_fmt(self) -> str:
        """FFmpeg's name of the pixel format."""
        return self.track.pix_fmt

    @property
    def average_rate(self) -> Fraction | None:
        """Pictures per second: as stated, or as the container reckons."""
        return self.track.frame_rate or self.track.stream.average_rate

    @property
    def base_rate(self) -> Fraction | None:
        """The same as average_rate."""
        return self.average_rate

    @property
    def guessed_rate(self) -> Fraction | None:
        """The same as average_rate."""
        return self.average_rate

    @property
    def rate(self) -> Fraction | None:
        """The same as average_rate."""
        return self.average_rate

    @property
    def sample_aspect_ratio(self) -> Fraction | None:
        """Width over height of one sample, None where unknown."""
        return self.track.sample_aspect

    @property
    def display_aspect_ratio(self) -> Fraction:
        """Width over height of the picture as it is to be shown, before any rotation."""
        return Fraction(self.width, self.height) * (self.sample_aspect_ratio or 1)

    @property
    def rotation(self) -> int:
        """Degrees clockwise to turn the picture for display."""
        return self.track.rotation

    @property
    def start_time(self) -> int | None:
        """The container's start time in ticks, on the time line of the packets."""
        start = self._ticks(self.track.stream.start_time)
        return None if start is None else start - round(self.track.lead / self.time_base)

    @property
    def duration(self) -> int | None:
        """The container's duration in ticks."""
        return self._ticks(self.track.stream.duration)

    @property
    def frames(self) -> int:
        """The number of frames, 0 where the container does not say."""
        return int(self.track.stream.frames)

    @property
    def metadata(self) -> dict[str, str]:
        """The stream's tags."""
        return metadata_of(self.track.stream)

    @property
    def language(self) -> str | None:
        """The stream's language."""
        return self.metadata.get("language")

    @property
    def disposition(self) -> Any:
        """The stream's flags."""
        return self.track.stream.disposition

    def _ticks(self, value: int | None) -> int | None:
        if value is None:
            return None
        return round(value * Fraction(self.track.stream.time_base) / self.time_base)

    def flush_buffers(self) -> None:
        """Forgets all pictures, as a seek does."""
        self._decoder.reset()

    def decode(self, packet: InputPacket | None = None) -> list[av.VideoFrame]:
        """The frames that are ready after a packet, with pts, time_base and colour set.

        Raises:
            BitstreamError: the packet is damaged and there is no picture to show in its place,
                or the container was opened with strict=True.
            ModelNotFoundError: the stream's model is not installed.
        """
        source = None if packet is None else packet.source
        if source is None:
            frames = self._decoder.flush()
        else:
            try:
                frames = self._decoder.decode(source.data, pts=source.pts)
            except BitstreamError as error:
                error.packet = source.number
                raise
        pictures = []
        for frame in frames:
            picture = frame.to_video_frame()
            if source is not None and source.pts is not None:
                picture.pts, picture.time_base = source.pts, self.time_base
            if frame.concealed:
                self._warn_once(source)
            pictures.append(picture)
        return pictures

    def _warn_once(self, source: BsqPacket | None) -> None:
        if self._warned:
            return
        self._warned = True
        where = "" if source is None or source.time is None else f" from {float(source.time):.3f} s"
        warnings.warn(
            f"{self.container.name}: data is lost or damaged{where}; the last good picture stands "
            "in up to the next keyframe",
            BsqWarning,
            stacklevel=3,
        )


class StreamList:
    """The streams of a container, as av.container.streams.StreamContainer gives them."""

    def __init__(self, streams: list[Any]) -> None:
        self._streams = streams

    def __len__(self) -> int:
        return len(self._streams)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._streams)

    def __getitem__(self, index: int) -> Any:
        return self._streams[index]

    def _of_type(self, kind: str) -> tuple[Any, ...]:
        return tuple(stream for stream in self._streams if stream.type == kind)

    @property
    def video(self) -> tuple[Any, ...]:
        """Video streams, BSQ and others."""
        return self._of_type("video")

    @property
    def audio(self) -> tuple[Any, ...]:
        """Sound streams."""
        return self._of_type("audio")

    @property
    def subtitles(self) -> tuple[Any, ...]:
        """Subtitle streams."""
        return self._of_type("subtitle")

    @property
    def data(self) -> tuple[Any, ...]:
        """Data streams."""
        return self._of_type("data")

    @property
    def attachments(self) -> tuple[Any, ...]:
        """Attached files."""
        return self._of_type("attachment")

    def get(self, *wanted: Any, **by_type: Any) -> list[Any]:
        """Streams by index, by themselves, in lists, or by type and index in the type.

        `get(0)`, `get(stream)`, `get(video=0)`, `get(audio=(0, 1))`; all without arguments.
        """
        if not wanted and not by_type:
            return list(self._streams)
        found: list[Any] = []
        for item in wanted:
            if isinstance(item, int):
                found.append(self._streams[item])
            elif isinstance(item, tuple | list):
                found += self.get(*item) if item else []
            elif isinstance(item, dict):
                found += self.get(**item) if item else []
            else:
                found.append(item)
        for kind, numbers in by_type.items():
            if kind not in ("video", "audio", "subtitles", "data", "attachments"):
                raise UsageError(f"there is no stream type {kind!r}")
            of_type = getattr(self, kind)
            for number in (numbers,) if isinstance(numbers, int) else numbers:
                found.append(of_type[number])
        return found

    def best(self, kind: str, /, related: Any = None) -> Any:
        """The first stream of a type that is marked as default, else the first; None for none."""
        del related
        streams = self._of_type(kind)
        marked = [stream for stream in streams if stream.disposition & 1]
        return (marked or streams or [None])[0]
