"""What the paper measures of its tokenizers: reconstruction, codes in use, bits with a prior.

PSNR, SSIM, MS-SSIM and LPIPS are means over images of pixels that are not rounded, as the
published program has them; throughput is images through encoder, quantizer and decoder.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from bsqav.errors import MissingDependencyError, UsageError
from bsqav.evaluation.research.features import FeatureNetwork
from bsqav.evaluation.research.generated import Gathered, frechet_of
from bsqav.nn.paper import anysize, tokencoding
from bsqav.nn.paper.anysize import Way
from bsqav.nn.paper.arprior import ARPrior
from bsqav.nn.paper.attention import Attention, choose_attention
from bsqav.nn.paper.bsqvit import BSQViT
from bsqav.nn.paper.fingerprints import check_tokenizer
from bsqav.nn.paper.lpips import LPIPS, Trunk
from bsqav.nn.paper.published import load_published
from bsqav.nn.paper.quantizers import CodebookUse, codebook_use
from bsqav.nn.paper.store import load_model

__all__ = [
    "Compression",
    "Reconstruction",
    "compression",
    "frames_of",
    "likeness",
    "load_lpips",
    "load_prior",
    "load_tokenizer",
    "psnr_of",
    "reconstruction",
]

# Five scales of an 11-tap window; the published program asks for 256.
MS_SSIM_SIDE = 161


@dataclass(frozen=True)
class Reconstruction:
    """Means over images, or frames of clips; None where a figure is not to be had.

    psnr in dB; ms_ssim from 161 pixels a side; lpips where weights were given. use: of the
    codebook. images_per_second: on this machine. distances: rFID or
    rFVD, by the key of the network that was given. warnings: what is to be known of them.
    """

    images: int
    bits: float
    bpp: float
    psnr: float
    ssim: float
    ms_ssim: float | None
    lpips: float | None
    use: CodebookUse
    images_per_second: float
    distances: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Compression:
    """Bits with and without the prior, of streams that were decoded again.

    bpp_plain: tokens as they are; bpp: the streams' bytes. bits_per_token: of the streams without
    their headers. psnr: of the decoded tokens' pixels, in dB, the mean over images or frames.
    tokens_per_second: of decoding, one by one.
    """

    clips: int
    bits: float
    bits_per_token: float
    bpp_plain: float
    bpp: float
    saved: float
    psnr: float
    tokens_per_second: float


def load_tokenizer(path: Path, *, published: bool = False, attention: Attention = "sdpa") -> BSQViT:
    """A tokenizer's file, or a checkpoint of the published program. Raises ModelError.

    attention: see bsqav.nn.paper.attention.choose_attention.
    """
    model = load_published(path) if published else load_model(path, BSQViT)
    choose_attention(model, attention)
    return model


def load_prior(path: Path) -> ARPrior:
    """A prior's file. Raises ModelError for one of another kind."""
    return load_model(path, ARPrior)


def load_lpips(files: Sequence[Path], trunk: Trunk) -> LPIPS:
    """LPIPS from the files of its trunk and heads. Raises ModelError for what is missing."""
    return LPIPS(*files, trunk=trunk)


@torch.no_grad()
def _check_network(model: BSQViT, network: FeatureNetwork | None) -> None:
    if find_spec("pytorch_msssim") is None:
        raise MissingDependencyError("SSIM needs pytorch-msssim: pip install 'bsqav[train]'")
    if network is not None and network.clips and model.config.frames == 1:
        raise UsageError(f"{network.source} is for videos, the tokenizer for images")


def reconstruction(
    model: BSQViT,
    batches: Iterator[Tensor],
    lpips: LPIPS | None = None,
    device: str = "cpu",
    network: FeatureNetwork | None = None,
    way: Way | None = None,
) -> Reconstruction:
    """Measures a tokenizer on images, or on clips frame by frame.

    way: how frames of any size go through, see bsqav.nn.paper.anysize; None: their size fits.
    network: for the Frechet distance of what comes out to what went in; one for images looks at
    clips frame by frame. Raises MissingDependencyError without pytorch-msssim, UsageError where
    there is no image or the network is for clips and the tokenizer is not.
    """
    _check_network(model, network)
    model = model.to(device).eval()
    lpips = None if lpips is None else lpips.to(device)
    real, fake = Gathered(), Gathered()
    figures: dict[str, list[Tensor]] = {"psnr": [], "ssim": [], "ms_ssim": [], "lpips": []}
    indices, pixels, seconds = [], 0, 0.0
    for x in batches:
        x = x.to(device)
        began = time.perf_counter()
        y, found = _through(model, x, way)
        indices.append(found.flatten().cpu())  # waits for the device
        seconds += time.perf_counter() - began
        pixels += x.numel() // 3
        if network is not None and network.clips:
            real.add(network(x))
            fake.add(network(y))
        x, y = frames_of(x), frames_of(y)  # figures are means over frames
        if network is not None and not network.clips:
            real.add(network(x))
            fake.add(network(y))
        for name, values in likeness(x, y, lpips).items():
            figures[name].append(values)
    if not indices:
        raise UsageError("there is no image to measure on")
    means = {n: torch.cat(v).double().mean().item() if v else None for n, v in figures.items()}
    images, every = sum(len(part) for part in figures["psnr"]), torch.cat(indices)
    bits = model.quantizer.bits
    distances, warnings = ({}, []) if network is None else frechet_of(network, fake, real)
    return Reconstruction(
        images=images,
        bits=bits,
        bpp=bits * len(every) / pixels,
        psnr=means["psnr"] or 0.0,
        ssim=means["ssim"] or 0.0,
        ms_ssim=means["ms_ssim"],
        lpips=means["lpips"],
        use=codebook_use(every, model.quantizer.codes),
        images_per_second=images / seconds,
        distances=distances,
        warnings=warnings,
    )


