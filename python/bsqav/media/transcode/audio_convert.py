"""Sound in another codec: decodes, resamples where the encoder needs it, and encodes."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.format import AudioFormat
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.codec import Codec
from av.codec.context import Flags

from bsqav.errors import UnsupportedError
from bsqav.media.io.ffmpeg_log import captured_log, error_message
from bsqav.media.io.types import AvPacket, Warn, decoder_of
from bsqav.media.mux.audio import layout_of
from bsqav.media.transcode.encoder_names import find_encoder

__all__ = ["AudioConverter"]

# Bits per second and channel for encoders that have no useful default.
_BIT_RATE_PER_CHANNEL = 80_000


def _nearest(wanted: int, choices: Sequence[int] | None) -> int:
    """The smallest of the encoder's sampling rates that loses nothing, else the largest."""
    rates = sorted(choices or ())
    if not rates or wanted in rates:
        return wanted
    return next((rate for rate in rates if rate > wanted), rates[-1])


def _format(codec: Codec, own: AudioFormat) -> AudioFormat | None:
    """The encoder's sample format nearest to a track's: the same, or one of no fewer bits."""
    choices = list(codec.audio_formats or ())

    def distance(form: AudioFormat) -> tuple[bool, bool, int]:
        other = form.packed.name != own.packed.name
        return other, form.bits < own.bits, abs(form.bits - own.bits)

    return min(choices, key=distance, default=None)


def _fitting(codec: Codec, context: AudioCodecContext, rate: int) -> str:
    """The layout nearest to a track's that an encoder opens with.

    Raises:
        UnsupportedError: it opens with none.
    """
    own = layout_of(context)
    tried = [own, f"{context.channels}c", "stereo", "mono"]
    for layout in dict.fromkeys(tried):
        trial = _encoder(codec)
        trial.sample_rate, trial.layout = rate, layout
        if (form := _format(codec, context.format)) is not None:
            trial.format = form
        trial.time_base = Fraction(1, rate)
        if codec.name == "libopus":
            trial.bit_rate = _BIT_RATE_PER_CHANNEL
        try:
            with captured_log() as lines:
                trial.open()
        except (av.FFmpegError, ValueError) as error:
            failure = error_message(error, lines)
            continue
        return layout
    raise UnsupportedError(
        f"{codec.name} does not take sound of {rate} Hz, {context.layout.name} ({failure}): name "
        "another encoder (-c:a)"
    )


def _encoder(codec: Codec) -> AudioCodecContext:
    context = av.CodecContext.create(codec.name, "w")
    assert isinstance(context, AudioCodecContext)
    return context


class AudioConverter:
    """Turns the packets of a sound track into packets of another codec.

    Args:
        stream: the PyAV input stream.
        encoder: FFmpeg's name of the encoder, e.g. "aac" or "libopus".
        warn: takes a sentence where channels are lost.
        rate: sampling rate in hertz; the nearest to the track's own where None.

    Raises:
        UnsupportedError: there is no such encoder, or the track cannot be decoded.
    """

    def __init__(
        self,
        stream: av.AudioStream,
        encoder: str,
        warn: Warn = lambda _: None,
        rate: int | None = None,
    ) -> None:
        if decoder_of(stream) is None:
            raise UnsupportedError(f"track {stream.index}: FFmpeg cannot decode this sound")
        self._stream = stream
        codec = find_encoder(encoder, "audio")
        self.context = _encoder(codec)
        # Containers keep the codec's setup apart from its packets.
        self.context.flags |= Flags.global_header
        if (layout := layout_of(stream.codec_context)) != stream.codec_context.layout.name:
            stream.codec_context.layout = layout  # which its frames then have
        rate = _nearest(rate or stream.codec_context.sample_rate, codec.audio_rates)
        self.context.sample_rate = rate
        self.context.layout = _fitting(codec, stream.codec_context, rate)
        channels = self.context.layout.nb_channels
        if channels < stream.codec_context.channels:
            warn(
                f"track {stream.index}: {stream.codec_context.channels} channels of sound become "
                f"{channels}: {encoder} takes no more"
            )
        if (form := _format(codec, stream.codec_context.format)) is not None:
            self.context.format = form
        self.context.time_base = Fraction(1, rate)
        if not codec.canonical_name.startswith(("pcm", "flac")):
            self.context.bit_rate = _BIT_RATE_PER_CHANNEL * channels
        context = self.context
        try:
            with captured_log() as lines:
                context.open()
        except (av.FFmpegError, ValueError) as error:
            raise UnsupportedError(
                f"track {stream.index}: {encoder} does not take sound of {rate} Hz, "
                f"{context.layout.name} ({error_message(error, lines)}): name another encoder "
                "(-c:a)"
            ) from error
        self._form: tuple[str, str, int] | None = None  # of the frames that come in
        self._resampler: AudioResampler | None = None
        self._framer = AudioResampler(
            context.format, context.layout, rate, frame_size=context.frame_size or None
        )

    def convert(self, packet: av.Packet[av.AudioStream]) -> list[AvPacket]:
        """Packets that are ready after one packet of the input."""
        try:
            frames = packet.decode()
        except av.FFmpegError:
            return []  # the gap is heard, and the track goes on
        return self._encode(frames)

    def finish(self) -> list[AvPacket]:
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

    def _encode(self, frames: Sequence[AudioFrame]) -> list[AvPacket]:
        packets: list[AvPacket] = []
        for frame in frames:
            packets += self._encode_even(self._uniform(frame))
        return packets

    def _uniform(self, frame: AudioFrame) -> list[AudioFrame]:
        """A frame in the encoder's own form; what the track is like may change on the way."""
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        rest: list[AudioFrame] = []
        if self._resampler is None or form != self._form:
            rest = self._rest()
            self._resampler = AudioResampler(
                self.context.format, self.context.layout, self.context.sample_rate
            )
            self._form = form
        return rest + self._resampler.resample(frame)

    def _rest(self) -> list[AudioFrame]:
        """What the resampler still holds."""
        return [] if self._resampler is None else self._resampler.resample(None)

    def _encode_even(self, frames: Sequence[AudioFrame]) -> list[AvPacket]:
        """Packets of frames in the encoder's form, cut to the length that it takes."""
        packets: list[AvPacket] = []
        tick = Fraction(1, self.context.sample_rate)
        for frame in filter(None, frames):
            if frame.pts is not None and frame.time_base is not None:
                frame.pts, frame.time_base = round(frame.pts * frame.time_base / tick), tick
            for part in filter(None, self._framer.resample(frame)):
                packets += self.context.encode(part)
        return packets
