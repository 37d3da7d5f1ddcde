"""bsq.h is C11, and a C program gets along with nothing else; the C example decodes a stream."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.codec.streams import TINY_MODEL
from tests.readme import Readme
from tests.support import ROOT, find_tool, run
from tests.vectors.make_golden import FOLDER, INDEX
from tests.vectors.y4m import y4m_hash

STRICT = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic-errors")
INCLUDE = ROOT / "cpp" / "include"
PROGRAM = ROOT / "tests" / "capi" / "api_test.c"
EXAMPLES = sorted((ROOT / "cpp" / "examples").glob("*.c"))


@pytest.mark.parametrize("program", [PROGRAM, *EXAMPLES], ids=lambda path: path.name)
def test_the_header_is_c11(tmp_path: Path, program: Path) -> None:
    run(find_tool("cc"), *STRICT, "-I", INCLUDE, "-c", program, "-o", tmp_path / "program.o")


def test_the_header_alone_is_enough(tmp_path: Path) -> None:
    for name in ("alone.c", "alone.cc"):
        (tmp_path / name).write_text("#include <bsq/bsq.h>\nint bsq_unused;\n")
    run(find_tool("cc"), *STRICT, "-I", INCLUDE, "-fsyntax-only", tmp_path / "alone.c")
    run(find_tool("c++"), "-Wall", "-Werror", "-I", INCLUDE, "-fsyntax-only", tmp_path / "alone.cc")


@pytest.mark.host
def test_a_c_program(libbsq_build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(find_tool("cc"), *STRICT, "-I", INCLUDE, "-c", PROGRAM, "-o", tmp_path / "api_test.o")
    run(
        *(find_tool("c++"), tmp_path / "api_test.o", libbsq_build / "libbsq.a", "-pthread"),
        *("-o", tmp_path / "api_test"),
    )
    for name in ("BSQAV_MODEL", "BSQAV_MODEL_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    folder = TINY_MODEL.parent
    assert run(tmp_path / "api_test", TINY_MODEL, folder) == "all passed\n"


@pytest.mark.host
@pytest.mark.parametrize(
    "name",
    [
        *("7x5", "33x17_gray", "64x48", "176x144", "33x17_422", "47x40_alpha_irregular"),
        *("50x41_444_alpha_10bit", "1x1_gray_alpha"),
        *("50x38_b15_10bit", "44x36_444_alpha_b7", "48x40_b7_ends_early"),
    ],
)
def test_the_example_decodes_golden_streams(c_library: Readme, tmp_path: Path, name: str) -> None:
    example = c_library.source / "decode_y4m"
    out = tmp_path / "out.y4m"
    run(example, FOLDER / f"{name}.ivf", out, TINY_MODEL)
    assert y4m_hash(out) == json.loads(INDEX.read_text())[name]["hash"]
