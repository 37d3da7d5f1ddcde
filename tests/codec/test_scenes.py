"""Scene cuts of source pictures."""

from __future__ import annotations

import numpy as np
import pytest

from bsqav.codec.scenes import SceneCuts
from tests.codec.streams import Format, clip


@pytest.mark.parametrize("bit_depth", [8, 10])
def test_a_cut_is_found_and_motion_is_none(bit_depth: int) -> None:
    form = Format(160, 96, bit_depth=bit_depth)
    cuts = SceneCuts(bit_depth)
    pictures = clip(form, 20) + clip(form, 20, seed=9)
    assert [n for n, picture in enumerate(pictures) if cuts.is_cut(picture[0])] == [20]


def test_a_long_change_is_one_cut_at_most() -> None:
    rng = np.random.default_rng(1)
    cuts = SceneCuts(8)
    found = [cuts.is_cut(rng.integers(0, 256, (64, 64), dtype=np.uint8)) for _ in range(30)]
    assert sum(found) <= 1


def test_fades_and_still_pictures_are_none() -> None:
    cuts = SceneCuts(8)
    assert not any(cuts.is_cut(np.full((33, 47), 3 * n, np.uint8)) for n in range(80))
    cuts = SceneCuts(8)
    assert not any(cuts.is_cut(np.zeros((1, 1), np.uint8)) for _ in range(3))
