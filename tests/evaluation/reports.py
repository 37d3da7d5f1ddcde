"""A comparison that is quick to make and has everything that a report shows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bsqav.evaluation.compare.bsq import Encoded
from bsqav.evaluation.compare.comparison import CompareResult
from bsqav.evaluation.compare.reference_encoders import REFERENCES, encode_reference
from bsqav.evaluation.compare.viewer import Viewer
from bsqav.evaluation.io.ffmpeg import Run, decode_to_y4m, packet_sizes, shown_sizes
from bsqav.evaluation.io.y4m import Y4mHeader

from .comparing import compare_with
from .conftest import HEADER, write_y4m

FRAMES = 9
CODECS = ("mpeg2", "mjpeg")


class Mpeg4:
    """MPEG-4 in BSQ's place."""

    def encode(self, y4m: Path, crf: float, gop: int, out: Path) -> Encoded:
        run = encode_reference(REFERENCES["mpeg4"], y4m, crf, gop, out)
        return Encoded(packet_sizes(out), run.seconds, run.command, run.memory, shown_sizes(out))

    def decode(self, stream: Path, y4m: Path, header: Y4mHeader) -> Run:
        return decode_to_y4m(stream, y4m, header)


def compared(folder: Path, sidecar: Path | None = None) -> tuple[CompareResult, Viewer]:
    """MPEG-4 as BSQ compared with two references on a moving clip."""
    viewer = Viewer(sidecar)
    with pytest.MonkeyPatch.context() as patch:
        for name in CODECS:
            four = dataclasses.replace(REFERENCES[name], points=(3, 5, 10, 31))
            patch.setitem(REFERENCES, name, four)
        result = compare_with(
            [write_y4m(folder / "moving.y4m", HEADER, FRAMES)],
            codecs=CODECS,
            bsq=Mpeg4(),
            crfs=(3, 5, 10, 31),
            viewer=viewer,
        )
    return result, viewer
