"""The base of all muxers: what describes a file comes first, then packets, then the end."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from av.audio.codeccontext import AudioCodecContext
from av.stream import Stream

from bsqav.codec.sequence import SequenceHeader
from bsqav.errors import UsageError
from bsqav.media.io.types import AvPacket
from bsqav.media.metadata.file_metadata import Attachment, Chapter
from bsqav.media.metadata.hdr import NO_HDR, HdrMetadata

__all__ = ["EMPTY", "BsqMuxer", "MuxedPacket", "Muxer", "VideoTrack"]

EMPTY: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """A BSQ track to write, as `BsqMuxer.add_video` describes it."""

    header: bytes
    sequence: SequenceHeader
    metadata: Mapping[str, str]
    disposition: int
    hdr: HdrMetadata


@dataclass(frozen=True, slots=True)
class MuxedPacket:
    """An encoded frame on its way into a file; times in ticks of `time_base` seconds."""

    data: bytes
    pts: int | None
    dts: int | None
    duration: int  # 0 where unknown
    keyframe: bool
    time_base: Fraction
    disposable: bool = False


class Muxer(ABC):
    """Writes one file. Tracks and metadata come first, then packets, then close().

    After the first packet, adding or describing raises UsageError. Writing raises OSError.
    """

    format: str
    """Name of the container: FFmpeg's, or "hls"."""

    def __init__(self) -> None:
        self._sealed = False  # a packet has come: tracks and metadata are final
        self._closed = False

    def _require_unsealed(self) -> None:
        if self._sealed or self._closed:
            raise UsageError("tracks and metadata cannot be set after the first packet")

    @abstractmethod
    def refuses(self, stream: Stream) -> str | None:
        """Why a PyAV input stream cannot be copied, None when it can."""

    @abstractmethod
    def audio_encoder(self, codec: str) -> str | None:
        """FFmpeg's encoder for audio of a codec that cannot be copied; None where none fits."""

    @abstractmethod
    def copy_stream(self, stream: Stream) -> int:
        """Index of an audio or subtitle track whose packets come from a PyAV input stream.

        Raises UnsupportedError where `refuses(stream)` gives a reason.
        """

    @abstractmethod
    def add_audio(
        self, codec: AudioCodecContext, *, metadata: Mapping[str, str] = EMPTY, disposition: int = 0
    ) -> int:
        """Index of an audio track that an opened PyAV encoder, or a decoder, describes."""

    @abstractmethod
    def set_metadata(self, metadata: Mapping[str, str]) -> None:
        """The file's title and tags, as far as the container keeps them."""

    @abstractmethod
    def set_chapters(self, chapters: Sequence[Chapter]) -> bool:
        """The file's chapters; False where the container has none."""

    @abstractmethod
    def add_attachment(self, attachment: Attachment) -> bool:
        """A file to carry along; False where the container cannot."""

    @abstractmethod
    def mux_packet(self, index: int, packet: AvPacket) -> None:
        """Takes a PyAV packet of a copied stream, or of an encoder; the packet is not changed."""

    def close(self) -> None:
        """Finishes the file; a file object given by the caller stays open.

        Raises:
            OSError: the output cannot take it (the disk is full, the pipe is closed).
        """
        if self._closed:
            return
        try:
            self._finish()
        finally:
            self._closed = True

    @abstractmethod
    def _finish(self) -> None:
        """Writes what is left and closes what was opened here; called once."""

    def abort(self) -> None:
        """Ends early: what has been written stays playable as far as possible. Never raises."""
        with contextlib.suppress(Exception):
            self.close()
        self._closed = True


class BsqMuxer(Muxer):
    """A muxer whose video is BSQ."""

    def add_video(
        self,
        header: bytes,
        sequence: SequenceHeader,
        *,
        metadata: Mapping[str, str] = EMPTY,
        disposition: int = 0,
        hdr: HdrMetadata = NO_HDR,
    ) -> int:
        """Index of a BSQ track: the sequence header as bytes and as a dictionary.

        NUT does not keep `hdr`.
        """
        return self._add_video(VideoTrack(header, sequence, metadata, disposition, hdr))

    @abstractmethod
    def _add_video(self, track: VideoTrack) -> int:
        """Index of the track."""

    def mux(
        self,
        index: int,
        data: bytes,
        *,
        pts: int | None,
        dts: int | None = None,
        duration: int = 0,
        keyframe: bool = False,
        disposable: bool = False,
        time_base: Fraction,
    ) -> None:
        """Takes one packet; times in ticks of `time_base` seconds.

        A packet without pts takes dts, and without that the end of the one before. `disposable`: no
        other packet needs what is in it; Matroska alone keeps that.
        """
        packet = MuxedPacket(data, pts, dts, duration, keyframe, time_base, disposable)
        self._mux_video(index, packet)

    @abstractmethod
    def _mux_video(self, index: int, packet: MuxedPacket) -> None:
        """Takes one packet."""
