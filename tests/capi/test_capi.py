"""bsq.h is C11, and a C program gets along with nothing else; the C example decodes a stream."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.codec.streams import OLD_MODEL, OLD_MODELS, TINY_MODEL
from tests.support import ROOT, find_tool
from tests.vectors.make_golden import FOLDER, INDEX, VERSION_1
from tests.vectors.y4m import y4m_hash

STRICT = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic-errors")
INCLUDE = ROOT / "cpp" / "include"
PROGRAM = ROOT / "tests" / "capi" / "api_test.c"


def run(*command: str | Path) -> str:
    """Runs a program and returns what it prints; fails the test where it fails."""
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=600
    )
    if result.returncode != 0:
        pytest.fail(f"{command[0]}:\n{result.stdout}{result.stderr}", pytrace=False)
    return result.stdout


def test_the_header_is_c11(tmp_path: Path) -> None:
    run(find_tool("cc"), *STRICT, "-I", INCLUDE, "-c", PROGRAM, "-o", tmp_path / "api_test.o")


def test_the_header_alone_is_enough(tmp_path: Path) -> None:
    for name in ("alone.c", "alone.cc"):
        (tmp_path / name).write_text("#include <bsq/bsq.h>\nint bsq_unused;\n")
    run(find_tool("cc"), *STRICT, "-I", INCLUDE, "-fsyntax-only", tmp_path / "alone.c")
    run(find_tool("c++"), "-Wall", "-Werror", "-I", INCLUDE, "-fsyntax-only", tmp_path / "alone.cc")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[[str], Path]) -> Path:
    """A build of the library and its examples."""
    folder = tmp_path_factory.mktemp("capi")
    cmake = require_tool("cmake")
    run(
        *(cmake, "-S", ROOT, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"),
        f"-DCMAKE_MAKE_PROGRAM={require_tool('ninja')}",
        "-DBSQ_BUILD_EXAMPLES=ON",
    )
    run(cmake, "--build", folder)
    return folder


@pytest.mark.host
def test_a_c_program(build: Path, tmp_path: Path) -> None:
    run(find_tool("cc"), *STRICT, "-I", INCLUDE, "-c", PROGRAM, "-o", tmp_path / "api_test.o")
    run(
        *(find_tool("c++"), tmp_path / "api_test.o", build / "libbsq.a", "-pthread"),
        *("-o", tmp_path / "api_test"),
    )
    assert run(tmp_path / "api_test", TINY_MODEL, OLD_MODEL) == "all passed\n"


@pytest.mark.host
@pytest.mark.parametrize(
    "name",
    [
        *("7x5", "176x144", "v2_7x5", "v3_7x5", "v3_33x17_gray", "v3_64x48", "v4_33x17_422"),
        *("v4_47x40_alpha_irregular", "v4_130x98_444_alpha_10bit", "v4_1x1_gray_alpha"),
    ],
)
def test_the_example_decodes_golden_streams(build: Path, tmp_path: Path, name: str) -> None:
    example = build / "cpp" / "examples" / f"decode_y4m{'.exe' if os.name == 'nt' else ''}"
    out = tmp_path / "out.y4m"
    version = 1 if name in VERSION_1 else int(name[1])
    model = [*OLD_MODELS, TINY_MODEL][min(version, 3) - 1]
    run(example, FOLDER / f"{name}.ivf", out, model)
    assert y4m_hash(out) == json.loads(INDEX.read_text())[name]["hash"]
