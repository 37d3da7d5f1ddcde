"""Transformers over token sequences, with masks and a key-value cache for streaming.

Shape suffixes: B batch, N tokens of this call, K tokens that can be seen (cached ones first),
H heads, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bsqav.errors import UsageError

if TYPE_CHECKING:  # loaded where it is chosen: it brings the compiler with it
    from bsqav.nn.paper.flexattention import BlockMask

__all__ = [
    "Attention",
    "KeyValueCache",
    "Transformer",
    "TransformerConfig",
    "block_causal_mask",
    "choose_attention",
]

# Who computes block-wise causal attention: scaled_dot_product_attention or flex attention.
Attention = Literal["sdpa", "flex"]

# Of truncated normal weights, as in BERT and ViT.
WEIGHT_STD = 0.02
MAX_LAYERS, MAX_WIDTH = 256, 1 << 17


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of a Transformer.

    pre_norm: normalize before attention and MLP (ViT, GPT), or after the sum (BERT, MaskGIT).
    checkpointing: while training, compute a block's activations again in the backward pass
    instead of keeping them. dropout: of what attention and MLP add to the stream.
    """

    width: int = 768
    layers: int = 12
    heads: int = 12
    hidden: int = 3072
    pre_norm: bool = True
    checkpointing: bool = False
    dropout: float = 0.0

    def check(self) -> None:
        """Raises UsageError for sizes that no Transformer has."""
        sizes = (self.width, self.layers, self.heads, self.hidden)
        if not 1 <= min(sizes) <= max(sizes) <= MAX_WIDTH or self.layers > MAX_LAYERS:
            raise UsageError(
                f"a Transformer has 1 to {MAX_LAYERS} layers and other sizes from 1 to "
                f"{MAX_WIDTH}, not {self}"
            )
        if self.width % self.heads:
            raise UsageError(f"the width {self.width} is no multiple of the heads {self.heads}")


class KeyValueCache:
    """Keys and values of the tokens seen so far, of every layer; for inference, no gradients.

    layers: of the Transformer. capacity: tokens at most; memory for all is taken at the first use.
    """

    def __init__(self, layers: int, capacity: int) -> None:
        self.capacity = capacity
        self._keys: list[Tensor | None] = [None] * layers
        self._values: list[Tensor | None] = [None] * layers
        self._lengths = [0] * layers

    @property
    def length(self) -> int:
        """Tokens that all layers have seen."""
        return min(self._lengths)

    def length_of(self, layer: int) -> int:
        """Tokens that a layer has seen."""
        return self._lengths[layer]

    @property
    def nbytes(self) -> int:
        """Memory taken, in bytes."""
        held = (*self._keys, *self._values)
        return sum(x.numel() * x.element_size() for x in held if x is not None)

    def forget(self, length: int = 0) -> None:
        """Keeps the first `length` tokens only."""
        self._lengths = [min(length, known) for known in self._lengths]

    def extend(self, layer: int, k_BHNC: Tensor, v_BHNC: Tensor) -> tuple[Tensor, Tensor]:
        """Adds N tokens to a layer; returns keys and values [B, H, K, C] of all.

        Raises UsageError where the capacity is exceeded or the batch is another one.
        """
        begin = self._lengths[layer]
        end = begin + k_BHNC.shape[2]
        if end > self.capacity:
            raise UsageError(f"the cache holds {self.capacity} tokens, and {end} were given")
        keys, values = self._keys[layer], self._values[layer]
        if keys is None or values is None:
            b, h, _, c = k_BHNC.shape
            keys = self._keys[layer] = k_BHNC.new_empty(b, h, self.capacity, c)
            values = self._values[layer] = v_BHNC.new_empty(b, h, self.capacity, c)
        if keys.shape[:2] != k_BHNC.shape[:2]:
            raise UsageError(
                f"the cache was begun with a batch of {keys.shape[0]}, not {k_BHNC.shape[0]}"
            )
        keys[:, :, begin:end] = k_BHNC.detach()
        values[:, :, begin:end] = v_BHNC.detach()
        self._lengths[layer] = end
        return keys[:, :, :end], values[:, :, :end]


def block_causal_mask(
    tokens: int, block: int, past: int = 0, device: torch.device | None = None
) -> Tensor:
    """[N, past + N] of bool: a token sees all of its own and of earlier blocks.

    tokens: N, those of this call. block: tokens in a block (a frame's). past: cached ones; both
    are whole blocks, UsageError otherwise.
    """
    if tokens % block or past % block:
        raise UsageError(f"{past} and {tokens} tokens are no whole blocks of {block}")
    at = torch.arange(past + tokens, device=device) // block
    return at[past:].unsqueeze(1) >= at.unsqueeze(0)


