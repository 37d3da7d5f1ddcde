"""What FFmpeg's muxers keep, as far as they do not say so themselves. Names are FFmpeg's."""

from __future__ import annotations

__all__ = [
    "KEEPS_ASS",
    "KEEPS_CHAPTERS",
    "MOV_FAMILY",
    "NEEDS_VIDEO",
    "SOUND_RATES",
    "TEXT_TARGETS",
    "reads_back",
]

# Text subtitles become what the container has; ASS stays as it is where that is possible.
TEXT_TARGETS = {
    "mp4": "mov_text",
    "mov": "mov_text",
    "ipod": "mov_text",
    "matroska": "subrip",
    "webm": "webvtt",
}
KEEPS_ASS = {"matroska"}
# Formats of FFmpeg's MOV muxer.
MOV_FAMILY = {"mov", "mp4", "ipod", "3gp", "3g2", "psp", "ismv", "f4v"}
# What these list as theirs is read back; of all else their muxers make data without a name.
_STREAM_SOUND = {"aac", "aac_latm", "ac3", "dts", "eac3", "mp2", "mp3", "opus", "s302m", "truehd"}
_DISC_TRACKS = {"ac3", "dts", "dvd_subtitle", "mp1", "mp2", "mp3", "pcm_dvd", "pcm_s16be"}
_READ_BACK = {
    "mpegts": _STREAM_SOUND | {"dvb_subtitle", "dvb_teletext", "hdmv_pgs_subtitle"},
    **dict.fromkeys(("dvd", "mpeg", "svcd", "vcd", "vob"), _DISC_TRACKS),
}
# Muxers that begin no file without a video track.
NEEDS_VIDEO = {"gxf", "mxf", "mxf_d10", "mxf_opatom"}
# The only sampling rate of their sound (hertz).
SOUND_RATES = {"gxf": 48_000, "mxf": 48_000, "mxf_d10": 48_000, "mxf_opatom": 48_000}
KEEPS_CHAPTERS = MOV_FAMILY | {"asf", "asf_stream", "matroska", "nut", "webm"}


def reads_back(form: str, codec: str) -> bool:
    """Whether what the muxer of a container would write of a codec is known for it by readers."""
    known = _READ_BACK.get(form)
    return known is None or codec in known
