"""Binary Spherical Quantization: latents onto the unit sphere, and each sign is one bit.

Source: arXiv 2406.07548, section 3: u = v / |v|, û = sign(u) / sqrt(L), so that the codebook of
2^L corners needs no memory. For every u, |u - û| <= sqrt(2 - 2 / sqrt(L)) < sqrt(2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from bsqav import ops
from bsqav.errors import UsageError
from bsqav.nn.paper.quantizers.base import Quantized, Quantizer
from bsqav.ops.entropy import check_entropy, soft_bit_terms
from bsqav.ops.sphere import direction

__all__ = ["BSQConfig", "BinarySphericalQuantizer"]

MAX_BITS = 64


@dataclass(frozen=True)
class BSQConfig:
    """Of a BinarySphericalQuantizer.

    Attributes:
        bits: L, from 1 to 64.
        tau: the soft assignment's inverse temperature. The published program's inv_temperature of
            1 is tau = 2.
        group_size: bits whose joint distribution the entropy over the batch is taken of, a divisor
            of L up to 20: 1 is the paper's approximation by single bits, L is exact.
        gamma: weight of the batch's entropy against that of a sample (the paper's gamma).
        weight: weight of both in the loss.
        commitment: weight of |u - û|^2; the paper needs none.
        zero_bit: the bit of a latent that is 0. 1 is the paper's sign(0) = +1 and the codec's; the
            published program has 0.
        most_first: whether component 0 is the index's most significant bit, as the published
            program has it, instead of the least significant, as the codec has it.
        gradient_scale: what gradients are multiplied by. The published program has 1/sqrt(L),
            its identity being around the sign alone.
    """

    bits: int = 18
    tau: float = 2.0
    group_size: int = 1
    gamma: float = 1.0
    weight: float = 0.1
    commitment: float = 0.0
    zero_bit: int = 1
    most_first: bool = False
    gradient_scale: float = 1.0


class BinarySphericalQuantizer(Quantizer):
    """The paper's quantizer, up to 64 bits, with exact integer indices.

    An index of 64 bits is in two's complement, as `bsqav.ops.pack_bits` has it.

    Args:
        config: a configuration, or its number of bits alone.
        dim: channels of the features around it: a linear layer leads to L latents and another one
            back, as in other libraries' quantizers. None: latents are L long, without layers.
        channel_first: features are [B, dim, ...] (images [B, C, H, W], videos [B, C, T, H, W])
            instead of [..., dim].

    Raises UsageError for a configuration out of range.
    """

    config: BSQConfig

    def __init__(
        self,
        config: BSQConfig | int | None = None,
        *,
        dim: int | None = None,
        channel_first: bool = False,
    ) -> None:
        config = BSQConfig(config) if isinstance(config, int) else config or BSQConfig()
        if not 1 <= config.bits <= MAX_BITS:
            raise UsageError(f"a token of BSQ has from 1 to {MAX_BITS} bits, not {config.bits}")
        if config.zero_bit not in (0, 1):
            raise UsageError(f"zero_bit is 0 or 1, not {config.zero_bit}")
        if dim is not None and dim < 1:
            raise UsageError(f"features have at least one channel, not {dim}")
        check_entropy(torch.empty(1, config.bits), config.tau, config.group_size)
        super().__init__(config.bits if dim is None else dim, 2**config.bits)
        self.config, self.channel_first = config, channel_first
        self.project_in = None if dim is None else nn.Linear(dim, config.bits)
        self.project_out = None if dim is None else nn.Linear(config.bits, dim)
        # In several processes: a mean over all of them, so that the entropy is of the whole batch.
        self.average: Callable[[Tensor], Tensor] | None = None

    def forward(self, z: Tensor) -> Quantized:
        """Features [..., dim] or [B, dim, ...] -> vectors of their shape, indices and loss.

        Without dim features are latents z [..., L] of any norm and vectors their corners û. The
        loss is weight * (H[q(c|u)] - gamma * H[E q(c|u)]) + commitment * |u - û|^2, a mean over
        latents (equations of section 3 of the paper). The gradient of û is straight through to
        u = z / |z|. A latent that is not finite gives NaN, and an index whose
        bits are 0 where it is NaN.

        Raises UsageError for features of another length or of no floating point dtype.
        """
        z = self._latents(z)
        config = self.config
        vectors = ops.quantize(self._signed(z))
        if config.gradient_scale != 1:
            vectors = _ScaledGradient.apply(vectors, config.gradient_scale)  # type: ignore[no-untyped-call]
        samples, batch = self._entropies(z)
        sample = samples.mean()
        loss = config.weight * (sample - config.gamma * batch)
        if config.commitment:
            gap = ops.project(z).to(loss.dtype) - vectors.detach().to(loss.dtype)
            loss = loss + config.commitment * gap.square().sum(-1).mean()
        indices = self._indices(z)
        return Quantized(self._features(vectors), indices, loss, sample.detach(), batch.detach())

    def _entropies(self, z: Tensor) -> tuple[Tensor, Tensor]:
        config = self.config
        if self.average is None:
            return ops.entropy_terms(z, config.tau, config.group_size)
        with torch.autocast(z.device.type, enabled=False):
            logits = direction(z)[0] * (2 * config.tau / math.sqrt(config.bits))
            return soft_bit_terms(logits, config.group_size, self.average)

    @torch.no_grad()
    def indices_of(self, z: Tensor) -> Tensor:
        """Indices [...], int64, of features as forward takes them. NaN counts as 0 bits."""
        return self._indices(self._latents(z))

    @torch.no_grad()
    def vectors_of(self, indices: Tensor) -> Tensor:
        """Indices [...], int64 -> vectors as forward gives them, in float32.

        Without dim corners û [..., L], +-1/sqrt(L). Raises UsageError for another dtype or an
        index beyond L bits.
        """
        corners = ops.unpack_bits(indices, self.config.bits)
        return self._features(corners.flip(-1) if self.config.most_first else corners)

    def extra_repr(self) -> str:
        """For print."""
        config = self.config
        parts = [f"bits={config.bits}", f"tau={config.tau}", f"group_size={config.group_size}"]
        if self.project_in is not None:
            parts.insert(0, f"dim={self.dim}")
        return ", ".join([*parts, *(["channel_first=True"] if self.channel_first else [])])

    def _latents(self, x: Tensor) -> Tensor:
        """Features -> latents [..., L]. Raises UsageError for others."""
        if self.channel_first and x.dim() > 1:
            x = x.movedim(1, -1)
        self.check_latents(x)
        return x if self.project_in is None else cast(Tensor, self.project_in(x))

    def _features(self, vectors: Tensor) -> Tensor:
        if self.project_out is not None:
            vectors = self.project_out(vectors)
        return vectors.movedim(-1, 1) if self.channel_first else vectors

    def _indices(self, z: Tensor) -> Tensor:
        signs = self._signed(z.detach()) >= 0
        return ops.pack_bits(signs.flip(-1) if self.config.most_first else signs)

    def _signed(self, z: Tensor) -> Tensor:
        """z, or with zero_bit 0 the same with the least negative normal number for zeros."""
        if self.config.zero_bit:
            return z
        return torch.where(z == 0, -torch.finfo(z.dtype).tiny, z)


class _ScaledGradient(torch.autograd.Function):
    """The identity, exactly, whose gradient is multiplied by a number."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad * ctx.scale, None
