"""The codec's networks: tokenizer encoder and decoder around the BSQ bottleneck, and the prior.

Binary Spherical Quantization (arXiv 2406.07548, section 3): the latent is projected on the unit
sphere and each of its signs is one bit; projection does not change signs. A token carries up to
config.stages stages of 32 bits, likelier ones first; a stage that is not coded reads as zeros, as
one does whose bits are all 0. Structure and operations are those of docs/numerics.md, section 4, so
that bsqav.export can turn them into integers.
"""

from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bsqav.codec.modelspec import ModelConfig
from bsqav.nn.codec import fields
from bsqav.nn.codec.fakequant import (
    ActiveRows,
    ActQuant,
    Block,
    FeedForward,
    QDepthwise,
    QLinear,
    stream_add,
)

SUBGROUPS = 4
SUBGROUP_BITS = fields.STAGE_BITS // SUBGROUPS
# Ends the name of the weight that has the hidden width for rows.
HIDDEN = "ffn.fc1.weight"


def soft_bits(z: Tensor) -> Tensor:
    """z [...] -> bits 0 and 1 of its signs (sign(0) = +1), with the gradient of sigmoid(z).

    By the gradient of the sigmoid only latents near zero learn what the other value would
    bring, from both sides: for a quadratic error the mean of the two slopes is the exact
    difference of a flip.
    """
    z = z.float()
    soft = torch.sigmoid(z)
    return soft + ((z >= 0).to(soft.dtype) - soft).detach()


class TokenizerEncoder(nn.Module):
    """Residual and side vectors -> bits of all stages."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.encoder_width
        self.into = QLinear(fields.SAMPLES + fields.SIDE_WIDTH, width)
        self.blocks = nn.ModuleList(
            Block(width, config.encoder_hidden) for _ in range(config.encoder_blocks)
        )
        self.feature = ActQuant(stream=True)
        self.head = QLinear(width, config.stages * fields.STAGE_BITS)

    def forward(self, residual_BHWS: Tensor, side_BHWS: Tensor, mask_BHW1: Tensor) -> Tensor:
        """Residual in steps [B, H, W, 96] and side [B, H, W, 104] -> bits [B, H, W, 32 stages]."""
        x = self.into(torch.cat([residual_BHWS, side_BHWS], dim=-1))
        for block in self.blocks:
            x = block(x, mask_BHW1)
        return soft_bits(self.head(self.feature(x)))


def run_blocks(
    net: "TokenizerDecoder | Prior",
    token_BHWT: Tensor,
    side_BHWS: Tensor,
    mask_BHW1: Tensor,
    rows: ActiveRows | None,
) -> Tensor:
    """Token and side vectors through the blocks of the decoder, or of the prior's trunk.

    -> [B, H, W, C], or with `rows`, those of the mask, [N, C].
    """
    if rows is not None:
        token_BHWT, side_BHWS = rows.gather(token_BHWT), rows.gather(side_BHWS)
    x = stream_add(net.tok(token_BHWT), net.side(side_BHWS))
    for block in net.blocks:
        x = block(x, mask_BHW1) if rows is None else cast(Block, block).at_rows(x, rows)
    return x


class TokenizerDecoder(nn.Module):
    """Token and side vectors -> the residual in steps."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.decoder_width
        self.tok = QLinear(fields.token_width(config.stages), width, gain=1.4)
        self.side = QLinear(fields.SIDE_WIDTH, width)
        self.blocks = nn.ModuleList(
            Block(width, config.decoder_hidden) for _ in range(config.decoder_blocks)
        )
        self.feature = ActQuant(stream=True)
        self.out = QLinear(width, fields.SAMPLES, gain=0.3)

    def forward(
        self, token_BHWT: Tensor, side_BHWS: Tensor, mask_BHW1: Tensor, dense: bool = True
    ) -> Tensor:
        """Token and side vectors -> [B, H, W, 96] in steps; meaningful at active tokens only.

        dense: at all tokens, in shapes that do not depend on the mask; else 0 at the others.
        """
        rows = None if dense else ActiveRows.of(mask_BHW1)
        out = self.out(self.feature(run_blocks(self, token_BHWT, side_BHWS, mask_BHW1, rows)))
        return cast(Tensor, out) if rows is None else rows.scatter(out)


