"""A Matroska writer (RFC 9559) that carries BSQ video with sound, subtitles and all around them.

PyAV's own muxer refuses a codec that FFmpeg does not know, so this one writes the file itself.
Layout: EBML header, then a Segment of SeekHead, Info, Tracks, Chapters, Attachments, Tags,
Clusters, Cues.
On a seekable output sizes, duration and index are patched in at the end; elsewhere the segment and
its clusters have unknown sizes and there is no index.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
from av.audio.codeccontext import AudioCodecContext
from av.stream import Stream

from bsqav.codec.sequence import frame_rate_of
from bsqav.errors import MediaError, UnsupportedError, UsageError
from bsqav.media.io import ebml
from bsqav.media.io import matroska_ids as ids
from bsqav.media.io.types import AvPacket, MediaFile, decoder_of
from bsqav.media.metadata.codec_names import codec_name
from bsqav.media.metadata.file_metadata import Attachment, Chapter, metadata_of
from bsqav.media.mux import matroska_meta as meta
from bsqav.media.mux import matroska_tracks as entries
from bsqav.media.mux.audio import AdtsUnpacker, AudioParameters, sound_instead
from bsqav.media.mux.base import EMPTY, BsqMuxer, MuxedPacket, VideoTrack
from bsqav.media.mux.interleave import Entry, Interleaver
from bsqav.media.mux.matroska_file import Block, MatroskaFile
from bsqav.media.mux.matroska_packets import TrackPackets
from bsqav.media.mux.packet_times import check_seconds

__all__ = ["MatroskaMuxer"]

NANOSECONDS = 1_000_000_000
APPLICATION = "bsqav"


class MatroskaMuxer(BsqMuxer):
    """Writes one Matroska file; see `BsqMuxer` for the methods.

    Packets may come in any order between tracks, and must come in order within a track. At most
    32 MB or 10 seconds of them are held back to interleave them.

    Args:
        target: a path, or a binary file object; it is written from its present position and need
            not be seekable. A file object stays open.

    Raises:
        OSError: the file cannot be opened or written (the disk is full, the pipe is closed).
    """

    format = "matroska"

    def __init__(self, target: MediaFile, *, writing_application: str = APPLICATION) -> None:
        super().__init__()
        if isinstance(target, str | os.PathLike):
            self._file: BinaryIO = Path(target).open("wb")  # noqa: SIM115 - closed in close()
            self._owned = True
        else:
            self._file = target
            self._owned = False
        self._writing_application = writing_application
        self._tracks: list[TrackPackets] = []
        self._queue = Interleaver()
        self._metadata: Mapping[str, str] = EMPTY
        self._chapters: Sequence[Chapter] = ()
        self._attachments: list[Attachment] = []
        self._scale = 1_000_000  # nanoseconds per timestamp unit
        self._writer: MatroskaFile | None = None  # once the head is written
        self._shift = 0  # nanoseconds added to all times so that none is negative
        self._end = 0  # nanoseconds

    # ---- what the file holds ----

    def refuses(self, stream: Stream) -> str | None:
        """Why a track cannot be copied, None when it can."""
        codec = codec_name(stream)
        if stream.type == "audio" and decoder_of(stream) is not None:
            if entries.audio_codec_id(codec) is None:
                return f"Matroska cannot carry {codec} sound"
            return None
        if stream.type == "subtitle":
            if entries.subtitle_codec_id(codec) is None:
                return f"Matroska cannot carry {codec} subtitles"
            return None
        return f"{stream.type} tracks ({codec}) cannot be copied into Matroska"

    def audio_encoder(self, codec: str) -> str | None:
        """The encoder for audio of a codec that cannot be copied."""
        return sound_instead(codec)

    def _add(
        self,
        entry: entries.TrackEntry,
        codec: str,
        *,
        sample_rate: int = 0,
        lookahead: bool = False,
    ) -> int:
        self._require_unsealed()
        if len(self._tracks) == 126:
            raise UnsupportedError("a file with more than 126 tracks is not written")
        self._tracks.append(TrackPackets(entry, codec, sample_rate))
        waits = entry.kind != entries.SUBTITLE
        return self._queue.add_track(waits=waits, lookahead=lookahead)

    def _add_video(self, track: VideoTrack) -> int:
        entry = entries.video_track(
            track.header, track.sequence, track.metadata, track.disposition, track.hdr
        )
        rate = frame_rate_of(track.sequence)
        # Milliseconds cannot tell the frames of fast cameras apart.
        if rate is not None and rate > 250:
            self._scale = min(self._scale, 100_000 if rate <= 2500 else 10_000)
        return self._add(entry, "bsq", lookahead=rate is None)

    def copy_stream(self, stream: Stream) -> int:
        """An audio or subtitle track whose packets come unchanged from a PyAV input stream.

        Raises:
            UnsupportedError: `refuses(stream)` gives the reason.
        """
        reason = self.refuses(stream)
        if reason is not None:
            raise UnsupportedError(f"track {stream.index}: {reason}")
        metadata = metadata_of(stream)
        if isinstance(stream, av.AudioStream):
            index = self.add_audio(
                stream.codec_context, metadata=metadata, disposition=int(stream.disposition)
            )
            track = self._tracks[index]
            if track.codec == "aac" and not track.entry.private:
                track.adts = AdtsUnpacker(stream)
            return index
        codec, context = codec_name(stream), decoder_of(stream)
        entry = entries.subtitle_track(
            codec,
            bytes((context is not None and context.extradata) or b""),
            metadata,
            int(stream.disposition),
        )
        return self._add(entry, codec)

    def add_audio(
        self, codec: AudioCodecContext, *, metadata: Mapping[str, str] = EMPTY, disposition: int = 0
    ) -> int:
        """An audio track as a PyAV codec context describes it, e.g. an opened encoder."""
        parameters = AudioParameters.of_context(codec)
        if entries.audio_codec_id(parameters.codec) is None:
            raise UnsupportedError(f"Matroska cannot carry {parameters.codec} sound")
        entry = entries.audio_track(parameters, metadata, disposition)
        return self._add(entry, parameters.codec, sample_rate=parameters.sample_rate)

    def set_metadata(self, metadata: Mapping[str, str]) -> None:
        """The file's title and tags."""
        self._require_unsealed()
        self._metadata = dict(metadata)

    def set_chapters(self, chapters: Sequence[Chapter]) -> bool:
        """The file's chapters; True: Matroska carries them."""
        self._require_unsealed()
        self._chapters = tuple(chapters)
        return True

    def add_attachment(self, attachment: Attachment) -> bool:
        """A file to carry along; True: Matroska carries it."""
        self._require_unsealed()
        self._attachments.append(attachment)
        return True

    # ---- packets ----

    def _mux_video(self, index: int, packet: MuxedPacket) -> None:
        track = self._track(index)
        pts = packet.pts if packet.pts is not None else packet.dts
        self._put(index, track, replace(packet, pts=pts))

    def mux_packet(self, index: int, packet: AvPacket) -> None:
        """Takes a PyAV packet: data, times, and how much sound at its end is to be dropped."""
        track = self._track(index)
        discard = track.discard_of(packet)
        muxed = MuxedPacket(
            track.unpack(packet),
            packet.pts if packet.pts is not None else packet.dts,
            packet.dts,
            packet.duration or 0,
            bool(packet.is_keyframe),
            packet.time_base,
        )
        self._put(index, track, muxed, discard)

    def _track(self, index: int) -> TrackPackets:
        """The track that takes a packet; tracks and metadata are final from here on."""
        if self._closed:
            raise UsageError("the file is closed")
        if not 0 <= index < len(self._tracks):
            raise UsageError(f"there is no track {index}")
        self._sealed = True
        return self._tracks[index]

    def _put(self, index: int, track: TrackPackets, packet: MuxedPacket, discard: int = 0) -> None:
        data = track.stored(packet.data)
        if track.entry.kind == entries.SUBTITLE and not data:
            return  # MOV fills the gaps between texts with empty ones
        placed = track.place(packet.pts, packet.duration, packet.time_base)
        if placed is None:
            raise MediaError(f"the first packet of track {index} has no timestamp")
        time, length = placed
        check_seconds(f"track {index}", Fraction(max(abs(time), length), NANOSECONDS))
        track.take(time, length)
        self._queue.push(
            Entry(index, data, time, length, packet.keyframe, discard, packet.disposable)
        )
        self._release(everything=False)

    # ---- the file ----

    def _write_head(self) -> MatroskaFile:
        shift = 0
        for track in self._tracks:
            shift = min(shift, track.fix_delay())
        self._shift = -shift if -shift >= self._scale else 0  # less is rounding
        writer = MatroskaFile(self._file, self._scale)
        tracks = [track.entry for track in self._tracks]
        writer.write_head(
            self._metadata.get("title", ""),
            (APPLICATION, self._writing_application),
            ebml.element(ids.TRACKS, *(entry.element(at) for at, entry in enumerate(tracks, 1))),
            chapters=meta.chapters(self._chapters),
            attachments=self._attachments,
            tags=meta.tags(self._metadata, tracks, self._chapters),
        )
        self._attachments = []
        return writer

    def _units(self, time: int) -> int:
        return (2 * time + self._scale) // (2 * self._scale)

    def _release(self, *, everything: bool) -> None:
        """Writes what the queue lets go."""
        for entry in self._queue.ready(everything=everything):
            if self._writer is None:
                self._writer = self._write_head()
            following = self._queue.next_of(entry.track)
            self._writer.write_block(self._block(entry, following, last=everything))

    def _block(self, entry: Entry, following: Entry | None, *, last: bool) -> Block:
        track = self._tracks[entry.track]
        kind = track.entry.kind
        offset = self._shift + track.entry.codec_delay
        time = max(0, self._units(entry.time + offset))
        self._end = max(self._end, entry.end + self._shift)
        duration = None
        if kind == entries.SUBTITLE:
            duration = self._units(entry.duration) if entry.duration else None
        elif kind == entries.VIDEO and entry.duration:
            until = following.time if following is not None else None
            if not track.implies_duration(entry, until, self._scale, last=last):
                duration = self._units(entry.duration)
        reference, track.last_time = track.last_time, time
        return Block(
            entry.track + 1,
            time,
            entry.data,
            entry.keyframe or kind != entries.VIDEO,
            indexed=kind == entries.VIDEO and entry.keyframe,
            duration=duration,
            reference=reference,
            discard=entry.discard,
            disposable=entry.disposable,
        )

    def _finish(self) -> None:
        """Writes what is left, the index and the sizes, and closes the file if opened here."""
        try:
            self._release(everything=True)
            if self._writer is None:
                self._writer = self._write_head()
            self._writer.finish(self._end / self._scale)
            self._file.flush()
        finally:
            if self._owned:
                self._file.close()
