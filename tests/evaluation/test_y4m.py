"""y4m files: round trip, exact counting, refusal of anything else."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from bsqav.evaluation.io.errors import SourceError
from bsqav.evaluation.io.y4m import Y4mFile, Y4mHeader, Y4mWriter

from .conftest import moving_planes, write_y4m


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (17, 9), (64, 48)])
def test_round_trip(tmp_path: Path, size: tuple[int, int]) -> None:
    header = Y4mHeader(*size, Fraction(24000, 1001))
    path = write_y4m(tmp_path / "a.y4m", header, 3)
    read = Y4mFile(path)
    assert read.header == header
    assert len(read) == 3
    for i in range(3):
        for got, expected in zip(read[i], moving_planes(header, i), strict=True):
            np.testing.assert_array_equal(got, expected)
    with pytest.raises(IndexError):
        read[3]


def test_a_plane_of_another_shape_is_refused(tmp_path: Path) -> None:
    with (
        Y4mWriter(tmp_path / "a.y4m", Y4mHeader(16, 16, Fraction(25))) as writer,
        pytest.raises(SourceError, match="frame 0"),
    ):
        writer.write(moving_planes(Y4mHeader(16, 18, Fraction(25)), 0))


def test_a_file_cut_inside_a_frame_is_refused(tmp_path: Path) -> None:
    path = write_y4m(tmp_path / "a.y4m", Y4mHeader(16, 16, Fraction(25)), 2)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SourceError, match="cut short"):
        Y4mFile(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello\n",
        b"YUV4MPEG2",
        b"YUV4MPEG2 W16 H16 F25:1 C422\n",
        b"YUV4MPEG2 W16 H16 F25:1 C420p10\n",
        b"YUV4MPEG2 W16 F25:1\n",
        b"YUV4MPEG2 W16 H-16 F25:1\n",
        b"YUV4MPEG2 W99999999 H99999999 F25:1\n",
        b"YUV4MPEG2 W16 H16 F25:0\n",
        b"YUV4MPEG2 W16 H16 F25\n",
    ],
)
def test_other_content_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.y4m"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.y4m"):
        Y4mFile(path)
