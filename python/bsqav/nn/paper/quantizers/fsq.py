"""Finite Scalar Quantization (arXiv 2309.15505): each component rounded to one of a few levels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bsqav.errors import UsageError
from bsqav.nn.paper.quantizers.base import Quantized, Quantizer, index_entropy, straight_through

__all__ = ["FSQConfig", "FiniteScalarQuantizer"]

# The paper's levels for about 2^8, 2^10, 2^12, 2^14 and 2^16 codes.
LEVELS = {8: (8, 6, 5), 10: (8, 5, 5, 5), 12: (7, 5, 5, 5, 5), 14: (8, 8, 8, 6, 5)}
LEVELS[16] = (8, 8, 8, 5, 5, 5)
MAX_BITS = 63
# Keeps the outermost levels of an even number within reach of the bounded latent.
SLACK = 1e-3


@dataclass(frozen=True)
class FSQConfig:
    """Of a FiniteScalarQuantizer, with its arguments."""

    levels: tuple[int, ...] = LEVELS[16]


class FiniteScalarQuantizer(Quantizer):
    """FSQ of a component for each level.

    levels: number of values of each component, 3 or more (for 2, whose bounded latents the paper's
    formula all but fixes, take LookupFreeQuantizer); their product fits in 63 bits. Component 0 is
    the lowest digit of an index. Raises UsageError for other levels.
    """

    config: FSQConfig
    levels: Tensor
    places: Tensor

    def __init__(self, levels: Sequence[int] = LEVELS[16]) -> None:
        if not levels or min(levels) < 3 or math.prod(levels) > 2**MAX_BITS:
            raise UsageError(
                f"levels are at least 3 each with a product up to 2^{MAX_BITS}, not {list(levels)}"
            )
        super().__init__(len(levels), math.prod(levels))
        self.config = FSQConfig(tuple(levels))
        # On the CPU where weights are made on the meta device, since files do not hold them.
        self.register_buffer("levels", torch.tensor(levels, device="cpu"), persistent=False)
        places = [math.prod(levels[:i]) for i in range(len(levels))]
        self.register_buffer("places", torch.tensor(places, device="cpu"), persistent=False)

    def forward(self, z: Tensor) -> Quantized:
        """Latents z [..., D] -> vectors [..., D] in [-1, 1], indices [...]; the loss is 0.

        Each component is bounded by tanh to its range and rounded, with the gradient of the bounded
        value. Raises UsageError for other shapes or dtypes.
        """
        self.check_latents(z)
        wide = z if z.dtype == torch.float64 else z.float()
        bounded = self._bound(wide)
        rounded = straight_through(bounded, bounded.round())
        half = self.levels // 2
        indices = ((rounded.detach().long() + half) * self.places).sum(-1)
        none = rounded.new_zeros(())
        return Quantized((rounded / half).to(z.dtype), indices, none, none, index_entropy(indices))

    @torch.no_grad()
    def vectors_of(self, indices: Tensor) -> Tensor:
        """Indices [...], int64 -> vectors [..., D] in float32, multiples of 1 / (levels // 2)."""
        self.check_indices(indices)
        half = self.levels // 2
        digits = indices.unsqueeze(-1) // self.places % self.levels
        return (digits - half).float() / half

    def extra_repr(self) -> str:
        """For print."""
        return f"levels={self.config.levels}"

    def _bound(self, z: Tensor) -> Tensor:
        """Into the open interval that rounds to -(levels // 2) .. (levels - 1) // 2."""
        span = (self.levels - 1).to(z.dtype) * (1 + SLACK) / 2
        offset = torch.where(self.levels % 2 == 0, 0.5, 0.0).to(z.dtype)
        shift = (offset / span).atanh()
        return (z + shift).tanh() * span - offset
