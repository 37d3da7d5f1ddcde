"""An FFmpeg with BSQ in it, built from this Debian's source, once for all tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.ffmpeg.program import FFmpeg
from tests.support import ROOT, find_tool, run
from tests.tiny import model_file, only_test_model

__all__ = ["model_file", "only_test_model"]

FOLDER = ROOT / "integrations" / "ffmpeg"


@pytest.fixture(scope="session")
def ffmpeg_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of ffmpeg, ffprobe and ffplay: BSQAV_FFMPEG_BIN where set, else built now."""
    given = os.environ.get("BSQAV_FFMPEG_BIN")
    if given:
        return Path(given)
    for program in ("apt-get", "dpkg-source", "make", "cc"):
        find_tool(program)
    prefix = request.getfixturevalue("libbsq_prefix")
    folder = tmp_path_factory.mktemp("ffmpeg")
    source = run(sys.executable, FOLDER / "debian_source.py", folder / "source").strip()
    described = next(prefix.rglob("bsq.pc")).parent
    run(FOLDER / "build.sh", source, folder / "prefix", PKG_CONFIG_PATH=str(described))
    return folder / "prefix" / "bin"


@pytest.fixture
def ffmpeg(ffmpeg_folder: Path, tmp_path: Path) -> FFmpeg:
    """The programs, run in the test's own folder."""
    return FFmpeg(ffmpeg_folder, tmp_path)
