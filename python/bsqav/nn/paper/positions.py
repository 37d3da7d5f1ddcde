"""Learned embeddings of where a token is, in the frame and in time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bsqav.errors import UsageError
from bsqav.nn.paper.attention import WEIGHT_STD

__all__ = ["SpaceTimePosition"]


class SpaceTimePosition(nn.Module):
    """Learned embedding of a token's place, factorised (section 4.2 of the paper).

    One of its place in the frame plus, for videos, one of the frame's index that starts at zero.
    grid: rows and columns of tokens it is learned for. frames: of a clip, 1 for images.
    """

    temporal: nn.Parameter | None

    def __init__(self, grid: tuple[int, int], frames: int, width: int) -> None:
        super().__init__()
        self.spatial = nn.Parameter(torch.empty(*grid, width))
        nn.init.normal_(self.spatial, std=WEIGHT_STD)
        if frames > 1:
            self.temporal = nn.Parameter(torch.zeros(frames, width))
        else:
            self.register_parameter("temporal", None)

    def forward(self, first: int, frames: int, grid: tuple[int, int]) -> Tensor:
        """[T, H, W, C] of frames `first` and on; another grid than the learned is interpolated.

        Raises UsageError for frames after the last learned one.
        """
        space: Tensor = self.spatial
        if space.shape[:2] != grid:
            wide = space.permute(2, 0, 1).unsqueeze(0).float()
            space = F.interpolate(wide, grid, mode="bicubic", align_corners=False)
            space = space[0].permute(1, 2, 0).to(self.spatial.dtype)
        if self.temporal is None:
            return space.unsqueeze(0)
        if first + frames > len(self.temporal):
            raise UsageError(
                f"clips have {len(self.temporal)} frames, not {first + frames}: "
                "cut the video into clips"
            )
        return space.unsqueeze(0) + self.temporal[first : first + frames, None, None]
