"""Interlaced video into progressive frames, by FFmpeg's filter bwdif."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import av
import av.filter

__all__ = ["Deinterlacer"]

# One frame for each frame; frames that are not interlaced pass as they are.
_SETTINGS = "mode=send_frame:parity=auto:deint=interlaced"
# No more frames are ready, or there.
_END = (av.BlockingIOError, av.EOFError)


class Deinterlacer:
    """Takes frames in order and gives as many, none of them interlaced.

    Nothing happens before the first interlaced frame; from there on a frame comes when the next
    one is there, since half of its lines are made up from its neighbours.

    Args:
        time_base: seconds per tick of the frames' times.
        warn: takes a sentence, once, when there is something to do.
    """

    def __init__(self, time_base: Fraction, warn: Callable[[str], None]) -> None:
        self._time_base, self._warn = time_base, warn
        self._graph: av.filter.Graph | None = None
        self._kind: tuple[int, int, str] | None = None
        self._said = False

    def push(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        """The frames that are ready after this one."""
        kind = (frame.width, frame.height, frame.format.name)
        if self._graph is not None and kind != self._kind:
            yield from self.flush()
        if self._graph is None:
            if not frame.interlaced_frame:
                yield frame
                return
            self._graph, self._kind = self._open(kind), kind
        self._graph.vpush(frame)
        yield from self._pull(self._graph)

    def flush(self) -> Iterator[av.VideoFrame]:
        """The frames that were held back; what follows begins anew."""
        if self._graph is None:
            return
        self._graph.vpush(None)
        yield from self._pull(self._graph)
        self._graph = None

    def reset(self) -> None:
        """Forgets everything, as before a seek."""
        self._graph = None

    def _open(self, kind: tuple[int, int, str]) -> av.filter.Graph:
        if not self._said:
            self._said = True
            self._warn("interlaced video is deinterlaced (bwdif), one progressive frame for each")
        graph = av.filter.Graph()
        width, height, name = kind
        form = av.VideoFormat(name, width, height)
        entry = graph.add_buffer(width=width, height=height, format=form, time_base=self._time_base)
        graph.link_nodes(entry, graph.add("bwdif", _SETTINGS), graph.add("buffersink")).configure()
        return graph

    def _pull(self, graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
        while True:
            try:
                frame = graph.vpull()
            except _END:
                return
            # The filter counts in half ticks.
            if frame.pts is not None and frame.time_base:
                frame.pts = round(frame.pts * frame.time_base / self._time_base)
            frame.time_base = self._time_base
            yield frame
