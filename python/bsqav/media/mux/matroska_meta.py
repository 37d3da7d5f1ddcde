"""The parts of a Matroska file around its tracks and clusters: info, tags, chapters, index."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from bsqav.media.io import ebml
from bsqav.media.io import matroska_ids as ids
from bsqav.media.metadata.file_metadata import Attachment, Chapter
from bsqav.media.mux.matroska_tracks import TrackEntry, language

__all__ = [
    "SEEK_HEAD_BYTES",
    "CueList",
    "attachment_pieces",
    "chapters",
    "ebml_header",
    "info",
    "seek_head",
    "tags",
]

NANOSECONDS = 1_000_000_000
# Elements of their own in Matroska, so no tags.
_NOT_TAGS = {"title", "language"}
# What FFmpeg and players call things, and Matroska's official names for them.
_TAG_NAMES = {"performer": "LEAD_PERFORMER", "track": "PART_NUMBER", "date": "DATE_RELEASED"}
_TRACK_TAGS = {"date": "DATE"}


def ebml_header() -> bytes:
    """The first element of the file."""
    return ebml.element(
        ids.EBML,
        ebml.uint(ids.EBML_VERSION, 1),
        ebml.uint(ids.EBML_READ_VERSION, 1),
        ebml.uint(ids.EBML_MAX_ID_LENGTH, 4),
        ebml.uint(ids.EBML_MAX_SIZE_LENGTH, 8),
        ebml.string(ids.DOC_TYPE, "matroska"),
        ebml.uint(ids.DOC_TYPE_VERSION, 4),
        ebml.uint(ids.DOC_TYPE_READ_VERSION, 2),
    )


def info(
    timestamp_scale: int,
    title: str,
    application: str,
    writing_application: str,
    *,
    with_duration: bool,
) -> tuple[bytes, int]:
    """The Info element, and the offset in it of Duration's eight bytes (0 without)."""
    parts = [
        ebml.uint(ids.TIMESTAMP_SCALE, timestamp_scale),
        ebml.string(ids.MUXING_APP, application),
        ebml.string(ids.WRITING_APP, writing_application),
    ]
    if title:
        parts.append(ebml.string(ids.TITLE, title))
    if with_duration:
        parts.append(ebml.floating(ids.DURATION, 0.0))
    whole = ebml.element(ids.INFO, *parts)
    return whole, len(whole) - 8 if with_duration else 0


def seek_head(positions: Mapping[int, int]) -> bytes:
    """Where the top-level elements stand: id to offset from the segment's data."""
    return ebml.element(
        ids.SEEK_HEAD,
        *(
            ebml.element(
                ids.SEEK,
                ebml.binary(ids.SEEK_ID, ebml.id_bytes(element_id)),
                ebml.uint(ids.SEEK_POSITION, position, 8),
            )
            for element_id, position in positions.items()
        ),
    )


# Info, Tracks, Chapters, Attachments, Tags and Cues: room for all, and for a Void in their place.
SEEK_HEAD_BYTES = len(seek_head(dict.fromkeys(range(0x10000000, 0x10000006), 0)))


def _simple_tags(metadata: Mapping[str, str], names: Mapping[str, str]) -> list[bytes]:
    return [
        ebml.element(
            ids.SIMPLE_TAG,
            ebml.string(ids.TAG_NAME, names.get(key.lower(), key.upper().replace(" ", "_"))),
            ebml.string(ids.TAG_LANGUAGE, "und"),
            ebml.string(ids.TAG_STRING, str(value)),
        )
        for key, value in metadata.items()
        if key.lower() not in _NOT_TAGS
    ]


def tags(
    metadata: Mapping[str, str],
    tracks: Sequence[TrackEntry],
    marks: Sequence[Chapter],
) -> bytes:
    """The Tags element for the file, its tracks and its chapters; empty where there is nothing."""
    found = []
    simple = _simple_tags(metadata, _TAG_NAMES)
    if simple:
        targets = ebml.element(ids.TARGETS, ebml.uint(ids.TARGET_TYPE_VALUE, 50))
        found.append(ebml.element(ids.TAG, targets, *simple))
    for number, track in enumerate(tracks, 1):
        simple = _simple_tags(track.metadata, _TRACK_TAGS)
        if simple:
            targets = ebml.element(ids.TARGETS, ebml.uint(ids.TAG_TRACK_UID, track.uid(number)))
            found.append(ebml.element(ids.TAG, targets, *simple))
    for number, mark in enumerate(marks, 1):
        simple = _simple_tags(mark.metadata, _TRACK_TAGS)
        if simple:
            targets = ebml.element(ids.TARGETS, ebml.uint(ids.TAG_CHAPTER_UID, number))
            found.append(ebml.element(ids.TAG, targets, *simple))
    return ebml.element(ids.TAGS, *found) if found else b""


