"""Pictures and videos for training and evaluation: folders, shards, raw files, and damaged ones."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from bsqav.errors import MediaError, UsageError
from bsqav.training.paper.image_sources import raw_options
from bsqav.training.paper.images import (
    PictureConfig,
    PictureFolder,
    StepBatches,
    centre_squares,
)
from tests.media.clips import write_frames
from tests.support import one_torch_thread

one_thread = pytest.fixture(autouse=True, scope="module")(one_torch_thread)


def film(path: Path, first: int) -> None:
    """Twelve gray frames, each 10 brighter than the one before."""
    write_frames(path, (np.full((32, 48, 3), first + 10 * n, np.uint8) for n in range(12)))


def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def test_a_folder_of_classes(pictures: Path, tmp_path: Path) -> None:
    folder = PictureFolder(pictures)
    assert folder.classes == ["bright", "dark"] and len(folder) == 6
    config = PictureConfig(16, batch=8, flip=True)
    pixels, labels = StepBatches(folder, config, 1)[3]
    assert pixels.shape == (8, 3, 16, 16) and pixels.dtype == torch.uint8
    assert torch.equal(pixels.float().mean((1, 2, 3)) < 128, labels == 1)
    again, _ = StepBatches(PictureFolder(pictures), config, 1)[3]
    assert torch.equal(again, pixels)
    other, _ = StepBatches(folder, config, 1)[4]
    assert not torch.equal(other, pixels)
    halves = [StepBatches(folder, config, 1, rank, 2)[3][0] for rank in (0, 1)]
    assert torch.equal(torch.cat(halves), pixels)  # processes share one batch
    listed = tmp_path / "list.txt"
    listed.write_text("bright/0.png 1\ndark/2.png 2\n", encoding="utf-8")
    assert len(PictureFolder(pictures, listed=listed)) == 2
    with pytest.raises(UsageError, match="divide"):
        StepBatches(folder, config, 1, 0, 3)
    with pytest.raises(MediaError, match=r"no pictures \(.*subfolder"):
        PictureFolder(tmp_path / "none")
    (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(MediaError, match=r"x\.png"):
        StepBatches(PictureFolder(tmp_path), config, 1)[0]


def test_a_folder_of_videos(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", 0)
    folder = PictureFolder(tmp_path, frames=4)
    pixels, _ = StepBatches(folder, PictureConfig(16, frames=4, batch=3), 1)[0]
    assert pixels.shape == (3, 3, 4, 16, 16)
    levels = pixels.float().mean((1, 3, 4))
    torch.testing.assert_close(levels.diff(dim=1), torch.full((3, 3), 10.0), atol=3, rtol=0)


def test_shards(pictures: Path, tmp_path: Path) -> None:
    """WebDataset's: pictures with a class each, the same samples as from the folder."""
    with tarfile.open(tmp_path / "a-000.tar", "w") as archive:
        for index, path in enumerate(sorted(pictures.rglob("*.png"))):
            archive.add(path, f"{index:03d}.png")
            label = io.BytesIO(b"1" if path.parent.name == "dark" else b"0")
            member = tarfile.TarInfo(f"{index:03d}.cls")
            member.size = 1
            archive.addfile(member, label)
    folder, shards = PictureFolder(pictures), PictureFolder(tmp_path)
    assert shards.classes == ["0", "1"] and shards.labels == folder.labels
    config = PictureConfig(16, batch=6)
    for left, right in zip(
        StepBatches(folder, config, 1)[2], StepBatches(shards, config, 1)[2], strict=True
    ):
        assert torch.equal(left, right)
    data = (tmp_path / "a-000.tar").read_bytes()
    (tmp_path / "a-000.tar").write_bytes(b"no tar file" + data[11:])
    with pytest.raises(MediaError, match="tar file"):
        PictureFolder(tmp_path)


