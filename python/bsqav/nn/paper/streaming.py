"""Frame by frame through a video tokenizer, with the keys and values of earlier frames kept.

Block-wise causal attention makes both directions streams: a frame's tokens depend on it and on
earlier frames, and so do its decoded pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bsqav.errors import UsageError
from bsqav.nn.paper.attention import KeyValueCache
from bsqav.nn.paper.bsqvit import BSQViT, ViTTrunk
from bsqav.nn.paper.quantizers import Quantized

__all__ = ["StreamingDecoder", "StreamingEncoder"]


class _Stream:
    """A cache that is made for the first frame's size."""

    def __init__(self, model: BSQViT, trunk: ViTTrunk) -> None:
        if model.config.frames == 1:
            raise UsageError("a tokenizer of images has no stream: inflate it to videos first")
        self.model, self._trunk = model, trunk
        self._cache: KeyValueCache | None = None
        self._grid: tuple[int, int] | None = None

    @property
    def nbytes(self) -> int:
        """Memory that the cache takes, in bytes."""
        return 0 if self._cache is None else self._cache.nbytes

    def reset(self) -> None:
        """Begins a new clip."""
        self._cache = None

    def _ready(self, grid: tuple[int, int]) -> KeyValueCache:
        if self._cache is None:
            self._grid = grid
            capacity = self.model.config.frames * grid[0] * grid[1]
            self._cache = self._trunk.transformer.new_cache(capacity)
        if grid != self._grid:
            raise UsageError(f"the clip began with {self._grid} tokens, this frame has {grid}")
        if self._cache.length >= self._cache.capacity:
            raise UsageError(
                f"the clip has its {self.model.config.frames} frames: reset() begins the next"
            )
        return self._cache


class StreamingEncoder(_Stream):
    """Frames of a clip to tokens, one by one: the same as all at once, up to rounding.

    Raises UsageError where the model is one of images.
    """

    def __init__(self, model: BSQViT) -> None:
        super().__init__(model, model.encoder)

    @torch.no_grad()
    def push(self, frame: Tensor) -> Quantized:
        """The next frame [B, 3, rows, columns] -> vectors [B, H, W, L] and indices [B, H, W].

        Raises UsageError for a frame of another size, or after the clip's last one.
        """
        p = self.model.config.patch
        cache = self._ready((frame.shape[-2] // p, frame.shape[-1] // p))
        z = self.model.latents(frame.unsqueeze(2), cache)
        tokens: Quantized = self.model.quantizer(z.squeeze(1))
        return tokens


class StreamingDecoder(_Stream):
    """Tokens of a clip to frames, one by one: the same as all at once, up to rounding.

    Raises UsageError where the model is one of images.
    """

    def __init__(self, model: BSQViT) -> None:
        super().__init__(model, model.decoder)

    @torch.no_grad()
    def push(self, indices_BHW: Tensor) -> Tensor:
        """Indices [B, H, W] of the next frame -> pixels [B, 3, rows, columns] in [-1, 1].

        Raises UsageError for a frame of another size, or after the clip's last one.
        """
        cache = self._ready((indices_BHW.shape[-2], indices_BHW.shape[-1]))
        vectors = self.model.quantizer.vectors_of(indices_BHW).unsqueeze(1)
        vectors = vectors.to(self.model.from_latent.weight.dtype)
        return self.model.decode(vectors, cache).squeeze(2).clamp(-1, 1)
