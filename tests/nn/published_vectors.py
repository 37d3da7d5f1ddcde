"""What the published program gave for tiny networks with weights by formula, and those weights.

Recorded with its revision 37d212d on a CPU in float32. Its indices are sums in float32, which are
not exact above 24 bits; here they are of the signs themselves, most significant first.
"""

from __future__ import annotations

import torch
from torch import Tensor

WIDTH, LAYERS, HIDDEN, HEAD, SIDE = 128, 2, 512, 96, 16
TOKENS = (SIDE // 8) ** 2


def _block_shapes(prefix: str) -> dict[str, tuple[int, ...]]:
    return {
        f"{prefix}.ln_1.weight": (WIDTH,),
        f"{prefix}.ln_1.bias": (WIDTH,),
        f"{prefix}.attn.in_proj_weight": (3 * WIDTH, WIDTH),
        f"{prefix}.attn.in_proj_bias": (3 * WIDTH,),
        f"{prefix}.attn.out_proj.weight": (WIDTH, WIDTH),
        f"{prefix}.attn.out_proj.bias": (WIDTH,),
        f"{prefix}.ln_2.weight": (WIDTH,),
        f"{prefix}.ln_2.bias": (WIDTH,),
        f"{prefix}.mlp.c_fc.weight": (HIDDEN, WIDTH),
        f"{prefix}.mlp.c_fc.bias": (HIDDEN,),
        f"{prefix}.mlp.c_proj.weight": (WIDTH, HIDDEN),
        f"{prefix}.mlp.c_proj.bias": (WIDTH,),
    }


def shapes(dim: int, codes: int = 0) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the program's tensors; codes: of VQ, 0 for BSQ."""
    found: dict[str, tuple[int, ...]] = {
        "encoder.positional_embedding": (TOKENS, WIDTH),
        "encoder.conv1.weight": (WIDTH, 192),
        "decoder.positional_embedding": (TOKENS, WIDTH),
        "decoder.ffn.0.weight": (HEAD, WIDTH),
        "decoder.ffn.0.bias": (HEAD,),
        "decoder.conv_out.weight": (192, HEAD),
        "decoder.conv_out.bias": (192,),
        "quant_embed.weight": (dim, WIDTH),
        "quant_embed.bias": (dim,),
        "post_quant_embed.weight": (WIDTH, dim),
        "post_quant_embed.bias": (WIDTH,),
    }
    for part in ("encoder", "decoder"):
        for norm in ("ln_pre", "ln_post"):
            found[f"{part}.{norm}.weight"] = found[f"{part}.{norm}.bias"] = (WIDTH,)
        for layer in range(LAYERS):
            found |= _block_shapes(f"{part}.transformer.resblocks.{layer}")
    if codes:
        found["quantize.embedding.weight"] = (codes, dim)
    return found


def weights(dim: int, codes: int = 0) -> dict[str, Tensor]:
    """The networks' weights: sines of the element's index, by name."""
    state = {}
    for name, shape in shapes(dim, codes).items():
        count = torch.Size(shape).numel()
        phase = sum(name.encode()) % 97
        x = torch.sin(torch.arange(count, dtype=torch.float64) ** 1.5 * 0.37 + phase)
        scale = 1.0 if "position" in name else 2.0 * shape[-1] ** -0.5
        x = (x * (scale if len(shape) > 1 else 0.2)).float().view(shape)
        is_gain = ".ln_" in name and name.endswith("weight")
        state[name] = x + 1 if is_gain else x
    if not codes:
        state["quantize.basis"] = 2 ** torch.arange(dim - 1, -1, -1)
        state["quantize.group_basis"] = 2 ** torch.arange(8, -1, -1)
    return state


def image() -> Tensor:
    """The input, [1, 3, 16, 16]."""
    at = torch.arange(3 * SIDE * SIDE, dtype=torch.float64)
    return torch.sin(at**1.2 * 0.11).float().view(1, 3, SIDE, SIDE)


# Samples of the output that were recorded, of 768.
RECORDED = slice(5, None, 64)

# (dim, codes) -> indices of the four tokens, and samples of the output, clamped.
GIVEN: dict[tuple[int, int], tuple[str, str]] = {
    (18, 0): (
        "175123 143619 209682 174081",
        "1.0 -0.066746 1.0 -0.490291 0.247679 -0.963233 "
        "0.427862 0.298184 -0.310131 1.0 -0.851411 1.0",
    ),
    (36, 0): (
        "45907564714 37648979731 54966951899 45634414616",
        "1.0 0.185006 1.0 0.116729 0.371712 -0.367046 -0.483569 1.0 1.0 1.0 0.422522 1.0",
    ),
    (8, 64): (
        "5 38 50 34",
        "1.0 -1.0 1.0 -1.0 1.0 0.977398 0.309522 1.0 0.716532 0.83112 -0.33284 1.0",
    ),
}
