"""MOV and NUT with BSQ video through PyAV's muxers, by a stand-in stream that takes BSQ's name.

PyAV opens streams only for codecs that FFmpeg has. The stand-in is PNG, which leaves private data
and key flags alone; its tag and private data are then replaced. FFmpeg checks the tag against the
codec and would silently put the old one back, unless it is told to be lax (strict=-1).
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from bsqav.codec.sequence import (
    colour_of,
    frame_rate_of,
    plane_format_of,
    sample_aspect_of,
    time_base_of,
)
from bsqav.errors import MediaError, UnsupportedError, UsageError
from bsqav.media import ebml
from bsqav.media import matroska_ids as ids
from bsqav.media.contents import Attachment, Chapter, av_chapters, metadata_of
from bsqav.media.light import NO_LIGHT, LightLevels
from bsqav.media.matroska import Target
from bsqav.media.matroska_file import can_seek
from bsqav.media.matroska_meta import ebml_header, info
from bsqav.media.matroska_tracks import FOURCC, video_track
from bsqav.media.pipes import WholeWriter
from bsqav.media.subtitles import TEXT_CODECS, subrip_to_mov_text, to_subrip

__all__ = ["PyAvMuxer"]

TAG = "BSQ1"
STAND_IN = "png"
STAND_IN_FOURCC = b"MPNG"
MILLISECONDS = Fraction(1, 1000)
LAX = {"strict": "-1"}
EMPTY: Mapping[str, str] = {}
# MOV keeps when tracks begin in these units; its default of 1000 would round frames away.
MOVIE_TIMESCALE = 90000
# The head waits for the first fragment: only then it can say that sound begins before zero.
FRAGMENTED = "frag_keyframe+delay_moov+default_base_moof"
EMPTY_TEXT = bytes(2)
# Style of mov_text tracks made from other text.
_PLAIN_STYLE = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, \
Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, \
Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


class PyAvMuxer:
    """Writes one MOV or NUT file; see `bsqav.media.muxers.Muxer` for the calls.

    Args:
        target: a path, or a binary file object, which stays open.
        format: "mov" or "nut".
        fragmented: MOV: write fragments, as an output that cannot seek always is.
        options: of FFmpeg's muxer.

    Raises:
        OSError: the file cannot be opened or written.
    """

    def __init__(
        self,
        target: Target,
        format: str,  # noqa: A002
        *,
        fragmented: bool = False,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.format = self._ffmpeg_format = format
        is_path = isinstance(target, str | os.PathLike)
        settings = dict(LAX)
        self._fragmented = False
        if format == "mov":
            settings["movie_timescale"] = str(MOVIE_TIMESCALE)
            if fragmented or not (is_path or can_seek(target)):  # type: ignore[arg-type]
                settings["movflags"] = FRAGMENTED
                self._fragmented = True
        settings.update(options or {})
        if is_path:
            # Opened here: FFmpeg would take a name with a colon for a protocol.
            self._file: Any = Path(target).open("w+b")  # type: ignore[arg-type]  # noqa: SIM115
            self._owned = True
        else:
            self._file = WholeWriter(target)
            self._owned = False
        self._container: Any = av.open(self._file, "w", format=format, container_options=settings)
        self._sealed = False
        self._closed = False
        self._convert: dict[int, str] = {}

    # ---- what the file holds ----

    def refuses(self, stream: Any) -> str | None:
        """Why a track cannot be copied, None when it can."""
        context = stream.codec_context
        if stream.type not in ("audio", "subtitle") or context is None:
            return f"{stream.type} tracks are not copied into {self.format}"
        codec = context.codec.canonical_name
        if self._becomes_mov_text(codec):
            return None
        if self._can_hold(lambda trial: trial.add_stream_from_template(stream)):
            return None
        return f"{self.format} cannot carry {codec}"

    def _can_hold(self, add: Callable[[Any], object]) -> bool:
        """Whether FFmpeg would write a file with such a stream: some fail only at the header."""
        try:
            with av.open(
                io.BytesIO(), "w", format=self._ffmpeg_format, container_options=LAX
            ) as trial:
                add(trial)
                trial.start_encoding()
        except (ValueError, av.FFmpegError):
            return False
        return True

    def _becomes_mov_text(self, codec: str) -> bool:
        return self._ffmpeg_format == "mov" and codec in TEXT_CODECS and codec != "mov_text"

    def _require_unsealed(self) -> None:
        if self._sealed or self._closed:
            raise UsageError("what describes a file must be set before its first packet")

    def add_video(
        self,
        header: bytes,
        sequence: Mapping[str, Any],
        *,
        metadata: Mapping[str, str] = EMPTY,
        disposition: int = 0,
        light: LightLevels = NO_LIGHT,
    ) -> int:
        """A BSQ track: the sequence header as bytes and as a dictionary."""
        self._require_unsealed()
        layout = plane_format_of(sequence)
        time_base = time_base_of(sequence)
        if light and self._ffmpeg_format == "mov":
            stream = _add_with_light(self._container, sequence, light)
        else:
            stream = self._container.add_stream(STAND_IN, rate=frame_rate_of(sequence))
        context = stream.codec_context
        context.width, context.height = layout.width, layout.height
        context.pix_fmt = "rgb24"
        context.time_base = time_base
        context.codec_tag = TAG
        context.extradata = header
        aspect = sample_aspect_of(sequence)
        if aspect is not None:
            context.sample_aspect_ratio = aspect
        colour_of(sequence).tag(context)
        stream.time_base = time_base
        rotation = sequence.get("rotation", 0)
        if rotation:
            stream.set_display_rotation(-rotation)
        stream.metadata.update(metadata)
        if disposition:
            stream.disposition = disposition
        return int(stream.index)

    def copy_stream(self, stream: Any) -> int:
        """A sound or subtitle track whose packets come from a PyAV input stream.

        Raises:
            UnsupportedError: `refuses(stream)` gives the reason.
        """
        self._require_unsealed()
        reason = self.refuses(stream)
        if reason is not None:
            raise UnsupportedError(f"track {stream.index}: {reason}")
        codec = stream.codec_context.codec.canonical_name
        if self._becomes_mov_text(codec):
            made = self._container.add_stream("mov_text")
            made.codec_context.subtitle_header = _PLAIN_STYLE
            made.codec_context.time_base = made.time_base = MILLISECONDS
            self._convert[made.index] = codec
        else:
            made = self._container.add_stream_from_template(stream)
        made.metadata.update(metadata_of(stream))
        made.disposition = int(stream.disposition)
        return int(made.index)

    def add_audio(
        self, codec: Any, *, metadata: Mapping[str, str] = EMPTY, disposition: int = 0
    ) -> int:
        """A sound track as an opened PyAV audio encoder describes it."""
        self._require_unsealed()
        if not self._can_hold(lambda trial: _like(trial, codec)):
            raise UnsupportedError(f"{self.format} cannot carry {codec.codec.canonical_name}")
        stream = _like(self._container, codec)
        stream.metadata.update(metadata)
        if disposition:
            stream.disposition = disposition
        return int(stream.index)

    def set_metadata(self, metadata: Mapping[str, str]) -> None:
        """The file's title and tags, as far as the container has room for them."""
        self._require_unsealed()
        self._container.metadata.update(metadata)

    def set_chapters(self, chapters: Sequence[Chapter]) -> bool:
        """The file's chapters; False where the container has none."""
        self._require_unsealed()
        self._container.set_chapters(av_chapters(chapters))
        return True

    def add_attachment(self, _attachment: Attachment) -> bool:
        """False: neither MOV nor NUT carries attachments."""
        self._require_unsealed()
        return False

    # ---- packets ----

    def mux(
        self,
        index: int,
        data: bytes,
        *,
        pts: int | None,
        dts: int | None = None,
        duration: int = 0,
        keyframe: bool = False,
        time_base: Fraction,
    ) -> None:
        """Takes one packet; times are in `time_base`."""
        if self._ffmpeg_format == "mov" and pts is not None and pts < 0:
            # An edit list would say so, and readers would then hide those pictures.
            raise MediaError(f"MOV cannot hold a picture at {pts} (in {time_base} s), before zero")
        packet: av.Packet[Any] = av.Packet(data)
        packet.pts = pts
        packet.dts = pts if dts is None else dts
        packet.duration = duration
        packet.time_base = time_base
        packet.is_keyframe = keyframe
        self._mux(index, packet)

    def mux_packet(self, index: int, packet: av.Packet[Any]) -> None:
        """Takes a PyAV packet; the packet itself stays as it is."""
        codec = self._convert.get(index)
        data = bytes(packet)
        if codec is not None:
            data = subrip_to_mov_text(to_subrip(codec, data))
        copy: av.Packet[Any] = av.Packet(data)
        copy.pts, copy.dts = packet.pts, packet.dts
        if copy.dts is None:
            copy.dts = packet.pts
        copy.duration = packet.duration or 0
        copy.time_base = packet.time_base
        copy.is_keyframe = packet.is_keyframe
        for kind in ("skip_samples",):
            if packet.has_sidedata(kind):
                copy.set_sidedata(packet.get_sidedata(kind))
        self._mux(index, copy)

    def _mux(self, index: int, packet: av.Packet[Any]) -> None:
        if self._closed:
            raise UsageError("the file is closed")
        if not self._sealed and self._fragmented:
            self._sealed = True
            self._begin_texts(packet)
        self._sealed = True
        try:
            packet.stream = self._container.streams[index]
        except IndexError:
            raise UsageError(f"there is no track {index}") from None
        try:
            self._container.mux(packet)
        except av.ArgumentError as error:
            raise MediaError(
                f"{self.format} refuses a packet of track {index} at {packet.pts} "
                f"(in {packet.time_base} s): {error}"
            ) from error

    def _begin_texts(self, first: av.Packet[Any]) -> None:
        """An empty text in every track of subtitles: fragments wait for all tracks to begin."""
        for stream in self._container.streams:
            if stream.type == "subtitle":
                empty: av.Packet[Any] = av.Packet(EMPTY_TEXT)
                empty.pts = empty.dts = first.dts
                empty.time_base = first.time_base
                self._mux(stream.index, empty)

    def close(self) -> None:
        """Finishes the file.

        Raises:
            OSError: the output cannot take it.
        """
        if self._closed:
            return
        self._closed = True
        try:
            if not self._sealed and len(self._container.streams):
                self._container.start_encoding()
            self._container.close()
            self._file.flush()
        finally:
            if self._owned:
                self._file.close()

    def abort(self) -> None:
        """Ends the file early: what has come so far stays playable as far as it can be written."""
        with contextlib.suppress(Exception):
            self.close()


