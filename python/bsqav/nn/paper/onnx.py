"""Tokenizers as ONNX graphs, for programs without PyTorch."""

from __future__ import annotations

import logging
import math
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from bsqav.codec.files import written_whole
from bsqav.errors import MissingDependencyError, UsageError
from bsqav.nn.paper.bsqvit import BSQViT
from bsqav.nn.paper.quantizers import BinarySphericalQuantizer

__all__ = ["export_onnx"]

ENCODER, DECODER = "encoder.onnx", "decoder.onnx"
OPSET = 18
# ONNX shifts unsigned integers only, and the exporter divides in floating point: bits come from
# remainders, whose divisors have to stay below 2^63.
MAX_BITS = 62


def export_onnx(model: BSQViT, folder: str | Path) -> tuple[Path, Path]:
    """Writes encoder.onnx and decoder.onnx of a tokenizer with BSQ of up to 62 bits.

    encoder: `pixels` float32 [B, 3, (T,) rows, columns] from -1 to 1 -> `indices` int64
    [B, (T,) H, W]; decoder: the other way, pixels clamped. B is free; frames and sizes are the
    configuration's. Opset 18, weights within the files. Raises UsageError for another quantizer,
    MissingDependencyError without onnx and onnxscript.
    """
    quantizer = model.quantizer
    if not isinstance(quantizer, BinarySphericalQuantizer) or quantizer.config.bits > MAX_BITS:
        raise UsageError(f"ONNX takes tokenizers with BSQ of up to {MAX_BITS} bits")
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "ONNX graphs need onnx and onnxscript: pip install 'bsqav[onnx]'"
        ) from error
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    frames, (rows, columns), (h, w) = model.config.frames, model.config.size, model.config.grid
    time = (frames,) if frames > 1 else ()
    device = model.embed.weight.device
    pixels = torch.zeros(2, 3, *time, rows, columns, device=device)
    indices = torch.zeros(2, *time, h, w, dtype=torch.int64, device=device)
    training = model.training
    model.eval()
    try:
        _export(_Encoder(model, quantizer), pixels, ("pixels", "indices"), folder / ENCODER)
        _export(_Decoder(model, quantizer), indices, ("indices", "pixels"), folder / DECODER)
    finally:
        model.train(training)
    return folder / ENCODER, folder / DECODER


class _Encoder(nn.Module):
    def __init__(self, model: BSQViT, quantizer: BinarySphericalQuantizer) -> None:
        super().__init__()
        self.model = model
        self.positive = quantizer.config.zero_bit == 1
        self.register_buffer("places", _places(quantizer), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        z = self.model.latents(pixels)
        signs = z >= 0 if self.positive else z > 0
        return (signs.to(torch.int64) * torch.as_tensor(self.places)).sum(-1)


class _Decoder(nn.Module):
    def __init__(self, model: BSQViT, quantizer: BinarySphericalQuantizer) -> None:
        super().__init__()
        self.model = model
        self.scale = 1 / math.sqrt(quantizer.config.bits)
        self.register_buffer("places", _places(quantizer), persistent=False)

    def forward(self, indices: Tensor) -> Tensor:
        places = torch.as_tensor(self.places)
        bits = indices.unsqueeze(-1) % (2 * places) >= places
        vectors = (2.0 * bits.to(torch.float32) - 1.0) * self.scale
        return self.model.decode(vectors).clamp(-1, 1)


def _places(quantizer: BinarySphericalQuantizer) -> Tensor:
    """2^i of the component that is bit i of an index."""
    places = torch.tensor([1 << i for i in range(quantizer.config.bits)], dtype=torch.int64)
    return places.flip(0) if quantizer.config.most_first else places


def _export(module: nn.Module, example: Tensor, names: tuple[str, str], path: Path) -> None:
    batch = {0: torch.export.Dim("batch", min=1)}
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings(), written_whole(path) as partial, torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        logger.setLevel(logging.ERROR)
        torch.onnx.export(
            module.eval().to(example.device),
            (example,),
            partial,
            input_names=[names[0]],
            output_names=[names[1]],
            opset_version=OPSET,
            dynamic_shapes=(batch,),
            external_data=False,
            verbose=False,
        )
    logger.setLevel(level)
