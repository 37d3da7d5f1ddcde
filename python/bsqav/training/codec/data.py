"""Batches of short clips: real ones cropped and flipped, and photos set in motion.

Batches are [B, T, 3/2 * S, S] uint8 in the packed layout of bsqav.training.codec.pack.
"""

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from bsqav.errors import MediaError
from bsqav.training.codec.pack import Samples, crop
from bsqav.training.common.setup import digest_of_data

Planes = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class DataConfig:
    """size: side of the crops; photo_share: part of the batches made from photos.

    hold_out: so many clips at the end of the last shard are never trained on.
    """

    size: int = 128
    frames: int = 5
    batch: int = 8
    photo_share: float = 0.5
    max_shift: float = 6.0
    noise: float = 1.5
    hold_out: int = 0


def load_shards(folder: Path, kind: str) -> list[Samples]:
    """All arrays of one kind. Raises MediaError when there is no shard or one is damaged."""
    files = sorted(folder.glob(f"{kind}-*.npz"))
    if not files:
        raise MediaError(f"no {kind}-*.npz in {folder}: pack photos and clips first")
    return [_load_shard(path, kind) for path in files]


def _load_shard(path: Path, kind: str) -> Samples:
    """The array of a shard, [N, T, 3/2 * S, S]. Raises MediaError for what is none."""
    try:
        with np.load(path, allow_pickle=False) as shard:
            array: Samples = shard[kind]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise MediaError(f"{path} cannot be read as a shard: {error}") from error
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[2] * 2 != array.shape[3] * 3:
        raise MediaError(f"{path} holds no squares of samples, but {array.dtype} {array.shape}")
    return array


def checked_shards(folder: Path) -> Iterator[tuple[str, str]]:
    """Each shard of a folder, and why it cannot be read, empty where it can."""
    for path in _shards(folder):
        try:
            _load_shard(path, path.name.split("-")[0])
            yield str(path), ""
        except MediaError as error:
            yield str(path), str(error)


def _shards(folder: Path) -> list[Path]:
    return sorted([*folder.glob("clips-*.npz"), *folder.glob("photos-*.npz")])


def digest_of_shards(folder: Path) -> str:
    """What names and sizes of the shards say of a folder's data, for checkpoints."""
    return digest_of_data((path.name, path.stat().st_size) for path in _shards(folder))


def without_held_out(clips: list[Samples], count: int) -> list[Samples]:
    """The clips that may be trained on. Raises MediaError when none would be left."""
    if count >= len(clips[-1]) and len(clips) == 1:
        raise MediaError(f"{count} clips held out of {len(clips[-1])} leave none to train on")
    rest = clips[-1][: max(0, len(clips[-1]) - count)]
    return [*clips[:-1], rest] if len(rest) else clips[:-1]


def training_clips(folder: Path, config: DataConfig) -> list[Samples]:
    """The shards of clips without those held out.

    Raises MediaError where there are none, or where they are shorter than the configuration's.
    """
    clips = without_held_out(load_shards(folder, "clips"), config.hold_out)
    shortest = min(shard.shape[1] for shard in clips)
    if shortest < config.frames:
        raise MediaError(
            f"clips of {shortest} frames in {folder}, where the recipe takes {config.frames}: "
            f"pack with --frames {config.frames}"
        )
    return clips


def held_out(folder: Path, count: int) -> Samples:
    """The last clips [N, T, 3/2 * S, S] of the last shard, at most `count`."""
    return load_shards(folder, "clips")[-1][-count:]


