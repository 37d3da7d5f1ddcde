"""Images and videos in one run: a tokenizer of videos that also sees the variety of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bsqav.errors import UsageError
from bsqav.training.paper.images import BatchConfig, Batches, Drawn, MediaFolder

__all__ = ["JointFolder"]


class JointFolder:
    """Videos, and images as clips of one frame; a step has a batch of either.

    Which one follows from the seed and the step alone, with BatchConfig.image_share. Classes are
    those of the videos.
    """

    def __init__(self, videos: MediaFolder, images: MediaFolder) -> None:
        self.videos, self.images = videos, images
        self.classes, self.skip_damaged = videos.classes, videos.skip_damaged
        self.sources: Sequence[object] = [*videos.sources, *images.sources]

    def __len__(self) -> int:
        return len(self.sources)

    def digest(self) -> str:
        """See DataFolder."""
        return f"{self.videos.digest()}, images {self.images.digest()}"

    def matrices(self) -> str:
        """See DataFolder."""
        return self.videos.matrices()

    def batches(self, config: BatchConfig, seed: int, rank: int, world: int) -> Batches:
        """See DataFolder. Raises UsageError for a share that is none, or all."""
        if not 0 < config.image_share < 1:
            raise UsageError(
                f"data.image_share is the share of steps with images, between 0 and 1, not "
                f"{config.image_share}"
            )
        return _JointBatches(self, config, seed, rank, world)


class _JointBatches:
    def __init__(
        self, folder: JointFolder, config: BatchConfig, seed: int, rank: int, world: int
    ) -> None:
        self.config, self.seed, self.first = config, seed, len(folder.videos)
        self.videos = folder.videos.batches(config, seed, rank, world)
        self.images = folder.images.batches(replace(config, frames=1), seed, rank, world)

    def draw(self, step: int) -> Drawn:
        """Of images [B, 3, 1, side, side]; see StepBatches."""
        # One more number than StepBatches has for this step, so that draws are others.
        if np.random.default_rng([self.seed, step, 0, 1]).random() >= self.config.image_share:
            return self.videos.draw(step)
        pixels, labels, damaged = self.images.draw(step)
        return pixels.unsqueeze(2), labels, damaged + self.first
