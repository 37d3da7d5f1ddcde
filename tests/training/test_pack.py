"""Packing photos and clips into shards, and drawing batches from them."""

from pathlib import Path

import av
import numpy as np
import pytest

from bsqav.errors import MediaError
from bsqav.training.codec.data import ClipSampler, DataConfig, unpack_planes
from bsqav.training.codec.pack import PackConfig, cut, pack
from bsqav.training.codec.resident import ResidentSampler
from tests.media.clips import write_frames
from tests.training.models import assert_same_batches

pytest.importorskip("torch")

import torch


def write_clip(path: Path, width: int, height: int, frames: int) -> None:
    rng = np.random.default_rng(3)
    texture = rng.integers(0, 256, (height + 64, width + 64, 3), np.uint8)
    views = (texture[i : i + height, i : i + width] for i in range(frames))
    write_frames(path, map(np.ascontiguousarray, views), "ffv1")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")
    write_clip(source / "clip.mkv", 96, 80, 8)
    write_clip(source / "photo.mkv", 120, 110, 1)
    with av.open(str(source / "photo.mkv")) as container:
        next(container.decode(video=0)).to_image().save(source / "photo.png")
    (source / "photo.mkv").unlink()
    (source / "notes.txt").write_text("not an image")
    out = tmp_path_factory.mktemp("shards")
    config = PackConfig(size=64, frames=4, squares_per_clip=6, squares_per_photo=3)
    counts = pack(source, out, config)
    assert counts["clips"] > 0 and counts["photos"] == 3 and counts["unreadable"] == 1
    return out


def test_cut_keeps_luma_and_chroma_together() -> None:
    planes = np.arange(48 * 32, dtype=np.int64).astype(np.uint8).reshape(48, 32)
    square = cut(planes, 4, 6, 16)
    assert square.shape == (24, 16)
    np.testing.assert_array_equal(square[:16], planes[6:22, 4:20])
    chroma = planes[32:].reshape(2, 16, 16)
    np.testing.assert_array_equal(square[16:, :8], chroma[0, 3:11, 2:10])
    np.testing.assert_array_equal(square[16:, 8:], chroma[1, 3:11, 2:10])


def test_batches_repeat_with_the_seed_and_hold_samples(packed: Path) -> None:
    config = DataConfig(size=32, frames=3, batch=2)
    first, second = ClipSampler(packed, config, 7), ClipSampler(packed, config, 7)
    assert_same_batches(first, second, batch=2, frames=3, size=32)


def test_planes_come_out_as_packed() -> None:
    packed = torch.arange(24 * 16).view(24, 16)
    y, u, v = unpack_planes(packed)
    assert torch.equal(y, packed[:16])
    assert torch.equal(u, packed[16:, :8]) and torch.equal(v, packed[16:, 8:])


def test_clips_shorter_than_the_recipe_takes_are_a_clear_error(packed: Path) -> None:
    config = DataConfig(size=32, frames=17, batch=2)
    with pytest.raises(MediaError, match=r"where the recipe takes 17: pack with --frames 17"):
        ClipSampler(packed, config, 7)
    with pytest.raises(MediaError, match=r"where the recipe takes 17: pack with --frames 17"):
        ResidentSampler(packed, config, 7, torch.device("cpu"))


def test_an_empty_folder_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no readable photo or clip"):
        pack(tmp_path, tmp_path / "out")
    with pytest.raises(MediaError, match="pack photos and clips first"):
        ClipSampler(tmp_path, DataConfig(), 1)
