"""Small synthetic clips, and the ffmpeg binary that the measuring tests need."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bsqav.evaluation.io.errors import MissingToolError
from bsqav.evaluation.io.ffmpeg import ffmpeg_path
from bsqav.evaluation.io.y4m import Planes, Y4mHeader, Y4mWriter
from tests.support import skip_or_fail

# 176 is the least side that MS-SSIM takes
HEADER = Y4mHeader(192, 176, Fraction(30000, 1001))
FRAMES = 9


def moving_planes(header: Y4mHeader, index: int) -> Planes:
    """A textured picture that drifts with time, with some noise."""
    rng = np.random.default_rng(index)

    def plane(width: int, height: int, period: float) -> np.ndarray:
        x, y = np.meshgrid(np.arange(width) + 1.5 * index, np.arange(height) + 0.5 * index)
        wave = 50 * np.sin(x / period) + 40 * np.cos((x + 2 * y) / (1.7 * period))
        noise = rng.normal(0, 3, (height, width))
        plane: npt.NDArray[np.uint8] = np.clip(126 + wave + noise, 16, 235).astype(np.uint8)
        return plane

    chroma_width, chroma_height = header.chroma_size
    return (
        plane(header.width, header.height, 7.0),
        plane(chroma_width, chroma_height, 19.0),
        plane(chroma_width, chroma_height, 23.0),
    )


def write_y4m(path: Path, header: Y4mHeader, frames: int) -> Path:
    """A y4m file of `frames` moving pictures."""
    with Y4mWriter(path, header) as writer:
        for i in range(frames):
            writer.write(moving_planes(header, i))
    return path


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """The ffmpeg binary of imageio-ffmpeg."""
    try:
        return ffmpeg_path()
    except MissingToolError as error:
        skip_or_fail(str(error))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keeps the user's cache out of the tests, and the tests out of it."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("BSQAV_CACHE", str(folder))
    return folder


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A clip of FRAMES pictures of HEADER's size, in a folder of its own."""
    folder = tmp_path / "clip"
    folder.mkdir()
    return write_y4m(folder / "moving.y4m", HEADER, FRAMES)
