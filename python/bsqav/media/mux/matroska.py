"""A Matroska writer (RFC 9559) that carries BSQ video with sound, subtitles and all around them.

PyAV's own muxer refuses a codec that FFmpeg does not know, so this one writes the file itself.
Layout: EBML header, then a Segment of SeekHead, Info, Tracks, Chapters, Attachments, Tags,
Clusters, Cues.
On a seekable output sizes, duration and index are patched in at the end; elsewhere the segment and
its clusters have unknown sizes and there is no index.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import av

from bsqav.codec.sequence import SequenceHeader, frame_rate_of
from bsqav.errors import MediaError, UnsupportedError, UsageError
from bsqav.media.io import ebml
from bsqav.media.io import matroska_ids as ids
from bsqav.media.metadata.codec_names import codec_name
from bsqav.media.metadata.file_metadata import Attachment, Chapter, metadata_of
from bsqav.media.metadata.hdr import NO_LIGHT, LightLevels
from bsqav.media.mux import matroska_meta as meta
from bsqav.media.mux import matroska_tracks as entries
from bsqav.media.mux.audio import (
    AdtsUnpacker,
    AudioParameters,
    adts_to_config,
    sound_instead,
    split_adts,
)
from bsqav.media.mux.interleave import Entry, Interleaver
from bsqav.media.mux.matroska_file import Block, MatroskaFile
from bsqav.media.mux.packet_times import check_seconds
from bsqav.media.mux.subtitles import to_subrip

__all__ = ["MatroskaMuxer", "Target"]

Target: TypeAlias = str | os.PathLike[str] | BinaryIO

NANOSECONDS = 1_000_000_000
APPLICATION = "bsqav"
# Sound that begins before zero is marked as codec delay up to here; beyond, all tracks move.
MAX_CODEC_DELAY = NANOSECONDS // 2
EMPTY: Mapping[str, str] = {}


class _Track:
    """A track's entry and where its packets have come to."""

    def __init__(self, entry: entries.TrackEntry, codec: str, sample_rate: int) -> None:
        self.entry = entry
        self.codec = codec
        self.sample_rate = sample_rate  # 0 where it is no sound
        self.first_time: int | None = None  # nanoseconds
        self.next_time: int | None = None  # nanoseconds: where a packet without a time would go
        self.priming = 0  # nanoseconds of sound to drop at the start, as the input says
        self.last_time: int | None = None  # of the last block written, in timestamp units
        self.adts: AdtsUnpacker | None = None  # of a track that may be ADTS

    def settle_delay(self) -> int:
        """The earliest block time in nanoseconds, once sound before zero is marked as delay.

        Sound often begins a little early (the encoder's priming samples); CodecDelay says so.
        """
        if self.first_time is None:
            return 0
        if self.entry.kind == entries.AUDIO:
            # What the input says is counted in samples; its times may be rounded.
            delay = self.priming or -self.first_time
            if 0 < delay <= MAX_CODEC_DELAY:
                self.entry.codec_delay = max(self.entry.codec_delay, delay)
        return self.first_time + self.entry.codec_delay

    def implies_duration(self, entry: Entry, until: int | None, scale: int, *, last: bool) -> bool:
        """Whether readers can tell how long a picture stands without being told."""
        constant = self.entry.default_duration
        if constant:
            return abs(entry.duration - constant) <= scale
        if until is None:
            return not last
        return abs(entry.end - until) <= 2 * scale


