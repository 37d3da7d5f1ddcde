"""README's C section as it stands; what it installs, by pkg-config and by find_package."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.readme import Readme
from tests.support import run
from tests.vectors.make_golden import INDEX
from tests.vectors.y4m import y4m_hash

pytestmark = [pytest.mark.host]

PROGRAM = r"""
#include <bsq/bsq.h>
#include <stdio.h>
int main(void) {
  bsq_model* model = NULL;
  char error[200] = "";
  const bsq_status status = bsq_model_find(NULL, MODEL_DIR, &model, error, sizeof error);
  printf("%s%s\n", error, bsq_model_name(model));
  bsq_model_free(model);
  return -(int)status;
}
"""

CONSUMER = """
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C CXX)
find_package(bsq REQUIRED)
add_executable(consumer main.c)
target_link_libraries(consumer PRIVATE bsq::bsq)
target_compile_definitions(consumer PRIVATE MODEL_DIR="${bsq_MODEL_DIR}")
"""


@pytest.fixture(autouse=True)
def no_other_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BSQAV_MODEL", "BSQAV_MODEL_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def test_pkg_config(
    libbsq_prefix: Path, tmp_path: Path, require_tool: Callable[[str], Path]
) -> None:
    (tmp_path / "main.c").write_text(PROGRAM)
    described = {"PKG_CONFIG_PATH": str(next(libbsq_prefix.rglob("bsq.pc")).parent)}
    pkg_config = require_tool("pkg-config")
    flags = run(pkg_config, "--cflags", "--libs", "bsq", **described).split()
    models = run(pkg_config, "--variable=modeldir", "bsq", **described).strip()
    run(
        *(require_tool("cc"), "-std=c11", "-pedantic-errors", f'-DMODEL_DIR="{models}"'),
        tmp_path / "main.c",
        *(*flags, "-o"),
        tmp_path / "main",
    )
    assert run(tmp_path / "main").startswith("bsq-v")


def test_find_package(
    libbsq_prefix: Path, tmp_path: Path, require_tool: Callable[[str], Path]
) -> None:
    (tmp_path / "main.c").write_text(PROGRAM)
    (tmp_path / "CMakeLists.txt").write_text(CONSUMER)
    cmake = require_tool("cmake")
    run(
        *(cmake, "-S", tmp_path, "-B", tmp_path / "build", "-G", "Ninja"),
        f"-DCMAKE_MAKE_PROGRAM={require_tool('ninja')}",
        f"-DCMAKE_PREFIX_PATH={libbsq_prefix}",
    )
    run(cmake, "--build", tmp_path / "build")
    assert run(tmp_path / "build" / "consumer").startswith("bsq-v")


def test_the_commands_of_the_readme(c_library: Readme) -> None:
    """They built, installed, compiled a C program with a plain cc, and decoded a stream with it."""
    expected = json.loads(INDEX.read_text())["64x48"]["hash"]
    assert y4m_hash(c_library.source / "out.y4m") == expected


def test_only_the_public_header_is_installed(libbsq_prefix: Path) -> None:
    headers = {path.relative_to(libbsq_prefix / "include") for path in libbsq_prefix.rglob("*.h")}
    assert headers == {Path("bsq/bsq.h")}
