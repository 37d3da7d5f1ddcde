"""Which tracks are read and carried; those left out are named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import av
from av.container import InputContainer
from av.stream import Stream

from bsqav.errors import MediaError, UnsupportedError, UsageError
from bsqav.media.demux.demuxer import BsqTrack, Demuxer
from bsqav.media.metadata.codec_names import codec_name
from bsqav.media.metadata.file_metadata import Chapter, is_cover

__all__ = [
    "ALL_TRACKS",
    "TrackChoice",
    "Tracks",
    "choose_video",
    "describe",
    "is_chapter_track",
    "leave_out",
    "trim_chapters",
    "unused_streams",
]


# Names that people use, where FFmpeg's are others.
_SHORT = {"subrip": "srt", "unknown": "of an unknown codec"}


def describe(stream: Stream) -> str:
    """A track as people name it: "track 2 (audio aac, eng)"."""
    codec = codec_name(stream)
    words = [stream.type, _SHORT.get(codec, codec)]
    language = stream.metadata.get("language", "und")
    title = stream.metadata.get("title")
    tail = "".join(f", {part}" for part in (None if language == "und" else language, title) if part)
    return f"track {stream.index} ({' '.join(words)}{tail})"


Tracks: TypeAlias = str | int | Iterable[int | str]


@dataclass(frozen=True)
class TrackChoice:
    """Which tracks are wanted: numbers as `bsqav info` prints them, or languages; None for all."""

    video: int | None = None
    audio: tuple[int | str, ...] | None = None
    subtitles: tuple[int | str, ...] | None = None

    @classmethod
    def of(
        cls, video: int | None = None, audio: Tracks = "all", subtitles: Tracks = "all"
    ) -> TrackChoice:
        """A choice as users say it: "all", "none", "1,3", "eng", 2, or a list of such.

        Raises:
            UsageError: it is none of these.
        """
        return cls(video, _choice(audio, "audio"), _choice(subtitles, "subtitle"))

    def takes(self, stream: Stream) -> bool:
        """Whether a track other than the video is wanted; one that is not is left out silently."""
        if stream.type == "video" and not is_cover(stream):
            return self.video is None
        wanted = {"audio": self.audio, "subtitle": self.subtitles}.get(stream.type)
        return wanted is None or stream.index in wanted or _language(stream) in wanted

    def check(self, streams: Iterable[Stream], name: str) -> None:
        """Raises UsageError where a track that is asked for is not there."""
        present = list(streams)
        for kind, wanted in (("audio", self.audio), ("subtitle", self.subtitles)):
            of_kind = [stream for stream in present if stream.type == kind]
            known = {s.index for s in of_kind} | {_language(s) for s in of_kind}
            for item in wanted or ():
                if item not in known:
                    raise UsageError(f"{name} has no {kind} track {item}: {_listing(of_kind)}")


ALL_TRACKS = TrackChoice()


def _choice(tracks: Tracks, kind: str) -> tuple[int | str, ...] | None:
    if isinstance(tracks, str):
        tracks = tracks.strip()
        if tracks in ("all", "none"):
            return None if tracks == "all" else ()
        tracks = tracks.split(",")
    items = [tracks] if isinstance(tracks, int) else list(tracks)
    found: list[int | str] = []
    for item in items:
        text = str(item).strip().lower()
        if text.isascii() and text.isdigit():
            found.append(int(text))
        elif text.isascii() and text.isalpha() and len(text) in (2, 3):
            found.append(text)
        else:
            raise UsageError(
                f"{kind} track {item!r} is neither a number (see `bsqav info`) nor a language such "
                "as eng; all and none are given alone"
            )
    return tuple(found)


def _language(stream: Stream) -> str:
    return str(stream.metadata.get("language", "")).lower()


def _listing(streams: Sequence[Stream]) -> str:
    return f"there is {', '.join(map(describe, streams))}" if streams else "there is none"


def choose_video(
    demuxer: Demuxer, choice: TrackChoice, name: str
) -> tuple[av.VideoStream, BsqTrack | None]:
    """The video stream to read, and its BSQ track where it is one.

    Raises:
        UsageError: there is no track of a number that is asked for.
        MediaError: there is no video, or none that can be decoded.
    """
    container = demuxer.container
    choice.check(container.streams, name)
    streams = [s for s in container.streams.video if not is_cover(s)]
    if choice.video is not None:
        every, streams = streams, [s for s in streams if s.index == choice.video]
        if not streams:
            raise UsageError(f"{name} has no video track {choice.video}: {_listing(every)}")
    for track in demuxer.tracks:
        found = next((stream for stream in streams if stream.index == track.index), None)
        if found is not None:
            return found, track
    decodable = [s for s in streams if s.codec_context is not None]
    if not decodable:
        raise MediaError(f"{name} has {_no_video(container, streams)}")
    best = container.streams.best("video")
    return (best if best in decodable else decodable[0]), None


def _no_video(container: InputContainer, streams: Sequence[Stream]) -> str:
    """What a file has that is no video which can be decoded, and what would do."""
    if streams:
        tag = getattr(streams[0], "codec_tag", "") or ""
        named = f" ({tag})" if tag.isascii() and tag.isalnum() else ""
        return (
            f"a video track of a codec{named} that neither bsqav nor FFmpeg can decode: BSQ and "
            "whatever `ffmpeg -decoders` lists is read"
        )
    kinds = sorted({stream.type for stream in container.streams})
    there = f"only {' and '.join(kinds)} tracks" if kinds else "no tracks"
    return f"no video, {there}: a file with a video track is needed"


def is_chapter_track(stream: Stream) -> bool:
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
    streams: Iterable[tuple[Stream, str]], *, strict: bool, warn: Callable[[str], None]
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


def unused_streams(streams: Iterable[Stream]) -> list[tuple[Stream, str]]:
    """Streams of kinds that are never carried, with the reason."""
    unused = []
    for stream in streams:
        if stream.type == "video" and not is_cover(stream):
            unused.append((stream, "one video track is carried (--video N chooses)"))
        elif stream.type in ("data", "unknown") and not is_chapter_track(stream):
            unused.append((stream, f"{stream.type} tracks are not carried"))
    return unused


def trim_chapters(
    chapters: Iterable[Chapter], *, origin: Fraction, duration: Fraction | None
) -> list[Chapter]:
    """Chapters as they lie in a part that begins at `origin` and lasts `duration` seconds."""
    kept = []
    for chapter in chapters:
        start = max(chapter.start - origin, Fraction(0))
        end = chapter.end - origin
        if duration is not None:
            end = min(end, duration)
        if end > start or (end == start and chapter.end == chapter.start):
            kept.append(Chapter(start, end, chapter.metadata))
    return kept
