"""The name of a track's codec, also where FFmpeg has no decoder for it."""

from __future__ import annotations

import re
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext
from av.stream import Stream

from bsqav.media.io.ffmpeg_log import captured_log
from bsqav.media.io.types import decoder_of
from bsqav.media.metadata.matroska_header import codec_ids

__all__ = ["codec_name", "is_known"]

# Names of Matroska's that FFmpeg does not map, and what they are.
_MATROSKA = {"S_TEXT/WEBVTT": "webvtt", "S_TEXT/USF": "usf", "S_IMAGE/BMP": "bmp"}


def codec_name(stream: Stream) -> str:
    """FFmpeg's canonical name of a track's codec, else the container's name of it.

    "unknown" where neither says anything.
    """
    context = decoder_of(stream)
    if context is not None:
        return str(context.codec.canonical_name)
    return _by_filter(stream) or _by_matroska(stream) or "unknown"


def is_known(stream: Stream) -> bool:
    """Whether there is a name to call the codec by."""
    return codec_name(stream) != "unknown"


def _by_filter(stream: Stream) -> str:
    """PyAV does not say the id of a codec without decoder; a filter that refuses it names it."""
    name = getattr(stream, "name", None)
    if isinstance(name, str) and name:
        return name
    try:
        with captured_log() as lines:
            BitStreamFilterContext("aac_adtstoasc", in_stream=stream)
    except (av.FFmpegError, ValueError, AttributeError, TypeError):
        pass
    for line in lines:
        found = re.match(r"Codec '([^']+)'", line)
        if found and found[1] not in ("unknown", "none"):
            return found[1]
    return ""


def _by_matroska(stream: Stream) -> str:
    container = stream.container
    if "matroska" not in container.format.name:
        return ""
    path = Path(container.name.removeprefix("file:"))
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            found = codec_ids(file).get(stream.index, "")
    except OSError:
        return ""
    return _MATROSKA.get(found, found)
