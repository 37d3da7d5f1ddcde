"""The arguments of an encoder that have to fit together, and where it is to work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bsqav.codec.device import open_device
from bsqav.codec.parallel import MAX_PARALLEL
from bsqav.errors import UsageError

__all__ = ["check_parallel", "check_rate", "place_options"]


def check_rate(
    crf: float | None,
    bitrate: float | None,
    buffer: float | None,
    first_pass: Sequence[object],
) -> None:
    """Refuses what excludes each other: a quality, a bit rate and what belongs to one."""
    if bitrate is not None:
        if crf is not None:
            raise UsageError("crf and bitrate exclude each other: give one of them")
        if not bitrate > 0:
            raise UsageError(f"bitrate {bitrate} is not above 0 bits per second")
    elif buffer is not None or first_pass:
        raise UsageError("buffer and first_pass are of use with a bitrate only")


def place_options(device: str, stream: int) -> dict[str, Any]:
    """Where to encode, as options of the core."""
    place = open_device(device)
    if place is not None:
        return {"library": place.library, "device": place.ordinal, "stream": stream}
    if stream != 0:
        raise UsageError("a stream belongs to a CUDA device; this encoder has none")
    return {}


def check_parallel(parallel: int, bitrate: float | None) -> None:
    """Refuses numbers of groups out of range, and groups at a bit rate."""
    if not 1 <= parallel <= MAX_PARALLEL:
        raise UsageError(f"parallel {parallel} is not in 1 .. {MAX_PARALLEL}")
    if parallel > 1 and bitrate is not None:
        raise UsageError(
            "a bit rate is kept from picture to picture, and parallel groups are coded apart: "
            "leave one of them away"
        )
