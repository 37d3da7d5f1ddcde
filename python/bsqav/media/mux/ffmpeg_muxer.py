"""Writing any container of FFmpeg's, with the checks that its muxers leave to their callers.

FFmpeg's own program guesses channel layouts and mends times before it muxes; the library refuses a
file without them, or aborts the whole process. All of that is done here, for every output that
FFmpeg writes.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import av
from av.bitstream import BitStreamFilterContext

from bsqav.errors import MediaError, UnsupportedError, UsageError
from bsqav.media.io.ffmpeg_log import last_words, listening
from bsqav.media.metadata.codec_names import codec_name
from bsqav.media.metadata.file_metadata import Attachment, Chapter, av_chapters, metadata_of
from bsqav.media.mux.audio import layout_of, sound_instead
from bsqav.media.mux.format_rules import (
    KEEPS_ASS,
    KEEPS_CHAPTERS,
    MOV_FAMILY,
    NEEDS_VIDEO,
    SOUND_RATES,
    TEXT_TARGETS,
    reads_back,
)
from bsqav.media.mux.packet_times import PacketTimes, check_seconds
from bsqav.media.mux.subtitles import (
    EMPTY_TEXT,
    TEXT_CODECS,
    subrip_to_mov_text,
    subrip_to_webvtt,
    to_subrip,
)
from bsqav.media.mux.text_track import TextSample, TextTrack

__all__ = ["FRAGMENTED", "FFmpegMuxer"]

EMPTY: Mapping[str, str] = {}
MILLISECONDS = Fraction(1, 1000)
_OF_SUBRIP = {"mov_text": subrip_to_mov_text, "webvtt": subrip_to_webvtt}
# The head waits for the first fragment: only then it can say that sound begins before zero.
FRAGMENTED = "frag_keyframe+delay_moov+default_base_moof"
# Of a track of texts, the finest: FFmpeg's muxer counts samples of up to 2^31 ticks.
_FINEST_TEXT = 90_000
# Style of tracks made from other text.
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


class FFmpegMuxer:
    """Writes one file through an FFmpeg muxer; see `bsqav.media.mux.muxers.Muxer` for the calls.

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
        target: Any,
        format: str,  # noqa: A002
        *,
        options: Mapping[str, str] | None = None,
        fragmented: bool = False,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.format = self._ffmpeg_format = format
        self._options = dict(options or {})
        self._fragmented = fragmented
        self._warn = warn
        self.container: Any = av.open(target, "w", format=format, container_options=self._options)
        self._converted: dict[int, tuple[str, str]] = {}  # track to its codec and what it becomes
        self._names: dict[int, str] = {}  # of tracks, for messages
        self._texts: dict[int, TextTrack] = {}  # tracks of mov_text
        self._filters: dict[int, BitStreamFilterContext] = {}  # of tracks that may be ADTS
        self._times: dict[int, PacketTimes] = {}
        self._move = Fraction(0)  # seconds that are added to all times
        self._sealed = False  # a packet has come
        self._started = False  # the header is written
        self._closed = False

    # ---- what the file holds ----

    def refuses(self, stream: Any) -> str | None:
        """Why a track cannot be copied, None when it can."""
        codec = codec_name(stream)
        if stream.type not in ("audio", "subtitle"):
            return f"{stream.type} tracks are not copied into {self.format}"
        if self._text_target(codec) is not None:
            return None
        reason = f"{self.format} cannot carry {codec}"
        if stream.codec_context is None or not reads_back(self._ffmpeg_format, codec):
            return reason
        if self._can_hold(lambda trial: _copy_of(trial, stream)):
            return None
        rate = stream.codec_context.sample_rate if stream.type == "audio" else None
        if rate not in (None, SOUND_RATES.get(self._ffmpeg_format, rate)):
            reason += f" of {rate} Hz"
        return reason

    def _text_target(self, codec: str) -> str | None:
        """What text of a codec becomes here; None where it stays, or has to stay behind."""
        target = TEXT_TARGETS.get(self._ffmpeg_format)
        if target is None or codec not in TEXT_CODECS or codec == target:
            return None
        return None if codec in ("ass", "ssa") and self._ffmpeg_format in KEEPS_ASS else target

    def _can_hold(self, add: Callable[[Any], object]) -> bool:
        """Whether FFmpeg would write a file with such a stream: some fail only at the header."""
        options = {k: v for k, v in self._options.items() if k == "strict"}
        with listening(), contextlib.ExitStack() as stack:
            try:
                trial: Any = av.open(
                    io.BytesIO(), "w", format=self._ffmpeg_format, container_options=options
                )
                stack.callback(_end, trial)
                if self._ffmpeg_format in NEEDS_VIDEO:
                    self._add_video_to(trial)
                add(trial)
                trial.start_encoding()
            except (ValueError, av.FFmpegError):
                return False
        return True

    def _add_video_to(self, trial: Any) -> None:
        """The file's video track as it stands, in another container."""
        for stream in self.container.streams.video:
            context = stream.codec_context
            made = trial.add_stream(context.codec.name, rate=context.framerate).codec_context
            made.width, made.height, made.pix_fmt = context.width, context.height, context.pix_fmt
            made.time_base, made.options = context.time_base, dict(context.options)
            if context.bit_rate:
                made.bit_rate = context.bit_rate

    def _require_unsealed(self) -> None:
        if self._sealed or self._closed:
            raise UsageError("what describes a file must be set before its first packet")

    def sound_encoder(self, codec: str) -> str | None:
        """The encoder for sound of a codec that cannot be copied; None where there is no sound."""
        default = str(self.container.default_audio_codec)
        pcm = self._ffmpeg_format in SOUND_RATES and codec.startswith("pcm_")
        if pcm or self._ffmpeg_format in ("matroska", "nut"):
            default = sound_instead(codec)
        return None if default == "none" else default

    def copy_stream(self, stream: Any) -> int:
        """A sound or subtitle track whose packets come unchanged from a PyAV input stream.

        Raises:
            UnsupportedError: `refuses(stream)` gives the reason.
        """
        self._require_unsealed()
        reason = self.refuses(stream)
        if reason is not None:
            raise UnsupportedError(f"track {stream.index}: {reason}")
        codec = codec_name(stream)
        target = self._text_target(codec)
        if target is not None:
            made = self.container.add_stream(target)
            made.codec_context.subtitle_header = _PLAIN_STYLE
            made.codec_context.time_base = made.time_base = MILLISECONDS
            self._converted[made.index] = (codec, target)
        else:
            made = _copy_of(self.container, stream)
            if codec == "aac" and self._fragmented:
                # The muxer does so itself, but not in fragments.
                self._filters[made.index] = BitStreamFilterContext("aac_adtstoasc", stream)
        return self._added(made, codec, metadata_of(stream), int(stream.disposition))

    def add_audio(
        self, codec: Any, *, metadata: Mapping[str, str] = EMPTY, disposition: int = 0
    ) -> int:
        """A sound track as an opened PyAV audio encoder describes it."""
        self._require_unsealed()
        name = codec.codec.canonical_name
        if not reads_back(self._ffmpeg_format, name) or not self._can_hold(
            lambda trial: _like(trial, codec)
        ):
            raise UnsupportedError(f"{self.format} cannot carry {name}")
        return self._added(_like(self.container, codec), name, metadata, disposition)

    def _added(self, made: Any, codec: str, metadata: Mapping[str, str], disposition: int) -> int:
        made.metadata.update(metadata)
        if disposition:
            made.disposition = disposition
        index = int(made.index)
        language = metadata.get("language", "und")
        tail = "" if language == "und" else f", {language}"
        self._names[index] = f"track {index} ({made.type} {codec}{tail})"
        if self._ffmpeg_format in MOV_FAMILY and made.codec_context.codec.name == "mov_text":
            self._texts[index] = TextTrack(MILLISECONDS, gapless=self._fragmented)
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
        self._settle_texts()
        with listening() as lines:
            try:
                self.container.start_encoding()
                return
            except (ValueError, av.FFmpegError) as caught:
                error = caught
        if isinstance(error, OSError) and not isinstance(error, ValueError):
            raise error  # a full disk, a pipe that was closed
        raise UnsupportedError(
            f"{self.format} with {', '.join(self._tracks())} cannot be written: "
            f"{last_words(error, lines)}"
        ) from error

    def _tracks(self) -> list[str]:
        return [self.name_of(stream.index) for stream in self.container.streams]

    def name_of(self, index: int) -> str:
        """A track as messages call it."""
        if index in self._names:
            return self._names[index]
        stream = self.container.streams[index]
        return f"track {index} ({stream.type} {codec_name(stream)})"

    def _settle_texts(self) -> None:
        """The time base of texts: FFmpeg compares their ticks with those of all other tracks."""
        if not self._texts:
            return
        rates = [1000]
        for stream in self.container.streams:
            context = stream.codec_context
            if stream.type == "audio" and context is not None:
                rates.append(context.sample_rate)
            elif stream.type == "video" and context is not None and context.time_base:
                rate = context.time_base.denominator
                while rate < 10_000:  # as the muxer does
                    rate *= 2
                rates.append(rate)
        rate = max(rates) if self._fragmented else min(max(rates), _FINEST_TEXT)
        for index in self._texts:
            stream = self.container.streams[index]
            stream.time_base = Fraction(1, rate)
            if stream.codec_context.is_encoder:
                stream.codec_context.time_base = Fraction(1, rate)
            self._texts[index] = TextTrack(Fraction(1, rate), gapless=self._fragmented)

    def mux_packet(self, index: int, packet: av.Packet[Any]) -> None:
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
        copy: av.Packet[Any] = av.Packet(data)
        copy.pts, copy.dts = packet.pts, packet.dts
        copy.duration = packet.duration or 0
        copy.time_base = packet.time_base
        copy.is_keyframe = packet.is_keyframe
        for kind in ("skip_samples",):
            if packet.has_sidedata(kind):
                copy.set_sidedata(packet.get_sidedata(kind))
        for each in self._filtered(index, copy):
            self.send(index, each)

    def _filtered(self, index: int, packet: av.Packet[Any]) -> list[av.Packet[Any]]:
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

    def _add_text(self, index: int, packet: av.Packet[Any], data: bytes) -> None:
        self._check_open(index)
        stamp = packet.pts if packet.pts is not None else packet.dts
        if data[:2] == EMPTY_TEXT or stamp is None:
            return  # silence
        duration, base = packet.duration or 0, Fraction(packet.time_base)
        check_seconds(self.name_of(index), stamp * base)
        check_seconds(self.name_of(index), duration * base)

        def take() -> None:
            self.start()
            track = self._texts[index]
            start = round((stamp * base + self._move) / track.time_base)
            track.add(start, round(duration * base / track.time_base), data)

        self._when_settled(take)

    def _check_open(self, index: int) -> None:
        if self._closed:
            raise UsageError("the file is closed")
        if not 0 <= index < len(self.container.streams):
            raise UsageError(f"there is no track {index}")
        self._sealed = True

    def _when_settled(self, action: Callable[[], None]) -> None:
        """Does it now; where all times may still be moved, later."""
        action()

    def send(self, index: int, packet: av.Packet[Any]) -> None:
        """Writes a packet that may be changed, its times mended.

        Raises:
            MediaError: FFmpeg refuses it, or its time is out of range.
            OSError: the output cannot take it.
        """
        self._check_open(index)
        self._when_settled(lambda: self._send(index, packet))

    def _send(self, index: int, packet: av.Packet[Any]) -> None:
        self.start()
        if self._move:
            ticks = round(self._move / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks
        packet.stream = self.container.streams[index]
        self._mend(index, packet)
        if self._texts:
            self._send_texts(packet)
        self._write(index, packet)

    def _mend(self, index: int, packet: av.Packet[Any]) -> None:
        times = self._times.get(index)
        if times is None:
            stream = self.container.streams[index]
            times = self._times[index] = PacketTimes(
                self.name_of(index),
                Fraction(stream.time_base),
                (1 << 31) - 2 if self._ffmpeg_format in MOV_FAMILY else None,
                0 if stream.type == "subtitle" else 1,
            )
        times.mend(packet)

    def _send_texts(self, packet: av.Packet[Any]) -> None:
        """The texts that are due before a packet of another track."""
        time = Fraction((packet.dts or 0) * packet.time_base)
        video = packet.stream.type == "video" and packet.is_keyframe
        for index, track in self._texts.items():
            ticks = -(-time // track.time_base)
            for sample in track.until(int(ticks)):
                self._write_text(index, sample)
            if video and self._fragmented:
                track.keyframe(int(ticks))

    def _write_text(self, index: int, sample: TextSample) -> None:
        packet: av.Packet[Any] = av.Packet(sample.data)
        packet.pts = packet.dts = sample.start
        packet.duration = sample.duration
        packet.time_base = self._texts[index].time_base
        packet.is_keyframe = True
        packet.stream = self.container.streams[index]
        self._write(index, packet)

    def _write(self, index: int, packet: av.Packet[Any]) -> None:
        try:
            self.container.mux(packet)
        except (av.ArgumentError, av.InvalidDataError, av.PatchWelcomeError, ValueError) as error:
            place = f"at {float(packet.pts * packet.time_base):.3f} s" if packet.pts else ""
            with listening() as lines, contextlib.suppress(Exception):
                self.container.mux(packet)  # once more, for the reason
            raise MediaError(
                f"{self.format} refuses a packet of {self.name_of(index)} {place}: "
                f"{last_words(error, lines)}"
            ) from error

    def close(self) -> None:
        """Finishes the file.

        Raises:
            OSError: the output cannot take it.
        """
        if self._closed:
            return
        try:
            if len(self.container.streams):
                self.start()
            for index, track in self._texts.items():
                for sample in track.finish():
                    self._write_text(index, sample)
        finally:
            self._closed = True
            self.container.close()
        for times in self._times.values():
            if remark := times.remark():
                self._warn(remark)

    def abort(self) -> None:
        """Ends the file early: what has come so far stays playable as far as it can be written."""
        with contextlib.suppress(Exception):
            self.close()
        self._closed = True


def _end(trial: Any) -> None:
    """Closes a file without packets, of which some muxers make no end."""
    with contextlib.suppress(ValueError, av.FFmpegError):
        trial.close()


def _copy_of(container: Any, stream: Any) -> Any:
    """A stream of a container for the packets of another, its channel layout guessed."""
    made = container.add_stream_from_template(stream)
    if made.type == "audio":
        layout = layout_of(stream.codec_context)
        if layout != stream.codec_context.layout.name:
            made.codec_context.layout = layout
    return made


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
