"""The frozen test model for everything that codes BSQ in these tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.codec.streams import TINY_MODEL


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that the tests code with: the frozen one, or the file in BSQAV_TEST_MODEL.

    It is a copy, alone in its folder, which may become the default of child processes.
    """
    source = Path(os.environ.get("BSQAV_TEST_MODEL", TINY_MODEL))
    return Path(shutil.copy(source, tmp_path_factory.mktemp("model")))


@pytest.fixture(autouse=True)
def only_test_model(
    model_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[None, None, None]:
    """The test model is the default, here and in child processes, and no other is in reach."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BSQAV_MODEL", str(model_file))
        patch.setenv("BSQAV_MODEL_PATH", str(model_file.parent))
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.getbasetemp() / "data"))
        yield
