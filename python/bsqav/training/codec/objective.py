"""The rate-distortion objective of one layer: distortion in steps plus lambda times bits.

With distortion measured in units of the step squared, the trade-off does not depend on the step:
one constant serves all rates, which is what lets one model cover them. A bit's cost
-[b log2 p + (1 - b) log2(1 - p)] is linear in b, so the soft gradient of the bits carries the rate
into the encoder.

A layer's cost can be had in two ways: over the coded tokens alone (quick on a CPU), or over all
tokens with a mask (`dense`, see bsqav.training.codec.dense), whose shapes do not depend on bits.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from bsqav.nn.codec import fields
from bsqav.nn.codec.networks import CodecNet
from bsqav.training.codec.decisions import LAMBDA, MEAN_WEIGHTS
from bsqav.training.codec.dense import dense_bit_logits, dense_context

# Mean energy of a token's residual, in steps squared, above which losses are scaled.
ENERGY_KNEE = 150.0
# The rate of the first bit of a stage that is not coded, which keeps it at 0.
NEW_STAGE_BITS = 6.0


@dataclass
class Coded:
    """Tokens that are chosen already: bits [B, H, W, 32 stages] and stage counts [B, H, W]."""

    bits_BHWL: Tensor
    stages_BHW: Tensor


@dataclass
class LayerInput:
    """What one layer codes: samples 0..255 as tokens, their prediction, and side information.

    q_B may also hold a value for every token, [B, H, W]. With `coded` the tokenizer's encoder is
    not used. prediction_side: see fields.side_vector.
    """

    target_BHWS: Tensor
    pred_BHWS: Tensor
    previous_BHWT: Tensor
    q_B: Tensor
    place: fields.LayerPlace
    coded: Coded | None = None
    prediction_side_BHW2: Tensor | None = None


class LayerTensors(NamedTuple):
    """A layer's tensors, with its side vectors; q is LayerInput's q_B."""

    target_BHWS: Tensor
    pred_BHWS: Tensor
    previous_BHWT: Tensor
    q: Tensor
    side_BHWS: Tensor

    @classmethod
    def of(cls, layer: LayerInput) -> "LayerTensors":
        """Those of a layer."""
        side = fields.side_vector(
            layer.pred_BHWS, layer.q_B, layer.place, layer.prediction_side_BHW2
        )
        return cls(layer.target_BHWS, layer.pred_BHWS, layer.previous_BHWT, layer.q_B, side)


@dataclass
class LayerResult:
    """distortion, in steps squared, and bits are means per token; loss is one per candidate.

    gain_BHW: by how much coding a token lowers its error, in steps squared.
    """

    loss: Tensor
    distortion: Tensor
    bits: Tensor
    active: Tensor
    recon_BHWS: Tensor
    token_BHWT: Tensor
    stages_BHW: Tensor
    gain_BHW: Tensor
    token_bits_BHW: Tensor


def squared_error(error_BHWS: Tensor) -> Tensor:
    """The weighted sum of squares of every token's errors, [B, H, W]."""
    total = error_BHWS.square().sum(-1)
    luma = torch.unflatten(error_BHWS[..., : fields.LUMA], -1, (8, 8))
    for size, weight in MEAN_WEIGHTS.items():
        squares = torch.unflatten(torch.unflatten(luma, -2, (-1, size)), -1, (-1, size))
        means = squares.mean((-3, -1))
        total = total + weight * size * size * means.square().sum((-2, -1))
    return total


def binary_cost(logits: Tensor, bits: Tensor) -> Tensor:
    """Bits to code `bits` (0..1, linear, differentiable) under the logits."""
    return (F.softplus(logits) - bits * logits) / math.log(2.0)


def flag_bits(logits_BHWF: Tensor, stages_BHW: Tensor, mask_BHW1: Tensor) -> Tensor:
    """Bits of the stage flags, [B, H, W]."""
    stages = logits_BHWF.shape[-1] // 3
    context = fields.flag_contexts(stages_BHW, stages)
    total = torch.zeros_like(mask_BHW1[..., 0])
    coded = mask_BHW1[..., 0]
    for k in range(stages):
        logits = logits_BHWF[..., 3 * k : 3 * k + 3]
        chosen = logits.gather(-1, context[..., k : k + 1]).squeeze(-1).float()
        flag = (stages_BHW > k).float()
        total = total + coded * binary_cost(chosen, flag)
        coded = coded * flag
    return total


def dense_flag_bits(logits_BHWF: Tensor, stages_BHW: Tensor, mask_BHW1: Tensor) -> Tensor:
    """`flag_bits` for all stages at once."""
    stages = logits_BHWF.shape[-1] // 3
    context = fields.flag_contexts(stages_BHW, stages).unsqueeze(-1)
    chosen = torch.unflatten(logits_BHWF, -1, (stages, 3)).gather(-1, context)
    chosen = chosen.squeeze(-1).float()
    flag = fields.presence(stages_BHW, stages)
    coded = torch.cat([torch.ones_like(flag[..., :1]), flag[..., :-1]], -1) * mask_BHW1
    return (coded * binary_cost(chosen, flag)).sum(-1)


