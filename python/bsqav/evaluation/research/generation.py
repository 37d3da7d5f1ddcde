"""Images drawn by a masked language model and its tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from bsqav.errors import ModelError, UsageError
from bsqav.nn.paper.bsqvit import BSQViT
from bsqav.nn.paper.fingerprints import check_tokenizer
from bsqav.nn.paper.maskedlm import MaskedLM, SamplingConfig
from bsqav.nn.paper.store import load_model

__all__ = ["Generator", "SamplingConfig", "grid", "write_images"]

Pixels = npt.NDArray[np.uint8]
BATCH = 64


class Generator:
    """Draws images with the models of two files. Raises ModelError where they do not fit."""

    def __init__(self, model: Path, tokenizer: Path, device: str = "cpu") -> None:
        net, decoder = load_model(model, MaskedLM), load_model(tokenizer, BSQViT)
        if decoder.quantizer.dim != net.config.tokens.bits:
            raise ModelError(
                f"{tokenizer} has tokens of {decoder.quantizer.dim} bits, "
                f"{model} of {net.config.tokens.bits}"
            )
        check_tokenizer(net.tokenizer_id, decoder, str(model))
        self.labels = list(net.labels)
        self.net, self.decoder, self.device = net.to(device), decoder.to(device), device

    def label(self, name: str) -> int:
        """The number of a class by its name or number. Raises UsageError for another."""
        if name in self.labels:
            return self.labels.index(name)
        if name.isdecimal() and int(name) < self.net.config.classes:
            return int(name)
        known = ", ".join(self.labels[:20]) or f"0 to {self.net.config.classes - 1}"
        raise UsageError(
            f"no class {name!r}; there are {known}" if self.net.config.classes else "no classes"
        )

    def draw(
        self,
        count: int,
        classes: Sequence[int] = (),
        config: SamplingConfig | None = None,
        seed: int = 0,
    ) -> Pixels:
        """`count` images [count, rows, columns, 3] of the classes in turn; of none without."""
        none = self.net.config.classes
        wanted = [classes[i % len(classes)] if classes else none for i in range(count)]
        random, parts = torch.Generator(self.device).manual_seed(seed), []
        for first in range(0, count, BATCH):
            labels = torch.tensor(wanted[first : first + BATCH], device=self.device)
            indices = self.net.sample(labels, config, random)
            pixels = (self.decoder.detokenize(indices) + 1) * 127.5
            parts.append(pixels.round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy())
        return np.concatenate(parts)


def grid(images: Pixels, columns: int) -> Pixels:
    """Images [N, rows, columns, 3] side by side in one; white where one is missing."""
    n, height, width, _ = images.shape
    rows = -(-n // columns)
    mosaic = np.full((rows * columns, height, width, 3), 255, np.uint8)
    mosaic[:n] = images
    mosaic = mosaic.reshape(rows, columns, height, width, 3).transpose(0, 2, 1, 3, 4)
    return mosaic.reshape(rows * height, columns * width, 3)


def write_images(images: Pixels, out: Path, columns: int) -> list[Path]:
    """One grid where `out` names an image file, otherwise a file each in that folder."""
    if out.suffix:
        Image.fromarray(grid(images, columns)).save(out)
        return [out]
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"{index:05d}.png" for index in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    return paths
