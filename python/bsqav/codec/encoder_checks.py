"""The arguments of an encoder that have to fit together, and where it is to work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bsqav.codec.device import open_device
from bsqav.codec.parallel import MAX_PARALLEL
from bsqav.codec.settings import EncoderSettings
from bsqav.errors import UsageError

__all__ = ["check_first_pass", "check_parallel", "place_options"]


def place_options(device: str, stream: int) -> dict[str, Any]:
    """Where to encode, as options of the core."""
    place = open_device(device)
    if place is not None:
        return {"library": place.library, "device": place.ordinal, "stream": stream}
    if stream != 0:
        raise UsageError("a stream belongs to a CUDA device; this encoder has none")
    return {}


def check_first_pass(first_pass: Sequence[object], settings: EncoderSettings) -> None:
    """Refuses the records of a first pass where there is no bit rate to share out."""
    if first_pass and not settings.bitrate:
        raise UsageError("first_pass is of use with a bitrate only")


def check_parallel(parallel: int, *, keeps_rate: bool) -> None:
    """Refuses numbers of groups out of range, and groups at a bit rate or under a cap on it."""
    if not 1 <= parallel <= MAX_PARALLEL:
        raise UsageError(f"parallel {parallel} is not in 1 .. {MAX_PARALLEL}")
    if parallel > 1 and keeps_rate:
        raise UsageError(
            "a bit rate is kept from frame to frame, and parallel groups are coded apart: "
            "code by quality (crf), or leave parallel (--parallel) away"
        )
