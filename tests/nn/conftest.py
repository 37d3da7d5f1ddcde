"""Networks of tests are tiny: one thread each, instead of many that wait for each other."""

from __future__ import annotations

import pytest

from tests.support import one_torch_thread

one_thread = pytest.fixture(autouse=True, scope="module")(one_torch_thread)