class Prior(nn.Module):
    """Probabilities (as logits) of stage flags and token bits, autoregressive by groups."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, hidden = config.prior_width, config.prior_hidden
        token_width = fields.token_width(config.stages)
        heads = config.stages * SUBGROUPS
        self.tok = QLinear(token_width, width)
        self.side = QLinear(fields.SIDE_WIDTH, width)
        self.blocks = nn.ModuleList(Block(width, hidden) for _ in range(config.prior_blocks))
        self.feature = ActQuant(stream=True)
        self.flag = QLinear(width, 3 * config.stages, gain=0.1)
        self.cur = QLinear(token_width, width)
        self.cur_out = ActQuant()
        self.ctx = QDepthwise(width)
        self.ctx_out = ActQuant()
        self.mix = QLinear(width, width)
        self.ffn_in = ActQuant(stream=True)
        self.ffn = FeedForward(width, hidden)
        self.head_in = ActQuant(stream=True)
        self.head_post = ActQuant()
        self.heads = nn.ModuleList(QLinear(width, SUBGROUP_BITS, gain=0.1) for _ in range(heads))
        self.embeds = nn.ModuleList(
            QLinear(SUBGROUP_BITS, width, bias=False, gain=0.5) for _ in range(heads)
        )
        # What a bit that is 1 adds to the logits of later ones: [head, bit, bit that is 1].
        self.pair = nn.Parameter(torch.zeros(heads, SUBGROUP_BITS, SUBGROUP_BITS))

    def trunk(
        self, previous_BHWT: Tensor, side_BHWS: Tensor, mask_BHW1: Tensor, dense: bool = True
    ) -> Tensor:
        """Earlier tokens and side vectors -> context stream [B, H, W, P].

        dense: at all tokens, in shapes that do not depend on the mask; else 0 at the others.
        """
        rows = None if dense else ActiveRows.of(mask_BHW1)
        x = run_blocks(self, previous_BHWT, side_BHWS, mask_BHW1, rows)
        return x if rows is None else rows.scatter(x)

    def flag_logits(self, trunk_BHWP: Tensor) -> Tensor:
        """[B, H, W, 3 stages]: output 3k + context for flag "n > k"."""
        return cast(Tensor, self.flag(self.feature(trunk_BHWP)))

    def context(self, trunk_BHWP: Tensor, token_BHWT: Tensor, mask_BHW1: Tensor) -> Tensor:
        """Context of every token given the tokens of earlier groups -> [B, H, W, P].

        0 where the token is not active.
        """
        rows = ActiveRows.of(mask_BHW1)
        b, h, w = rows.grid
        group_HW = fields.group_index(h, w, trunk_BHWP.device)
        group_N1 = rows.gather(group_HW.expand(b, h, w).unsqueeze(-1))
        token_NT, trunk_NP = rows.gather(token_BHWT), rows.gather(trunk_BHWP)
        bits = len(self.heads) * SUBGROUP_BITS
        context = torch.zeros_like(trunk_NP)
        for group in range(3):
            known = (group_N1 < group).to(token_NT.dtype)
            visible = torch.cat([token_NT[:, :bits] * known, token_NT[:, bits:]], dim=-1)
            e = rows.scatter(self.cur_out(self.cur(visible)))
            d = rows.gather(self.ctx_out(self.ctx(e)))
            context = torch.where(group_N1 == group, d, context)
        v = stream_add(trunk_NP, self.mix(context))
        return rows.scatter(stream_add(v, self.ffn(self.ffn_in(v))))

    def bit_logits(self, context_NP: Tensor, bits_NL: Tensor, stages_N: Tensor) -> Tensor:
        """Teacher-forced logits [N, L], each bit seeing the earlier ones; 0 where not coded.

        N tokens with their contexts, bits and stage counts.
        """
        rows = torch.arange(stages_N.shape[0], device=stages_N.device)
        logits = context_NP.new_zeros(bits_NL.shape, dtype=torch.float32)
        v = context_NP
        for index, (head, embed) in enumerate(zip(self.heads, self.embeds, strict=True)):
            stage, first = divmod(index, SUBGROUPS)
            if first == 0:  # later stages have fewer tokens
                keep = stages_N[rows] > stage
                rows, v = rows[keep], v[keep]
                if not len(rows):
                    break
            part = slice(index * SUBGROUP_BITS, (index + 1) * SUBGROUP_BITS)
            one = head(self.head_post(F.gelu(self.head_in(v)))).float()
            bits = bits_NL[rows, part]
            logits[rows, part] = one + F.linear(bits.float(), self.pair[index].tril(-1))
            v = stream_add(v, embed(bits))
        return logits


class CodecNet(nn.Module):
    """One set of the three networks; a model file holds two."""

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__()
        self.config = config or ModelConfig()
        self.enc = TokenizerEncoder(self.config)
        self.dec = TokenizerDecoder(self.config)
        self.prior = Prior(self.config)


def config_of(state: Mapping[str, Tensor]) -> ModelConfig:
    """The sizes of networks with these weights, a state dict.

    Where a network has no blocks its hidden width is that of ModelConfig. Raises KeyError or
    IndexError for weights of other networks.
    """
    sizes: dict[str, int] = {"stages": state["enc.head.weight"].shape[0] // fields.STAGE_BITS}
    inputs = {"encoder": "enc.into", "decoder": "dec.tok", "prior": "prior.tok"}
    for network, first in inputs.items():
        begin = first.split(".")[0] + ".blocks."
        blocks = [w for key, w in state.items() if key.startswith(begin) and key.endswith(HIDDEN)]
        sizes[f"{network}_width"] = state[f"{first}.weight"].shape[0]
        sizes[f"{network}_blocks"] = len(blocks)
        if blocks:
            sizes[f"{network}_hidden"] = blocks[0].shape[0]
    sizes["prior_hidden"] = state[f"prior.{HIDDEN}"].shape[0]
    return ModelConfig(**sizes)
