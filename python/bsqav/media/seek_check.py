"""Tells whether a seek would land in a wrong place: where times are missing, or there twice."""

from __future__ import annotations

import os
from typing import Any

from bsqav.media.continuity import Continuity
from bsqav.media.facts import is_bare
from bsqav.media.inputs import open_input
from bsqav.media.joined_files import is_joined
from bsqav.media.track_colour import of_file

__all__ = ["must_read_on"]


def must_read_on(file: Any, container: Any, format: str | None) -> bool:  # noqa: A002
    """Whether an input has to be read from its beginning to find what is at a time.

    Args:
        file: what was opened.
        container: PyAV's of it.
        format: the container's name, where it was given.
    """
    if is_bare(container):
        return True  # no packet says where it belongs: frames are counted
    form = container.format.name
    joined = of_file(file, lambda opened: {0: is_joined(opened, form)}).get(0, False)
    if joined is not None or not isinstance(file, str | os.PathLike):
        return bool(joined)
    return _starts_again(file, format)


def _starts_again(file: Any, format: str | None) -> bool:  # noqa: A002
    """Whether times start again anywhere, of which only the packets tell."""
    said: list[str] = []
    with open_input(file, format=format) as other:
        for _ in Continuity(other.container, said.append).mended(other.demux()):
            if said:
                return True
    return bool(said)
