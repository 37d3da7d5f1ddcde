"""Reads packets of any container that PyAV opens: paths, addresses, file objects and pipes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, cast

import av
from av.container import InputContainer
from av.stream import Stream

from bsqav.errors import MediaError
from bsqav.media.demux.container_check import PacketTally, container_faults, shortfall
from bsqav.media.demux.joined_files import next_file
from bsqav.media.demux.opening import (
    SILENT,
    can_seek,
    is_truncated,
    open_container,
    watched,
)
from bsqav.media.demux.packet_reader import PacketReader
from bsqav.media.io.pipes import PipeReader, name_of, open_fifo
from bsqav.media.io.types import AvPacket, Cancelled, MediaFile
from bsqav.media.io.waiting import caller_for
from bsqav.media.metadata.track_colour import of_file, read_private_data

__all__ = ["AvReader"]


class AvReader(PacketReader):
    """The packets of a container that PyAV opens.

    Args:
        file: a path, an address that FFmpeg opens, or a binary file object.
        format: FFmpeg's name of the container, guessed where None.
        options: of FFmpeg's demuxer.
        name: what messages call the file; its own name where None.
        container: PyAV's container of that file, where it is open already.
        cancelled: polled while a pipe or a server is waited for.

    Raises:
        InputNotFoundError: there is no such file.
        MediaError: the file cannot be opened, or is no media file.
        KeyboardInterrupt: `cancelled` answered true, here or in any call that reads.
    """

    def __init__(
        self,
        file: MediaFile,
        *,
        format: str | None = None,  # noqa: A002
        options: Mapping[str, str] | None = None,
        name: str | None = None,
        container: InputContainer | None = None,
        cancelled: Cancelled = lambda: False,
    ) -> None:
        self._file = file
        self._caller = caller_for(file, cancelled)
        self._pipe: PipeReader | None = None
        if isinstance(file, str | os.PathLike) and Path(file).is_fifo():
            self._pipe = open_fifo(file, cancelled)
        target: MediaFile = file if self._pipe is None else cast(BinaryIO, self._pipe)
        self._watch = watched(target)
        self._format = format
        self._options = dict(options or {})
        self.name = name or name_of(target)
        if container is None:
            try:
                container, self.foreign_tags = self._caller.call(
                    lambda: open_container(self._watch or target, self.name, format, self._options)
                )
            except BaseException:
                self._caller.close(self._close_pipe)
                raise
        self.container = container
        self._tally = PacketTally(container)
        self._truncated = is_truncated(target)
        self._kept: deque[AvPacket] = deque()  # read by a seek already
        self._packets: Iterator[AvPacket] = container.demux()

    @property
    def format(self) -> str:
        """The container's name, as FFmpeg has it."""
        return str(self.container.format.name)

    def close(self) -> None:
        """Closes the file; a file object given by the caller stays open."""
        self._kept.clear()
        self._packets = iter(())  # PyAV's would read from a file that is gone
        self._caller.close(self._close)

    def _close(self) -> None:
        self.container.close()
        self._close_pipe()

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            self._pipe.close()

    def read(self) -> AvPacket | None:
        """The next packet that is not empty, None at the end."""
        if self._kept:
            return self._kept.popleft()
        try:
            while (packet := self._caller.call(self._next)) is not None:
                if packet.size or packet.pts is not None:
                    self._tally.take(packet)
                    return packet
        except av.ExitError as error:
            raise MediaError(f"{self.name}: {SILENT}") from error
        except av.FFmpegError as error:
            raise MediaError(
                f"{self.name} is damaged or cut short: {error.strerror or error}"
            ) from error
        return None

    def _next(self) -> AvPacket | None:
        return next(self._packets, None)

    @property
    def can_seek(self) -> bool:
        """False for pipes."""
        return can_seek(self._file)

    def seek(self, offset: int, *, backward: bool, any_frame: bool, stream: Stream | None) -> None:
        """As PyAV's `seek`, which for NUT lands further back than it has to."""
        self._caller.call(
            lambda: self.container.seek(
                offset, backward=backward, any_frame=any_frame, stream=stream
            )
        )
        self._kept.clear()
        self._tally.skip()
        self._packets = self.container.demux()
        if self.format == "nut" and stream is not None and not any_frame:
            self._skip_to_keyframe(stream.index, offset if backward else None)

    def _skip_to_keyframe(self, index: int, offset: int | None) -> None:
        """Reads on to the last keyframe at or before an offset."""
        kept: deque[AvPacket] = deque()
        while (packet := self.read()) is not None:
            if packet.stream_index == index and packet.pts is not None:
                if offset is None or packet.pts > offset:
                    kept.append(packet)
                    break
                if packet.is_keyframe:
                    kept.clear()
            kept.append(packet)
        self._kept = kept

    def reopened(self) -> AvReader | None:
        """A path opened a second time."""
        if not isinstance(self._file, str | os.PathLike):
            return None
        return AvReader(self._file, format=self._format, options=self._options)

    def private_data(self, index: int) -> bytes | None:
        """The BSQ private data of a stream in Matroska and MOV files."""
        return read_private_data(self._file).get(index)

    @property
    def truncated(self) -> bool:
        """Whether the file is shorter than it says itself; a pipe's end must have been reached."""
        return self._truncated or (self._watch is not None and self._watch.cut_short)

    def missing_at_end(self, stream: Stream) -> str | None:
        """What is missing, by the container's own tables and times."""
        return shortfall(self._file, self.container, self._tally, stream)

    def faults(self, index: int) -> list[str]:
        """Empty where a seek passed packets over."""
        return container_faults(self._file, self.container, self._tally, index)

    def next_file(self) -> int | None:
        """Where another file of the same format begins after the last packet."""
        end = self._tally.last_byte
        return of_file(self._file, lambda opened: {0: next_file(opened, self.format, end)}).get(0)