def test_shards_of_videos(tmp_path: Path) -> None:
    """In three containers, with classes in .cls and .json, the same samples as from files."""
    films, shards = tmp_path / "films", tmp_path / "shards"
    shards.mkdir()
    for index, (suffix, label) in enumerate((("mp4", "3"), ("mkv", "10"), ("avi", "3"))):
        (films / label).mkdir(parents=True, exist_ok=True)
        film(films / label / f"{index}.{suffix}", 20 * index)
    order = sorted(films.rglob("*.*"), key=lambda path: path.name)
    with tarfile.open(shards / "a.tar", "w") as archive:
        for path in order:
            add(archive, f"{path.stem}.{path.suffix[1:]}", path.read_bytes())
            if path.stem == "0":
                add(archive, "0.cls", b"3\n")
            else:
                said = {"label": int(path.parent.name), "text": "gray"}
                add(archive, f"{path.stem}.json", json.dumps(said).encode())
        add(archive, "0.jpg", b"a picture of it, which nobody looks at")
    found = PictureFolder(shards, frames=4)
    assert found.classes == ["3", "10"] and found.labels == [0, 1, 0]
    for index, path in enumerate(order):
        alone = PictureFolder(path.parent, frames=4)
        place = [source.path for source in alone.sources].index(path)
        left, right = (
            folder.read(at, 16, np.random.default_rng(index))
            for folder, at in ((found, index), (alone, place))
        )
        assert np.array_equal(left, right) and left.shape == (4, 16, 16, 3)
    clips = list(centre_squares(shards, 16, 2, 4))
    assert [tuple(x.shape) for x in clips] == [(2, 3, 4, 16, 16), (1, 3, 4, 16, 16)]
    pixels, labels = StepBatches(found, PictureConfig(16, 4, 3), 1)[0]
    assert pixels.shape == (3, 3, 4, 16, 16) and set(labels.tolist()) <= {0, 1}


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("b.mp4", b"no video at all" * 9, r"b\.mp4 in .*a\.tar cannot be read as a video"),
        ("a.json", b"{", r"a\.json in .*a\.tar cannot be read as JSON"),
        ("a.cls", b"cat", r"a\.cls in .*a\.tar holds no number"),
        ("b.yuv", b"1" * 99, r"b\.yuv in .*a\.tar is raw and its name does not say its size"),
    ],
)
def test_damaged_members_are_named(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    film(tmp_path / "a.avi", 20)
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards" / "a.tar", "w") as archive:
        add(archive, "a.avi", (tmp_path / "a.avi").read_bytes())
        add(archive, name, data)
    with pytest.raises(MediaError, match=words):
        list(centre_squares(tmp_path / "shards", 16, 1, 4))


def test_a_shard_that_is_cut_short(tmp_path: Path) -> None:
    film(tmp_path / "a.avi", 20)
    shard = tmp_path / "shards" / "a.tar"
    shard.parent.mkdir()
    with tarfile.open(shard, "w") as archive:
        add(archive, "a.avi", (tmp_path / "a.avi").read_bytes())
    folder = PictureFolder(shard.parent, frames=4)
    shard.write_bytes(shard.read_bytes()[:2000])
    with pytest.raises(
        MediaError, match=r"a\.avi in .*a\.tar cannot be read as a video: the shard"
    ):
        StepBatches(folder, PictureConfig(16, 4, 1), 1)[0]
    with pytest.raises(MediaError, match="tar file"):
        PictureFolder(shard.parent, frames=4)


def test_raw_videos_say_their_size_by_name(tmp_path: Path) -> None:
    levels = np.arange(6, dtype=np.uint8)[:, None] * 20 + 60
    frames = np.broadcast_to(levels, (6, 32 * 24 * 3 // 2)).copy()
    frames[:, 32 * 24 :] = 128  # gray
    path = tmp_path / "Test_32x24_50fps_420_8bit_YUV.yuv"
    path.write_bytes(frames.tobytes())
    assert raw_options(path)["framerate"] == "50"
    assert raw_options(Path("videoSRC01_1920x1080_30.yuv"))["framerate"] == "30"
    assert raw_options(Path("a_640x360_10bit.yuv"))["pixel_format"] == "yuv420p10le"
    pixels, _ = StepBatches(PictureFolder(tmp_path, 6), PictureConfig(16, 6, 1), 1)[0]
    steps = pixels.float().mean((0, 1, 3, 4)).diff()
    torch.testing.assert_close(steps, torch.full((5,), 20 * 255 / 219), atol=1.5, rtol=0)
    path.rename(tmp_path / "unnamed.yuv")
    with pytest.raises(MediaError, match="does not say its size"):
        StepBatches(PictureFolder(tmp_path, 6), PictureConfig(16, 6, 1), 1)[0]
