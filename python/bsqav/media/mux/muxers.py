"""Writing files with BSQ video: one face for every container, and the choice among them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import av

from bsqav.codec.sequence import SequenceHeader
from bsqav.errors import BsqWarning, UsageError
from bsqav.media.io.output_file import OutputFile
from bsqav.media.metadata.file_metadata import Attachment, Chapter, attachments_of, chapters_of
from bsqav.media.metadata.hdr import LightLevels
from bsqav.media.mux.hls import HlsMuxer, media_path
from bsqav.media.mux.matroska import MatroskaMuxer, Target
from bsqav.media.mux.pyav_muxer import PyAvMuxer

__all__ = [
    "FORMATS",
    "Attachment",
    "Chapter",
    "MatroskaMuxer",
    "Muxer",
    "OutputFile",
    "PyAvMuxer",
    "Target",
    "attachments_of",
    "chapters_of",
    "format_of",
    "open_muxer",
    "open_output",
    "without_video",
]

# File name suffixes and the containers they stand for.
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
# Those of sound alone.
_SOUND_ONLY = {".aac", ".ac3", ".aiff", ".flac", ".m4a", ".mp2", ".mp3", ".oga", ".opus"}
_SOUND_ONLY |= {".wav", ".wma"}
_TEXT_ONLY = {".ass", ".srt", ".ssa", ".vtt"}
# Encoders that people mean by other suffixes; H.264 for the rest.
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


@runtime_checkable
class Muxer(Protocol):
    """What writes one file. Tracks and descriptions come first, then packets, then close().

    After the first packet, adding or describing raises UsageError. Writing raises OSError.
    """

    format: str
    """Name of the container: "matroska", "mov" or "nut", of HLS what its segments are."""

    def refuses(self, stream: Any) -> str | None:
        """Why a PyAV input stream cannot be copied, None when it can."""

    def add_video(
        self,
        header: bytes,
        sequence: SequenceHeader,
        *,
        metadata: Mapping[str, str] = ...,
        disposition: int = ...,
        light: LightLevels = ...,
    ) -> int:
        """A BSQ track's index: the sequence header as bytes and as a dictionary.

        NUT does not keep `light`.
        """

    def sound_encoder(self, codec: str) -> str | None:
        """FFmpeg's encoder for sound of a codec that cannot be copied; None where none fits."""

    def copy_stream(self, stream: Any) -> int:
        """Index of a sound or subtitle track whose packets come from a PyAV input stream.

        Raises UnsupportedError where `refuses(stream)` gives a reason.
        """

    def add_audio(
        self, codec: Any, *, metadata: Mapping[str, str] = ..., disposition: int = ...
    ) -> int:
        """Index of a sound track that an opened PyAV audio encoder describes."""

    def set_metadata(self, metadata: Mapping[str, str]) -> None:
        """The file's title and tags."""

    def set_chapters(self, chapters: Sequence[Chapter]) -> bool:
        """The file's chapters; False where the container has none."""

    def add_attachment(self, attachment: Attachment) -> bool:
        """A file to carry along; False where the container cannot."""

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
        """Takes one packet; times are in ticks of `time_base` seconds."""

    def mux_packet(self, index: int, packet: av.Packet[Any]) -> None:
        """Takes a PyAV packet of a copied stream, or of an encoder, as it is."""

    def close(self) -> None:
        """Finishes the file."""

    def abort(self) -> None:
        """Ends early: what has come stays playable as far as it can be. Never raises."""


def format_of(target: Target, format: str | None = None) -> str:  # noqa: A002
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
    """The file to write, and for a playlist the one beside it; see `OutputFile`."""
    is_playlist = FORMATS.get(Path(path).suffix.lower()) == "hls"
    beside = media_path(path) if is_playlist else None
    return OutputFile(path, overwrite=overwrite, beside=beside)


def open_muxer(
    target: Target,
    *,
    format: str | None = None,  # noqa: A002
    fragmented: bool = False,
    options: Mapping[str, str] | None = None,
    warn: Callable[[str], None] | None = None,
) -> Muxer:
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
