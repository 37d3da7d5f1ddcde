"""Recipes of the paper's phases brought to run: networks, data and files that fit together."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from bsqav.errors import ModelError, UsageError
from bsqav.nn.paper.arprior import ARPrior, ARPriorConfig
from bsqav.nn.paper.bsqvit import BSQViT, ViTConfig, inflate
from bsqav.nn.paper.discriminators import (
    ClipDiscriminator,
    PatchDiscriminator,
    StyleDiscriminator,
)
from bsqav.nn.paper.fingerprints import check_tokenizer
from bsqav.nn.paper.lpips import LPIPS
from bsqav.nn.paper.maskedlm import MaskedLM, MaskedLMConfig
from bsqav.nn.paper.pretrained import model_path
from bsqav.nn.paper.published import load_published
from bsqav.nn.paper.store import load_model
from bsqav.recipes.paper import Recipe
from bsqav.training.common.placement import place
from bsqav.training.common.setup import START, Setting, digest_of_file, settings_of
from bsqav.training.paper.image_sources import Matrix
from bsqav.training.paper.images import DataFolder, MediaFolder
from bsqav.training.paper.joint import JointFolder
from bsqav.training.paper.loop import PhaseTrainer
from bsqav.training.paper.phases import (
    MaskedPhase,
    Phase,
    PriorPhase,
    TokenizerPhase,
    TokenPhase,
)
from bsqav.training.paper.token_shards import TokenFolder

__all__ = ["TokenKind", "following", "start"]

# What a tokenizer of videos has of its own, when it starts from one of images.
VIDEO_SETTINGS = frozenset({"network.frames", "network.size"})


@dataclass(frozen=True)
class TokenKind:
    """What the tokens of a tokenizer are like.

    bits: of an index. grid: rows and columns of tokens. frames: of a clip, 1 of images. patch:
    pixels each way of a token, 0 where there are tokens alone.
    """

    bits: int
    grid: tuple[int, int]
    frames: int
    patch: int = 0


def start(
    recipe: Recipe,
    images: Path,
    folder: Path,
    *,
    device: str = "auto",
    tokenizer: Path | None = None,
    tokens: bool = False,
    weights: Path | None = None,
    lpips: tuple[Path, ...] = (),
    listed: Path | None = None,
    skip_damaged: bool = False,
    matrix: Matrix = "auto",
    validate: Path | None = None,
    stills: Path | None = None,
    published: bool = False,
) -> PhaseTrainer:
    """The trainer of a recipe, ready to resume or to train.

    images: folder of images or videos. folder: of the run. tokenizer: a tokenizer's file, for
    the phases on tokens. tokens: `images` holds shards of tokens (see
    bsqav.training.paper.token_shards), and a tokenizer is compared with them. weights: what a
    tokenizer starts from; one of images is inflated to videos. lpips: files of its weights, where
    it is in the loss. listed, skip_damaged, matrix: see MediaFolder. validate: data like
    `images` that are held out. stills: images that a tokenizer of videos is trained on as well, in
    data.image_share of the steps. published: the weights are a checkpoint of the authors' program,
    whose network is taken with its conventions. Raises UsageError and ModelError for what does not
    fit.
    """
    if published:
        recipe = _of_published(recipe, weights)
    _check_lpips(recipe, lpips)
    where = place(device)
    known: BSQViT | str | None = None
    source: DataFolder | None = None
    if recipe.task != "tokenizer":
        if weights is not None:
            raise UsageError("weights to start from are for tokenizers")
        if tokens:
            source = TokenFolder(images)
            known = _tokens_of(source, recipe, tokenizer)
            recipe = following(recipe, _kind_of_tokens(source))
        else:
            known = _finished_tokenizer(recipe, tokenizer)
            recipe = following(recipe, _kind_of(known, recipe))
    if source is None:
        frames = recipe.data.frames
        source = videos = MediaFolder(
            images, frames, listed, skip_damaged=skip_damaged, matrix=matrix
        )
        if stills is not None:
            _check_joint(recipe)
            source = JointFolder(videos, MediaFolder(stills, skip_damaged=skip_damaged))
    held_out: DataFolder | None = None
    if validate is not None and tokens:
        held_out = TokenFolder(validate)
        _same_tokens(source, held_out)
    elif validate is not None:
        held_out = MediaFolder(validate, recipe.data.frames, matrix=matrix)
    if held_out is not None and recipe.task == "masked-lm" and held_out.classes != source.classes:
        raise UsageError(f"{validate} has other classes than {images}")
    phase = _phase(recipe, len(source.classes), known, weights, lpips, published=published)
    inputs = _inputs(recipe, phase, weights, lpips)
    return PhaseTrainer(phase, recipe.run, recipe.data, source, folder, where, inputs, held_out)


def _check_joint(recipe: Recipe) -> None:
    if recipe.task != "tokenizer" or recipe.data.frames < 2:
        raise UsageError("images besides videos are for tokenizers of videos")
    if recipe.loss.gan > 0 and recipe.discriminator == "clip":
        raise UsageError("the discriminator of clips takes no images: take style or patch")


def _same_tokens(source: DataFolder, held_out: DataFolder) -> None:
    """Raises UsageError where two folders of tokens are not of one kind."""
    assert isinstance(source, TokenFolder)
    assert isinstance(held_out, TokenFolder)
    kinds = [(data.tokenizer, data.bits, data.shape) for data in (source, held_out)]
    if kinds[0] != kinds[1]:
        raise UsageError(f"{held_out.root} holds tokens of another kind than {source.root}")


def _of_published(recipe: Recipe, weights: Path | None) -> Recipe:
    """The recipe with the network of a checkpoint of the authors' program."""
    if recipe.task != "tokenizer" or weights is None:
        raise UsageError("--published is for tokenizers that start from a checkpoint")
    assert isinstance(recipe.network, ViTConfig)
    known, network = load_published(weights).config, recipe.network
    odd = sorted(n for n in recipe.given if n.startswith("network.") and n not in VIDEO_SETTINGS)
    if odd:
        raise UsageError(f"--set {odd[0]}: the network is that of the checkpoint {weights}")
    size = network.size if network.frames > 1 else known.size
    if size != network.size and recipe.given & {"data.side", "network.size"}:
        raise UsageError(f"{weights} is for {known.size[0]} x {known.size[1]} pixels")
    data = replace(recipe.data, side=size[0])
    network = replace(known, frames=network.frames, size=size)
    return replace(recipe, network=network, data=data)


