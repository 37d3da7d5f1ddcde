"""Matroska track entries: how each kind of track describes itself (RFC 9559, 5.1.4)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from av.stream import Disposition

from bsqav.codec.sequence import SequenceHeader, frame_rate_of, sample_aspect_of
from bsqav.errors import UsageError
from bsqav.media.io import ebml
from bsqav.media.io import matroska_ids as ids
from bsqav.media.io.codec_tag import FOURCC
from bsqav.media.metadata.hdr import NO_HDR, HdrMetadata
from bsqav.media.mux.audio import AudioParameters, flac_private, vorbis_private

__all__ = ["TrackEntry", "audio_codec_id", "audio_track", "subtitle_track", "video_track"]

VIDEO, AUDIO, SUBTITLE = 1, 2, 0x11
NANOSECONDS = 1_000_000_000
OPUS_PRE_ROLL = 80_000_000  # nanoseconds, RFC 7845

# FFmpeg's codec names to Matroska's. PCM is there by its form: see `_pcm`.
_AUDIO = {
    "aac": "A_AAC",
    "opus": "A_OPUS",
    "vorbis": "A_VORBIS",
    "mp3": "A_MPEG/L3",
    "mp2": "A_MPEG/L2",
    "mp1": "A_MPEG/L1",
    "ac3": "A_AC3",
    "eac3": "A_EAC3",
    "dts": "A_DTS",
    "truehd": "A_TRUEHD",
    "flac": "A_FLAC",
    "alac": "A_ALAC",
    "pcm_u8": "A_PCM/INT/LIT",
    "pcm_s16le": "A_PCM/INT/LIT",
    "pcm_s24le": "A_PCM/INT/LIT",
    "pcm_s32le": "A_PCM/INT/LIT",
    "pcm_s16be": "A_PCM/INT/BIG",
    "pcm_s24be": "A_PCM/INT/BIG",
    "pcm_s32be": "A_PCM/INT/BIG",
    "pcm_f32le": "A_PCM/FLOAT/IEEE",
    "pcm_f64le": "A_PCM/FLOAT/IEEE",
}
_PCM_BITS = {"u8": 8, "s16": 16, "s24": 24, "s32": 32, "f32": 32, "f64": 64}
_PRIVATE: dict[str, Callable[[bytes], bytes]] = {
    "vorbis": vorbis_private,
    "flac": flac_private,
    "alac": lambda extradata: extradata[12:] if extradata[4:8] == b"alac" else extradata,
    "ac3": lambda _: b"",
    "eac3": lambda _: b"",
    "mp3": lambda _: b"",
    "mp2": lambda _: b"",
}
_SUBTITLES = {
    "subrip": "S_TEXT/UTF8",
    "text": "S_TEXT/UTF8",
    "mov_text": "S_TEXT/UTF8",
    "webvtt": "S_TEXT/UTF8",
    "ass": "S_TEXT/ASS",
    "ssa": "S_TEXT/ASS",
    "hdmv_pgs_subtitle": "S_HDMV/PGS",
    "dvd_subtitle": "S_VOBSUB",
}
_FLAGS = {
    Disposition.forced: ids.FLAG_FORCED,
    Disposition.hearing_impaired: ids.FLAG_HEARING_IMPAIRED,
    Disposition.visual_impaired: ids.FLAG_VISUAL_IMPAIRED,
    Disposition.original: ids.FLAG_ORIGINAL,
    Disposition.comment: ids.FLAG_COMMENTARY,
}
# AVChromaLocation to Matroska's horizontal and vertical siting; others have no expression.
_CHROMA_SITING = {1: (1, 2), 2: (2, 2), 3: (1, 1), 4: (2, 1)}


@dataclass
class TrackEntry:
    """One track of a file that is being written."""

    kind: int  # VIDEO, AUDIO or SUBTITLE
    codec_id: str
    private: bytes
    details: bytes  # the Video or Audio element, empty for subtitles
    metadata: Mapping[str, str] = field(default_factory=dict)
    disposition: int = 0
    default_duration: int = 0  # nanoseconds, 0 where not constant
    codec_delay: int = 0  # nanoseconds
    pre_roll: int = 0  # nanoseconds

    def uid(self, number: int) -> int:
        """An id that tags refer to; the same input gives the same id."""
        seed = f"{number} {self.codec_id}".encode() + self.private
        return zlib.crc32(seed) << 16 | number

    def element(self, number: int) -> bytes:
        """The TrackEntry element; `number` counts from 1."""
        parts = [
            ebml.uint(ids.TRACK_NUMBER, number),
            ebml.uint(ids.TRACK_UID, self.uid(number)),
            ebml.uint(ids.TRACK_TYPE, self.kind),
            ebml.uint(ids.FLAG_LACING, 0),
            ebml.uint(ids.FLAG_DEFAULT, 1 if self.disposition & Disposition.default else 0),
        ]
        parts += [ebml.uint(flag, 1) for bit, flag in _FLAGS.items() if self.disposition & bit]
        if title := self.metadata.get("title"):
            parts.append(ebml.string(ids.TRACK_NAME, title))
        parts.append(ebml.string(ids.LANGUAGE, language(self.metadata.get("language", ""))))
        parts.append(ebml.string(ids.CODEC_ID, self.codec_id))
        if self.private:
            parts.append(ebml.binary(ids.CODEC_PRIVATE, self.private))
        for element_id, value in (
            (ids.DEFAULT_DURATION, self.default_duration),
            (ids.CODEC_DELAY, self.codec_delay),
            (ids.SEEK_PRE_ROLL, self.pre_roll),
        ):
            if value:
                parts.append(ebml.uint(element_id, value))
        return ebml.element(ids.TRACK_ENTRY, *parts, self.details)


def language(code: str) -> str:
    """A language as Matroska's Language element holds it: three letters, "und" where unknown."""
    code = code.strip().lower()
    return code if len(code) == 3 and code.isascii() and code.isalpha() else "und"


