"""The kernel set is the best one, or the one that is asked for, or a clear error."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator

import numpy as np
import pytest

from bsqav import _core
from bsqav.errors import UsageError


@pytest.fixture
def automatic() -> Generator[None]:
    _core.set_kernels(None)
    yield
    _core.set_kernels(None)


def test_scalar_is_always_there_and_last() -> None:
    assert _core.kernel_sets()[-1] == "scalar"


def test_required_sets_are_there() -> None:
    required = set(filter(None, os.environ.get("BSQAV_REQUIRE_KERNELS", "").split(",")))
    assert required <= set(_core.kernel_sets())


@pytest.mark.usefixtures("automatic")
def test_best_set_is_the_default_and_any_can_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BSQ_KERNELS", raising=False)
    assert _core.current_kernels() == _core.kernel_sets()[0]
    for name in _core.kernel_sets():
        _core.set_kernels(name)
        assert _core.current_kernels() == name


@pytest.mark.usefixtures("automatic")
def test_unknown_set_is_an_error_that_names_the_usable_ones() -> None:
    with pytest.raises(UsageError, match="scalar"):
        _core.set_kernels("sse9")
    empty = np.zeros((1, 8), np.int8)
    with pytest.raises(UsageError, match=r'"sse9" does not exist; usable here: .*scalar'):
        _core.kernel_linear8("sse9", empty, empty, np.zeros(1, np.int32))


@pytest.mark.parametrize("name", ["scalar", "sse9"])
def test_environment_variable_forces_a_set(name: str) -> None:
    code = "from bsqav import _core; print(_core.current_kernels())"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "BSQ_KERNELS": name},
        capture_output=True,
        text=True,
        check=False,
    )
    if name == "scalar":
        assert result.stdout.strip() == "scalar"
    else:
        assert result.returncode != 0
        assert "BSQ_KERNELS" in result.stderr