def _check_lpips(recipe: Recipe, lpips: tuple[Path, ...]) -> None:
    """Raises UsageError where a loss with LPIPS has no weights of it, or there is no such term."""
    wanted = recipe.task == "tokenizer" and recipe.loss.lpips > 0
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
        "discriminator": recipe.discriminator,
        "channels": recipe.channels,
        "lpips": " ".join(digest_of_file(path) for path in lpips),
    }
    return found if weights is None else {**found, START: digest_of_file(model_path(weights))}


def _finished_tokenizer(recipe: Recipe, path: Path | None) -> BSQViT:
    if path is None:
        raise UsageError(
            f"a {recipe.task} is trained on a tokenizer's tokens: name its file, or shards of them"
        )
    return load_model(path, BSQViT)


def _tokens_of(shards: TokenFolder, recipe: Recipe, tokenizer: Path | None) -> str:
    """The fingerprint of the tokenizer of shards, which one that is named must have."""
    if tokenizer is not None:
        check_tokenizer(shards.tokenizer, load_model(tokenizer, BSQViT), str(shards.root))
    if recipe.data.flip and not shards.flips:
        raise UsageError(
            f"the recipe mirrors half of its images, and {shards.root} has none that are: "
            "`bsqav tokenize --flips`, or --set data.flip=false"
        )
    return shards.tokenizer


