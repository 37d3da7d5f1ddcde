"""Reading files, PyAV-compatible: an input container whose BSQ streams decode like any other."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import av
from av.format import ContainerFormat
from av.stream import Stream
from av.subtitles.subtitle import SubtitleSet

from bsqav.codec.models import ModelLike
from bsqav.errors import BsqWarning, UsageError
from bsqav.media.demux.av_reader import AvReader
from bsqav.media.demux.demuxer import BsqPacket, Demuxer
from bsqav.media.demux.tag_encoding import FOREIGN_TAGS
from bsqav.media.io.closing import Closing
from bsqav.media.io.types import AvPacket, MediaFile
from bsqav.media.metadata.file_metadata import metadata_of
from bsqav.media.metadata.hdr import TrackColour
from bsqav.media.metadata.track_colour import read_colours
from bsqav.media.pyav_api.input_stream import BsqInputStream
from bsqav.media.pyav_api.packets import InputPacket
from bsqav.media.pyav_api.stream_list import StreamList

__all__ = ["InputContainer"]

if TYPE_CHECKING:
    from av.container.core import Chapter as AvChapter

Decoded: TypeAlias = av.VideoFrame | av.AudioFrame | SubtitleSet
InputStream: TypeAlias = BsqInputStream | Stream
# What a stream is chosen by, and the numbers of streams of one type; see `StreamList.get`.
Chosen: TypeAlias = "InputStream | int | Sequence[InputStream | int] | dict[str, int]"
Numbers: TypeAlias = int | Iterable[int]
# What PyAV's container answers about itself and is the same here.
_PLAIN = frozenset(
    {
        "container_options",
        "dumps_format",
        "file",
        "flags",
        "io_open",
        "metadata_encoding",
        "metadata_errors",
        "open_files",
        "open_timeout",
        "options",
        "read_timeout",
        "start_time_realtime",
        "stream_options",
    }
)


class InputContainer(Closing):
    """An open file with the interface of PyAV's input container. Other streams are PyAV's own.

    Use it as a context manager, or call close(). Iterating over demux() or decode() of a file
    that is cut short gives all that is good and then raises MediaError.
    """

    def __init__(
        self,
        file: MediaFile,
        *,
        format: str | None = None,  # noqa: A002
        options: dict[str, str] | None = None,
        models: tuple[ModelLike, ...] = (),
        threads: int = 0,
        strict: bool = False,
        container: av.container.InputContainer | None = None,
    ) -> None:
        self._demuxer = Demuxer(AvReader(file, format=format, options=options, container=container))
        self.name = self._demuxer.name
        if self._demuxer.foreign_tags:
            _warn(FOREIGN_TAGS)
        streams: list[InputStream] = []
        try:
            models += self._demuxer.models(_warn)
            colours = read_colours(file)
            for stream in self._demuxer.container.streams:
                track = self._demuxer.track_of(stream)
                if track is None:
                    streams.append(stream)
                    continue
                hdr = colours.get(track.index, TrackColour()).hdr
                streams.append(BsqInputStream(self, track, models, threads, strict, hdr))
        except BaseException:
            self._demuxer.close()
            raise
        self.streams: StreamList[BsqInputStream] = StreamList(streams)
        self._closed = False

    def __repr__(self) -> str:
        return f"<bsqav input container {self.name}>"

    def __getattr__(self, name: str) -> Any:
        if name in _PLAIN:
            return getattr(self._demuxer.container, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def close(self) -> None:
        """Closes the file; a file object given by the caller stays open.

        Iterators over it raise UsageError (a ValueError) from then on, and `streams` is empty, as
        in PyAV; a BSQ stream that is kept still answers what the file said of it.
        """
        self._closed = True
        self.streams = StreamList([])
        self._demuxer.close()

    @property
    def is_closed(self) -> bool:
        """Whether close() was called."""
        return self._closed

    @property
    def container(self) -> av.container.InputContainer:
        """PyAV's container underneath, for what is not offered here."""
        return self._demuxer.container

    @property
    def format(self) -> ContainerFormat:
        """The container's format, as PyAV describes it."""
        return self.container.format

    @property
    def metadata(self) -> dict[str, str]:
        """The file's tags, keys in lower case."""
        return metadata_of(self.container)

    @property
    def duration(self) -> int | None:
        """Duration in microseconds (units of av.time_base), None where unknown."""
        return self.container.duration

    @property
    def start_time(self) -> int | None:
        """Start time in microseconds, None where unknown."""
        return self.container.start_time

    @property
    def bit_rate(self) -> int:
        """Bits per second of the whole file, as far as known."""
        return int(self.container.bit_rate)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return int(self.container.size)

    def chapters(self) -> list[AvChapter]:
        """The file's chapters, as PyAV gives them."""
        return list(self.container.chapters())

    def demux(self, *args: Chosen, **kwargs: Numbers) -> Iterator[InputPacket | AvPacket]:
        """Packets of the chosen streams in the file's order, then an empty one for each.

        Choose as in PyAV: `demux(stream)`, `demux(video=0)`, `demux()` for all.

        Raises:
            MediaError: where the container is damaged; at the end, where it is cut short.
            UsageError: the container is closed, also where it was closed on the way.
        """
        self._require_open()
        return self._demux(self.streams.get(*args, **kwargs))

    def _demux(self, chosen: list[InputStream]) -> Iterator[InputPacket | AvPacket]:
        if not chosen:
            return
        bsq = {s.index: s for s in self.streams if isinstance(s, BsqInputStream)}
        tracks = [s.track if isinstance(s, BsqInputStream) else s for s in chosen]
        packets = self._demuxer.demux(*tracks)
        while True:
            self._require_open()
            packet = next(packets, None)
            if packet is None:
                break
            if isinstance(packet, BsqPacket):
                yield InputPacket(bsq[packet.track.index], packet)
            else:
                yield packet
        for stream in chosen:
            self._require_open()
            yield _flush_packet(stream)
        self._demuxer.check_end(self._counting(chosen), _warn)

    def _counting(self, chosen: list[InputStream]) -> Stream:
        """The stream whose packets tell whether any are missing: the first video, or the first."""
        stream = next((each for each in chosen if each.type == "video"), chosen[0])
        return self.container.streams[stream.index]

    def _require_open(self) -> None:
        if self._closed:
            raise UsageError(f"{self.name} is closed")

    @overload
    def decode(self, *, video: int) -> Iterator[av.VideoFrame]: ...

    @overload
    def decode(self, *, audio: int) -> Iterator[av.AudioFrame]: ...

    @overload
    def decode(self, *, subtitles: int) -> Iterator[SubtitleSet]: ...

    @overload
    def decode(self, *streams: BsqInputStream | av.VideoStream) -> Iterator[av.VideoFrame]: ...

    @overload
    def decode(self, *streams: av.AudioStream) -> Iterator[av.AudioFrame]: ...

    @overload
    def decode(self, *args: Chosen, **kwargs: Numbers) -> Iterator[Decoded]: ...

    def decode(self, *args: Chosen, **kwargs: Numbers) -> Iterator[Decoded]:
        """Frames of the chosen streams: `decode(video=0)`. BSQ gives av.VideoFrame.

        Raises what `demux` does, and what `BsqInputStream.decode` does.
        """
        self._require_open()
        return self._decode(self.streams.get(*args, **kwargs))

    def _decode(self, chosen: list[InputStream]) -> Iterator[Decoded]:
        for packet in self._demux(chosen):
            for frame in packet.decode():
                self._require_open()
                yield frame

    def seek(
        self,
        offset: int,
        *,
        backward: bool = True,
        any_frame: bool = False,
        stream: InputStream | None = None,
    ) -> None:
        """Goes to a keyframe: the last one at or before the offset, as in PyAV.

        Args:
            offset: in ticks of the stream where one is given, else in microseconds.
            backward: False takes the first keyframe at or after the offset.
            any_frame: take any packet, not only keyframes.
            stream: the stream whose keyframes count.
        """
        self._require_open()
        if not isinstance(offset, int):
            raise TypeError("seek takes an integer offset, in ticks of the stream or microseconds")
        time_base = Fraction(1, av.time_base) if stream is None else Fraction(stream.time_base or 1)
        target = stream.track if isinstance(stream, BsqInputStream) else stream
        self._demuxer.seek(offset * time_base, track=target, backward=backward, any_frame=any_frame)
        for each in self.streams:
            if isinstance(each, BsqInputStream):
                each.flush_buffers()


def _warn(message: str) -> None:
    warnings.warn(message, BsqWarning, stacklevel=4)


def _flush_packet(stream: InputStream) -> InputPacket | AvPacket:
    if isinstance(stream, BsqInputStream):
        return InputPacket(stream, None)
    packet: AvPacket = av.Packet()
    packet.stream = stream
    return packet
