"""PyTorch operators of Binary Spherical Quantization, registered as `torch.ops.bsqav`.

Importing this package needs PyTorch; without it, MissingDependencyError is raised. docs/ops.md has
an example and says how the operators behave with torch.compile, autocast and GPUs.
"""

from bsqav.errors import MissingDependencyError

try:
    import torch as _torch
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise MissingDependencyError("bsqav.ops needs PyTorch: pip install 'bsqav[train]'") from error
del _torch

from bsqav.ops.entropy import EntropyTerms, entropy_terms  # noqa: E402 - PyTorch is there
from bsqav.ops.packing import pack_bits, unpack_bits  # noqa: E402
from bsqav.ops.sphere import project, quantize  # noqa: E402

__all__ = ["EntropyTerms", "entropy_terms", "pack_bits", "project", "quantize", "unpack_bits"]
