"""Images and videos for training and evaluation: folders, shards, raw files, and damaged ones."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from bsqav.cli.main import main
from bsqav.errors import MediaError, UsageError
from bsqav.training.codec.data import load_shards
from bsqav.training.paper.image_sources import Matrix, raw_options
from bsqav.training.paper.images import (
    BatchConfig,
    MediaFolder,
    StepBatches,
    centre_squares,
    whole_images,
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


def test_a_folder_of_classes(images: Path, tmp_path: Path) -> None:
    folder = MediaFolder(images)
    assert folder.classes == ["bright", "dark"] and len(folder) == 6
    config = BatchConfig(16, batch=8, flip=True)
    pixels, labels = StepBatches(folder, config, 1)[3]
    assert pixels.shape == (8, 3, 16, 16) and pixels.dtype == torch.uint8
    assert torch.equal(pixels.float().mean((1, 2, 3)) < 128, labels == 1)
    again, _ = StepBatches(MediaFolder(images), config, 1)[3]
    assert torch.equal(again, pixels)
    other, _ = StepBatches(folder, config, 1)[4]
    assert not torch.equal(other, pixels)
    halves = [StepBatches(folder, config, 1, rank, 2)[3][0] for rank in (0, 1)]
    assert torch.equal(torch.cat(halves), pixels)  # processes share one batch
    listed = tmp_path / "list.txt"
    listed.write_text("bright/0.png 1\ndark/2.png 2\n", encoding="utf-8")
    assert len(MediaFolder(images, listed=listed)) == 2
    with pytest.raises(UsageError, match="divide"):
        StepBatches(folder, config, 1, 0, 3)
    with pytest.raises(MediaError, match=r"no images \(.*subfolder"):
        MediaFolder(tmp_path / "none")
    (tmp_path / "x.png").write_bytes(b"no image")
    with pytest.raises(MediaError, match=r"x\.png"):
        StepBatches(MediaFolder(tmp_path), config, 1)[0]


def test_a_folder_of_videos(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", 0)
    folder = MediaFolder(tmp_path, frames=4)
    pixels, _ = StepBatches(folder, BatchConfig(16, frames=4, batch=3), 1)[0]
    assert pixels.shape == (3, 3, 4, 16, 16)
    levels = pixels.float().mean((1, 3, 4))
    torch.testing.assert_close(levels.diff(dim=1), torch.full((3, 3), 10.0), atol=3, rtol=0)


def test_shards(images: Path, tmp_path: Path) -> None:
    """WebDataset's: images with a class each, the same samples as from the folder."""
    with tarfile.open(tmp_path / "a-000.tar", "w") as archive:
        for index, path in enumerate(sorted(images.rglob("*.png"))):
            archive.add(path, f"{index:03d}.png")
            label = io.BytesIO(b"1" if path.parent.name == "dark" else b"0")
            member = tarfile.TarInfo(f"{index:03d}.cls")
            member.size = 1
            archive.addfile(member, label)
    folder, shards = MediaFolder(images), MediaFolder(tmp_path)
    assert shards.classes == ["0", "1"] and shards.labels == folder.labels
    config = BatchConfig(16, batch=6)
    for left, right in zip(
        StepBatches(folder, config, 1)[2], StepBatches(shards, config, 1)[2], strict=True
    ):
        assert torch.equal(left, right)
    data = (tmp_path / "a-000.tar").read_bytes()
    (tmp_path / "a-000.tar").write_bytes(b"no tar file" + data[11:])
    with pytest.raises(MediaError, match="tar file"):
        MediaFolder(tmp_path)


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
        add(archive, "0.jpg", b"an image of it, which nobody looks at")
    found = MediaFolder(shards, frames=4)
    assert found.classes == ["3", "10"] and found.labels == [0, 1, 0]
    for index, path in enumerate(order):
        alone = MediaFolder(path.parent, frames=4)
        place = [source.path for source in alone.sources].index(path)
        left, right = (
            folder.read(at, 16, np.random.default_rng(index))
            for folder, at in ((found, index), (alone, place))
        )
        assert np.array_equal(left, right) and left.shape == (4, 16, 16, 3)
    clips = list(centre_squares(shards, 16, 2, 4))
    assert [tuple(x.shape) for x in clips] == [(2, 3, 4, 16, 16), (1, 3, 4, 16, 16)]
    pixels, labels = StepBatches(found, BatchConfig(16, 4, 3), 1)[0]
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
    folder = MediaFolder(shard.parent, frames=4)
    shard.write_bytes(shard.read_bytes()[:2000])
    with pytest.raises(
        MediaError, match=r"a\.avi in .*a\.tar cannot be read as a video: the shard"
    ):
        StepBatches(folder, BatchConfig(16, 4, 1), 1)[0]
    with pytest.raises(MediaError, match="tar file"):
        MediaFolder(shard.parent, frames=4)


