"""Weights and inputs of the networks that FID and FVD use, made from a seed."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def seeded(net: nn.Module, seed: int = 0) -> nn.Module:
    """The network with weights, and statistics to normalize by, that differ everywhere."""
    random = torch.Generator().manual_seed(seed)
    for name, value in net.state_dict().items():
        if value.is_floating_point():
            low, high = (0.5, 1.5) if name.endswith(("running_var", "bn.weight")) else (-0.1, 0.1)
            if value.dim() > 2:  # a convolution's: such that signals keep their size
                high = (6 / value[0].numel()) ** 0.5
                low = -high
            value.copy_(torch.rand(value.shape, generator=random) * (high - low) + low)
    return net.eval()


def pattern(*shape: int) -> Tensor:
    """Bytes that repeat in no dimension."""
    count = torch.Size(shape).numel()
    return (torch.arange(count) * 7919 % 65521 % 256).view(shape).byte()
