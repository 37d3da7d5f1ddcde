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
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import bsqav
from bsqav.errors import UnsupportedError

__all__ = ["environment", "plugin_folder", "shell_commands"]


SYSTEM_PYTHON = "/usr/bin/python3"
_QUESTION = """
import os, sys
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstVideo", "1.0")
from gi.repository import Gst, GstVideo
print("{}.{}".format(*sys.version_info))
print(os.path.dirname(gi.__file__))
"""


def plugin_folder() -> Path:
    """The folder for GST_PLUGIN_PATH."""
    return Path(__file__).absolute().parent / "plugins"


def environment(python: str = SYSTEM_PYTHON) -> dict[str, list[Path]]:
    """What is to stand first in GST_PLUGIN_PATH and PYTHONPATH.

    Args:
        python: the Python that GStreamer runs.

    Raises:
        UnsupportedError: that Python is of another version or has no GStreamer, or bsqav is
            installed in a way that it cannot import.
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
    # In an activated environment the system's Python would not look in its own folder.
    folders.append(_system_packages(python))
    return {"GST_PLUGIN_PATH": [plugin_folder()], "PYTHONPATH": list(dict.fromkeys(folders))}


def _system_packages(python: str) -> Path:
    """The folder with GStreamer's bindings."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    try:
        found = subprocess.run(
            [python, "-c", _QUESTION], capture_output=True, text=True, check=True, env=plain
        ).stdout.split("\n")
    except (OSError, subprocess.CalledProcessError) as error:
        raise UnsupportedError(
            f"{python} has no GStreamer: apt install python3-gst-1.0 "
            "gstreamer1.0-python3-plugin-loader gir1.2-gst-plugins-base-1.0, or name another "
            "Python (--python)"
        ) from error
    own = "{}.{}".format(*sys.version_info)
    if found[0] != own:
        raise UnsupportedError(
            f"GStreamer runs Python {found[0]} ({python}) and bsqav is installed for {own}: "
            "install it in an environment of that Python"
        )
    return Path(found[1]).parent


def shell_commands(python: str = SYSTEM_PYTHON) -> str:
    """Lines for a shell that put `environment` in front of what the variables hold."""
    lines = []
    for name, folders in environment(python).items():
        given = os.pathsep.join(str(folder) for folder in folders)
        lines.append(f"export {name}={shlex.quote(given)}${{{name}:+:${name}}}")
    return "\n".join(lines)
