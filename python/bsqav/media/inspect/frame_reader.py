"""The frames of a BSQ video in any order, by their number."""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from bsqav.codec.decoder import Decoder
from bsqav.codec.image import Output
from bsqav.codec.models import ModelLike
from bsqav.codec.shown_frames import ShownFrames
from bsqav.codec.units import Frame
from bsqav.errors import BitstreamError, BsqWarning, MediaError, UsageError
from bsqav.media.demux.bsq_track import ROUNDING, skipped_notice
from bsqav.media.demux.demuxer import BsqPacket, Demuxer
from bsqav.media.demux.inputs import open_input
from bsqav.media.io.closing import Closing
from bsqav.media.io.types import MediaFile

__all__ = ["FrameIndex", "FrameReader"]


@dataclass(frozen=True, slots=True)
class FrameIndex:
    """Where the frames of a track are, in the order of presentation."""

    times: tuple[int, ...]  # ticks of time_base
    keyframes: tuple[int, ...]  # the numbers of the keyframes, rising
    time_base: Fraction  # seconds per tick


class FrameReader(ShownFrames, Closing):
    """A BSQ track as a sequence: an index gives a frame as `decode_image` does.

    Opening reads the file once, without decoding, unless `index` is given. Going on from one
    frame to the next decodes it alone; going elsewhere decodes from the keyframe before.

    Args:
        file: a path, or a binary file object that can seek, which stays open; also a `.bsq` file.
        track: which of the BSQ tracks, from 0.
        output: as `decode_image` has it: "array", "pillow" or "frame".
        models: models to use in addition to the installed ones.
        threads: for decoding, 0 for the number of processors.
        index: the `index` of another reader of the same track.

    Raises:
        UsageError: the file has no such BSQ track.
        MediaError: the file cannot be opened.
        BitstreamError: the track has no keyframe that can be read.
    """

    def __init__(
        self,
        file: MediaFile,
        *,
        track: int = 0,
        output: Output = "array",
        models: Iterable[ModelLike] = (),
        threads: int = 0,
        index: FrameIndex | None = None,
    ) -> None:
        self._demuxer: Demuxer = open_input(file)
        self.name = self._demuxer.name
        try:
            tracks = self._demuxer.tracks
            if not 0 <= track < len(tracks):
                raise UsageError(f"{self.name} has {len(tracks)} BSQ tracks: there is no {track}")
            self.track = tracks[track]
            self._decoder = Decoder(models=models, threads=threads, strict=True)
            self._output: Output = output
            self._packets: Iterator[BsqPacket] | None = None
            self._next = 0
            self._last: tuple[int, Frame] | None = None
            self.index = self._scan() if index is None else index
        except BaseException:
            self._demuxer.close()
            raise

    def close(self) -> None:
        """Closes the file; a file object given by the caller stays open."""
        self._packets = None
        self._demuxer.close()

    def __len__(self) -> int:
        return len(self.index.times)

    def time(self, number: int) -> Fraction:
        """When a frame is due, in seconds."""
        return self.index.times[self._checked(number)] * self.index.time_base

    def number_at(self, seconds: Fraction | float) -> int:
        """The frame that shows at a time: the last one that is due by then, or the first."""
        tick = math.floor(Fraction(seconds) / self.index.time_base)
        return max(0, bisect_right(self.index.times, tick) - 1)

    def _checked(self, number: int) -> int:
        count = len(self)
        if not -count <= number < count:
            raise IndexError(f"{self.name} has {count} frames: there is no {number}")
        return number % count

    def frame(self, number: int) -> Frame:
        """A frame as it is coded; its `pts` is the packet's own.

        Raises:
            IndexError: there is no such frame.
            BitstreamError: it is damaged, or one between it and its keyframe.
            ModelNotFoundError: the model is not installed.
        """
        number = self._checked(number)
        if self._last is not None and self._last[0] == number:
            return self._last[1]
        keyframe = self.index.keyframes[bisect_right(self.index.keyframes, number) - 1]
        if self._packets is None or not keyframe <= self._next <= number:
            self._go_to(keyframe)
        try:
            frame = self._decode_up_to(number)
        except BaseException:
            self._packets = None
            raise
        self._last = (number, frame)
        return frame

    def _decode_up_to(self, number: int) -> Frame:
        assert self._packets is not None
        for packet in self._packets:
            try:
                frames = self._decoder.decode(packet.data, pts=packet.pts)
            except BitstreamError as error:
                error.packet = self._next
                raise
            self._next += 1
            if self._next > number:
                return frames[0]
        raise MediaError(f"{self.name} has become shorter: frame {number} is gone")

    def _go_to(self, keyframe: int) -> None:
        """Makes a keyframe's packet the next one."""
        time = self.index.times[keyframe]
        self._demuxer.seek(time * self.index.time_base, track=self.track)
        self._decoder.reset()
        self._packets = self._from(time)
        self._next = keyframe

    def _from(self, time: int) -> Iterator[BsqPacket]:
        """Packets of the track from a keyframe's time on."""
        begun = False
        # In joined files times are as exact as the container's, and the seek may land before.
        earliest = time - ROUNDING / self.index.time_base
        for packet in self._demuxer.packets_of(self.track):
            if not begun and packet.keyframe and packet.pts is not None:
                begun = packet.pts >= earliest
            if begun:
                yield packet

    def _scan(self) -> FrameIndex:
        times: list[int] = []
        keyframes: list[int] = []
        skipped = 0
        for packet in self._demuxer.packets_of(self.track):
            skipped += packet.before_keyframe
            if packet.pts is None:
                continue
            if packet.keyframe:
                keyframes.append(len(times))
            if keyframes:
                times.append(packet.pts)
        if skipped:
            warnings.warn(f"{self.name}: {skipped_notice(skipped)}", BsqWarning, stacklevel=3)
        return FrameIndex(tuple(times), tuple(keyframes), self.track.time_base)
