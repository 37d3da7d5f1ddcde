"""Moving BSQ packets from one container to another as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bsqav.errors import UsageError
from bsqav.media.contents import metadata_of
from bsqav.media.decoding import AvPacket
from bsqav.media.muxers import open_muxer
from bsqav.media.source import Source, SourceFrame
from bsqav.media.to_bsq import BsqSettings, carry_contents, carry_tracks

__all__ = ["CopySink"]


class CopySink:
    """Takes the BSQ packets of a source that does not decode, and writes them elsewhere.

    Args:
        target: path or writable file of bytes.
        source: opened with decode=False.
        settings: what to do with the other tracks; those of coding are not looked at.
        warn: takes a sentence on everything that is left out.
    """

    codec = "copy"

    def __init__(
        self, target: Any, source: Source, settings: BsqSettings, warn: Callable[[str], None]
    ) -> None:
        track = source.track
        if track is None:
            raise UsageError(
                f"{source.name} has no BSQ video to copy: leave `-c:v copy` away to code it"
            )
        self.frames = 0
        self.bytes = 0
        self.sent = 0
        self._time_base = source.time_base
        self._muxer = open_muxer(target, format=settings.format)
        try:
            self._video = self._muxer.add_video(
                track.header,
                track.sequence,
                metadata=metadata_of(source.stream),
                disposition=int(source.stream.disposition),
            )
            self._tracks = carry_tracks(
                self._muxer, source, audio=settings.audio, strict=settings.strict, warn=warn
            )
            carry_contents(self._muxer, source, warn)
        except BaseException:
            self._muxer.abort()
            raise

    def write(self, frame: SourceFrame) -> None:
        """Writes one BSQ packet."""
        packet = frame.packet
        assert packet is not None
        self._muxer.mux(
            self._video,
            packet.data,
            pts=frame.pts,
            dts=frame.pts,
            duration=frame.duration,
            keyframe=packet.keyframe,
            time_base=self._time_base,
        )
        self.sent += 1
        self.frames += 1
        self.bytes += len(packet.data)

    def put(self, packet: AvPacket) -> None:
        """Writes a packet of another track."""
        self.bytes += self._tracks.put(packet)

    def finish(self) -> None:
        """Finishes the file."""
        self.bytes += self._tracks.finish()
        self._muxer.close()

    def abort(self) -> None:
        """Leaves the file as far as it is, readable if possible."""
        self._muxer.abort()
