"""Golden streams decode to their hashes, whatever the threads and kernels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bsqav import _core
from tests.codec.streams import decode, stream_hash, tiny_model
from tests.vectors.ivf import read_ivf
from tests.vectors.make_golden import FOLDER, INDEX, RECIPES, names_to_make

ENTRIES: dict[str, dict[str, Any]] = json.loads(INDEX.read_text()) if INDEX.exists() else {}


@pytest.fixture(autouse=True)
def _best_kernels_afterwards() -> Iterator[None]:
    yield
    _core.set_kernels(None)


def test_all_streams_are_there() -> None:
    assert set(ENTRIES) == set(RECIPES)
    assert {path.stem for path in FOLDER.glob("*.ivf")} == set(ENTRIES)
    assert {entry["model"] for entry in ENTRIES.values()} == {tiny_model().id}


def test_the_tool_keeps_what_is_there() -> None:
    assert names_to_make(ENTRIES, []) == []
    assert names_to_make({}, []) == list(RECIPES)
    assert names_to_make(ENTRIES, ["7x5"], replace=True) == ["7x5"]
    with pytest.raises(SystemExit, match="9x9"):
        names_to_make(ENTRIES, ["9x9"], replace=True)


def test_pictures_between_keyframes_have_one_to_three_layers() -> None:
    """So all ways of coding such a picture are kept."""
    layers = {
        info["layers"]
        for name in RECIPES
        for data, _ in read_ivf(FOLDER / f"{name}.ivf")
        if not (info := _core.probe_packet(data))["keyframe"]
    }
    assert layers >= {1, 2, 3}


def test_streams_with_b_frames_are_of_all_formats() -> None:
    with_b_frames = [entry for entry in ENTRIES.values() if entry["b_frames"]]
    assert {entry["chroma"] for entry in with_b_frames} == {"gray", "420", "422", "444"}
    assert {entry["bit_depth"] for entry in with_b_frames} == {8, 10}
    assert {entry["alpha"] for entry in with_b_frames} == {0, 1}
    assert {name for name, entry in ENTRIES.items() if entry["b_frames"]} == {
        name for name, recipe in RECIPES.items() if recipe.options.get("bframes")
    }


@pytest.mark.parametrize("name", ENTRIES)
def test_a_golden_stream_has_its_hash(name: str) -> None:
    entry = ENTRIES[name]
    packets = list(read_ivf(FOLDER / f"{name}.ivf"))
    for kernels in _core.kernel_sets():
        _core.set_kernels(kernels)
        for threads in (1, 2):
            decoder = _core.Decoder([tiny_model()], threads=threads, strict=True)
            pictures = decode((data for data, _ in packets), decoder)
            assert stream_hash(pictures) == entry["hash"], (kernels, threads)
            assert [p.pts for p in pictures] == [pts for _, pts in packets]
            assert len(pictures) == entry["frames"]
            assert sum(p.keyframe for p in pictures) == entry["keyframes"]
            assert (pictures[0].width, pictures[0].height) == (entry["width"], entry["height"])
            assert (pictures[0].chroma, pictures[0].bit_depth) == (
                entry["chroma"],
                entry["bit_depth"],
            )
            planes = (1 if entry["chroma"] == "gray" else 3) + entry.get("alpha", 0)
            assert len(pictures[0].planes) == planes
