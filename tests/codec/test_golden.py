"""Golden streams decode to their hashes, whatever the threads and kernels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from bsqav import _core
from tests.codec.streams import decode, old_model, stream_hash, tiny_model
from tests.vectors.ivf import read_ivf
from tests.vectors.make_golden import FOLDER, INDEX, RECIPES, VERSION_1, names_to_make

# Of the files and entries in the index.
VERSION_1_DIGEST = "90bec791b956ad9cf4c8de1591fb4a52ef65aec443a6dbc54aedccdd3056c3fb"
ENTRIES: dict[str, dict[str, Any]] = json.loads(INDEX.read_text()) if INDEX.exists() else {}


@pytest.fixture(autouse=True)
def _best_kernels_afterwards() -> Iterator[None]:
    yield
    _core.set_kernels(None)


def test_all_streams_are_there() -> None:
    assert set(ENTRIES) == VERSION_1 | set(RECIPES)
    assert {path.stem for path in FOLDER.glob("*.ivf")} == set(ENTRIES)
    for name, entry in ENTRIES.items():
        assert entry["model"] == (old_model() if name in VERSION_1 else tiny_model()).id


def test_streams_of_version_1_are_as_they_were() -> None:
    digest = hashlib.sha256()
    for name in sorted(VERSION_1):
        digest.update((FOLDER / f"{name}.ivf").read_bytes())
        digest.update(json.dumps(ENTRIES[name], sort_keys=True).encode())
    assert digest.hexdigest() == VERSION_1_DIGEST


@pytest.mark.parametrize("replace", [False, True])
def test_the_tool_makes_no_stream_of_an_older_version(replace: bool) -> None:
    assert not VERSION_1 & set(names_to_make({}, [], replace=replace))
    for name in VERSION_1:
        with pytest.raises(SystemExit, match="older version"):
            names_to_make(ENTRIES, [name], replace=replace)
    with pytest.raises(SystemExit, match="v3_1x1"):
        names_to_make(ENTRIES, ["v3_1x1"], replace=replace)


def test_pictures_between_keyframes_have_one_to_three_layers() -> None:
    """In the streams of version 2; so all ways of coding such a picture are kept."""
    layers = {
        info["layers"]
        for name in RECIPES
        for data, _ in read_ivf(FOLDER / f"{name}.ivf")
        if not (info := _core.probe_packet(data))["keyframe"]
    }
    assert layers >= {1, 2, 3}


@pytest.mark.parametrize("name", ENTRIES)
def test_a_golden_stream_has_its_hash(name: str) -> None:
    entry = ENTRIES[name]
    packets = list(read_ivf(FOLDER / f"{name}.ivf"))
    models = [tiny_model(), old_model()]
    assert entry["model"] in {model.id for model in models}
    for kernels in _core.kernel_sets():
        _core.set_kernels(kernels)
        for threads in (1, 2):
            decoder = _core.Decoder(models, threads=threads, strict=True)
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
