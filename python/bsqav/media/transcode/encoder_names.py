"""Encoders by the names that people give them."""

from __future__ import annotations

import av
from av.codec import Codec

from bsqav.codec.closest import closest
from bsqav.errors import UsageError

__all__ = ["find_encoder"]

# What is said of a codec, and FFmpeg's encoder for it. FFmpeg itself knows h264, hevc, vp9 and av1.
_MEANT = {
    "aom": "libsvtav1",
    "acc": "aac",
    "avc": "libx264",
    "divx": "mpeg4",
    "h.264": "libx264",
    "h.265": "libx265",
    "h265": "libx265",
    "lame": "libmp3lame",
    "libaom-av1": "libsvtav1",
    "libfdk_aac": "aac",
    "libvorbis": "libopus",
    "libxvid": "mpeg4",
    "mpeg1": "mpeg1video",
    "mpeg2": "mpeg2video",
    "prores_ks": "prores",
    "svt-av1": "libsvtav1",
    "svtav1": "libsvtav1",
    "vpx": "libvpx-vp9",
    "wav": "pcm_s16le",
    "x264": "libx264",
    "x265": "libx265",
    "xvid": "mpeg4",
}


def find_encoder(name: str, kind: str) -> Codec:
    """FFmpeg's encoder of a name, as av.Codec.

    Args:
        name: FFmpeg's name of it, or of its codec.
        kind: "video" or "audio".

    Raises:
        UsageError: there is none, or it encodes something else; the message names the likely one.
    """
    try:
        codec = av.Codec(name, "w")
    except (av.FFmpegError, ValueError):
        what = "sound" if kind == "audio" else kind
        meant = _MEANT.get(name.lower()) or closest(name, _encoders(kind))
        remedy = f"did you mean {meant}?" if meant else "`ffmpeg -encoders` lists FFmpeg's"
        raise UsageError(f"there is no {what} encoder {name!r}: {remedy}") from None
    found = codec.type
    if found != kind:
        option = {"video": "-c:v", "audio": "-c:a"}.get(found, "another option")
        raise UsageError(f"{name} encodes {found}, not {kind}: say {option} {name}")
    return codec


def _encoders(kind: str) -> list[str]:
    names = ["bsq", "copy"] if kind == "video" else ["copy", "none"]
    for name in sorted(av.codecs_available):
        try:
            codec = av.Codec(name, "w")
        except (av.FFmpegError, ValueError):
            continue
        if codec.type == kind and codec.name == name:
            names.append(name)
    return names
