"""Reading BSQ tracks, and all other tracks beside them, out of any container that PyAV opens.

FFmpeg does not know the codec: such a stream has no codec context, and nothing but its packets
tells what it is. So the first packets are looked at, and the sequence headers in them are the
source of truth. Formats without negative times put the whole file a little later when its sound
begins before zero: that is undone here, for all tracks.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av

from bsqav import _core
from bsqav.codec.models import Model
from bsqav.errors import BitstreamError, MediaError, UnsupportedError, UsageError
from bsqav.media.demux.bsq_track import ROUNDING, BsqPacket, BsqTrack, header_bytes
from bsqav.media.demux.container_check import Reading, container_faults, shortfall
from bsqav.media.demux.joined_files import file_behind
from bsqav.media.demux.opening import (
    SILENT,
    Source,
    can_seek,
    is_truncated,
    open_container,
    watched,
)
from bsqav.media.io.pipes import name_of, open_fifo
from bsqav.media.io.waiting import caller_for
from bsqav.media.metadata.embedded_model import embedded_models, is_model_name
from bsqav.media.metadata.file_metadata import attachments_of, is_attached_picture
from bsqav.media.metadata.track_colour import of_file, read_private_data

__all__ = [
    "BsqPacket",
    "BsqTrack",
    "Demuxer",
    "may_be_bsq",
]

# All tracks moved later by no more than this: a muxer made room for sound before zero (seconds).
MAX_LEAD = 1
# How far a file is read to find out what its unknown video streams are.
MAX_PROBED_PACKETS = 5000
MAX_PROBED_BYTES = 64 << 20
MAGIC = b"BSQ1"
# Of a seek, in ticks: FFmpeg counts in 64 bits, and in microseconds on the way.
MAX_OFFSET = 1 << 52


def may_be_bsq(stream: Any) -> bool:
    """Whether FFmpeg takes a stream for video of a codec that it does not know."""
    return (
        stream.type == "video" and stream.codec_context is None and not is_attached_picture(stream)
    )


class Demuxer:
    """An open file: its BSQ tracks, and PyAV's container underneath for everything else.

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
        BitstreamError: a BSQ track has no keyframe that can be read.
        UnsupportedError: a BSQ track is of a version that this library does not have.
        KeyboardInterrupt: `cancelled` answered true, here or in any call that reads.
    """

    def __init__(
        self,
        file: Source,
        *,
        format: str | None = None,  # noqa: A002
        options: Mapping[str, str] | None = None,
        name: str | None = None,
        container: Any = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._file = file
        self._caller = caller_for(file, cancelled)
        self._pipe: Any = None
        if isinstance(file, str | os.PathLike) and Path(file).is_fifo():
            pipe: Any = open_fifo(file, cancelled)
            file = self._pipe = pipe
        self._watch = watched(file)
        self._format = format
        self._options = dict(options or {})
        self.name = name or name_of(file)
        self.container: Any
        self.foreign_tags: bool  # tags that are not UTF-8 were read as Latin-1
        try:
            self.container, self.foreign_tags = (
                (container, False)
                if container
                else self._caller.call(
                    lambda: open_container(self._watch or file, self.name, format, self._options)
                )
            )
        except BaseException:
            self._caller.close(self._close_pipe)
            raise
        self._reading = Reading(self.container)
        self._truncated = is_truncated(file)
        self.tracks: list[BsqTrack] = []
        self.lead = Fraction(0)
        """Seconds taken off the container's times, see above; packets come without them."""
        self._ahead: deque[Any] = deque()
        self._fault: MediaError | None = None  # met while looking ahead
        try:
            self._packets: Iterator[Any] = self.container.demux()
            self._find_tracks()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def format(self) -> str:
        """The container's name, FFmpeg's where it has one."""
        return str(self.container.format.name)

    def close(self) -> None:
        """Closes the file; a file object given by the caller stays open."""
        self._ahead.clear()
        self._packets = iter(())  # PyAV's would read from a file that is gone
        self._caller.close(self._close)

    def _close(self) -> None:
        self.container.close()
        self._close_pipe()

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            self._pipe.close()

    @property
    def truncated(self) -> bool:
        """Whether the file is shorter than it says itself; a pipe's end must have been reached."""
        return self._truncated or (self._watch is not None and self._watch.cut_short)

    def check_end(self, stream: Any, warn: Callable[[str], None], *, strict: bool = False) -> None:
        """Tells a file that was cut short, once all of it was read.

        Args:
            stream: PyAV's of the video that counts.
            warn: hears of a size that is wrong although every frame of it came.
            strict: that is an error too.

        Raises:
            MediaError: frames are missing at the end.
        """
        if not self.truncated:
            return
        is_playlist = self.container.format.name == "hls"
        why = "it has no end mark" if is_playlist else "it is smaller than it says itself"
        lack = self.missing_at_end(stream)
        if lack is not None:
            raise MediaError(f"{self.name} is cut short: {why}, and {lack}")
        message = f"{self.name}: {why}; every frame that it announces has come"
        if any(each.type in ("audio", "subtitle") for each in self.container.streams):
            message += ", of other tracks the end may be missing"
        if strict:
            raise MediaError(message)
        warn(message)

    def warn_of_another_file(self, warn: Callable[[str], None]) -> None:
        """Tells of a file that stands behind this one in the same file, once all of it was read."""
        form, end = self.container.format.name, self._reading.last_byte
        found = of_file(self._file, lambda opened: {0: file_behind(opened, form, end)}).get(0)
        if found is not None:
            warn(
                f"{self.name}: another file begins at byte {found}, and FFmpeg does not read it: "
                f"split the file there (tail -c +{found + 1}) to have the rest"
            )

    def missing_at_end(self, stream: Any) -> str | None:
        """What is missing of a video at the end of a truncated file, once all of it was read.

        None: all frames came that the file announces, and no more than a size in it is wrong.
        """
        return shortfall(self._file, self.container, self._reading, stream)

    def faults(self, track: BsqTrack) -> list[str]:
        """Places where the container says that packets of a track are missing, in sentences.

        To be called once all of it was read; empty where a seek passed some over.
        """
        return container_faults(self._file, self.container, self._reading, track.index)

    def track_of(self, stream: Any) -> BsqTrack | None:
        """The BSQ track that a stream (or its index) is, None for any other stream."""
        index = stream if isinstance(stream, int) else stream.index
        return next((track for track in self.tracks if track.index == index), None)

    def models(self, warn: Callable[[str], None]) -> tuple[Model, ...]:
        """The models that the file carries for its own video; `warn` hears of damaged ones."""
        if not self.tracks:
            return ()
        found = embedded_models(attachments_of(self.container, is_model_name))
        for fault in found.faults:
            warn(f"{self.name}: {fault}")
        return found.models

    def _find_tracks(self) -> None:
        """Reads ahead until every stream that may be BSQ has shown what it is."""
        open_questions = {s.index: s for s in self.container.streams if may_be_bsq(s)}
        complaints: dict[int, BitstreamError] = {}
        headless: set[int] = set()  # tracks with intact packets, none of them a keyframe so far
        size = 0
        while open_questions and len(self._ahead) < MAX_PROBED_PACKETS and size < MAX_PROBED_BYTES:
            packet = self._next()
            if packet is None:
                break
            self._ahead.append(packet)
            size += packet.size
            stream = open_questions.get(packet.stream_index)
            if stream is None:
                continue
            data = bytes(packet)
            try:
                info = _core.probe_packet(data)
            except BitstreamError as error:
                if data[1:5] != MAGIC and stream.index not in complaints:
                    del open_questions[stream.index]  # another codec that FFmpeg has not got
                complaints.setdefault(stream.index, error)
                continue
            if info["sequence"] is not None:
                self.tracks.append(BsqTrack(stream, info["sequence"], header_bytes(data)))
                if len(self.tracks) == 1 and packet.pts is not None:
                    self._settle_lead(self.tracks[0], packet.pts, info["pts"])
                del open_questions[stream.index]
            else:
                headless.add(stream.index)
        for index in headless & open_questions.keys() - complaints.keys():
            self.tracks.append(self._track_by_private_data(open_questions[index]))
        self.tracks.sort(key=lambda track: track.index)
        for track in self.tracks:
            track.lead = self.lead
        for index in open_questions:
            if index in complaints:
                raise BitstreamError(
                    f"{self.name}: track {index} has no keyframe that can be read: "
                    f"{complaints[index]}"
                )

    def _track_by_private_data(self, stream: Any) -> BsqTrack:
        """A track whose packets are BSQ, but no keyframe, which would say what it is."""
        header = read_private_data(self._file).get(stream.index)
        if header is None:
            raise BitstreamError(
                f"{self.name}: track {stream.index} is BSQ video without a keyframe: nothing of it "
                "can be shown"
            )
        return BsqTrack(stream, _core.probe_sequence(header), header)

    def _settle_lead(self, track: BsqTrack, container_pts: int, tick: int) -> None:
        move = container_pts * Fraction(track.stream.time_base) - tick * track.time_base
        if ROUNDING < move <= MAX_LEAD:
            self.lead = move

    def _without_lead(self, packet: Any) -> Any:
        if self.lead:
            ticks = round(self.lead / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts - ticks
            packet.dts = None if packet.dts is None else packet.dts - ticks
        return packet

    def peek(self, stream: Any, count: int) -> list[Any]:
        """The first packets of a stream that will come, `count` of them where there are as many."""
        found = [packet for packet in self._ahead if packet.stream_index == stream.index]
        size = sum(packet.size for packet in self._ahead)
        while len(found) < count and len(self._ahead) < MAX_PROBED_PACKETS:
            try:
                packet = self._next() if size < MAX_PROBED_BYTES else None
            except MediaError as error:
                self._fault = error  # what came before it is good
                break
            if packet is None:
                break
            self._ahead.append(packet)
            size += packet.size
            if packet.stream_index == stream.index:
                found.append(packet)
        return found

    def _next(self) -> Any | None:
        """The next packet of the container, None at its end."""
        if self._fault is not None:
            raise self._fault
        try:
            while (packet := self._caller.call(lambda: next(self._packets, None))) is not None:
                if packet.size or packet.pts is not None:
                    self._reading.take(packet)
                    return packet
        except av.ExitError as error:
            raise MediaError(f"{self.name}: {SILENT}") from error
        except av.FFmpegError as error:
            raise MediaError(
                f"{self.name} is damaged or cut short: {error.strerror or error}"
            ) from error
        return None

    def demux(self, *streams: Any) -> Iterator[Any]:
        """Packets in the file's order: `BsqPacket` of BSQ tracks, `av.Packet` of all others.

        Args:
            streams: PyAV streams or `BsqTrack`s to read; all of them where none is given.

        Raises:
            MediaError: the container is damaged.
            UnsupportedError: a packet is of a version that this library does not have, or
                encrypted.
        """
        wanted = {stream.index for stream in streams} if streams else None
        tracks = {track.index: track for track in self.tracks}
        while True:
            packet = self._ahead.popleft() if self._ahead else self._next()
            if packet is None:
                return
            index = packet.stream_index
            track = tracks.get(index)
            if track is not None:
                # Unwanted ones are looked at too: they carry the headers that others build on.
                found = track.packet(packet)
                if wanted is None or index in wanted:
                    yield found
            elif wanted is None or index in wanted:
                if packet.has_sidedata("encryption_info"):
                    raise UnsupportedError(
                        f"{self.name}: track {index} is encrypted: what is read is files without "
                        "encryption (DRM)"
                    )
                yield self._without_lead(packet)

    def seek(
        self,
        seconds: Fraction | float,
        *,
        track: Any = None,
        backward: bool = True,
        any_frame: bool = False,
    ) -> None:
        """Goes to the last keyframe at or before a time (the first at or after it: not backward).

        Args:
            seconds: on the time line of the packets.
            track: a `BsqTrack` or PyAV stream whose keyframes count; the first BSQ track, or
                FFmpeg's choice.
            backward: take the keyframe before, where there is none at that time.
            any_frame: take any packet, not only keyframes.

        Raises:
            MediaError: the input cannot seek.
        """
        if not can_seek(self._file):
            raise MediaError(f"{self.name} is a pipe: it cannot seek")
        stream = track
        if stream is None and self.tracks:
            stream = self.tracks[0]
        if isinstance(stream, BsqTrack):
            stream = stream.stream
        time_base = Fraction(1, av.time_base) if stream is None else Fraction(stream.time_base)
        # Rounded as the container rounds: a keyframe's exact time must find that keyframe.
        offset = round((Fraction(seconds) + self.lead) / time_base)
        offset = max(-MAX_OFFSET, min(offset, MAX_OFFSET))
        try:
            self._caller.call(
                lambda: self.container.seek(
                    offset, backward=backward, any_frame=any_frame, stream=stream
                )
            )
            self._ahead.clear()
            self._reading.skip()
            self._fault = None
            self._packets = self.container.demux()
            for each in self.tracks:
                each.forget_position()
            if self.container.format.name == "nut" and stream is not None and not any_frame:
                self._skip_to_keyframe(stream.index, offset if backward else None)
        except av.FFmpegError as error:
            raise MediaError(
                f"{self.name}: seeking to {float(seconds):.3f} s failed: {error.strerror or error}"
            ) from error

    def _skip_to_keyframe(self, index: int, offset: int | None) -> None:
        """Reads on to the last keyframe that is not behind an offset: NUT lands further back."""
        kept: deque[Any] = deque()
        while (packet := self._next()) is not None:
            if packet.stream_index == index and packet.pts is not None:
                if offset is None or packet.pts > offset:
                    kept.append(packet)
                    break
                if packet.is_keyframe:
                    kept.clear()
            kept.append(packet)
        self._ahead = kept

    def keyframes(self, track: BsqTrack | None = None) -> list[int]:
        """Timestamps of a track's keyframes in its ticks, by reading the whole file once.

        A path is opened a second time for that; with a file object, reading begins anew at the
        start afterwards.
        """
        if track is None:
            if not self.tracks:
                raise UsageError(f"{self.name} has no BSQ track")
            track = self.tracks[0]
        if isinstance(self._file, str | os.PathLike):
            with Demuxer(self._file, format=self._format, options=self._options) as other:
                same = other.track_of(track.index)
                return [] if same is None else _keyframes(other, same)
        self.seek(0, track=track)
        found = _keyframes(self, track)
        self.seek(0, track=track)
        return found


def _keyframes(demuxer: Demuxer, track: BsqTrack) -> list[int]:
    return [
        packet.pts
        for packet in demuxer.demux(track)
        if packet.keyframe and packet.pts is not None and packet.damage is None
    ]
