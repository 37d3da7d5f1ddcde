"""Reads a Matroska file's structure and compares it with itself: elements, blocks and index.

FFmpeg passes over what it cannot read and goes on behind it, without a word to its caller. So all
heads of elements are read once more here; their contents, the packets, are not.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from bsqav.media.io import matroska_ids as ids
from bsqav.media.io.ebml import ElementHead, children, integer, read_head, read_segment_head
from bsqav.media.io.truncation import StatedContents
from bsqav.media.metadata.matroska_header import STREAM_TYPES

__all__ = ["check_matroska"]

# Elements of a segment (RFC 9559 section 5.1), and what any element may hold.
_ANYWHERE = {ids.VOID, ids.CRC_32}
_LEVEL_1 = {
    ids.SEEK_HEAD, ids.INFO, ids.TRACKS, ids.CHAPTERS, ids.ATTACHMENTS, ids.TAGS, ids.CUES,
    ids.CLUSTER, ids.SIGNATURE_SLOT,
}  # fmt: skip
_IN_CLUSTER = {
    ids.TIMESTAMP, ids.SILENT_TRACKS, ids.POSITION, ids.PREV_SIZE, ids.SIMPLE_BLOCK,
    ids.BLOCK_GROUP, ids.ENCRYPTED_BLOCK,
}  # fmt: skip
# Heads of tracks and the index are small; more is not read.
MAX_BYTES = 64 << 20


def check_matroska(file: BinaryIO) -> StatedContents | None:
    """What a file says that it holds; None for what is no Matroska file.

    Args:
        file: seekable; its position is not put back.
    """
    size = file.seek(0, os.SEEK_END)
    segment = read_segment_head(file)
    if segment is None or segment.id != ids.SEGMENT:
        return None
    return _Walk(file, size, segment).run()


# Type of tracks of video; the flag of a SimpleBlock that depends on no other.
VIDEO, SIMPLE_KEYFRAME = 1, 0x80


class _Walk:
    """One way through the elements of a segment."""

    def __init__(self, file: BinaryIO, size: int, segment: ElementHead) -> None:
        self._file, self._size = file, size
        self._start = segment.start
        self._end = size if segment.end is None else min(segment.end, size)
        self._is_short = segment.end is not None and segment.end > size
        self._found = StatedContents()
        self._numbers: list[int] = []  # of tracks, in FFmpeg's order of streams
        self._videos: set[int] = set()  # numbers of those of video
        self._blocks: Counter[int] = Counter()
        # Offset of a cluster to the (track number, time) of the keyframes of video in it.
        self._clusters: dict[int, set[tuple[int, int]]] = {}
        self._cues = b""
        self._void: int | None = None  # offset of a Void after a cluster
        self._begin = 0  # of the latest cluster, in timestamp units

    def run(self) -> StatedContents:
        """Reads everything."""
        place: int | None = self._start
        while place is not None and place < self._end:
            place = self._top_level(place)
        self._check_tail()
        self._check_cues()
        found = self._found
        found.packets = {at: self._blocks[number] for at, number in enumerate(self._numbers)}
        return found

    def _fault(self, place: int, what: str) -> None:
        self._found.faults.append(f"byte {place}: {what}")

    def _head(self, place: int) -> ElementHead | None:
        self._file.seek(place)
        return read_head(self._file)

    def _content(self, head: ElementHead) -> bytes:
        length = head.size or 0
        self._file.seek(head.start)
        return self._file.read(length) if length <= MAX_BYTES else b""

    def _top_level(self, place: int) -> int | None:
        """Reads an element of the segment; returns where the next one begins, None at an end."""
        head = self._head(place)
        if head is not None and head.id in _IN_CLUSTER and self._clusters:
            self._wrong_size(place, "packets go on after their cluster's end")
            return self._children(place, self._end, [*self._clusters][-1])
        if head is None or head.id not in _LEVEL_1 | _ANYWHERE:
            self._fault(place, "no element of Matroska begins here")
            return None
        if head.id == ids.CLUSTER:
            return self._cluster(head, place)
        if head.end is None or head.end > self._end:
            self._wrong_size(place, "an element reaches past the end")
            return None
        if head.id == ids.TRACKS and not self._numbers:
            tracks = list(_track_numbers(self._content(head)))
            self._numbers = [number for number, _ in tracks]
            self._videos = {number for number, kind in tracks if kind == VIDEO}
        elif head.id == ids.CUES:
            self._cues = self._content(head)
        elif head.id == ids.VOID and self._clusters:
            self._void = place
        return head.end

    def _wrong_size(self, place: int, what: str) -> None:
        self._found.sizes.append(f"byte {place}: {what}")

    def _cluster(self, cluster: ElementHead, place: int) -> int | None:
        if self._void is not None:
            self._fault(self._void, "a Void element is between clusters")
            self._void = None
        self._clusters[place] = set()
        self._begin = 0
        if cluster.end is not None and cluster.end > self._end:
            self._found.cut_inside = True
        end = self._end if cluster.end is None else min(cluster.end, self._end)
        at = self._children(cluster.start, end, place)
        if at is not None and at < end and cluster.end is not None:
            what = "a cluster reaches over the elements after it"
            # One wrong size is no harm; where the file lacks those bytes too, packets are gone.
            (self._fault if self._is_short else self._wrong_size)(place, what)
        return at

    def _children(self, at: int, end: int, place: int) -> int | None:
        """Reads the cluster at `place` from `at` on; returns its end, None if it cannot go on."""
        while at < end:
            head = self._head(at)
            if head is not None and head.id in _LEVEL_1:
                return at
            if head is None or head.id not in _IN_CLUSTER | _ANYWHERE:
                self._fault(at, "no element of a cluster begins here")
                return end if end < self._end else None
            if head.end is None or head.end > end:
                self._past_end(at, end)
                return end if end < self._end else None
            if head.id == ids.TIMESTAMP:
                self._begin = integer(self._content(head))
            elif head.id == ids.VOID:
                self._fault(at, "a Void element is in the place of packets")
            elif head.id in (ids.SIMPLE_BLOCK, ids.BLOCK_GROUP):
                self._block(head, at, self._clusters[place])
            at = head.end
        return at

    def _past_end(self, at: int, end: int) -> None:
        """A packet is longer than its cluster, or than what is left of the file."""
        if end == self._size:
            self._found.cut_inside = True
            self._wrong_size(at, "the file ends inside a packet")
        else:
            self._fault(at, "an element reaches past its cluster's end")

    def _block(self, head: ElementHead, at: int, keyframes: set[tuple[int, int]]) -> None:
        keyframe: bool | None = None
        if head.id == ids.BLOCK_GROUP:
            inner, keyframe = self._block_of_group(head)
            if inner is None:
                self._fault(at, "a group of a block without its block")
                return
            head = inner
        self._file.seek(head.start)
        data = self._file.read(min(head.size or 0, 12))
        number, width = _track_number(data)
        if number not in self._numbers or len(data) < width + 3:
            self._fault(at, f"a packet of track {number}, which there is not")
            return
        (relative,) = struct.unpack(">h", data[width : width + 2])
        self._blocks[number] += 1
        if keyframe is None:
            keyframe = bool(data[width + 2] & SIMPLE_KEYFRAME)
        if keyframe and number in self._videos:
            keyframes.add((number, self._begin + relative))

    def _block_of_group(self, group: ElementHead) -> tuple[ElementHead | None, bool]:
        """The block in a group, and whether it refers to no other."""
        at, end = group.start, group.end or 0
        block, keyframe = None, True
        while at < end:
            head = self._head(at)
            if head is None or head.end is None or head.end > end:
                break
            if head.id == ids.BLOCK:
                block = head
            keyframe = keyframe and head.id != ids.REFERENCE_BLOCK
            at = head.end
        return block, keyframe

    def _check_tail(self) -> None:
        """After a segment that states its end, anything may follow but more of it."""
        if self._end < self._size:
            head = self._head(self._end)
            if head is not None and head.id in _LEVEL_1:
                self._fault(self._end, "the file goes on after the end of its segment")

    def _check_cues(self) -> None:
        """Every keyframe that the index names must be there."""
        for point in _all(self._cues, ids.CUE_POINT):
            parts = list(children(point))
            time = next((integer(data) for kind, data in parts if kind == ids.CUE_TIME), 0)
            for data in (data for kind, data in parts if kind == ids.CUE_TRACK_POSITIONS):
                fields = dict(children(data))
                number = integer(fields.get(ids.CUE_TRACK, b""))
                place = self._start + integer(fields.get(ids.CUE_CLUSTER_POSITION, b""))
                if number not in self._videos:
                    continue
                if not any(
                    (number, time + by) in self._clusters.get(place, ()) for by in (0, -1, 1)
                ):
                    self._found.missing.append(
                        (
                            self._numbers.index(number),
                            f"the index names a keyframe at byte {place}, "
                            f"time {time}, which is not there",
                        )
                    )


def _track_number(data: bytes) -> tuple[int, int]:
    """(number, bytes that it takes) at the beginning of a block."""
    if not data or not data[0]:
        return 0, 1
    width = 9 - data[0].bit_length()
    return int.from_bytes(data[:width], "big") & ((1 << (7 * width)) - 1), width


def _track_numbers(tracks: bytes) -> Iterator[tuple[int, int]]:
    """(number, type) of the tracks that FFmpeg makes streams of."""
    for data in _all(tracks, ids.TRACK_ENTRY):
        entry = dict(children(data))
        kind = integer(entry.get(ids.TRACK_TYPE, b""))
        if kind in STREAM_TYPES:
            yield integer(entry.get(ids.TRACK_NUMBER, b"")), kind


def _all(data: bytes, kind: int) -> list[bytes]:
    return [content for each, content in children(data) if each == kind]
