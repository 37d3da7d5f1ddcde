"""What the operators ask of their arguments, in their kernels and in their fake kernels alike."""

from __future__ import annotations

import torch
from torch import Tensor

from bsqav.errors import UsageError

__all__ = ["FLOATS", "MAX_CODE_BITS", "check_code_bits", "check_floating", "vector_length"]

MAX_CODE_BITS = 64  # kMaxCodeBits of cpp/src/quantizer/sphere.h
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_code_bits(bits: int) -> None:
    """Raises UsageError unless a code can have that many bits."""
    if not 1 <= bits <= MAX_CODE_BITS:
        raise UsageError(f"a code has from 1 to {MAX_CODE_BITS} bits, not {bits}")


def check_floating(dtype: torch.dtype, name: str) -> None:
    """Raises UsageError unless the dtype is one that vectors may have."""
    if dtype not in FLOATS:
        raise UsageError(f"{name} must be float16, bfloat16, float32 or float64, not {dtype}")


def vector_length(x: Tensor, name: str) -> int:
    """The length L of the vectors along the last dimension; UsageError unless 1 <= L <= 64."""
    if x.dim() == 0:
        raise UsageError(f"{name} must have at least one dimension, its vectors' components")
    bits = x.shape[-1]
    if not 1 <= bits <= MAX_CODE_BITS:
        raise UsageError(
            f"the last dimension of {name} must be 1 to {MAX_CODE_BITS} long; "
            f"its shape is {tuple(x.shape)}"
        )
    return bits
