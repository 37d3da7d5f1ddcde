"""Images and videos of any size through a tokenizer that was trained on one.

Two ways: whole, with interpolated position embeddings (attention grows with the square of the
area, and sizes far from the trained one come out worse), or in tiles of the trained size, each on
its own. Sides that do not divide are padded by repeating the last row and column.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bsqav.errors import UsageError
from bsqav.nn.paper.bsqvit import BSQViT

__all__ = ["Way", "detokenize", "pad_to", "tiles_of", "tokenize"]

Way = Literal["whole", "tiles"]


def pad_to(x: Tensor, unit: tuple[int, int]) -> Tensor:
    """[..., rows, columns] to multiples of the unit, by repeating the last row and column."""
    down, right = -x.shape[-2] % unit[0], -x.shape[-1] % unit[1]
    if not (down or right):
        return x
    flat = x.reshape(1, -1, *x.shape[-2:])
    padded = F.pad(flat, (0, right, 0, down), mode="replicate")
    return padded.view(*x.shape[:-2], *padded.shape[-2:])


def _split(x: Tensor, tile: tuple[int, int]) -> Tensor:
    """[B, ..., rows, columns] -> [B * tiles, ..., tile rows, tile columns]."""
    b, *middle, rows, columns = x.shape
    down, right = rows // tile[0], columns // tile[1]
    x = x.reshape(b, -1, down, tile[0], right, tile[1]).permute(0, 2, 4, 1, 3, 5)
    return x.reshape(b * down * right, *middle, *tile)


def _join(x: Tensor, tiles: tuple[int, int]) -> Tensor:
    """The inverse of _split for a count of tiles each way."""
    n, *middle, rows, columns = x.shape
    down, right = tiles
    x = x.reshape(n // (down * right), down, right, -1, rows, columns).permute(0, 3, 1, 4, 2, 5)
    return x.reshape(-1, *middle, down * rows, right * columns)


def _unit(model: BSQViT, way: Way) -> tuple[int, int]:
    if way == "tiles":
        return model.config.size
    if way == "whole":
        return model.config.patch, model.config.patch
    raise UsageError(f"no way {way!r} to code another size; there are whole and tiles")


@torch.no_grad()
def tokenize(model: BSQViT, x: Tensor, way: Way = "whole") -> Tensor:
    """Images [B, 3, rows, columns] or videos [B, 3, T, rows, columns] of any size -> indices.

    [B, (T,) H, W] in int64: with "whole" H is rows over the patch, rounded up; with "tiles" it
    covers whole tiles. Raises UsageError for another way or another shape.
    """
    x = pad_to(x, _unit(model, way))
    if way == "whole":
        return model.tokenize(x)
    tile = model.config.size
    tiles = x.shape[-2] // tile[0], x.shape[-1] // tile[1]
    return _join(model.tokenize(_split(x, tile)), tiles)


def tiles_of(model: BSQViT, indices: Tensor) -> Tensor:
    """Indices [B, (T,) H, W] of tokenize with "tiles" -> a tile each, [B tiles, (T,) h, w]."""
    return _split(indices, model.config.grid)


def of_tiles(indices: Tensor, tiles: tuple[int, int]) -> Tensor:
    """The inverse of tiles_of for a count of tiles each way: [B tiles, (T,) h, w] -> indices."""
    return _join(indices, tiles)


@torch.no_grad()
def detokenize(model: BSQViT, indices: Tensor, size: tuple[int, int], way: Way = "whole") -> Tensor:
    """Indices of tokenize -> pixels [B, 3, (T,) rows, columns] of the size given, in [-1, 1].

    Raises UsageError where the indices are not those of an image of that size.
    """
    unit, grid, p = _unit(model, way), model.config.grid, model.config.patch
    padded = [side + -side % step for side, step in zip(size, unit, strict=True)]
    if min(size) < 1 or [side // p for side in padded] != list(indices.shape[-2:]):
        raise UsageError(
            f"{tuple(indices.shape[-2:])} tokens are not those of {size[0]} x {size[1]} pixels "
            f"coded as {way!r}"
        )
    if way == "whole":
        pixels = model.detokenize(indices)
    else:
        tiles = indices.shape[-2] // grid[0], indices.shape[-1] // grid[1]
        pixels = _join(model.detokenize(_split(indices, grid)), tiles)
    return pixels[..., : size[0], : size[1]]
