"""What is in a file: its streams, and the headers and sizes of its BSQ packets, none decoded."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import TypedDict, TypeVar

import av
from av.stream import AttachmentStream, Stream

from bsqav._core import probe_packet
from bsqav.codec.models import Model, find_model
from bsqav.codec.sequence import SequenceHeader, plane_format_of
from bsqav.errors import BitstreamError, ModelError, ModelNotFoundError
from bsqav.media.demux.demuxer import BsqPacket, BsqTrack, Demuxer
from bsqav.media.demux.inputs import input_name, open_input
from bsqav.media.io.types import Cancelled, MediaFile, decoder_of
from bsqav.media.metadata.file_metadata import is_cover, metadata_of
from bsqav.media.metadata.hdr import HdrMetadata
from bsqav.media.metadata.stream_info import RATE_PACKETS, constant_rate, first_times
from bsqav.media.metadata.track_colour import read_colours

__all__ = ["FileReport", "TrackReport", "inspect"]


T = TypeVar("T", int, float, Fraction)


class StreamReport(TypedDict, total=False):
    """A track or an attachment of any kind; what its kind does not have is omitted."""

    index: int
    type: str
    codec: str | None
    width: int
    height: int
    pixel_format: str | None
    frame_rate: str | None  # a fraction
    sample_rate: int
    layout: str
    name: str | None
    mimetype: str | None
    language: str
    title: str


@dataclass
class TrackReport:
    """The packets of one BSQ track."""

    index: int
    sequence: SequenceHeader
    pixel_format: str
    model_name: str | None  # None where the model is neither installed nor in the file
    model_embedded: bool  # the file carries it
    hdr: HdrMetadata | None  # mastering display and content light level, where stated
    packets: int = 0
    keyframes: int = 0
    before_keyframe: int = 0  # packets before the first keyframe, which show nothing
    longest_group: int = 0
    b_frames: int = 0
    frames_ahead: int = 0  # coded in packets of earlier frames; 0 without B frames
    crf: tuple[float, float] | None = None  # smallest and largest
    layers: tuple[int, int] | None = None
    tiles: tuple[int, int] | None = None  # per layer
    bits: dict[str, float] | None = None
    _total: int = field(default=0, repr=False)  # bits
    _key_total: int = field(default=0, repr=False)
    _sizes: tuple[int, int] | None = field(default=None, repr=False)  # smallest, largest; bits
    _group: int = field(default=0, repr=False)
    _times: tuple[Fraction, Fraction] | None = field(default=None, repr=False)  # first, last; s

    def add(self, packet: BsqPacket) -> None:
        """Takes one packet's headers and size."""
        info = probe_packet(packet.data)
        self._group = 1 if info["keyframe"] else self._group + 1
        self.longest_group = max(self.longest_group, self._group)
        self.packets += 1
        self.before_keyframe += packet.before_keyframe
        size = 8 * len(packet.data)
        self._total += size
        self._sizes = _widen(self._sizes, size)
        if info["keyframe"]:
            self.keyframes += 1
            self._key_total += size
        self.b_frames += info["b_frames"]
        self.frames_ahead += max(0, info["frames"] - 1)
        if info["frames"] > 0:
            self.layers = _widen(self.layers, info["layers"])
        # A frame with the quantizers of its reference does not repeat them.
        if info["crf"] >= 0:
            self.crf = _widen(self.crf, info["crf"])
        if info["tiles"] > 0:
            self.tiles = _widen(self.tiles, info["tiles"])
        if packet.pts is not None:
            self._times = _widen(self._times, packet.pts * packet.time_base)
            end = (packet.pts + packet.duration) * packet.time_base
            self._times = _widen(self._times, end)

    def finish(self) -> None:
        """Sums up the sizes."""
        if self._sizes is None:
            return
        first, last = self._times or (Fraction(0), Fraction(0))
        seconds = float(last - first)
        pixels = self.sequence["width"] * self.sequence["height"]
        self.bits = {
            "total": self._total,
            "mean": self._total / self.packets,
            "min": self._sizes[0],
            "max": self._sizes[1],
            "keyframe_mean": _mean(self._key_total, self.keyframes),
            "other_mean": _mean(self._total - self._key_total, self.packets - self.keyframes),
            "bpp": self._total / self.packets / pixels,
            "bitrate": self._total / seconds if seconds > 0 else 0.0,
        }

    def to_dict(self) -> dict[str, object]:
        """All of it in types that JSON has."""
        return {key: value for key, value in asdict(self).items() if not key.startswith("_")}


