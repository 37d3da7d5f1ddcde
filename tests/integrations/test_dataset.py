"""FrameDataset: random places of BSQ files, alone and under PyTorch's DataLoader."""

from __future__ import annotations

import gc
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bsqav
from bsqav.errors import UsageError
from bsqav.integrations.dataset import FrameDataset
from bsqav.media.inspect.frame_reader import FrameReader

COUNTS = (7, 12, 3)


def write(path: Path, count: int, first: int) -> Path:
    y, x = np.mgrid[:16, :24]
    with bsqav.open(path, "w") as container:
        stream = container.add_stream("bsq", rate=25, options={"gop": 4, "crf": 20})
        for number in range(count):
            shade = np.stack([(9 * (first + number) + x) % 256, 8 * y, 5 * x], axis=2)
            container.mux(stream.encode(shade.astype(np.uint8)))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("dataset")
    return [write(folder / f"{n}.mkv", count, 7 * n) for n, count in enumerate(COUNTS)]


@pytest.fixture(scope="module")
def shown(files: list[Path]) -> list[np.ndarray]:
    """All pictures, one file after the other, channels first."""
    found = []
    for path in files:
        with FrameReader(path) as reader:
            found += [np.moveaxis(picture, -1, 0) for picture in reader]
    return found


def test_pictures_at_random_places(files: list[Path], shown: list[np.ndarray]) -> None:
    dataset = FrameDataset(files, open_files=2)
    assert len(dataset) == sum(COUNTS) == len(shown)
    order = list(range(-3, len(dataset)))
    random.Random(0).shuffle(order)
    for item in order:
        assert np.array_equal(dataset[item], shown[item])
    assert dataset[0].shape == (3, 16, 24)
    assert dataset.place(8) == (files[1], 1)
    with pytest.raises(IndexError):
        dataset[len(dataset)]
    dataset.close()
    assert np.array_equal(dataset[5], shown[5])


def test_runs_of_pictures(files: list[Path], shown: list[np.ndarray]) -> None:
    dataset = FrameDataset(files, length=3, step=2, every=2)
    # Runs span 5 pictures: two fit in the first file, four in the second, none in the third.
    assert [dataset.place(n) for n in range(len(dataset))] == [
        *((files[0], n) for n in (0, 2)),
        *((files[1], n) for n in (0, 2, 4, 6)),
    ]
    item = dataset[3]
    assert item.shape == (3, 3, 16, 24)
    assert np.array_equal(item, np.stack([shown[7 + n] for n in (2, 4, 6)]))


def test_a_transform_and_pickling(files: list[Path], shown: list[np.ndarray]) -> None:
    dataset = FrameDataset(files, transform=np.mean)
    assert dataset[4] == shown[4].mean()
    again = pickle.loads(pickle.dumps(dataset))
    assert again[4] == shown[4].mean()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_loader(method: str, files: list[Path], shown: list[np.ndarray]) -> None:
    pytest.importorskip("torch")
    import torch

    dataset: Any = FrameDataset(files)  # a Dataset of PyTorch's by what it can do, not by its type
    # FFmpeg decoders that earlier tests left as garbage have threads, which a fork does not have:
    # to free them there would hang.
    gc.collect()
    dataset[3]  # a reader that a forked worker must not touch
    loader: Any = torch.utils.data.DataLoader(
        dataset, batch_size=4, shuffle=False, num_workers=1, multiprocessing_context=method
    )
    batches = list(loader)
    assert batches[0].shape == (4, 3, 16, 24)
    assert batches[0].dtype == torch.uint8
    assert np.array_equal(torch.cat(batches).numpy(), np.stack(shown))


def test_what_is_refused(files: list[Path], tmp_path: Path) -> None:
    for name in ("length", "step", "every", "open_files"):
        options: dict[str, Any] = {name: 0}
        with pytest.raises(UsageError, match="below 1"):
            FrameDataset(files, **options)
    with pytest.raises(FileNotFoundError):
        FrameDataset([tmp_path / "none.mkv"])
    assert len(FrameDataset([])) == 0
