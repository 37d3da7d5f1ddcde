"""The prior's logits for all tokens at once: the same values in few operations of fixed shape.

bsqav.nn.codec.networks.Prior works on the coded tokens and one head after the other, which saves
arithmetic; here a mask takes the place of the choice of rows and one matrix product that of 32, so
that a device waits for no shapes and starts few kernels. Sums of embeddings are rounded and limited
once instead of after each.
"""

from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bsqav.nn.codec import fields
from bsqav.nn.codec.fakequant import Mode, QLinear, quantize_weight, stream_add
from bsqav.nn.codec.networks import SUBGROUP_BITS, Prior


def _weights(layers: Iterable[nn.Module]) -> Tensor:
    """The weights [G, N, K] of equal layers as their forward passes use them."""
    linears = [cast(QLinear, layer) for layer in layers]
    weight = torch.stack([linear.weight for linear in linears])
    if linears[0].mode != Mode.QUANT:
        return weight
    q, scale = quantize_weight(weight.flatten(0, 1))
    return (q * scale).view_as(weight)


def dense_context(prior: Prior, trunk: Tensor, token: Tensor, mask: Tensor) -> Tensor:
    """`Prior.context`: trunk [B, H, W, P], tokens [B, H, W, V], mask [B, H, W, 1]."""
    b, h, w, _ = trunk.shape
    group_HW = fields.group_index(h, w, trunk.device)
    groups = torch.arange(3, device=trunk.device)
    known = (group_HW < groups.view(3, 1, 1)).view(3, 1, h, w, 1).to(token.dtype)
    bits = len(prior.heads) * SUBGROUP_BITS
    visible = torch.cat(
        [token[..., :bits] * known, token[..., bits:].expand(3, -1, -1, -1, -1)], dim=-1
    )
    e = prior.cur_out(prior.cur(visible.flatten(0, 1))) * mask.repeat(3, 1, 1, 1)
    d = torch.unflatten(prior.ctx_out(prior.ctx(e)), 0, (3, b))
    place = group_HW.view(1, h, w, 1)
    context = torch.where(place == 0, d[0], torch.where(place == 1, d[1], d[2]))
    v = stream_add(trunk, prior.mix(context))
    return stream_add(v, prior.ffn(prior.ffn_in(v)))


def dense_bit_logits(prior: Prior, context: Tensor, bits: Tensor) -> Tensor:
    """`Prior.bit_logits`: contexts [..., P] and bits [..., L] -> logits [..., L].

    Those of stages that a token does not have mean nothing.
    """
    embeds, heads = _weights(prior.embeds), _weights(prior.heads)  # [G, P, 8], [G, 8, P]
    count, width, _ = embeds.shape
    earlier = torch.ones(count, count, device=embeds.device).tril(-1)
    # What the bits of group j add for the head of group i, where j comes before i.
    together = embeds.permute(1, 0, 2).unsqueeze(0) * earlier.view(count, 1, count, 1)
    added = F.linear(bits, together.reshape(count * width, count * SUBGROUP_BITS))
    v = stream_add(context.unsqueeze(-2), torch.unflatten(added, -1, (count, width)))
    h = prior.head_post(F.gelu(prior.head_in(v)))
    bias = torch.stack([cast(QLinear, head).bias for head in prior.heads])
    logits = torch.einsum("...gp,gop->...go", h, heads.to(h.dtype)).float() + bias
    own = torch.unflatten(bits.float(), -1, (count, SUBGROUP_BITS))
    with torch.autocast(bits.device.type, enabled=False):
        logits = logits + torch.einsum("...gi,goi->...go", own, prior.pair.tril(-1))
    return logits.flatten(-2)