def _add_with_light(container: Any, sequence: Mapping[str, Any], light: LightLevels) -> Any:
    """A stand-in with mastering display and content light level.

    PyAV offers no way to say them, but copies them from an input: here the head of a Matroska file.
    """
    entry = video_track(b"", sequence, {}, 0, light)
    entry.private = entry.private.replace(FOURCC, STAND_IN_FOURCC)
    about, _ = info(1_000_000, "", "bsqav", "bsqav", with_duration=False)
    tracks = ebml.element(ids.TRACKS, entry.element(1))
    cluster = ebml.element(ids.CLUSTER, ebml.uint(ids.TIMESTAMP, 0))
    head = io.BytesIO(ebml_header() + ebml.element(ids.SEGMENT, about, tracks, cluster))
    with av.open(head, format="matroska") as template:
        stream = container.add_stream_from_template(template.streams.video[0], opaque=False)
    rate = frame_rate_of(sequence)
    if rate:
        stream.codec_context.framerate = rate
    return stream


def _like(container: Any, codec: Any) -> Any:
    """A sound stream of a container that an opened encoder fits."""
    stream = container.add_stream(codec.codec.name, rate=codec.sample_rate)
    context = stream.codec_context
    context.layout = codec.layout
    context.format = codec.format
    context.time_base = codec.time_base
    if codec.bit_rate:
        context.bit_rate = codec.bit_rate
    return stream
