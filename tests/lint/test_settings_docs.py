"""The documents' tables of encoder settings are those of the library."""

from __future__ import annotations

import importlib.util

from tests.support import ROOT

SCRIPT = ROOT / "docs" / "settings_tables.py"


def test_the_tables_are_current() -> None:
    spec = importlib.util.spec_from_file_location("settings_tables", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for name in script.DOCUMENTS:
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        assert "<!-- settings: " in text, name
        assert script.with_tables(text) == text, f"run python docs/settings_tables.py ({name})"
