"""Recipes of the codec's own networks, the ones that the package ships."""

from bsqav.codec.modelspec import ModelConfig
from bsqav.training.data import DataConfig
from bsqav.training.loop import TrainConfig
from bsqav.training.rollout import RolloutConfig


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
        drop_price=0.16,  # the encoder's
        decay_from=0.3,
        seed=2,
    )


def codec_smoke() -> TrainConfig:
    """A few steps on tiny networks, to see that a set-up works."""
    return TrainConfig(
        model=ModelConfig(96, 32, 1, 96, 32, 1, 16, 32, 1),
        data=DataConfig(size=64, frames=3, batch=2),
        steps=30,
        rate_from=5,
        rate_full=10,
        warmup=5,
        bf16=False,
    )


RECIPES = {"codec-v1": codec_v1, "codec-v1-prior": codec_v1_prior, "codec-smoke": codec_smoke}