def keep_tokens(result: LayerResult, lam: float = LAMBDA) -> Tensor:
    """1 for tokens whose coding lowers the RD cost, [B, H, W]; the others are zeroed out.

    lam: squared steps per bit.
    """
    return (result.gain_BHW >= lam * (result.token_bits_BHW + 1.0)).float()


def token_costs(
    net: CodecNet, trunk: Tensor, bits: Tensor, stages: Tensor, mask: Tensor, dense: bool = False
) -> tuple[Tensor, Tensor]:
    """Bits of the stage flags and of the tokens, [B, H, W] each."""
    logits = net.prior.flag_logits(trunk)
    flags = (dense_flag_bits if dense else flag_bits)(logits, stages, mask)
    token = fields.token_vector(bits, stages)
    here = fields.presence(stages, net.config.stages)
    here = here.repeat_interleave(fields.STAGE_BITS, dim=-1)
    if dense:
        context = dense_context(net.prior, trunk, token, mask)
        costs = (binary_cost(dense_bit_logits(net.prior, context, bits), bits) * here).sum(-1)
    else:
        context = net.prior.context(trunk, token, mask)
        coded = stages > 0
        chosen = bits[coded]
        logits = net.prior.bit_logits(context[coded], chosen, stages[coded])
        some = (binary_cost(logits, chosen) * here[coded]).sum(-1)
        costs = torch.zeros_like(flags).masked_scatter(coded, some)
    # Bits that are not coded are 0 and cost nothing, but would not be free.
    absent = (bits - bits.detach()) * (1 - here) * NEW_STAGE_BITS
    return flags, costs + absent.sum(-1)


def code_layer(
    net: CodecNet,
    layer: LayerInput,
    candidates_BHW: Tensor,
    rate_grad: float | Tensor,
    tokenizer: bool = True,
    dense: bool = False,
) -> LayerResult:
    """Runs one layer through the networks.

    candidates: 1 where a token may have bits. rate_grad (0..1) is how much of the rate's gradient
    reaches the tokenizer: the prior learns from the first step, the bits feel their cost once it
    knows something. With tokenizer False the tokenizer stays as it is and the loss is the rate
    alone. dense: over all tokens instead of the coded ones, with the same result.
    """
    return code_tensors(
        net,
        LayerTensors.of(layer),
        candidates_BHW,
        rate_grad,
        tokenizer=tokenizer,
        dense=dense,
        coded=layer.coded,
    )


def code_tensors(
    net: CodecNet,
    layer: LayerTensors,
    candidates_BHW: Tensor,
    rate_grad: float | Tensor,
    *,
    tokenizer: bool,
    dense: bool,
    coded: Coded | None = None,
) -> LayerResult:
    """`code_layer` on the tensors of the layer."""
    step = fields.sample_steps(layer.q)
    residual = ((layer.target_BHWS - layer.pred_BHWS) / step).clamp(-127.0, 127.0)
    searched = fields.active_tokens(candidates_BHW)
    with torch.set_grad_enabled(tokenizer and torch.is_grad_enabled()):
        if coded is None:
            bits = net.enc(residual, layer.side_BHWS, searched) * candidates_BHW.unsqueeze(-1)
            stages = fields.count_stages(bits.detach())
        else:
            bits, stages = coded.bits_BHWL, coded.stages_BHW
        mask = fields.active_tokens(stages)
        # Bits of stages that are not coded are 0; they stay in, to feel what a 1 would bring.
        out = net.dec(fields.pad_token(bits, stages), layer.side_BHWS, mask, dense).float()
    recon = layer.pred_BHWS + out.detach() * step * mask
    skipped = squared_error(residual)
    active = mask[..., 0]
    distortion = squared_error(out - residual) * active + skipped * (1 - active)

    trunk = net.prior.trunk(layer.previous_BHWT, layer.side_BHWS, mask, dense)
    rate_bits = bits * rate_grad + bits.detach() * (1.0 - rate_grad)
    flags, token_bits = token_costs(net, trunk, rate_bits, stages, mask, dense)
    total = (flags + token_bits).sum()
    loss = _loss(total, distortion if tokenizer else None, searched)
    # A residual far above its step (a young network, a scene change) must not drown the rest.
    energy = (residual.square().sum(-1) * active).sum() / active.sum().clamp_min(1.0)
    return LayerResult(
        loss=loss / (energy / ENERGY_KNEE).clamp_min(1.0),
        distortion=distortion.detach().mean(),
        bits=total.detach() / distortion.numel(),
        active=active.mean(),
        recon_BHWS=recon.detach().round().clamp(0, 255),
        token_BHWT=fields.token_vector(bits, stages).detach(),
        stages_BHW=stages,
        gain_BHW=skipped - distortion.detach(),
        token_bits_BHW=token_bits.detach(),
    )


def _loss(bits: Tensor, distortion: Tensor | None, searched: Tensor) -> Tensor:
    """The RD cost per token that was searched, or the rate alone."""
    count = searched.sum().clamp_min(1.0)
    loss = LAMBDA * bits / count
    if distortion is not None:
        loss = loss + (distortion * searched[..., 0]).sum() / count
    return loss
