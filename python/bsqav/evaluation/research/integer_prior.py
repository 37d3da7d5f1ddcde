"""What the codec's integer prior saves on the images that a research prior is measured on.

The two have tokenizers of their own: bits per token and per cent tell how much a prior knows of its
tokens, bits per pixel at a PSNR what that is worth.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bsqav import _core
from bsqav.codec.modelspec import STAGE_BITS
from bsqav.errors import UsageError
from bsqav.evaluation.io.coding import encode
from bsqav.evaluation.io.y4m import Planes, Y4mHeader, split_planes
from bsqav.evaluation.research.tokens import psnr_of
from bsqav.nn.paper import anysize

__all__ = ["IntegerPrior", "integer_prior"]

TOKEN = 8  # luma samples each way
SUPERBLOCK = 4  # tokens each way

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class IntegerPrior:
    """Bits of the codec at one quality.

    bits: of a token without a prior: flags of superblocks and stages, and bits, of all
    layers; bits_per_token: the same through the prior and the range coder. A token is a square of
    8 x 8 luma samples of one frame. bpp: of whole packets. psnr: of RGB, in dB, the mean over
    images or frames.
    """

    crf: float
    clips: int
    bits: float
    bits_per_token: float
    bpp: float
    saved: float
    psnr: float


def integer_prior(batches: Iterable[Tensor], model: _core.Model, crf: float) -> IntegerPrior:
    """Codes images [B, 3, rows, columns] or clips [B, 3, T, rows, columns] from -1 to 1.

    In 4:2:0 of 8 bits, a stream for each, decoded again for the PSNR; an odd last row or column is
    coded twice. Raises UsageError where there is none.
    """
    clips = tokens = pixels = size = 0
    plain = coded = 0.0
    ratios: list[Tensor] = []
    for batch in batches:
        for clip in batch if batch.dim() == 5 else batch.unsqueeze(2):
            even = anysize.pad_to(clip, (2, 2)).permute(1, 2, 3, 0)
            frames = ((even + 1) * 127.5).round().byte().contiguous().numpy()
            decoder = _core.Decoder([model], threads=1, keep_layers=True)
            came: list[Pixels] = []
            packets = encode([_planes(f) for f in frames], model, crf, gop=len(frames), threads=1)
            for packet, stats in packets:
                decoder.send(packet.data)
                came += _received(decoder)
                plain += sum(_plain_bits(*layer) for layer in decoder.layer_tokens)
                coded += stats["flag_bits"] + stats["token_bits"]
                size += len(packet.data)
            decoder.flush()
            came += _received(decoder)
            y = torch.from_numpy(np.stack(came)).permute(0, 3, 1, 2).float() / 127.5 - 1
            ratios.append(psnr_of(clip.transpose(0, 1), y[..., : clip.shape[-2], : clip.shape[-1]]))
            clips, pixels = clips + 1, pixels + clip.numel() // 3
            rows, columns = (-(-side // TOKEN) for side in frames.shape[1:3])
            tokens += len(frames) * rows * columns
    if not clips:
        raise UsageError("there is no image to measure on")
    return IntegerPrior(
        crf=crf,
        clips=clips,
        bits=plain / tokens,
        bits_per_token=coded / tokens,
        bpp=8 * size / pixels,
        saved=1 - coded / plain,
        psnr=torch.cat(ratios).mean().item(),
    )


def _plain_bits(stages: npt.NDArray[np.uint8], words: npt.NDArray[np.uint32]) -> int:
    """Flags and bits of one layer without a prior: of superblocks, and of stages in active ones."""
    rows, columns = stages.shape
    padded = np.pad(stages, ((0, -rows % SUPERBLOCK), (0, -columns % SUPERBLOCK)))
    superblocks = padded.reshape(padded.shape[0] // SUPERBLOCK, SUPERBLOCK, -1, SUPERBLOCK).any(
        axis=(1, 3)
    )
    active = superblocks.repeat(SUPERBLOCK, 0).repeat(SUPERBLOCK, 1)[:rows, :columns]
    # A flag for every stage that follows, and one that says that none does.
    flags = np.minimum(stages[active].astype(np.int64) + 1, words.shape[-1]).sum()
    return int(superblocks.size + flags + STAGE_BITS * stages.astype(np.int64).sum())


def _planes(rgb: Pixels) -> Planes:
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
    header = Y4mHeader(frame.width, frame.height, Fraction(25))
    return split_planes(frame.to_ndarray().tobytes(), header)


def _received(decoder: _core.Decoder) -> list[Pixels]:
    """The images that are ready, [rows, columns, 3]."""
    found = []
    while (image := decoder.receive()) is not None:
        flat = np.concatenate([np.asarray(plane).ravel() for plane in image.planes])
        array = flat.astype(np.uint8, copy=False).reshape(-1, image.width)
        frame = av.VideoFrame.from_ndarray(array, format="yuv420p")
        found.append(frame.reformat(format="rgb24").to_ndarray().astype(np.uint8, copy=False))
    return found
