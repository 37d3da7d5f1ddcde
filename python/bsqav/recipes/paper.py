"""Recipes of the paper's phases, with its hyperparameters, and small ones that run on a CPU.

Sources: arXiv 2406.07548, and the published program's configuration where the text is silent. The
paper's need several large GPUs and its data sets; the small ones show the same steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from bsqav.errors import ModelError, UsageError
from bsqav.nn.paper.arprior import ARPrior, ARPriorConfig
from bsqav.nn.paper.attention import TransformerConfig
from bsqav.nn.paper.bsqvit import BSQViT, ViTConfig, inflate, sized
from bsqav.nn.paper.discriminators import (
    ClipDiscriminator,
    PatchDiscriminator,
    StyleDiscriminator,
)
from bsqav.nn.paper.lpips import LPIPS
from bsqav.nn.paper.maskedlm import MaskedLM, MaskedLMConfig
from bsqav.nn.paper.store import load_model
from bsqav.nn.paper.subtokens import SubTokens
from bsqav.training.common.placement import place
from bsqav.training.common.setup import START, Setting, digest_of_file, settings_of
from bsqav.training.paper.image_sources import Matrix
from bsqav.training.paper.images import PictureConfig, PictureFolder
from bsqav.training.paper.loop import PhaseConfig, PhaseTrainer
from bsqav.training.paper.phases import (
    MaskedPhase,
    Phase,
    PriorPhase,
    TokenizerLoss,
    TokenizerPhase,
    TokenPhase,
)

__all__ = ["RECIPES", "Recipe", "configured", "start"]

Network = ViTConfig | ARPriorConfig | MaskedLMConfig
Opponent = Literal["style", "patch", "clip"]


@dataclass(frozen=True)
class Recipe:
    """A phase whole.

    network: decides which phase it is. loss: of a tokenizer. opponent: StyleGAN2's discriminator,
    PatchGAN, or of videos StyleGAN2's over whole clips. channels: of StyleGAN2's layer at one
    pixel. base_lr: rate for a batch of one picture, which the batch multiplies, as the paper has
    it; 0: the run's own lr.
    """

    network: Network
    data: PictureConfig
    run: PhaseConfig
    loss: TokenizerLoss = field(default_factory=TokenizerLoss)
    opponent: Opponent = "style"
    channels: int = 32768
    base_lr: float = 0.0

    @property
    def job(self) -> str:
        """The word of the command line for it: tokenizer, prior or masked-lm."""
        kinds = {ViTConfig: "tokenizer", ARPriorConfig: "prior", MaskedLMConfig: "masked-lm"}
        return kinds[type(self.network)]


def _image(bits: int) -> Recipe:
    """ImageNet at 256 x 256, 8 GPUs with 32 pictures each, a million steps."""
    return Recipe(
        sized("base", bits),
        PictureConfig(256, batch=256, workers=8),
        PhaseConfig(lr_end=0.5),
        TokenizerLoss(pixel="l1"),
        base_lr=4e-7,
    )


def _video(bits: int) -> Recipe:
    """UCF-101 in clips of 16 x 128 x 128, from the weights of an image tokenizer, 500k steps."""
    return Recipe(
        sized("base", bits, (128, 128), 16),
        PictureConfig(128, frames=16, batch=64, workers=8),
        PhaseConfig(steps=500_000, lr_end=0.5),
        TokenizerLoss(pixel="l1"),
        base_lr=4e-7,
    )


def _prior(frames: int) -> Recipe:
    """The prior of 24 layers; batches of 64 on 8 GPUs."""
    return Recipe(
        ARPriorConfig(frames=frames),
        PictureConfig(128, frames=frames, batch=64, workers=8),
        PhaseConfig(lr=1e-4, betas=(0.9, 0.96), weight_decay=0.045),
    )


def _masked() -> Recipe:
    """ImageNet at 128 x 128, batches of 1024, a million steps."""
    return Recipe(
        MaskedLMConfig(classes=1000),
        PictureConfig(128, batch=1024, flip=True, workers=8),
        PhaseConfig(lr=1e-4, betas=(0.9, 0.96), weight_decay=0.045),
    )


_SMALL_RUN = PhaseConfig(steps=4000, lr=1e-3, warmup=100, ema=0.995, bf16=False, log_steps=20)
# A tenth of a second a step on one core, without an adversary.
_TINY = TransformerConfig(width=128, layers=3, heads=4, hidden=512)
_TINY_LM = replace(_TINY, layers=4, dropout=0.0)


def small_image() -> Recipe:
    """A tokenizer of pictures of 64 x 64 with 18 bits, on a CPU."""
    config = replace(sized("tiny", 18, (64, 64)), transformer=_TINY)
    loss = TokenizerLoss(gan=0.0, ramp_steps=200)
    return Recipe(config, PictureConfig(64, batch=8), _SMALL_RUN, loss)


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
        data=PictureConfig(64, frames=4, batch=4),
        run=replace(_SMALL_RUN, lr=3e-4),
        loss=replace(recipe.loss, ramp=1.0),
    )


def small_prior() -> Recipe:
    """The autoregressive prior over the tokens of small-image."""
    return Recipe(
        ARPriorConfig(_TINY_LM, SubTokens(18, 6), (8, 8)), PictureConfig(64, batch=8), _SMALL_RUN
    )


def small_video_prior() -> Recipe:
    """The same over clips of small-video."""
    return Recipe(
        ARPriorConfig(_TINY_LM, SubTokens(18, 6), (8, 8), 4),
        PictureConfig(64, frames=4, batch=4),
        _SMALL_RUN,
    )


def small_masked() -> Recipe:
    """The masked LM over the tokens of small-image; classes are those of the folder."""
    config = MaskedLMConfig(replace(_TINY_LM, pre_norm=False), SubTokens(18, 6), (8, 8))
    return Recipe(config, PictureConfig(64, batch=16), replace(_SMALL_RUN, lr=5e-4))


RECIPES: Mapping[str, Callable[[], Recipe]] = {
    "paper-image-18": lambda: _image(18),
    "paper-image-36": lambda: _image(36),
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
    opponent: Opponent | None = None,
    *,
    lpips: bool = True,
) -> Recipe:
    """A recipe with other values of some fields of PhaseConfig, another batch or opponent if given.

    lpips False: without that term of the loss. The rate follows the batch where the recipe's does.
    Raises UsageError for a name that is not known, or one of another job, and for an opponent
    where the recipe has none.
    """
    known = {n for n, made in RECIPES.items() if made().job == job}
    if name not in known:
        raise UsageError(f"no recipe {name!r} for {job}; there are {', '.join(sorted(known))}")
    recipe = RECIPES[name]()
    data = recipe.data if batch is None else replace(recipe.data, batch=batch)
    run = replace(recipe.run, **(changes or {}))
    if recipe.base_lr:
        run = replace(run, lr=recipe.base_lr * data.batch)
    if opponent is not None and (recipe.job != "tokenizer" or not recipe.loss.gan):
        raise UsageError(f"{name} has no adversary: take a recipe with one, small-image-gan say")
    loss = recipe.loss if lpips else replace(recipe.loss, lpips=0.0)
    return replace(recipe, data=data, run=run, loss=loss, opponent=opponent or recipe.opponent)


def start(
    recipe: Recipe,
    pictures: Path,
    folder: Path,
    *,
    device: str = "auto",
    tokenizer: Path | None = None,
    weights: Path | None = None,
    lpips: tuple[Path, ...] = (),
    listed: Path | None = None,
    skip_damaged: bool = False,
    matrix: Matrix = "auto",
) -> PhaseTrainer:
    """The trainer of a recipe, ready to resume or to train.

    pictures: folder of pictures or videos. folder: of the run. tokenizer: a tokenizer's file, for
    the phases on tokens. weights: what a tokenizer starts from; one of pictures is inflated to
    videos. lpips: files of its weights, where it is in the loss. listed, skip_damaged, matrix: see
    PictureFolder. Raises UsageError and ModelError for what does not fit.
    """
    _check_lpips(recipe, lpips)
    where = place(device)
    source = PictureFolder(
        pictures, recipe.data.frames, listed, skip_damaged=skip_damaged, matrix=matrix
    )
    phase = _phase(recipe, len(source.classes), tokenizer, weights, lpips)
    inputs = _inputs(recipe, phase, weights, lpips)
    return PhaseTrainer(phase, recipe.run, recipe.data, source, folder, where, inputs)


def _check_lpips(recipe: Recipe, lpips: tuple[Path, ...]) -> None:
    """Raises UsageError where a loss with LPIPS has no weights of it, or there is no such term."""
    wanted = recipe.job == "tokenizer" and recipe.loss.lpips > 0
    if wanted and not lpips:
        raise UsageError(
            f"LPIPS is a part of this recipe's loss (weight {recipe.loss.lpips:g}): give its "
            "weights with --lpips TRUNK HEADS, or train without it with --no-lpips"
        )
    if lpips and not wanted:
        raise UsageError("weights of LPIPS are given, but it is no part of this recipe's loss")


def _inputs(
    recipe: Recipe, phase: Phase, weights: Path | None, lpips: tuple[Path, ...]
) -> dict[str, Setting]:
    """What a recipe has beyond its run and data, and digests of the files that it is given."""
    if isinstance(phase, TokenPhase):
        return {"tokenizer": phase.tokenizer_id}
    found = {
        **settings_of(recipe.loss, "loss."),
        "opponent": recipe.opponent,
        "channels": recipe.channels,
        "lpips": " ".join(digest_of_file(path) for path in lpips),
    }
    return found if weights is None else {**found, START: digest_of_file(weights)}


def _phase(
    recipe: Recipe,
    classes: int,
    tokenizer: Path | None,
    weights: Path | None,
    lpips: tuple[Path, ...],
) -> Phase:

    torch.manual_seed(recipe.run.seed)
    network = recipe.network
    if isinstance(network, ViTConfig):
        net = BSQViT(network) if weights is None else _started(weights, network)
        opponent = _discriminator(recipe) if recipe.loss.gan > 0 else None
        return TokenizerPhase(net, recipe.loss, opponent, LPIPS(*lpips) if lpips else None)
    if weights is not None:
        raise UsageError("weights to start from are for tokenizers")
    if tokenizer is None:
        raise UsageError(f"a {recipe.job} is trained on a tokenizer's tokens: name its file")
    known = _tokenizer(tokenizer)
    grid = recipe.data.side // known.config.patch
    network = replace(network, grid=(grid, grid))
    if isinstance(network, ARPriorConfig):
        return PriorPhase(ARPrior(network), known)
    if classes:
        network = replace(network, classes=classes)
    return MaskedPhase(MaskedLM(network), known, recipe.run.seed)


def _discriminator(recipe: Recipe) -> nn.Module:
    if recipe.opponent == "patch":
        return PatchDiscriminator()
    side, frames = recipe.data.side, recipe.data.frames
    if recipe.opponent == "style":
        return StyleDiscriminator(side, channels=recipe.channels)
    if frames < 2:
        raise UsageError("the discriminator of clips is for tokenizers of videos")
    return ClipDiscriminator(side, frames, channels=recipe.channels)


def _tokenizer(path: Path) -> BSQViT:
    return load_model(path, BSQViT)


def _started(path: Path, network: ViTConfig) -> BSQViT:
    """A tokenizer of the configuration from a file's weights."""
    model = _tokenizer(path)
    if model.config.frames == 1 and network.frames > 1:
        model = inflate(model, network.frames, network.size)
    if model.config != network:
        raise ModelError(f"{path} holds a tokenizer of another configuration")
    return model
