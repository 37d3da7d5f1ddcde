"""From what a user names to files: folders are gone through, patterns are matched."""

import glob
from collections.abc import Sequence
from pathlib import Path

PICTURE_SUFFIXES = frozenset(
    (".png", ".ppm", ".pgm", ".tif", ".tiff", ".bmp", ".webp", ".jpg", ".jpeg", ".jp2", ".avif")
)
_CONTAINERS = ("mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "ts", "m2ts", "mts")
_OTHERS = ("y4m", "nut", "ogv", "flv", "wmv", "3gp", "mxf", "gif")
VIDEO_SUFFIXES = frozenset(f".{name}" for name in _CONTAINERS + _OTHERS)


def is_picture(path: Path) -> bool:
    """Whether a file counts as a still picture, by the end of its name."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def expand_inputs(named: Sequence[Path | str]) -> list[Path]:
    """The files that names mean, in order and each once.

    A folder means the videos and pictures in it and in its folders, by name; a name with * ?
    or [ that is no file for what it matches. A name without files is given back as it
    is, so that measuring it says what is missing.
    """
    found: list[Path] = []
    for name in named:
        path = Path(name)
        if path.is_dir():
            inside = (p for p in path.rglob("*") if p.is_file() and _wanted(p))
            found += sorted(inside, key=_order) or [path]
        elif not path.exists() and glob.has_magic(str(name)):
            # Path.glob takes no absolute patterns
            matches = map(Path, glob.glob(str(name), recursive=True))  # noqa: PTH207
            found += sorted((p for p in matches if p.is_file()), key=_order) or [path]
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def _wanted(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES or is_picture(path)


def _order(path: Path) -> tuple[str, int, str]:
    """By folder, then numbers by value, then by name."""
    return str(path.parent), int(path.stem) if path.stem.isdecimal() else 0, path.name
