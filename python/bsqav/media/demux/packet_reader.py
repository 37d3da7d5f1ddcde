"""What a demuxer takes its packets from: a container that PyAV opens, or a `.bsq` file."""

from __future__ import annotations

from abc import ABC, abstractmethod

from av.container import InputContainer
from av.stream import Stream

from bsqav.codec.image_metadata import ImageMetadata
from bsqav.media.io.types import AvPacket, Warn

__all__ = ["PacketReader"]


class PacketReader(ABC):
    """The packets of one input, in the order of the file."""

    name: str  # what messages call the input
    container: InputContainer  # PyAV's, or an object that answers the same questions
    foreign_tags = False  # tags that are not UTF-8 were read as Latin-1
    image_metadata: ImageMetadata | None = None  # of a `.bsq` file

    @property
    @abstractmethod
    def format(self) -> str:
        """The container's name, FFmpeg's where it has one."""

    @abstractmethod
    def read(self) -> AvPacket | None:
        """The next packet, None at the end.

        Raises:
            MediaError: the input is damaged.
        """

    @property
    @abstractmethod
    def can_seek(self) -> bool:
        """Whether `seek` works."""

    @abstractmethod
    def seek(self, offset: int, *, backward: bool, any_frame: bool, stream: Stream | None) -> None:
        """Goes to a keyframe; the arguments are those of PyAV's `seek`.

        Raises:
            MediaError, av.FFmpegError: there is no such place.
        """

    @abstractmethod
    def close(self) -> None:
        """Closes the input; a file object given by the caller stays open."""

    def reopened(self) -> PacketReader | None:
        """The same input opened a second time, None where that is not possible."""
        return None

    def private_data(self, index: int) -> bytes | None:
        """The BSQ private data that the container has for a stream."""
        del index
        return None

    @property
    @abstractmethod
    def truncated(self) -> bool:
        """Whether the file is shorter than it says itself; a pipe's end must have been reached."""

    @abstractmethod
    def missing_at_end(self, stream: Stream) -> str | None:
        """What is missing of a video at the end of a truncated file, once all of it was read."""

    def faults(self, index: int) -> list[str]:
        """Places where packets of a stream are missing, in sentences, once all of it was read."""
        del index
        return []

    def check_metadata(self, warn: Warn) -> None:
        """Tells of damaged metadata that was left out."""
        del warn

    def next_file(self) -> int | None:
        """The byte at which a second file follows the first, once all of it was read."""
        return None
