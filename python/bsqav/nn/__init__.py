"""PyTorch networks: the codec's (`bsqav.nn.codec`), and the paper's, whose names are here.

They are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bsqav.nn.paper.arprior import ARPrior, ARPriorConfig
    from bsqav.nn.paper.attention import TransformerConfig
    from bsqav.nn.paper.bsqvit import BSQViT, ViTConfig, inflate, sized
    from bsqav.nn.paper.discriminators import (
        ClipDiscriminator,
        PatchDiscriminator,
        StyleDiscriminator,
    )
    from bsqav.nn.paper.lpips import LPIPS
    from bsqav.nn.paper.maskedlm import MaskedLM, MaskedLMConfig, SamplingConfig
    from bsqav.nn.paper.onnx import export_onnx
    from bsqav.nn.paper.published import load_published
    from bsqav.nn.paper.quantizers import (
        BinarySphericalQuantizer,
        BSQConfig,
        FiniteScalarQuantizer,
        FSQConfig,
        LFQConfig,
        LookupFreeQuantizer,
        VectorQuantizer,
        VQConfig,
        codebook_use,
    )
    from bsqav.nn.paper.store import load_model, save_model
    from bsqav.nn.paper.subtokens import SubTokens
    from bsqav.nn.paper.tokencoding import compress, decompress

_HOMES = {
    "arprior": ("ARPrior", "ARPriorConfig"),
    "attention": ("TransformerConfig",),
    "bsqvit": ("BSQViT", "ViTConfig", "inflate", "sized"),
    "discriminators": ("ClipDiscriminator", "PatchDiscriminator", "StyleDiscriminator"),
    "lpips": ("LPIPS",),
    "maskedlm": ("MaskedLM", "MaskedLMConfig", "SamplingConfig"),
    "onnx": ("export_onnx",),
    "published": ("load_published",),
    "quantizers": (
        "BSQConfig",
        "BinarySphericalQuantizer",
        "FSQConfig",
        "FiniteScalarQuantizer",
        "LFQConfig",
        "LookupFreeQuantizer",
        "VQConfig",
        "VectorQuantizer",
        "codebook_use",
    ),
    "store": ("load_model", "save_model"),
    "subtokens": ("SubTokens",),
    "tokencoding": ("compress", "decompress"),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "LPIPS",
    "ARPrior",
    "ARPriorConfig",
    "BSQConfig",
    "BSQViT",
    "BinarySphericalQuantizer",
    "ClipDiscriminator",
    "FSQConfig",
    "FiniteScalarQuantizer",
    "LFQConfig",
    "LookupFreeQuantizer",
    "MaskedLM",
    "MaskedLMConfig",
    "PatchDiscriminator",
    "SamplingConfig",
    "StyleDiscriminator",
    "SubTokens",
    "TransformerConfig",
    "VQConfig",
    "VectorQuantizer",
    "ViTConfig",
    "codebook_use",
    "compress",
    "decompress",
    "export_onnx",
    "inflate",
    "load_model",
    "load_published",
    "save_model",
    "sized",
]


def __getattr__(name: str) -> Any:
    """Imports a public name at its first use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.paper.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
