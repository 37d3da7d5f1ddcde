"""The lint stage: ruff, mypy and clang-format on everything, clang-tidy on what changed."""

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
    run_module("mypy", "--strict", "python/bsqav", "benchmarks")


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


def test_clang_tidy_on_changed_files(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: what changed is not known")
    changed = changed_files()
    sources = [p for p in cpp_files() if p in changed and p.suffix == ".cc"]
    sources = [p for p in sources if p.is_relative_to(ROOT / "cpp")]
    if not sources:
        return  # nothing to look at is a good answer, not a missing tool
    clang_tidy = find_tool("clang-tidy")
    run(
        find_tool("cmake"),
        *("-S", ".", "-B", tmp_path, "-G", "Ninja"),
        f"-DCMAKE_MAKE_PROGRAM={find_tool('ninja')}",
        f"-DPython_EXECUTABLE={sys.executable}",
        *("-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", "-DBSQ_BUILD_PYTHON=ON"),
    )
    database = (tmp_path / "compile_commands.json").read_text(encoding="utf-8")
    compiled = [p for p in sources if str(p) in database]  # this processor's kernels only
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        tasks = [pool.submit(run, clang_tidy, "--quiet", "-p", tmp_path, p) for p in compiled]
        for task in tasks:
            task.result()
