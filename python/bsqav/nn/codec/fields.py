"""Token fields: how samples, bits and stage counts become the vectors that networks read.

The float counterpart of docs/numerics.md, sections 3 and 5, and of the contexts in
docs/bitstream.md, section 3.1. Fields are [B, H, W, channels] over the token grid.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bsqav.codec.modelspec import STAGE_BITS as STAGE_BITS
from bsqav.codec.modelspec import token_width as token_width

SAMPLES = 96
LUMA = 64
SIDE_WIDTH = 104
SUPERBLOCK = 4  # tokens on a side
# q of chroma is smaller, by the offset of videos, and from a q on grows half as fast
# (docs/numerics.md, section 3).
CHROMA_OFFSET = 16
CHROMA_KNEE = 320


@dataclass(frozen=True)
class LayerPlace:
    """Where a layer is: first of a keyframe; after another; q above the last's.

    One value for all frames, or one for each, [B], as numbers.
    """

    intra: bool | Tensor = False
    later: bool | Tensor = False
    above: float | Tensor = 0.0


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


def step_of(q: Tensor) -> Tensor:
    """Step in 8-bit sample values; q = 8 * crf + 64 is its index (docs/numerics.md, section 3)."""
    return torch.exp2((q - 64.0) / 64.0)


def by_token(value: Tensor) -> Tensor:
    """What every frame [B] or token [B, H, W] has, in a shape that broadcasts to [B, H, W]."""
    return value.view(-1, 1, 1) if value.dim() == 1 else value


def sample_steps(q: Tensor) -> Tensor:
    """q [B] or [B, H, W] -> the step of every sample of tokens, [B, 1 or H, 1 or W, 96]."""
    luma = by_token(q)
    rise = torch.floor((luma - CHROMA_KNEE).clamp_min(0.0) / 2)
    chroma = (luma - CHROMA_OFFSET - rise).clamp_min(0.0)
    wide = [
        step.unsqueeze(-1).expand(*step.shape, count)
        for step, count in ((step_of(luma), LUMA), (step_of(chroma), SAMPLES - LUMA))
    ]
    return torch.cat(wide, dim=-1)


def side_vector(
    pred_BHWS: Tensor,
    q: Tensor,
    place: "LayerPlace",
    prediction_side_BHW2: Tensor | None = None,
) -> Tensor:
    """Prediction (0..255) and q [B] or [B, H, W] -> side vectors [B, H, W, 104], Q8 / 256.

    prediction_side: L(D) and L(M) of every token, as integers; None: all are 0.
    """
    b, h, w, _ = pred_BHWS.shape
    extra = pred_BHWS.new_zeros(b, h, w, SIDE_WIDTH - SAMPLES)
    extra[..., 0] = (by_token(q) - 256.0) / 256.0
    for channel, value in ((1, place.intra), (2, place.later), (3, place.above)):
        by_frame = torch.as_tensor(value, dtype=extra.dtype, device=extra.device)
        extra[..., channel] = by_frame.view(-1, 1, 1)
    if prediction_side_BHW2 is not None:
        extra[..., 4:6] = prediction_side_BHW2
    extra[..., 3:6] /= 256.0
    return torch.cat([(pred_BHWS - 128.0) / 64.0, extra], dim=-1)


def token_energy(residual_BHWS: Tensor) -> Tensor:
    """Energy of a residual in steps squared: what is around the mean, plus the mean's up to 1."""
    luma = residual_BHWS[..., :LUMA]
    mean = luma.mean(-1, keepdim=True)
    around = torch.cat([luma - mean, residual_BHWS[..., LUMA:]], dim=-1)
    return around.square().mean(-1) + mean.squeeze(-1).square().clamp_max(1.0)


def candidates(residual_BHWS: Tensor, least: float, jitter: float = 0.0) -> Tensor:
    """[B, H, W] of 0 and 1: tokens with mean energy of at least `least`, spread by jitter."""
    energy = token_energy(residual_BHWS)
    if jitter > 0:
        energy = energy * torch.exp(jitter * torch.randn_like(energy[:, :1, :1]))
    return (energy >= least).float()


def count_stages(bits_BHWL: Tensor) -> Tensor:
    """Number of stages [B, H, W] up to the last one with a bit that is 1."""
    b, h, w, length = bits_BHWL.shape
    used = bits_BHWL.view(b, h, w, length // STAGE_BITS, STAGE_BITS).amax(-1) > 0.5
    order = torch.arange(1, used.shape[-1] + 1, device=used.device)
    return (used.long() * order).amax(-1)


def active_tokens(stages_BHW: Tensor) -> Tensor:
    """[B, H, W, 1] of 0 and 1: tokens of superblocks with at least one coded token."""
    _, h, w = stages_BHW.shape
    coded = (stages_BHW > 0).float().unsqueeze(1)
    superblocks = F.max_pool2d(coded, SUPERBLOCK, ceil_mode=True)
    spread = superblocks.repeat_interleave(SUPERBLOCK, 2).repeat_interleave(SUPERBLOCK, 3)
    return spread[:, :, :h, :w].permute(0, 2, 3, 1)


def presence(stages_BHW: Tensor, stages: int) -> Tensor:
    """[B, H, W, stages]: 1 where the token has more than s stages."""
    levels = torch.arange(stages, device=stages_BHW.device)
    return (stages_BHW.unsqueeze(-1) > levels).float()


def pad_token(bits_BHWL: Tensor, stages_BHW: Tensor) -> Tensor:
    """Bits and the presence of stages side by side -> [B, H, W, token_width]."""
    stages = bits_BHWL.shape[-1] // STAGE_BITS
    here = presence(stages_BHW, stages).to(bits_BHWL.dtype)
    return F.pad(torch.cat([bits_BHWL, here], dim=-1), (0, token_width(stages) - stages * 33))


def token_vector(bits_BHWL: Tensor, stages_BHW: Tensor) -> Tensor:
    """Bits (0 or 1, 32 per stage) and stage counts -> token vectors [B, H, W, token_width]."""
    here = presence(stages_BHW, bits_BHWL.shape[-1] // STAGE_BITS).to(bits_BHWL.dtype)
    return pad_token(bits_BHWL * here.repeat_interleave(STAGE_BITS, dim=-1), stages_BHW)


def flag_contexts(stages_BHW: Tensor, stages: int) -> Tensor:
    """[B, H, W, stages]: for each flag "n > k", how many of the tokens above and left have it."""
    here = presence(stages_BHW, stages)
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
