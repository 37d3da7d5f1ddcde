"""Devices that decode and encode: the CUDA backend is a library, loaded where it is asked for."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bsqav._core import CudaLibrary, CudaPlane
from bsqav.codec.sequence import SequenceHeader
from bsqav.errors import UnsupportedError, UsageError

__all__ = ["Device", "DeviceFrame", "open_device"]

# Names the library, or with the word "emulation" what stands in for it in tests.
VARIABLE = "BSQAV_CUDA_LIBRARY"
LIBRARY = "libbsq_cuda.so"

_CUDA = re.compile(r"cuda(?::(\d{1,4}))?")


@dataclass(frozen=True, slots=True)
class Device:
    """A device of the CUDA backend."""

    library: CudaLibrary
    ordinal: int


@dataclass(frozen=True, slots=True, eq=False)
class DeviceFrame:
    """One decoded frame in a device's memory.

    Its planes cross to other libraries by DLPack, as in `torch.from_dlpack(frame.planes[0])`, and
    live as long as these use them.
    """

    planes: tuple[CudaPlane, ...]  # height x width each, uint8 or (above 8 bits) uint16
    pts: int  # ticks of the sequence's time base
    duration: int  # ticks, 0 where unknown
    keyframe: bool
    b_frame: bool
    concealed: bool  # stands in for lost or damaged data
    sequence: SequenceHeader


def open_device(name: str) -> Device | None:
    """The device of that name: "cpu" (None), "cuda", "cuda:1", or "auto": CUDA where it is there.

    Raises:
        UsageError: there is no device of that name.
        UnsupportedError: the CUDA backend is not installed, or there is no driver.
    """
    if name == "cpu":
        return None
    match = _CUDA.fullmatch("cuda" if name == "auto" else name)
    if match is None:
        raise UsageError(f"device {name!r} is none of cpu, cuda, cuda:N, auto")
    try:
        library = _load(os.environ.get(VARIABLE, ""))
        count = library.device_count()
        if count == 0:
            raise UnsupportedError("there is no CUDA device, or its driver is not installed")
    except UnsupportedError:
        if name == "auto":
            return None
        raise
    ordinal = int(match[1] or 0)
    if ordinal >= count:
        raise UsageError(f"there is no CUDA device {ordinal}: this machine has {count}")
    return Device(library, ordinal)


@lru_cache(maxsize=4)
def _load(named: str) -> CudaLibrary:
    if named == "emulation":
        return CudaLibrary()
    beside = Path(__file__).resolve().parent.parent / LIBRARY
    return CudaLibrary(named or (str(beside) if beside.exists() else LIBRARY))