def bitmap_info(header: bytes, width: int, height: int, bit_depth: int) -> bytes:
    """BITMAPINFOHEADER of V_MS/VFW/FOURCC, with the sequence header after it."""
    return (
        struct.pack(
            "<IiiHH4sIiiII",
            40 + len(header),
            width,
            height,
            1,
            24 if bit_depth == 8 else 30,
            FOURCC,
            width * height * 3,
            0,
            0,
            0,
            0,
        )
        + header
    )


def _hdr(hdr: HdrMetadata) -> list[bytes]:
    """The elements of Colour that say how bright a video may be shown."""
    levels = ((ids.MAX_CLL, hdr.max_cll), (ids.MAX_FALL, hdr.max_fall))
    parts = [ebml.uint(element_id, level) for element_id, level in levels if level]
    if hdr.mastering is not None:
        shown = hdr.mastering
        points = (*shown.red, *shown.green, *shown.blue, *shown.white, *shown.luminance)
        values = map(ebml.floating, ids.MASTERING_POINTS, points)
        parts.append(ebml.element(ids.MASTERING_METADATA, *values))
    return parts


def _colour(sequence: SequenceHeader, hdr: HdrMetadata) -> bytes:
    parts = _hdr(hdr)
    for element_id, value in (
        (ids.MATRIX_COEFFICIENTS, sequence.get("color_matrix", 2)),
        (ids.TRANSFER_CHARACTERISTICS, sequence.get("color_transfer", 2)),
        (ids.PRIMARIES, sequence.get("color_primaries", 2)),
    ):
        if value != 2:
            parts.append(ebml.uint(element_id, value))
    full_range = sequence.get("full_range", 2)
    if full_range in (0, 1):
        parts.append(ebml.uint(ids.COLOUR_RANGE, 2 if full_range else 1))
    siting = _CHROMA_SITING.get(sequence.get("chroma_location", 0))
    chroma = sequence.get("chroma")
    if siting and chroma in ("420", "422"):
        parts.append(ebml.uint(ids.CHROMA_SITING_HORZ, siting[0]))
        if chroma == "420":
            parts.append(ebml.uint(ids.CHROMA_SITING_VERT, siting[1]))
    if not parts:
        return b""
    parts.append(ebml.uint(ids.BITS_PER_CHANNEL, sequence.get("bit_depth", 8)))
    return ebml.element(ids.COLOUR, *parts)


