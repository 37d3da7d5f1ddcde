"""Entropy terms against enumeration of all codes, and their gradients."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from bsqav import UsageError, ops


def latents(*shape: int) -> Tensor:
    """Correlated bits of different bias, in float64."""
    generator = torch.Generator().manual_seed(sum(shape))
    z = torch.randn(shape, generator=generator, dtype=torch.float64)
    return z + 0.7 * z.roll(1, -1) + torch.linspace(-0.5, 0.8, shape[-1])


def soft_codes(z: Tensor, tau: float) -> Tensor:
    """q(c|u) of vectors [N, L] for all 2^L corners by the definition: softmax of tau c . u."""
    bits = z.shape[-1]
    corners = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=bits)), dtype=z.dtype)
    u = z / z.norm(dim=-1, keepdim=True)
    return torch.softmax(tau / math.sqrt(bits) * u @ corners.T, -1)


def entropy(p: Tensor) -> Tensor:
    return -(p * p.log()).sum(-1)


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0, 30.0])
@pytest.mark.parametrize("bits", [1, 2, 5, 8, 12])
def test_against_all_codes(bits: int, tau: float) -> None:
    z = latents(40, bits)
    q = soft_codes(z, tau)
    exact = ops.entropy_terms(z, tau, group_size=bits)
    torch.testing.assert_close(exact.sample, entropy(q))
    torch.testing.assert_close(exact.batch, entropy(q.mean(0)))
    single = ops.entropy_terms(z, tau)
    torch.testing.assert_close(single.sample, exact.sample)
    assert single.batch >= exact.batch - 1e-12


@pytest.mark.parametrize("group", [1, 2, 3, 4, 6, 12])
def test_groups_against_marginals(group: int) -> None:
    """The entropy of the mean in groups, from the marginals of the whole distribution."""
    z, tau = latents(40, 12), 9.0
    mean = soft_codes(z, tau).mean(0).view(12 * (2,))
    expected = 0.0
    for start in range(0, 12, group):
        others = [d for d in range(12) if not start <= d < start + group]
        marginal = mean.sum(others) if others else mean
        expected += entropy(marginal.flatten()).item()
    found = ops.entropy_terms(z, tau, group_size=group).batch
    assert found.item() == pytest.approx(expected, rel=1e-9)


def test_larger_groups_bound_more_tightly() -> None:
    z = latents(500, 36)
    bounds = [ops.entropy_terms(z, 20.0, group_size=g).batch.item() for g in (1, 3, 9, 18)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] > bounds[-1]


@pytest.mark.parametrize("bits", [36, 64])
def test_range(bits: int) -> None:
    z = latents(7, 9, bits)
    soft = ops.entropy_terms(z, 1e-6)
    assert soft.sample.shape == (7, 9)
    assert soft.batch.shape == ()
    limit = torch.full((7, 9), bits * math.log(2), dtype=torch.float64)
    torch.testing.assert_close(soft.sample, limit)
    torch.testing.assert_close(soft.batch, limit[0, 0])
    hard = ops.entropy_terms(z, 1e9)
    assert (hard.sample >= 0).all() and hard.sample.max() < 1e-3
    assert hard.batch > 1


@pytest.mark.parametrize("group", [1, 2, 3, 6])
def test_gradients(group: int) -> None:
    z = latents(2, 3, 6).requires_grad_()

    def terms(x: Tensor) -> tuple[Tensor, ...]:
        return ops.entropy_terms(x, 3.0, group_size=group)

    assert torch.autograd.gradcheck(terms, (z,))
    assert torch.autograd.gradgradcheck(terms, (z,))


def test_gradients_of_even_bits() -> None:
    """At 0 the entropy of a bit has its maximum, and its second derivative is there."""
    z = torch.tensor([[0.0, -0.0, 1.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ops.entropy_terms, (z,))
    assert torch.autograd.gradgradcheck(ops.entropy_terms, (z,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("group", [1, 4])
def test_saturated_bits_and_norm_zero_have_finite_gradients(group: int, dtype: torch.dtype) -> None:
    z = latents(6, 8).to(dtype)
    z[:, :4] = 3.0
    z[2] = 0.0
    z.requires_grad_()
    terms = ops.entropy_terms(z, 1e5, group_size=group)
    (terms.sample.mean() - terms.batch).backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()
    assert (z.grad[2] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_autocast_compute_in_float32(dtype: torch.dtype) -> None:
    z = latents(60, 36).to(dtype)
    expected = ops.entropy_terms(z.float(), 5.0, group_size=9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = ops.entropy_terms(z.float(), 5.0, group_size=9)
    for found in (ops.entropy_terms(z, 5.0, group_size=9), inside):
        assert torch.equal(found.sample, expected.sample)
        assert torch.equal(found.batch, expected.batch)
    exact = ops.entropy_terms(z.double(), 5.0, group_size=9)
    torch.testing.assert_close(expected.batch.double(), exact.batch, rtol=1e-5, atol=0)


def test_what_is_not_finite_gives_nan() -> None:
    z = latents(5, 8)
    z[3, 1] = math.nan
    terms = ops.entropy_terms(z)
    assert terms.sample.isnan().tolist() == [False, False, False, True, False]
    assert terms.batch.isnan()


def test_arguments_are_checked() -> None:
    z = torch.ones(3, 12)
    for tau in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(UsageError, match="tau must be positive and finite"):
            ops.entropy_terms(z, tau)
    for group in (0, -1, 5, 24):
        with pytest.raises(UsageError, match="divide the vectors' length 12"):
            ops.entropy_terms(z, group_size=group)
    with pytest.raises(UsageError, match="from 1 to 20"):
        ops.entropy_terms(torch.ones(3, 36), group_size=36)
    with pytest.raises(UsageError, match=r"no vector .* \(0, 12\)"):
        ops.entropy_terms(z[:0])
    with pytest.raises(UsageError, match=r"not torch\.int64"):
        ops.entropy_terms(z.long())
    with pytest.raises(UsageError, match="1 to 64 long"):
        ops.entropy_terms(torch.ones(3, 65))
