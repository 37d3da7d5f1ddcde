"""The streams of a container, chosen as in PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bsqav.errors import UsageError

__all__ = ["StreamList"]


class StreamList:
    """The streams of a container, as av.container.streams.StreamContainer gives them."""

    def __init__(self, streams: list[Any]) -> None:
        self._streams = streams

    def __len__(self) -> int:
        return len(self._streams)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._streams)

    def __getitem__(self, index: int) -> Any:
        return self._streams[index]

    def _of_type(self, kind: str) -> tuple[Any, ...]:
        return tuple(stream for stream in self._streams if stream.type == kind)

    @property
    def video(self) -> tuple[Any, ...]:
        """Video streams, BSQ and others."""
        return self._of_type("video")

    @property
    def audio(self) -> tuple[Any, ...]:
        """Sound streams."""
        return self._of_type("audio")

    @property
    def subtitles(self) -> tuple[Any, ...]:
        """Subtitle streams."""
        return self._of_type("subtitle")

    @property
    def data(self) -> tuple[Any, ...]:
        """Data streams."""
        return self._of_type("data")

    @property
    def attachments(self) -> tuple[Any, ...]:
        """Attached files."""
        return self._of_type("attachment")

    def get(self, *wanted: Any, **by_type: Any) -> list[Any]:
        """Streams by index, by themselves, in lists, or by type and index in the type.

        `get(0)`, `get(stream)`, `get(video=0)`, `get(audio=(0, 1))`; all without arguments.
        """
        if not wanted and not by_type:
            return list(self._streams)
        found: list[Any] = []
        for item in wanted:
            if isinstance(item, int):
                found.append(self._streams[item])
            elif isinstance(item, tuple | list):
                found += self.get(*item) if item else []
            elif isinstance(item, dict):
                found += self.get(**item) if item else []
            else:
                found.append(item)
        for kind, numbers in by_type.items():
            if kind not in ("video", "audio", "subtitles", "data", "attachments"):
                raise UsageError(f"there is no stream type {kind!r}")
            of_type = getattr(self, kind)
            for number in (numbers,) if isinstance(numbers, int) else numbers:
                found.append(of_type[number])
        return found

    def best(self, kind: str, /, related: Any = None) -> Any:
        """The first stream of a type that is marked as default, else the first; None for none."""
        del related
        streams = self._of_type(kind)
        marked = [stream for stream in streams if stream.disposition & 1]
        return (marked or streams or [None])[0]
