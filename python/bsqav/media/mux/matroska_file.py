"""The bytes of a Matroska file in their order: head, clusters of blocks, index, patched sizes."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import BinaryIO, NamedTuple

from bsqav.media.io import ebml
from bsqav.media.io import matroska_ids as ids
from bsqav.media.metadata.file_metadata import Attachment
from bsqav.media.mux import matroska_meta as meta

__all__ = ["Block", "MatroskaFile", "can_seek"]

NANOSECONDS = 1_000_000_000
MAX_CLUSTER_TIME = 5 * NANOSECONDS
MAX_CLUSTER_BYTES = 5 << 20
# A keyframe opens a cluster, unless the one before would stay smaller than this.
MIN_CLUSTER_BYTES = 4096
# Block times are 16 bits, relative to their cluster's.
MAX_RELATIVE = 0x7FFF
# Flags of a SimpleBlock.
KEYFRAME, DISCARDABLE = 0x80, 0x01


class Block(NamedTuple):
    """A packet in its final form. Times are in timestamp units unless said otherwise."""

    track: int  # number, from 1
    time: int
    data: bytes
    keyframe: bool
    indexed: bool  # is in the index and may open a cluster
    duration: int | None = None  # None: follows from the next block or from the track
    reference: int | None = None  # time of the block that this one needs
    discard: int = 0  # nanoseconds of sound to drop at the end
    disposable: bool = False  # no other block needs it; only a SimpleBlock says so


def can_seek(file: BinaryIO) -> bool:
    """Whether a file object can be written at an earlier place again."""
    try:
        return bool(file.seekable())
    except AttributeError:
        return False


class MatroskaFile:
    """Writes head, blocks and tail to a binary file object, from its present position.

    A cluster is gathered in memory, at most 5 MB or 5 seconds, and written whole with its size.
    On an output that cannot seek, the segment and the clusters have unknown sizes and each block
    is written at once.
    """

    def __init__(self, file: BinaryIO, scale: int) -> None:
        self._file = file
        self._scale = scale
        self._seekable = can_seek(file)
        self._base = file.tell() if self._seekable else 0
        self._position = 0  # bytes written
        self._segment = 0  # where the segment's data begins
        self._places: dict[int, int] = {}  # top-level element to offset from the segment's data
        self._seek_head_at = 0
        self._head_end = 0
        self._duration_at = 0
        self._cues = meta.CueList()
        self._pending: list[bytes] = []
        self._cluster_time: int | None = None  # None: no cluster is open
        self._cluster_start = 0  # offset of the cluster from the segment's data
        self._cluster_size = 0  # bytes of the cluster's data so far

    def _write(self, data: bytes | bytearray) -> None:
        view = memoryview(data)
        while view:
            # A raw file object may take less than it is given.
            written = self._file.write(view)
            view = view[len(view) if written is None else written :]
        self._position += len(data)

    def _patch(self, at: int, data: bytes) -> None:
        self._file.seek(self._base + at)
        self._file.write(data)
        self._file.seek(self._base + self._position)

    def _top_level(self, element_id: int, pieces: Iterable[bytes]) -> None:
        start = self._position
        for piece in pieces:
            self._write(piece)
        if self._position > start:
            self._places[element_id] = start - self._segment

    def write_head(
        self,
        title: str,
        application: tuple[str, str],
        tracks: bytes,
        *,
        chapters: bytes = b"",
        attachments: Sequence[Attachment] = (),
        tags: bytes = b"",
    ) -> None:
        """Everything before the first cluster; `application` is (muxing, writing)."""
        self._write(meta.ebml_header())
        self._write(ebml.head(ids.SEGMENT, None))
        self._segment = self._position
        if self._seekable:
            self._seek_head_at = self._position
            self._write(ebml.void(meta.SEEK_HEAD_BYTES))
        info, duration_at = meta.info(
            self._scale, title, *application, with_duration=self._seekable
        )
        self._duration_at = self._position + duration_at
        self._top_level(ids.INFO, [info])
        self._top_level(ids.TRACKS, [tracks])
        self._top_level(ids.CHAPTERS, [chapters])
        self._top_level(ids.ATTACHMENTS, meta.attachment_pieces(attachments))
        self._top_level(ids.TAGS, [tags])
        self._head_end = self._position

    def write_block(self, block: Block) -> None:
        """Adds a packet, in a new cluster where one is due."""
        if self._needs_cluster(block):
            self._close_cluster()
            self._open_cluster(block.time)
        if self._cluster_time is None:
            raise AssertionError("a cluster is open")
        if block.indexed:
            self._cues.add(block.time, block.track, self._cluster_start, self._cluster_size)
        self._add(_block_element(block, block.time - self._cluster_time))

    def _needs_cluster(self, block: Block) -> bool:
        if self._cluster_time is None:
            return True
        relative = block.time - self._cluster_time
        return (
            not -MAX_RELATIVE <= relative <= MAX_RELATIVE
            or relative * self._scale >= MAX_CLUSTER_TIME
            or self._cluster_size >= MAX_CLUSTER_BYTES
            or (block.indexed and self._cluster_size >= MIN_CLUSTER_BYTES)
        )

    def _open_cluster(self, time: int) -> None:
        self._cluster_time = time
        self._cluster_start = self._position - self._segment
        self._cluster_size = 0
        if not self._seekable:
            self._write(ebml.head(ids.CLUSTER, None))
        self._add(ebml.uint(ids.TIMESTAMP, time))

    def _add(self, data: bytes) -> None:
        self._cluster_size += len(data)
        if self._seekable:
            self._pending.append(data)
        else:
            self._write(data)

    def _close_cluster(self) -> None:
        if self._cluster_time is not None and self._seekable:
            self._write(ebml.head(ids.CLUSTER, self._cluster_size))
            self._write(b"".join(self._pending))
            self._pending.clear()
        self._cluster_time = None

    def finish(self, duration: float) -> None:
        """Writes the last cluster and the index, and patches what was not known before.

        Args:
            duration: of the whole file, in timestamp units.
        """
        if self._cluster_time is None and self._position == self._head_end:
            self._open_cluster(0)  # readers take a file without any for one cut short
        self._close_cluster()
        if not self._seekable:
            return
        if len(self._cues):
            self._top_level(ids.CUES, self._cues.pieces())
        self._patch(self._seek_head_at, _fill(meta.seek_head(self._places), meta.SEEK_HEAD_BYTES))
        self._patch(self._duration_at, struct.pack(">d", duration))
        size = ebml.size_field(self._position - self._segment, 8)
        self._patch(self._segment - len(size), size)


def _fill(data: bytes, size: int) -> bytes:
    """Data and a Void element that together have a size."""
    return data + ebml.void(size - len(data)) if len(data) < size else data


def _block_element(block: Block, relative: int) -> bytes:
    """A SimpleBlock, or a BlockGroup where there is more to say."""
    group = block.duration is not None or block.discard
    flags = 0 if group else KEYFRAME * block.keyframe | DISCARDABLE * block.disposable
    content = struct.pack(">BhB", 0x80 | block.track, relative, flags) + block.data
    if not group:
        return ebml.binary(ids.SIMPLE_BLOCK, content)
    parts = [ebml.binary(ids.BLOCK, content)]
    if block.duration is not None:
        parts.append(ebml.uint(ids.BLOCK_DURATION, block.duration))
    if not block.keyframe and block.reference is not None:
        parts.append(ebml.signed(ids.REFERENCE_BLOCK, block.reference - block.time))
    if block.discard:
        parts.append(ebml.signed(ids.DISCARD_PADDING, block.discard))
    return ebml.element(ids.BLOCK_GROUP, *parts)
