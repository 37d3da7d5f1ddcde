"""What tests in any folder share: which programs are installed, and how they are run.

With BSQAV_REQUIRE_TOOLS=1 (continuous integration) nothing may be missing: what would skip fails.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent


def one_torch_thread() -> Iterator[None]:
    """A fixture's function: tiny networks run on one thread, many would wait for each other."""
    if find_spec("torch") is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tools_are_required() -> bool:
    """True where a missing program or package is a failure."""
    return os.environ.get("BSQAV_REQUIRE_TOOLS") == "1"


def skip_or_fail(reason: str) -> NoReturn:
    """Skips the running test for `reason`, or fails it where nothing may be missing."""
    if tools_are_required():
        pytest.fail(f"{reason} (BSQAV_REQUIRE_TOOLS=1)", pytrace=False)
    pytest.skip(reason)


def find_tool(name: str) -> Path:
    """The path of the program `name`; without it the test skips or fails.

    Looked for beside the running Python first (what came with pip), then as the shell does.
    """
    beside_python = str(Path(sys.executable).parent)
    found = shutil.which(name, path=beside_python) or shutil.which(name)
    if found is None:
        skip_or_fail(f"{name} is not on the search path; .ci/apt.txt and the extra 'test' list it")
    return Path(found)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that one process of the test run fills with `make`, while the others wait for it."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # the run's own, in which each process has one
    folder, done = base / name, base / f"{name}.done"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a process that failed
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


def only_error(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of error that a command of bsqav printed, and nothing else."""
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("bsqav: ")
    return line


def run_tool(name: str, *arguments: str | Path) -> str:
    """Runs a program and returns what it prints; the test skips or fails without the program."""
    result = subprocess.run(
        [find_tool(name), *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == 0, result.stderr + result.stdout
    return result.stdout


def run(*command: str | Path, **environment: str) -> str:
    """Runs a program and returns what it prints; fails the test with that where it fails."""
    result = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    if result.returncode != 0:
        pytest.fail(f"{command[0]}:\n{result.stdout}{result.stderr}", pytrace=False)
    return result.stdout
