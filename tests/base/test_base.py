"""Builds and runs base_test.cc, which tests the parts of base that have no Python face."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support import ROOT, find_tool

SOURCES = ("sha256.cc", "status.cc", "thread_pool.cc")


def test_base_in_cpp(tmp_path: Path) -> None:
    program = tmp_path / "base_test"
    base = ROOT / "cpp" / "src" / "base"
    build = subprocess.run(
        [
            *(find_tool("c++"), "-std=c++20", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread"),
            *("-I", ROOT / "cpp" / "include", "-I", ROOT / "cpp" / "src"),
            *(ROOT / "tests" / "base" / "base_test.cc", *(base / name for name in SOURCES)),
            *("-o", program),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stderr
    result = subprocess.run([program], capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "all passed\n"
