"""Quantizers of a tokenizer's latents: the paper's BSQ, and VQ, FSQ and LFQ to compare it with."""

from bsqav.nn.quantizers.base import Quantized, Quantizer
from bsqav.nn.quantizers.bsq import BinarySphericalQuantizer, BSQConfig
from bsqav.nn.quantizers.fsq import FiniteScalarQuantizer
from bsqav.nn.quantizers.lfq import LookupFreeQuantizer
from bsqav.nn.quantizers.vq import VectorQuantizer

__all__ = [
    "BSQConfig",
    "BinarySphericalQuantizer",
    "FiniteScalarQuantizer",
    "LookupFreeQuantizer",
    "Quantized",
    "Quantizer",
    "VectorQuantizer",
]
