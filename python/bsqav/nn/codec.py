"""The codec's networks: tokenizer encoder and decoder around the BSQ bottleneck, and the prior.

Binary Spherical Quantization (arXiv 2406.07548, section 3): the latent is projected on the unit
sphere, each of its L signs is one bit, the gradient passes straight through. A token carries up to
three stages of L bits; a later stage sees the bits of the earlier ones. Structure and operations
are those of docs/numerics.md, section 4, so that bsqav.export can turn them into integers.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bsqav.codec.modelspec import ModelConfig
from bsqav.nn import fields
from bsqav.nn.fakequant import ActQuant, Block, FeedForward, QDepthwise, QLinear, stream_add

SUBGROUPS = 4
SUBGROUP_BITS = fields.TOKEN_BITS // SUBGROUPS
HEADS = fields.STAGES * SUBGROUPS


def sphere_signs(z: Tensor) -> Tensor:
    """z [..., L] -> signs +-1 with the straight-through gradient of sqrt(L) * z / |z|."""
    u = F.normalize(z.float(), dim=-1, eps=1e-6) * z.shape[-1] ** 0.5
    signs = torch.where(z >= 0, 1.0, -1.0)
    return cast(Tensor, u + (signs - u).detach())


class TokenizerEncoder(nn.Module):
    """Residual and side vectors -> signs of three stages."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.encoder_width
        self.into = QLinear(fields.SAMPLES + fields.SIDE_WIDTH, width)
        self.blocks = nn.ModuleList(
            Block(width, config.encoder_hidden) for _ in range(config.encoder_blocks)
        )
        self.feature = ActQuant(stream=True)
        self.head = QLinear(width, fields.ALL_BITS)
        bits = fields.TOKEN_BITS
        self.fb10 = nn.Parameter(torch.zeros(bits, bits))
        self.fb20 = nn.Parameter(torch.zeros(bits, bits))
        self.fb21 = nn.Parameter(torch.zeros(bits, bits))

    def forward(self, residual_BHWS: Tensor, side_BHWS: Tensor, mask_BHW1: Tensor) -> Tensor:
        """Residual in steps [B, H, W, 96] and side [B, H, W, 104] -> signs [B, H, W, 96]."""
        x = self.into(torch.cat([residual_BHWS, side_BHWS], dim=-1))
        for block in self.blocks:
            x = block(x, mask_BHW1)
        z0, z1, z2 = self.head(self.feature(x)).float().split(fields.TOKEN_BITS, dim=-1)
        s0 = sphere_signs(z0)
        s1 = sphere_signs(z1 + F.linear(s0, self.fb10))
        s2 = sphere_signs(z2 + F.linear(s0, self.fb20) + F.linear(s1, self.fb21))
        return torch.cat([s0, s1, s2], dim=-1)


class TokenizerDecoder(nn.Module):
    """Token and side vectors -> the residual in steps."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.decoder_width
        self.tok = QLinear(fields.TOKEN_WIDTH, width, gain=1.4)
        self.side = QLinear(fields.SIDE_WIDTH, width)
        self.blocks = nn.ModuleList(
            Block(width, config.decoder_hidden) for _ in range(config.decoder_blocks)
        )
        self.feature = ActQuant(stream=True)
        self.out = QLinear(width, fields.SAMPLES, gain=0.3)

    def forward(self, token_BHWT: Tensor, side_BHWS: Tensor, mask_BHW1: Tensor) -> Tensor:
        """[B, H, W, 104] twice -> [B, H, W, 96] in steps; meaningful at active tokens only."""
        x = stream_add(self.tok(token_BHWT), self.side(side_BHWS))
        for block in self.blocks:
            x = block(x, mask_BHW1)
        return cast(Tensor, self.out(self.feature(x)))


class Prior(nn.Module):
    """Probabilities (as logits) of stage flags and token bits, autoregressive by groups."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, hidden = config.prior_width, config.prior_hidden
        self.tok = QLinear(fields.TOKEN_WIDTH, width)
        self.side = QLinear(fields.SIDE_WIDTH, width)
        self.blocks = nn.ModuleList(Block(width, hidden) for _ in range(config.prior_blocks))
        self.feature = ActQuant(stream=True)
        self.flag = QLinear(width, 3 * fields.STAGES, gain=0.1)
        self.cur = QLinear(fields.TOKEN_WIDTH, width)
        self.cur_out = ActQuant()
        self.ctx = QDepthwise(width)
        self.ctx_out = ActQuant()
        self.mix = QLinear(width, width)
        self.ffn_in = ActQuant(stream=True)
        self.ffn = FeedForward(width, hidden)
        self.head_in = ActQuant(stream=True)
        self.head_post = ActQuant()
        self.heads = nn.ModuleList(QLinear(width, SUBGROUP_BITS, gain=0.1) for _ in range(HEADS))
        self.embeds = nn.ModuleList(
            QLinear(SUBGROUP_BITS, width, bias=False, gain=0.5) for _ in range(HEADS)
        )

    def trunk(self, previous_BHWT: Tensor, side_BHWS: Tensor, mask_BHW1: Tensor) -> Tensor:
        """Earlier tokens and side vectors -> context stream [B, H, W, P]."""
        x = stream_add(self.tok(previous_BHWT), self.side(side_BHWS))
        for block in self.blocks:
            x = block(x, mask_BHW1)
        return x

    def flag_logits(self, trunk_BHWP: Tensor) -> Tensor:
        """[B, H, W, 9]: output 3k + context for flag "n > k"."""
        return cast(Tensor, self.flag(self.feature(trunk_BHWP)))

    def context(self, trunk_BHWP: Tensor, token_BHWT: Tensor, mask_BHW1: Tensor) -> Tensor:
        """Context of every token given the tokens of earlier groups -> [B, H, W, P]."""
        b, h, w, _ = trunk_BHWP.shape
        group_HW = fields.group_index(h, w, trunk_BHWP.device)
        context = torch.zeros((b, h, w, trunk_BHWP.shape[-1]), dtype=trunk_BHWP.dtype)
        context = context.to(trunk_BHWP.device)
        for group in range(3):
            known = (group_HW < group).view(1, h, w, 1).to(token_BHWT.dtype)
            visible = torch.cat(
                [token_BHWT[..., : fields.ALL_BITS] * known, token_BHWT[..., fields.ALL_BITS :]],
                dim=-1,
            )
            e = self.cur_out(self.cur(visible)) * mask_BHW1
            d = self.ctx_out(self.ctx(e))
            here = (group_HW == group).view(1, h, w, 1)
            context = torch.where(here, d, context)
        v = stream_add(trunk_BHWP, self.mix(context))
        return stream_add(v, self.ffn(self.ffn_in(v)))

    def bit_logits(self, context_BHWP: Tensor, signs_BHWL: Tensor) -> Tensor:
        """Teacher-forced logits of all 96 bits, each sub-group seeing the earlier ones."""
        v = context_BHWP
        logits = []
        for index in range(HEADS):
            h = self.head_post(F.gelu(self.head_in(v)))
            logits.append(self.heads[index](h))
            bits = slice(index * SUBGROUP_BITS, (index + 1) * SUBGROUP_BITS)
            v = stream_add(v, self.embeds[index](signs_BHWL[..., bits]))
        return torch.cat(logits, dim=-1)


class CodecNet(nn.Module):
    """The three networks that one model file holds."""

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__()
        self.config = config or ModelConfig()
        self.enc = TokenizerEncoder(self.config)
        self.dec = TokenizerDecoder(self.config)
        self.prior = Prior(self.config)
