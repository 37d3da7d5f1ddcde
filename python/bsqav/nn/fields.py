"""Token fields: how samples, bits and stage counts become the vectors that networks read.

The float counterpart of docs/numerics.md, sections 3 and 5, and of the contexts in
docs/bitstream.md, section 3.1. Fields are [B, H, W, channels] over the token grid.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

TOKEN_BITS = 32
STAGES = 3
ALL_BITS = TOKEN_BITS * STAGES
SAMPLES = 96
LUMA = 64
TOKEN_WIDTH = 104
SIDE_WIDTH = 104
WINDOW = 4
# Between keyframes and in later layers; the first layer of a keyframe codes at least one stage.
STAGE_THRESHOLDS = (0.10, 0.45, 1.8)


def planes_to_tokens(y: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Planes y [B, 8H, 8W], u and v [B, 4H, 4W] -> samples of tokens [B, H, W, 96]."""

    def cut(plane: Tensor, size: int) -> Tensor:
        b, rows, cols = plane.shape
        grid = plane.view(b, rows // size, size, cols // size, size)
        return grid.permute(0, 1, 3, 2, 4).reshape(b, rows // size, cols // size, size * size)

    return torch.cat([cut(y, 8), cut(u, 4), cut(v, 4)], dim=-1)


def tokens_to_planes(x_BHWS: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The inverse of planes_to_tokens."""

    def paste(part: Tensor, size: int) -> Tensor:
        b, h, w, _ = part.shape
        grid = part.view(b, h, w, size, size).permute(0, 1, 3, 2, 4)
        return grid.reshape(b, h * size, w * size)

    y, u, v = torch.split(x_BHWS, [LUMA, 16, 16], dim=-1)
    return paste(y, 8), paste(u, 4), paste(v, 4)


def step_of(c: Tensor) -> Tensor:
    """Step in 8-bit sample values for c = 8 * crf."""
    return torch.exp2((c - 64.0) / 64.0)


def side_vector(pred_BHWS: Tensor, c_B: Tensor, intra: bool) -> Tensor:
    """Prediction (0..255), c = 8 * crf -> side vectors [B, H, W, 104] in real values (Q8 / 256)."""
    b, h, w, _ = pred_BHWS.shape
    extra = pred_BHWS.new_zeros(b, h, w, SIDE_WIDTH - SAMPLES)
    extra[..., 0] = ((c_B - 256.0) / 256.0).view(b, 1, 1)
    extra[..., 1] = float(intra)
    return torch.cat([(pred_BHWS - 128.0) / 64.0, extra], dim=-1)


def token_energy(residual_BHWS: Tensor) -> Tensor:
    """Energy of a residual in steps squared: what is around the mean, plus the mean's up to 1."""
    luma = residual_BHWS[..., :LUMA]
    mean = luma.mean(-1, keepdim=True)
    around = torch.cat([luma - mean, residual_BHWS[..., LUMA:]], dim=-1)
    return around.square().mean(-1) + mean.squeeze(-1).square().clamp_max(1.0)


def choose_stages(residual_BHWS: Tensor, intra: bool, jitter: float = 0.0) -> Tensor:
    """Number of stages [B, H, W], 0..3, by energy; jitter spreads the thresholds for training."""
    energy = token_energy(residual_BHWS)
    if jitter > 0:
        energy = energy * torch.exp(jitter * torch.randn_like(energy[:, :1, :1]))
        energy = energy * torch.exp(0.4 * jitter * torch.randn_like(energy))
    count = torch.zeros_like(energy, dtype=torch.long)
    for threshold in STAGE_THRESHOLDS:
        count += (energy >= threshold).long()
    return count.clamp_min(1) if intra else count


def active_tokens(stages_BHW: Tensor) -> Tensor:
    """[B, H, W, 1] of 0 and 1: tokens of windows with at least one coded token."""
    _, h, w = stages_BHW.shape
    coded = (stages_BHW > 0).float().unsqueeze(1)
    windows = F.max_pool2d(coded, WINDOW, ceil_mode=True)
    spread = windows.repeat_interleave(WINDOW, 2).repeat_interleave(WINDOW, 3)
    return spread[:, :, :h, :w].permute(0, 2, 3, 1)


def presence(stages_BHW: Tensor) -> Tensor:
    """[B, H, W, 3]: 1 where the token has more than s stages."""
    levels = torch.arange(STAGES, device=stages_BHW.device)
    return (stages_BHW.unsqueeze(-1) > levels).float()


def token_vector(signs_BHWL: Tensor, stages_BHW: Tensor) -> Tensor:
    """Signs (+-1, 96 per token) and stage counts -> token vectors [B, H, W, 104]."""
    here = presence(stages_BHW).to(signs_BHWL.dtype)
    bits = signs_BHWL * here.repeat_interleave(TOKEN_BITS, dim=-1)
    return F.pad(torch.cat([bits, here], dim=-1), (0, TOKEN_WIDTH - ALL_BITS - STAGES))


def flag_contexts(stages_BHW: Tensor) -> Tensor:
    """[B, H, W, 3]: for each flag "n > k", how many of the tokens above and left have n > k."""
    here = presence(stages_BHW)
    above = F.pad(here, (0, 0, 0, 0, 1, 0))[:, :-1]
    left = F.pad(here, (0, 0, 1, 0))[:, :, :-1]
    return (above + left).long()


def group_index(height: int, width: int, device: torch.device) -> Tensor:
    """[H, W]: group of each token in the autoregressive order.

    0: even row and column; 1: odd row and column; 2: the others.
    """
    row = torch.arange(height, device=device).view(-1, 1) % 2
    col = torch.arange(width, device=device).view(1, -1) % 2
    return torch.where(row == col, row, torch.full_like(row + col, 2))
