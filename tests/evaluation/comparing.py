"""A comparison whose configuration is given as keywords."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bsqav.evaluation.compare.comparison import CompareConfig, CompareResult, compare

CONFIGURED = {field.name for field in dataclasses.fields(CompareConfig)}


def compare_with(inputs: Sequence[Path], **options: Any) -> CompareResult:
    """`compare`; options are fields of CompareConfig and its own keywords."""
    config = {name: value for name, value in options.items() if name in CONFIGURED}
    rest = {name: value for name, value in options.items() if name not in CONFIGURED}
    return compare(inputs, CompareConfig(**config), **rest)