def _display(width: int, height: int, aspect: Fraction | None) -> list[bytes]:
    """The size at which frames are shown: one side stretched, or else the shape as a ratio."""
    shown, unit = (width, height), 0
    if aspect is not None:
        wide, high = width * aspect, height / aspect
        if wide.denominator == 1:
            shown = (int(wide), height)
        elif high.denominator == 1:
            shown = (width, int(high))
        else:
            ratio = wide / height
            shown, unit = (ratio.numerator, ratio.denominator), 3
    parts = [ebml.uint(ids.DISPLAY_WIDTH, shown[0]), ebml.uint(ids.DISPLAY_HEIGHT, shown[1])]
    return [*parts, ebml.uint(ids.DISPLAY_UNIT, unit)] if unit else parts


def _projection(rotation: int) -> bytes:
    if not rotation:
        return b""
    # Matroska turns counter-clockwise, in -180 .. 180.
    roll = -rotation if rotation <= 180 else 360 - rotation
    return ebml.element(
        ids.PROJECTION,
        ebml.uint(ids.PROJECTION_TYPE, 0),
        ebml.floating(ids.PROJECTION_POSE_YAW, 0.0),
        ebml.floating(ids.PROJECTION_POSE_PITCH, 0.0),
        ebml.floating(ids.PROJECTION_POSE_ROLL, float(roll)),
    )


def video_track(
    header: bytes,
    sequence: SequenceHeader,
    metadata: Mapping[str, str],
    disposition: int,
    hdr: HdrMetadata = NO_HDR,
) -> TrackEntry:
    """The entry of a BSQ track. `header` are the sequence header's bytes."""
    width, height = sequence["width"], sequence["height"]
    if width < 1 or height < 1:
        raise UsageError(f"a frame of {width}x{height} cannot be written")
    details = [
        ebml.uint(ids.PIXEL_WIDTH, width),
        ebml.uint(ids.PIXEL_HEIGHT, height),
        *_display(width, height, sample_aspect_of(sequence)),
        _colour(sequence, hdr),
        _projection(sequence.get("rotation", 0)),
    ]
    rate = frame_rate_of(sequence)
    return TrackEntry(
        VIDEO,
        "V_MS/VFW/FOURCC",
        bitmap_info(header, width, height, sequence.get("bit_depth", 8)),
        ebml.element(ids.VIDEO, *details),
        metadata,
        disposition,
        default_duration=round(NANOSECONDS / rate) if rate else 0,
    )


def audio_codec_id(codec: str) -> str | None:
    """Matroska's name of a sound codec, None for one it cannot carry."""
    return _AUDIO.get(codec)


def subtitle_codec_id(codec: str) -> str | None:
    """Matroska's name of a subtitle codec, None for one that is not carried."""
    return _SUBTITLES.get(codec)


def audio_track(
    parameters: AudioParameters, metadata: Mapping[str, str], disposition: int
) -> TrackEntry:
    """The entry of a sound track; the codec must be one that `audio_codec_id` knows."""
    codec = parameters.codec
    details = [
        ebml.floating(ids.SAMPLING_FREQUENCY, float(parameters.sample_rate)),
        ebml.uint(ids.CHANNELS, max(1, parameters.channels)),
    ]
    private = parameters.extradata
    if codec.startswith("pcm_"):
        details.append(
            ebml.uint(ids.BIT_DEPTH, _PCM_BITS[codec[4:].removesuffix("le").removesuffix("be")])
        )
        private = b""
    elif codec in _PRIVATE:
        private = _PRIVATE[codec](private)
    return TrackEntry(
        AUDIO,
        _AUDIO[codec],
        private,
        ebml.element(ids.AUDIO, *details),
        metadata,
        disposition,
        codec_delay=parameters.codec_delay,
        pre_roll=OPUS_PRE_ROLL if codec == "opus" else 0,
    )


def subtitle_track(
    codec: str, extradata: bytes, metadata: Mapping[str, str], disposition: int
) -> TrackEntry:
    """The entry of a subtitle track; the codec must be one that `subtitle_codec_id` knows."""
    codec_id = _SUBTITLES[codec]
    private = b"" if codec_id == "S_TEXT/UTF8" else extradata
    return TrackEntry(SUBTITLE, codec_id, private, b"", metadata, disposition)
