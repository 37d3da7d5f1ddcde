"""Packets of one track on their way into a Matroska file: their times, and their data as stored."""

from __future__ import annotations

from fractions import Fraction

from bsqav.errors import MediaError
from bsqav.media.io.types import AvPacket
from bsqav.media.mux import matroska_tracks as entries
from bsqav.media.mux.audio import AdtsUnpacker, adts_to_config, split_adts
from bsqav.media.mux.interleave import Entry
from bsqav.media.mux.subtitles import to_subrip

__all__ = ["TrackPackets"]

NANOSECONDS = 1_000_000_000
# Sound that begins before zero is marked as codec delay up to here; beyond, all tracks move.
MAX_CODEC_DELAY = NANOSECONDS // 2


class TrackPackets:
    """A track's entry in the header, and where its packets have come to.

    Args:
        entry: the entry.
        codec: FFmpeg's name of the codec.
        sample_rate: 0 where it is no sound.
    """

    def __init__(self, entry: entries.TrackEntry, codec: str, sample_rate: int) -> None:
        self.entry = entry
        self.codec = codec
        self.first_time: int | None = None  # nanoseconds
        self.last_time: int | None = None  # of the last block written, in timestamp units
        self.adts: AdtsUnpacker | None = None  # of a track that may be ADTS
        self._sample_rate = sample_rate
        self._next_time: int | None = None  # nanoseconds: where a packet without a time would go
        self._priming = 0  # nanoseconds of sound to drop at the start, as the input says

    def unpack(self, packet: AvPacket) -> bytes:
        """The data of a PyAV packet without an ADTS header; the entry takes what that says."""
        data = bytes(packet)
        if self.adts is not None:
            data, config = self.adts.unpack(packet, data)
            self.entry.private = self.entry.private or config
        return data

    def discard_of(self, packet: AvPacket) -> int:
        """Nanoseconds of sound to drop at a packet's end; notes what is dropped at the start."""
        rate = self._sample_rate
        if not rate or not packet.has_sidedata("skip_samples"):
            return 0
        skip = bytes(packet.get_sidedata("skip_samples"))
        if len(skip) < 8:
            return 0
        if self.first_time is None:
            self._priming = int.from_bytes(skip[:4], "little") * NANOSECONDS // rate
        return int.from_bytes(skip[4:8], "little") * NANOSECONDS // rate

    def stored(self, data: bytes) -> bytes:
        """A packet's data as Matroska stores it."""
        if self.codec == "aac" and not self.entry.private:
            parts = split_adts(data)
            if parts is None:
                raise MediaError("the AAC track has neither a configuration nor ADTS headers")
            self.entry.private = adts_to_config(parts[0])
            return parts[1]
        if self.codec == "aac" and data[:1] == b"\xff":
            parts = split_adts(data)
            return parts[1] if parts else data
        if self.entry.codec_id == "S_TEXT/UTF8":
            return to_subrip(self.codec, data)
        return data

    def place(self, pts: int | None, duration: int, time_base: Fraction) -> tuple[int, int] | None:
        """A packet's time and duration in nanoseconds; None where the first one has no time."""
        ticks = time_base.numerator * NANOSECONDS
        length = (2 * max(0, duration) * ticks + time_base.denominator) // (
            2 * time_base.denominator
        )
        if pts is not None:
            time = (2 * pts * ticks + time_base.denominator) // (2 * time_base.denominator)
        elif self._next_time is not None:
            time = self._next_time
        else:
            return None
        return time, length

    def take(self, time: int, length: int) -> None:
        """Notes where a packet is that is written."""
        if self.first_time is None:
            self.first_time = time
        self._next_time = time + length

    def fix_delay(self) -> int:
        """The earliest block time in nanoseconds, once sound before zero is marked as delay.

        Sound often begins a little early (the encoder's priming samples); CodecDelay says so.
        """
        if self.first_time is None:
            return 0
        if self.entry.kind == entries.AUDIO:
            # What the input says is counted in samples; its times may be rounded.
            delay = self._priming or -self.first_time
            if 0 < delay <= MAX_CODEC_DELAY:
                self.entry.codec_delay = max(self.entry.codec_delay, delay)
        return self.first_time + self.entry.codec_delay

    def implies_duration(self, entry: Entry, until: int | None, scale: int, *, last: bool) -> bool:
        """Whether readers can tell how long a frame is shown without being told."""
        constant = self.entry.default_duration
        if constant:
            return abs(entry.duration - constant) <= scale
        if until is None:
            return not last
        return abs(entry.end - until) <= 2 * scale