class MatroskaMuxer:
    """Writes one Matroska file; see `bsqav.media.mux.muxers.Muxer` for the calls.

    Packets may come in any order between tracks, and must come in order within a track. At most
    32 MB or 10 seconds of them are held back to interleave them.

    Args:
        target: a path, or a binary file object; it is written from its present position and need
            not be seekable. A file object stays open.

    Raises:
        OSError: the file cannot be opened or written (the disk is full, the pipe is closed).
    """

    format = "matroska"

    def __init__(self, target: Target, *, writing_application: str = APPLICATION) -> None:
        if isinstance(target, str | os.PathLike):
            self._file: BinaryIO = Path(target).open("wb")  # noqa: SIM115 - closed in close()
            self._owned = True
        else:
            self._file = target
            self._owned = False
        self._writing_application = writing_application
        self._tracks: list[_Track] = []
        self._queue = Interleaver()
        self._metadata: Mapping[str, str] = EMPTY
        self._chapters: Sequence[Chapter] = ()
        self._attachments: list[Attachment] = []
        self._scale = 1_000_000  # nanoseconds per timestamp unit
        self._sealed = False  # a packet has come: the tracks are settled
        self._writer: MatroskaFile | None = None  # there once the head is written
        self._closed = False
        self._shift = 0  # nanoseconds added to all times so that none is negative
        self._end = 0  # nanoseconds

    # ---- what the file holds ----

    def refuses(self, stream: Any) -> str | None:
        """Why a track cannot be copied, None when it can."""
        codec = codec_name(stream)
        if stream.type == "audio" and stream.codec_context is not None:
            if entries.audio_codec_id(codec) is None:
                return f"Matroska cannot carry {codec} sound"
            return None
        if stream.type == "subtitle":
            if entries.subtitle_codec_id(codec) is None:
                return f"Matroska cannot carry {codec} subtitles"
            return None
        return f"{stream.type} tracks ({codec}) cannot be copied into Matroska"

    def sound_encoder(self, codec: str) -> str | None:
        """The encoder for sound of a codec that cannot be copied."""
        return sound_instead(codec)

    def _add(
        self,
        entry: entries.TrackEntry,
        codec: str,
        *,
        sample_rate: int = 0,
        lookahead: bool = False,
    ) -> int:
        if self._sealed or self._closed:
            raise UsageError("tracks cannot be added after the first packet")
        if len(self._tracks) == 126:
            raise UnsupportedError("a file with more than 126 tracks is not written")
        self._tracks.append(_Track(entry, codec, sample_rate))
        waits = entry.kind != entries.SUBTITLE
        return self._queue.add_track(waits=waits, lookahead=lookahead)

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
        entry = entries.video_track(header, sequence, metadata, disposition, light)
        rate = frame_rate_of(sequence)
        # Milliseconds cannot tell the frames of fast cameras apart.
        if rate is not None and rate > 250:
            self._scale = min(self._scale, 100_000 if rate <= 2500 else 10_000)
        return self._add(entry, "bsq", lookahead=rate is None)

    def copy_stream(self, stream: Any) -> int:
        """A sound or subtitle track whose packets come unchanged from a PyAV input stream.

        Raises:
            UnsupportedError: `refuses(stream)` gives the reason.
        """
        reason = self.refuses(stream)
        if reason is not None:
            raise UnsupportedError(f"track {stream.index}: {reason}")
        metadata = metadata_of(stream)
        if stream.type == "audio":
            index = self.add_audio(
                stream.codec_context, metadata=metadata, disposition=int(stream.disposition)
            )
            track = self._tracks[index]
            if track.codec == "aac" and not track.entry.private:
                track.adts = AdtsUnpacker(stream)
            return index
        codec, context = codec_name(stream), stream.codec_context
        entry = entries.subtitle_track(
            codec,
            bytes((context is not None and context.extradata) or b""),
            metadata,
            int(stream.disposition),
        )
        return self._add(entry, codec)

    def add_audio(
        self, codec: Any, *, metadata: Mapping[str, str] = EMPTY, disposition: int = 0
    ) -> int:
        """A sound track as a PyAV audio codec context describes it, e.g. an opened encoder."""
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

    def _require_unsealed(self) -> None:
        if self._sealed or self._closed:
            raise UsageError("what describes a file must be set before its first packet")

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
        """Takes one packet; times are in `time_base`. A packet without pts follows the last one."""
        self._put(index, data, pts if pts is not None else dts, duration, keyframe, time_base)

    def mux_packet(self, index: int, packet: av.Packet[Any]) -> None:
        """Takes a PyAV packet: data, times, and how much sound at its end is to be dropped."""
        time_base = packet.time_base
        discard = self._trimming(index, packet)
        pts = packet.pts if packet.pts is not None else packet.dts
        data = bytes(packet)
        track = self._tracks[index] if 0 <= index < len(self._tracks) else None
        if track is not None and track.adts is not None:
            data, config = track.adts.unpack(packet, data)
            track.entry.private = track.entry.private or config
        self._put(
            index,
            data,
            pts,
            packet.duration or 0,
            bool(packet.is_keyframe),
            time_base,
            discard,
        )

    def _trimming(self, index: int, packet: av.Packet[Any]) -> int:
        """Nanoseconds of sound to drop at a packet's end; notes what is dropped at the start."""
        if not 0 <= index < len(self._tracks):
            return 0
        track = self._tracks[index]
        rate = track.sample_rate
        if not rate or not packet.has_sidedata("skip_samples"):
            return 0
        skip = bytes(packet.get_sidedata("skip_samples"))
        if len(skip) < 8:
            return 0
        if track.first_time is None:
            track.priming = int.from_bytes(skip[:4], "little") * NANOSECONDS // rate
        return int.from_bytes(skip[4:8], "little") * NANOSECONDS // rate

    def _put(
        self,
        index: int,
        data: bytes,
        pts: int | None,
        duration: int,
        keyframe: bool,
        time_base: Fraction,
        discard: int = 0,
    ) -> None:
        if self._closed:
            raise UsageError("the file is closed")
        if not 0 <= index < len(self._tracks):
            raise UsageError(f"there is no track {index}")
        self._sealed = True
        track = self._tracks[index]
        data = self._filtered(track, data)
        if track.entry.kind == entries.SUBTITLE and not data:
            return  # MOV fills the gaps between texts with empty ones
        ticks = time_base.numerator * NANOSECONDS
        length = (2 * max(0, duration) * ticks + time_base.denominator) // (
            2 * time_base.denominator
        )
        if pts is not None:
            time = (2 * pts * ticks + time_base.denominator) // (2 * time_base.denominator)
        elif track.next_time is not None:
            time = track.next_time
        else:
            raise MediaError(f"the first packet of track {index} has no timestamp")
        check_seconds(f"track {index}", Fraction(max(abs(time), length), NANOSECONDS))
        if track.first_time is None:
            track.first_time = time
        track.next_time = time + length
        self._queue.push(Entry(index, data, time, length, keyframe, discard))
        self._release(everything=False)

    def _filtered(self, track: _Track, data: bytes) -> bytes:
        """The packet as Matroska stores it."""
        if track.codec == "aac" and not track.entry.private:
            parts = split_adts(data)
            if parts is None:
                raise MediaError("the AAC track has neither a configuration nor ADTS headers")
            track.entry.private = adts_to_config(parts[0])
            return parts[1]
        if track.codec == "aac" and data[:1] == b"\xff":
            parts = split_adts(data)
            return parts[1] if parts else data
        if track.entry.codec_id == "S_TEXT/UTF8":
            return to_subrip(track.codec, data)
        return data

    # ---- the file ----

    def _write_head(self) -> MatroskaFile:
        shift = 0
        for track in self._tracks:
            shift = min(shift, track.settle_delay())
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
        )

    def close(self) -> None:
        """Writes what is left, the index and the sizes, and closes the file if it was opened here.

        Raises:
            OSError: the output cannot take it (the disk is full, the pipe is closed).
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._release(everything=True)
            if self._writer is None:
                self._writer = self._write_head()
            self._writer.finish(self._end / self._scale)
            self._file.flush()
        finally:
            if self._owned:
                self._file.close()

    def abort(self) -> None:
        """Ends the file early: what has come so far stays playable as far as it can be written."""
        with contextlib.suppress(Exception):
            self.close()
