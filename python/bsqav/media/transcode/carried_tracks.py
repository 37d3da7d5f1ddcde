"""All tracks but the video on their way into an output: copied, converted, or left out and named.

The one place that decides this, for every container and every video codec.
"""

from __future__ import annotations

from typing import Protocol

import av
from av.stream import Stream

from bsqav.errors import UnsupportedError
from bsqav.media.io.types import AvPacket, Warn
from bsqav.media.metadata.codec_names import codec_name
from bsqav.media.metadata.file_metadata import metadata_of
from bsqav.media.mux.audio import without_sound
from bsqav.media.mux.base import Muxer
from bsqav.media.mux.format_rules import SOUND_RATES
from bsqav.media.transcode.audio_convert import AudioConverter
from bsqav.media.transcode.tracks import describe, leave_out, unused_streams

__all__ = ["CarriedTracks", "carry_tracks"]

# FFmpeg's own encoders of these are experiments.
_BETTER = {"opus": "libopus", "vorbis": "libopus", "mp3": "libmp3lame"}


class CarriedTracks:
    """Copies, or converts, the packets of other tracks into a muxer."""

    def __init__(self, muxer: Muxer, warn: Warn) -> None:
        self._muxer, self._warn = muxer, warn
        self._copied: dict[int, int] = {}
        self._converted: dict[int, tuple[int, AudioConverter]] = {}
        self._placed: set[int] = set()  # subtitles of which that was said

    def copy(self, stream: Stream) -> None:
        """Carries a track as it is."""
        self._copied[stream.index] = self._muxer.copy_stream(stream)

    def convert(self, stream: av.AudioStream, encoder: str) -> None:
        """Carries an audio track in another codec.

        Raises:
            UnsupportedError: it cannot be decoded, or the encoder or the container refuses it.
        """
        if encoder == "vorbis":
            self._warn(f"{describe(stream)} is encoded to opus: FFmpeg's vorbis is an experiment")
        rate = SOUND_RATES.get(self._muxer.format)
        converter = AudioConverter(stream, _BETTER.get(encoder, encoder), self._warn, rate)
        track = self._muxer.add_audio(
            converter.context, metadata=metadata_of(stream), disposition=int(stream.disposition)
        )
        self._converted[stream.index] = (track, converter)

    def put(self, packet: AvPacket) -> int:
        """Writes one packet of the input; returns the bytes written."""
        index = packet.stream_index
        if index in self._copied:
            self._look_at_positions(packet)
            size = packet.size
            self._muxer.mux_packet(self._copied[index], packet)
            return size
        if index in self._converted:
            track, converter = self._converted[index]
            return self._mux(track, converter.convert(packet))
        return 0

    def _look_at_positions(self, packet: AvPacket) -> None:
        """WebVTT has the position of each text, which no output here keeps."""
        stream = packet.stream
        if stream.type != "subtitle" or stream.index in self._placed:
            return
        if packet.has_sidedata("webvtt_settings"):
            self._placed.add(stream.index)
            self._warn(f"{describe(stream)}: where its texts are shown is left out")

    def finish(self) -> int:
        """Writes what the converters held back; returns the bytes written."""
        return sum(self._mux(track, conv.finish()) for track, conv in self._converted.values())

    def _mux(self, track: int, packets: list[AvPacket]) -> int:
        for packet in packets:
            self._muxer.mux_packet(track, packet)
        return sum(packet.size for packet in packets)


class TrackSettings(Protocol):
    """What happens to the tracks beside the video."""

    @property
    def audio(self) -> str:
        """What becomes of sound: "copy", "none", or FFmpeg's name of an encoder."""

    @property
    def strict(self) -> bool:
        """Refuse what would be left out, or converted without being asked."""


def carry_tracks(
    muxer: Muxer, streams: list[Stream], settings: TrackSettings, warn: Warn
) -> CarriedTracks:
    """Decides what happens to every track but the video.

    Args:
        muxer: where they go, see `bsqav.media.mux.base.Muxer`.
        streams: PyAV streams of the input.
        settings: what happens to sound, and whether a loss is an error.
        warn: takes a sentence on everything that is changed or left out.

    Raises:
        UnsupportedError: strict, and a track would be left out; or the encoder that is named
            does not do.
    """
    audio, strict = settings.audio, settings.strict
    tracks = CarriedTracks(muxer, warn)
    left = unused_streams(streams)
    for stream in streams:
        if stream.type == "subtitle":
            reason = muxer.refuses(stream)
        elif isinstance(stream, av.AudioStream) and audio != "none":
            reason = without_sound(stream)
            if reason is None and audio != "copy":
                tracks.convert(stream, audio)
                continue
            if reason is None:
                reason = muxer.refuses(stream)
                if reason and not strict:
                    reason = _convert_instead(tracks, muxer, stream, reason, warn)
                    if reason is None:
                        continue
        else:
            continue
        if reason is None:
            tracks.copy(stream)
        else:
            left.append((stream, reason))
    leave_out(left, strict=strict, warn=warn)
    return tracks


def _convert_instead(
    tracks: CarriedTracks, muxer: Muxer, stream: av.AudioStream, reason: str, warn: Warn
) -> str | None:
    """Converts sound that cannot be copied, and says so; why not, where that fails."""
    encoder = muxer.audio_encoder(codec_name(stream))
    if encoder is None:
        return f"{muxer.format} holds no sound"
    encoder = _BETTER.get(encoder, encoder)
    try:
        tracks.convert(stream, encoder)
    except UnsupportedError as error:
        return f"{reason}, and {error}"
    shown = encoder.removeprefix("lib")
    warn(f"{describe(stream)} is encoded to {shown}: {reason}")
    return None
