"""How evenly a codebook is used."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bsqav.errors import UsageError
from bsqav.nn.paper.quantizers.base import index_entropy

__all__ = ["CodebookUse", "codebook_use"]


@dataclass(frozen=True)
class CodebookUse:
    """Of the indices of some tokens.

    Attributes:
        tokens: how many there were.
        codes: different indices among them.
        share: codes / min(tokens, size of the codebook): 1 where no code came twice, or all came.
        perplexity: 2^H for the entropy H of the indices in bits; at most `tokens`, so that few
            tokens bound it.
        balance: of each bit of an index the share of tokens in which it is 1, lowest first, 0.5 at
            best; empty where the size is no power of two.
    """

    tokens: int
    codes: int
    share: float
    perplexity: float
    balance: tuple[float, ...]


@torch.no_grad()
def codebook_use(indices: Tensor, size: int) -> CodebookUse:
    """Indices [...], int64, of a codebook of `size` codes.

    Raises UsageError for another dtype or no index.
    """
    if indices.dtype != torch.int64 or not indices.numel():
        raise UsageError(f"indices are int64 and some, not {indices.dtype} {tuple(indices.shape)}")
    flat, bits = indices.flatten(), size.bit_length() - 1
    codes = len(torch.unique(flat))
    # One by one: less memory than all bits of all tokens.
    places = range(bits) if size == 1 << bits else ()
    balance = tuple((flat >> place & 1).double().mean().item() for place in places)
    perplexity = math.exp(index_entropy(flat).item())
    return CodebookUse(len(flat), codes, codes / min(len(flat), size), perplexity, balance)