def test_raw_videos_say_their_size_by_name(tmp_path: Path) -> None:
    levels = np.arange(6, dtype=np.uint8)[:, None] * 20 + 60
    frames = np.broadcast_to(levels, (6, 32 * 24 * 3 // 2)).copy()
    frames[:, 32 * 24 :] = 128  # gray
    path = tmp_path / "Test_32x24_50fps_420_8bit_YUV.yuv"
    path.write_bytes(frames.tobytes())
    assert raw_options(path)["framerate"] == "50"
    assert raw_options(Path("videoSRC01_1920x1080_30.yuv"))["framerate"] == "30"
    assert raw_options(Path("a_640x360_10bit.yuv"))["pixel_format"] == "yuv420p10le"
    pixels, _ = StepBatches(MediaFolder(tmp_path, 6), BatchConfig(16, 6, 1), 1)[0]
    steps = pixels.float().mean((0, 1, 3, 4)).diff()
    torch.testing.assert_close(steps, torch.full((5,), 20 * 255 / 219), atol=1.5, rtol=0)
    assert MediaFolder(tmp_path, 6).matrices() == "1 by BT.601"
    path.rename(tmp_path / "unnamed.yuv")
    with pytest.raises(MediaError, match="does not say its size"):
        StepBatches(MediaFolder(tmp_path, 6), BatchConfig(16, 6, 1), 1)[0]


@pytest.mark.parametrize(
    ("lines", "matrix", "rgb"),
    [
        (718, "auto", (211, 52, 20)),
        (720, "auto", (226, 66, 16)),
        (720, "bt601", (211, 52, 20)),
        (718, "bt709", (226, 66, 16)),
    ],
)
def test_the_matrix_of_raw_videos(
    tmp_path: Path, lines: int, matrix: Matrix, rgb: tuple[int, int, int]
) -> None:
    """An orange whose colour differs by the matrix, in the clip of a step and for evaluation."""
    planes = [np.full(lines * 32, 100), np.full(lines * 8, 90), np.full(lines * 8, 200)]
    frame = np.concatenate(planes).astype(np.uint8).tobytes()
    (tmp_path / f"a_32x{lines}_25fps.yuv").write_bytes(2 * frame)
    folder = MediaFolder(tmp_path, 2, matrix=matrix)
    name = "BT.709" if rgb[0] == 226 else "BT.601"
    assert folder.matrices() == f"1 by {name}"
    pixels, _ = StepBatches(folder, BatchConfig(16, 2, 1), 1)[0]
    assert pixels[0, :, 0, 8, 8].tolist() == pytest.approx(rgb, abs=2)
    whole = next(iter(whole_images(tmp_path, 2, matrix=matrix)))
    square = next(iter(centre_squares(tmp_path, 16, 1, 2, matrix=matrix)))
    for x in (whole[0, :, 0, 8, 8], square[0, :, 0, 8, 8]):
        assert ((x + 1) * 127.5).tolist() == pytest.approx(rgb, abs=2)


# ---- damaged files ----


@pytest.fixture
def damaged(images: Path, tmp_path: Path) -> Path:
    """The six images and one that ends early."""
    root = tmp_path / "damaged"
    for path in images.rglob("*.png"):
        (root / path.parent.name).mkdir(parents=True, exist_ok=True)
        (root / path.parent.name / path.name).write_bytes(path.read_bytes())
    (root / "dark" / "9.png").write_bytes((images / "dark" / "0.png").read_bytes()[:60])
    return root


def test_damaged_pictures_are_skipped_where_that_is_asked_for(damaged: Path) -> None:
    config = BatchConfig(16, batch=16)
    with pytest.raises(MediaError, match=r"9\.png"):
        StepBatches(MediaFolder(damaged), config, 1)[0]
    batches = StepBatches(MediaFolder(damaged, skip_damaged=True), config, 1)
    pixels, labels, skipped = batches.draw(0)
    assert pixels.shape[0] == 16 and set(skipped.tolist()) == {6}
    assert torch.equal(pixels.float().mean((1, 2, 3)) < 128, labels == 1)
    again = batches.draw(0)
    assert all(torch.equal(a, b) for a, b in zip(again, (pixels, labels, skipped), strict=True))
    for path in damaged.rglob("*.png"):
        path.write_bytes(b"nothing")
    batches = StepBatches(MediaFolder(damaged, skip_damaged=True), config, 1)
    with pytest.raises(MediaError, match="20 images or videos"):
        batches.draw(0)


def test_missing_and_empty_files_are_found_at_the_start(damaged: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("bright/0.png\nbright/7.png\ndark/1.png\n", encoding="utf-8")
    with pytest.raises(MediaError, match=r"1 of 3 files are missing or empty: .*7\.png"):
        MediaFolder(damaged, listed=listed)
    folder = MediaFolder(damaged, listed=listed, skip_damaged=True)
    assert set(StepBatches(folder, BatchConfig(16, batch=16), 1).draw(0)[2].tolist()) == {1}
    (damaged / "dark" / "9.png").write_bytes(b"")
    with pytest.raises(MediaError, match=r"1 of 7 files are missing or empty: .*9\.png"):
        MediaFolder(damaged)


def test_train_check_lists_what_cannot_be_read(
    damaged: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "check", str(images)]) == 0
    assert capsys.readouterr().out == "0 of 6 cannot be read\n"
    film(damaged / "a.avi", 20)
    (damaged / "b.mp4").write_bytes(b"no video at all" * 9)
    (damaged / "bad.tar").write_bytes(b"no tar file" * 99)
    with tarfile.open(damaged / "c.tar", "w") as archive:
        add(archive, "a.avi", (damaged / "a.avi").read_bytes())
        add(archive, "a.jpg", b"no image")
    assert main(["train", "check", str(damaged)]) == 1
    lines = capsys.readouterr().out.splitlines()
    names = ("b.mp4", "bad.tar", "a.jpg in", "9.png")
    assert len(lines) == 5 and lines[-1] == "4 of 12 cannot be read"
    assert all(any(name in line for line in lines[:-1]) for name in names)
    listed = tmp_path / "list.txt"
    listed.write_text("a.avi\nbright/0.png\nbright/8.png\n", encoding="utf-8")
    assert main(["train", "check", str(damaged), "--list", str(listed)]) == 1
    assert "1 of 3 cannot be read" in capsys.readouterr().out
    assert main(["train", "check", str(tmp_path / "none")]) == 1


def test_damaged_shards_of_the_codec(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "check", str(shards)]) == 0
    for path in shards.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    data = (shards / "clips-000.npz").read_bytes()
    (tmp_path / "clips-001.npz").write_bytes(data[: len(data) // 2])
    np.savez(tmp_path / "photos-001.npz", photos=np.zeros((2, 3)))
    capsys.readouterr()
    assert main(["train", "check", str(tmp_path)]) == 1
    assert "2 of 4 cannot be read" in capsys.readouterr().out
    for kind in ("clips", "photos"):
        with pytest.raises(MediaError, match=f"{kind}-001"):
            load_shards(tmp_path, kind)
