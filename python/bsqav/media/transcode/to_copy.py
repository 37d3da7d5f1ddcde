"""Moving BSQ packets from one container to another as they are."""

from __future__ import annotations

from bsqav.codec import Packet
from bsqav.errors import UsageError
from bsqav.media.io.types import MediaFile, Warn
from bsqav.media.transcode.events import SourceFrame
from bsqav.media.transcode.source import Source
from bsqav.media.transcode.to_bsq import BsqSettings, MuxedSink

__all__ = ["CopySink"]


class CopySink(MuxedSink):
    """Takes the BSQ packets of a source that does not decode, and writes them elsewhere.

    Args:
        target: path or writable file of bytes.
        source: opened with decode=False.
        settings: what to do with the other tracks; those of the encoder are not used.
        warn: takes a sentence on everything that is left out.
    """

    codec = "copy"

    def __init__(
        self, target: MediaFile, source: Source, settings: BsqSettings, warn: Warn
    ) -> None:
        track = source.track
        if track is None:
            raise UsageError(
                f"{source.name} has no BSQ video to copy: omit `-c:v copy` to encode it"
            )
        super().__init__(
            target, source, settings, warn, header=track.header, sequence=track.sequence
        )
        self._time_base = source.time_base

    def write(self, frame: SourceFrame) -> None:
        """Writes one BSQ packet."""
        packet = frame.packet
        assert packet is not None
        self.sent += 1
        self._mux(
            Packet(
                packet.data,
                frame.pts,
                frame.duration,
                packet.keyframe,
                self._time_base,
                packet.disposable,
            )
        )
