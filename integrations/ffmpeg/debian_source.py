#!/usr/bin/env python3
"""Fetches the source of this Debian or Ubuntu release's FFmpeg into a folder, and prints its path.

    debian_source.py FOLDER

Package sources (deb-src) are rarely switched on. This derives them from the machine's own apt
sources, in an apt state of its own inside FOLDER: nothing of the machine's changes, and no
privileges are needed. dpkg-dev must be installed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

APT = Path("/etc/apt")


def source_entries(apt: Path) -> dict[str, str]:
    """File names and contents of apt sources that name the source packages of `apt`'s entries."""
    entries = {}
    lists = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]
    for path in lists:
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        sources = [re.sub(r"^\s*deb(?=\s)", "deb-src", line) for line in lines]
        wanted = [line for line in sources if line.startswith("deb-src")]
        if wanted:
            entries[path.name if path.parent != apt else "main.list"] = "\n".join(wanted) + "\n"
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        text = path.read_text(encoding="utf-8")
        entries[path.name] = re.sub(r"(?m)^Types:.*$", "Types: deb-src", text)
    return entries


def fetch(folder: Path, package: str = "ffmpeg") -> Path:
    """The folder of the unpacked source package.

    Raises:
        RuntimeError: this machine has no apt sources, or apt failed.
    """
    state = folder / "apt"
    for part in ("sources", "lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True, exist_ok=True)
    entries = source_entries(APT)
    if not entries:
        raise RuntimeError(f"{APT} names no package sources: this is for Debian and Ubuntu")
    for name, text in entries.items():
        (state / "sources" / name).write_text(text, encoding="utf-8")
    options = {
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": state / "sources",
        "Dir::State::lists": state / "lists",
        "Dir::Cache": state / "cache",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        # What the machine runs after an update is about its own lists.
        "APT::Update::Post-Invoke-Success": "",
    }
    flags = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
    said = ""
    for command in (["update"], ["source", package]):
        result = subprocess.run(
            ["apt-get", "-qq", *flags, *command], cwd=folder, capture_output=True, text=True
        )
        said += result.stderr
    # An update may complain of repositories that have no sources: only the last result counts.
    if result.returncode != 0:
        raise RuntimeError(f"apt-get source {package}: {said.strip()}")
    found = [path for path in folder.glob(f"{package}-*") if path.is_dir()]
    if len(found) != 1:
        raise RuntimeError(f"apt-get source {package} left no folder {package}-VERSION in {folder}")
    return found[0]


def main() -> int:
    """Carry out the command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    folder = parser.parse_args().folder.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        print(fetch(folder))
    except (OSError, RuntimeError) as error:
        print(f"debian_source.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
