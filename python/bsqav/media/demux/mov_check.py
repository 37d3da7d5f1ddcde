"""Reads the tables of a MOV file and compares them with each other: samples, times, fragments."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import BinaryIO

from bsqav.media.io.boxes import Span, box_at, boxes, find_box
from bsqav.media.io.truncation import StatedContents

__all__ = ["check_mov"]

# Boxes allowed at a file's top level (ISO/IEC 14496-12, QuickTime, DASH).
_TOP_LEVEL = {
    b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof", b"mfra",
    b"sidx", b"ssix", b"prft", b"emsg", b"meta", b"uuid", b"udta", b"pdin",
}  # fmt: skip
# Larger tables are not read.
MAX_TABLE = 1 << 28
# Totals that programs round may differ by so much (seconds).
ROUNDING = Fraction(1, 100)


@dataclass
class _Track:
    """What the head says of a track, and how far its fragments have come."""

    id: int = 0
    scale: int = 1  # ticks per second
    duration: int = 0  # of all samples, in ticks
    samples: int = 0
    ticks: int = 0  # the sum of the samples' durations
    counted: int = 0  # samples that have a duration
    is_even: bool = False  # all have the same one
    default: int = 0  # duration of samples in fragments
    edits: list[tuple[int, int]] = field(default_factory=list)  # duration, where it begins
    next_time: int | None = None  # where the next fragment should begin, in ticks


def check_mov(file: BinaryIO) -> StatedContents | None:
    """What a file says that it holds; None for what is no MOV or MP4 file.

    Args:
        file: seekable; its position is not put back.
    """
    size = file.seek(0, os.SEEK_END)
    moov = find_box(file, (0, size), b"moov")
    return None if moov is None else _Check(file, size, moov).run()


class _Check:
    """The comparison of one file."""

    def __init__(self, file: BinaryIO, size: int, moov: Span) -> None:
        self._file, self._size = file, size
        self._found = StatedContents(is_exact=True)
        self._scale = self._movie_scale(moov)
        self._tracks = [self._track(span) for kind, span in boxes(file, moov) if kind == b"trak"]
        self._by_id = {track.id: track for track in self._tracks}
        self._number: int | None = None  # of the fragment before
        self._fragments: set[int] = set()
        extends = find_box(file, moov, b"mvex")
        self._fragmented = self._found.in_parts = extends is not None
        for kind, span in boxes(file, extends) if extends else ():
            if kind == b"trex":
                track_id, _, duration = struct.unpack(">3I", self._read(span, 4, 12))
                if track_id in self._by_id:
                    self._by_id[track_id].default = duration

    def run(self) -> StatedContents:
        """Reads all boxes and answers what was found."""
        place: int | None = 0
        while place is not None and place < self._size:
            place = self._top_level(place)
        for index, track in enumerate(self._tracks):
            self._check_track(index, track)
            self._found.packets[index] = track.samples
        return self._found

    def _top_level(self, place: int) -> int | None:
        """Reads a box; returns where the next one begins, None at the end."""
        box = box_at(self._file, place)
        if box is None or box.kind not in _TOP_LEVEL or not (box.is_sized or box.size == 0):
            self._fault(place, "no box of MOV begins here")
            return None
        kind, start, end = box.kind, box.start, box.end if box.size else self._size
        if end > self._size and kind == b"moof":
            self._fault(place, "the file ends inside the head of a fragment")
            return None
        if end > self._size:
            self._found.sizes.append(f"byte {place}: a box reaches past the end")
            self._found.cut_inside = True
        elif kind == b"moof":
            self._fragment(place, (start, end))
        elif kind == b"mfra":
            self._check_index((start, end))
        return end

    def _fault(self, place: int, what: str) -> None:
        self._found.faults.append(f"byte {place}: {what}")

    def _read(self, span: Span, at: int, count: int) -> bytes:
        """Bytes of a box's content from an offset on; zeros for those that it does not have."""
        start, end = span
        self._file.seek(start + at)
        count = min(count, MAX_TABLE)
        return self._file.read(max(0, min(count, end - start - at))).ljust(count, b"\0")

    def _integer(self, span: Span, at: int, size: int = 4) -> int:
        return int.from_bytes(self._read(span, at, size), "big")

    def _table(self, span: Span, form: str) -> list[tuple[int, ...]]:
        """The entries of a table behind version, flags and their count."""
        size = struct.calcsize(form)
        count = min(self._integer(span, 4), (span[1] - span[0] - 8) // size)
        return list(struct.iter_unpack(form, self._read(span, 8, count * size)))

    # ---- the head ----

    def _movie_scale(self, moov: Span) -> int:
        head = find_box(self._file, moov, b"mvhd")
        if head is None:
            return 1
        return self._integer(head, 20 if self._integer(head, 0, 1) == 1 else 12) or 1

    def _track(self, trak: Span) -> _Track:
        track = _Track()
        head = find_box(self._file, trak, b"tkhd")
        if head is not None:
            track.id = self._integer(head, 20 if self._integer(head, 0, 1) == 1 else 12)
        listed = find_box(self._file, trak, b"edts", b"elst")
        if listed:
            form = ">QqI" if self._integer(listed, 0, 1) == 1 else ">IiI"
            track.edits = [(entry[0], entry[1]) for entry in self._table(listed, form)]
        media = find_box(self._file, trak, b"mdia")
        if media is not None:
            self._media(track, media)
        return track

    def _media(self, track: _Track, media: Span) -> None:
        head = find_box(self._file, media, b"mdhd")
        if head is not None:
            wide = self._integer(head, 0, 1) == 1
            track.scale = self._integer(head, 20 if wide else 12) or 1
            track.duration = self._integer(head, 24 if wide else 16, 8 if wide else 4)
        span = find_box(self._file, media, b"minf", b"stbl")
        for kind, table in boxes(self._file, span) if span else ():
            if kind == b"stsz":
                track.samples = self._integer(table, 8)
            elif kind == b"stts":
                steps = self._table(table, ">2I")
                track.is_even = len(steps) == 1
                for count, ticks in steps:
                    track.counted += count
                    track.ticks += count * ticks

    def _check_track(self, index: int, track: _Track) -> None:
        if self._fragmented:
            return  # the head says nothing of fragments
        if track.counted != track.samples:
            self._missing(index, f"{track.samples} samples, and times of {track.counted}")
        # At variable rates the head counts a frame's own duration, beyond the next one's time too.
        over = track.ticks - track.duration
        if (abs(over) if track.is_even else over) > ROUNDING * track.scale:
            self._missing(
                index,
                f"the samples last {track.ticks / track.scale:.3f} s, and the head says "
                f"{track.duration / track.scale:.3f} s",
            )
        shown = [(length, begin) for length, begin in track.edits if begin >= 0]
        if len(shown) == 1:
            length, begin = shown[0]
            end = Fraction(begin, track.scale) + Fraction(length, self._scale)
            said = Fraction(track.duration, track.scale)
            if abs(end - said) > ROUNDING + Fraction(1, self._scale):
                self._missing(
                    index, f"the edit list ends at {float(end):.3f} s of {float(said):.3f} s"
                )

    def _missing(self, index: int, what: str) -> None:
        self._found.missing.append((index, what))

    # ---- fragments ----

    def _fragment(self, place: int, moof: Span) -> None:
        self._fragments.add(place)
        for kind, span in self._all(moof):
            if kind == b"mfhd":
                number = self._integer(span, 4)
                if self._number is not None and number != self._number + 1:
                    self._fault(place, f"fragment {number} follows fragment {self._number}")
                self._number = number
            elif kind == b"traf":
                self._run_of_track(place, span)

    def _all(self, within: Span) -> Iterator[tuple[bytes, Span]]:
        """The boxes in a part of a fragment, which fill it."""
        end = within[0]
        for kind, span in boxes(self._file, within):
            yield kind, span
            end = span[1]
        if end != within[1]:
            self._fault(end, "no box of a fragment begins here")

    def _run_of_track(self, place: int, traf: Span) -> None:
        head = find_box(self._file, traf, b"tfhd")
        track = None if head is None else self._by_id.get(self._integer(head, 4))
        if head is None or track is None:
            self._fault(place, "a fragment of a track that there is not")
            return
        flags = self._integer(head, 1, 3)
        at = 8 + 8 * bool(flags & 1) + 4 * bool(flags & 2)
        default = self._integer(head, at) if flags & 8 else track.default
        time, length = track.next_time, 0
        for kind, span in self._all(traf):
            if kind == b"tfdt":
                time = self._integer(span, 4, 8 if self._integer(span, 0, 1) == 1 else 4)
            elif kind == b"trun":
                length += self._samples(track, span, default)
        if time is not None and track.next_time is not None and time != track.next_time:
            index = self._tracks.index(track)
            self._missing(
                index,
                f"the fragment at byte {place} begins at {time / track.scale:.3f} s, and the one "
                f"before ends at {track.next_time / track.scale:.3f} s",
            )
        track.next_time = None if time is None else time + length

    def _samples(self, track: _Track, run: Span, default: int) -> int:
        """Counts the samples of a run; returns how long they last, in ticks."""
        flags = self._integer(run, 1, 3)
        count = self._integer(run, 4)
        track.samples += count
        if not flags & 0x100:
            return count * default
        at = 8 + 4 * bool(flags & 1) + 4 * bool(flags & 4)
        step = 4 * sum(bool(flags & bit) for bit in (0x100, 0x200, 0x400, 0x800))
        count = min(count, (run[1] - run[0]) // step)
        data = self._read(run, at, count * step)
        return sum(int.from_bytes(data[n : n + 4], "big") for n in range(0, count * step, step))

    def _check_index(self, mfra: Span) -> None:
        """Every fragment that the index at the end names must be there."""
        for kind, span in boxes(self._file, mfra):
            if kind != b"tfra":
                continue
            track = self._by_id.get(self._integer(span, 4))
            lengths, count = self._integer(span, 8), self._integer(span, 12)
            wide = self._integer(span, 0, 1) == 1
            step = (16 if wide else 8) + sum((lengths >> shift & 3) + 1 for shift in (4, 2, 0))
            data = self._read(span, 16, min(count, (span[1] - span[0]) // step) * step)
            for at in range(0, len(data), step):
                time, place = struct.unpack_from(">2Q" if wide else ">2I", data, at)
                if place not in self._fragments and track is not None:
                    self._missing(
                        self._tracks.index(track),
                        f"the index names a fragment at byte {place}, "
                        f"{time / track.scale:.3f} s, which is not there",
                    )
