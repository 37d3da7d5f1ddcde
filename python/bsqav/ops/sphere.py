"""Projection onto the unit sphere, and sign quantization with a straight-through gradient.

Source: Binary Spherical Quantization, arXiv 2406.07548. The paper's u = v / |v| is `project`, its
û = sign(u) / sqrt(L) is `quantize`. cpp/src/quantizer/sphere.h is the same for the codec; signs and
values are equal.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from bsqav import _core
from bsqav.errors import UsageError
from bsqav.ops.arguments import check_floating, vector_length

__all__ = ["direction", "project", "quantize"]


def _saturated(gradient: Tensor, dtype: torch.dtype) -> Tensor:
    """In a dtype, where it has no infinities: those of short vectors are beyond float16's range."""
    if dtype == torch.float16:
        limit = torch.finfo(dtype).max / 8  # several may be added up
        gradient = gradient.clamp(-limit, limit)
    return gradient.to(dtype)


class _Widened(torch.autograd.Function):
    """float16 to float32, with a gradient that saturates."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:  # noqa: ARG004 - torch names it
        return z.float()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # noqa: ARG004
        return _saturated(grad, torch.float16)


def direction(z: Tensor) -> tuple[Tensor, Tensor]:
    """z / |z| and 1 / |z| along the last dimension, in float32 or, for float64, in float64.

    Vectors whose largest magnitude is below the smallest normal number have 0 for 1 / |z| and no
    gradient. Differentiable any number of times elsewhere.
    """
    if z.dtype == torch.float16:
        z = _Widened.apply(z)  # type: ignore[no-untyped-call]
    elif z.dtype != torch.float64:
        z = z.float()
    # Squares of z / largest neither overflow nor vanish. The quotients below do not depend on the
    # value of `largest`, so it needs no gradient.
    largest = z.detach().abs().amax(-1, keepdim=True)
    zero = largest == 0
    vanishing = largest < torch.finfo(z.dtype).tiny
    scaled = z / torch.where(zero, 1, largest)
    scaled = torch.where(vanishing, torch.where(zero, 1, scaled.detach()), scaled)
    norm = scaled.square().sum(-1, keepdim=True).sqrt()
    return scaled / norm, torch.where(vanishing, 0, 1 / (norm * torch.where(zero, 1, largest)))


def corners_of_signs(z: Tensor) -> Tensor:
    """sign(z) / sqrt(L) by PyTorch, on any device; a vector that is not finite gives NaN."""
    corner = z.new_full((), 1 / math.sqrt(z.shape[-1]))
    # 0 for a finite vector, NaN for one with a NaN or an infinity.
    broken = z.abs().amax(-1, keepdim=True) * 0
    return (torch.where(z >= 0, corner, -corner) + broken).contiguous()


@torch.library.custom_op("bsqav::quantize", mutates_args=(), schema="(Tensor z) -> Tensor")
def _quantize(z: Tensor) -> Tensor:
    check_floating(z.dtype, "z")
    vector_length(z, "z")
    return corners_of_signs(z)


@_quantize.register_kernel("cpu")
def _quantize_cpu(z: Tensor) -> Tensor:
    check_floating(z.dtype, "z")
    bits = vector_length(z, "z")
    if z.dtype == torch.float32:
        try:
            return torch.from_numpy(_core.dequantize(_core.quantize(z.detach().numpy()), bits))
        except UsageError:  # something is not finite: PyTorch's way carries it on
            pass
    return corners_of_signs(z)


@_quantize.register_fake
def _quantize_fake(z: Tensor) -> Tensor:
    check_floating(z.dtype, "z")
    vector_length(z, "z")
    return z.new_empty(z.shape)


def _save_latent(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:  # noqa: ARG001 - torch.library names it
    """Keeps z, from which the backward pass computes direction and norm anew."""
    ctx.save_for_backward(inputs[0])


def _straight_through(ctx: Any, grad: Tensor) -> Tensor:
    """The gradient of project: what arrives at û is taken as what arrives at u."""
    (z,) = ctx.saved_tensors
    u, inverse_norm = direction(z)
    grad = grad.to(u.dtype)
    along = (grad * u).sum(-1, keepdim=True)
    return _saturated((grad - along * u) * inverse_norm, z.dtype)


_quantize.register_autograd(_straight_through, setup_context=_save_latent)


def project(z: Tensor) -> Tensor:
    """The directions of vectors: u = z / |z| along the last dimension (arXiv 2406.07548).

    Args:
        z: vectors [..., L] of any norm, L from 1 to 64, in float16, bfloat16, float32 or float64.

    Returns:
        u [..., L] in z's dtype, of norm 1, computed in float32 (float64 for float64) without
        overflow or underflow. A vector of norm zero gives (1, ..., 1) / sqrt(L), as sign(0) = +1.
        A vector with a NaN or an infinity has no direction and gives NaN.

    The gradient, g -> (g - u (u . g)) / |z|, is exact and differentiable again; it is zero where
    every component is smaller than the smallest normal number.

    Raises:
        UsageError: z has another dtype, no dimension, or vectors of another length.
    """
    check_floating(z.dtype, "z")
    vector_length(z, "z")
    return direction(z)[0].to(z.dtype)


def quantize(z: Tensor) -> Tensor:
    """Vectors to corners of the cube in the unit sphere, `torch.ops.bsqav.quantize`.

    û = sign(u) / sqrt(L) with u = z / |z| (arXiv 2406.07548).

    Args:
        z: vectors [..., L] of any norm, L from 1 to 64, in float16, bfloat16, float32 or float64.

    Returns:
        û [..., L] in z's dtype, contiguous: +1/sqrt(L) where z >= 0 (so for 0.0 and -0.0) and
        -1/sqrt(L) elsewhere, 1/sqrt(L) being rounded to the dtype. A vector with a NaN or an
        infinity gives NaN in all its components, so that a broken network shows in the loss.

    The gradient is straight through from û to u: dû/du is taken as the identity, and the gradient
    of u = z / |z| follows, so that z receives (g - u (u . g)) / |z| for a gradient g at û. The part
    of g along u, which would only change the norm, vanishes; a vector of norm zero receives zero.
    The published program puts the identity around the sign alone, before the division by sqrt(L),
    which makes its gradients smaller by that constant factor: scale the result of this one, or the
    learning rate, to follow it.

    Autocast does not change the operator: it takes z as it comes. Signs are exact in every dtype;
    the gradient is computed in float32 (float64 for float64), and in float16 limited to an eighth
    of its range.

    Raises:
        UsageError: z has another dtype, no dimension, or vectors of another length.
    """
    result: Tensor = torch.ops.bsqav.quantize(z)
    return result
