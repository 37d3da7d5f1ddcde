"""What FFmpeg does not offer of a Matroska header: HDR metadata, chroma siting, languages."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from bsqav.media.io import matroska_ids as ids
from bsqav.media.io.codec_tag import FOURCC
from bsqav.media.io.ebml import children, integer, read_head, read_segment_head
from bsqav.media.metadata.hdr import HdrMetadata, MasteringDisplay, TrackColour

__all__ = [
    "STREAM_TYPES",
    "chapter_languages",
    "codec_ids",
    "dolby_vision_record",
    "matroska_colours",
    "matroska_private",
]

# Tracks are at the beginning; all of them together are a few kilobytes.
MAX_ELEMENTS = 200
MAX_BYTES = 16 << 20
# Track types that FFmpeg makes streams of: video, sound, subtitles, metadata.
STREAM_TYPES = {1, 2, 0x11, 0x21}
# A BITMAPINFOHEADER, and the offset of the FourCC in it.
BITMAP_HEADER_SIZE, FOURCC_PLACE = 40, 16
# Types of block additions: "dvcC", "dvvC" and "dvwC", as MP4 names them.
_DOLBY_VISION = {0x64766343, 0x64767643, 0x64767743}
# (horizontal, vertical) siting to FFmpeg's AVChromaLocation.
_SITING = {(1, 2): 1, (2, 2): 2, (1, 1): 3, (2, 1): 4}


def matroska_colours(file: BinaryIO) -> dict[int, TrackColour]:
    """By FFmpeg's number of the stream; empty for what is no Matroska file. Read from its start."""
    return _tracks(_top_level(file, ids.TRACKS))


def matroska_private(file: BinaryIO) -> dict[int, bytes]:
    """The private data of BSQ tracks, by the same numbers; read from the file's start."""
    found: dict[int, bytes] = {}
    for index, entry in _streams(_top_level(file, ids.TRACKS)):
        private = entry.get(ids.CODEC_PRIVATE, b"")  # a BITMAPINFOHEADER first
        if private[FOURCC_PLACE : FOURCC_PLACE + len(FOURCC)] == FOURCC:
            found[index] = private[BITMAP_HEADER_SIZE:]
    return found


def codec_ids(file: BinaryIO) -> dict[int, str]:
    """Matroska's names of the codecs, by FFmpeg's number; read from the file's start."""
    return {
        index: entry.get(ids.CODEC_ID, b"").decode("ascii", "replace").strip("\0")
        for index, entry in _streams(_top_level(file, ids.TRACKS))
    }


def chapter_languages(file: BinaryIO) -> list[str]:
    """Of the chapters' titles, in order, "und" where not said; read from the file's start.

    Only chapters before the first packet are found, where most programs put them.
    """
    found = []
    for kind, edition in children(_top_level(file, ids.CHAPTERS)):
        atoms = children(edition) if kind == ids.EDITION_ENTRY else ()
        for atom in (content for each, content in atoms if each == ids.CHAPTER_ATOM):
            shown = dict(children(dict(children(atom)).get(ids.CHAPTER_DISPLAY, b"")))
            language = shown.get(ids.CHAP_LANGUAGE, b"").decode("ascii", "replace").strip("\0")
            found.append(language if language.isascii() and language.isalpha() else "und")
    return found


def dolby_vision_record(file: BinaryIO) -> bytes:
    """The first track's Dolby Vision configuration record, empty where it has none."""
    entry = dict(children(_top_level(file, ids.TRACKS))).get(ids.TRACK_ENTRY, b"")
    for kind, content in children(entry):
        if kind == ids.BLOCK_ADDITION_MAPPING:
            parts = dict(children(content))
            if integer(parts.get(ids.BLOCK_ADD_ID_TYPE, b"")) in _DOLBY_VISION:
                return parts.get(ids.BLOCK_ADD_ID_EXTRA_DATA, b"")
    return b""


def _top_level(file: BinaryIO, wanted: int) -> bytes:
    """The content of an element before the clusters; empty where it is not there."""
    segment = read_segment_head(file)
    if segment is None or segment.id != ids.SEGMENT:
        return b""
    for _ in range(MAX_ELEMENTS):
        element = read_head(file)
        if element is None or element.end is None or element.id == ids.CLUSTER:
            return b""
        if element.id == wanted:
            size = element.end - element.start
            return b"" if size > MAX_BYTES else file.read(size)
        file.seek(element.end)
    return b""


def _streams(data: bytes) -> Iterator[tuple[int, dict[int, bytes]]]:
    """(FFmpeg's number, parts) of the entries in the Tracks element that become streams."""
    entries = (
        dict(children(content)) for kind, content in children(data) if kind == ids.TRACK_ENTRY
    )
    shown = (entry for entry in entries if integer(entry.get(ids.TRACK_TYPE, b"")) in STREAM_TYPES)
    return enumerate(shown)


def _tracks(data: bytes) -> dict[int, TrackColour]:
    found: dict[int, TrackColour] = {}
    for index, entry in _streams(data):
        video = dict(children(entry.get(ids.VIDEO, b"")))
        if ids.COLOUR in video:
            found[index] = _colour(dict(children(video[ids.COLOUR])))
    return found


def _colour(parts: dict[int, bytes]) -> TrackColour:
    siting = (
        integer(parts.get(ids.CHROMA_SITING_HORZ, b"")),
        integer(parts.get(ids.CHROMA_SITING_VERT, b"")),
    )
    levels = [min(integer(parts.get(key, b"")), 1 << 20) for key in (ids.MAX_CLL, ids.MAX_FALL)]
    mastering = _mastering(dict(children(parts.get(ids.MASTERING_METADATA, b""))))
    return TrackColour(HdrMetadata(mastering, *levels), _SITING.get(siting, 0))


def _mastering(parts: dict[int, bytes]) -> MasteringDisplay | None:
    values = [_number(parts[key]) for key in ids.MASTERING_POINTS if key in parts]
    if len(values) != len(ids.MASTERING_POINTS):
        return None
    found = MasteringDisplay(*[(values[at], values[at + 1]) for at in range(0, 10, 2)])
    return found if found.is_sound else None


def _number(data: bytes) -> float:
    """A number in 32 or 64 bits; any other length is none."""
    form = {4: ">f", 8: ">d"}.get(len(data))
    return float(struct.unpack(form, data)[0]) if form else -1.0