def frames_of(x: Tensor) -> Tensor:
    """Clips [B, 3, T, rows, columns] as images [B T, 3, rows, columns]; images as they are."""
    return x.transpose(1, 2).flatten(0, 1) if x.dim() == 5 else x


def psnr_of(x: Tensor, y: Tensor) -> Tensor:
    """PSNR [B] in dB, at most 106, of images [B, 3, rows, columns] from -1 to 1."""
    return 10 * torch.log10(4 / (x - y).square().mean((1, 2, 3)).clamp_min(1e-10))


def _through(model: BSQViT, x: Tensor, way: Way | None) -> tuple[Tensor, Tensor]:
    """Pixels from -1 to 1 of images or clips, and indices."""
    if way is None:
        found = model(x)
        return found.pixels.float().clamp(-1, 1), found.tokens.indices
    indices = anysize.tokenize(model, x, way)
    return anysize.detokenize(model, indices, (x.shape[-2], x.shape[-1]), way).float(), indices


def likeness(x: Tensor, y: Tensor, lpips: LPIPS | None) -> dict[str, Tensor]:
    """Figures [B] of images [B, 3, rows, columns] from -1 to 1 against others."""
    from pytorch_msssim import ms_ssim, ssim

    a, b = (x + 1) * 127.5, (y + 1) * 127.5
    found = {
        "psnr": psnr_of(x, y),
        "ssim": ssim(a, b, data_range=255, size_average=False),
    }
    if min(x.shape[-2:]) >= MS_SSIM_SIDE:
        found["ms_ssim"] = ms_ssim(a, b, data_range=255, size_average=False)
    if lpips is not None:
        found["lpips"] = lpips(x, y)
    return found


@torch.no_grad()
def compression(
    model: BSQViT,
    prior: ARPrior,
    batches: Iterator[Tensor],
    device: str = "cpu",
    *,
    tiles: bool = False,
) -> Compression:
    """Codes images or clips, decodes the streams again, and counts their bytes.

    tiles: images are of any size and cut into tiles, each of which the prior sees alone.

    Raises UsageError where there is none or the prior is for other tokens, ModelError where it is
    for those of another tokenizer, BitstreamError where a stream did not come back.
    """
    check_tokenizer(prior.tokenizer_id, model, "the prior")
    model, prior = model.to(device).eval(), prior.to(device).eval()
    clips = tokens = size = streams = pixels = 0
    seconds, ratios = 0.0, []
    for x in batches:
        y, indices = _through(model, x.to(device), "tiles" if tiles else None)
        ratios.append(psnr_of(frames_of(x), frames_of(y.cpu())))
        indices = anysize.tiles_of(model, indices) if tiles else indices
        data = tokencoding.compress(prior, indices)
        began = time.perf_counter()
        found = tokencoding.decompress(prior, data)
        seconds += time.perf_counter() - began
        if not torch.equal(found.view(indices.shape), indices):
            raise UsageError("a stream did not give its tokens back")
        clips, tokens, size = clips + len(x), tokens + indices.numel(), size + len(data)
        streams, pixels = streams + 1, pixels + x.numel() // 3
    if not clips:
        raise UsageError("there is no image to measure on")
    bits = prior.config.tokens.bits
    return Compression(
        clips=clips,
        bits=float(bits),
        bits_per_token=8 * (size - streams * tokencoding.HEADER.size) / tokens,
        bpp_plain=bits * tokens / pixels,
        bpp=8 * size / pixels,
        saved=1 - 8 * size / (bits * tokens),
        psnr=torch.cat(ratios).mean().item(),
        tokens_per_second=tokens / seconds,
    )
