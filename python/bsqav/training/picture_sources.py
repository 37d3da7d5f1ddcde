"""Where pictures and videos lie: files of a folder, raw YUV, and WebDataset's tar shards."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import av
from av.container import InputContainer
from PIL import Image, ImageOps

from bsqav.errors import MediaError

__all__ = ["PICTURES", "VIDEOS", "Source", "find_sources", "open_picture", "open_video"]

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".tif", ".tiff"})
VIDEOS = frozenset(
    {".avi", ".mp4", ".mkv", ".mov", ".webm", ".m4v", ".y4m", ".mpg", ".nut", ".yuv"}
)
# A picture in a shard may be that large, in bytes.
MAX_MEMBER = 1 << 28
MAX_CLASS_DIGITS = 12


@dataclass(frozen=True)
class Source:
    """A picture or a video: a file, or a part of one (offset and size in bytes, in a shard).

    label: name of its class, empty where it has none.
    """

    path: Path
    label: str = ""
    offset: int = 0
    size: int = -1

    def __str__(self) -> str:
        return str(self.path) if self.size < 0 else f"{self.path} (byte {self.offset})"


def find_sources(root: Path, videos: bool, listed: Path | None = None) -> list[Source]:
    """The pictures or videos under a folder, or the pictures of its .tar shards, by name.

    Classes are the subfolders of the first level where all files lie in one, in shards the number
    in the .cls beside a picture. listed: see PictureFolder. Raises MediaError where there are none
    or a shard is damaged.
    """
    suffixes = VIDEOS if videos else PICTURES
    if listed is not None:
        lines = listed.read_text(encoding="utf-8").splitlines()
        paths = [root / line.split()[0] for line in lines if line.strip()]
    else:
        paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in suffixes)
    if not paths and not videos:
        shards = [root] if root.suffix == ".tar" else sorted(root.rglob("*.tar"))
        found = [source for shard in shards for source in _members(shard)]
        if found:
            return found
    if not paths:
        kind = "videos" if videos else "pictures"
        raise MediaError(
            f"{root} holds no {kind} ({', '.join(sorted(suffixes))}): put them in it, or, "
            "where they have classes, in a subfolder for each class"
        )
    tops = [path.relative_to(root).parts for path in paths]
    named = all(len(parts) > 1 for parts in tops)
    return [
        Source(path, parts[0] if named else "") for path, parts in zip(paths, tops, strict=True)
    ]


def _members(shard: Path) -> Iterator[Source]:
    """The pictures of a WebDataset shard: files of one name are one sample."""
    pictures: dict[str, tuple[int, int]] = {}
    classes: dict[str, str] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                key = str(name.parent / name.name.split(".")[0])
                if not member.isreg() or member.size > MAX_MEMBER:
                    continue
                if name.suffix.lower() in PICTURES:
                    pictures[key] = member.offset_data, member.size
                elif name.suffix == ".cls" and (file := archive.extractfile(member)):
                    text = file.read(MAX_CLASS_DIGITS).decode("ascii", "replace").strip()
                    if not text.isdecimal():
                        raise MediaError(f"{shard}: {member.name} holds no number of a class")
                    classes[key] = text
    except (tarfile.TarError, OSError, EOFError) as error:
        raise MediaError(f"{shard} cannot be read as a tar file: {error}") from error
    for key, (offset, size) in sorted(pictures.items()):
        yield Source(shard, classes.get(key, ""), offset, size)


def open_picture(source: Source) -> Image.Image:
    """A picture upright in RGB. Raises MediaError for what is none."""
    try:
        with source.path.open("rb") as file:
            file.seek(source.offset)
            data = io.BytesIO(file.read(source.size))
        with Image.open(data) as picture:
            return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise MediaError(f"{source} cannot be read as a picture: {error}") from error


@contextmanager
def open_video(source: Source) -> Iterator[InputContainer]:
    """A video file, closed at the end; raw YUV by what its name says of it.

    Names of UVG and MCL-JCV do: Beauty_1920x1080_120fps_420_8bit_YUV.yuv. Raises MediaError for
    what is none, also while its frames are read.
    """
    path = source.path
    try:
        if path.suffix.lower() == ".yuv":
            options = raw_options(path)
            container = av.open(str(path), format="rawvideo", options=options)
        else:
            container = av.open(str(path))
        with container:
            yield container
    except (av.FFmpegError, IndexError) as error:
        raise MediaError(f"{source} cannot be read as a video: {error}") from error


def raw_options(path: Path) -> dict[str, str]:
    """FFmpeg's options for a .yuv file by its name: size, and rate and depth where it says them.

    Samples are planar 4:2:0. Raises MediaError where the name says no size.
    """
    size = re.search(r"(?<!\d)(\d{2,5})x(\d{2,5})(?!\d)", path.name)
    if size is None:
        raise MediaError(
            f"{path} is raw and its name does not say its size: have WIDTHxHEIGHT in it"
        )
    rate = re.search(r"(\d{1,3})fps", path.name) or re.search(r"\d+x\d+_(\d{2,3})(?!\d)", path.name)
    deep = re.search(r"10_?bit", path.name, re.IGNORECASE)
    return {
        "video_size": f"{size[1]}x{size[2]}",
        "pixel_format": "yuv420p10le" if deep else "yuv420p",
        "framerate": rate[1] if rate else "30",
    }