def unpack_planes(packed: Tensor) -> Planes:
    """[..., 3/2 * S, S] -> y [..., S, S], u and v [..., S/2, S/2]."""
    size = packed.shape[-1]
    chroma = packed[..., size:, :]
    return packed[..., :size, :], chroma[..., : size // 2], chroma[..., size // 2 :]


class SamplerState(TypedDict):
    """Where the generators of a sampler are: NumPy's `choices` and the device's `noise`."""

    choices: dict[str, Any]  # as numpy.random.BitGenerator.state has it
    noise: NotRequired[Tensor]


class ClipSampler:
    """Draws random batches; the same seed and calls give the same batches."""

    def __init__(self, folder: Path, config: DataConfig, seed: int) -> None:
        self.config = config
        self.clips = training_clips(folder, config)
        self.photos = load_shards(folder, "photos")
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Starts the generator again."""
        self.rng = np.random.default_rng(seed)

    def state(self) -> SamplerState:
        """The state of the generator, for a checkpoint."""
        return {"choices": dict(self.rng.bit_generator.state)}

    def restore(self, state: SamplerState) -> None:
        """Continues from `state`."""
        self.rng.bit_generator.state = state["choices"]

    def batch(self) -> Planes:
        """y [B, T, S, S], u and v [B, T, S/2, S/2], float 0..255 holding integers."""
        if self.rng.random() < self.config.photo_share:
            return self._photo_batch()
        stack = np.stack([self._clip() for _ in range(self.config.batch)])
        return _as_float(unpack_planes(torch.from_numpy(stack)))

    def _pick(self, shards: list[Samples]) -> Samples:
        sizes = np.array([len(s) for s in shards])
        shard = self.rng.choice(len(shards), p=sizes / sizes.sum())
        picked: Samples = shards[shard][self.rng.integers(len(shards[shard]))]
        return picked

    def _clip(self) -> Samples:
        clip, size, frames = self._pick(self.clips), self.config.size, self.config.frames
        margin = clip.shape[-1] - size
        x, y = (int(self.rng.integers(margin // 2 + 1)) * 2 for _ in range(2))
        start = int(self.rng.integers(clip.shape[0] - frames + 1))
        part = np.stack([crop(frame, x, y, size) for frame in clip[start : start + frames]])
        if self.rng.random() < 0.3:
            part = part[::-1]
        if self.rng.random() < 0.5:
            part = _mirror(part)
        return np.ascontiguousarray(part)

    def _photo_batch(self) -> Planes:
        config = self.config
        photos = np.stack([self._pick(self.photos)[0] for _ in range(config.batch)])
        if self.rng.random() < 0.5:
            photos = np.ascontiguousarray(_mirror(photos))
        planes = _as_float(unpack_planes(torch.from_numpy(photos)))
        grid = camera_path(self.rng, config, config.batch, photos.shape[-1])
        moved = [
            warp(plane, grid, config.size // (1 if i == 0 else 2)) for i, plane in enumerate(planes)
        ]
        moved = self._occlude(moved)
        y = self._light(moved[0])
        return y.round(), moved[1].round().clamp(0, 255), moved[2].round().clamp(0, 255)

    def _occlude(self, planes: list[Tensor]) -> list[Tensor]:
        """Pastes a moving rectangle of one clip of the batch over its neighbour."""
        if self.rng.random() < 0.5:
            return planes
        config = self.config
        size = int(self.rng.integers(config.size // 8, config.size // 2)) // 2 * 2
        x, y = (int(v) // 2 * 2 for v in self.rng.integers(0, config.size - size, 2))
        dx, dy = (int(v) * 2 for v in self.rng.integers(-3, 4, 2))
        for t in range(config.frames):
            left = int(np.clip(x + dx * t, 0, config.size - size))
            top = int(np.clip(y + dy * t, 0, config.size - size))
            for i, plane in enumerate(planes):
                s = 1 if i == 0 else 2
                rows = slice(top // s, (top + size) // s)
                cols = slice(left // s, (left + size) // s)
                source = plane.roll(1, 0)[:, t, y // s : (y + size) // s, x // s : (x + size) // s]
                plane[:, t, rows, cols] = source.clone()
        return planes

    def _light(self, y: Tensor) -> Tensor:
        """Fades, exposure changes and sensor noise."""
        b, t = y.shape[:2]
        rng = self.rng
        fade = rng.normal(0, 0.01, (b, 1)) * (rng.random((b, 1)) < 0.3) * np.arange(t)
        gain = torch.from_numpy(np.exp(fade)).float().view(b, t, 1, 1)
        level = self.config.noise * rng.random() * (rng.random() < 0.4)
        noise = torch.from_numpy(rng.standard_normal(tuple(y.shape), np.float32))
        return (y * gain + float(level) * noise).clamp(0, 255)


def _as_float(planes: Planes) -> Planes:
    y, u, v = planes
    return y.float(), u.float(), v.float()


def _mirror(packed: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Left to right, for luma and each chroma plane by itself."""
    size = packed.shape[-1]
    out = packed[..., ::-1].copy()
    half = size // 2
    out[..., size:, :half], out[..., size:, half:] = (
        packed[..., size:, :half][..., ::-1],
        packed[..., size:, half:][..., ::-1],
    )
    return out


def camera_path(rng: np.random.Generator, config: DataConfig, count: int, source: int) -> Tensor:
    """Affine maps [count, T, 2, 3] of a panning, zooming, slightly rotating camera."""
    b, t = count, config.frames
    still = (rng.random((b, 1, 1)) < 0.2).astype(np.float64)
    speed = rng.normal(0, config.max_shift / 2, (b, 1, 2)) * (1 - still)
    shake = rng.normal(0, 0.4, (b, t, 2)) * (1 - still)
    time = np.arange(t).reshape(1, t, 1) - (t - 1) / 2
    shift = (speed * time + shake).clip(-source / 6, source / 6) * 2 / source
    turn = rng.normal(0, 0.006, (b, 1)) * time[..., 0] * (1 - still[..., 0])
    zoom = np.exp(rng.normal(0, 0.008, (b, 1)) * time[..., 0] * (1 - still[..., 0]))
    scale = config.size / source * zoom
    theta = np.zeros((b, t, 2, 3))
    theta[..., 0, 0] = theta[..., 1, 1] = scale * np.cos(turn)
    theta[..., 0, 1] = -scale * np.sin(turn)
    theta[..., 1, 0] = scale * np.sin(turn)
    theta[..., 2] = shift
    return torch.from_numpy(theta).float()


def warp(plane: Tensor, theta: Tensor, size: int) -> Tensor:
    """plane [B, S', S'], affine maps [B, T, 2, 3] -> [B, T, size, size]."""
    b, t = theta.shape[:2]
    grid = F.affine_grid(theta.view(b * t, 2, 3), [b * t, 1, size, size], align_corners=False)
    source = plane.view(b, 1, 1, *plane.shape[1:]).expand(b, t, 1, *plane.shape[1:])
    warped = F.grid_sample(
        source.reshape(b * t, 1, *plane.shape[1:]),
        grid,
        mode="bicubic",
        padding_mode="reflection",
        align_corners=False,
    )
    return warped.view(b, t, size, size).clamp(0, 255)
