"""Choosing the container of a file with BSQ video, and opening its muxer."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path

from bsqav.errors import BsqWarning, UsageError
from bsqav.media.io.output_file import OutputFile
from bsqav.media.io.types import MediaFile, Warn
from bsqav.media.mux.base import BsqMuxer
from bsqav.media.mux.hls import HlsMuxer, media_path
from bsqav.media.mux.matroska import MatroskaMuxer
from bsqav.media.mux.pyav_muxer import PyAvMuxer

__all__ = [
    "FORMATS",
    "format_of",
    "open_muxer",
    "open_output",
    "without_video",
]

# Containers by file name suffix.
FORMATS = {
    ".mkv": "matroska",
    ".mk3d": "matroska",
    ".mka": "matroska",
    ".mks": "matroska",
    ".mov": "mov",
    ".qt": "mov",
    ".nut": "nut",
    ".m3u8": "hls",
}
# Suffixes of audio files.
_SOUND_ONLY = {".aac", ".ac3", ".aiff", ".flac", ".m4a", ".mp2", ".mp3", ".oga", ".opus"}
_SOUND_ONLY |= {".wav", ".wma"}
_TEXT_ONLY = {".ass", ".srt", ".ssa", ".vtt"}
# The encoder to suggest for other suffixes; H.264 for the rest.
_ENCODERS = {
    ".apng": "apng",
    ".gif": "gif",
    ".h265": "libx265",
    ".hevc": "libx265",
    ".mpeg": "mpeg2video",
    ".mpg": "mpeg2video",
    ".ogv": "libvpx",
    ".vob": "mpeg2video",
    ".webm": "libvpx-vp9",
    ".webp": "libwebp_anim",
}
_REFUSED = {
    ".mp4": "MP4 has no registration for BSQ: write .mov, which the same programs read, or .mkv",
    ".m4v": "MP4 has no registration for BSQ: write .mov, which the same programs read, or .mkv",
    ".webm": "WebM allows only its own codecs: write .mkv, which the same programs read",
    ".avi": "AVI cannot keep exact timestamps: write .mkv, .mov or .nut",
    ".ts": "MPEG-TS loses the codec's name: write .mkv, .mov or .nut",
}


def format_of(target: MediaFile, format: str | None = None) -> str:  # noqa: A002
    """The container for a target: by name where given, else by the suffix of the path.

    Raises:
        UsageError: the container is unknown, or cannot carry BSQ.
    """
    known = sorted(set(FORMATS.values()))
    if format is not None:
        name = {"mkv": "matroska"}.get(format, format)
        if name not in known:
            raise UsageError(f"BSQ is not written to {format!r}: take one of {', '.join(known)}")
        return name
    path = target if isinstance(target, str | os.PathLike) else getattr(target, "name", None)
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"a file object needs a format: one of {', '.join(known)}")
    suffix = Path(path).suffix
    if suffix == ".partial":
        suffix = Path(Path(path).stem).suffix
    found = FORMATS.get(suffix.lower())
    if found is None:
        raise UsageError(f"{os.fspath(path)}: {_no_container(suffix.lower())}")
    return found


def _no_container(suffix: str) -> str:
    """Why BSQ is not written to files of that suffix, and what to do."""
    if lack := without_video(suffix):
        return lack
    encoder = _ENCODERS.get(suffix, "libx264")
    other = f"; another codec is named by its encoder, as in -c:v {encoder}"
    if suffix in _REFUSED:
        return _REFUSED[suffix] + other
    if not suffix:
        return "the name has no suffix: .mkv, .mov, .nut or .m3u8 says the container, or -f NAME"
    return f"BSQ is written to .mkv, .mov, .nut and .m3u8, not {suffix}{other}"


def without_video(suffix: str) -> str | None:
    """What to do where an output of that suffix would hold no video; None where it holds it."""
    if suffix in _SOUND_ONLY:
        return f"{suffix} holds sound and no video: `ffmpeg -i IN -vn OUT{suffix}` takes the sound"
    if suffix in _TEXT_ONLY:
        return (
            f"{suffix} holds subtitles and no video: `ffmpeg -i IN -map 0:s:0 OUT{suffix}` takes "
            "them"
        )
    return None


def open_output(path: str | os.PathLike[str], *, overwrite: bool) -> OutputFile:
    """The file to write, and for a playlist the media file as well; see `OutputFile`."""
    is_playlist = FORMATS.get(Path(path).suffix.lower()) == "hls"
    companion = media_path(path) if is_playlist else None
    return OutputFile(path, overwrite=overwrite, companion=companion)


def open_muxer(
    target: MediaFile,
    *,
    format: str | None = None,  # noqa: A002
    fragmented: bool = False,
    options: Mapping[str, str] | None = None,
    warn: Warn | None = None,
) -> BsqMuxer:
    """Opens a file for writing.

    Args:
        target: a path, which is overwritten; or a binary file object, which stays open.
        format: "matroska" (or "mkv"), "mov", "nut" or "hls"; by the path's suffix where None.
        fragmented: MOV only: write in fragments, playable while it grows. An output that cannot
            seek is always written so.
        options: of FFmpeg's muxer, for MOV and NUT.
        warn: takes a sentence on times that had to be changed; a BsqWarning is given where None.

    Raises:
        UsageError: the container is unknown, or cannot carry BSQ.
        OSError: the file cannot be opened.
    """
    name = format_of(target, format)
    warn = warn or _give_warning
    if name == "matroska":
        if options:
            raise UsageError(f"the Matroska writer has no options: {', '.join(options)}")
        return MatroskaMuxer(target)
    if name == "hls":
        return HlsMuxer(target, options, warn)
    return PyAvMuxer(target, name, fragmented=fragmented, options=options, warn=warn)


def _give_warning(message: str) -> None:
    warnings.warn(message, BsqWarning, stacklevel=3)
