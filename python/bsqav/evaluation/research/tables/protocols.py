"""How the paper measures on each data set: what is coded, by which peers, and what is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from bsqav.errors import UsageError
from bsqav.evaluation.compare.reference_encoders import REFERENCES, Reference

__all__ = ["PROTOCOLS", "Protocol", "without_b_frames"]

Fit = Literal["whole", "squares"]
Size = tuple[int, int]  # width, height


@dataclass(frozen=True)
class Protocol:
    """A table.

    data: what the folder holds. videos: of videos, else of images. fit: images whole, or central
    squares scaled to the tokenizer's size; of videos all frames, or one clip of the tokenizer's
    frames. size: that videos are scaled to. peers: codecs beside it, of still images by their names
    in bsqav.evaluation.compare.still_codecs, of video in reference_encoders. columns: of those in
    rows.Row. title: what the paper calls it.
    """

    name: str
    data: str
    videos: bool
    fit: Fit
    size: Size | None
    peers: tuple[str, ...]
    columns: tuple[str, ...]
    title: str

    def check_peers(self, names: tuple[str, ...], known: Mapping[str, object]) -> None:
        """Raises UsageError for codecs that are not known, or cannot code what this table has."""
        if names and self.fit == "squares":
            raise UsageError(f"the table {self.name} has no codecs: omit --codecs")
        if unknown := [name for name in names if name not in known]:
            raise UsageError(f"unknown codecs {', '.join(unknown)}: take from {', '.join(known)}")


_VIDEO_COLUMNS = ("psnr", "ssim", "ms_ssim", "ms_ssim_db", "lpips")
_VIDEO_PEERS = ("x264", "x265")
_ALL = (
    Protocol(
        "kodak",
        "the 24 images of the Kodak set",
        videos=False,
        fit="whole",
        size=None,
        peers=("jpeg2000", "webp"),
        columns=("psnr", "ssim", "ms_ssim", "ms_ssim_db", "lpips"),
        title="image compression",
    ),
    Protocol(
        "mcl-jcv",
        "the 30 clips of MCL-JCV",
        videos=True,
        fit="whole",
        size=(640, 360),
        peers=_VIDEO_PEERS,
        columns=_VIDEO_COLUMNS,
        title="video compression",
    ),
    Protocol(
        "uvg",
        "the seven clips of UVG",
        videos=True,
        fit="whole",
        size=(640, 360),
        peers=_VIDEO_PEERS,
        columns=_VIDEO_COLUMNS,
        title="video compression",
    ),
    Protocol(
        "imagenet",
        "ImageNet's val/, in folders of classes or not",
        videos=False,
        fit="squares",
        size=None,
        peers=(),
        columns=("psnr", "ssim", "lpips", "distance"),
        title="image reconstruction",
    ),
    Protocol(
        "ucf101",
        "the videos of UCF-101, or those of a split with --list",
        videos=True,
        fit="squares",
        size=None,
        peers=(),
        columns=("psnr", "ssim", "lpips", "distance"),
        title="video reconstruction",
    ),
)
PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({table.name: table for table in _ALL})


def without_b_frames(name: str) -> Reference:
    """x264 or x265 as the paper has them: preset medium without B frames. Others as they are."""
    reference = REFERENCES[name]
    if name not in ("x264", "x265"):
        return reference
    return replace(
        reference,
        arguments=(*reference.arguments, "-bf", "0"),
        title=f"{reference.title}, no B frames",
    )
