"""Small shards and images that training tests share."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos and three clips of 96x96, whose squares move by a sample a frame."""
    folder = tmp_path_factory.mktemp("shards")
    rng = np.random.default_rng(1)
    smooth = rng.integers(60, 200, (3, 1, 12, 8)).repeat(12, -2).repeat(12, -1).astype(np.uint8)
    np.savez(folder / "photos-000.npz", photos=smooth)
    clips = np.stack([np.roll(smooth[:, 0, :, :], i, axis=-1) for i in range(4)], axis=1)
    np.savez(folder / "clips-000.npz", clips=clips)
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images in two classes: smooth bright and dark ones of odd sizes."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(2)
    for name, level in (("bright", 200), ("dark", 50)):
        (root / name).mkdir()
        for index in range(3):
            small = rng.integers(level - 40, level + 40, (4, 5, 3)).astype(np.uint8)
            Image.fromarray(small).resize((41 + index, 30)).save(root / name / f"{index}.png")
    return root
