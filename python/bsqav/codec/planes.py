"""What an encoder takes besides PyAV's frames: arrays, and planes on a device."""

from __future__ import annotations

from typing import Any, Protocol

import av
import numpy as np

from bsqav.codec.device import DeviceFrame
from bsqav.codec.units import Plane
from bsqav.errors import UsageError

__all__ = ["SupportsDLPack", "as_arrays", "device_planes", "rgb_frame"]

_CUDA = 2  # kDLCUDA of DLPack


class SupportsDLPack(Protocol):
    """An array of any library: its samples are read where they are."""

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any: ...


def device_planes(frame: Any) -> list[Any] | None:
    """The planes of a frame in a CUDA device's memory, which speak DLPack; None for another."""
    if isinstance(frame, DeviceFrame):
        return list(frame.planes)
    planes = list(frame) if isinstance(frame, list | tuple) else [frame]
    on_device = [_is_on_device(plane) for plane in planes]
    if not any(on_device):
        return None
    if not all(on_device):
        raise UsageError("some planes of the frame are on a CUDA device, others are not")
    return planes


def _is_on_device(plane: Any) -> bool:
    where = getattr(plane, "__dlpack_device__", None)
    return where is not None and int(where()[0]) == _CUDA


def as_arrays(frame: Any) -> Any:
    """What speaks DLPack, alone or in a sequence, as NumPy arrays on the same memory."""
    if isinstance(frame, list | tuple):
        return [as_arrays(plane) for plane in frame]
    if isinstance(frame, np.ndarray) or not hasattr(frame, "__dlpack__"):
        return frame
    try:
        return np.from_dlpack(frame)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise UsageError(
            f"a {type(frame).__name__} cannot be read as an array: {error}; it must lie in the "
            "CPU's memory and need no gradient"
        ) from error


def rgb_frame(array: Plane) -> av.VideoFrame:
    """An array of RGB or RGBA as a frame."""
    if array.shape[2] not in (3, 4) or array.dtype != np.uint8:
        raise UsageError(
            f"an array of shape {array.shape} and type {array.dtype} is not a frame: RGB is "
            "height x width x 3, RGBA x 4, uint8; gray is height x width"
        )
    name = "rgb24" if array.shape[2] == 3 else "rgba"
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(array, dtype=np.uint8), format=name)
