"""Warns of side data of frames that BSQ cannot carry: captions, dynamic HDR metadata, ..."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import av
from av.sidedata.sidedata import Type

from bsqav.media.metadata.hdr import DolbyVision

__all__ = ["SideDataWatch"]

_DOLBY_VISION = "Dolby Vision"
# Decoders of video. Those of images attach colour profiles; PyAV 18 may crash on reading them.
_CHECKED = {
    *("h264", "hevc", "vvc", "av1", "libdav1d", "libaom-av1", "vp8", "vp9", "libvpx", "libvpx-vp9"),
    *("mpeg1video", "mpeg2video", "mpegvideo", "mpeg4", "vc1", "wmv3", "prores", "dnxhd"),
}
# What FFmpeg attaches to decoded frames, and what it is called.
_KINDS = {
    Type.A53_CC: "CEA-608/708 captions in the frames",
    Type.DYNAMIC_HDR_PLUS: "HDR10+ (brightness scene by scene)",
    Type.DYNAMIC_HDR_VIVID: "HDR Vivid (brightness scene by scene)",
    Type.DOVI_RPU_BUFFER: _DOLBY_VISION,
    Type.DOVI_METADATA: _DOLBY_VISION,
    Type.AMBIENT_VIEWING_ENVIRONMENT: "the ambient light of the viewing environment",
    Type.STEREO3D: "the mark that frames hold two views (stereo 3D)",
    Type.SPHERICAL: "the mark that frames are spherical (360 degrees)",
}


class SideDataWatch:
    """Warns once of every kind of side data of decoded frames that is omitted.

    Args:
        decoder: FFmpeg's name of the decoder.
        warn: takes a sentence.
    """

    def __init__(self, decoder: str, warn: Callable[[str], None]) -> None:
        self._is_checked = decoder in _CHECKED
        self._warn = warn
        self._said: set[str] = set()

    def check(self, frame: av.VideoFrame) -> None:
        """Checks a PyAV frame."""
        if not self._is_checked:
            return
        try:
            # PyAV takes kinds as well as their names.
            attached = cast(Mapping[Type, object], frame.side_data)
            found = [name for kind, name in _KINDS.items() if attached.get(kind) is not None]
        except ValueError:
            return  # PyAV 18 cannot list side data of kinds that it has no name for
        for name in found:
            self._say(name, "")

    def note_dolby_vision(self, vision: DolbyVision | None) -> None:
        """Takes what the container says of Dolby Vision."""
        if vision is None:
            return
        base = "its base layer is carried"
        if not vision.compatibility:
            base += ", whose colours are wrong without it"
        self._say(_DOLBY_VISION, f" (profile {vision.profile})", f": {base}")

    def _say(self, name: str, detail: str, remark: str = "") -> None:
        if name not in self._said:
            self._said.add(name)
            verb = "are" if name.startswith("CEA") else "is"
            self._warn(f"{name}{detail} {verb} left out{remark}")
