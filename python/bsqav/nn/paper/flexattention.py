"""Block-wise causal attention by PyTorch's flex attention, which leaves out what no token sees.

The same sums as scaled_dot_product_attention with a mask, in another order. The kernel is compiled
at its first use, and anew for another shape.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from bsqav.errors import UsageError

__all__ = ["BlockMask", "attend", "block_causal"]


@functools.lru_cache(maxsize=16)
def block_causal(tokens: int, block: int, past: int, device: torch.device) -> BlockMask:
    """Of bsqav.nn.paper.attention.block_causal_mask, as flex attention has it."""

    def seen(b: Tensor, h: Tensor, query: Tensor, key: Tensor) -> Tensor:
        del b, h
        return (query + past) // block >= key // block

    return create_block_mask(seen, None, None, tokens, past + tokens, device=device)


def attend(q_BHNC: Tensor, k_BHKC: Tensor, v_BHKC: Tensor, mask: BlockMask) -> Tensor:
    """[B, H, N, C]. UsageError where gradients are wanted on a CPU: PyTorch has none there."""
    if q_BHNC.requires_grad and q_BHNC.device.type == "cpu":
        raise UsageError("flex attention has no gradients on a CPU: train with sdpa there")
    found: Tensor = _compiled()(q_BHNC, k_BHKC, v_BHKC, block_mask=mask)
    return found


@functools.cache
def _compiled() -> Callable[..., Any]:
    return torch.compile(flex_attention)
