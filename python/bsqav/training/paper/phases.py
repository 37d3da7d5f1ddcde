"""What each phase of the paper minimizes: the tokenizer, the prior over its tokens, the masked LM.

Pixels come as uint8 and are scaled to -1 .. 1 here.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from bsqav.errors import UsageError
from bsqav.nn.paper.adversarial import discriminator_loss, generator_loss, r1_penalty
from bsqav.nn.paper.arprior import ARPrior
from bsqav.nn.paper.bsqvit import BSQViT
from bsqav.nn.paper.fingerprints import fingerprint
from bsqav.nn.paper.lpips import LPIPS
from bsqav.nn.paper.maskedlm import MaskedLM
from bsqav.nn.paper.quantizers import BinarySphericalQuantizer

__all__ = [
    "MaskedPhase",
    "Phase",
    "PriorPhase",
    "TokenPhase",
    "TokenizerLoss",
    "TokenizerPhase",
    "to_unit",
]

Figures = dict[str, Tensor]


def to_unit(pixels: Tensor) -> Tensor:
    """uint8 -> float32 from -1 to 1."""
    return pixels.float() / 127.5 - 1


class Phase(ABC):
    """A network to train, what it minimizes, and an discriminator where it has one.

    metric: the figure that tells weights apart in validation.
    """

    net: nn.Module
    discriminator: nn.Module | None = None
    metric = "loss"
    larger_is_better = False

    @abstractmethod
    def loss(self, pixels: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Figures]:
        """Of a batch: a scalar, and figures to log."""

    def discriminator_loss_of(self, pixels: Tensor, step: int) -> tuple[Tensor, Figures] | None:
        """What the discriminator minimizes on a batch of `loss`; None: no step of it now.

        Where `loss` was called several times, this is called as often, in the same order.
        """
        del pixels, step
        return None

    @abstractmethod
    def measuring(self, net: nn.Module) -> Phase:
        """The same with other weights, without an discriminator, to measure them."""


@dataclass(frozen=True)
class TokenizerLoss:
    """Weights of the tokenizer's loss; the defaults are the paper's (section 3.3 and appendix).

    pixel: l2, the paper's text, or l1, its published program. lpips: of a trunk and heads that the
    user gives. gan: from step gan_from on. r1: gamma of the penalty on every r1_every-th step of
    the discriminator. ramp: the quantizer's loss counts that many times at first, falling to 1
    within ramp_steps.
    """

    pixel: Literal["l1", "l2"] = "l2"
    lpips: float = 0.1
    gan: float = 0.1
    gan_from: int = 0
    r1: float = 10.0
    r1_every: int = 16
    ramp: float = 3.0
    ramp_steps: int = 2000


class TokenizerPhase(Phase):
    """Reconstruction, LPIPS, an adversary and the quantizer's entropy."""

    metric = "psnr"
    larger_is_better = True

    def __init__(
        self,
        net: BSQViT,
        weights: TokenizerLoss,
        discriminator: nn.Module | None = None,
        lpips: LPIPS | None = None,
    ) -> None:
        if weights.gan > 0 and discriminator is None:
            raise UsageError("a weight of gan above 0 needs a discriminator")
        if weights.lpips > 0 and lpips is None:
            raise UsageError("a weight of lpips above 0 needs its network")
        self.net, self.weights, self.discriminator, self.lpips = net, weights, discriminator, lpips
        self.tokenizer = net
        self._fakes: list[Tensor] = []

    def measuring(self, net: nn.Module) -> Phase:
        """See Phase."""
        assert isinstance(net, BSQViT)
        weights = replace(self.weights, gan=0.0, ramp=1.0)
        return TokenizerPhase(net, weights, None, self.lpips)

    def loss(self, pixels: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Figures]:
        """See Phase; psnr is in dB, of values clamped to the range; entropies are in bits."""
        del labels
        x, weights = to_unit(pixels), self.weights
        found = self.net(x)
        y, tokens = found.pixels.float(), found.tokens
        gap = y - x
        pixel = gap.abs().mean() if weights.pixel == "l1" else gap.square().mean()
        left = max(0.0, 1 - step / weights.ramp_steps) if weights.ramp_steps else 0.0
        total = pixel + (1 + (weights.ramp - 1) * left) * tokens.loss
        clamped = (y.detach().clamp(-1, 1) - x).square().mean().clamp_min(1e-10)
        figures = {
            "pixel": pixel,
            "psnr": 10 * torch.log10(4 / clamped),
            "sample_bits": tokens.sample_entropy / math.log(2),
            "batch_bits": tokens.batch_entropy / math.log(2),
        }
        if self.lpips is not None and weights.lpips > 0:
            figures["lpips"] = self.lpips(x, y).mean()
            total = total + weights.lpips * figures["lpips"]
        if self.discriminator is not None and weights.gan > 0 and step >= weights.gan_from:
            self._fakes.append(y.detach())
            self.discriminator.requires_grad_(False)
            figures["gan"] = generator_loss(self.discriminator(y))
            self.discriminator.requires_grad_(True)
            total = total + weights.gan * figures["gan"]
        return total, figures

    def discriminator_loss_of(self, pixels: Tensor, step: int) -> tuple[Tensor, Figures] | None:
        """See Phase."""
        if self.discriminator is None or not self._fakes:
            return None
        x, weights = to_unit(pixels), self.weights
        real, fake = self.discriminator(x), self.discriminator(self._fakes.pop(0))
        loss = discriminator_loss(real, fake)
        figures = {"discriminator": loss, "real": real.mean(), "fake": fake.mean()}
        if weights.r1 > 0 and (step + 1) % weights.r1_every == 0:
            with torch.autocast(x.device.type, enabled=False):
                figures["r1"] = r1_penalty(self.discriminator, x)
            loss = loss + weights.r1 / 2 * weights.r1_every * figures["r1"]
        return loss, figures


