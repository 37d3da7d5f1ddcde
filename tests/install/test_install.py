"""The installed library serves C programs through pkg-config and find_package."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import ROOT

pytestmark = [pytest.mark.host]

PROGRAM = """
#include <bsq/bsq.h>
#include <stdio.h>
int main(void) {
  bsq_model* model = NULL;
  char error[200] = "";
  bsq_status status = bsq_model_load((const uint8_t*)"text", 4, &model, error, sizeof error);
  printf("%d %s\\n", (int)status, error);
  return status == BSQ_ERROR_MODEL && error[0] != 0 ? 0 : 1;
}
"""

CONSUMER = """
cmake_minimum_required(VERSION 3.26)
project(consumer LANGUAGES C CXX)
find_package(bsq REQUIRED)
add_executable(consumer main.c)
target_link_libraries(consumer PRIVATE bsq::bsq)
"""


def run(*command: str | Path, **environment: str) -> str:
    """Runs a program and returns what it prints; fails the test with it where it fails."""
    result = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        pytest.fail(f"{command[0]}:\n{result.stdout}{result.stderr}", pytrace=False)
    return result.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[[str], Path]) -> Path:
    """libbsq, built from the sources and installed."""
    cmake, folder = require_tool("cmake"), tmp_path_factory.mktemp("libbsq")
    run(
        *(cmake, "-S", ROOT, "-B", folder / "build", "-G", "Ninja"),
        f"-DCMAKE_MAKE_PROGRAM={require_tool('ninja')}",
        *("-DCMAKE_BUILD_TYPE=Release", "-DBSQ_WARNINGS_AS_ERRORS=ON"),
    )
    run(cmake, "--build", folder / "build")
    run(cmake, "--install", folder / "build", "--prefix", folder / "prefix")
    return folder / "prefix"


def test_pkg_config(prefix: Path, tmp_path: Path, require_tool: Callable[[str], Path]) -> None:
    (tmp_path / "main.c").write_text(PROGRAM)
    described = next(prefix.rglob("bsq.pc")).parent
    flags = run(
        require_tool("pkg-config"), "--cflags", "--libs", "bsq", PKG_CONFIG_PATH=str(described)
    ).split()
    run(
        require_tool("cc"),
        "-std=c11",
        "-pedantic-errors",
        tmp_path / "main.c",
        *flags,
        "-o",
        tmp_path / "main",
    )
    run(tmp_path / "main")


def test_find_package(prefix: Path, tmp_path: Path, require_tool: Callable[[str], Path]) -> None:
    (tmp_path / "main.c").write_text(PROGRAM)
    (tmp_path / "CMakeLists.txt").write_text(CONSUMER)
    cmake = require_tool("cmake")
    run(
        *(cmake, "-S", tmp_path, "-B", tmp_path / "build", "-G", "Ninja"),
        f"-DCMAKE_MAKE_PROGRAM={require_tool('ninja')}",
        f"-DCMAKE_PREFIX_PATH={prefix}",
    )
    run(cmake, "--build", tmp_path / "build")
    run(tmp_path / "build" / "consumer")


def test_only_the_public_header_is_installed(prefix: Path) -> None:
    headers = {path.relative_to(prefix / "include") for path in prefix.rglob("*.h")}
    assert headers == {Path("bsq/bsq.h")}
