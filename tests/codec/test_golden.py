"""Golden streams decode to their hashes, whatever the threads and kernels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bsqav import _core
from tests.codec.streams import decode, stream_hash
from tests.vectors.ivf import read_ivf
from tests.vectors.make_golden import FOLDER, INDEX, RECIPES

ENTRIES: dict[str, dict[str, Any]] = json.loads(INDEX.read_text()) if INDEX.exists() else {}


@pytest.fixture(autouse=True)
def _best_kernels_afterwards() -> Iterator[None]:
    yield
    _core.set_kernels(None)


def test_all_streams_are_there() -> None:
    assert set(ENTRIES) == set(RECIPES)
    assert {path.stem for path in FOLDER.glob("*.ivf")} == set(RECIPES)


@pytest.mark.parametrize("name", ENTRIES)
def test_a_golden_stream_has_its_hash(name: str) -> None:
    entry = ENTRIES[name]
    packets = list(read_ivf(FOLDER / f"{name}.ivf"))
    for kernels in _core.kernel_sets():
        _core.set_kernels(kernels)
        for threads in (1, 2):
            pictures = decode((data for data, _ in packets), threads=threads, strict=True)
            assert stream_hash(pictures) == entry["hash"], (kernels, threads)
            assert [p.pts for p in pictures] == [pts for _, pts in packets]
            assert len(pictures) == entry["frames"]
            assert sum(p.keyframe for p in pictures) == entry["keyframes"]
            assert (pictures[0].width, pictures[0].height) == (entry["width"], entry["height"])
            assert (pictures[0].chroma, pictures[0].bit_depth) == (
                entry["chroma"],
                entry["bit_depth"],
            )
