"""Numbered images as a video to read: `in_%04d.png`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeGuard

from bsqav.errors import MediaError, UsageError
from bsqav.media.demux.av_reader import AvReader
from bsqav.media.demux.demuxer import Demuxer
from bsqav.media.demux.opening import InputNotFoundError
from bsqav.media.io.types import AvPacket, Cancelled, MediaFile, Warn

__all__ = ["ImageSequence", "has_no_times"]

DEFAULT_FPS = Fraction(25)
_PLACE = re.compile(r"%(0?\d*)d")
# FFmpeg's demuxers that count frames: images and raw streams.
_WITHOUT_TIMES = {"av1", "cavsvideo", "dirac", "evc", "h261", "h263", "h264", "hevc", "image2"}
_WITHOUT_TIMES |= {"image2pipe", "m4v", "mjpeg", "mpegvideo", "obu", "rawvideo", "vc1", "vvc"}


def has_no_times(format: str) -> bool:  # noqa: A002
    """Whether a container of FFmpeg's is a sequence of images that it gives a constant rate."""
    return format in _WITHOUT_TIMES or format.endswith("_pipe")


@dataclass(frozen=True)
class ImageSequence:
    """Numbered images, of which none is missing from the first to the last."""

    path: Path  # with a place for the number
    first: int  # number of the first one
    fps: Fraction

    @classmethod
    def of(
        cls,
        file: MediaFile,
        fps: Fraction | None,
        start_number: int | None,
        warn: Warn,
    ) -> ImageSequence | None:
        """What a path stands for; None where it names no numbered images.

        Args:
            file: any input.
            fps: frames per second, 25 where None.
            start_number: of the first image, the lowest that there is where None.
            warn: hears of images after a gap, which are not read.

        Raises:
            InputNotFoundError: there are no such images.
            UsageError: there is none of the number, or a number is given and there is no place for
                it in the path.
        """
        if not _is_pattern(file):
            if start_number is not None:
                raise UsageError(
                    "a start number (--start-number) is that of numbered images, in_%04d.png"
                )
            return None
        path = Path(file)
        numbers = _numbers(path)
        if not numbers:
            raise InputNotFoundError(f"there are no images {path}, such as {_filled(path, 1)}")
        first = min(numbers) if start_number is None else start_number
        if first not in numbers:
            raise UsageError(
                f"there is no image {_filled(path, first)}: the numbers are from {min(numbers)} "
                f"to {max(numbers)}"
            )
        gap = first
        while gap in numbers:
            gap += 1
        if behind := [number for number in numbers if number > gap]:
            warn(
                f"{_filled(path, gap)} is missing: the {len(behind)} images after it are left "
                f"out (--start-number {min(behind)} begins there)"
            )
        return cls(path, first, fps or DEFAULT_FPS)

    def open(self, cancelled: Cancelled) -> Demuxer:
        """The images as an open video."""
        place = _PLACE.search(self.path.name)
        assert place is not None
        name = self.path.name
        # Any other percent sign is itself.
        escaped = name[: place.start()].replace("%", "%%") + place[0]
        escaped += name[place.end() :].replace("%", "%%")
        folder = os.fspath(self.path.parent).replace("%", "%%")
        return Demuxer(
            _SequenceReader(
                f"file:{folder}/{escaped}",
                format="image2",
                options={"framerate": str(self.fps), "start_number": str(self.first)},
                name=os.fspath(self.path),
                cancelled=cancelled,
            )
        )


class _SequenceReader(AvReader):
    """Ends before a gap, where FFmpeg's demuxer may look for the missing image."""

    def read(self) -> AvPacket | None:
        """The next image, None after the last one."""
        try:
            return super().read()
        except MediaError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise


def _is_pattern(file: MediaFile) -> TypeGuard[str | os.PathLike[str]]:
    if not isinstance(file, str | os.PathLike) or "://" in os.fspath(file):
        return False
    path = Path(file)
    return len(_PLACE.findall(path.name)) == 1 and not path.exists()


def _filled(path: Path, number: int) -> str:
    return _PLACE.sub(lambda place: f"{number:{place[1] or 0}}", path.name)


def _numbers(path: Path) -> set[int]:
    """The numbers that images have, written as the path says."""
    place = _PLACE.search(path.name)
    assert place is not None
    before, after = path.name[: place.start()], path.name[place.end() :]
    found = set()
    for name in (p.name for p in path.parent.iterdir()) if path.parent.is_dir() else ():
        digits = name[len(before) : len(name) - len(after)]
        if name.startswith(before) and name.endswith(after) and digits.isdecimal():
            number = int(digits)
            if _filled(path, number) == name:
                found.add(number)
    return found
