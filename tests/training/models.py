"""Training runs of tests, and what is asked of the models that they export."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bsqav.codec.modelfile import read_model
from bsqav.codec.modelspec import KEYFRAMES

if TYPE_CHECKING:
    from bsqav.training.codec.loop import TrainConfig, Trainer


def smoke(**changes: Any) -> TrainConfig:
    """The recipe codec-smoke for a test: two stages, one clip per batch, one thread."""
    from bsqav.recipes.codec import codec_smoke

    config = codec_smoke()
    model, data = replace(config.model, stages=2), replace(config.data, batch=1)
    return replace(config, model=model, data=data, threads=1, **changes)


def train(config: TrainConfig, shards: Path, run: Path) -> Trainer:
    """A run, which goes on where an earlier one in the same folder stopped."""
    from bsqav.training.codec.loop import Trainer

    trainer = Trainer(config, shards, run)
    trainer.resume()
    trainer.train(lambda line: None)
    return trainer


def assert_same_batches(first: Any, second: Any, batch: int, frames: int, size: int) -> None:
    """Two samplers give the same batches of 4:2:0 samples, of the right shapes."""
    half = size // 2
    for _ in range(3):
        planes = first.batch()
        assert all(bool((a == b).all()) for a, b in zip(planes, second.batch(), strict=True))
        sizes = [tuple(plane.shape[2:]) for plane in planes]
        assert sizes == [(size, size), (half, half), (half, half)]
        assert all(plane.shape[:2] == (batch, frames) for plane in planes)
        y = planes[0]
        assert y.min() >= 0 and y.max() <= 255 and bool((y == y.round()).all())


def changed_networks(first: Path, second: Path) -> set[str]:
    """The networks in which two model files differ: enc, dec, prior; key.enc and so on."""
    before, after = read_model(first).tensors, read_model(second).tensors
    changed = [
        name.replace("enc.response", "dec")  # it is measured of the decoder network
        for name in before
        if not np.array_equal(before[name], after[name])
    ]
    prefixes = [KEYFRAMES if name.startswith(KEYFRAMES) else "" for name in changed]
    pairs = zip(prefixes, changed, strict=True)
    return {prefix + name.removeprefix(prefix).split(".")[0] for prefix, name in pairs}
