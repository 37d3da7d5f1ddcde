"""The text tracks of a MOV or MP4 file: one time base for all, samples in step with the others."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
from av.container import OutputContainer

from bsqav.media.io.types import AvPacket, decoder_of
from bsqav.media.mux.text_track import TextSample, TextTrack

__all__ = ["MILLISECONDS", "MovTexts"]

MILLISECONDS = Fraction(1, 1000)
# The finest time base outside fragments: FFmpeg's muxer counts samples of up to 2^31 ticks.
_FINEST = 90_000


class MovTexts:
    """Takes texts and gives the packets of mov_text that are due.

    Args:
        container: the output file.
        gapless: the file is fragmented, so the silence between texts is written too.
    """

    def __init__(self, container: OutputContainer, *, gapless: bool) -> None:
        self._container, self._gapless = container, gapless
        self._tracks: dict[int, TextTrack] = {}

    def __contains__(self, index: int) -> bool:
        return index in self._tracks

    def __bool__(self) -> bool:
        return bool(self._tracks)

    def add_track(self, index: int) -> None:
        """A stream of the container holds mov_text."""
        self._tracks[index] = TextTrack(MILLISECONDS, gapless=self._gapless)

    def choose_time_base(self) -> None:
        """Chooses the time base: FFmpeg compares the ticks of texts with those of all tracks.

        To be called once all streams have been added.
        """
        if not self._tracks:
            return
        rates = [1000]
        for stream in self._container.streams:
            context = decoder_of(stream)
            if isinstance(context, av.AudioCodecContext):
                rates.append(context.sample_rate)
            elif isinstance(context, av.VideoCodecContext) and context.time_base:
                rate = context.time_base.denominator
                while rate < 10_000:  # as the muxer does
                    rate *= 2
                rates.append(rate)
        tick = Fraction(1, max(rates) if self._gapless else min(max(rates), _FINEST))
        for index in self._tracks:
            stream = self._container.streams[index]
            stream.time_base = tick
            if stream.codec_context.is_encoder:
                stream.codec_context.time_base = tick
            self._tracks[index] = TextTrack(tick, gapless=self._gapless)

    def add_text(self, index: int, start: Fraction, duration: Fraction, data: bytes) -> None:
        """Takes a text; times in seconds, a duration of 0 is an unknown one."""
        track = self._tracks[index]
        track.add(round(start / track.time_base), round(duration / track.time_base), data)

    def due_before(self, packet: AvPacket) -> Iterator[AvPacket]:
        """The packets that are due before one of another track."""
        time = Fraction((packet.dts or 0) * packet.time_base)
        video = packet.stream.type == "video" and packet.is_keyframe
        for index, track in self._tracks.items():
            ticks = -(-time // track.time_base)
            for sample in track.until(int(ticks)):
                yield self._packet(index, sample)
            if video and self._gapless:
                track.keyframe(int(ticks))

    def finish(self) -> Iterator[AvPacket]:
        """The packets that were held back."""
        for index, track in self._tracks.items():
            for sample in track.finish():
                yield self._packet(index, sample)

    def _packet(self, index: int, sample: TextSample) -> AvPacket:
        packet: AvPacket = av.Packet(sample.data)
        packet.pts = packet.dts = sample.start
        packet.duration = sample.duration
        packet.time_base = self._tracks[index].time_base
        packet.is_keyframe = True
        packet.stream = self._container.streams[index]
        return packet
