"""What a file holds apart from the packets of its tracks: chapters, attachments, tags."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from av.container import InputContainer
from av.stream import Disposition, Stream

from bsqav.media.metadata.matroska_header import chapter_languages

if TYPE_CHECKING:
    from av.container.core import Chapter as AvChapter

__all__ = [
    "Attachment",
    "Chapter",
    "Tagged",
    "attachments_of",
    "av_chapters",
    "chapter_of",
    "chapters_of",
    "cover_attachment",
    "is_cover",
    "metadata_of",
]

# Images are attached under names that players look for.
_PICTURE_TYPES = {
    "mjpeg": ("jpg", "image/jpeg"),
    "png": ("png", "image/png"),
    "bmp": ("bmp", "image/bmp"),
    "gif": ("gif", "image/gif"),
    "webp": ("webp", "image/webp"),
}


class Tagged(Protocol):
    """A file or a stream that has tags."""

    @property
    def metadata(self) -> dict[str, str]:
        """The tags by their names."""


@dataclass(frozen=True)
class Chapter:
    """A named part of a file. Times are seconds from the file's start."""

    start: Fraction
    end: Fraction
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The chapter's name, empty where it has none."""
        return self.metadata.get("title", "")


@dataclass(frozen=True)
class Attachment:
    """A file carried whole inside another: a font, a cover image."""

    name: str
    mimetype: str
    data: bytes
    description: str = ""


def chapters_of(container: InputContainer) -> list[Chapter]:
    """The chapters of an open file, in its order; with their languages where that is Matroska."""
    found = []
    languages = _chapter_languages(container)
    for chapter, language in zip(container.chapters(), languages, strict=True):
        if chapter["time_base"] is None:
            continue
        one = chapter_of(chapter)
        if language:
            one = replace(one, metadata={**one.metadata, "language": language})
        found.append(one)
    return found


def chapter_of(chapter: AvChapter) -> Chapter:
    """A chapter as PyAV gives it, in seconds."""
    tick = chapter["time_base"] or Fraction(1)
    return Chapter(
        chapter["start"] * tick, chapter["end"] * tick, dict(chapter.get("metadata", {}))
    )


def _chapter_languages(container: InputContainer) -> list[str]:
    """Of every chapter, empty where unknown: FFmpeg passes them over."""
    unknown = [""] * len(container.chapters())
    path = Path(container.name.removeprefix("file:"))
    if not unknown or "matroska" not in container.format.name:
        return unknown
    try:
        if not path.is_file():
            return unknown
        with path.open("rb") as file:
            found = chapter_languages(file)
    except OSError:
        return unknown
    if len(found) != len(unknown):
        return unknown
    return ["" if language == "und" else language for language in found]


def av_chapters(chapters: Iterable[Chapter]) -> list[AvChapter]:
    """Chapters as PyAV's `set_chapters` takes them, times in nanoseconds."""
    tick = Fraction(1, 1_000_000_000)
    return [
        {
            "id": number,
            "start": round(chapter.start / tick),
            "end": round(chapter.end / tick),
            "time_base": tick,
            "metadata": dict(chapter.metadata),
        }
        for number, chapter in enumerate(chapters, 1)
    ]


def is_cover(stream: Stream) -> bool:
    """Whether a stream is a cover image and not a video track."""
    return stream.type == "video" and bool(stream.disposition & Disposition.attached_pic)


def attachments_of(
    container: InputContainer,
    wanted: Callable[[str, str], bool] = lambda _name, _type: True,
) -> list[Attachment]:
    """The fonts and other attached files of an open file.

    Cover images are not among them: FFmpeg presents each as a video stream with one packet, see
    `is_cover` and `cover_attachment`. Only those are read whose name and type are
    `wanted`.
    """
    found = []
    for stream in container.streams.attachments:
        name = stream.metadata.get("filename", f"attachment{stream.index}")
        mimetype = stream.mimetype or "application/octet-stream"
        if wanted(name, mimetype):
            title = stream.metadata.get("title", "")
            found.append(Attachment(name, mimetype, stream.data, title))
    return found


def cover_attachment(stream: Stream, data: bytes) -> Attachment | None:
    """The only packet of a cover image's stream as an attachment; None for unknown images."""
    codec = stream.codec_context.name if stream.codec_context is not None else ""
    suffix, mimetype = _PICTURE_TYPES.get(codec, ("", ""))
    if not suffix or not data:
        return None
    name = stream.metadata.get("filename") or f"cover.{suffix}"
    return Attachment(name, stream.metadata.get("mimetype") or mimetype, data)


def metadata_of(source: Tagged) -> dict[str, str]:
    """Metadata of a file or a stream with the keys in lower case.

    Matroska writes them in upper case and other containers do not, and programs look them up
    in lower case. What describes the container and not the content is left out.
    """
    skip = {
        "encoder",
        "major_brand",
        "minor_version",
        "compatible_brands",
        "duration",
        "handler_name",
        "vendor_id",
        "number_of_bytes",
        "number_of_frames",
        "bps",
        "filename",
        "mimetype",
    }
    found = {}
    for key, value in source.metadata.items():
        plain = key.lower()
        if plain not in skip and not plain.startswith("_statistics"):
            found[plain if key.isupper() else key] = value
    # A track of MOV or MP4 has its title under another name.
    if "name" in found and _is_mov_stream(source):
        found["title"] = found.pop("name")
    return found


def _is_mov_stream(source: Tagged) -> bool:
    container = getattr(source, "container", None)
    return container is not None and "mov" in container.format.name.split(",")
