"""Side data of a frame, read in a way that does not crash PyAV 18.

PyAV frees the dictionary that side data may have (the name of a colour profile) and frees it again
with the frame. So a small copy of the frame is read, and is never freed where it may have one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import cast

import av
from av.frame import Frame
from av.sidedata.sidedata import SideData

__all__ = ["frame_side_data"]

_SIDE = 16  # of the copy, in pixels


def frame_side_data(frame: Frame, *kinds: str) -> list[bytes]:
    """Side data of each kind, by PyAV's names of them; no bytes where the frame has none.

    PyAV cannot list what a frame has where one kind is without a name there, as EXIF is: none then.
    """
    if not isinstance(frame, av.VideoFrame):
        return [bytes(cast(bytes, frame.side_data.get(kind, b""))) for kind in kinds]
    try:
        copy = frame.reformat(_SIDE, _SIDE, "gray")
    except (av.FFmpegError, ValueError):
        return [b""] * len(kinds)
    try:
        found = {each.type.name: each for each in _listed(copy)}
    except ValueError:
        _never_free(copy)
        return [b""] * len(kinds)
    if "ICC_PROFILE" in found:
        _never_free(copy)
    return [bytes(found[kind]) if kind in found else b"" for kind in kinds]


def _listed(frame: av.VideoFrame) -> list[SideData]:
    """PyAV types its side data as a mapping of names."""
    return list(cast(Iterable[SideData], frame.side_data))


def _never_free(frame: Frame) -> None:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(frame))
