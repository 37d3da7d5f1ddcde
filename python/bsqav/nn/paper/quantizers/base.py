"""What every quantizer has: latents to vectors with a gradient, and integer indices both ways."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bsqav.errors import UsageError

__all__ = ["Quantized", "Quantizer", "index_entropy", "straight_through"]


class Quantized(NamedTuple):
    """Latents [..., D] after quantization.

    Attributes:
        vectors: [..., D] in the latents' dtype, with the quantizer's gradient.
        indices: [...], int64, without a gradient.
        loss: a scalar in float32 or wider, what the quantizer asks the tokenizer to minimize, 0
            where it asks nothing.
        sample_entropy: a scalar, the mean entropy of the soft assignment of a latent, in nats;
            0 where the quantizer has no soft assignment.
        batch_entropy: a scalar, the entropy of indices over the batch (soft where the quantizer
            has a soft assignment, which bounds it from above), in nats.
    """

    vectors: Tensor
    indices: Tensor
    loss: Tensor
    sample_entropy: Tensor
    batch_entropy: Tensor


class Quantizer(nn.Module, ABC):
    """A map from latents [..., dim] to one of `codes` vectors.

    Attributes:
        dim: length D of a latent.
        codes: number of different vectors, 2 ** L for L bits.
        config: what it was made of; None: a quantizer of another package, which a model's file
            cannot hold.
    """

    config: Any = None

    def __init__(self, dim: int, codes: int) -> None:
        super().__init__()
        self.dim, self.codes = dim, codes

    @property
    def bits(self) -> float:
        """Bits of one index where all are equally likely, log2 of the number of codes."""
        return math.log2(self.codes)

    @abstractmethod
    def forward(self, z: Tensor) -> Quantized:
        """Latents [..., dim] -> vectors, indices and loss. Raises UsageError for other shapes."""

    @abstractmethod
    def vectors_of(self, indices: Tensor) -> Tensor:
        """Indices [...], int64 -> vectors [..., dim] in float32, the very ones of forward.

        Raises UsageError for another dtype or an index that no vector has.
        """

    def check_latents(self, z: Tensor) -> None:
        """Raises UsageError unless z holds at least one latent of this quantizer."""
        if z.dim() == 0 or z.shape[-1] != self.dim or not z.is_floating_point():
            raise UsageError(
                f"latents must be floating point [..., {self.dim}], not {z.dtype} {tuple(z.shape)}"
            )
        if z.numel() == 0:
            raise UsageError(f"there is no latent to quantize; the shape is {tuple(z.shape)}")

    def check_indices(self, indices: Tensor) -> None:
        """Raises UsageError unless all are from 0 up to the number of codes."""
        if indices.dtype != torch.int64:
            raise UsageError(f"indices must be int64, not {indices.dtype}")
        if bool(((indices < 0) | (indices >= self.codes)).any()):
            raise UsageError(f"an index is not from 0 to {self.codes - 1}")


def straight_through(z: Tensor, value: Tensor) -> Tensor:
    """The value with the gradient of the identity to z."""
    return z + (value - z).detach()


def index_entropy(indices: Tensor) -> Tensor:
    """Entropy in nats of the indices' distribution over the batch, a scalar in float32."""
    counts = torch.unique(indices, return_counts=True)[1].float()
    terms: Tensor = torch.special.entr(counts / counts.sum())
    return terms.sum()
