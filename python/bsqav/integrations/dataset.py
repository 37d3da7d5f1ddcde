"""Frames of BSQ files as a map-style data set for torch.utils.data.DataLoader.

    dataset = FrameDataset(["a.mkv", "b.mkv"], length=8)
    loader = torch.utils.data.DataLoader(dataset, batch_size=4, shuffle=True, num_workers=2)

Nothing here imports PyTorch: items are NumPy arrays, which its loader turns into tensors.
"""

from __future__ import annotations

import bisect
import itertools
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bsqav.codec.models import ModelLike
from bsqav.errors import UsageError
from bsqav.media.inspect.frame_reader import FrameIndex, FrameReader

__all__ = ["FrameDataset"]

# Readers of a process that forked: their threads are not in this one, and nothing may touch them.
_inherited: list[Any] = []


class FrameDataset:
    """Runs of frames at any place of any of the files.

    An item is an array [length, 3, height, width] of RGB, or [length, 1, height, width] of gray;
    without a length [3, height, width]. Samples are uint8, or uint16 over their whole range where
    a file has 10 bits. Reaching a place costs decoding from the keyframe before: files for random
    reading are best coded with a short group of pictures (gop).

    Every process opens files for itself, so that workers may be forked or spawned.

    Args:
        files: paths of Matroska, MOV, NUT or `.bsq` files; each is read once, without decoding.
        length: frames of an item; None for one frame without that axis.
        step: from one frame of an item to the next, 1 for neighbours.
        every: from the first frame of an item to that of the next, 1 for all places.
        transform: called with each item; what it returns is the item.
        models: names or paths of models to use beside the installed ones.
        threads: for decoding in each process, 0 for the number of processors.
        open_files: most files that a process keeps open.

    Raises:
        UsageError: a file has no BSQ video, or an argument is out of range.
        MediaError, BitstreamError: a file cannot be read.
    """

    def __init__(
        self,
        files: Iterable[str | os.PathLike[str]],
        *,
        length: int | None = None,
        step: int = 1,
        every: int = 1,
        transform: Callable[[npt.NDArray[Any]], Any] | None = None,
        models: Iterable[ModelLike] = (),
        threads: int = 1,
        open_files: int = 8,
    ) -> None:
        for name, value in (("step", step), ("every", every), ("open_files", open_files)):
            if value < 1:
                raise UsageError(f"{name} {value} is below 1")
        if length is not None and length < 1:
            raise UsageError(f"length {length} is below 1")
        self._files = [Path(file) for file in files]
        self._length, self._step, self._every = length, step, every
        self._transform = transform
        self._models = tuple(models)
        self._threads = threads
        self._open_files = open_files
        self._indices = [self._index_of(path) for path in self._files]
        span = 1 + ((length or 1) - 1) * step
        counts = (max(0, len(index.times) - span + every) // every for index in self._indices)
        self._ends = list(itertools.accumulate(counts))
        self._process = 0
        self._readers: OrderedDict[int, FrameReader] = OrderedDict()

    def _index_of(self, path: Path) -> FrameIndex:
        with FrameReader(path, models=self._models, threads=self._threads) as reader:
            return reader.index

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def place(self, item: int) -> tuple[Path, int]:
        """The file of an item and the number of its first frame.

        Raises:
            IndexError: there is no such item.
        """
        file, number = self._place(item)
        return self._files[file], number

    def _place(self, item: int) -> tuple[int, int]:
        count = len(self)
        if not -count <= item < count:
            raise IndexError(f"item {item} of a data set of {count}")
        item %= count
        file = bisect.bisect_right(self._ends, item)
        return file, (item - (self._ends[file - 1] if file else 0)) * self._every

    def __getitem__(self, item: int) -> Any:
        file, first = self._place(item)
        reader = self._reader(file)
        if self._length is None:
            found = _channels_first(reader[first])
        else:
            last = first + self._length * self._step
            found = np.stack([_channels_first(reader[n]) for n in range(first, last, self._step)])
        return found if self._transform is None else self._transform(found)

    def _reader(self, file: int) -> FrameReader:
        """A reader of this process."""
        if self._process != os.getpid():
            _inherited.append(self._readers)
            self._readers = OrderedDict()
            self._process = os.getpid()
        reader = self._readers.pop(file, None)
        if reader is None:
            if len(self._readers) >= self._open_files:
                self._readers.popitem(last=False)[1].close()
            reader = FrameReader(
                self._files[file],
                models=self._models,
                threads=self._threads,
                index=self._indices[file],
            )
        self._readers[file] = reader
        return reader

    def close(self) -> None:
        """Closes the files of this process; they are opened again where needed."""
        if self._process == os.getpid():
            while self._readers:
                self._readers.popitem()[1].close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_readers": OrderedDict(), "_process": 0}


def _channels_first(frame: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """[H, W, C] or [H, W] -> [C, H, W]."""
    axes = frame[np.newaxis] if frame.ndim == 2 else np.moveaxis(frame, -1, 0)
    return np.ascontiguousarray(axes)
