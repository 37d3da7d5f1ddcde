"""What writes an output: frames and packets go in, a file comes out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction

from bsqav.media.io.types import AvPacket
from bsqav.media.transcode.events import SourceFrame

__all__ = ["Sink"]


class Sink(ABC):
    """Writes an output, and counts what has been written."""

    codec: str  # "bsq", "copy", or FFmpeg's name of the encoder

    def __init__(self) -> None:
        self.sent = 0
        """Frames taken in."""
        self.frames = 0
        """Frames written."""
        self.bytes = 0
        """Bytes of all packets written."""
        self.video_bytes = 0
        """Bytes of the video's packets among them."""
        self.end = Fraction(0)
        """End of the last frame written, in seconds."""

    @abstractmethod
    def write(self, frame: SourceFrame) -> None:
        """Takes a frame."""

    def put(self, packet: AvPacket) -> None:
        """Takes a packet of another track; images have no place for it."""
        del packet

    @abstractmethod
    def finish(self) -> None:
        """Writes all that was held back, and the end."""

    def abort(self) -> None:  # noqa: B027 - images are written whole
        """Leaves the output as far as it was written, readable if possible; never raises."""
