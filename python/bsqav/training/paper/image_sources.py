"""Where images and videos lie: files of a folder, raw YUV, and WebDataset's tar shards."""

from __future__ import annotations

import io
import json
import re
import struct
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

import av
from av.container import InputContainer
from PIL import Image, ImageOps

from bsqav.errors import MediaError
from bsqav.media.demux.tag_encoding import open_av

__all__ = [
    "IMAGES",
    "VIDEOS",
    "Matrix",
    "Source",
    "checked_sources",
    "find_sources",
    "frames_of",
    "matrix_of",
    "open_image",
    "open_video",
]

IMAGES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".tif", ".tiff"})
VIDEOS = frozenset(
    {".avi", ".mp4", ".mkv", ".mov", ".webm", ".m4v", ".y4m", ".mpg", ".nut", ".yuv"}
)
# An image or a video in a shard may be that large, in bytes: it is read whole.
MAX_MEMBER = 1 << 30
MAX_CLASS_DIGITS = 12
# Where the class of a sample is: a .cls with its number, or one of these fields of a .json.
MAX_JSON = 1 << 20
LABEL_FIELDS = ("cls", "label", "class")
MAX_LABEL = 200

Matrix = Literal["auto", "bt601", "bt709"]
# As FFmpeg numbers them (AVColorSpace).
MATRICES = {"bt601": 6, "bt709": 1}
HD_LINES = 720


