"""Adversarial losses: what generator and discriminator minimize, and the R1 penalty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["GanLoss", "discriminator_loss", "generator_loss", "r1_penalty"]

GanLoss = Literal["logistic", "hinge"]


def generator_loss(fake: Tensor, kind: GanLoss = "logistic") -> Tensor:
    """Of the discriminator's logits on reconstructions, any shape -> a scalar.

    logistic: -log sigmoid, the non-saturating loss of the paper; hinge: the negative mean.
    """
    return F.softplus(-fake).mean() if kind == "logistic" else -fake.mean()


def discriminator_loss(real: Tensor, fake: Tensor, kind: GanLoss = "logistic") -> Tensor:
    """Of logits on images and on reconstructions -> a scalar, half the sum of both sides."""
    if kind == "logistic":
        return (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2
    return (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2


def r1_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Mean squared norm of the gradient at real images [B, ...] (R1, arXiv 1801.04406).

    A scalar that can be differentiated by the discriminator's weights. The loss takes gamma / 2 of
    it; where it is computed every 16 steps only, as in the paper's recipe, 16 times that.
    """
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()
