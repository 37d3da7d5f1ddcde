"""Writing any FFmpeg container, with the checks that its muxers leave to their callers.

FFmpeg's own program guesses channel layouts and repairs times before it muxes; the library refuses
a file without them, or aborts the whole process. All of that is done here, for every output that
FFmpeg writes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import av
from av.audio.codeccontext import AudioCodecContext
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.stream import Disposition, Stream
from av.subtitles.codeccontext import SubtitleCodecContext

from bsqav.errors import MediaError, UnsupportedError, UsageError
from bsqav.media.io.ffmpeg_log import captured_log, error_message
from bsqav.media.io.pipes import WholeWriter
from bsqav.media.io.types import AvPacket, MediaFile, Warn, decoder_of
from bsqav.media.metadata.codec_names import codec_name
from bsqav.media.metadata.file_metadata import Attachment, Chapter, av_chapters, metadata_of
from bsqav.media.mux.audio import sound_instead
from bsqav.media.mux.base import EMPTY, Muxer
from bsqav.media.mux.ffmpeg_streams import add_copy, add_for_encoder, can_hold
from bsqav.media.mux.format_rules import (
    KEEPS_ASS,
    KEEPS_CHAPTERS,
    MOV_FAMILY,
    SOUND_RATES,
    TEXT_TARGETS,
    reads_back,
)
from bsqav.media.mux.mov_texts import MILLISECONDS, MovTexts
from bsqav.media.mux.packet_times import PacketTimes, check_seconds
from bsqav.media.mux.subtitles import (
    EMPTY_TEXT,
    PLAIN_STYLE,
    TEXT_CODECS,
    subrip_to_mov_text,
    subrip_to_webvtt,
    to_subrip,
)

__all__ = ["FRAGMENTED", "FFmpegMuxer"]

_OF_SUBRIP = {"mov_text": subrip_to_mov_text, "webvtt": subrip_to_webvtt}
# The header waits for the first fragment: only then it can say that sound begins before zero.
FRAGMENTED = "frag_keyframe+delay_moov+default_base_moof"


class FFmpegMuxer(Muxer):
    """Writes one file through an FFmpeg muxer.

    Args:
        target: what PyAV opens: a URL or a file object.
        format: FFmpeg's name of the container.
        options: of FFmpeg's muxer.
        fragmented: the options ask a MOV muxer for fragments.
        warn: takes a sentence on times that had to be changed.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(
        self,
        target: MediaFile | WholeWriter,
        format: str,  # noqa: A002
        *,
        options: Mapping[str, str] | None = None,
        fragmented: bool = False,
        warn: Warn = lambda _: None,
    ) -> None:
        super().__init__()
        self.format = self._ffmpeg_format = format
        self._options = dict(options or {})
        self._fragmented = fragmented
        self._warn = warn
        self.container = av.open(target, "w", format=format, container_options=self._options)
        self._converted: dict[int, tuple[str, str]] = {}  # track to its codec and what it becomes
        self._names: dict[int, str] = {}  # of tracks, for messages
        self._texts = MovTexts(self.container, gapless=fragmented)
        self._filters: dict[int, BitStreamFilterContext] = {}  # of tracks that may be ADTS
        self._times: dict[int, PacketTimes] = {}
        self._shift = Fraction(0)  # seconds that are added to all times
        self._started = False  # the header is written

    # ---- tracks and metadata ----

    def refuses(self, stream: Stream) -> str | None:
        """Why a track cannot be copied, None when it can."""
        codec = codec_name(stream)
        if stream.type not in ("audio", "subtitle"):
            return f"{stream.type} tracks are not copied into {self.format}"
        if self._text_target(codec) is not None:
            return None
        reason = f"{self.format} cannot carry {codec}"
        if decoder_of(stream) is None or not reads_back(self._ffmpeg_format, codec):
            return reason
        if self._can_hold(lambda trial: add_copy(trial, stream)):
            return None
        if isinstance(stream, av.AudioStream):
            rate = stream.codec_context.sample_rate
            if rate != SOUND_RATES.get(self._ffmpeg_format, rate):
                reason += f" of {rate} Hz"
        return reason

    def _text_target(self, codec: str) -> str | None:
        """What text of a codec is converted to; None where it is copied, or not carried."""
        target = TEXT_TARGETS.get(self._ffmpeg_format)
        if target is None or codec not in TEXT_CODECS or codec == target:
            return None
        return None if codec in ("ass", "ssa") and self._ffmpeg_format in KEEPS_ASS else target

    def _can_hold(self, add: Callable[[OutputContainer], Stream]) -> bool:
        return can_hold(self.container, self._ffmpeg_format, self._options, add)

    def audio_encoder(self, codec: str) -> str | None:
        """The encoder for audio of a codec that cannot be copied; None where there is no audio."""
        default = str(self.container.default_audio_codec)
        pcm = self._ffmpeg_format in SOUND_RATES and codec.startswith("pcm_")
        if pcm or self._ffmpeg_format in ("matroska", "nut"):
            default = sound_instead(codec)
        return None if default == "none" else default

    def copy_stream(self, stream: Stream) -> int:
        """An audio or subtitle track whose packets come unchanged from a PyAV input stream.

        Raises:
            UnsupportedError: `refuses(stream)` gives the reason.
        """
        self._require_unsealed()
        reason = self.refuses(stream)
        if reason is not None:
            raise UnsupportedError(f"track {stream.index}: {reason}")
        codec = codec_name(stream)
        target = self._text_target(codec)
        made: Stream
        if target is not None:
            made = self.container.add_stream(target)
            assert isinstance(made.codec_context, SubtitleCodecContext)
            made.codec_context.subtitle_header = PLAIN_STYLE
            made.codec_context.time_base = made.time_base = MILLISECONDS
            self._converted[made.index] = (codec, target)
        else:
            made = add_copy(self.container, stream)
            if codec == "aac" and self._fragmented:
                # The muxer does so itself, but not in fragments.
                self._filters[made.index] = BitStreamFilterContext("aac_adtstoasc", stream)
        return self._added(made, codec, metadata_of(stream), int(stream.disposition))

    def add_audio(
        self, codec: AudioCodecContext, *, metadata: Mapping[str, str] = EMPTY, disposition: int = 0
    ) -> int:
        """An audio track as an opened PyAV encoder describes it."""
        self._require_unsealed()
        name = codec.codec.canonical_name
        if not reads_back(self._ffmpeg_format, name) or not self._can_hold(
            lambda trial: add_for_encoder(trial, codec)
        ):
            raise UnsupportedError(f"{self.format} cannot carry {name}")
        return self._added(add_for_encoder(self.container, codec), name, metadata, disposition)

    def _added(
        self, made: Stream, codec: str, metadata: Mapping[str, str], disposition: int
    ) -> int:
        made.metadata.update(metadata)
        if disposition:
            made.disposition = Disposition(disposition)
        index = made.index
        language = metadata.get("language", "und")
        tail = "" if language == "und" else f", {language}"
        self._names[index] = f"track {index} ({made.type} {codec}{tail})"
        if self._ffmpeg_format in MOV_FAMILY and made.codec_context.codec.name == "mov_text":
            self._texts.add_track(index)
        return index

    def set_metadata(self, metadata: Mapping[str, str]) -> None:
        """The file's title and tags, as far as the container has room for them."""
        self._require_unsealed()
        self.container.metadata.update(metadata)

    def set_chapters(self, chapters: Sequence[Chapter]) -> bool:
        """The file's chapters; False where the container has none."""
        self._require_unsealed()
        keeps = self._ffmpeg_format in KEEPS_CHAPTERS
        if keeps:
            self.container.set_chapters(av_chapters(chapters))
        return keeps

    def add_attachment(self, attachment: Attachment) -> bool:
        """A file to carry along; False where the container cannot."""
        self._require_unsealed()
        if self._ffmpeg_format != "matroska":
            return False
        self.container.add_attachment(attachment.name, attachment.mimetype, attachment.data)
        return True

    # ---- packets ----

    def start(self) -> None:
        """Writes the header; the first packet does so too.

        Raises:
            UnsupportedError: FFmpeg refuses the file as it is described; its own words say why.
        """
        if self._started:
            return
        self._started = self._sealed = True
        self._texts.choose_time_base()
        with captured_log() as lines:
            try:
                self.container.start_encoding()
                return
            except (ValueError, av.FFmpegError) as caught:
                error = caught
        if isinstance(error, OSError) and not isinstance(error, ValueError):
            raise error  # a full disk, a pipe that was closed
        raise UnsupportedError(
            f"{self.format} with {', '.join(self._tracks())} cannot be written: "
            f"{error_message(error, lines)}"
        ) from error

    def _tracks(self) -> list[str]:
        return [self.name_of(stream.index) for stream in self.container.streams]

    def name_of(self, index: int) -> str:
        """A track as messages call it."""
        if index in self._names:
            return self._names[index]
        stream = self.container.streams[index]
        return f"track {index} ({stream.type} {codec_name(stream)})"

    def mux_packet(self, index: int, packet: AvPacket) -> None:
        """Takes a PyAV packet; the packet itself stays as it is."""
        data = bytes(packet)
        codec, target = self._converted.get(index, ("", ""))
        if target:
            data = to_subrip(codec, data)
            if not data.strip():
                return  # MOV marks silence with empty packets
            data = _OF_SUBRIP.get(target, bytes)(data)
        if index in self._texts:
            self._add_text(index, packet, data)
            return
        copy: AvPacket = av.Packet(data)
        copy.pts, copy.dts = packet.pts, packet.dts
        copy.duration = packet.duration or 0
        copy.time_base = packet.time_base
        copy.is_keyframe = packet.is_keyframe
        for kind in ("skip_samples",):
            if packet.has_sidedata(kind):
                copy.set_sidedata(packet.get_sidedata(kind))
        for each in self._filtered(index, copy):
            self.send(index, each)

    def _filtered(self, index: int, packet: AvPacket) -> list[AvPacket]:
        """The packet without an ADTS header, its configuration as side data."""
        if index not in self._filters:
            return [packet]
        time_base = packet.time_base
        try:
            found = self._filters[index].filter(packet)
        except (av.FFmpegError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise MediaError(
                f"{self.name_of(index)} has a packet that is no AAC: {reason}; encode it anew "
                "(-c:a aac)"
            ) from error
        for each in found:
            each.time_base = time_base
        return list(found)

    def _add_text(self, index: int, packet: AvPacket, data: bytes) -> None:
        self._check_open(index)
        stamp = packet.pts if packet.pts is not None else packet.dts
        if data[:2] == EMPTY_TEXT or stamp is None:
            return  # silence
        base = Fraction(packet.time_base)
        begin, duration = stamp * base, (packet.duration or 0) * base
        check_seconds(self.name_of(index), begin)
        check_seconds(self.name_of(index), duration)

        def take() -> None:
            self.start()
            self._texts.add_text(index, begin + self._shift, duration, data)

        self._when_shift_known(take)

    def _check_open(self, index: int) -> None:
        if self._closed:
            raise UsageError("the file is closed")
        if not 0 <= index < len(self.container.streams):
            raise UsageError(f"there is no track {index}")
        self._sealed = True

    def _when_shift_known(self, action: Callable[[], None]) -> None:
        """Calls `action` now; later where the shift of all times is not known yet."""
        action()

    def send(self, index: int, packet: AvPacket) -> None:
        """Writes a packet that may be changed, its times repaired.

        Raises:
            MediaError: FFmpeg refuses it, or its time is out of range.
            OSError: the output cannot take it.
        """
        self._check_open(index)
        self._when_shift_known(lambda: self._send(index, packet))

    def _send(self, index: int, packet: AvPacket) -> None:
        self.start()
        if self._shift:
            ticks = round(self._shift / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks
        packet.stream = self.container.streams[index]
        self._repair(index, packet)
        if self._texts:
            for text in self._texts.due_before(packet):
                self._write(text.stream_index, text)
        self._write(index, packet)

    def _repair(self, index: int, packet: AvPacket) -> None:
        times = self._times.get(index)
        if times is None:
            stream = self.container.streams[index]
            assert stream.time_base is not None  # the header is written
            times = self._times[index] = PacketTimes(
                self.name_of(index),
                stream.time_base,
                (1 << 31) - 2 if self._ffmpeg_format in MOV_FAMILY else None,
                0 if stream.type == "subtitle" else 1,
            )
        times.repair(packet)

    def _write(self, index: int, packet: AvPacket) -> None:
        try:
            self.container.mux(packet)
        except (av.ArgumentError, av.InvalidDataError, av.PatchWelcomeError, ValueError) as error:
            place = f"at {float(packet.pts * packet.time_base):.3f} s" if packet.pts else ""
            with captured_log() as lines, contextlib.suppress(Exception):
                self.container.mux(packet)  # once more, for the reason
            raise MediaError(
                f"{self.format} refuses a packet of {self.name_of(index)} {place}: "
                f"{error_message(error, lines)}"
            ) from error

    def _finish(self) -> None:
        try:
            if len(self.container.streams):
                self.start()
            for text in self._texts.finish():
                self._write(text.stream_index, text)
        finally:
            self.container.close()
        for times in self._times.values():
            if remark := times.remark():
                self._warn(remark)
