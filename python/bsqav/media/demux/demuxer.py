"""Reading BSQ tracks, and all other tracks with them, out of any input.

Formats without negative times put the whole file a little later when its sound begins before zero:
that is undone here, for all tracks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import TypeAlias

import av
from av.stream import Stream

from bsqav.codec.models import Model
from bsqav.errors import MediaError, UnsupportedError, UsageError
from bsqav.media.demux.av_reader import AvReader
from bsqav.media.demux.bsq_track import BsqPacket, BsqTrack
from bsqav.media.demux.packet_reader import PacketReader
from bsqav.media.demux.track_probe import (
    MAX_PROBED_BYTES,
    MAX_PROBED_PACKETS,
    TrackProbe,
    may_be_bsq,
)
from bsqav.media.io.closing import Closing
from bsqav.media.io.types import AvPacket, MediaFile, Warn
from bsqav.media.metadata.embedded_model import embedded_models, is_model_name
from bsqav.media.metadata.file_metadata import attachments_of

__all__ = ["BsqPacket", "BsqTrack", "DemuxedPacket", "Demuxer", "may_be_bsq"]

DemuxedPacket: TypeAlias = "BsqPacket | AvPacket"
"""What comes out of a demuxer: packets of BSQ tracks, and PyAV's of all others."""

# Of a seek, in ticks: FFmpeg counts in 64 bits, and in microseconds on the way.
MAX_OFFSET = 1 << 52


