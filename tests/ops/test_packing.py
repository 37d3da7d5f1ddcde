"""Codes of signs and signs of codes: exact to 64 bits, equal to the codec's, and checked."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from bsqav import UsageError, _core, ops

LENGTHS = [1, 2, 18, 31, 32, 33, 36, 53, 63, 64]
FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def latents(count: int, bits: int) -> Tensor:
    """Normal numbers; the last three vectors have all, none, and only the last sign set."""
    z = torch.randn(count, bits, generator=torch.Generator().manual_seed(bits))
    z[-3], z[-2:] = 1.0, -1.0
    z[-1, -1] = 1.0
    return z


@pytest.mark.parametrize("bits", LENGTHS)
def test_codes_are_those_of_the_codec(bits: int) -> None:
    z = latents(200, bits)
    expected = _core.quantize(z.numpy())
    assert expected[-3:].tolist() == [2**bits - 1, 0, 2 ** (bits - 1)]
    # float32 packs by the codec's quantizer, float64 and bool as other devices do.
    for x in (z, ops.quantize(z), ops.project(z), z.double(), z >= 0):
        codes = ops.pack_bits(x)
        assert codes.dtype == torch.int64
        assert np.array_equal(codes.numpy().view(np.uint64), expected)


def test_order_and_sign_of_the_highest_bit() -> None:
    bits = torch.zeros(64, 64, dtype=torch.bool)
    bits.fill_diagonal_(True)
    assert ops.pack_bits(bits).tolist() == [1 << i for i in range(63)] + [-(1 << 63)]
    assert ops.pack_bits(torch.ones(64)).item() == -1
    assert ops.pack_bits(torch.tensor([True, False, True])).item() == 5


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("bits", LENGTHS)
def test_round_trip(bits: int, dtype: torch.dtype) -> None:
    u = ops.quantize(latents(200, bits).view(2, 100, bits).to(dtype))
    codes = ops.pack_bits(u)
    assert codes.shape == (2, 100)
    back = ops.unpack_bits(codes, bits, dtype=dtype)
    assert back.dtype == dtype
    assert torch.equal(back, u)
    assert torch.equal(ops.pack_bits(back), codes)


@pytest.mark.parametrize("dtype", FLOATS)
def test_zeros_are_positive(dtype: torch.dtype) -> None:
    assert ops.pack_bits(torch.tensor([0.0, -0.0, -1.0, 1.0], dtype=dtype)).item() == 0b1011


@pytest.mark.parametrize("shape", [(5,), (0, 5), (2, 0, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bool])
def test_shapes(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    codes = ops.pack_bits(torch.ones(shape, dtype=dtype))
    assert codes.shape == shape[:-1]
    assert ops.unpack_bits(codes, 5).shape == shape
    assert ops.unpack_bits(codes, 5, dtype=torch.float64).shape == shape


def test_strided_vectors_and_codes() -> None:
    z = latents(30, 12).view(5, 6, 12)
    for view in (z.permute(2, 1, 0), z[::2, :, ::3]):
        expected = ops.pack_bits(view.contiguous())
        assert torch.equal(ops.pack_bits(view), expected)
        bits = view.shape[-1]
        for dtype in (torch.float32, torch.float64):
            back = ops.unpack_bits(expected.T, bits, dtype=dtype)
            assert torch.equal(back, ops.quantize(view.transpose(0, 1).to(dtype)))


def test_codes_have_no_gradient() -> None:
    z = latents(10, 8).requires_grad_()
    assert not ops.pack_bits(z).requires_grad


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", FLOATS)
def test_what_is_not_finite_has_no_code(dtype: torch.dtype, value: float) -> None:
    z = latents(5, 9).to(dtype)
    z[2, 5] = value
    with pytest.raises(UsageError, match="NaN or infinite"):
        ops.pack_bits(z)
    with pytest.raises(UsageError, match="NaN or infinite"):
        ops.pack_bits(ops.quantize(z))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("bits", [3, 63])
def test_codes_with_bits_too_many(bits: int, dtype: torch.dtype) -> None:
    # For 63 bits, only the sign is one too many.
    for wrong in ({2**bits} if bits < 63 else set()) | {-1, -(2**63)}:
        with pytest.raises(UsageError, match=f"more than {bits} bits"):
            ops.unpack_bits(torch.tensor([1, wrong]), bits, dtype=dtype)


def test_arguments_are_checked() -> None:
    for wrong in (torch.ones(3, 65), torch.ones(3, 0)):
        with pytest.raises(UsageError, match="x must be 1 to 64 long"):
            ops.pack_bits(wrong)
    with pytest.raises(UsageError, match="at least one dimension"):
        ops.pack_bits(torch.tensor(1.0))
    # Numbers 0 and 1 would all count as positive.
    for dtype in (torch.int64, torch.uint8):
        with pytest.raises(UsageError, match="if not bool, must be float16"):
            ops.pack_bits(torch.ones(3, 4, dtype=dtype))
    codes = torch.zeros(3, dtype=torch.int64)
    for bits in (0, 65, -1):
        with pytest.raises(UsageError, match=f"from 1 to 64 bits, not {bits}"):
            ops.unpack_bits(codes, bits)
    with pytest.raises(UsageError, match=r"codes must be int64, not torch\.int32"):
        ops.unpack_bits(codes.int(), 8)
    with pytest.raises(UsageError, match=r"dtype must be .*, not torch\.int64"):
        ops.unpack_bits(codes, 8, dtype=torch.int64)
