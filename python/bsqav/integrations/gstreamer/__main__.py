"""`python -m bsqav.integrations.gstreamer`: shell commands that let GStreamer find the elements."""

from __future__ import annotations

import sys

from bsqav.errors import BsqError
from bsqav.integrations.gstreamer import shell_commands


def main() -> int:
    """Prints the commands; status 1 and a message where there are none."""
    try:
        print(shell_commands())
    except BsqError as error:
        print(f"bsqav: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
