"""What happens to the tracks beside the video: carried, converted, or left out and named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from bsqav.errors import UnsupportedError
from bsqav.media.contents import Chapter, is_attached_picture

__all__ = [
    "cut_chapters",
    "describe",
    "is_chapter_track",
    "leave_out",
    "unused_streams",
]


def describe(stream: Any) -> str:
    """A track as people name it: "track 2 (audio aac, eng)"."""
    context = stream.codec_context
    codec = context.name if context is not None else getattr(stream, "name", None)
    words = [stream.type, codec or "of an unknown codec"]
    language = stream.metadata.get("language", "und")
    title = stream.metadata.get("title")
    tail = "".join(f", {part}" for part in (None if language == "und" else language, title) if part)
    return f"track {stream.index} ({' '.join(words)}{tail})"


def is_chapter_track(stream: Any) -> bool:
    """Whether a data track of a MOV or MP4 file is the text of its chapters, carried as such."""
    container = stream.container
    return bool(
        stream.type == "data"
        and stream.name == "bin_data"
        and container.format.name.startswith("mov")
        and stream.frames
        and stream.frames == len(container.chapters())
    )


def leave_out(
    streams: Iterable[tuple[Any, str]], *, strict: bool, warn: Callable[[str], None]
) -> None:
    """Warns of every (stream, reason) that is left out, or refuses them all under `strict`.

    Raises:
        UnsupportedError: strict, and there is at least one.
    """
    sentences = [f"{describe(stream)} is left out: {reason}" for stream, reason in streams]
    if sentences and strict:
        raise UnsupportedError("; ".join(sentences).replace("is left out", "cannot be carried"))
    for sentence in sentences:
        warn(sentence)


def unused_streams(streams: Iterable[Any]) -> list[tuple[Any, str]]:
    """Streams of kinds that are never carried, with the reason."""
    unused = []
    for stream in streams:
        if stream.type == "video" and not is_attached_picture(stream):
            unused.append((stream, "one video track is carried"))
        elif stream.type in ("data", "unknown") and not is_chapter_track(stream):
            unused.append((stream, f"{stream.type} tracks are not carried"))
    return unused


def cut_chapters(
    chapters: Iterable[Chapter], *, origin: Fraction, duration: Fraction | None
) -> list[Chapter]:
    """Chapters as they lie in a cut that begins at `origin` and lasts `duration` seconds."""
    kept = []
    for chapter in chapters:
        start = max(chapter.start - origin, Fraction(0))
        end = chapter.end - origin
        if duration is not None:
            end = min(end, duration)
        if end > start or (end == start and chapter.end == chapter.start):
            kept.append(Chapter(start, end, chapter.metadata))
    return kept
