"""The rows of a tokenizer: its tokens as they are, and coded with a prior."""

from __future__ import annotations

import time
from collections.abc import Iterable

import torch

from bsqav.errors import UsageError
from bsqav.evaluation.research.tables.material import Item
from bsqav.evaluation.research.tables.rows import Meter, Row, Seconds
from bsqav.nn.paper import anysize, tokencoding
from bsqav.nn.paper.anysize import Way
from bsqav.nn.paper.arprior import ARPrior
from bsqav.nn.paper.bsqvit import BSQViT
from bsqav.nn.paper.fingerprints import check_tokenizer

__all__ = ["tokenizer_rows"]


class _Clock:
    """Seconds between calls, once the device has finished."""

    def __init__(self, device: str) -> None:
        self.cuda = device == "cuda"
        self.last = self._now()

    def _now(self) -> float:
        if self.cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    def lap(self) -> float:
        before, self.last = self.last, self._now()
        return self.last - before


@torch.no_grad()
def tokenizer_rows(
    model: BSQViT,
    prior: ARPrior | None,
    items: Iterable[Item],
    meter: Meter,
    way: Way,
    name: str,
) -> list[Row]:
    """The row without entropy coding, and with a prior the row of its streams, decoded again.

    way: how images and frames of other sizes go through, see bsqav.nn.paper.anysize; a prior takes
    tiles. Tokens of what sides are padded by count. Raises UsageError where nothing is to be
    measured or the prior is for other tokens, ModelError where it is for those of another
    tokenizer, BitstreamError where a stream does not come back.
    """
    if prior is not None:
        check_tokenizer(prior.tokenizer_id, model, "the prior")
        if way != "tiles":
            raise UsageError("a prior knows tokens of one grid only: omit --fit whole")
        prior = prior.to(meter.device).eval()
    model = model.to(meter.device).eval()
    seconds, tokens, size = Seconds(), 0, 0
    for item in items:
        for batch in item.batches(model.config.frames):
            x = batch.to(meter.device)
            clock = _Clock(meter.device)
            indices = anysize.tokenize(model, x, way)
            seconds.encode += clock.lap()
            if prior is not None:
                tiles = anysize.tiles_of(model, indices)
                data = tokencoding.compress(prior, tiles)
                seconds.entropy += clock.lap()
                back = tokencoding.decompress(prior, data, tokenizer=model)
                seconds.entropy_decode += clock.lap()
                if not torch.equal(back.to(tiles.device).view(tiles.shape), tiles):
                    raise UsageError("a stream did not give its tokens back")
                size += 8 * len(data)
                clock.lap()
            y = anysize.detokenize(model, indices, (x.shape[-2], x.shape[-1]), way)
            seconds.decode += clock.lap()
            tokens += indices.numel()
            meter.add(x, y.float())
    bits = round(model.quantizer.bits * tokens)
    plain = Seconds(encode=seconds.encode, decode=seconds.decode)
    rows = [meter.row(f"{name} without prior", "", bits, plain)]
    if prior is not None:
        rows.append(meter.row(f"{name} with prior", "", size, seconds, entropy=True))
    return rows
