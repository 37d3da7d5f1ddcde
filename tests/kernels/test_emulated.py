"""The NEON kernel sets, cross-compiled and run by qemu: kernels, golden streams, the encoder."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.codec.streams import TINY_MODEL, Format, clip, encode
from tests.support import ROOT, find_tool
from tests.vectors.ivf import read_ivf
from tests.vectors.make_golden import FOLDER, INDEX
from tests.vectors.y4m import y4m_hash

pytestmark = pytest.mark.host

SETS = ("neondot", "neon")
CPUS = {"max": "neondot,neon,scalar", "cortex-a72": "neon,scalar"}
STRICT = ("-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror")
STREAMS = tuple(json.loads(INDEX.read_text())) if INDEX.exists() else ()


def run(*command: str | Path, kernels: str = "") -> str:
    """Runs a program and returns what it prints; fails the test where it fails."""
    result = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, "BSQ_KERNELS": kernels},
    )
    if result.returncode != 0:
        pytest.fail(f"{command}:\n{result.stdout}{result.stderr}", pytrace=False)
    return result.stdout


@dataclass(frozen=True)
class Machine:
    """An emulated processor, with the programs that were compiled for it."""

    build: Path
    emulator: Path

    def run(self, name: str, *arguments: str | Path, cpu: str = "max", kernels: str = "") -> str:
        """Runs one of the programs."""
        system = ("-L", "/usr/aarch64-linux-gnu", "-cpu", cpu)
        return run(self.emulator, *system, self.build / name, *arguments, kernels=kernels)


@pytest.fixture(scope="module")
def machine(
    tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[[str], Path]
) -> Machine:
    """The library and its example through the preset aarch64, and the programs of the tests."""
    build = tmp_path_factory.mktemp("aarch64")
    emulator, cmake = require_tool("qemu-aarch64"), require_tool("cmake")
    compiler = require_tool("aarch64-linux-gnu-g++")
    ninja = f"-DCMAKE_MAKE_PROGRAM={require_tool('ninja')}"
    run(cmake, "-S", ROOT, "--preset", "aarch64", "-B", build, ninja)
    run(cmake, "--build", build)
    include = ("-I", ROOT / "cpp" / "include", "-I", ROOT / "cpp" / "src")
    source = ROOT / "tests" / "kernels" / "kernels_test.cc"
    library = build / "libbsq.a"
    run(compiler, "-std=c++20", *STRICT, *include, source, library, "-o", build / "kernels_test")
    source = ROOT / "tests" / "capi" / "encode_raw.c"
    c = find_tool("aarch64-linux-gnu-gcc")
    run(c, "-std=c11", *STRICT, *include, "-c", source, "-o", build / "encode_raw.o")
    run(compiler, build / "encode_raw.o", library, "-o", build / "encode_raw")
    return Machine(build, emulator)


@pytest.mark.parametrize("cpu", CPUS)
def test_the_processor_decides_which_sets_there_are(machine: Machine, cpu: str) -> None:
    assert machine.run("kernels_test", cpu=cpu).strip() == CPUS[cpu]


@pytest.mark.parametrize("kernels", SETS)
def test_kernels_equal_the_scalar_ones(machine: Machine, kernels: str) -> None:
    assert machine.run("kernels_test", kernels).strip() == "all equal"


def test_a_processor_without_the_dot_product_runs_the_set_that_needs_none(machine: Machine) -> None:
    assert machine.run("kernels_test", "neon", cpu="cortex-a72").strip() == "all equal"


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("kernels", SETS)
def test_a_golden_stream_has_its_hash(
    machine: Machine, tmp_path: Path, kernels: str, name: str
) -> None:
    out = tmp_path / "out.y4m"
    stream = FOLDER / f"{name}.ivf"
    machine.run("cpp/examples/decode_y4m", stream, out, TINY_MODEL, kernels=kernels)
    assert y4m_hash(out) == json.loads(INDEX.read_text())[name]["hash"]


@pytest.mark.parametrize("kernels", SETS)
@pytest.mark.parametrize(
    ("form", "lookahead", "bitrate"),
    [
        (Format(130, 98), 4, 0),
        (Format(96, 40, "gray", 10), 0, 0),
        (Format(96, 80), 0, 60000),
        (Format(50, 40, "422"), 2, 0),
    ],
    ids=str,
)
def test_the_encoder_makes_the_packets_that_it_makes_here(
    machine: Machine, tmp_path: Path, kernels: str, form: Format, lookahead: int, bitrate: int
) -> None:
    pictures = clip(form, 8)
    raw, out = tmp_path / "in.yuv", tmp_path / "out.ivf"
    raw.write_bytes(b"".join(plane.tobytes() for planes in pictures for plane in planes))
    machine.run(
        *("encode_raw", TINY_MODEL, raw, out, str(form.width), str(form.height), form.chroma),
        *(str(form.bit_depth), str(lookahead), str(bitrate)),
        kernels=kernels,
    )
    expected = encode(pictures, form, lookahead=lookahead, bitrate=bitrate)
    assert list(read_ivf(out)) == list(zip(expected.packets, expected.pts, strict=True))
