"""Signs of vectors to integer codes of up to 64 bits, and codes to corners, exactly.

Bit i of a code is 1 where component i is not negative, as in libbsq (cpp/src/quantizer/sphere.h).
PyTorch has no full set of operations on uint64, so codes are int64: bit 63 is the sign.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from bsqav import _core
from bsqav.errors import UsageError
from bsqav.ops.arguments import MAX_CODE_BITS, check_code_bits, check_floating, vector_length

__all__ = ["pack_bits", "unpack_bits"]

# Dtypes whose values float32 holds exactly; a small negative float64 would lose its sign.
_AS_FLOAT32 = (torch.float16, torch.bfloat16, torch.float32)


def _check_signs(x: Tensor) -> int:
    """The vectors' length; UsageError unless x holds vectors or bits."""
    if x.dtype != torch.bool:
        check_floating(x.dtype, "x, if not bool,")
    return vector_length(x, "x")


def _codes_by_torch(x: Tensor) -> Tensor:
    """pack_bits of what was checked, on any device."""
    if x.dtype != torch.bool and not bool(torch.isfinite(x).all()):
        raise UsageError("an element of the vectors to pack is NaN or infinite")
    positive = x if x.dtype == torch.bool else x >= 0
    places = torch.arange(x.shape[-1], device=x.device)
    # No two terms share a bit, so the sum is their union, that of bit 63 included.
    return (positive.to(torch.int64) << places).sum(-1)


@torch.library.custom_op("bsqav::pack_bits", mutates_args=(), schema="(Tensor x) -> Tensor")
def _pack_bits(x: Tensor) -> Tensor:
    _check_signs(x)
    return _codes_by_torch(x)


@_pack_bits.register_kernel("cpu")
def _pack_bits_cpu(x: Tensor) -> Tensor:
    _check_signs(x)
    if x.dtype not in _AS_FLOAT32:
        return _codes_by_torch(x)
    return torch.from_numpy(_core.quantize(x.detach().float().numpy()).view(np.int64))


@_pack_bits.register_fake
def _pack_bits_fake(x: Tensor) -> Tensor:
    _check_signs(x)
    return x.new_empty(x.shape[:-1], dtype=torch.int64)


def _check_codes(codes: Tensor, bits: int, dtype: torch.dtype) -> None:
    """UsageError unless the dtypes and the number of bits are possible ones."""
    check_code_bits(bits)
    check_floating(dtype, "dtype")
    if codes.dtype != torch.int64:
        raise UsageError(f"codes must be int64, not {codes.dtype}")


def _corners_by_torch(codes: Tensor, bits: int, dtype: torch.dtype) -> Tensor:
    """unpack_bits of what was checked, on any device."""
    if bits < MAX_CODE_BITS and bool((codes >> bits != 0).any()):
        raise UsageError(f"a code has more than {bits} bits")
    corner = torch.full((), 1 / math.sqrt(bits), dtype=dtype, device=codes.device)
    places = torch.arange(bits, device=codes.device)
    return torch.where((codes.unsqueeze(-1) >> places) & 1 == 1, corner, -corner)


@torch.library.custom_op(
    "bsqav::unpack_bits",
    mutates_args=(),
    schema="(Tensor codes, int bits, ScalarType dtype) -> Tensor",
)
def _unpack_bits(codes: Tensor, bits: int, dtype: torch.dtype) -> Tensor:
    _check_codes(codes, bits, dtype)
    return _corners_by_torch(codes, bits, dtype)


@_unpack_bits.register_kernel("cpu")
def _unpack_bits_cpu(codes: Tensor, bits: int, dtype: torch.dtype) -> Tensor:
    _check_codes(codes, bits, dtype)
    if dtype != torch.float32:
        return _corners_by_torch(codes, bits, dtype)
    return torch.from_numpy(_core.dequantize(codes.numpy().view(np.uint64), bits))


@_unpack_bits.register_fake
def _unpack_bits_fake(codes: Tensor, bits: int, dtype: torch.dtype) -> Tensor:
    _check_codes(codes, bits, dtype)
    return codes.new_empty((*codes.shape, bits), dtype=dtype)


def pack_bits(x: Tensor) -> Tensor:
    """Integer codes of vectors by their signs, `torch.ops.bsqav.pack_bits`.

    Args:
        x: [..., L], L from 1 to 64: vectors in float16, bfloat16, float32 or float64, quantized or
            not (their signs are the same), or bits as bool. Bits as numbers 0 and 1 do not fit:
            0.0 counts as positive, as in quantize.

    Returns:
        Codes [...] in int64. Bit i is 1 where x[..., i] >= 0 (so for 0.0 and -0.0), or is True.
        Codes of 64 bits are in two's complement: codes.numpy().view(numpy.uint64) are the codes
        of `_core.quantize`. There is no gradient.

    Raises:
        UsageError: x has another dtype, no dimension, vectors of another length, or an element
            that is NaN or infinite (on a GPU the check waits for the device).
    """
    codes: Tensor = torch.ops.bsqav.pack_bits(x)
    return codes


def unpack_bits(codes: Tensor, bits: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """Quantized vectors of integer codes, `torch.ops.bsqav.unpack_bits`: pack_bits backwards.

    Args:
        codes: codes [...] in int64, as pack_bits gives them.
        bits: the vectors' length L, from 1 to 64.
        dtype: of the result: float16, bfloat16, float32 or float64.

    Returns:
        û [..., bits]: +1/sqrt(bits) where bit i of the code is 1 and -1/sqrt(bits) where it is 0,
        rounded to dtype: the values that quantize gives. There is no gradient.

    Raises:
        UsageError: bits or a dtype is out of range, or a code has a bit set beyond `bits` (on a
            GPU the check waits for the device).
    """
    vectors: Tensor = torch.ops.bsqav.unpack_bits(codes, bits, dtype)
    return vectors
