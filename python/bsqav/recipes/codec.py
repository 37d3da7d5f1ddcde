"""Recipes of the codec's own networks, the ones that the package ships."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bsqav.codec.modelspec import ModelConfig
from bsqav.errors import UsageError
from bsqav.training.codec.data import DataConfig
from bsqav.training.codec.decisions import ENCODER
from bsqav.training.codec.loop import TrainConfig
from bsqav.training.codec.rollout import RolloutConfig
from bsqav.training.codec.traces import TraceConfig
from bsqav.training.common.changes import changed, refuse_twice

# Clips that a run with checks keeps for them, where its recipe does not say.
HELD_OUT = 8


def codec_v1() -> TrainConfig:
    """Tokenizer and prior jointly, from a transform codec, closed loop, two CPU cores."""
    return TrainConfig()


def codec_v1_prior() -> TrainConfig:
    """The prior alone, on the tokens that the encoder will choose, from the weights of codec-v1."""
    return TrainConfig(
        rollout=RolloutConfig(jitter=0.1),
        tokenizer=False,
        rate_from=-1,
        rate_full=0,
        drop=1.0,
        drop_lambda=ENCODER["lambda"],
        decay_from=0.3,
        seed=2,
    )


def codec_v1_keyframes() -> TrainConfig:
    """The keyframe networks: decoder network and prior on keyframes as the encoder writes them."""
    return TrainConfig(
        data=DataConfig(size=160, frames=1, batch=8, photo_share=0.6),
        traces=TraceConfig(frames=1, batch=16, layers="keyframes"),
        lr=3e-4,
        prior_lr=8e-4,
        warmup=50,
        decay_from=0.3,
        ema=0.999,
        seed=21,
    )


def codec_v1_traced() -> TrainConfig:
    """Decoder network and prior on P and B frames as the encoder writes them."""
    return TrainConfig(
        # Two whole groups of B frames after the keyframe.
        data=DataConfig(size=160, frames=17, batch=4, photo_share=0.2),
        traces=TraceConfig(frames=17, layers="predicted"),
        lr=2e-4,
        prior_lr=5e-4,
        warmup=50,
        decay_from=0.2,
        ema=0.999,
        seed=5,
    )


def _on_gpu(config: TrainConfig) -> TrainConfig:
    """The same run with eight times the batch, on one GPU: a step takes tens of milliseconds.

    Rates grow by about half: less noise in the gradient, but not more steps than on a CPU.
    """
    return replace(
        config,
        data=DataConfig(batch=64, hold_out=12),
        steps=200_000,
        lr=1.5 * config.lr,
        prior_lr=1.5 * config.prior_lr,
        ema=0.999,
        threads=8,
        device="cuda",
        log_seconds=10.0,
        checkpoint_minutes=3.0,
        check_minutes=4.0,
    )


def codec_v2_gpu() -> TrainConfig:
    """The networks of codec-v1 on a GPU."""
    return _on_gpu(replace(codec_v1(), decay_from=0.4))


def codec_v2_gpu_prior() -> TrainConfig:
    """The prior alone on a GPU, from the weights of codec-v2-gpu."""
    return _on_gpu(codec_v1_prior())


def codec_smoke() -> TrainConfig:
    """A few steps on tiny networks, to see that a set-up works."""
    return TrainConfig(
        model=ModelConfig(96, 32, 1, 96, 32, 1, 16, 32, 1),
        data=DataConfig(size=64, frames=3, batch=2),
        steps=45,
        rate_from=5,
        rate_full=10,
        warmup=5,
        bf16=False,
    )


RECIPES = {
    "codec-v1": codec_v1,
    "codec-v1-prior": codec_v1_prior,
    "codec-v1-keyframes": codec_v1_keyframes,
    "codec-v1-traced": codec_v1_traced,
    "codec-v2-gpu": codec_v2_gpu,
    "codec-v2-gpu-prior": codec_v2_gpu_prior,
    "codec-smoke": codec_smoke,
}


def configured(
    name: str, batch: int | None, changes: Mapping[str, Any], sets: Sequence[str] = ()
) -> TrainConfig:
    """A recipe with other values of some fields of TrainConfig, and another batch if given.

    sets: `name=value` texts for any setting, see bsqav.training.common.changes. A run with checks
    holds clips out for them. Raises UsageError for a name that is not known, and for a setting that
    is given in two ways.
    """
    if name not in RECIPES:
        raise UsageError(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
    config, given = changed(RECIPES[name](), sets)
    refuse_twice(given, {**changes, "data.batch": batch})
    config = replace(config, **changes)
    data = config.data if batch is None else replace(config.data, batch=batch)
    if math.isfinite(config.check_minutes) and not data.hold_out:
        data = replace(data, hold_out=HELD_OUT)
    return replace(config, data=data)