class SelfAttention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self,
        x_BNC: Tensor,
        mask_NK: Tensor | BlockMask | None,
        causal: bool,
        cache: KeyValueCache | None,
        layer: int,
    ) -> Tensor:
        """[B, N, C] -> [B, N, C]; mask: True where N may see K, or flex attention's."""
        b, n, c = x_BNC.shape
        q, k, v = self.qkv(x_BNC).view(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        if mask_NK is None or isinstance(mask_NK, Tensor):
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask_NK, is_causal=causal)
        else:
            from bsqav.nn.paper import flexattention

            y = flexattention.attend(q, k, v, mask_NK)
        return cast(Tensor, self.out(y.transpose(1, 2).reshape(b, n, c)))


class TransformerBlock(nn.Module):
    """Attention and MLP around a residual stream."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.pre_norm = config.pre_norm
        self.norm1 = nn.LayerNorm(config.width)
        self.attention = SelfAttention(config.width, config.heads)
        self.norm2 = nn.LayerNorm(config.width)
        self.mlp = nn.Sequential(
            nn.Linear(config.width, config.hidden),
            nn.GELU(),
            nn.Linear(config.hidden, config.width),
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        mask_NK: Tensor | BlockMask | None = None,
        causal: bool = False,
        cache: KeyValueCache | None = None,
        layer: int = 0,
    ) -> Tensor:
        """[B, N, C] -> [B, N, C]"""
        if self.pre_norm:
            a = self.attention(self.norm1(x), mask_NK, causal, cache, layer)
            x = x + self.dropout(a)
            return cast(Tensor, x + self.dropout(self.mlp(self.norm2(x))))
        x = self.norm1(x + self.dropout(self.attention(x, mask_NK, causal, cache, layer)))
        return cast(Tensor, self.norm2(x + self.dropout(self.mlp(x))))


class Transformer(nn.Module):
    """A stack of blocks. Raises UsageError for impossible sizes."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        config.check()
        self.config = config
        self.attention: Attention = "sdpa"
        self.blocks = nn.ModuleList(TransformerBlock(config) for _ in range(config.layers))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                init_linear(module)

    def forward(
        self,
        x_BNC: Tensor,
        *,
        mask_NK: Tensor | BlockMask | None = None,
        causal: bool = False,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """[B, N, C] -> [B, N, C].

        mask: [N, K] of bool, True where a token sees another, or one of `block_mask`; None: all see
        all. causal: a token
        sees itself and earlier ones; of N tokens after cached ones N must be 1 then, or the cache
        empty. cache: what came before is in it, and these tokens are added.
        """
        if cache is not None and causal and cache.length:
            if x_BNC.shape[1] != 1:
                raise UsageError("after cached tokens, causal attention goes one token at a time")
            causal = False
        again = self.config.checkpointing and self.training and cache is None
        for layer, block in enumerate(self.blocks):
            if again:
                x_BNC = checkpoint(block, x_BNC, mask_NK, causal, use_reentrant=False)
            else:
                x_BNC = block(x_BNC, mask_NK, causal, cache, layer)
        return x_BNC

    def block_mask(
        self, tokens: int, block: int, past: int, device: torch.device
    ) -> Tensor | BlockMask:
        """Of block_causal_mask, for the attention that was chosen."""
        if self.attention == "flex" and not (tokens % block or past % block):
            from bsqav.nn.paper import flexattention

            return flexattention.block_causal(tokens, block, past, device)
        return block_causal_mask(tokens, block, past, device)

    def new_cache(self, capacity: int) -> KeyValueCache:
        """An empty cache for up to `capacity` tokens."""
        return KeyValueCache(self.config.layers, capacity)


def choose_attention(model: nn.Module, attention: Attention) -> None:
    """Which of them all Transformers of a model use where they have blocks, in clips.

    flex computes no pairs that the mask forbids; it compiles a kernel first, and has gradients on
    GPUs only. Results are equal up to rounding. Raises UsageError for another name.
    """
    if attention not in get_args(Attention):
        raise UsageError(f"no attention {attention!r}; there are {', '.join(get_args(Attention))}")
    for module in model.modules():
        if isinstance(module, Transformer):
            module.attention = attention


def init_linear(linear: nn.Linear) -> None:
    """Truncated normal weights, zero biases."""
    nn.init.trunc_normal_(linear.weight, std=WEIGHT_STD)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