@dataclass
class FileReport:
    """One file."""

    format: str
    duration: float | None  # seconds
    chapters: int
    metadata: dict[str, str]
    streams: list[StreamReport]
    bsq: list[TrackReport]
    truncated: bool  # the file ends before it says it does

    def to_dict(self) -> dict[str, object]:
        """All of it in types that JSON has."""
        return {**asdict(self), "bsq": [track.to_dict() for track in self.bsq]}


def _widen(span: tuple[T, T] | None, value: T) -> tuple[T, T]:
    return (value, value) if span is None else (min(span[0], value), max(span[1], value))


def _mean(total: int, count: int) -> float:
    return total / count if count else 0.0


def inspect(file: MediaFile, *, cancelled: Cancelled = lambda: False) -> FileReport:
    """Reads a file through and reports on it.

    Args:
        file: a path, a readable file of bytes, or "-" for standard input.
        cancelled: polled while it is read; when true, KeyboardInterrupt is raised.

    Raises:
        MediaError: it cannot be opened.
        BitstreamError: a BSQ packet is damaged; the message names packet and byte.
    """
    name = input_name(file)
    with open_input(file, cancelled=cancelled) as demuxer:
        container = demuxer.container
        attached = {model.id: model for model in demuxer.models(lambda _: None)}
        hdr = {index: colour.hdr for index, colour in read_colours(file).items()}
        tracks = {
            track.index: _track_report(track, attached, hdr.get(track.index))
            for track in demuxer.tracks
        }
        streams = [_describe_stream(stream, tracks, demuxer) for stream in container.streams]
        if tracks:
            for packet in demuxer.demux(*(track.stream for track in demuxer.tracks)):
                if cancelled():
                    raise KeyboardInterrupt("interrupted")
                if isinstance(packet, BsqPacket):
                    _add(tracks[packet.track.index], packet, name)
        for report in tracks.values():
            report.finish()
        return FileReport(
            format=demuxer.format,
            duration=container.duration / 1_000_000 if container.duration else None,
            chapters=len(container.chapters()),
            metadata=metadata_of(container),
            streams=streams,
            bsq=list(tracks.values()),
            truncated=demuxer.truncated,
        )


def _add(report: TrackReport, packet: BsqPacket, name: str) -> None:
    try:
        report.add(packet)
    except BitstreamError as error:
        raise BitstreamError(
            f"{name}: {error.args[0]}", packet=packet.number, byte=error.byte
        ) from error


def _track_report(
    track: BsqTrack, attached: Mapping[str, Model], hdr: HdrMetadata | None
) -> TrackReport:
    model_id = track.sequence["model_id"]
    model = attached.get(model_id)
    with contextlib.suppress(ModelError, ModelNotFoundError):
        model = model or find_model(model_id)
    return TrackReport(
        index=track.index,
        sequence=track.sequence,
        pixel_format=plane_format_of(track.sequence).pixel_format,
        model_name=None if model is None else model.name,
        model_embedded=model_id in attached,
        hdr=hdr or None,
    )


def _rate(stream: Stream, demuxer: Demuxer) -> str | None:
    """Frames per second as text: constant or, where it varies, their mean as FFmpeg states it."""
    rate = constant_rate(stream)
    if rate is None and not is_cover(stream):
        rate = constant_rate(stream, first_times(demuxer.peek(stream, RATE_PACKETS)))
    rate = rate or stream.average_rate
    return str(rate) if rate else None


def _describe_stream(
    stream: Stream, tracks: dict[int, TrackReport], demuxer: Demuxer
) -> StreamReport:
    """What FFmpeg says of a stream, or the sequence header where it is BSQ."""
    known: StreamReport = {"index": stream.index, "type": stream.type, "codec": None}
    context = decoder_of(stream)
    if stream.index in tracks:
        report = tracks[stream.index]
        rate = report.sequence["frame_rate"]
        known |= {
            "codec": "bsq",
            "width": report.sequence["width"],
            "height": report.sequence["height"],
            "pixel_format": report.pixel_format,
            "frame_rate": f"{rate[0]}/{rate[1]}" if rate[0] else None,
        }
    elif context is not None:
        known["codec"] = context.codec.canonical_name
        if isinstance(stream, av.VideoStream):
            known |= {
                "width": stream.codec_context.width,
                "height": stream.codec_context.height,
                "pixel_format": stream.codec_context.pix_fmt,
                "frame_rate": _rate(stream, demuxer),
            }
        elif isinstance(stream, av.AudioStream):
            sound = stream.codec_context
            known |= {"sample_rate": sound.sample_rate, "layout": sound.layout.name}
    if isinstance(stream, AttachmentStream):
        known |= {"name": stream.metadata.get("filename"), "mimetype": stream.mimetype}
    metadata = metadata_of(stream)
    if metadata.get("language", "und") != "und":
        known["language"] = metadata["language"]
    if metadata.get("title"):
        known["title"] = metadata["title"]
    return known
