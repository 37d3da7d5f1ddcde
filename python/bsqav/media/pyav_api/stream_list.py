"""The streams of a container, chosen as in PyAV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar, cast

import av
from av.stream import AttachmentStream, DataStream, Stream

from bsqav.errors import UsageError

if TYPE_CHECKING:
    from av.subtitles.stream import SubtitleStream

    from bsqav.media.pyav_api.input_stream import BsqInputStream
    from bsqav.media.pyav_api.output_stream import BsqOutputStream

__all__ = ["StreamKind", "StreamList"]

V = TypeVar("V", bound="BsqInputStream | BsqOutputStream")
StreamKind: TypeAlias = Literal["video", "audio", "subtitle", "data", "attachment"]
_KINDS: dict[str, StreamKind] = {
    "video": "video",
    "audio": "audio",
    "subtitles": "subtitle",
    "data": "data",
    "attachments": "attachment",
}


class StreamList(Generic[V]):
    """The streams of a container, as av.container.streams.StreamContainer gives them."""

    def __init__(self, streams: Iterable[V | Stream]) -> None:
        self._streams: list[V | Stream] = list(streams)

    def __len__(self) -> int:
        return len(self._streams)

    def __iter__(self) -> Iterator[V | Stream]:
        return iter(self._streams)

    def __getitem__(self, index: int) -> V | Stream:
        return self._streams[index]

    def _of_type(self, kind: StreamKind) -> tuple[V | Stream, ...]:
        return tuple(stream for stream in self._streams if stream.type == kind)

    @property
    def video(self) -> tuple[V | av.VideoStream, ...]:
        """Video streams, BSQ and others."""
        return cast("tuple[V | av.VideoStream, ...]", self._of_type("video"))

    @property
    def audio(self) -> tuple[av.AudioStream, ...]:
        """Sound streams."""
        return cast(tuple[av.AudioStream, ...], self._of_type("audio"))

    @property
    def subtitles(self) -> tuple[SubtitleStream, ...]:
        """Subtitle streams."""
        return cast("tuple[SubtitleStream, ...]", self._of_type("subtitle"))

    @property
    def data(self) -> tuple[DataStream, ...]:
        """Data streams."""
        return cast(tuple[DataStream, ...], self._of_type("data"))

    @property
    def attachments(self) -> tuple[AttachmentStream, ...]:
        """Attached files."""
        return cast(tuple[AttachmentStream, ...], self._of_type("attachment"))

    def get(self, *wanted: object, **by_type: int | Iterable[int]) -> list[V | Stream]:
        """Streams by index, by themselves, in lists, or by type and index in the type.

        `get(0)`, `get(stream)`, `get(video=0)`, `get(audio=(0, 1))`; all without arguments.
        """
        if not wanted and not by_type:
            return list(self._streams)
        found: list[V | Stream] = []
        for item in wanted:
            if isinstance(item, int):
                found.append(self._streams[item])
            elif isinstance(item, tuple | list):
                found += self.get(*item) if item else []
            elif isinstance(item, dict):
                found += self.get(**item) if item else []
            else:
                found.append(cast("V | Stream", item))
        for name, numbers in by_type.items():
            if name not in _KINDS:
                raise UsageError(f"there is no stream type {name!r}")
            of_type = self._of_type(_KINDS[name])
            for number in (numbers,) if isinstance(numbers, int) else numbers:
                found.append(of_type[number])
        return found

    def best(self, kind: StreamKind, /, related: object = None) -> V | Stream | None:
        """The first stream of a type that is marked as default, else the first; None for none."""
        del related
        streams = self._of_type(kind)
        marked = [stream for stream in streams if stream.disposition & 1]
        return next(iter(marked or streams), None)
