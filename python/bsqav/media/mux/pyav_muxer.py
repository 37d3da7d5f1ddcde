"""MOV and NUT with BSQ video through FFmpeg's muxers, by a stand-in stream that takes BSQ's name.

PyAV opens streams only for codecs that FFmpeg has. The stand-in is PNG, which leaves private data
and key flags alone; its tag and private data are then replaced. FFmpeg checks the tag against the
codec and would silently put the old one back, unless it is told to be lax (strict=-1).
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from bsqav.codec.sequence import (
    SequenceHeader,
    colour_of,
    frame_rate_of,
    plane_format_of,
    sample_aspect_of,
    time_base_of,
)
from bsqav.media.io import ebml
from bsqav.media.io import matroska_ids as ids
from bsqav.media.io.pipes import WholeWriter
from bsqav.media.metadata.file_metadata import Attachment
from bsqav.media.metadata.hdr import NO_LIGHT, LightLevels
from bsqav.media.mux.audio import sound_instead
from bsqav.media.mux.ffmpeg_muxer import EMPTY, FRAGMENTED, FFmpegMuxer
from bsqav.media.mux.matroska import Target
from bsqav.media.mux.matroska_file import can_seek
from bsqav.media.mux.matroska_meta import ebml_header, info
from bsqav.media.mux.matroska_tracks import FOURCC, video_track
from bsqav.media.mux.packet_times import check_seconds

__all__ = ["PyAvMuxer"]

TAG = "BSQ1"
STAND_IN = "png"
STAND_IN_FOURCC = b"MPNG"
LAX = {"strict": "-1"}
# MOV keeps when tracks begin in these units; its default of 1000 would round frames away.
MOVIE_TIMESCALE = 90000
# MOV counts a frame's length in 31 bits of ticks: finer ones would hold seconds only. A packet has
# its exact time itself.
FINEST = Fraction(1, 1_000_000)
# What waits for the first frame, which says whether the file has to be moved.
MAX_HELD = 20_000


class PyAvMuxer(FFmpegMuxer):
    """Writes one MOV or NUT file; see `bsqav.media.mux.muxers.Muxer` for the calls.

    Where the first frame is before zero, the whole file is moved until it is there: neither
    container shows a frame before zero.

    Args:
        target: a path, or a binary file object, which stays open.
        format: "mov" or "nut".
        fragmented: MOV: write fragments, as an output that cannot seek always is.
        options: of FFmpeg's muxer.
        warn: takes a sentence on times that had to be changed.

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
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        is_path = isinstance(target, str | os.PathLike)
        settings = dict(LAX)
        if format == "mov":
            settings["movie_timescale"] = str(MOVIE_TIMESCALE)
            fragmented = fragmented or not (is_path or can_seek(target))  # type: ignore[arg-type]
            if fragmented:
                settings["movflags"] = FRAGMENTED
        settings.update(options or {})
        if is_path:
            # Opened here: FFmpeg would take a name with a colon for a protocol.
            self._file: Any = Path(target).open("w+b")  # type: ignore[arg-type]  # noqa: SIM115
            self._owned = True
        else:
            self._file = WholeWriter(target)
            self._owned = False
        self._awaited: dict[int, Fraction | None] = {}  # videos and when their first frame is
        self._held: list[Callable[[], None]] | None = []  # None: the move is settled
        super().__init__(
            self._file,
            format,
            options=settings,
            fragmented=fragmented and format == "mov",
            warn=warn,
        )

    def sound_encoder(self, codec: str) -> str | None:
        """The encoder for sound of a codec that cannot be copied."""
        return sound_instead(codec)

    def add_video(
        self,
        header: bytes,
        sequence: SequenceHeader,
        *,
        metadata: Mapping[str, str] = EMPTY,
        disposition: int = 0,
        light: LightLevels = NO_LIGHT,
    ) -> int:
        """A BSQ track: the sequence header as bytes and as a dictionary."""
        self._require_unsealed()
        layout = plane_format_of(sequence)
        time_base = time_base_of(sequence)
        if self._ffmpeg_format == "mov":
            time_base = max(time_base, FINEST)
        if light and self._ffmpeg_format == "mov":
            stream = _add_with_light(self.container, sequence, light)
        else:
            stream = self.container.add_stream(STAND_IN, rate=frame_rate_of(sequence))
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
        index = self._added(stream, "bsq", metadata, disposition)
        self._awaited[index] = None
        return index

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
        for stamp in (pts, dts, duration):
            if stamp is not None and index in self._awaited:
                check_seconds(self.name_of(index), stamp * time_base)
        packet: av.Packet[Any] = av.Packet(data)
        packet.pts = pts
        packet.dts = pts if dts is None else dts
        packet.duration = duration
        packet.time_base = time_base
        packet.is_keyframe = keyframe
        if pts is not None and self._awaited.get(index, 0) is None:
            self._awaited[index] = pts * time_base
        self.send(index, packet)

    def _when_settled(self, action: Callable[[], None]) -> None:
        """Writes at once where it is known by how much the file is moved, else later."""
        if self._held is None:
            action()
            return
        self._held.append(action)
        if None not in self._awaited.values() or len(self._held) > MAX_HELD:
            self._settle_move()

    def _settle_move(self) -> None:
        first = min((time for time in self._awaited.values() if time is not None), default=0)
        self._move = Fraction(max(-first, 0))
        if self._move:
            self._warn(
                f"the first frame is {float(self._move):.3f} s before zero, where {self.format} "
                "shows nothing: everything is moved later by that"
            )
        held, self._held = self._held or [], None
        for action in held:
            action()

    def close(self) -> None:
        """Finishes the file.

        Raises:
            OSError: the output cannot take it.
        """
        if self._closed:
            return
        try:
            if self._held is not None:
                self._settle_move()
            super().close()
            self._file.flush()
        finally:
            self._closed = True
            if self._owned:
                self._file.close()


def _add_with_light(container: Any, sequence: SequenceHeader, light: LightLevels) -> Any:
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
