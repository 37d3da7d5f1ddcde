"""YUV4MPEG2 files of 8-bit frames: the form in which clips pass between codecs here.

Uncompressed and of constant frame size, so frames can be counted exactly and read in any order.
Planes are cropped to the frame; chroma is (width + 1) // 2 by (height + 1) // 2 in 4:2:0 (video),
of the frame's size in 4:4:4 (still images).
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from bsqav.evaluation.io.errors import SourceError
from bsqav.media.io.closing import Closing

Plane = NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]

_MAGIC = b"YUV4MPEG2"
_FRAME = b"FRAME\n"
_MAX_HEADER = 1024
_MAX_SIDE = 65536
# a file's word for its chroma -> ours
_CHROMA = {"420": "420", "420jpeg": "420", "420mpeg2": "420", "420paldv": "420", "444": "444"}


@dataclass(frozen=True)
class Y4mHeader:
    """Frame size in pixels, frames per second, chroma "420" or "444"."""

    width: int
    height: int
    rate: Fraction
    chroma: str = "420"

    @property
    def chroma_size(self) -> tuple[int, int]:
        """Width and height of each chroma plane."""
        if self.chroma == "444":
            return self.width, self.height
        return (self.width + 1) // 2, (self.height + 1) // 2

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame's three planes."""
        chroma_width, chroma_height = self.chroma_size
        return self.width * self.height + 2 * chroma_width * chroma_height

    def line(self) -> bytes:
        """The header line, newline included.

        The range is always called limited: formats that cannot say "full" would otherwise be
        stretched on the way, and metrics compare the same numbers whatever they are called.
        """
        rate = f"{self.rate.numerator}:{self.rate.denominator}"
        chroma = "444" if self.chroma == "444" else "420mpeg2"
        text = f" W{self.width} H{self.height} F{rate} Ip A1:1 C{chroma} XCOLORRANGE=LIMITED\n"
        return _MAGIC + text.encode("ascii")


class Y4mWriter(Closing):
    """Writes frames one by one; a context manager."""

    def __init__(self, path: Path, header: Y4mHeader) -> None:
        self.header = header
        self.frames = 0
        self._file: IO[bytes] = path.open("wb")
        self._file.write(header.line())

    def write(self, planes: Planes) -> None:
        """Append one frame: uint8 planes Y (H, W), U and V (of the header's `chroma_size`).

        Raises SourceError where a plane has another shape.
        """
        chroma = self.header.chroma_size[::-1]
        expected = ((self.header.height, self.header.width), chroma, chroma)
        shapes = tuple(plane.shape for plane in planes)
        if shapes != expected:
            raise SourceError(
                f"frame {self.frames} has planes of {shapes}, the clip's are {expected}: "
                "the frame size changed"
            )
        self._file.write(_FRAME)
        for plane in planes:
            self._file.write(np.ascontiguousarray(plane).data)
        self.frames += 1

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


class Y4mFile:
    """A y4m file opened for reading: `header`, `len()` frames, `file[i]` planes.

    Raises SourceError for a file that is not y4m of 8-bit 4:2:0 or 4:4:4 or ends inside a frame.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as stream:
            line = stream.readline(_MAX_HEADER)
        self.header = _parse(line, path)
        self._start = len(line)
        self._stride = len(_FRAME) + self.header.frame_bytes
        body = path.stat().st_size - self._start
        self._frames, rest = divmod(body, self._stride)
        if rest:
            raise SourceError(
                f"{path}: {rest} bytes follow frame {self._frames}: the file is cut short or its "
                "frames carry parameters"
            )

    def __len__(self) -> int:
        return self._frames

    def __getitem__(self, index: int) -> Planes:
        if not 0 <= index < self._frames:
            raise IndexError(f"{self.path}: frame {index} of {self._frames}")
        with self.path.open("rb") as stream:
            stream.seek(self._start + index * self._stride)
            data = stream.read(self._stride)
        if len(data) != self._stride or not data.startswith(_FRAME):
            raise SourceError(f"{self.path}: no frame header at frame {index}")
        return split_planes(data[len(_FRAME) :], self.header)


def split_planes(data: bytes, header: Y4mHeader) -> Planes:
    """The three planes of `header.frame_bytes` bytes, as read-only views."""
    chroma_width, chroma_height = header.chroma_size
    luma, chroma = header.width * header.height, chroma_width * chroma_height
    flat = np.frombuffer(data, dtype=np.uint8)
    return (
        flat[:luma].reshape(header.height, header.width),
        flat[luma : luma + chroma].reshape(chroma_height, chroma_width),
        flat[luma + chroma : luma + 2 * chroma].reshape(chroma_height, chroma_width),
    )


def _parse(line: bytes, path: Path) -> Y4mHeader:
    fields = line.rstrip(b"\n").decode("latin-1").split(" ")
    if not line.endswith(b"\n") or fields[0].encode("latin-1") != _MAGIC:
        raise SourceError(f"{path}: not a YUV4MPEG2 file")
    values = {field[0]: field[1:] for field in fields[1:] if field and field[0] != "X"}
    chroma = _CHROMA.get(values.get("C", "420"))
    if chroma is None:
        raise SourceError(
            f"{path}: chroma format {values['C']}, only 8-bit 4:2:0 and 4:4:4 are measured"
        )
    try:
        width, height = int(values["W"]), int(values["H"])
        numerator, denominator = values["F"].split(":")
        rate = Fraction(int(numerator), int(denominator))
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise SourceError(f"{path}: damaged YUV4MPEG2 header {line!r}") from error
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE and rate > 0):
        raise SourceError(f"{path}: YUV4MPEG2 header out of range: {line!r}")
    return Y4mHeader(width, height, rate, chroma)
