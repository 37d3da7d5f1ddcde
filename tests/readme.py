"""Commands of README and other documents, run in a copy of the source as a reader would."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import ROOT, run, skip_or_fail

# What a clone has and the C library, its example and FFmpeg's need.
_SOURCES = (
    *("CMakeLists.txt", "CMakePresets.json", "cmake", "cpp", "integrations/ffmpeg"),
    *("python/bsqav/models", "tests/vectors/golden/64x48.ivf", "tests/vectors/tiny.bsqm"),
)


def commands_of(page: Path, heading: str) -> str:
    """The first block of shell commands under a heading.

    Raises:
        ValueError: there is none.
    """
    text = page.read_text(encoding="utf-8")
    section = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.M | re.S)
    block = re.search(r"^```sh\n(.*?)^```$", section.group(1), re.M | re.S) if section else None
    if block is None:
        raise ValueError(f"{page.name} has no commands under {heading!r}")
    return block.group(1)


@dataclass(frozen=True)
class Readme:
    """In a folder, a copy of the source, and a home folder for what its commands install."""

    folder: Path

    @property
    def source(self) -> Path:
        """The copy."""
        return self.folder / "source"

    @property
    def home(self) -> Path:
        """HOME of the commands."""
        return self.folder / "home"

    @property
    def path(self) -> str:
        """PATH of the commands.

        Programs that pip installed would hide the machine's own: their folder is left out.
        """
        beside_python = Path(sys.executable).parent
        folders = os.environ["PATH"].split(os.pathsep)
        return os.pathsep.join(f for f in folders if Path(f).resolve() != beside_python.resolve())

    def copy_source(self, programs: Sequence[str]) -> None:
        """Makes both. The test skips or fails where one of the programs is not installed."""
        for program in programs:
            if shutil.which(program, path=self.path) is None:
                skip_or_fail(f"{program} is not installed on this machine; .ci/apt.txt lists it")
        for name in _SOURCES:
            target = self.source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, target)
        self.home.mkdir()

    def run(self, commands: str) -> str:
        """Runs them in the source; returns what they print, and fails the test where one fails."""
        line = f"set -euo pipefail\ncd '{self.source}'\n{commands}"
        return run("bash", "-c", line, HOME=str(self.home), PATH=self.path)
