"""Lookup-Free Quantization (MAGVIT-v2, arXiv 2310.05737): signs without projection.

q = sign(z), codes at the corners of the cube [-1, 1]^L. The soft assignment of a latent,
proportional to exp(-tau |z - c|^2), has independent bits: bit d is 1 with probability
sigmoid(4 tau z_d).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bsqav import ops
from bsqav.errors import UsageError
from bsqav.nn.paper.quantizers.base import Quantized, Quantizer, straight_through
from bsqav.ops.entropy import check_entropy, soft_bit_terms

__all__ = ["LFQConfig", "LookupFreeQuantizer"]

MAX_BITS = 64


@dataclass(frozen=True)
class LFQConfig:
    """Of a LookupFreeQuantizer, with its arguments.

    Its tau of 1 is the sharpness of BSQ's tau of 2: there -tau |z - c|^2 is 2 tau c . u and a
    constant.
    """

    bits: int = 18
    tau: float = 1.0
    group_size: int = 1
    gamma: float = 1.0
    weight: float = 0.1
    commitment: float = 0.25


class LookupFreeQuantizer(Quantizer):
    """LFQ of up to 64 bits, with the entropy and commitment losses of its paper.

    bits: L. tau: inverse temperature of the soft assignment. group_size: bits whose joint
    distribution the entropy over the batch is taken of, a divisor of L up to 20. gamma: weight of
    the batch's entropy against that of a sample. weight: of both. commitment: weight of |z - q|^2.
    Raises UsageError for values out of range.
    """

    config: LFQConfig

    def __init__(
        self,
        bits: int = 18,
        *,
        tau: float = 1.0,
        group_size: int = 1,
        gamma: float = 1.0,
        weight: float = 0.1,
        commitment: float = 0.25,
    ) -> None:
        if not 1 <= bits <= MAX_BITS:
            raise UsageError(f"a token of LFQ has from 1 to {MAX_BITS} bits, not {bits}")
        check_entropy(torch.ones(1, bits), tau, group_size)
        super().__init__(bits, 2**bits)
        self.config = LFQConfig(bits, tau, group_size, gamma, weight, commitment)
        self.tau, self.group_size, self.gamma = tau, group_size, gamma
        self.weight, self.commitment = weight, commitment

    def forward(self, z: Tensor) -> Quantized:
        """Latents z [..., L] -> signs [..., L] of 1 and -1, indices [...], loss.

        The loss is weight * (H[q(c|z)] - gamma * H[E q(c|z)]) + commitment * |z - q|^2. Component
        i is bit i of an index; sign(0) = +1. Raises UsageError for other shapes or dtypes.
        """
        self.check_latents(z)
        with torch.autocast(z.device.type, enabled=False):
            wide = z if z.dtype == torch.float64 else z.float()
            sample_, batch = soft_bit_terms(4 * self.tau * wide, self.group_size)
            corners = torch.where(wide >= 0, 1.0, -1.0).to(wide.dtype)
            sample = sample_.mean()
            loss = self.weight * (sample - self.gamma * batch)
            loss = loss + self.commitment * (wide - corners).square().sum(-1).mean()
        vectors = straight_through(z, corners.to(z.dtype))
        indices = ops.pack_bits(z.detach() >= 0)
        return Quantized(vectors, indices, loss, sample.detach(), batch.detach())

    def extra_repr(self) -> str:
        """For print."""
        return f"bits={self.dim}, tau={self.tau}, group_size={self.group_size}"

    @torch.no_grad()
    def vectors_of(self, indices: Tensor) -> Tensor:
        """Indices [...], int64 -> [..., L] of 1 and -1 in float32."""
        return ops.unpack_bits(indices, self.dim).sign()
