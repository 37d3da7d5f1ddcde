"""Tokens of many bits as groups of few: what a language model over tokens can have softmaxes of.

A token of L bits is split into L / k sub-tokens of k bits (arXiv 2406.07548, section 4.3), the
lowest bits first. Shape suffixes: G groups of a token, V = 2^k values of a sub-token.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bsqav.errors import UsageError

__all__ = ["SubTokens"]

MAX_BITS, MAX_GROUP = 64, 16


@dataclass(frozen=True)
class SubTokens:
    """How tokens of `bits` bits are split into groups of `group` bits."""

    bits: int = 18
    group: int = 9

    @property
    def groups(self) -> int:
        """G, sub-tokens of a token."""
        return self.bits // self.group

    @property
    def values(self) -> int:
        """V, values of a sub-token."""
        return 1 << self.group

    def check(self) -> None:
        """Raises UsageError for sizes out of range."""
        fits = 1 <= self.group <= MAX_GROUP and self.group <= self.bits <= MAX_BITS
        if not fits or self.bits % self.group:
            raise UsageError(
                f"tokens have up to {MAX_BITS} bits in groups of up to {MAX_GROUP} that divide "
                f"them, not {self.bits} in groups of {self.group}"
            )

    def split(self, indices: Tensor) -> Tensor:
        """Indices [...], int64 -> values [..., G], int64, from 0 to V - 1.

        Raises UsageError for another dtype or an index of more bits.
        """
        if indices.dtype != torch.int64:
            raise UsageError(f"indices must be int64, not {indices.dtype}")
        if self.bits < MAX_BITS and bool((indices >> self.bits != 0).any()):
            raise UsageError(f"an index has more than {self.bits} bits")
        shifts = torch.arange(0, self.bits, self.group, device=indices.device)
        return (indices.unsqueeze(-1) >> shifts) & (self.values - 1)

    def join(self, values: Tensor) -> Tensor:
        """Values [..., G] -> indices [...], int64. Raises UsageError for a value out of range."""
        if values.shape[-1] != self.groups or bool(((values < 0) | (values >= self.values)).any()):
            raise UsageError(
                f"values must be [..., {self.groups}] from 0 to {self.values - 1}, "
                f"not {tuple(values.shape)} with others"
            )
        shifts = torch.arange(0, self.bits, self.group, device=values.device)
        return (values.long() << shifts).sum(-1)  # no two terms share a bit
