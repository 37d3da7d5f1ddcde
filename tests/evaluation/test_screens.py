"""benchmarks/screens.py: recordings of screens, rendered."""

from __future__ import annotations

import random
from pathlib import Path

import av
import numpy as np
import pytest

pytest.importorskip("matplotlib")

from benchmarks.screens import SCENES, write

SIZE = (320, 192)


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_moves_and_is_the_same_for_the_same_seed(name: str, tmp_path: Path) -> None:
    clips = []
    for path in (tmp_path / "a.mkv", tmp_path / "b.mkv"):
        write(path, SCENES[name](random.Random(name), SIZE), SIZE, 12)
        with av.open(str(path)) as source:
            clips.append(np.stack([frame.to_ndarray() for frame in source.decode(video=0)]))
    np.testing.assert_array_equal(clips[0], clips[1])
    assert clips[0].shape == (12, 288, 320)
    assert clips[0][0].std() > 10
    assert (clips[0][0] != clips[0][-1]).any()