class TokenPhase(Phase):
    """A phase on the tokens of a finished tokenizer.

    tokenizer: the tokenizer, or, where the data are tokens already, its fingerprint alone.
    tokenizer_id: the fingerprint, which the network keeps. Raises UsageError where the bits differ.
    """

    def __init__(self, net: ARPrior | MaskedLM, tokenizer: BSQViT | str) -> None:
        self.tokenizer: BSQViT | None = None
        if isinstance(tokenizer, str):
            self.tokenizer_id = net.tokenizer_id = tokenizer
            return
        quantizer, bits = tokenizer.quantizer, net.config.tokens.bits
        if not isinstance(quantizer, BinarySphericalQuantizer) or quantizer.dim != bits:
            raise UsageError(f"the model is for tokens of {bits} bits, the tokenizer's are others")
        self.tokenizer_id = net.tokenizer_id = fingerprint(tokenizer)
        self.tokenizer = tokenizer.eval().requires_grad_(False)

    def indices(self, pixels: Tensor) -> Tensor:
        """[B, (T,) H, W] of a batch of pixels, or of indices themselves."""
        if self.tokenizer is None:
            return pixels
        return self.tokenizer.tokenize(to_unit(pixels))


class PriorPhase(TokenPhase):
    """Cross-entropy of the autoregressive prior. Raises UsageError where the bits differ."""

    metric = "bits_per_token"

    def __init__(self, net: ARPrior, tokenizer: BSQViT | str) -> None:
        super().__init__(net, tokenizer)
        self.net = net
        self.prior = net

    def measuring(self, net: nn.Module) -> Phase:
        """See Phase."""
        assert isinstance(net, ARPrior)
        return PriorPhase(net, self.tokenizer or self.tokenizer_id)

    def loss(self, pixels: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Figures]:
        """See Phase."""
        del labels, step
        loss = self.prior.loss(self.indices(pixels))
        groups = self.prior.config.tokens.groups
        return loss, {"bits_per_token": loss * groups / math.log(2)}


class MaskedPhase(TokenPhase):
    """Cross-entropy of masked sub-tokens. Raises UsageError where the bits differ.

    seed: of masks and dropped labels.
    """

    def __init__(self, net: MaskedLM, tokenizer: BSQViT | str, seed: int = 0) -> None:
        super().__init__(net, tokenizer)
        self.net, self.seed = net, seed
        self.model = net

    def measuring(self, net: nn.Module) -> Phase:
        """See Phase."""
        assert isinstance(net, MaskedLM)
        return MaskedPhase(net, self.tokenizer or self.tokenizer_id, self.seed)

    def loss(self, pixels: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Figures]:
        """See Phase."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        given = labels if self.model.config.classes else None
        return self.model.loss(self.indices(pixels), given, generator), {}
