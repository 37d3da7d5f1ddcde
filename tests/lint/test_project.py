"""README, CI, version, changelog and pinned packages agree with each other."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import tomllib

import pytest

import bsqav
from tests.support import ROOT


def test_ci_runs_the_readme_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- test-command -->\n```sh\n(.*?)\n```", readme, re.DOTALL)
    assert len(blocks) == 1
    printed = subprocess.run(
        ["bash", ".ci/run", "--print-test-command"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.strip() == blocks[0]
    assert ".venv" in blocks[0]
    assert blocks[0].endswith("python -m pytest")


def test_version_comes_from_the_public_header() -> None:
    header = (ROOT / "cpp/include/bsq/bsq.h").read_text(encoding="utf-8")
    numbers = re.findall(r"#define BSQ_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header)
    assert bsqav.__version__ == importlib.metadata.version("bsqav") == ".".join(numbers)


def test_constraints_pin_the_test_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {
        re.split(r"[^\w-]", line)[0].lower()
        for extra in ("test", "train", "compare")
        for line in extras["optional-dependencies"][extra]
    } - {"bsqav"}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.split("==")[0].lower() for line in lines if "==" in line}
    assert wanted <= pinned
    assert {"av", "numpy"} <= pinned


def test_changelog_has_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## {bsqav.__version__} " in changelog


def test_every_public_name_is_there() -> None:
    missing = [name for name in bsqav.__all__ if not hasattr(bsqav, name)]
    assert not missing
    assert set(bsqav.__all__) <= set(dir(bsqav))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = bsqav.nonsense
