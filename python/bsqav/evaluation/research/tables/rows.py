"""A row of a table: what a codec or a tokenizer gives at its rate, and how long it takes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bsqav.errors import UsageError
from bsqav.evaluation.research.features import FeatureNetwork
from bsqav.evaluation.research.generated import Gathered, frechet_of
from bsqav.evaluation.research.tokens import frames_of, likeness
from bsqav.nn.paper.lpips import LPIPS

__all__ = ["Meter", "Row", "Seconds"]


@dataclass
class Seconds:
    """Of all frames: coding without and with the entropy coder, and back."""

    encode: float = 0.0
    entropy: float = 0.0
    entropy_decode: float = 0.0
    decode: float = 0.0


@dataclass(frozen=True)
class Row:
    """Means over frames, None where a figure is not to be had.

    setting: of a codec, as people write it. bits: of all streams. psnr in dB, of RGB; ms_ssim from
    161 pixels a side, ms_ssim_db the mean of -10 log10(1 - x). distance: rFID or rFVD.
    encode_ms, entropy_ms, entropy_decode_ms, decode_ms: of a frame. fps: of encode, entropy
    and decode together, as the paper adds them up. warnings: of the distance.
    """

    codec: str
    setting: str
    frames: int
    bits: int
    bpp: float
    psnr: float
    ssim: float
    ms_ssim: float | None
    ms_ssim_db: float | None
    lpips: float | None
    distance: float | None
    encode_ms: float
    entropy_ms: float | None
    entropy_decode_ms: float | None
    decode_ms: float
    fps: float
    warnings: tuple[str, ...] = ()


class Meter:
    """Compares what comes out with what went in, frame by frame.

    network: for the Frechet distance of the sets, of clips or of their frames.
    """

    def __init__(self, lpips: LPIPS | None, network: FeatureNetwork | None, device: str) -> None:
        self.lpips, self.network, self.device = lpips, network, device
        self.real, self.fake = Gathered(), Gathered()
        self.parts: dict[str, list[Tensor]] = {}
        self.frames = self.pixels = 0

    @torch.no_grad()
    def add(self, x: Tensor, y: Tensor) -> None:
        """Images [B, 3, rows, columns] or clips [B, 3, T, rows, columns] from -1 to 1, in and out.

        Raises UsageError where the two differ in shape.
        """
        if x.shape != y.shape:
            raise UsageError(f"{tuple(x.shape)} pixels went in, {tuple(y.shape)} came out")
        x, y = x.to(self.device), y.to(self.device).clamp(-1, 1)
        network = self.network
        if network is not None and network.clips:
            self.real.add(network(x))
            self.fake.add(network(y))
        x, y = frames_of(x), frames_of(y)
        if network is not None and not network.clips:
            self.real.add(network(x))
            self.fake.add(network(y))
        figures = likeness(x, y, self.lpips)
        if "ms_ssim" in figures:
            figures["ms_ssim_db"] = -10 * torch.log10((1 - figures["ms_ssim"]).clamp_min(1e-6))
        for name, values in figures.items():
            self.parts.setdefault(name, []).append(values.double().cpu())
        self.frames += len(x)
        self.pixels += x.numel() // 3

    def row(
        self, codec: str, setting: str, size: int, seconds: Seconds, *, entropy: bool = False
    ) -> Row:
        """The row of all that was added.

        size: bits of all streams. entropy: the seconds tell entropy coding apart. Raises UsageError
        where nothing was added.
        """
        if not self.frames:
            raise UsageError("there is nothing to measure on: no image, or no video long enough")
        # MS-SSIM of a part of the images would be of another set.
        whole = {n: torch.cat(v) for n, v in self.parts.items()}
        means = {n: v.mean().item() for n, v in whole.items() if len(v) == self.frames}
        distances, warnings = ({}, []) if self.network is None else self._distance()
        each = 1000 / self.frames
        total = seconds.encode + seconds.entropy + seconds.decode
        return Row(
            codec=codec,
            setting=setting,
            frames=self.frames,
            bits=size,
            bpp=size / self.pixels,
            psnr=means["psnr"],
            ssim=means["ssim"],
            ms_ssim=means.get("ms_ssim"),
            ms_ssim_db=means.get("ms_ssim_db"),
            lpips=means.get("lpips"),
            distance=next(iter(distances.values()), None),
            encode_ms=seconds.encode * each,
            entropy_ms=seconds.entropy * each if entropy else None,
            entropy_decode_ms=seconds.entropy_decode * each if entropy else None,
            decode_ms=seconds.decode * each,
            fps=self.frames / total if total else 0.0,
            warnings=tuple(warnings),
        )

    def _distance(self) -> tuple[dict[str, float], list[str]]:
        assert self.network is not None
        return frechet_of(self.network, self.fake, self.real)
