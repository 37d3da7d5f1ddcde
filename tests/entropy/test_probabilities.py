"""The logistic table and the bit costs against exact arithmetic."""

from __future__ import annotations

import importlib.util
from decimal import Decimal, localcontext
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from bsqav import _core
from tests.support import ROOT

MAX_LOGIT = 2839


def test_probabilities_are_the_rounded_logistic_function() -> None:
    logits = np.arange(-MAX_LOGIT, MAX_LOGIT + 1, dtype=np.int16)
    with localcontext() as context:
        context.prec = 40
        expected = [round(65536 / (1 + (Decimal(-int(x)) / 256).exp())) for x in logits]
    probs = _core.probability_from_logit(logits)
    assert probs.dtype == np.uint16
    assert probs.tolist() == expected
    assert probs[0] == 1
    assert probs[MAX_LOGIT] == 32768
    assert probs[-1] == 65535


def test_logits_are_clamped_and_keep_their_shape() -> None:
    logits = np.array([[-32768, -2840, 0], [1, 2840, 32767]], np.int16)
    probs = _core.probability_from_logit(logits)
    assert probs.shape == (2, 3)
    assert probs.tolist() == [[1, 1, 32768], [32832, 65535, 65535]]
    with pytest.raises(ValueError, match="int16, not float32"):
        _core.probability_from_logit(logits.astype(np.float32))


def generator() -> ModuleType:
    """The script cpp/tools/generate_entropy_tables.py as a module."""
    path = ROOT / "cpp" / "tools" / "generate_entropy_tables.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_committed_tables_are_what_the_generator_writes(tmp_path: Path) -> None:
    generator().write(tmp_path)
    for name in ("logistic_table.cc", "bit_cost_table.cc"):
        committed = (ROOT / "cpp" / "src" / "entropy" / name).read_text(encoding="utf-8")
        assert (tmp_path / name).read_text(encoding="utf-8") == committed


def test_bit_costs() -> None:
    probs = np.arange(1, 65536, dtype=np.uint16)
    ones = _core.bit_cost(np.ones(probs.size, np.uint8), probs)
    zeros = _core.bit_cost(np.zeros(probs.size, np.uint8), probs)
    assert np.abs(ones + np.log2(probs / 65536)).max() < 2**-21
    assert np.array_equal(zeros, ones[::-1])
    assert ones[0] == 16
    assert ones[32767] == 1
