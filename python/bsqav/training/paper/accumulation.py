"""Gradients of a batch that is taken in parts, with the quantizer's entropy of the whole of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bsqav.nn.paper.bsqvit import BSQViT
from bsqav.nn.paper.quantizers import BinarySphericalQuantizer
from bsqav.training.common.placement import Placement
from bsqav.training.paper.phases import to_unit

__all__ = ["entropy_of_all"]


@contextmanager
def entropy_of_all(
    net: nn.Module, parts: Sequence[Tensor], place: Placement, autocast: Callable[[], object]
) -> Iterator[None]:
    """While inside, the entropy of a batch in the loss of a part is that of all parts.

    The entropy of the mean code is no mean of the parts' entropies. A first pass of the encoder
    over all parts (pixels, uint8), without gradients, gives the mean; in the loss of a part its own
    code then has the gradient that it has in the mean of all. So the mean of the parts' gradients
    is that of the whole batch. Nothing is done for one part, and for networks without BSQ.
    """
    quantizer = getattr(net, "quantizer", None)
    if len(parts) == 1 or not isinstance(net, BSQViT):
        yield
        return
    if not isinstance(quantizer, BinarySphericalQuantizer):
        yield
        return
    before, sums = quantizer.average, list[Tensor]()

    def collect(mean: Tensor) -> Tensor:
        sums.append(place.mean(mean.detach()))
        return mean

    quantizer.average = collect
    with torch.no_grad(), autocast():  # type: ignore[attr-defined]
        for pixels in parts:
            net.encode(to_unit(pixels))
    whole = torch.stack(sums).mean(0)
    quantizer.average = lambda mean: whole + (mean - mean.detach())
    try:
        yield
    finally:
        quantizer.average = before
