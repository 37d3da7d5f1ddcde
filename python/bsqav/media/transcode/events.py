"""What a source gives, in the order of the file: frames of its video, packets of other tracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import av

from bsqav.codec.units import Plane
from bsqav.media.demux.bsq_track import BsqPacket

__all__ = ["Event", "SourceFrame"]


@dataclass(frozen=True)
class SourceFrame:
    """One frame, times in ticks of the source's time base.

    `planes` are height x width samples each; none where the source does not decode, and `packet`
    is then what was read.
    """

    planes: list[Plane]
    pts: int
    duration: int  # 0 where unknown
    packet: BsqPacket | None = None


Event: TypeAlias = "SourceFrame | av.Packet[Any]"
"""A frame of the video, or a packet of another track."""