def _kind_of(tokenizer: BSQViT, recipe: Recipe) -> TokenKind:
    known = tokenizer.config
    rows, columns = known.size
    if "data.side" in recipe.given:
        rows = columns = recipe.data.side
    if rows != columns:
        raise UsageError(f"the tokenizer is for {rows} x {columns} pixels: --set data.side=...")
    bits = math.ceil(tokenizer.quantizer.bits)
    grid = (rows // known.patch, columns // known.patch)
    return TokenKind(bits, grid, known.frames, known.patch)


def _kind_of_tokens(shards: TokenFolder) -> TokenKind:
    *frames, rows, columns = shards.shape
    return TokenKind(shards.bits, (rows, columns), *(frames or [1]))


def following(recipe: Recipe, kind: TokenKind) -> Recipe:
    """The recipe of a prior or masked LM for a tokenizer's tokens.

    Bits, grid, frames and the size of the data are the tokenizer's, except for a size of the data
    that was set, from which the grid follows. Raises UsageError for other settings that contradict
    the tokenizer, groups of bits that do not divide its tokens, and masked LMs of videos.
    """
    network, given = recipe.network, recipe.given
    assert not isinstance(network, ViTConfig)
    if isinstance(network, MaskedLMConfig) and kind.frames > 1:
        raise UsageError("a masked LM takes tokenizers of images, not of videos")
    expected: dict[str, object] = {
        "data.frames": kind.frames,
        "network.frames": kind.frames,
        "network.grid": kind.grid,
        "network.tokens.bits": kind.bits,
    }
    now = {"data.frames": recipe.data.frames, "network.grid": network.grid}
    now["network.tokens.bits"] = network.tokens.bits
    now["network.frames"] = network.frames if isinstance(network, ARPriorConfig) else 1
    for name in sorted(given & expected.keys()):
        if now[name] != expected[name]:
            raise UsageError(
                f"--set {name}={now[name]}: with this tokenizer it is {expected[name]}"
            )
    tokens = replace(network.tokens, bits=kind.bits)
    if kind.bits % tokens.group:
        raise UsageError(
            f"tokens of {kind.bits} bits do not divide into groups of {tokens.group}: "
            "--set network.tokens.group=..."
        )
    network = replace(network, tokens=tokens, grid=kind.grid)
    if isinstance(network, ARPriorConfig):
        network = replace(network, frames=kind.frames)
    data = replace(recipe.data, frames=kind.frames)
    if kind.patch:
        data = replace(data, side=kind.grid[0] * kind.patch)
    return replace(recipe, network=network, data=data)


def _phase(
    recipe: Recipe,
    classes: int,
    tokenizer: BSQViT | str | None,
    weights: Path | None,
    lpips: tuple[Path, ...],
    *,
    published: bool = False,
) -> Phase:
    torch.manual_seed(recipe.run.seed)
    network = recipe.network
    if isinstance(network, ViTConfig):
        net = BSQViT(network) if weights is None else _started(weights, network, published)
        discriminator = _discriminator(recipe) if recipe.loss.gan > 0 else None
        return TokenizerPhase(net, recipe.loss, discriminator, LPIPS(*lpips) if lpips else None)
    assert tokenizer is not None
    if isinstance(network, ARPriorConfig):
        return PriorPhase(ARPrior(network), tokenizer)
    if classes:
        network = replace(network, classes=classes)
    return MaskedPhase(MaskedLM(network), tokenizer, recipe.run.seed)


def _discriminator(recipe: Recipe) -> nn.Module:
    if recipe.discriminator == "patch":
        return PatchDiscriminator()
    side, frames = recipe.data.side, recipe.data.frames
    if recipe.discriminator == "style":
        return StyleDiscriminator(side, channels=recipe.channels)
    if frames < 2:
        raise UsageError("the discriminator of clips is for tokenizers of videos")
    return ClipDiscriminator(side, frames, channels=recipe.channels)


def _started(path: Path, network: ViTConfig, published: bool) -> BSQViT:
    """A tokenizer of the configuration from a file's weights."""
    model = load_published(path) if published else load_model(path, BSQViT)
    if model.config.frames == 1 and network.frames > 1:
        model = inflate(model, network.frames, network.size)
    if model.config != network:
        raise ModelError(f"{path} holds a tokenizer of another configuration")
    return model