@dataclass(frozen=True)
class Source:
    """An image or a video: a file, or a part of one (offset and size in bytes, in a shard).

    label: name of its class, empty where it has none. member: its name in the shard. matrix: of
    raw video, see matrix_of.
    """

    path: Path
    label: str = ""
    offset: int = 0
    size: int = -1
    member: str = ""
    matrix: Matrix = "auto"

    def __str__(self) -> str:
        return str(self.path) if self.size < 0 else f"{self.member} in {self.path}"

    @property
    def name(self) -> str:
        """Of the file, or of the member."""
        return self.path.name if self.size < 0 else PurePosixPath(self.member).name

    def byte_count(self) -> int:
        """Its size, 0 where there is no such file."""
        if self.size >= 0:
            return self.size
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def is_raw(self) -> bool:
        """Whether it is video that says nothing of itself, but in its name."""
        return self.name.lower().endswith(".yuv")

    def read(self) -> io.BytesIO:
        """What is in it. Raises OSError where it cannot be read, or is cut short."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            data = file.read(self.size)
        if self.size >= 0 and len(data) < self.size:
            raise OSError(f"the shard ends after {len(data)} of {self.size} bytes")
        return io.BytesIO(data)


def find_sources(
    root: Path, videos: bool, listed: Path | None = None, matrix: Matrix = "auto"
) -> list[Source]:
    """The images or videos under a folder, or of its .tar shards, by name.

    Classes are the subfolders of the first level where all files lie in one, in shards what the
    .cls or .json of a sample says. listed: see MediaFolder. matrix: see matrix_of. Raises
    MediaError where there are none or a shard is damaged.
    """
    suffixes = VIDEOS if videos else IMAGES
    if listed is not None:
        lines = listed.read_text(encoding="utf-8").splitlines()
        paths = [root / line.split()[0] for line in lines if line.strip()]
    else:
        paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in suffixes)
    if not paths:
        shards = [root] if root.suffix == ".tar" else sorted(root.rglob("*.tar"))
        found = [source for shard in shards for source in _members(shard, suffixes)]
        if found:
            return [replace(source, matrix=matrix) for source in found]
    if not paths:
        kind = "videos" if videos else "images"
        raise MediaError(
            f"{root} holds no {kind} ({', '.join(sorted(suffixes))}), nor .tar shards of them: put "
            "them in it, or, where they have classes, in a subfolder for each class"
        )
    tops = [path.relative_to(root).parts for path in paths]
    named = all(len(parts) > 1 for parts in tops)
    return [
        Source(path, parts[0] if named else "", matrix=matrix)
        for path, parts in zip(paths, tops, strict=True)
    ]


def checked_sources(root: Path, listed: Path | None = None) -> Iterator[tuple[str, str]]:
    """Each image and video of a folder, a list or .tar shards, read whole.

    Yields its name and why it cannot be read, empty where it can. A shard that is damaged counts as
    one. Raises MediaError where there is nothing to read.
    """
    found = False
    suffixes = IMAGES | VIDEOS
    if listed is not None:
        paths = [source.path for source in find_sources(root, False, listed)]
    elif root.suffix == ".tar":
        paths = [root]
    else:
        paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in suffixes | {".tar"})
    for path in paths:
        found = True
        sources = [Source(path)]
        if path.suffix == ".tar":
            try:  # an image and a video may be of one sample
                sources = [s for kind in (IMAGES, VIDEOS) for s in _members(path, kind)]
            except MediaError as error:
                sources = []
                yield str(path), str(error)
        yield from ((str(source), _reason(source)) for source in sources)
    if not found:
        raise MediaError(f"{root} holds no images, videos or .tar shards of them")


def _reason(source: Source) -> str:
    """Why an image or video cannot be read, empty where it can."""
    try:
        if PurePosixPath(source.name).suffix.lower() not in VIDEOS:
            open_image(source)
            return ""
        with open_video(source) as container:
            frames = sum(1 for _ in frames_of(source, container))
    except MediaError as error:
        return str(error)
    return "" if frames else f"{source} has no frame"


def _members(shard: Path, suffixes: frozenset[str]) -> Iterator[Source]:
    """The images or videos of a WebDataset shard: files of one name are one sample."""
    samples: dict[str, tarfile.TarInfo] = {}
    classes: dict[str, str] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                key = str(name.parent / name.name.split(".")[0])
                suffix = name.suffix.lower()
                if not member.isreg():
                    continue
                if suffix in suffixes:
                    if member.size > MAX_MEMBER:
                        raise MediaError(
                            f"{member.name} in {shard} has {member.size >> 20} MiB; a member may "
                            f"have {MAX_MEMBER >> 20}"
                        )
                    samples[key] = member
                elif suffix in (".cls", ".json") and (file := archive.extractfile(member)):
                    label = _label(file.read(MAX_JSON), suffix, f"{member.name} in {shard}")
                    if label and (suffix == ".cls" or key not in classes):
                        classes[key] = label
    except (tarfile.TarError, OSError, EOFError) as error:
        raise MediaError(f"{shard} cannot be read as a tar file: {error}") from error
    for key, member in sorted(samples.items()):
        label = classes.get(key, "")
        yield Source(shard, label, member.offset_data, member.size, member.name)


def _label(data: bytes, suffix: str, place: str) -> str:
    """The class that a .cls or .json says, empty where a .json says none."""
    if suffix == ".cls":
        text = data[:MAX_CLASS_DIGITS].decode("ascii", "replace").strip()
        if not text.isdecimal():
            raise MediaError(f"{place} holds no number of a class")
        return text
    try:
        said = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MediaError(f"{place} cannot be read as JSON: {error}") from error
    fields = said if isinstance(said, dict) else {}
    for name in LABEL_FIELDS:
        value = fields.get(name)
        if isinstance(value, int | str) and not isinstance(value, bool):
            return str(value)[:MAX_LABEL]
    return ""


def open_image(source: Source) -> Image.Image:
    """An image upright in RGB. Raises MediaError for what is none."""
    try:
        with Image.open(source.read()) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (
        *(OSError, EOFError, SyntaxError, ValueError, struct.error),
        Image.DecompressionBombError,
    ) as error:
        raise MediaError(f"{source} cannot be read as an image: {error}") from error


@contextmanager
def open_video(source: Source) -> Iterator[InputContainer]:
    """A video file or a shard's member in memory, closed at the end; raw YUV by what its name says.

    Names of UVG and MCL-JCV do: Beauty_1920x1080_120fps_420_8bit_YUV.yuv. Raises MediaError for
    what is none, also while its frames are read.
    """
    try:
        file = str(source.path) if source.size < 0 else source.read()
        if source.is_raw:
            options = raw_options(source)
            container = av.open(file, "r", format="rawvideo", options=options)
        else:
            container = open_av(file)
        with container:
            yield container
    except (av.FFmpegError, OSError, IndexError) as error:
        raise MediaError(f"{source} cannot be read as a video: {error}") from error


def frames_of(source: Source, container: InputContainer) -> Iterator[av.VideoFrame]:
    """The frames of a video from where it stands; those of a raw one know their matrix then."""
    matrix = MATRICES[matrix_of(source)] if source.is_raw else None
    for frame in container.decode(video=0):
        if matrix is not None:
            frame.colorspace = matrix
        yield frame


def matrix_of(source: Source) -> Matrix:
    """bt601 or bt709: the matrix by which a raw video's samples are read.

    auto is BT.709 from 720 lines on, as UVG and MCL-JCV are, and BT.601 below. Raises MediaError
    where the name says no size.
    """
    if source.matrix != "auto":
        return source.matrix
    lines = int(raw_options(source)["video_size"].split("x")[1])
    return "bt709" if lines >= HD_LINES else "bt601"


def raw_options(source: Source | Path) -> dict[str, str]:
    """FFmpeg's options for a .yuv file by its name: size, and rate and depth where it says them.

    Samples are planar 4:2:0. Raises MediaError where the name says no size.
    """
    size = re.search(r"(?<!\d)(\d{2,5})x(\d{2,5})(?!\d)", source.name)
    if size is None:
        raise MediaError(
            f"{source} is raw and its name does not say its size: have WIDTHxHEIGHT in it"
        )
    rate = re.search(r"(\d{1,3})fps", source.name) or re.search(
        r"\d+x\d+_(\d{2,3})(?!\d)", source.name
    )
    deep = re.search(r"10_?bit", source.name, re.IGNORECASE)
    return {
        "video_size": f"{size[1]}x{size[2]}",
        "pixel_format": "yuv420p10le" if deep else "yuv420p",
        "framerate": rate[1] if rate else "30",
    }
