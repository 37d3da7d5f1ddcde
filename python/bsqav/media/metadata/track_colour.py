"""What PyAV does not offer of a track: HDR metadata, chroma siting, BSQ private data."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TypeVar

import av
from av.stream import Stream

from bsqav.media.io.file_access import read_seekable
from bsqav.media.io.types import MediaFile
from bsqav.media.metadata.hdr import DolbyVision, TrackColour
from bsqav.media.metadata.matroska_header import (
    dolby_vision_record,
    matroska_colours,
    matroska_private,
)
from bsqav.media.metadata.mov_header import mov_colours, mov_private

__all__ = ["of_file", "read_colours", "read_private_data", "stream_colour"]

T = TypeVar("T")

PLAYLIST = ".m3u8"


def read_colours(file: MediaFile) -> dict[int, TrackColour]:
    """By FFmpeg's number of the stream; empty for what is neither Matroska nor MOV, and for pipes.

    Args:
        file: a path, or a binary file object, whose position is put back.
    """
    return of_file(file, _read)


def read_private_data(file: MediaFile) -> dict[int, bytes]:
    """The BSQ private data of the tracks in the same files, by the same numbers."""
    return of_file(file, lambda opened: matroska_private(opened) or mov_private(opened))


def of_file(file: MediaFile, read: Callable[[BinaryIO], dict[int, T]]) -> dict[int, T]:
    """What `read` makes of a file from its start; empty where it cannot be read at will."""
    if isinstance(file, str | os.PathLike):
        path = Path(file)
        if path.suffix.lower() == PLAYLIST and path.is_file():
            file = path.with_suffix(".mov")  # as bsqav writes it
    return read_seekable(file, read) or {}


def stream_colour(stream: Stream) -> TrackColour:
    """The same of a stream of any input, by what FFmpeg writes of it into a Matroska file."""
    file = io.BytesIO()
    try:
        with av.open(file, "w", format="matroska") as container:
            container.add_stream_from_template(stream)
            container.start_encoding()
    except (ValueError, av.FFmpegError):
        return TrackColour()  # a codec that Matroska has no name for
    file.seek(0)
    vision = DolbyVision.of(dolby_vision_record(file))
    return replace(read_colours(file).get(0, TrackColour()), dolby_vision=vision)


def _read(file: BinaryIO) -> dict[int, TrackColour]:
    return matroska_colours(file) or mov_colours(file)
