"""GStreamer's elements `bsqenc` and `bsqdec`, and where GStreamer finds them.

    eval "$(python -m bsqav.integrations.gstreamer)"
    gst-launch-1.0 filesrc location=in.mkv ! decodebin ! autovideosink

GStreamer's loader for elements in Python (Debian: python3-gst-1.0 and
gstreamer1.0-python3-plugin-loader) runs the system's Python, so that bsqav must have been installed
with a Python of the same version; the command prints where that Python finds it.
"""

from __future__ import annotations

import os
import shlex
from importlib.util import find_spec
from pathlib import Path

import bsqav
from bsqav.errors import UnsupportedError

__all__ = ["environment", "plugin_folder", "shell_commands"]


def plugin_folder() -> Path:
    """The folder for GST_PLUGIN_PATH."""
    return Path(__file__).absolute().parent / "plugins"


def environment() -> dict[str, list[Path]]:
    """What is to stand first in GST_PLUGIN_PATH and PYTHONPATH.

    Raises:
        UnsupportedError: bsqav is installed in a way that other Pythons cannot import.
    """
    core = find_spec("bsqav._core")
    homes = [Path(path).absolute() for path in bsqav.__path__]
    if core is None or core.origin is None or Path(core.origin).absolute().parent not in homes:
        raise UnsupportedError(
            "bsqav is installed in editable mode, which GStreamer's Python cannot import: install "
            "it as usual (pip install .)"
        )
    folders = [Path(core.origin).absolute().parent.parent]
    for name in ("numpy", "av"):
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            folders.append(Path(spec.origin).absolute().parent.parent)
    return {"GST_PLUGIN_PATH": [plugin_folder()], "PYTHONPATH": list(dict.fromkeys(folders))}


def shell_commands() -> str:
    """Lines for a shell that put `environment` in front of what the variables hold."""
    lines = []
    for name, folders in environment().items():
        given = os.pathsep.join(str(folder) for folder in folders)
        lines.append(f"export {name}={shlex.quote(given)}${{{name}:+:${name}}}")
    return "\n".join(lines)
