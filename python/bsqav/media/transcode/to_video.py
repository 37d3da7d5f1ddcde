"""Writing other codecs: frames through an FFmpeg encoder into any FFmpeg container."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av

from bsqav.errors import UsageError
from bsqav.media.io.pipes import WholeWriter
from bsqav.media.io.types import AvPacket, MediaFile, Warn
from bsqav.media.metadata.file_metadata import Attachment, metadata_of
from bsqav.media.metadata.stream_info import turn_planes, turned
from bsqav.media.mux.ffmpeg_muxer import FRAGMENTED, FFmpegMuxer
from bsqav.media.mux.format_rules import MOV_FAMILY
from bsqav.media.mux.matroska_file import can_seek
from bsqav.media.mux.muxers import without_video
from bsqav.media.transcode.carried_metadata import carry_metadata
from bsqav.media.transcode.carried_tracks import carry_tracks
from bsqav.media.transcode.events import SourceFrame
from bsqav.media.transcode.sink import Sink
from bsqav.media.transcode.source import Source
from bsqav.media.transcode.video_encoder import VideoEncoder, VideoSettings

__all__ = ["VideoSink", "container_format", "default_encoder"]

_FORMATS = {
    ".3gp": "3gp",
    ".264": "h264",
    ".265": "hevc",
    ".avc": "h264",
    ".avi": "avi",
    ".flv": "flv",
    ".gif": "gif",
    ".h265": "hevc",
    ".m1v": "mpeg1video",
    ".m2ts": "mpegts",
    ".m2v": "mpeg2video",
    ".m4v": "mp4",
    ".mkv": "matroska",
    ".mov": "mov",
    ".mp4": "mp4",
    ".mpeg": "vob",
    ".mpg": "vob",
    ".mts": "mpegts",
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
    "apng": "apng",
    "dvd": "mpeg2video",
    "gif": "gif",
    "hevc": "libx265",
    "mjpeg": "mjpeg",
    "mpeg": "mpeg1video",
    "mpeg1video": "mpeg1video",
    "mpeg2video": "mpeg2video",
    "obu": "libsvtav1",
    "ogg": "libvpx",
    "vob": "mpeg2video",
    "webm": "libvpx-vp9",
    "webp": "libwebp_anim",
    "yuv4mpegpipe": "wrapped_avframe",
}
# Containers that keep a rotation; for all others the frames are rotated before.
_KEEPS_ROTATION = {"3g2", "3gp", "ipod", "ismv", "matroska", "mov", "mp4", "psp", "webm"}


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
    if lack := without_video(suffix):
        raise UsageError(f"{path}: {lack}")
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


class VideoSink(Sink):
    """Takes frames and packets and writes a file with video of another codec.

    Args:
        target: path or writable file of bytes.
        source: where the frames come from.
        settings: how to encode them.
        warn: takes a sentence on everything that is changed or left out.
        progressed: called while frames that were held back are written; what it raises comes out.

    Raises:
        UsageError, UnsupportedError: no such encoder, or it does not go with the container.
    """

    def __init__(
        self,
        target: MediaFile,
        source: Source,
        settings: VideoSettings,
        warn: Warn,
        progressed: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self._progressed = progressed
        self._format = settings.format or "nut"
        self.codec = settings.encoder or default_encoder(self._format)
        self._covers: list[tuple[int, AvPacket]] = []
        self._muxer = _open_muxer(target, self._format, warn)
        try:
            info = source.info
            self._turn = 0 if self._format in _KEEPS_ROTATION else info.rotation
            if self._turn:
                info = turned(info)
            self._encoder = VideoEncoder(self._muxer.container, self.codec, info, settings, warn)
            self._encoder.stream.metadata.update(metadata_of(source.stream))
            self._tracks = carry_tracks(self._muxer, source.other_streams(), settings, warn)
            carry_metadata(self._muxer, source, warn, add_cover=self._add_cover)
            self._muxer.start()
            for index, cover in self._covers:
                self._muxer.send(index, cover)
        except BaseException:
            self.abort()
            raise

    def write(self, frame: SourceFrame) -> None:
        """Encodes one frame and writes the packets that are ready."""
        self.sent += 1
        planes = turn_planes(frame.planes, self._turn) if self._turn else frame.planes
        self._mux(self._encoder.encode(planes, frame.pts, frame.duration))

    def put(self, packet: AvPacket) -> None:
        """Writes a packet of another track."""
        self.bytes += self._tracks.put(packet)

    def _mux(self, packets: list[AvPacket]) -> None:
        for packet in packets:
            self.bytes += packet.size
            self.frames += 1
            self.video_bytes += packet.size
            if packet.pts is not None and packet.time_base:
                self.end = max(
                    self.end, (packet.pts + (packet.duration or 0)) * Fraction(packet.time_base)
                )
            self._muxer.send(self._encoder.stream.index, packet)

    def _add_cover(self, attachment: Attachment) -> bool:
        codec = {"image/jpeg": "mjpeg", "image/png": "png"}.get(attachment.mimetype)
        size = _image_size(attachment.data)
        if codec is None or size is None or self._format != "mp4":
            return False
        track = self._muxer.container.add_mux_stream(codec, width=size[0], height=size[1])
        track.disposition = av.stream.Disposition.attached_pic
        packet: AvPacket = av.Packet(attachment.data)
        packet.pts = packet.dts = 0
        packet.time_base = Fraction(1, 90000)
        self._covers.append((track.index, packet))
        return True

    def finish(self) -> None:
        """Writes what was held back and finishes the file."""
        for packet in self._encoder.drain():
            self._mux([packet])
            self._progressed()
        self.bytes += self._tracks.finish()
        self._muxer.close()

    def abort(self) -> None:
        """Leaves the file as far as it was written."""
        self._muxer.abort()


def _open_muxer(target: MediaFile, format: str, warn: Warn) -> FFmpegMuxer:  # noqa: A002
    """A muxer for a path or a file object; in fragments where MOV or MP4 cannot seek."""
    options: dict[str, str] = {}
    output: str | WholeWriter
    if isinstance(target, str | os.PathLike):
        output = f"file:{os.fspath(target)}"  # a name with a colon is no protocol
    else:
        if format in MOV_FAMILY and not can_seek(target):
            options["movflags"] = FRAGMENTED
        output = WholeWriter(target)
    fragmented = bool(options)
    return FFmpegMuxer(output, format, options=options, fragmented=fragmented, warn=warn)


def _image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of an image file, None where it cannot be read."""
    try:
        with av.open(io.BytesIO(data)) as container:
            stream = container.streams.video[0]
            return stream.width, stream.height
    except (av.FFmpegError, IndexError, AttributeError):
        return None
