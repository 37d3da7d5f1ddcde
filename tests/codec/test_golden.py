"""Golden streams decode to their hashes, whatever the threads and kernels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from bsqav import _core
from tests.codec.streams import decode, old_models, stream_hash, tiny_model
from tests.vectors.ivf import read_ivf
from tests.vectors.make_golden import (
    FOLDER,
    INDEX,
    OLDER,
    RECIPES,
    VERSION_1,
    VERSION_2,
    names_to_make,
)

# By numerics: the names, and a digest of the files and entries in the index.
OLD = {
    1: (VERSION_1, "90bec791b956ad9cf4c8de1591fb4a52ef65aec443a6dbc54aedccdd3056c3fb"),
    2: (VERSION_2, "74214c0a50b4f1b57de8e1a9bd0d1a37386b62c33e837aade941719e36ea5223"),
}
ENTRIES: dict[str, dict[str, Any]] = json.loads(INDEX.read_text()) if INDEX.exists() else {}


@pytest.fixture(autouse=True)
def _best_kernels_afterwards() -> Iterator[None]:
    yield
    _core.set_kernels(None)


def test_all_streams_are_there() -> None:
    assert set(ENTRIES) == OLDER | set(RECIPES)
    assert {path.stem for path in FOLDER.glob("*.ivf")} == set(ENTRIES)
    for name in RECIPES:
        assert ENTRIES[name]["model"] == tiny_model().id
    for version, model in enumerate(old_models(), 1):
        for name in OLD[version][0]:
            assert ENTRIES[name]["model"] == model.id


@pytest.mark.parametrize("version", OLD)
def test_streams_of_older_versions_are_as_they_were(version: int) -> None:
    names, expected = OLD[version]
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update((FOLDER / f"{name}.ivf").read_bytes())
        digest.update(json.dumps(ENTRIES[name], sort_keys=True).encode())
    assert digest.hexdigest() == expected


@pytest.mark.parametrize("replace", [False, True])
def test_the_tool_makes_no_stream_of_an_older_version(replace: bool) -> None:
    assert not OLDER & set(names_to_make({}, [], replace=replace))
    for name in OLDER:
        with pytest.raises(SystemExit, match="older version"):
            names_to_make(ENTRIES, [name], replace=replace)
    with pytest.raises(SystemExit, match="v9_1x1"):
        names_to_make(ENTRIES, ["v9_1x1"], replace=replace)


def test_pictures_between_keyframes_have_one_to_three_layers() -> None:
    """In the streams of this version; so all ways of coding such a picture are kept."""
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
    models = [tiny_model(), *old_models()]
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
            planes = (1 if entry["chroma"] == "gray" else 3) + entry.get("alpha", 0)
            assert len(pictures[0].planes) == planes
