"""MOV and NUT with BSQ video through FFmpeg's muxers, by a placeholder stream with BSQ's tag.

PyAV opens streams only for codecs that FFmpeg has. The placeholder is PNG, which leaves private
data and key flags alone; its tag and private data are then replaced. FFmpeg checks the tag against
the codec and would silently restore the old one, unless it is told to be lax (strict=-1).
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final

import av
from av.container import OutputContainer

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
from bsqav.media.io.codec_tag import CODEC_TAG, FOURCC
from bsqav.media.io.pipes import WholeWriter
from bsqav.media.io.types import AvPacket, MediaFile, Warn
from bsqav.media.metadata.file_metadata import Attachment
from bsqav.media.metadata.hdr import HdrMetadata
from bsqav.media.mux.audio import sound_instead
from bsqav.media.mux.base import BsqMuxer, MuxedPacket, VideoTrack
from bsqav.media.mux.ffmpeg_muxer import FRAGMENTED, FFmpegMuxer
from bsqav.media.mux.matroska_file import can_seek
from bsqav.media.mux.matroska_meta import ebml_header, info
from bsqav.media.mux.matroska_tracks import video_track
from bsqav.media.mux.packet_times import check_seconds

__all__ = ["PyAvMuxer"]

PLACEHOLDER: Final = "png"
PLACEHOLDER_FOURCC = b"MPNG"
LAX = {"strict": "-1"}
# MOV keeps when tracks begin in these units; its default of 1000 would round frames away.
MOVIE_TIMESCALE = 90000
# MOV counts a frame's length in 31 bits of ticks: finer ones would hold seconds only. A packet has
# its exact time itself.
FINEST = Fraction(1, 1_000_000)
# What waits for the first frame, which says whether the file has to be moved.
MAX_HELD = 20_000


class PyAvMuxer(FFmpegMuxer, BsqMuxer):
    """Writes one MOV or NUT file; see `BsqMuxer` for the methods.

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
        target: MediaFile,
        format: str,  # noqa: A002
        *,
        fragmented: bool = False,
        options: Mapping[str, str] | None = None,
        warn: Warn = lambda _: None,
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
            self._file: BinaryIO | WholeWriter = Path(target).open("w+b")  # type: ignore[arg-type]  # noqa: SIM115
            self._owned = True
        else:
            self._file = WholeWriter(target)  # type: ignore[arg-type]
            self._owned = False
        self._awaited: dict[int, Fraction | None] = {}  # videos and when their first frame is
        self._held: list[Callable[[], None]] | None = []  # None: the shift is known
        super().__init__(
            self._file,
            format,
            options=settings,
            fragmented=fragmented and format == "mov",
            warn=warn,
        )

    def audio_encoder(self, codec: str) -> str | None:
        """The encoder for audio of a codec that cannot be copied."""
        return sound_instead(codec)

    def _add_video(self, track: VideoTrack) -> int:
        self._require_unsealed()
        sequence = track.sequence
        layout = plane_format_of(sequence)
        time_base = time_base_of(sequence)
        if self._ffmpeg_format == "mov":
            time_base = max(time_base, FINEST)
        if track.hdr and self._ffmpeg_format == "mov":
            stream = _add_with_hdr(self.container, sequence, track.hdr)
        else:
            stream = self.container.add_stream(PLACEHOLDER, rate=frame_rate_of(sequence))
        context = stream.codec_context
        context.width, context.height = layout.width, layout.height
        context.pix_fmt = "rgb24"
        context.time_base = time_base
        context.codec_tag = CODEC_TAG
        context.extradata = track.header
        aspect = sample_aspect_of(sequence)
        if aspect is not None:
            context.sample_aspect_ratio = aspect
        colour_of(sequence).tag(context)
        stream.time_base = time_base
        rotation = sequence.get("rotation", 0)
        if rotation:
            stream.set_display_rotation(-rotation)
        index = self._added(stream, "bsq", track.metadata, track.disposition)
        self._awaited[index] = None
        return index

    def add_attachment(self, _attachment: Attachment) -> bool:
        """False: neither MOV nor NUT carries attachments."""
        self._require_unsealed()
        return False

    # ---- packets ----

    def _mux_video(self, index: int, packet: MuxedPacket) -> None:
        pts, time_base = packet.pts, packet.time_base
        for stamp in (pts, packet.dts, packet.duration):
            if stamp is not None and index in self._awaited:
                check_seconds(self.name_of(index), stamp * time_base)
        made: AvPacket = av.Packet(packet.data)
        made.pts = pts
        made.dts = pts if packet.dts is None else packet.dts
        made.duration = packet.duration
        made.time_base = time_base
        made.is_keyframe = packet.keyframe
        if pts is not None and self._awaited.get(index, 0) is None:
            self._awaited[index] = pts * time_base
        self.send(index, made)

    def _when_shift_known(self, action: Callable[[], None]) -> None:
        """Writes at once where the first frames have come, else later."""
        if self._held is None:
            action()
            return
        self._held.append(action)
        if None not in self._awaited.values() or len(self._held) > MAX_HELD:
            self._fix_shift()

    def _fix_shift(self) -> None:
        first = min((time for time in self._awaited.values() if time is not None), default=0)
        self._shift = Fraction(max(-first, 0))
        if self._shift:
            self._warn(
                f"the first frame is {float(self._shift):.3f} s before zero, where {self.format} "
                "shows nothing: everything is moved later by that"
            )
        held, self._held = self._held or [], None
        for action in held:
            action()

    def _finish(self) -> None:
        try:
            if self._held is not None:
                self._fix_shift()
            super()._finish()
            self._file.flush()
        finally:
            if self._owned:
                self._file.close()


def _add_with_hdr(
    container: OutputContainer, sequence: SequenceHeader, hdr: HdrMetadata
) -> av.VideoStream:
    """A placeholder with mastering display and content light level.

    PyAV offers no way to say them, but copies them from an input: here the head of a Matroska file.
    """
    entry = video_track(b"", sequence, {}, 0, hdr)
    entry.private = entry.private.replace(FOURCC, PLACEHOLDER_FOURCC)
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
