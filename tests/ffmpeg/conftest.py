"""An FFmpeg with BSQ in it, for a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ffmpeg.program import FFmpeg
from tests.tiny import model_file, only_test_model

__all__ = ["model_file", "only_test_model"]


@pytest.fixture
def ffmpeg(ffmpeg_folder: Path, tmp_path: Path) -> FFmpeg:
    """The programs, run in the test's own folder."""
    return FFmpeg(ffmpeg_folder, tmp_path)
