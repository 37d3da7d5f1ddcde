"""Lint: ruff, mypy, clang-format on all files; clang-tidy on those that changed, or on all."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import ROOT, find_tool, skip_or_fail

CPP_FOLDERS = ("benchmarks", "cpp", "integrations", "tests")
CPP_SUFFIXES = {".c", ".cc", ".cu", ".cuh", ".h"}


def run(*command: str | Path) -> None:
    """Runs a program in the repository's root; its output is the failure's message."""
    result = subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        pytest.fail(f"{Path(command[0]).name}:\n{result.stdout}{result.stderr}", pytrace=False)


def run_module(name: str, *arguments: str) -> None:
    """Runs `python -m name`; without the package the test skips or fails."""
    if importlib.util.find_spec(name) is None:
        skip_or_fail(f"{name} is not installed; the extra 'test' brings it")
    run(sys.executable, "-m", name, *arguments)


def cpp_files() -> list[Path]:
    """Every C, C++ and CUDA file of the repository."""
    return sorted(
        path
        for folder in CPP_FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in CPP_SUFFIXES
    )


def test_ruff_check() -> None:
    run_module("ruff", "check", ".")


def test_ruff_format() -> None:
    run_module("ruff", "format", "--check", "--diff", ".")


def test_mypy_strict() -> None:
    run_module("mypy")


def test_clang_format() -> None:
    files = cpp_files()
    assert files
    run(find_tool("clang-format"), "--dry-run", "-Werror", *files)


def git(*arguments: str) -> list[str]:
    """The lines that a git command prints; none where it fails."""
    result = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return result.stdout.splitlines() if result.returncode == 0 else []


def changed_files() -> set[Path]:
    """Files that differ from the commit BSQAV_LINT_BASE (default: the one before the last)."""
    base = os.environ.get("BSQAV_LINT_BASE", "HEAD~1")
    if not git("rev-parse", "--verify", "--quiet", f"{base}^{{commit}}"):
        return set(cpp_files())
    names = git("diff", "--name-only", "--diff-filter=d", base)
    names += git("ls-files", "--others", "--exclude-standard")
    return {ROOT / name for name in names}


def run_clang_tidy(sources: list[Path], build: Path) -> None:
    """Runs clang-tidy on those of the C++ sources that are compiled for this processor."""
    clang_tidy = find_tool("clang-tidy")
    run(
        find_tool("cmake"),
        *("-S", ".", "-B", build, "-G", "Ninja"),
        f"-DCMAKE_MAKE_PROGRAM={find_tool('ninja')}",
        f"-DPython_EXECUTABLE={sys.executable}",
        *("-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", "-DBSQ_BUILD_PYTHON=ON"),
    )
    database = (build / "compile_commands.json").read_text(encoding="utf-8")
    compiled = [p for p in sources if str(p) in database]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        tasks = [pool.submit(run, clang_tidy, "--quiet", "-p", build, p) for p in compiled]
        for task in tasks:
            task.result()


def cpp_sources() -> list[Path]:
    """The C++ sources of the library and of the extension."""
    return [p for p in cpp_files() if p.suffix == ".cc" and p.is_relative_to(ROOT / "cpp")]


def test_clang_tidy_on_changed_files(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: what changed is not known")
    changed = changed_files()
    sources = [path for path in cpp_sources() if path in changed]
    if sources:  # no change needs no tool
        run_clang_tidy(sources, tmp_path)


@pytest.mark.host
def test_clang_tidy_on_all_files(tmp_path: Path) -> None:
    run_clang_tidy(cpp_sources(), tmp_path)
