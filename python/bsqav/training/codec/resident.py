"""Batches drawn on the device itself: all shards live there, and a batch is made at once.

The same distribution as bsqav.training.codec.data.ClipSampler, except that photos and clips,
mirroring and occlusions are chosen for each clip of a batch instead of for the batch.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bsqav.errors import MediaError
from bsqav.training.codec.data import (
    DataConfig,
    Planes,
    SamplerState,
    camera_path,
    load_shards,
    training_clips,
    unpack_planes,
    warp,
)
from bsqav.training.codec.pack import Samples


def _together(shards: list[Samples], device: torch.device) -> Tensor:
    """All shards of a kind as one tensor on the device. Raises MediaError if sizes differ."""
    shapes = {shard.shape[1:] for shard in shards}
    if len(shapes) != 1:
        raise MediaError(f"the shards hold samples of different shapes {shapes}: pack them again")
    return torch.cat([torch.from_numpy(shard).to(device) for shard in shards])


class ResidentSampler:
    """Draws random batches; the same seed, device and calls give the same batches.

    Choices are made by a NumPy generator; noise by one of the device.
    """

    def __init__(self, folder: Path, config: DataConfig, seed: int, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.clips = _together(training_clips(folder, config), device)
        self.photos = _together(load_shards(folder, "photos"), device)[:, 0]
        self.noise = torch.Generator(device)
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Starts both generators again."""
        self.rng = np.random.default_rng(seed)
        self.noise.manual_seed(seed)

    def batch(self) -> Planes:
        """y [B, T, S, S], u and v [B, T, S/2, S/2], float 0..255 holding integers."""
        of_photos = int((self.rng.random(self.config.batch) < self.config.photo_share).sum())
        parts = []
        if of_photos < self.config.batch:
            parts.append(self._clip_planes(self.config.batch - of_photos))
        if of_photos:
            parts.append(self._photo_planes(of_photos))
        y, u, v = (torch.cat(planes) for planes in zip(*parts, strict=True))
        flip = self._on(self.rng.random(len(y)) < 0.5).view(-1, 1, 1, 1)
        y, u, v = (torch.where(flip, plane.flip(-1), plane) for plane in (y, u, v))
        return y, u, v

    def _on(self, values: npt.NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(values).to(self.device, non_blocking=True)

    def _clip_planes(self, count: int) -> Planes:
        """Real clips: a square of each, some backwards."""
        config, rng = self.config, self.rng
        length, size = self.clips.shape[1], self.clips.shape[-1]
        margin = size - config.size
        which = self._on(rng.integers(len(self.clips), size=count)).view(-1, 1, 1, 1)
        first = rng.integers(length - config.frames + 1, size=(count, 1))
        order = first + np.arange(config.frames)
        order = np.where(rng.random((count, 1)) < 0.3, order[:, ::-1], order)
        frame = self._on(np.ascontiguousarray(order)).view(count, -1, 1, 1)
        corner = self._on(rng.integers(margin // 2 + 1, size=(2, count)) * 2)

        def square(first_row: int, first_col: int, scale: int) -> Tensor:
            along = torch.arange(config.size // scale, device=self.device)
            rows = (corner[0] // scale).view(-1, 1, 1, 1) + along.view(1, 1, -1, 1) + first_row
            cols = (corner[1] // scale).view(-1, 1, 1, 1) + along.view(1, 1, 1, -1) + first_col
            return self.clips[which, frame, rows, cols].float()

        return square(0, 0, 1), square(size, 0, 2), square(size, size // 2, 2)

    def _photo_planes(self, count: int) -> Planes:
        """Photos under a moving camera, with occlusions, fades and noise."""
        config, rng = self.config, self.rng
        photos = self.photos[self._on(rng.integers(len(self.photos), size=count))]
        theta = camera_path(rng, config, count, photos.shape[-1]).to(self.device)
        planes = [plane.float() for plane in unpack_planes(photos)]
        moved = [
            warp(plane, theta, config.size // (1 if i == 0 else 2))
            for i, plane in enumerate(planes)
        ]
        moved = self._occlude(moved)
        y = self._light(moved[0])
        return y.round(), moved[1].round().clamp(0, 255), moved[2].round().clamp(0, 255)

    def _occlude(self, planes: list[Tensor]) -> list[Tensor]:
        """Pastes a moving rectangle of the next clip over about half of the clips."""
        config, rng = self.config, self.rng
        count, frames = planes[0].shape[:2]
        side = rng.integers(config.size // 8, config.size // 2, (count, 1)) // 2 * 2
        side = side * (rng.random((count, 1)) < 0.5)
        start = rng.integers(0, 1 << 30, (2, count, 1)) % (config.size - side) // 2 * 2
        speed = rng.integers(-3, 4, (2, count, 1)) * 2
        place = np.clip(start + speed * np.arange(frames), 0, config.size - side)
        corner, shift, sides = self._on(place), self._on(place - start), self._on(side)
        out = []
        for i, plane in enumerate(planes):
            s = 1 if i == 0 else 2
            along = torch.arange(config.size // s, device=self.device)
            first, length = corner // s, (sides // s).unsqueeze(-1)
            inside = (along >= first.unsqueeze(-1)) & (along < first.unsqueeze(-1) + length)
            mask = inside[0].unsqueeze(-1) & inside[1].unsqueeze(-2)  # [B, T, S, S]
            limit = config.size // s - 1
            rows, cols = (
                (along - move.unsqueeze(-1) // s).clamp(0, limit) for move in (shift[0], shift[1])
            )
            source = plane.roll(1, 0)
            source = source.gather(2, rows.unsqueeze(-1).expand_as(plane))
            source = source.gather(3, cols.unsqueeze(-2).expand_as(plane))
            out.append(torch.where(mask, source, plane))
        return out

    def _light(self, y: Tensor) -> Tensor:
        """Fades, exposure changes and sensor noise."""
        b, t = y.shape[:2]
        rng = self.rng
        fade = rng.normal(0, 0.01, (b, 1)) * (rng.random((b, 1)) < 0.3) * np.arange(t)
        gain = self._on(np.exp(fade).astype(np.float32)).view(b, t, 1, 1)
        level = self.config.noise * rng.random(b) * (rng.random(b) < 0.4)
        noise = torch.empty_like(y).normal_(generator=self.noise)
        share = self._on(level.astype(np.float32)).view(b, 1, 1, 1)
        return (y * gain + share * noise).clamp(0, 255)

    def state(self) -> SamplerState:
        """The states of both generators, for a checkpoint."""
        return {"choices": dict(self.rng.bit_generator.state), "noise": self.noise.get_state()}

    def restore(self, state: SamplerState) -> None:
        """Continues from `state`."""
        self.rng.bit_generator.state = state["choices"]
        self.noise.set_state(state["noise"].cpu())
