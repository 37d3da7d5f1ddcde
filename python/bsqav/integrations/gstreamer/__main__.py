"""`python -m bsqav.integrations.gstreamer`: shell commands that let GStreamer find the elements."""

from __future__ import annotations

import argparse
import sys

from bsqav.errors import BsqError
from bsqav.integrations.gstreamer import SYSTEM_PYTHON, shell_commands


def main() -> int:
    """Prints the commands; status 1 and a message where there are none."""
    parser = argparse.ArgumentParser(
        prog="python -m bsqav.integrations.gstreamer",
        description="Prints shell commands that let GStreamer find bsqenc and bsqdec.",
    )
    parser.add_argument(
        "--python", default=SYSTEM_PYTHON, metavar="PATH", help="the Python that GStreamer runs"
    )
    arguments = parser.parse_args()
    try:
        print(shell_commands(arguments.python))
    except BsqError as error:
        print(f"bsqav: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
