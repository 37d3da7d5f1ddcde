"""Quantizers of a tokenizer's latents: the paper's BSQ, and VQ, FSQ and LFQ to compare it with."""

from bsqav.nn.paper.quantizers.base import Quantized, Quantizer
from bsqav.nn.paper.quantizers.bsq import BinarySphericalQuantizer, BSQConfig
from bsqav.nn.paper.quantizers.fsq import FiniteScalarQuantizer
from bsqav.nn.paper.quantizers.lfq import LookupFreeQuantizer
from bsqav.nn.paper.quantizers.vq import VectorQuantizer

__all__ = [
    "BSQConfig",
    "BinarySphericalQuantizer",
    "FiniteScalarQuantizer",
    "LookupFreeQuantizer",
    "Quantized",
    "Quantizer",
    "VectorQuantizer",
]
