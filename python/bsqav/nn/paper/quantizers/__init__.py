"""Quantizers of a tokenizer's latents: the paper's BSQ, and VQ, FSQ and LFQ to compare it with."""

from dataclasses import asdict

from bsqav.nn.paper.quantizers.base import Quantized, Quantizer
from bsqav.nn.paper.quantizers.bsq import BinarySphericalQuantizer, BSQConfig
from bsqav.nn.paper.quantizers.fsq import FiniteScalarQuantizer, FSQConfig
from bsqav.nn.paper.quantizers.lfq import LFQConfig, LookupFreeQuantizer
from bsqav.nn.paper.quantizers.usage import CodebookUse, codebook_use
from bsqav.nn.paper.quantizers.vq import VectorQuantizer, VQConfig

__all__ = [
    "BSQConfig",
    "BinarySphericalQuantizer",
    "CodebookUse",
    "FSQConfig",
    "FiniteScalarQuantizer",
    "LFQConfig",
    "LookupFreeQuantizer",
    "Quantized",
    "Quantizer",
    "QuantizerConfig",
    "VQConfig",
    "VectorQuantizer",
    "codebook_use",
    "quantizer_of",
]

QuantizerConfig = BSQConfig | VQConfig | FSQConfig | LFQConfig


def quantizer_of(config: QuantizerConfig) -> Quantizer:
    """The quantizer of a configuration. Raises UsageError for one out of range."""
    match config:
        case BSQConfig():
            return BinarySphericalQuantizer(config)
        case VQConfig():
            return VectorQuantizer(**asdict(config))
        case FSQConfig():
            return FiniteScalarQuantizer(config.levels)
        case LFQConfig():
            return LookupFreeQuantizer(**asdict(config))
