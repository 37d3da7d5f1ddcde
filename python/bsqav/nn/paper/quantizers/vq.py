"""Vector quantization with a codebook in memory (VQ-VAE, arXiv 1711.00937).

With normalize the latents and codes lie on the unit sphere (ViT-VQGAN, arXiv 2110.04627), as in the
published program's VQ and, with a fixed codebook, its spherical lattice quantizer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bsqav.errors import UsageError
from bsqav.nn.paper.quantizers.base import Quantized, Quantizer, index_entropy, straight_through

__all__ = ["VQConfig", "VectorQuantizer"]

MAX_CODES = 1 << 24
# Products of latents and codes held at once, so that a large codebook needs little memory.
TABLE = 1 << 24


@dataclass(frozen=True)
class VQConfig:
    """Of a VectorQuantizer, with its arguments."""

    codes: int = 1024
    dim: int = 8
    normalize: bool = False
    commitment: float = 0.25
    trained: bool = True


class VectorQuantizer(Quantizer):
    """The nearest of `codes` vectors.

    normalize: latents and codes count by their direction alone. commitment: weight of
    |z - c|^2 towards the latent; the codebook's own term has weight 1. trained: False keeps the
    codebook as it is. Raises UsageError for sizes out of range.
    """

    config: VQConfig

    def __init__(
        self,
        codes: int,
        dim: int,
        *,
        normalize: bool = False,
        commitment: float = 0.25,
        trained: bool = True,
    ) -> None:
        if not 2 <= codes <= MAX_CODES or dim < 1:
            raise UsageError(
                f"a codebook has from 2 to {MAX_CODES} codes of length 1 or more, "
                f"not {codes} of length {dim}"
            )
        super().__init__(dim, codes)
        self.config = VQConfig(codes, dim, normalize, commitment, trained)
        self.normalize, self.commitment = normalize, commitment
        self.codebook = nn.Parameter(torch.empty(codes, dim), requires_grad=trained)
        nn.init.uniform_(self.codebook, -1 / codes, 1 / codes)

    def forward(self, z: Tensor) -> Quantized:
        """Latents z [..., D] -> the nearest codes [..., D] with a straight-through gradient.

        The loss is |sg(z) - c|^2 + commitment * |z - sg(c)|^2, a mean over latents. Of codes
        equally near the first is taken. Raises UsageError for other shapes or dtypes.
        """
        self.check_latents(z)
        with torch.autocast(z.device.type, enabled=False):
            wide = self._placed(z.to(self.codebook.dtype))
            codebook = self._placed(self.codebook)
            indices = _nearest(wide.detach().reshape(-1, self.dim), codebook.detach())
            indices = indices.view(z.shape[:-1])
            vectors = F.embedding(indices, codebook)
            loss = (vectors - wide.detach()).square().sum(-1).mean()
            gap = (vectors.detach() - wide).square().sum(-1).mean()
            loss = loss + self.commitment * gap
        quantized = straight_through(wide, vectors).to(z.dtype)
        return Quantized(quantized, indices, loss, loss.new_zeros(()), index_entropy(indices))

    @torch.no_grad()
    def vectors_of(self, indices: Tensor) -> Tensor:
        """Indices [...], int64 -> codes [..., D]."""
        self.check_indices(indices)
        return F.embedding(indices, self._placed(self.codebook))

    def extra_repr(self) -> str:
        """For print."""
        return f"codes={self.codes}, dim={self.dim}, normalize={self.normalize}"

    def _placed(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=-1) if self.normalize else x


def _nearest(z_ND: Tensor, codes_KD: Tensor) -> Tensor:
    """[N], the index of the code nearest to each latent."""
    half_norms = codes_KD.square().sum(-1) / 2
    rows = max(1, TABLE // len(codes_KD))
    return torch.cat(
        [(part @ codes_KD.T - half_norms).argmax(-1) for part in torch.split(z_ND, rows)]
    )
