"""Folders and patterns become files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bsqav.evaluation.io.inputs import expand_inputs, is_picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("10.png", "9.png", "b.mp4", "notes.txt", "deep/a.MKV", "odd[1].mov"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def names(found: list[Path], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in found]


def test_a_folder_means_its_videos_and_images(folder: Path) -> None:
    found = names(expand_inputs([folder]), folder)
    assert found == ["b.mp4", "odd[1].mov", "9.png", "10.png", "deep/a.MKV"]


def test_patterns_match_files(folder: Path) -> None:
    assert names(expand_inputs([f"{folder}/*.png"]), folder) == ["9.png", "10.png"]
    assert names(expand_inputs([f"{folder}/**/*.MKV"]), folder) == ["deep/a.MKV"]
    # a file whose name looks like a pattern is that file
    assert names(expand_inputs([folder / "odd[1].mov"]), folder) == ["odd[1].mov"]


def test_each_file_once_and_what_is_not_there_stays(folder: Path) -> None:
    absent = [folder / "absent.mp4", Path(f"{folder}/*.webm")]
    found = expand_inputs([folder / "b.mp4", f"{folder}/b.*", *absent])
    assert found == [folder / "b.mp4", *absent]


def test_images_are_recognized_by_their_names() -> None:
    assert is_picture(Path("a.PNG"))
    assert not is_picture(Path("a.mp4"))
