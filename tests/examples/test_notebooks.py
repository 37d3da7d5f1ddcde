"""The notebooks of examples/ run as they stand, and their outputs are those of a whole run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

from tests.support import ROOT

NAMES = ("image_tokens", "where_bits_went")
PICTURES = 4  # at least that many in each


def test_every_notebook_is_run_here() -> None:
    assert sorted(path.stem for path in (ROOT / "examples").glob("*.ipynb")) == sorted(NAMES)


def path_of(name: str) -> Path:
    return ROOT / "examples" / f"{name}.ipynb"


def outputs_of(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def pictures_of(notebook: Any) -> list[str]:
    found = outputs_of(notebook)
    return [o["data"]["image/png"] for o in found if "image/png" in o.get("data", {})]


@pytest.mark.parametrize("name", NAMES)
def test_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPS", "20")  # of training: enough to see that all of it runs
    notebook = nbformat.read(path_of(name), as_version=4)  # type: ignore[no-untyped-call]
    for cell in notebook.cells:
        cell.pop("outputs", None)
        if cell.cell_type == "code":
            cell.outputs = []
    run = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    run.execute()
    assert len(pictures_of(notebook)) >= PICTURES


@pytest.mark.parametrize("name", NAMES)
def test_is_kept_with_its_outputs(name: str) -> None:
    text = path_of(name).read_text()
    notebook = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert len(pictures_of(notebook)) >= PICTURES
    lines = json.dumps([o.get("text", "") for o in outputs_of(notebook)])
    assert "Error" not in lines
    assert "Warning" not in lines
    assert "/home/" not in text
    assert "/tmp/" not in text
