"""Projection and sign quantization as PyTorch operators: values, gradients, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from bsqav import UsageError, _core, ops
from bsqav.ops.sphere import corners_of_signs

LENGTHS = [1, 2, 7, 18, 36, 63, 64]
FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def latents(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Normal numbers, some of them 0.0 and -0.0."""
    z = torch.randn(shape, generator=torch.Generator().manual_seed(shape[-1]))
    z.view(-1)[::5] = 0.0
    z.view(-1)[::7] = -0.0
    return z.to(dtype)


@pytest.mark.parametrize("bits", LENGTHS)
def test_values_are_those_of_the_codec(bits: int) -> None:
    z = latents(3, 50, bits)
    u = ops.quantize(z)
    assert np.array_equal(u.numpy(), _core.dequantize(_core.quantize(z.numpy()), bits))
    assert torch.equal(corners_of_signs(z), u)  # what other devices run
    found, expected = ops.project(z).numpy(), _core.project(z.numpy())
    np.testing.assert_allclose(found, expected, rtol=3e-7, atol=0)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("bits", [1, 18, 64])
def test_every_dtype_keeps_its_signs(bits: int, dtype: torch.dtype) -> None:
    z = latents(20, bits, dtype=dtype) * 1e-3
    u = ops.quantize(z)
    assert u.dtype == dtype
    corner = torch.tensor(1 / math.sqrt(bits), dtype=dtype)
    assert torch.equal(u, torch.where(z >= 0, corner, -corner))
    assert ops.project(z).dtype == dtype


def test_a_small_negative_double_stays_negative() -> None:
    z = torch.tensor([[-1e-300, 1e-300]], dtype=torch.float64)
    assert torch.equal(ops.quantize(z).sign(), torch.tensor([[-1.0, 1.0]], dtype=torch.float64))
    assert ops.pack_bits(z).tolist() == [2]
    assert torch.allclose(ops.project(z).abs(), torch.tensor(0.5, dtype=torch.float64).sqrt())


@pytest.mark.parametrize("shape", [(5,), (0, 5), (2, 0, 5), (2, 3, 4, 5)])
def test_shapes(shape: tuple[int, ...]) -> None:
    assert ops.quantize(torch.ones(shape)).shape == shape
    assert ops.project(torch.ones(shape)).shape == shape


def test_strided_vectors() -> None:
    z = latents(6, 5, 8)
    for view in (z.permute(2, 1, 0), z[::2, :, ::3], z.expand(3, 6, 5, 8)):
        assert torch.equal(ops.quantize(view), ops.quantize(view.contiguous()))
        assert ops.quantize(view.double()).is_contiguous()


@pytest.mark.parametrize("dtype", FLOATS)
def test_norm_zero(dtype: torch.dtype) -> None:
    z = torch.tensor([[0.0, -0.0, 0.0, -0.0]], dtype=dtype, requires_grad=True)
    for function in (ops.quantize, ops.project):
        u = function(z)
        assert torch.equal(u, torch.full_like(u, 0.5))
        (grad,) = torch.autograd.grad((u * torch.arange(4)).sum(), z)
        assert torch.equal(grad, torch.zeros_like(grad))


@pytest.mark.parametrize("scale", [1e-44, 1e-39, 1e-30, 1e18, 1e38])
def test_neither_overflow_nor_underflow(scale: float) -> None:
    z = torch.tensor([[3.0, -2.0, 0.0, 1.0]]) * scale
    z.requires_grad_()
    u = ops.project(z)
    np.testing.assert_allclose(u.detach().numpy(), _core.project(z.detach().numpy()), rtol=1e-6)
    assert torch.equal(ops.quantize(z) * 2, torch.tensor([[1.0, -1.0, 1.0, 1.0]]))
    for output in (u, ops.quantize(z)):
        (grad,) = torch.autograd.grad(output.sum(), z)
        assert grad.isfinite().all()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", FLOATS)
def test_what_is_not_finite_gives_nan(dtype: torch.dtype, value: float) -> None:
    z = latents(3, 9, dtype=dtype)
    z[1, 4] = value
    for function in (ops.quantize, ops.project):
        u = function(z)
        assert u[1].isnan().all()
        assert torch.equal(u[::2], function(z[::2]))


def test_projection_by_gradcheck() -> None:
    z = latents(4, 6, dtype=torch.float64).add_(0.1).requires_grad_()
    assert torch.autograd.gradcheck(ops.project, (z,))
    assert torch.autograd.gradgradcheck(ops.project, (z,))


@pytest.mark.parametrize("bits", LENGTHS)
def test_straight_through_is_the_gradient_of_the_projection(bits: int) -> None:
    z = latents(5, bits, dtype=torch.float64).add_(0.01).requires_grad_()
    g = torch.randn(5, bits, dtype=torch.float64, requires_grad=True)
    (ours,) = torch.autograd.grad(ops.quantize(z), z, g, create_graph=True)
    (theirs,) = torch.autograd.grad(ops.project(z), z, g, create_graph=True)
    torch.testing.assert_close(ours, theirs)
    norm = z.norm(dim=-1, keepdim=True)
    u = z / norm
    torch.testing.assert_close(ours, (g - u * (u * g).sum(-1, keepdim=True)) / norm)
    second = [torch.autograd.grad(x.square().sum(), (z, g)) for x in (ours, theirs)]
    torch.testing.assert_close(second[0], second[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_gradients_of_half_precision_are_computed_in_float32(dtype: torch.dtype) -> None:
    z = (latents(5, 36, dtype=dtype) + 0.1).requires_grad_()
    g = torch.ones(5, 36, dtype=dtype)
    (grad,) = torch.autograd.grad(ops.quantize(z), z, g)
    exact = z.detach().float().requires_grad_()
    (expected,) = torch.autograd.grad(ops.quantize(exact), exact, g.float())
    assert torch.equal(grad, expected.to(dtype))


def test_autocast_leaves_the_dtype() -> None:
    z = latents(4, 8).requires_grad_()
    plain = torch.autograd.grad(ops.quantize(z).square().sum() + ops.quantize(z).sum(), z)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        u = ops.quantize(z)
        cast = torch.autograd.grad(u.square().sum() + u.sum(), z)
    assert u.dtype == torch.float32
    torch.testing.assert_close(cast, plain)


def test_error_of_quantization_is_below_the_papers_bound() -> None:
    """E |u - û| < sqrt(2 - 2 / sqrt(L)), for u uniform on the sphere."""
    for bits in (2, 18, 36, 64):
        z = torch.randn(4000, bits, generator=torch.Generator().manual_seed(bits))
        error = (ops.project(z) - ops.quantize(z)).norm(dim=-1).mean().item()
        assert error < math.sqrt(2 - 2 / math.sqrt(bits))


@pytest.mark.parametrize("function", [ops.quantize, ops.project])
def test_arguments_are_checked(function: object) -> None:
    assert callable(function)
    for wrong in (torch.ones(3, 65), torch.ones(3, 0)):
        with pytest.raises(UsageError, match=r"z must be 1 to 64 long; its shape is \(3, "):
            function(wrong)
    with pytest.raises(UsageError, match="at least one dimension"):
        function(torch.tensor(1.0))
    for dtype in (torch.int64, torch.bool, torch.complex64):
        with pytest.raises(UsageError, match=f"not {dtype}"):
            function(torch.ones(3, 4).to(dtype))
