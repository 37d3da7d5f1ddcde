"""HTTP Live Streaming (RFC 8216): a playlist of byte ranges over one fragmented MOV file.

FFmpeg's own muxer refuses a codec that it does not know. A fragmented MOV is all that is needed:
every keyframe begins a fragment, and the playlist says where each segment of such fragments lies.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from bsqav.errors import MediaError, UsageError
from bsqav.media.io.types import MediaFile, Warn
from bsqav.media.metadata.file_metadata import Chapter
from bsqav.media.mux.base import MuxedPacket, VideoTrack
from bsqav.media.mux.pyav_muxer import PyAvMuxer

__all__ = ["MEDIA_SUFFIX", "HlsMuxer", "default_gop", "media_path"]

MEDIA_SUFFIX = ".mov"
# Segments are not longer than this, unless a group of pictures is.
TARGET_SECONDS = 6
# The default distance of keyframes, where a player can begin.
KEYFRAME_SECONDS = 4
PARTIAL = ".partial"


def default_gop(frame_rate: Fraction | None) -> int:
    """Frames from keyframe to keyframe for segments of a usual length."""
    return max(1, round(KEYFRAME_SECONDS * (frame_rate or 25)))


def media_path(playlist: str | os.PathLike[str]) -> Path:
    """The file next to a playlist that holds its packets; partial where the playlist is."""
    path = Path(playlist)
    if path.suffix == PARTIAL:
        return path.with_name(Path(path.stem).stem + MEDIA_SUFFIX + PARTIAL)
    return path.with_suffix(MEDIA_SUFFIX)


class HlsMuxer(PyAvMuxer):
    """Writes a playlist and the MOV next to it; see `BsqMuxer` for the methods.

    Args:
        target: path of the playlist; PATH.m3u8.partial goes with PATH.mov.partial, whose name in
            the playlist is without that.
        options: of FFmpeg's MOV muxer.
        warn: takes a sentence on times that had to be changed.

    Raises:
        UsageError: the target is no path.
        OSError: a file cannot be opened or written.
    """

    def __init__(
        self,
        target: MediaFile,
        options: Mapping[str, str] | None = None,
        warn: Warn = lambda _: None,
    ) -> None:
        if not isinstance(target, str | os.PathLike):
            raise UsageError("HLS is a playlist and a media file: write to a path, NAME.m3u8")
        self._playlist = Path(target)
        if Path(self._playlist.name.removesuffix(PARTIAL)).suffix.lower() != ".m3u8":
            raise UsageError(f"{target}: the name of a playlist ends in .m3u8")
        self._media = media_path(target)
        self._video: int | None = None
        self._keyframes: list[Fraction] = []  # seconds
        self._end = Fraction(0)
        super().__init__(self._media, "mov", fragmented=True, options=options, warn=warn)
        self.format = "hls"

    def _add_video(self, track: VideoTrack) -> int:
        """The BSQ track; a playlist has one, whose keyframes begin its segments."""
        if self._video is not None:
            raise UsageError("HLS is written with one video track")
        self._video = super()._add_video(track)
        return self._video

    def set_chapters(self, _chapters: Sequence[Chapter]) -> bool:
        """False: readers of playlists take MOV's chapters for subtitles."""
        return False

    def _mux_video(self, index: int, packet: MuxedPacket) -> None:
        if index == self._video and packet.pts is not None:
            if packet.keyframe:
                self._keyframes.append(packet.pts * packet.time_base)
            end = (packet.pts + max(packet.duration, 0)) * packet.time_base
            self._end = max(self._end, end)
        super()._mux_video(index, packet)

    def _finish(self) -> None:
        """Finishes the file and writes the playlist."""
        super()._finish()
        with self._media.open("rb") as file:
            init, fragments = _fragments(file)
        # Fragments wait for every track to begin: the first one may hold several groups.
        surplus = len(self._keyframes) - len(fragments)
        if surplus < 0:
            raise MediaError(f"{self._media} has {-surplus} fragments that begin with no keyframe")
        times = self._keyframes[:1] + self._keyframes[surplus + 1 :]
        name = self._media.name.removesuffix(PARTIAL)
        lines = _playlist(name, init, _segments(fragments, times, self._end))
        self._playlist.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _fragments(file: BinaryIO) -> tuple[int, list[tuple[int, int]]]:
    """Bytes before the first fragment, and (offset, size) of each: a moof box and its mdat."""
    place, init, found = 0, 0, list[tuple[int, int]]()
    end = file.seek(0, os.SEEK_END)
    while place + 8 <= end:
        file.seek(place)
        head = file.read(16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size < 8:
            break
        if kind == b"moof":
            found.append((place, size))
        elif kind == b"mdat" and found:
            found[-1] = (found[-1][0], place + size - found[-1][0])
        elif not found:
            init = place + size
        place += size
    return init, found


def _segments(
    fragments: list[tuple[int, int]], times: list[Fraction], end: Fraction
) -> list[tuple[Fraction, int, int]]:
    """(seconds, bytes, offset) of segments: as many fragments as fit the target, one at least."""
    if not fragments:
        return []
    ends = [*times[1:], max(end, times[-1])]
    starts = [0]
    for number in range(1, len(fragments)):
        if ends[number] - times[starts[-1]] > TARGET_SECONDS:
            starts.append(number)
    found = []
    for first, following in pairwise([*starts, len(fragments)]):
        offset = fragments[first][0]
        size = sum(fragments[following - 1]) - offset
        found.append((ends[following - 1] - times[first], size, offset))
    return found


def _playlist(name: str, init: int, segments: list[tuple[Fraction, int, int]]) -> list[str]:
    longest = max((math.ceil(seconds) for seconds, _, _ in segments), default=1)
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"#EXT-X-TARGETDURATION:{max(1, longest)}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f'#EXT-X-MAP:URI="{name}",BYTERANGE="{init}@0"',
    ]
    for seconds, size, offset in segments:
        lines += [f"#EXTINF:{float(seconds):.6f},", f"#EXT-X-BYTERANGE:{size}@{offset}", name]
    return [*lines, "#EXT-X-ENDLIST"]
