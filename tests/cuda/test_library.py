"""libbsq_cuda: its header is C11, nvcc compiles it without a warning, and it loads anywhere."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bsqav import _core
from bsqav.errors import UnsupportedError
from tests.codec.streams import tiny_model
from tests.support import ROOT, find_tool

INCLUDE = ROOT / "cpp" / "include"


def run(*command: str | Path) -> str:
    """Runs a program and returns what it prints; fails the test where it fails."""
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=1800
    )
    if result.returncode != 0:
        pytest.fail(f"{command[0]}:\n{result.stdout}{result.stderr}", pytrace=False)
    return result.stdout


def find_nvcc() -> Path:
    """The CUDA compiler; the test skips without, in continuous integration too.

    No package of Debian's main brings CUDA 13, so that a machine has it or has not.
    """
    found = shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")
    if found is None:
        pytest.skip("no nvcc on the search path or in /usr/local/cuda/bin: CUDA is not compiled")
    release = re.search(r"release (\d+)", run(found, "--version"))
    if release is None or int(release[1]) < 13:
        pytest.skip(f"{found} is older than CUDA 13")
    return Path(found)


def test_the_header_alone_is_enough(tmp_path: Path) -> None:
    for name, compiler in (("alone.c", "cc"), ("alone.cc", "c++")):
        (tmp_path / name).write_text("#include <bsq/bsq_cuda.h>\nint bsq_unused;\n")
        standard = ("-std=c11", "-pedantic-errors") if compiler == "cc" else ()
        flags = (*standard, "-Wall", "-Wextra", "-Werror", "-I", INCLUDE, "-fsyntax-only")
        run(find_tool(compiler), *flags, tmp_path / name)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library for compute capability 8.0 and 9.0 and as PTX, warnings being errors."""
    folder = tmp_path_factory.mktemp("cuda")
    nvcc = find_nvcc()
    cmake = find_tool("cmake")
    run(
        *(cmake, "-S", ROOT, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"),
        f"-DCMAKE_MAKE_PROGRAM={find_tool('ninja')}",
        f"-DCMAKE_CUDA_COMPILER={nvcc}",
        # What the host does is tested elsewhere: without optimization it compiles sooner.
        *("-DBSQ_CUDA=ON", "-DBSQ_WARNINGS_AS_ERRORS=ON", "-DCMAKE_CXX_FLAGS_RELEASE=-O0"),
        f"-DCMAKE_CUDA_FLAGS=--keep --keep-dir={folder}",
    )
    run(cmake, "--build", folder, "--target", "bsq_cuda")
    return folder / "cpp" / "cuda" / "libbsq_cuda.so"


@pytest.mark.host
@pytest.mark.hardware
def test_nvcc_compiles_all_architectures(library: Path) -> None:
    code = library.read_bytes()
    for architecture in (b"sm_80", b"sm_90", b"compute_90"):
        assert architecture in code


@pytest.mark.host
@pytest.mark.hardware
def test_no_kernel_is_a_trap(library: Path) -> None:
    """What nvcc makes, without a warning, of code that reads the host's constants."""
    (assembly,) = library.parent.parent.parent.glob("device_cuda*compute_90.ptx")
    text = assembly.read_text()
    assert text.count(".entry") > 20
    assert "trap;" not in text


@pytest.mark.host
@pytest.mark.hardware
def test_the_table_is_all_that_it_exports(library: Path) -> None:
    lines = run(find_tool("nm"), "-D", "--defined-only", library).splitlines()
    assert [line.split()[-1] for line in lines if " T " in line] == ["bsq_cuda_get_api"]
    needed = run(find_tool("readelf"), "-d", library)
    assert "libcudart" not in needed  # it is linked statically
    assert "libcuda" not in needed  # and looks for the driver at run time


@pytest.mark.host
@pytest.mark.hardware
def test_it_loads_where_there_is_no_driver(library: Path) -> None:
    loaded = _core.CudaLibrary(str(library))
    assert not loaded.emulated
    assert loaded.version == _core.__version__
    if loaded.device_count() == 0:
        with pytest.raises(UnsupportedError, match="there is no CUDA device"):
            _core.CudaDecoder(loaded, [tiny_model()])
