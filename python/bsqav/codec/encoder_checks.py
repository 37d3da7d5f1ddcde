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
    maxrate: float | None = None,
) -> None:
    """Refuses what excludes each other: a quality, a bit rate and what belongs to one."""
    if maxrate is not None and not maxrate > 0:
        raise UsageError(f"maxrate {maxrate} is not above 0 bits per second")
    if bitrate is not None:
        if crf is not None:
            raise UsageError("crf and bitrate exclude each other: give one of them")
        if not bitrate > 0:
            raise UsageError(f"bitrate {bitrate} is not above 0 bits per second")
        if maxrate is not None and maxrate < bitrate:
            raise UsageError(f"maxrate {maxrate:g} is below the bitrate {bitrate:g}")
    elif first_pass:
        raise UsageError("first_pass is of use with a bitrate only")
    elif buffer is not None and maxrate is None:
        raise UsageError("buffer is of use with a bitrate or a maxrate only")


def place_options(device: str, stream: int) -> dict[str, Any]:
    """Where to encode, as options of the core."""
    place = open_device(device)
    if place is not None:
        return {"library": place.library, "device": place.ordinal, "stream": stream}
    if stream != 0:
        raise UsageError("a stream belongs to a CUDA device; this encoder has none")
    return {}


def check_parallel(parallel: int, bitrate: float | None, maxrate: float | None = None) -> None:
    """Refuses numbers of groups out of range, and groups at a bit rate or under a cap on it."""
    if not 1 <= parallel <= MAX_PARALLEL:
        raise UsageError(f"parallel {parallel} is not in 1 .. {MAX_PARALLEL}")
    if parallel > 1 and not (bitrate is None and maxrate is None):
        raise UsageError(
            "a bit rate is kept from picture to picture, and parallel groups are coded apart: "
            "leave one of them away"
        )
