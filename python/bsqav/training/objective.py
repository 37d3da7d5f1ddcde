"""The rate-distortion objective of one layer: distortion in steps plus lambda times bits.

With distortion measured in units of the step squared, the trade-off does not depend on the step:
one constant serves all rates, which is what lets one model cover them. A bit's cost
-[b log2 p + (1 - b) log2(1 - p)] is linear in b, so the straight-through gradient of the signs
carries the rate into the encoder.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bsqav.nn import fields
from bsqav.nn.codec import CodecNet

# Sum of squared errors in steps, per bit: about the Lagrangian of a uniform quantizer with a
# dead zone at that step (0.85 * 2^((QP-12)/3) of H.264 expressed in its step is 0.13).
LAMBDA = 0.13
CHROMA_WEIGHT = 0.8
# Mean energy of a token's residual, in steps squared, above which losses are scaled.
ENERGY_KNEE = 150.0


@dataclass
class LayerInput:
    """What one layer codes: samples 0..255 as tokens, their prediction, and the side facts."""

    target_BHWS: Tensor
    pred_BHWS: Tensor
    previous_BHWT: Tensor
    c_B: Tensor
    intra: bool


@dataclass
class LayerResult:
    """Losses are means per active token; bits are counted over the batch.

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


def sample_weights(device: torch.device) -> Tensor:
    """[96]: 1 for luma, less for chroma."""
    weights = torch.ones(fields.SAMPLES, device=device)
    weights[fields.LUMA :] = CHROMA_WEIGHT
    return weights


def binary_cost(logits: Tensor, bits: Tensor) -> Tensor:
    """Bits to code `bits` (0..1, linear, differentiable) under the logits."""
    return (F.softplus(logits) - bits * logits) / math.log(2.0)


def flag_bits(logits_BHWF: Tensor, stages_BHW: Tensor, mask_BHW1: Tensor) -> Tensor:
    """Bits of the stage flags, [B, H, W]."""
    context = fields.flag_contexts(stages_BHW)
    total = torch.zeros_like(mask_BHW1[..., 0])
    coded = mask_BHW1[..., 0]
    for k in range(fields.STAGES):
        logits = logits_BHWF[..., 3 * k : 3 * k + 3]
        chosen = logits.gather(-1, context[..., k : k + 1]).squeeze(-1).float()
        flag = (stages_BHW > k).float()
        total = total + coded * binary_cost(chosen, flag)
        coded = coded * flag
    return total


def drop_worthless(stages_BHW: Tensor, result: LayerResult, price: float = LAMBDA) -> Tensor:
    """The stage counts without the tokens that cost more than they bring, as the encoder does.

    price: of a bit, in squared steps.
    """
    worth = result.gain_BHW - price * result.token_bits_BHW
    return torch.where(worth < 0, torch.zeros_like(stages_BHW), stages_BHW)


def code_layer(
    net: CodecNet,
    layer: LayerInput,
    stages_BHW: Tensor,
    rate_grad: float,
    tokenizer: bool = True,
) -> LayerResult:
    """Runs one layer through the networks.

    rate_grad (0..1) is how much of the rate's gradient reaches the
    tokenizer: the prior learns from the first step, the codes feel their cost once they carry
    something (trials: too much rate early and the codes die). With tokenizer False the tokenizer
    stays as it is and the loss is the rate alone.
    """
    step_B111 = fields.step_of(layer.c_B).view(-1, 1, 1, 1)
    residual = ((layer.target_BHWS - layer.pred_BHWS) / step_B111).clamp(-127.0, 127.0)
    side = fields.side_vector(layer.pred_BHWS, layer.c_B, layer.intra)
    mask = fields.active_tokens(stages_BHW)
    with torch.set_grad_enabled(tokenizer and torch.is_grad_enabled()):
        signs = net.enc(residual, side, mask)
        token = fields.token_vector(signs, stages_BHW)
        out = net.dec(token, side, mask).float()
    recon = layer.pred_BHWS + out.detach() * step_B111 * mask
    weights = sample_weights(out.device)
    distortion = ((out - residual).square() * weights).sum(-1) * mask[..., 0]

    trunk = net.prior.trunk(layer.previous_BHWT, side, mask)
    flags = flag_bits(net.prior.flag_logits(trunk), stages_BHW, mask)
    rate_signs = signs * rate_grad + signs.detach() * (1.0 - rate_grad)
    rate_token = fields.token_vector(rate_signs, stages_BHW)
    context = net.prior.context(trunk, rate_token, mask)
    logits = net.prior.bit_logits(context, rate_signs).float()
    here = fields.presence(stages_BHW).repeat_interleave(fields.TOKEN_BITS, dim=-1)
    token_bits = (binary_cost(logits, (rate_signs + 1) / 2) * here).sum(-1)

    count = mask.sum().clamp_min(1.0)
    bits = (flags + token_bits).sum()
    skipped = (residual.square() * weights).sum(-1)
    loss = LAMBDA * bits / count
    if tokenizer:
        loss = loss + distortion.sum() / count
    # A residual far above its step (a young network, a scene change) must not drown the rest.
    energy = (residual.square().sum(-1) * mask[..., 0]).sum() / count
    loss = loss / (energy / ENERGY_KNEE).clamp_min(1.0)
    return LayerResult(
        loss=loss,
        distortion=distortion.detach().sum() / count,
        bits=bits.detach(),
        active=count.detach(),
        recon_BHWS=recon.detach().round().clamp(0, 255),
        token_BHWT=token.detach(),
        stages_BHW=stages_BHW,
        gain_BHW=skipped - distortion.detach(),
        token_bits_BHW=token_bits.detach(),
    )
