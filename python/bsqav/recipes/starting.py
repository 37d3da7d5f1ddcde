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
from bsqav.nn.paper.store import load_model
from bsqav.recipes.paper import Recipe
from bsqav.training.common.placement import place
from bsqav.training.common.setup import START, Setting, digest_of_file, settings_of
from bsqav.training.paper.image_sources import Matrix
from bsqav.training.paper.images import DataFolder, PictureFolder
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
    pictures: Path,
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
) -> PhaseTrainer:
    """The trainer of a recipe, ready to resume or to train.

    pictures: folder of pictures or videos. folder: of the run. tokenizer: a tokenizer's file, for
    the phases on tokens. tokens: `pictures` holds shards of tokens (see
    bsqav.training.paper.token_shards), and a tokenizer is compared with them. weights: what a
    tokenizer starts from; one of pictures is inflated to videos. lpips: files of its weights, where
    it is in the loss. listed, skip_damaged, matrix: see PictureFolder. Raises UsageError and
    ModelError for what does not fit.
    """
    _check_lpips(recipe, lpips)
    where = place(device)
    known: BSQViT | str | None = None
    source: DataFolder | None = None
    if recipe.job != "tokenizer":
        if weights is not None:
            raise UsageError("weights to start from are for tokenizers")
        if tokens:
            source = TokenFolder(pictures)
            known = _tokens_of(source, recipe, tokenizer)
            recipe = following(recipe, _kind_of_tokens(source))
        else:
            known = _finished_tokenizer(recipe, tokenizer)
            recipe = following(recipe, _kind_of(known, recipe))
    if source is None:
        frames = recipe.data.frames
        source = PictureFolder(pictures, frames, listed, skip_damaged=skip_damaged, matrix=matrix)
    phase = _phase(recipe, len(source.classes), known, weights, lpips)
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
    return found if weights is None else {**found, START: digest_of_file(model_path(weights))}


def _finished_tokenizer(recipe: Recipe, path: Path | None) -> BSQViT:
    if path is None:
        raise UsageError(
            f"a {recipe.job} is trained on a tokenizer's tokens: name its file, or shards of them"
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
) -> Phase:
    torch.manual_seed(recipe.run.seed)
    network = recipe.network
    if isinstance(network, ViTConfig):
        net = BSQViT(network) if weights is None else _started(weights, network)
        opponent = _discriminator(recipe) if recipe.loss.gan > 0 else None
        return TokenizerPhase(net, recipe.loss, opponent, LPIPS(*lpips) if lpips else None)
    assert tokenizer is not None
    if isinstance(network, ARPriorConfig):
        return PriorPhase(ARPrior(network), tokenizer)
    if classes:
        network = replace(network, classes=classes)
    return MaskedPhase(MaskedLM(network), tokenizer, recipe.run.seed)


def _discriminator(recipe: Recipe) -> nn.Module:
    if recipe.opponent == "patch":
        return PatchDiscriminator()
    side, frames = recipe.data.side, recipe.data.frames
    if recipe.opponent == "style":
        return StyleDiscriminator(side, channels=recipe.channels)
    if frames < 2:
        raise UsageError("the discriminator of clips is for tokenizers of videos")
    return ClipDiscriminator(side, frames, channels=recipe.channels)


def _started(path: Path, network: ViTConfig) -> BSQViT:
    """A tokenizer of the configuration from a file's weights."""
    model = load_model(path, BSQViT)
    if model.config.frames == 1 and network.frames > 1:
        model = inflate(model, network.frames, network.size)
    if model.config != network:
        raise ModelError(f"{path} holds a tokenizer of another configuration")
    return model
