"""Results kept between runs, found again by the content that they were made from.

An entry's name is the SHA-256 of everything that it depends on (the input's bytes, settings,
programs), so an entry is never out of date: at worst nobody asks for it any more. Entries are
written under a temporary name and renamed, so that runs may share a folder and a killed run leaves
whole entries alone.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Raised when what a result means has changed: older entries are not found any more.
FORMAT = 1


def cache_folder() -> Path:
    """Where results are kept: BSQAV_CACHE, else `bsqav/compare` in the user's XDG cache folder."""
    named = os.environ.get("BSQAV_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "bsqav" / "compare"


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def key_of(**parts: object) -> str:
    """The name of an entry: a hash of named parts that JSON can hold."""
    text = json.dumps({"format": FORMAT, **parts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Cache:
    """A folder of entries; a key of None is never found and never kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str, suffix: str) -> Path:
        """Path of an entry, whether it exists or not."""
        return self.folder / key[:2] / (key + suffix)

    def read(self, key: str | None, suffix: str) -> bytes | None:
        """An entry's bytes, None where there is none."""
        if key is None:
            return None
        try:
            return self.path(key, suffix).read_bytes()
        except OSError:
            return None

    def write(self, key: str | None, suffix: str, data: bytes) -> None:
        """Keeps an entry. A folder that cannot be written to costs time later, nothing else."""
        if key is None:
            return
        path = self.path(key, suffix)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as stream:
                stream.write(data)
            Path(stream.name).replace(path)

    def read_json(self, key: str | None, suffix: str = ".json") -> dict[str, Any] | None:
        """An entry's object, None where there is none or the file is damaged."""
        data = self.read(key, suffix)
        if data is None:
            return None
        try:
            content = json.loads(data)
        except ValueError:
            return None
        return content if isinstance(content, dict) else None

    def write_json(
        self, key: str | None, content: Mapping[str, object], suffix: str = ".json"
    ) -> None:
        """Keeps an object."""
        self.write(key, suffix, json.dumps(content).encode())

    def take_file(self, key: str | None, suffix: str, target: Path) -> bool:
        """Copies an entry to `target`; False where there is none."""
        if key is None:
            return False
        try:
            shutil.copyfile(self.path(key, suffix), target)
        except OSError:
            return False
        return True
