"""HDR metadata and BSQ private data in the header of a MOV or MP4 file (ISO/IEC 14496-12)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from bsqav.media.io.boxes import Span, boxes, find_box
from bsqav.media.io.codec_tag import FOURCC
from bsqav.media.metadata.hdr import (
    CHROMATICITY_STEPS,
    LUMINANCE_STEPS,
    MAX_NITS,
    HdrMetadata,
    MasteringDisplay,
    TrackColour,
)

__all__ = ["mov_colours", "mov_private"]

MAX_PRIVATE = 1 << 16
# From a track down to its sample descriptions.
_PATH = (b"mdia", b"minf", b"stbl", b"stsd")
# Bytes of a sample description box before its entries, and of a visual entry before its boxes.
_STSD_HEAD, _VISUAL_HEAD = 8, 78
# Green, blue, red and white as x and y, then highest and lowest luminance.
_MDCV = struct.Struct(">8H2I")
_CLLI = struct.Struct(">2H")


def mov_colours(file: BinaryIO) -> dict[int, TrackColour]:
    """By FFmpeg's number of the stream; empty for what is no such file."""
    found = {}
    for index, span in enumerate(_traks(file)):
        hdr = _hdr_of_track(file, span)
        if hdr:
            found[index] = TrackColour(hdr)
    return found


def mov_private(file: BinaryIO) -> dict[int, bytes]:
    """The private data of BSQ tracks, by the same numbers."""
    found: dict[int, bytes] = {}
    for index, track in enumerate(_traks(file)):
        for entry, kind, (at, stop) in _descriptions(file, track):
            if entry == FOURCC and kind == b"glbl" and stop - at <= MAX_PRIVATE:
                file.seek(at)
                found[index] = file.read(stop - at)
    return found


def _traks(file: BinaryIO) -> list[Span]:
    end = file.seek(0, os.SEEK_END)
    moov = find_box(file, (0, end), b"moov")
    if moov is None:
        return []
    return [span for kind, span in boxes(file, moov) if kind == b"trak"]


def _descriptions(file: BinaryIO, track: Span) -> Iterator[tuple[bytes, bytes, Span]]:
    """(sample entry, kind, span) of the boxes in a track's visual sample entries."""
    span = find_box(file, track, *_PATH)
    if span is None:
        return
    for entry, (start, end) in boxes(file, (span[0] + _STSD_HEAD, span[1])):
        for kind, inner in boxes(file, (start + _VISUAL_HEAD, end)):
            yield entry, kind, inner


def _hdr_of_track(file: BinaryIO, track: Span) -> HdrMetadata:
    mastering: MasteringDisplay | None = None
    levels = (0, 0)
    for _, kind, (at, stop) in _descriptions(file, track):
        file.seek(at)
        if kind == b"mdcv" and stop - at >= _MDCV.size:
            mastering = _mastering(file.read(_MDCV.size))
        elif kind == b"clli" and stop - at >= _CLLI.size:
            levels = _CLLI.unpack(file.read(_CLLI.size))
    return HdrMetadata(mastering, *(min(level, MAX_NITS) for level in levels))


def _mastering(data: bytes) -> MasteringDisplay | None:
    numbers = _MDCV.unpack(data)
    points = [
        (numbers[at] / CHROMATICITY_STEPS, numbers[at + 1] / CHROMATICITY_STEPS)
        for at in range(0, 8, 2)
    ]
    green, blue, red, white = points
    high, low = (number / LUMINANCE_STEPS for number in numbers[8:])
    found = MasteringDisplay(red, green, blue, white, luminance=(low, high))
    return found if found.is_sound else None
