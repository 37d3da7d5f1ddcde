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


def _layout(context: Any) -> str:
    """The name of a track's channel layout; the usual one where only their number is known."""
    name: str = context.layout.name
    return f"{context.channels}c" if name.endswith("channels") else name


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
        self.context.layout = _layout(stream.codec_context)
        formats = codec.audio_formats
        if formats:
            self.context.format = formats[0]
        self.context.time_base = Fraction(1, rate)
        if not codec.canonical_name.startswith(("pcm", "flac")):
            self.context.bit_rate = _BIT_RATE_PER_CHANNEL * stream.codec_context.channels
        try:
            context.open()
        except (av.FFmpegError, ValueError) as error:
            raise UnsupportedError(
                f"track {stream.index}: {encoder} does not take sound of {rate} Hz, "
                f"{context.layout.name}: name another encoder (-c:a)"
            ) from error
        self._form: tuple[str, str, int] | None = None  # of the frames that come in
        self._resampler: AudioResampler | None = None
        self._framer = AudioResampler(
            context.format, context.layout, rate, frame_size=context.frame_size or None
        )

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
        if self._form is not None:
            packets += self._encode_even(self._rest())
            for frame in filter(None, self._framer.resample(None)):
                packets += self.context.encode(frame)
        return packets + list(self.context.encode(None))

    def _encode(self, frames: list[Any]) -> list[Any]:
        packets: list[Any] = []
        for frame in frames:
            packets += self._encode_even(self._uniform(frame))
        return packets

    def _uniform(self, frame: Any) -> list[Any]:
        """A frame in the encoder's own form; what the track is like may change on the way."""
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        rest: list[Any] = []
        if self._resampler is None or form != self._form:
            rest = self._rest()
            self._resampler = AudioResampler(
                self.context.format, self.context.layout, self.context.sample_rate
            )
            self._form = form
        return rest + self._resampler.resample(frame)

    def _rest(self) -> list[Any]:
        """What the resampler still holds."""
        return [] if self._resampler is None else self._resampler.resample(None)

    def _encode_even(self, frames: list[Any]) -> list[Any]:
        """Packets of frames in the encoder's form, cut to the length that it takes."""
        packets: list[Any] = []
        tick = Fraction(1, self.context.sample_rate)
        for frame in filter(None, frames):
            if frame.pts is not None:
                frame.pts, frame.time_base = round(frame.pts * frame.time_base / tick), tick
            for part in filter(None, self._framer.resample(frame)):
                packets += self.context.encode(part)
        return packets
