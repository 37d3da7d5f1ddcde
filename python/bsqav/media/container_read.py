"""Reading files in PyAV's habits: an input container whose BSQ streams decode like any other."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import av

from bsqav.codec.models import ModelLike
from bsqav.errors import BsqWarning, MediaError
from bsqav.media.contents import metadata_of
from bsqav.media.demux import BsqPacket, Demuxer, Source
from bsqav.media.input_stream import BsqInputStream, InputPacket, StreamList
from bsqav.media.light import TrackColour
from bsqav.media.track_colour import read_colours

__all__ = ["InputContainer"]


class InputContainer:
    """An open file in PyAV's habits. Streams other than BSQ are PyAV's own.

    Use it as a context manager, or call close(). Iterating over demux() or decode() of a file
    that is cut short gives all that is good and then raises MediaError.
    """

    def __init__(
        self,
        file: Source,
        *,
        format: str | None = None,  # noqa: A002
        options: dict[str, str] | None = None,
        models: tuple[ModelLike, ...] = (),
        threads: int = 0,
        strict: bool = False,
        container: Any = None,
    ) -> None:
        self._demuxer = Demuxer(file, format=format, options=options, container=container)
        self.name = self._demuxer.name
        streams = []
        try:
            models += self._demuxer.models(_warn)
            colours = read_colours(file)
            for stream in self._demuxer.container.streams:
                track = self._demuxer.track_of(stream)
                if track is not None:
                    light = colours.get(track.index, TrackColour()).light
                    stream = BsqInputStream(self, track, models, threads, strict, light)
                streams.append(stream)
        except BaseException:
            self._demuxer.close()
            raise
        self.streams = StreamList(streams)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; a file object given by the caller stays open."""
        self._demuxer.close()

    @property
    def container(self) -> Any:
        """PyAV's container underneath, for what is not offered here."""
        return self._demuxer.container

    @property
    def format(self) -> Any:
        """The container's format, as PyAV describes it."""
        return self.container.format

    @property
    def metadata(self) -> dict[str, str]:
        """The file's tags, keys in lower case."""
        return metadata_of(self.container)

    @property
    def duration(self) -> int | None:
        """Duration in microseconds (units of av.time_base), None where unknown."""
        value: int | None = self.container.duration
        return value

    @property
    def start_time(self) -> int | None:
        """Start time in microseconds, None where unknown."""
        value: int | None = self.container.start_time
        return value

    @property
    def bit_rate(self) -> int:
        """Bits per second of the whole file, as far as known."""
        return int(self.container.bit_rate)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return int(self.container.size)

    def chapters(self) -> list[Any]:
        """The file's chapters, as PyAV gives them."""
        return list(self.container.chapters())

    def demux(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Packets of the chosen streams in the file's order, then an empty one for each.

        Choose as in PyAV: `demux(stream)`, `demux(video=0)`, `demux()` for all.

        Raises:
            MediaError: where the container is damaged; at the end, where it is cut short.
        """
        chosen = self.streams.get(*args, **kwargs)
        if not chosen:
            return
        by_index = {stream.index: stream for stream in self.streams}
        for packet in self._demuxer.demux(*chosen):
            if isinstance(packet, BsqPacket):
                yield InputPacket(by_index[packet.track.index], packet)
            else:
                yield packet
        for stream in chosen:
            yield _flush_packet(stream)
        if self._demuxer.truncated:
            raise MediaError(f"{self.name} is cut short: it is smaller than it says itself")

    def decode(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Frames of the chosen streams: `decode(video=0)`. BSQ gives av.VideoFrame."""
        for packet in self.demux(*args, **kwargs):
            yield from packet.decode()

    def seek(
        self,
        offset: int,
        *,
        backward: bool = True,
        any_frame: bool = False,
        stream: Any = None,
    ) -> None:
        """Goes to a keyframe: the last one at or before the offset, as in PyAV.

        Args:
            offset: in ticks of the stream where one is given, else in microseconds.
            backward: False takes the first keyframe at or after the offset.
            any_frame: take any packet, not only keyframes.
            stream: the stream whose keyframes count.
        """
        if not isinstance(offset, int):
            raise TypeError("seek takes an integer offset, in ticks of the stream or microseconds")
        time_base = Fraction(1, av.time_base) if stream is None else Fraction(stream.time_base)
        target = stream.track if isinstance(stream, BsqInputStream) else stream
        self._demuxer.seek(offset * time_base, track=target, backward=backward, any_frame=any_frame)
        for each in self.streams:
            if isinstance(each, BsqInputStream):
                each.flush_buffers()


def _warn(message: str) -> None:
    warnings.warn(message, BsqWarning, stacklevel=4)


def _flush_packet(stream: Any) -> Any:
    if isinstance(stream, BsqInputStream):
        return InputPacket(stream, None)
    packet: av.Packet[Any] = av.Packet()
    packet.stream = stream
    return packet