def _nanoseconds(seconds: Fraction) -> int:
    return max(0, round(seconds * NANOSECONDS))


def chapters(marks: Sequence[Chapter]) -> bytes:
    """The Chapters element; empty where there are none."""
    if not marks:
        return b""
    atoms = []
    for number, mark in enumerate(marks, 1):
        parts = [
            ebml.uint(ids.CHAPTER_UID, number),
            ebml.uint(ids.CHAPTER_TIME_START, _nanoseconds(mark.start)),
        ]
        if mark.end > mark.start:
            parts.append(ebml.uint(ids.CHAPTER_TIME_END, _nanoseconds(mark.end)))
        if mark.title:
            parts.append(
                ebml.element(
                    ids.CHAPTER_DISPLAY,
                    ebml.string(ids.CHAP_STRING, mark.title),
                    ebml.string(ids.CHAP_LANGUAGE, language(mark.metadata.get("language", ""))),
                )
            )
        atoms.append(ebml.element(ids.CHAPTER_ATOM, *parts))
    edition = ebml.element(ids.EDITION_ENTRY, ebml.uint(ids.EDITION_UID, 1), *atoms)
    return ebml.element(ids.CHAPTERS, edition)


def attachment_pieces(files: Sequence[Attachment]) -> Iterator[bytes]:
    """The Attachments element in pieces, so that large files are not copied twice."""
    if not files:
        return
    heads = []
    for number, file in enumerate(files, 1):
        parts = [
            ebml.string(ids.FILE_NAME, file.name),
            ebml.string(ids.FILE_MEDIA_TYPE, file.mimetype),
        ]
        if file.description:
            parts.append(ebml.string(ids.FILE_DESCRIPTION, file.description))
        parts.append(ebml.uint(ids.FILE_UID, zlib.crc32(file.data) << 16 | number))
        parts.append(ebml.head(ids.FILE_DATA, len(file.data)))
        facts = b"".join(parts)
        heads.append(ebml.head(ids.ATTACHED_FILE, len(facts) + len(file.data)) + facts)
    total = sum(map(len, heads)) + sum(len(file.data) for file in files)
    yield ebml.head(ids.ATTACHMENTS, total)
    for facts, file in zip(heads, files, strict=True):
        yield facts
        yield file.data


class CueList:
    """The index of keyframes. It grows by 24 bytes a keyframe."""

    def __init__(self) -> None:
        self._times = array("q")  # in timestamp units
        self._clusters = array("q")  # offset of the cluster from the segment's data
        self._places = array("q")  # track number in the low 16 bits, offset in the cluster above

    def __len__(self) -> int:
        return len(self._times)

    def add(self, time: int, track: int, cluster: int, offset: int) -> None:
        """A keyframe: `offset` counts from the cluster's data."""
        self._times.append(time)
        self._clusters.append(cluster)
        self._places.append(offset << 16 | track)

    def _points(self) -> Iterator[bytes]:
        order = sorted(range(len(self._times)), key=self._times.__getitem__)
        for at in order:
            yield ebml.element(
                ids.CUE_POINT,
                ebml.uint(ids.CUE_TIME, self._times[at]),
                ebml.element(
                    ids.CUE_TRACK_POSITIONS,
                    ebml.uint(ids.CUE_TRACK, self._places[at] & 0xFFFF),
                    ebml.uint(ids.CUE_CLUSTER_POSITION, self._clusters[at]),
                    ebml.uint(ids.CUE_RELATIVE_POSITION, self._places[at] >> 16),
                ),
            )

    def pieces(self) -> Iterator[bytes]:
        """The Cues element in pieces."""
        yield ebml.head(ids.CUES, sum(map(len, self._points())))
        yield from self._points()
