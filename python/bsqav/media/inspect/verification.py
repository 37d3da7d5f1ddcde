"""Verifying a BSQ file: checksums, decodability, and the conformance hash."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction

import av

from bsqav.codec import Decoder, Frame
from bsqav.codec.models import ModelLike
from bsqav.errors import BitstreamError, MediaError, UsageError
from bsqav.media.demux.bsq_track import skipped_notice
from bsqav.media.demux.demuxer import BsqPacket, BsqTrack, Demuxer
from bsqav.media.demux.gaps import Gap, named, places
from bsqav.media.demux.inputs import input_name, open_input
from bsqav.media.inspect.conformance import ConformanceHash
from bsqav.media.io.progress import Progress, ProgressCallback
from bsqav.media.io.types import Cancelled, MediaFile, Warn
from bsqav.media.io.warning_log import WarningLog

__all__ = ["Verification", "verify"]


@dataclass(frozen=True)
class Verification:
    """A stream of which no frame is missing or damaged."""

    hash: str  # conformance hash, see ConformanceHash
    frames: int
    keyframes: int
    width: int  # of the first frame
    height: int
    pixel_format: str
    model: str  # 32 hexadecimal digits
    warnings: tuple[str, ...] = ()  # what is odd, although every frame is there

    def to_dict(self) -> dict[str, object]:
        """All of it in types that JSON has."""
        return asdict(self)


class _Verifier:
    """Decodes one track and keeps count."""

    def __init__(self, models: Iterable[ModelLike], threads: int) -> None:
        self._decoder = Decoder(models=models, threads=threads, strict=True)
        self._hash = ConformanceHash()
        self._start: Fraction | None = None  # of the last packet, in seconds
        self._first: Frame | None = None
        self.packets = 0  # decoded without an error
        self.keyframes = 0
        self.bytes = 0
        self.end = 0.0

    @property
    def frames(self) -> int:
        """Decoded so far."""
        return self._hash.frames

    def add(self, packet: BsqPacket) -> None:
        """Decodes one packet. Raises MediaError where the container's times go back."""
        start = (packet.pts or 0) * packet.time_base
        if self._start is not None and start < self._start:
            raise MediaError("the container's times go back")
        self._start = start
        self.bytes += len(packet.data)
        self.end = float(((packet.pts or 0) + packet.duration) * packet.time_base)
        self._take(self._decoder.decode(packet))

    def _take(self, frames: list[Frame]) -> None:
        for frame in frames:
            self._first = self._first or frame
            self.keyframes += frame.keyframe
            self._hash.update(frame.planes)

    def finish(self, name: str, warn: Warn) -> Verification:
        """Decodes what was held back and sums up."""
        self._take(self._decoder.flush())
        first, skipped = self._first, self._decoder.skipped
        if first is None and skipped:
            raise MediaError(f"{name} has {skipped} packets of BSQ video and no keyframe")
        if skipped:
            warn(skipped_notice(skipped))
        if first is None:
            raise MediaError(f"{name} has a BSQ track without a frame")
        return Verification(
            hash=self._hash.hexdigest(),
            frames=self.frames,
            keyframes=self.keyframes,
            width=first.width,
            height=first.height,
            pixel_format=first.pix_fmt,
            model=first.sequence["model_id"],
        )


def _track(demuxer: Demuxer, number: int | None, name: str) -> BsqTrack:
    tracks = demuxer.tracks
    if not tracks:
        raise MediaError(f"{name} has no BSQ video in it")
    found = tracks[0] if number is None else demuxer.track_of(number)
    if found is None:
        there = ", ".join(str(track.index) for track in tracks)
        raise UsageError(f"{name} has no BSQ video track {number}: there is {there}")
    return found


def _check_gaps(gaps: Sequence[Gap], name: str) -> None:
    if gaps:
        raise BitstreamError(f"{name}: {places(list(gaps))}", packet=gaps[0].number)


def _check_whole(demuxer: Demuxer, track: BsqTrack, name: str, last: int, warn: Warn) -> None:
    """Compares what was read with what the container says, once all packets have come."""
    _check_gaps(track.gaps.finish(), name)
    try:
        demuxer.check_end(track.stream, warn)
    except MediaError as error:
        raise MediaError(f"{error}; it ends after packet {last}") from error.__cause__
    if faults := demuxer.faults(track):
        raise MediaError(f"{name}: frames may be missing: {named(faults)}")
    if track.gaps.is_retimed:
        warn("the container's times run at another speed than those of the packets: they count")


def _decode_all(
    demuxer: Demuxer,
    track: BsqTrack,
    verifier: _Verifier,
    progress: ProgressCallback | None,
    cancelled: Cancelled,
) -> None:
    """Decodes every packet of a track; errors name the input and the packet."""
    began, name = time.monotonic(), demuxer.name
    length = demuxer.container.duration
    try:
        for packet in demuxer.packets_of(track):
            if cancelled():
                raise KeyboardInterrupt
            _check_gaps(track.gaps.found, name)  # before what refers to a missing frame fails
            verifier.add(packet)
            verifier.packets += 1
            if progress is not None:
                progress(
                    Progress(
                        frames=verifier.frames,
                        total_frames=None,
                        time=verifier.end,
                        duration=length / av.time_base if length else None,
                        elapsed=time.monotonic() - began,
                        bytes=verifier.bytes,
                        frames_in=verifier.packets,
                    )
                )
    except BitstreamError as error:
        if name not in error.args[0]:
            error.args = (f"{name}: {error.args[0]}", *error.args[1:])
        error.packet = verifier.packets
        raise
    except MediaError as error:
        where = f", after packet {verifier.packets - 1}" if verifier.packets else ""
        raise MediaError(f"{error}{where}") from error.__cause__


def verify(
    file: MediaFile,
    *,
    models: Iterable[ModelLike] = (),
    threads: int = 0,
    video_track: int | None = None,
    strict: bool = False,
    warn: Warn | None = None,
    progress: ProgressCallback | None = None,
    cancelled: Cancelled = lambda: False,
) -> Verification:
    """Checks every packet of a BSQ track, decodes every frame, and looks for missing ones.

    Frames are missed by the packets' own numbers, group counters and times, by the container's
    tables, and by bytes of it that cannot be read.

    Args:
        file: a path, a readable file of bytes, or "-" for standard input.
        models: models to try in addition to the installed ones.
        threads: 0 for the number of processors.
        video_track: the number of the track, as `bsqav info` prints it; the first BSQ track where
            None.
        strict: what is odd, although every frame is there, is an error too.
        warn: takes a sentence on what is odd; Python warnings of `BsqWarning` where None.
        progress: called with a `Progress` after every packet.
        cancelled: polled between packets; when true, KeyboardInterrupt is raised.

    Raises:
        BitstreamError: damage, or frames that are missing; `.packet` and `.byte` say where.
        UsageError: it has no BSQ track of that number.
        MediaError: the file cannot be read, has no BSQ in it, is cut short, or is damaged.
        ModelNotFoundError, ModelError, UnsupportedError: it cannot be decoded here.
    """
    name = input_name(file)
    said = WarningLog(warn)
    with open_input(file, cancelled=cancelled) as demuxer:
        track = _track(demuxer, video_track, name)
        verifier = _Verifier((*models, *demuxer.models(said)), threads)
        _decode_all(demuxer, track, verifier, progress, cancelled)
        _check_whole(demuxer, track, name, verifier.packets - 1, said)
        found = verifier.finish(name, said)
    if strict and said.all:
        first = said.all[0]
        raise MediaError(first if name in first else f"{name}: {first}")
    return replace(found, warnings=tuple(said.all))
