"""Recipes of the paper's phases, with its hyperparameters, and small ones that run on a CPU.

Sources: arXiv 2406.07548, and the published program's configuration where the text is silent. The
paper's need several large GPUs and its data sets; the small ones show the same steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bsqav.errors import UsageError
from bsqav.nn.paper.arprior import ARPriorConfig
from bsqav.nn.paper.attention import TransformerConfig
from bsqav.nn.paper.bsqvit import ViTConfig, sized
from bsqav.nn.paper.maskedlm import MaskedLMConfig
from bsqav.nn.paper.subtokens import SubTokens
from bsqav.training.common.changes import NO_SETTING, changed, refuse_twice
from bsqav.training.paper.images import BatchConfig
from bsqav.training.paper.loop import PhaseConfig
from bsqav.training.paper.phases import (
    TokenizerLoss,
)

__all__ = ["RECIPES", "Recipe", "configured"]

Network = ViTConfig | ARPriorConfig | MaskedLMConfig
Discriminator = Literal["style", "patch", "clip"]


@dataclass(frozen=True)
class Recipe:
    """A phase whole.

    network: decides which phase it is. loss: of a tokenizer. discriminator: StyleGAN2's,
    PatchGAN, or of videos StyleGAN2's over whole clips. channels: of StyleGAN2's layer at one
    pixel. base_lr: rate for a batch of one image, which the batch multiplies, as the paper has
    it; 0: the run's own lr. given: names of settings that were set, which others then follow or
    are checked against.
    """

    network: Network
    data: BatchConfig
    run: PhaseConfig
    loss: TokenizerLoss = field(default_factory=TokenizerLoss)
    discriminator: Discriminator = "style"
    channels: int = 32768
    base_lr: float = 0.0
    given: frozenset[str] = field(default=frozenset(), metadata=NO_SETTING)

    @property
    def task(self) -> str:
        """The word of the command line for it: tokenizer, prior or masked-lm."""
        kinds = {ViTConfig: "tokenizer", ARPriorConfig: "prior", MaskedLMConfig: "masked-lm"}
        return kinds[type(self.network)]


def _image(bits: int, side: int = 256) -> Recipe:
    """ImageNet at 256 x 256, 8 GPUs with 32 images each, a million steps.

    At 128 x 128 what the paper's videos and masked LM begin from.
    """
    return Recipe(
        sized("base", bits, (side, side)),
        BatchConfig(side, batch=256, workers=8),
        PhaseConfig(lr_end=0.5),
        TokenizerLoss(pixel="l1"),
        base_lr=4e-7,
    )


def _video(bits: int) -> Recipe:
    """UCF-101 in clips of 16 x 128 x 128, from the weights of an image tokenizer, 500k steps."""
    return Recipe(
        sized("base", bits, (128, 128), 16),
        BatchConfig(128, frames=16, batch=64, workers=8),
        PhaseConfig(steps=500_000, lr_end=0.5),
        TokenizerLoss(pixel="l1"),
        base_lr=4e-7,
    )


def _prior(frames: int) -> Recipe:
    """The prior of 24 layers; batches of 64 on 8 GPUs."""
    return Recipe(
        ARPriorConfig(frames=frames),
        BatchConfig(128, frames=frames, batch=64, workers=8),
        PhaseConfig(lr=1e-4, betas=(0.9, 0.96), weight_decay=0.045),
    )


def _masked() -> Recipe:
    """ImageNet at 128 x 128, batches of 1024, a million steps."""
    return Recipe(
        MaskedLMConfig(classes=1000),
        BatchConfig(128, batch=1024, flip=True, workers=8),
        PhaseConfig(lr=1e-4, betas=(0.9, 0.96), weight_decay=0.045),
    )


_SMALL_RUN = PhaseConfig(steps=4000, lr=1e-3, warmup=100, ema=0.995, bf16=False, log_steps=20)
# A tenth of a second a step on one core, without an adversary.
_TINY = TransformerConfig(width=128, layers=3, heads=4, hidden=512)
_TINY_LM = replace(_TINY, layers=4, dropout=0.0)


def small_image() -> Recipe:
    """A tokenizer of images of 64 x 64 with 18 bits, on a CPU."""
    config = replace(sized("tiny", 18, (64, 64)), transformer=_TINY)
    loss = TokenizerLoss(gan=0.0, ramp_steps=200)
    return Recipe(config, BatchConfig(64, batch=8), _SMALL_RUN, loss)


def small_image_gan() -> Recipe:
    """The same with its adversary, from step 500 on."""
    loss = TokenizerLoss(gan=0.02, gan_from=500, ramp_steps=200)
    return replace(small_image(), loss=loss, channels=1024)


def small_video() -> Recipe:
    """Clips of 4 x 64 x 64, from the weights of small-image."""
    recipe = small_image()
    assert isinstance(recipe.network, ViTConfig)
    return replace(
        recipe,
        network=replace(recipe.network, frames=4),
        data=BatchConfig(64, frames=4, batch=4),
        run=replace(_SMALL_RUN, lr=3e-4),
        loss=replace(recipe.loss, ramp=1.0),
    )


def small_prior() -> Recipe:
    """The autoregressive prior over the tokens of small-image."""
    return Recipe(
        ARPriorConfig(_TINY_LM, SubTokens(18, 6), (8, 8)), BatchConfig(64, batch=8), _SMALL_RUN
    )


def small_video_prior() -> Recipe:
    """The same over clips of small-video."""
    return Recipe(
        ARPriorConfig(_TINY_LM, SubTokens(18, 6), (8, 8), 4),
        BatchConfig(64, frames=4, batch=4),
        _SMALL_RUN,
    )


def small_masked() -> Recipe:
    """The masked LM over the tokens of small-image; classes are those of the folder."""
    config = MaskedLMConfig(replace(_TINY_LM, pre_norm=False), SubTokens(18, 6), (8, 8))
    return Recipe(config, BatchConfig(64, batch=16), replace(_SMALL_RUN, lr=5e-4))


RECIPES: Mapping[str, Callable[[], Recipe]] = {
    "paper-image-18": lambda: _image(18),
    "paper-image-36": lambda: _image(36),
    "paper-image-128-18": lambda: _image(18, 128),
    "paper-image-128-36": lambda: _image(36, 128),
    "paper-video-18": lambda: _video(18),
    "paper-video-36": lambda: _video(36),
    "paper-prior-image": lambda: _prior(1),
    "paper-prior-video": lambda: _prior(16),
    "paper-masked-lm": _masked,
    "small-image": small_image,
    "small-image-gan": small_image_gan,
    "small-video": small_video,
    "small-prior": small_prior,
    "small-video-prior": small_video_prior,
    "small-masked-lm": small_masked,
}


def configured(
    name: str,
    job: str,
    batch: int | None = None,
    changes: Mapping[str, Any] | None = None,
    discriminator: Discriminator | None = None,
    *,
    lpips: bool = True,
    sets: Sequence[str] = (),
) -> Recipe:
    """A recipe with other values of its settings.

    batch, changes: the batch and fields of PhaseConfig. lpips False: without that term of the loss.
    sets: `name=value` texts for any setting, see bsqav.training.common.changes. Size and frames
    of a tokenizer and of its data follow each other; the rate follows the batch where the recipe's
    does and run.lr is not set. Raises UsageError for a name that is not known, or one of another
    job, for an discriminator where the recipe has none, and for what contradicts itself.
    """
    known = {n for n, made in RECIPES.items() if made().task == job}
    if name not in known:
        raise UsageError(f"no recipe {name!r} for {job}; there are {', '.join(sorted(known))}")
    recipe, given = changed(RECIPES[name](), sets)
    if recipe.task != job:
        raise UsageError(f"--set network: that is a {recipe.task}, not a {job}")
    options = {"data.batch": batch, **{f"run.{field}": v for field, v in (changes or {}).items()}}
    refuse_twice(given, options)
    data = recipe.data if batch is None else replace(recipe.data, batch=batch)
    run = replace(recipe.run, **(changes or {}))
    recipe = replace(recipe, data=data, given=given)
    if recipe.task == "tokenizer":
        recipe = _same_size(recipe)
    if recipe.base_lr and "run.lr" not in given:
        run = replace(run, lr=recipe.base_lr * recipe.data.batch)
    if discriminator is not None and (recipe.task != "tokenizer" or not recipe.loss.gan):
        raise UsageError(f"{name} has no adversary: take a recipe with one, small-image-gan say")
    loss = recipe.loss if lpips else replace(recipe.loss, lpips=0.0)
    return replace(recipe, run=run, loss=loss, discriminator=discriminator or recipe.discriminator)


def _same_size(recipe: Recipe) -> Recipe:
    """A tokenizer's recipe whose network and data agree on size and frames.

    What was set decides; raises UsageError where both were and differ.
    """
    network, data, given = recipe.network, recipe.data, recipe.given
    assert isinstance(network, ViTConfig)
    if "data.side" in given and "network.size" not in given:
        network = replace(network, size=(data.side, data.side))
    if "data.frames" in given and "network.frames" not in given:
        network = replace(network, frames=data.frames)
    if "network.frames" in given and "data.frames" not in given:
        data = replace(data, frames=network.frames)
    if "network.size" in given and "data.side" not in given:
        data = replace(data, side=network.size[0])
    if network.size != (data.side, data.side) or network.frames != data.frames:
        raise UsageError(
            f"the tokenizer is for {network.size[0]} x {network.size[1]} pixels and "
            f"{network.frames} frames, its data have {data.side} x {data.side} and {data.frames}"
        )
    return replace(recipe, network=network, data=data)
