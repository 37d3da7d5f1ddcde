"""Sound in another codec: decodes, resamples where the encoder needs it, and encodes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
from av.audio.resampler import AudioResampler
from av.codec.context import Flags

from bsqav.errors import UnsupportedError

__all__ = ["AudioConverter"]

# Bits per second and channel for encoders that have no useful default.
_BIT_RATE_PER_CHANNEL = 80_000


def _nearest(wanted: int, choices: Any) -> int:
    """The smallest of the encoder's sampling rates that loses nothing, else the largest."""
    rates: list[int] = sorted(choices or ())
    if not rates or wanted in rates:
        return wanted
    return next((rate for rate in rates if rate > wanted), rates[-1])


class AudioConverter:
    """Turns the packets of a sound track into packets of another codec.

    Args:
        stream: the PyAV input stream.
        encoder: FFmpeg's name of the encoder, e.g. "aac" or "libopus".
        context: an encoder context to use (of an output stream); one is made where None.

    Raises:
        UnsupportedError: there is no such encoder, or the track cannot be decoded.
    """

    def __init__(self, stream: Any, encoder: str, context: Any = None) -> None:
        if stream.codec_context is None:
            raise UnsupportedError(f"track {stream.index}: FFmpeg cannot decode this sound")
        self._stream = stream
        try:
            codec = av.Codec(encoder, "w")
        except (av.FFmpegError, ValueError) as error:
            raise UnsupportedError(f"there is no sound encoder {encoder!r}") from error
        if codec.type != "audio":
            raise UnsupportedError(f"{encoder} encodes {codec.type}, not sound")
        if context is None:
            context = av.CodecContext.create(encoder, "w")
            # Containers keep the codec's setup apart from its packets.
            context.flags |= Flags.global_header
        self.context = context
        rate = _nearest(stream.codec_context.sample_rate, codec.audio_rates)
        self.context.sample_rate = rate
        self.context.layout = stream.codec_context.layout
        formats = codec.audio_formats
        if formats:
            self.context.format = formats[0]
        self.context.time_base = Fraction(1, rate)
        if not codec.canonical_name.startswith(("pcm", "flac")):
            self.context.bit_rate = _BIT_RATE_PER_CHANNEL * stream.codec_context.channels
        context.open()
        self._resampler: AudioResampler | None = None

    def convert(self, packet: Any) -> list[Any]:
        """Packets that are ready after one packet of the input."""
        try:
            frames = packet.decode()
        except av.FFmpegError:
            return []  # the gap is heard, and the track goes on
        return self._encode(frames)

    def finish(self) -> list[Any]:
        """Packets that were held back."""
        try:
            frames = self._stream.decode(None)
        except av.FFmpegError:
            frames = []
        packets = self._encode(frames)
        if self._resampler is not None:
            for frame in self._resampler.resample(None):
                packets += self.context.encode(frame)
        return packets + list(self.context.encode(None))

    def _encode(self, frames: list[Any]) -> list[Any]:
        packets: list[Any] = []
        for frame in frames:
            if self._resampler is None:
                self._resampler = AudioResampler(
                    self.context.format,
                    self.context.layout,
                    self.context.sample_rate,
                    frame_size=self.context.frame_size or None,
                )
            for resampled in self._resampler.resample(frame):
                packets += self.context.encode(resampled)
        return packets
