"""The model registry: where models are found, and what is refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from bsqav import ModelError, ModelNotFoundError, UsageError
from bsqav.codec import models
from bsqav.codec.models import (
    Model,
    default_model,
    find_model,
    import_model,
    list_models,
    model_folders,
    read_model,
)
from tests.codec.streams import TINY_MODEL, tiny_model


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is searched first, with nothing installed elsewhere."""
    found = tmp_path / "models"
    found.mkdir()
    monkeypatch.setenv("BSQAV_MODEL_PATH", os.pathsep.join([str(found), str(tmp_path / "none")]))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(models, "shipped_folder", lambda: tmp_path / "shipped")
    monkeypatch.delenv("BSQAV_MODEL", raising=False)
    return found


def test_found_by_name_id_path_and_itself(folder: Path) -> None:
    path = folder / "any.bsqm"
    shutil.copy(TINY_MODEL, path)
    tiny = tiny_model()
    for which in (tiny.name, tiny.id, tiny.id[:8], str(path), path, tiny):
        assert find_model(which).id == tiny.id
    assert [(info.id, info.name, info.path) for info in list_models()] == [
        (tiny.id, tiny.name, path)
    ]


def test_folders_are_searched_in_order(tmp_path: Path) -> None:
    assert model_folders() == [
        tmp_path / "models",
        tmp_path / "none",
        tmp_path / "data" / "bsqav" / "models",
        tmp_path / "shipped",
    ]


def test_a_missing_model_is_named_with_the_places(folder: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"model 'no-such'.*models import") as caught:
        find_model("no-such")
    assert str(folder) in str(caught.value)
    assert caught.value.model_id == "no-such"
    assert isinstance(caught.value, FileNotFoundError)
    with pytest.raises(ModelNotFoundError, match=r"no model file .*gone\.bsqm"):
        find_model("gone.bsqm")
    with pytest.raises(ModelNotFoundError, match="no default model"):
        default_model()


def test_a_name_that_promises_another_id_is_refused(folder: Path) -> None:
    wrong = "0" * 32
    shutil.copy(TINY_MODEL, folder / f"tiny.{wrong}.bsqm")
    with pytest.raises(ModelError, match=f"{tiny_model().id}, not {wrong}"):
        find_model(wrong)
    assert list_models() == []


def test_a_damaged_file_is_named(folder: Path) -> None:
    data = bytearray(TINY_MODEL.read_bytes())
    data[len(data) // 2] ^= 1
    path = folder / "bad.bsqm"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"bad\.bsqm"):
        read_model(path)
    with pytest.raises(ModelNotFoundError, match=r"bad\.bsqm"):
        find_model("anything")
    path.write_text("no model")
    with pytest.raises(ModelError, match=r"bad\.bsqm"):
        read_model(path)
    with pytest.raises(ModelError, match="not a file"):
        read_model(folder)


def test_a_changed_file_is_read_again(folder: Path) -> None:
    path = folder / "a.bsqm"
    shutil.copy(TINY_MODEL, path)
    assert read_model(path).id == tiny_model().id
    path.write_bytes(b"x" * 100)
    with pytest.raises(ModelError):
        read_model(path)


def test_importing_copies_under_name_and_id(tmp_path: Path) -> None:
    info = import_model(TINY_MODEL)
    tiny = tiny_model()
    assert info.path.parent == tmp_path / "data" / "bsqav" / "models"
    assert info.path.name.endswith(f".{tiny.id}.bsqm")
    assert info.path.read_bytes() == TINY_MODEL.read_bytes()
    assert find_model(tiny.id).id == tiny.id
    assert [entry.path for entry in list_models()] == [info.path]
    (tmp_path / "text.bsqm").write_text("no model")
    with pytest.raises(ModelError):
        import_model(tmp_path / "text.bsqm")


def test_the_default_is_what_the_package_or_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    shutil.copy(TINY_MODEL, shipped / "v0.bsqm")
    with pytest.raises(ModelNotFoundError):
        default_model()
    (shipped / "default.txt").write_text(tiny_model().id + "\n")
    assert default_model().id == tiny_model().id
    (info,) = list_models()
    assert info.default
    assert info.shipped
    (shipped / "default.txt").write_text("v0")
    with pytest.raises(ModelError, match=r"default\.txt"):
        default_model()
    monkeypatch.setenv("BSQAV_MODEL", str(TINY_MODEL))
    assert isinstance(default_model(), Model)


def test_the_beginning_of_an_id_must_be_unique(monkeypatch: pytest.MonkeyPatch) -> None:
    class Known:
        def __init__(self, number: str) -> None:
            self.id = "a" * 8 + number * 24
            self.name = number

    monkeypatch.setattr(models, "_search", lambda _: ([Known("0"), Known("1")], []))
    with pytest.raises(UsageError, match="give more of the id"):
        find_model("aaaaaaaa")