class Demuxer(Closing):
    """An open input: its BSQ tracks, and PyAV's container underneath for everything else.

    Args:
        source: what `AvReader` opens, or any `PacketReader`, which the demuxer closes.

    Raises:
        InputNotFoundError: there is no such file.
        MediaError: the file cannot be opened, or is no media file.
        BitstreamError: a BSQ track has no keyframe that can be read.
        UnsupportedError: a BSQ track is of a version that this library does not have.
        KeyboardInterrupt: reading was cancelled, here or in any call that reads.
    """

    def __init__(self, source: MediaFile | PacketReader) -> None:
        self._reader = source if isinstance(source, PacketReader) else AvReader(source)
        self._fault: MediaError | None = None  # met while looking ahead
        try:
            probe = TrackProbe(self._reader)
        except BaseException:
            self._reader.close()
            raise
        self.name = self._reader.name
        """What messages call the input."""
        self.container = self._reader.container
        """PyAV's container; for a `.bsq` file an object with the same attributes."""
        self.format = self._reader.format
        """The container's name, FFmpeg's where it has one."""
        self.foreign_tags = self._reader.foreign_tags
        """Whether tags that are not UTF-8 were read as Latin-1."""
        self.image_metadata = self._reader.image_metadata
        """Exif, colour profile and XMP of a `.bsq` file, None for all other inputs."""
        self.tracks: list[BsqTrack] = probe.tracks
        self.lead = probe.lead
        """Seconds taken off the container's times, see above; packets come without them."""
        self._ahead: deque[AvPacket] = probe.read

    def close(self) -> None:
        """Closes the input; a file object given by the caller stays open."""
        self._ahead.clear()
        self._reader.close()

    def track_of(self, stream: Stream | int) -> BsqTrack | None:
        """The BSQ track that a stream (or its index) is, None for any other stream."""
        index = stream if isinstance(stream, int) else stream.index
        return next((track for track in self.tracks if track.index == index), None)

    def models(self, warn: Warn) -> tuple[Model, ...]:
        """The models that the file carries for its own video; `warn` hears of damaged ones."""
        if not self.tracks:
            return ()
        found = embedded_models(attachments_of(self.container, is_model_name))
        for fault in found.faults:
            warn(f"{self.name}: {fault}")
        return found.models

    # ---- whether all of it came ----

    @property
    def truncated(self) -> bool:
        """Whether the file is shorter than it says itself; a pipe's end must have been reached."""
        return self._reader.truncated

    def check_end(self, stream: Stream, warn: Warn, *, strict: bool = False) -> None:
        """Raises or warns where the file is truncated, once all of it was read.

        Args:
            stream: PyAV's of the video that counts.
            warn: hears of a size that is wrong although every frame of it came, and of damaged
                metadata.
            strict: those are errors too.

        Raises:
            MediaError: frames are missing at the end.
        """

        def fail(message: str) -> None:
            raise MediaError(message)

        self._reader.check_metadata(fail if strict else warn)
        if not self.truncated:
            return
        why = "it has no end mark" if self.format == "hls" else "it is smaller than it says itself"
        lack = self.missing_at_end(stream)
        if lack is not None:
            raise MediaError(f"{self.name} is cut short: {why}, and {lack}")
        message = f"{self.name}: {why}; every frame that it announces has come"
        if any(each.type in ("audio", "subtitle") for each in self.container.streams):
            message += ", of other tracks the end may be missing"
        (fail if strict else warn)(message)

    def warn_of_another_file(self, warn: Warn) -> None:
        """Warns of a second file appended to the first, once all of it was read."""
        found = self._reader.next_file()
        if found is not None:
            warn(
                f"{self.name}: another file begins at byte {found}, and FFmpeg does not read it: "
                f"split the file there (tail -c +{found + 1}) to have the rest"
            )

    def missing_at_end(self, stream: Stream) -> str | None:
        """What is missing of a video at the end of a truncated file, once all of it was read.

        None: all frames came that the file announces, and no more than a size in it is wrong.
        """
        return self._reader.missing_at_end(stream)

    def faults(self, track: BsqTrack) -> list[str]:
        """Places where the container says that packets of a track are missing, in sentences.

        To be called once all of it was read; empty where a seek passed some over.
        """
        return self._reader.faults(track.index)

    # ---- packets ----

    def _next(self) -> AvPacket | None:
        if self._fault is not None:
            raise self._fault
        return self._reader.read()

    def peek(self, stream: Stream, count: int) -> list[AvPacket]:
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

    def _without_lead(self, packet: AvPacket) -> AvPacket:
        if self.lead:
            ticks = round(self.lead / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts - ticks
            packet.dts = None if packet.dts is None else packet.dts - ticks
        return packet

    def demux(self, *streams: Stream | BsqTrack) -> Iterator[DemuxedPacket]:
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
                # Unwanted ones are parsed too: they carry the headers that others need.
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

    def packets_of(self, track: BsqTrack) -> Iterator[BsqPacket]:
        """The packets of one BSQ track; raises what `demux` does."""
        return (packet for packet in self.demux(track) if isinstance(packet, BsqPacket))

    def seek(
        self,
        seconds: Fraction | float,
        *,
        track: BsqTrack | Stream | None = None,
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
        if not self._reader.can_seek:
            raise MediaError(f"{self.name} is a pipe: it cannot seek")
        if track is None and self.tracks:
            track = self.tracks[0]
        stream = track.stream if isinstance(track, BsqTrack) else track
        time_base = Fraction(1, av.time_base) if stream is None else Fraction(stream.time_base or 1)
        # Rounded as the container rounds: a keyframe's exact time must find that keyframe.
        offset = round((Fraction(seconds) + self.lead) / time_base)
        offset = max(-MAX_OFFSET, min(offset, MAX_OFFSET))
        try:
            self._reader.seek(offset, backward=backward, any_frame=any_frame, stream=stream)
        except av.FFmpegError as error:
            raise MediaError(
                f"{self.name}: seeking to {float(seconds):.3f} s failed: {error.strerror or error}"
            ) from error
        self._ahead.clear()
        self._fault = None
        for each in self.tracks:
            each.forget_position()

    def keyframes(self, track: BsqTrack | None = None) -> list[int]:
        """Timestamps of a track's keyframes in its ticks, by reading the whole file once.

        A path is opened a second time for that; with a file object, reading begins anew at the
        start afterwards.
        """
        if track is None:
            if not self.tracks:
                raise UsageError(f"{self.name} has no BSQ track")
            track = self.tracks[0]
        again = self._reader.reopened()
        if again is not None:
            with Demuxer(again) as other:
                same = other.track_of(track.index)
                return [] if same is None else _keyframes(other, same)
        self.seek(0, track=track)
        found = _keyframes(self, track)
        self.seek(0, track=track)
        return found


def _keyframes(demuxer: Demuxer, track: BsqTrack) -> list[int]:
    return [
        packet.pts
        for packet in demuxer.packets_of(track)
        if packet.keyframe and packet.pts is not None and packet.damage is None
    ]
