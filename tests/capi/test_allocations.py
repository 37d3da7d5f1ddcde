"""After the first groups of pictures, encoder and decoder take no memory from the heap."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.codec.streams import TINY_MODEL
from tests.support import ROOT, find_tool, run

pytestmark = pytest.mark.host

SHIPPED_MODEL = next((ROOT / "python" / "bsqav" / "models").glob("*.bsqm"))


@pytest.fixture(scope="module")
def program(libbsq_build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that counts."""
    path = tmp_path_factory.mktemp("allocations") / "allocations"
    run(
        *(find_tool("c++"), "-std=c++20", "-O1", "-Wall", "-Wextra", "-Werror"),
        *("-I", ROOT / "cpp" / "include", ROOT / "tests" / "capi" / "allocations.cc"),
        *(libbsq_build / "libbsq.a", "-pthread", "-o", path),
    )
    return path


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("model", "chroma", "depth", "preset", "lookahead", "bitrate"),
    [
        (TINY_MODEL, "420", 8, "medium", 0, 0),
        (TINY_MODEL, "420", 8, "medium", 24, 0),
        (TINY_MODEL, "420", 8, "fast", 0, 0),
        (TINY_MODEL, "420", 8, "fast", 24, 0),
        (TINY_MODEL, "420", 8, "slow", 24, 0),
        (TINY_MODEL, "420", 10, "medium", 4, 400_000),
        (TINY_MODEL, "444", 8, "medium", 4, 0),
        (SHIPPED_MODEL, "420", 8, "medium", 24, 0),
    ],
)
def test_nothing_is_allocated_once_sizes_are_known(
    program: Path,
    model: Path,
    chroma: str,
    depth: int,
    preset: str,
    lookahead: int,
    bitrate: int,
    threads: int,
) -> None:
    number = ["fast", "medium", "slow"].index(preset)
    arguments = [chroma, *map(str, (depth, number, lookahead, bitrate, threads))]
    words = run(program, model, *arguments).split()
    counts = dict(zip(words[::2], words[1::2], strict=True))
    assert (counts["encoder"], counts["decoder"]) == ("0", "0")
