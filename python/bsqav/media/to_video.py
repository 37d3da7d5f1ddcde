"""Writing other codecs: frames through an encoder of FFmpeg's into any of its containers."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from bsqav.errors import UnsupportedError, UsageError
from bsqav.media.audio_convert import AudioConverter
from bsqav.media.contents import av_chapters, chapters_of, metadata_of
from bsqav.media.decoding import AvPacket
from bsqav.media.embedded_model import is_model
from bsqav.media.facts import turn_planes, turned
from bsqav.media.source import Source, SourceFrame
from bsqav.media.subtitles import subrip_to_mov_text, to_subrip
from bsqav.media.tracks import cut_chapters, describe, leave_out, unused_streams
from bsqav.media.video_encoder import VideoEncoder, VideoSettings

__all__ = ["VideoSink", "container_format", "default_encoder"]

_FORMATS = {
    ".3gp": "3gp",
    ".avi": "avi",
    ".flv": "flv",
    ".gif": "gif",
    ".m2ts": "mpegts",
    ".m4v": "mp4",
    ".mkv": "matroska",
    ".mov": "mov",
    ".mp4": "mp4",
    ".mxf": "mxf",
    ".nut": "nut",
    ".ogv": "ogg",
    ".qt": "mov",
    ".ts": "mpegts",
    ".webm": "webm",
    ".wmv": "asf",
    ".y4m": "yuv4mpegpipe",
}
_ENCODERS = {
    "gif": "gif",
    "ogg": "libvpx",
    "webm": "libvpx-vp9",
    "yuv4mpegpipe": "wrapped_avframe",
}
# Containers that say how pictures are to be turned; for all others they are turned before.
_KEEPS_ROTATION = {"3g2", "3gp", "ipod", "ismv", "matroska", "mov", "mp4", "psp", "webm"}
# Containers that count pictures and hold no times.
_WITHOUT_TIMES = {"h264", "hevc", "m4v", "mjpeg", "obu", "rawvideo", "yuv4mpegpipe"}
# Text subtitles become what the container has; ASS stays as it is where that is possible.
_TEXT_CODECS = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
_TEXT_SOURCES = {"subrip", "ass", "mov_text", "webvtt"}
_KEEPS_ASS = {"matroska"}
_ASS_HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\n"
    b"Style: Default,Arial,16\n\n[Events]\nFormat: Layer, Start, End, Style, Text\n"
)


def container_format(path: str | None, named: str | None) -> str:
    """FFmpeg's name of the container for an output.

    Raises:
        UsageError: neither the extension nor the name says which.
    """
    if named is not None:
        if named not in av.formats_available:
            raise UsageError(f"there is no container format {named!r}")
        return named
    suffix = Path(path).suffix.lower() if path else ".nut"
    if suffix in _FORMATS:
        return _FORMATS[suffix]
    if suffix[1:] in av.formats_available:
        return suffix[1:]
    if suffix == ".m3u8":
        raise UsageError(f"{path}: HLS is written with BSQ video (-c:v bsq, or copy of a BSQ file)")
    raise UsageError(
        f"{path}: the extension {suffix or '(none)'} names no container: take one of "
        f"{', '.join(sorted(_FORMATS))}, or say --format NAME"
    )


def default_encoder(container: str) -> str:
    """The video encoder for a container where none is named: H.264 nearly everywhere."""
    return _ENCODERS.get(container, "libx264")


class VideoSink:
    """Takes frames and packets and writes a file with video of another codec.

    Args:
        target: path or writable file of bytes.
        source: where the frames come from.
        settings: how to encode them.
        warn: takes a sentence on everything that is changed or left out.

    Raises:
        UsageError, UnsupportedError: no such encoder, or it does not go with the container.
    """

    def __init__(
        self, target: Any, source: Source, settings: VideoSettings, warn: Callable[[str], None]
    ) -> None:
        self._source, self._settings, self._warn = source, settings, warn
        self._format = settings.format or "nut"
        self.codec = settings.encoder or default_encoder(self._format)
        self.frames = 0
        self.bytes = 0
        self.video_bytes = 0
        self.sent = 0
        self._copied: dict[int, Any] = {}
        self._texts: dict[int, tuple[Any, str]] = {}
        self._converted: dict[int, tuple[Any, AudioConverter]] = {}
        self._first_packets: list[AvPacket] = []
        if isinstance(target, str | os.PathLike):
            target = f"file:{os.fspath(target)}"  # a name with a colon is no protocol
        self._container: Any = av.open(target, "w", format=self._format)
        try:
            rate = Fraction(source.stream.average_rate or 25)
            facts = source.facts
            if self._format in _WITHOUT_TIMES and facts.frame_rate is None:
                warn(
                    f"{self._format} has a constant rate, {float(rate):g} pictures a second: the "
                    "times of a variable rate are lost"
                )
            self._turn = 0 if self._format in _KEEPS_ROTATION else facts.rotation
            if self._turn:
                facts = turned(facts)
            self._encoder = VideoEncoder(self._container, self.codec, facts, rate, settings, warn)
            self._encoder.stream.metadata.update(metadata_of(source.stream))
            self._add_tracks()
            self._add_contents()
            self._open()
        except BaseException:
            self.abort()
            raise

    def write(self, frame: SourceFrame) -> None:
        """Encodes one frame and writes the packets that are ready."""
        self.sent += 1
        planes = turn_planes(frame.planes, self._turn) if self._turn else frame.planes
        self._mux(self._encoder.encode(planes, frame.pts, frame.duration))

    # ---- the other tracks ----

    def _add_tracks(self) -> None:
        left = unused_streams(self._source.other_streams())
        for stream in self._source.other_streams():
            if stream.type == "audio":
                left += self._add_audio(stream)
            elif stream.type == "subtitle":
                left += self._add_subtitles(stream)
        leave_out(left, strict=self._settings.strict, warn=self._warn)

    def _add_audio(self, stream: Any) -> list[tuple[Any, str]]:
        """Adds a sound track; answers what has to be left out."""
        audio = self._settings.audio
        if audio == "none":
            return []
        if audio == "copy":
            try:
                track = self._container.add_stream_from_template(stream)
            except (ValueError, av.FFmpegError):
                audio = self._container.default_audio_codec
                if audio == "none":
                    return [(stream, f"{self._format} holds no sound")]
                if self._settings.strict:
                    return [(stream, f"{self._format} cannot carry its codec")]
                self._warn(
                    f"{describe(stream)} is encoded to {audio}: {self._format} cannot carry it"
                )
            else:
                self._copied[stream.index] = self._describe_like(track, stream)
                return []
        encoder = {"opus": "libopus", "vorbis": "libopus", "mp3": "libmp3lame"}.get(audio, audio)
        try:
            track = self._container.add_stream(encoder, rate=stream.codec_context.sample_rate)
        except (ValueError, av.FFmpegError) as error:
            raise UnsupportedError(f"sound cannot be encoded with {encoder}: {error}") from error
        converter = AudioConverter(stream, encoder, track.codec_context)
        self._converted[stream.index] = (self._describe_like(track, stream), converter)
        return []

    def _add_subtitles(self, stream: Any) -> list[tuple[Any, str]]:
        """Adds a subtitle track; answers what has to be left out."""
        context = stream.codec_context
        codec = context.codec.canonical_name if context is not None else "unknown"
        target = _TEXT_CODECS.get(self._format)
        keeps = codec == target or (codec == "ass" and self._format in _KEEPS_ASS)
        if target is not None and codec in _TEXT_SOURCES and not keeps:
            track = self._container.add_stream(target)
            track.codec_context.subtitle_header = _ASS_HEADER
            self._texts[stream.index] = (self._describe_like(track, stream), target)
            return []
        try:
            track = self._container.add_stream_from_template(stream)
        except (ValueError, av.FFmpegError):
            return [(stream, f"{self._format} cannot carry it")]
        self._copied[stream.index] = self._describe_like(track, stream)
        return []

    def _describe_like(self, track: Any, stream: Any) -> Any:
        track.metadata.update(metadata_of(stream))
        track.disposition = stream.disposition
        return track

    def put(self, packet: AvPacket) -> None:
        """Writes a packet of another track."""
        index = packet.stream_index
        if index in self._copied:
            packet.stream = self._copied[index]
            self._mux([packet])
        elif index in self._texts:
            self._mux_text(packet, *self._texts[index])
        elif index in self._converted:
            track, converter = self._converted[index]
            self._mux_as(track, converter.convert(packet))

    def _mux_text(self, packet: AvPacket, track: Any, codec: str) -> None:
        data = to_subrip(packet.stream.codec_context.codec.canonical_name, bytes(packet))
        if not data.strip():
            return  # MOV marks silence with empty packets
        text = av.Packet(subrip_to_mov_text(data) if codec == "mov_text" else data)
        text.pts = text.dts = packet.pts
        text.duration, text.time_base = packet.duration, packet.time_base
        text.stream = track
        self._mux([text])

    def _mux_as(self, track: Any, packets: list[Any]) -> None:
        for packet in packets:
            packet.stream = track
        self._mux(packets)

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            self.bytes += packet.size
            if packet.stream is self._encoder.stream:
                self.frames += 1
                self.video_bytes += packet.size
            self._container.mux(packet)

    # ---- all around ----

    def _add_contents(self) -> None:
        source = self._source
        self._container.metadata.update(metadata_of(source.container))
        chapters = cut_chapters(
            chapters_of(source.container), origin=source.origin, duration=source.cut_duration
        )
        self._container.set_chapters(av_chapters(chapters))
        for attachment in source.attachments():
            if is_model(attachment):
                continue  # for BSQ, which this video is not
            if self._format == "matroska":
                self._container.add_attachment(
                    attachment.name, attachment.mimetype, attachment.data
                )
            elif not self._add_cover(attachment):
                self._warn(f"attachment {attachment.name} is left out: {self._format} holds none")

    def _add_cover(self, attachment: Any) -> bool:
        codec = {"image/jpeg": "mjpeg", "image/png": "png"}.get(attachment.mimetype)
        size = _picture_size(attachment.data)
        if codec is None or size is None or self._format != "mp4":
            return False
        track = self._container.add_mux_stream(codec, width=size[0], height=size[1])
        track.disposition = av.stream.Disposition.attached_pic
        packet = av.Packet(attachment.data)
        packet.stream, packet.pts, packet.dts = track, 0, 0
        packet.time_base = Fraction(1, 90000)
        self._first_packets.append(packet)
        return True

    def _open(self) -> None:
        try:
            self._container.start_encoding()
        except (ValueError, av.FFmpegError) as error:
            raise UnsupportedError(
                f"{self.codec} video cannot be written as {self._format}: {error}"
            ) from error
        for packet in self._first_packets:
            self._container.mux(packet)

    def finish(self) -> None:
        """Writes what was held back and finishes the file."""
        self._mux(self._encoder.flush())
        for track, converter in self._converted.values():
            self._mux_as(track, converter.finish())
        self._container.close()

    def abort(self) -> None:
        """Leaves the file as far as it is."""
        with contextlib.suppress(Exception):
            self._container.close()


def _picture_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a picture file, None where it cannot be read."""
    try:
        with av.open(io.BytesIO(data)) as container:
            stream = container.streams.video[0]
            return stream.width, stream.height
    except (av.FFmpegError, IndexError, AttributeError):
        return None
