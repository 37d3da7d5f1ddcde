"""Images and clips for the research models, from folders, by step.

Folders are read as they come: images or video files at any depth, or WebDataset's shards. Where
all files lie in subfolders, those of the first level are classes (ImageNet's train/, UCF-101).
What a step draws depends on the seed and the step alone, so that a run resumes where it was, and
any number of processes shares one batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import av
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from bsqav.errors import MediaError, UsageError
from bsqav.training.common.setup import digest_of_data
from bsqav.training.paper.image_sources import (
    Matrix,
    Source,
    find_sources,
    frames_of,
    matrix_of,
    open_image,
    open_video,
)

__all__ = [
    "Batch",
    "BatchConfig",
    "Batches",
    "DataFolder",
    "MediaFolder",
    "StepBatches",
    "centre_squares",
    "loader",
    "own_side",
    "whole_images",
]

CACHE_BYTES = 1 << 30
# Missing files that an error names.
SHOWN = 5
# So many images or videos drawn one after the other that cannot be read end a run all the same.
MAX_DAMAGED = 20
WORDS = {"bt709": "BT.709", "bt601": "BT.601"}

Pixels = npt.NDArray[np.uint8]
# pixels [B, 3, (T,) side, side] uint8, and labels [B] int64 (0 where there are no classes).
Batch = tuple[Tensor, Tensor]
# The same, and the places int64 [D] in the folder's sources of what could not be read for it.
Drawn = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class BatchConfig:
    """What a batch is.

    side: rows and columns of pixels. frames: of a clip, 1 for images. batch: over all processes.
    flip: mirror half of them. workers: processes that read ahead, 0 for none. image_share: of the
    steps of a tokenizer of videos that have images, where there are both.
    """

    side: int = 256
    frames: int = 1
    batch: int = 32
    flip: bool = False
    workers: int = 0
    image_share: float = 0.0

    def check(self) -> None:
        """Raises UsageError for values out of range."""
        if min(self.side, self.frames, self.batch) < 1 or self.workers < 0:
            raise UsageError("side, frames and batch of the data are at least 1, workers 0")


class MediaFolder:
    """The images (frames = 1) or videos of a folder, or of its .tar shards.

    listed: only those that a text file names, a path a line relative to the folder (the first word
    counts, so that UCF-101's trainlist01.txt does). skip_damaged: StepBatches draws others in
    place of what cannot be read. matrix: of raw videos, see image_sources.matrix_of. Raises
    MediaError where there are none, and, unless damaged ones are skipped, where files are missing
    or empty.
    """

    def __init__(
        self,
        root: Path,
        frames: int = 1,
        listed: Path | None = None,
        *,
        skip_damaged: bool = False,
        matrix: Matrix = "auto",
    ) -> None:
        self.root, self.frames, self.skip_damaged = root, frames, skip_damaged
        self.sources = find_sources(root, frames > 1, listed, matrix)
        self.sizes = [source.byte_count() for source in self.sources]
        if not skip_damaged:
            self._check_sizes()
        names = {source.label for source in self.sources}
        # Shards number their classes: those are sorted by number.
        self.classes = [] if "" in names else sorted(names, key=lambda name: (len(name), name))
        if not all(name.isdecimal() for name in names):
            self.classes.sort()
        number = {name: i for i, name in enumerate(self.classes)}
        self.labels = [number.get(source.label, 0) for source in self.sources]
        self._cache: dict[int, Pixels] = {}
        self._cached = 0

    def __len__(self) -> int:
        return len(self.sources)

    def digest(self) -> str:
        """What names and sizes of its files say of the data, for checkpoints."""
        return digest_of_data(
            (f"{source.path.relative_to(self.root)}/{source.member}", size)
            for source, size in zip(self.sources, self.sizes, strict=True)
        )

    def _check_sizes(self) -> None:
        """Finds in moments what would end a run after days."""
        gone = [str(s) for s, size in zip(self.sources, self.sizes, strict=True) if not size]
        if gone:
            shown = ", ".join(gone[:SHOWN]) + (" ..." if len(gone) > SHOWN else "")
            raise MediaError(
                f"{len(gone)} of {len(self.sources)} files are missing or empty: {shown}"
            )

    def batches(self, config: BatchConfig, seed: int, rank: int, world: int) -> StepBatches:
        """The batch of every step."""
        return StepBatches(self, config, seed, rank, world)

    def matrices(self) -> str:
        """How many raw videos are read by which matrix; empty where there are none.

        Raises MediaError where a name does not say the size, unless damaged ones are skipped.
        """
        counts = {"bt709": 0, "bt601": 0}
        for source in self.sources:
            if source.is_raw:
                try:
                    counts[matrix_of(source)] += 1
                except MediaError:
                    if not self.skip_damaged:
                        raise
        words = [f"{n} by {WORDS[name]}" for name, n in counts.items() if n]
        return ", ".join(words)

    def read(self, index: int, side: int, rng: np.random.Generator) -> Pixels:
        """A random square of an image, or of frames that follow each other: [T, side, side, 3]."""
        if self.frames > 1:
            return self._clip(self.sources[index], side, rng)
        return _random_square(self._image(index, side), side, rng)[None]

    def _image(self, index: int, side: int) -> Pixels:
        """The image with its shorter side at `side`, [rows, columns, 3], kept while they fit."""
        if index in self._cache:
            return self._cache[index]
        array = np.asarray(_short_side(open_image(self.sources[index]), side))
        if self._cached + array.nbytes <= CACHE_BYTES:
            self._cache[index], self._cached = array, self._cached + array.nbytes
        return array

    def _clip(self, source: Source, side: int, rng: np.random.Generator) -> Pixels:
        place, frames = rng.random(), []
        with open_video(source) as container:
            stream = container.streams.video[0]
            if stream.duration and stream.frames > self.frames:
                last = stream.duration * (1 - self.frames / stream.frames)
                container.seek((stream.start_time or 0) + int(place * last), stream=stream)
            for frame in itertools.islice(frames_of(source, container), self.frames):
                frames.append(_small_frame(frame, side))
        if not frames:
            raise MediaError(f"{source} has no frame")
        frames += [frames[-1]] * (self.frames - len(frames))
        return _random_square(np.stack(frames), side, rng)


def _short_side(
    image: Image.Image, side: int, how: Image.Resampling = Image.Resampling.BICUBIC
) -> Image.Image:
    scale = side / min(image.size)
    size = tuple(max(side, round(length * scale)) for length in image.size)
    return image if size == image.size else image.resize((size[0], size[1]), how)


def centre_square(image: Image.Image, side: int) -> Pixels:
    """The middle of an image for evaluation: Lanczos to the side, as the paper has it."""
    small = _short_side(image, side, Image.Resampling.LANCZOS)
    left, top = (small.width - side) // 2, (small.height - side) // 2
    return np.asarray(small.crop((left, top, left + side, top + side)))


def own_side(root: Path, frames: int = 1) -> int:
    """Rows and columns of a folder's first image or video. UsageError where they differ."""
    source = MediaFolder(root, frames).sources[0]
    if frames == 1:
        width, height = open_image(source).size
    else:
        with open_video(source) as container:
            width, height = container.streams.video[0].width, container.streams.video[0].height
    if width != height:
        raise UsageError(f"{source} is {width} x {height}, no square: say which --side to take")
    return width


def centre_squares(
    root: Path,
    side: int,
    batch: int,
    frames: int = 1,
    limit: int | None = None,
    *,
    strict: bool = False,
    listed: Path | None = None,
    matrix: Matrix = "auto",
) -> Iterator[Tensor]:
    """Batches from -1 to 1, in order of names: the middle of each image, [B, 3, side, side].

    With more frames than one: of the first frames of each video, [B, 3, T, side, side]; videos
    that are shorter are left out. strict: UsageError where one has another size than that. listed,
    matrix: see MediaFolder.
    """
    held: list[Pixels] = []
    for source in MediaFolder(root, frames, listed, matrix=matrix).sources[:limit]:
        images = [open_image(source)] if frames == 1 else _first_frames(source, frames)
        for image in images:
            if strict and image.size != (side, side):
                raise UsageError(
                    f"{source} is {image.width} x {image.height}, others are {side} x {side}: "
                    "say which --side to bring all to"
                )
        clip = [centre_square(image, side) for image in images]
        if len(clip) == frames:
            held.append(np.stack(clip))
        if len(held) == batch:
            yield _unit_batch(held)
            held = []
    if held:
        yield _unit_batch(held)


def whole_images(
    root: Path,
    frames: int = 1,
    limit: int | None = None,
    listed: Path | None = None,
    matrix: Matrix = "auto",
) -> Iterator[Tensor]:
    """Each image [1, 3, rows, columns] or clip [1, 3, T, rows, columns] as it is, from -1 to 1.

    In order of names; see centre_squares for clips, listed and matrix.
    """
    for source in MediaFolder(root, frames, listed, matrix=matrix).sources[:limit]:
        images = [open_image(source)] if frames == 1 else _first_frames(source, frames)
        if len(images) == frames:
            yield _unit_batch([np.stack([np.asarray(image) for image in images])])


def _unit_batch(clips: list[Pixels]) -> Tensor:
    x = torch.from_numpy(np.stack(clips)).permute(0, 4, 1, 2, 3).float() / 127.5 - 1
    return x if x.shape[2] > 1 else x[:, :, 0]


def _first_frames(source: Source, frames: int) -> list[Image.Image]:
    """A video's first frames, fewer where it has fewer."""
    with open_video(source) as container:
        first = itertools.islice(frames_of(source, container), frames)
        rgb = [frame.reformat(format="rgb24").to_ndarray() for frame in first]
    return [Image.fromarray(array) for array in rgb]


def _small_frame(frame: av.VideoFrame, side: int) -> Pixels:
    scale = side / min(frame.width, frame.height)
    width, height = max(side, round(frame.width * scale)), max(side, round(frame.height * scale))
    array = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
    return array.astype(np.uint8, copy=False)


def _random_square(array: Pixels, side: int, rng: np.random.Generator) -> Pixels:
    """[..., rows, columns, 3] -> [..., side, side, 3]."""
    top = rng.integers(0, array.shape[-3] - side, endpoint=True)
    left = rng.integers(0, array.shape[-2] - side, endpoint=True)
    return array[..., top : top + side, left : left + side, :]


class StepBatches(Dataset[Batch]):
    """The batch of every step; a process of several takes its equal part of it.

    Raises UsageError where the batch does not divide among the processes.
    """

    def __init__(
        self, folder: MediaFolder, config: BatchConfig, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        if config.batch % world or config.batch < 1:
            raise UsageError(f"a batch of {config.batch} does not divide among {world} processes")
        self.folder, self.config, self.seed = folder, config, seed
        self.part = range(config.batch)[rank * (config.batch // world) :][: config.batch // world]

    def __getitem__(self, step: int) -> Batch:
        return self.draw(step)[:2]

    def draw(self, step: int) -> Drawn:
        """The batch of a step, and what was skipped for it."""
        config = self.config
        chosen = np.random.default_rng([self.seed, step]).integers(
            0, len(self.folder), config.batch
        )
        pixels, labels, damaged = [], [], list[int]()
        for place in self.part:
            rng = np.random.default_rng([self.seed, step, place])
            index, clip = self._read(int(chosen[place]), rng, damaged)
            if config.flip and rng.random() < 0.5:
                clip = clip[:, :, ::-1]
            pixels.append(torch.from_numpy(clip.transpose(3, 0, 1, 2).copy()))
            labels.append(self.folder.labels[index])
        batch = torch.stack(pixels)
        batch = batch if config.frames > 1 else batch[:, :, 0]
        return batch, torch.tensor(labels), torch.tensor(damaged, dtype=torch.int64)

    def _read(self, index: int, rng: np.random.Generator, damaged: list[int]) -> tuple[int, Pixels]:
        """A source's place and a square of it, or of another where it is damaged, if that may be.

        What is drawn instead depends on the generator alone, so that a run still repeats.
        """
        for _ in range(MAX_DAMAGED):
            try:
                return index, self.folder.read(index, self.config.side, rng)
            except MediaError:
                if not self.folder.skip_damaged:
                    raise
            damaged.append(index)
            index = int(rng.integers(len(self.folder)))
        raise MediaError(
            f"{MAX_DAMAGED} images or videos of {self.folder.root}, drawn one after the other, "
            "cannot be read: `bsqav train check` lists them"
        )


class Batches(Protocol):
    """Batches by step."""

    config: BatchConfig

    def draw(self, step: int) -> Drawn:
        """The batch of a step."""


class DataFolder(Protocol):
    """What a trainer reads: MediaFolder, or TokenFolder of tokens.

    In Drawn pixels are then indices [B, (T,) H, W] int64.
    """

    classes: list[str]
    skip_damaged: bool

    @property
    def sources(self) -> Sequence[object]:
        """What can be drawn, by place; as text, its name."""

    def __len__(self) -> int: ...

    def digest(self) -> str:
        """What names and sizes of its files say of the data."""

    def matrices(self) -> str:
        """How raw videos are read, in words; empty where there are none."""

    def batches(self, config: BatchConfig, seed: int, rank: int, world: int) -> Batches:
        """The batch of every step, of a process its part."""


class _DrawnBatches(Dataset[Drawn]):
    """The batches of steps with what was skipped for them."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def __getitem__(self, step: int) -> Drawn:
        return self.batches.draw(step)


def loader(batches: Batches, steps: Sequence[int]) -> DataLoader[Drawn]:
    """Iterates the batches of the steps, read ahead by the configuration's workers."""
    workers = batches.config.workers
    return DataLoader(
        _DrawnBatches(batches),
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
    )
