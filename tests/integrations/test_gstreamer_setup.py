"""Where bsqav's elements cannot run in GStreamer, which these tests do not need."""

from __future__ import annotations

from pathlib import Path

import pytest

import bsqav
from bsqav.errors import UnsupportedError
from bsqav.integrations import gstreamer


def test_an_editable_install_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bsqav, "__path__", ["/elsewhere/bsqav"])
    with pytest.raises(UnsupportedError, match="editable"):
        gstreamer.environment()


@pytest.mark.parametrize(
    ("answer", "message"),
    [("echo 3.1; echo /usr/gi", r"runs Python 3\.1 "), ("exit 1", "python3-gst-1.0")],
)
def test_another_python_is_refused(answer: str, message: str, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{answer}\n")
    python.chmod(0o755)
    with pytest.raises(UnsupportedError, match=message):
        gstreamer.environment(str(python))
    with pytest.raises(UnsupportedError, match="no GStreamer"):
        gstreamer.environment(str(tmp_path / "none"))
