"""Quantizers of latents: BSQ against the paper's mathematics, and VQ, FSQ, LFQ."""

import itertools
import math

import pytest

pytest.importorskip("torch")

import torch
import torch.nn.functional as F
from torch import Tensor

from bsqav.errors import UsageError
from bsqav.nn.paper.quantizers import (
    BinarySphericalQuantizer,
    BSQConfig,
    FiniteScalarQuantizer,
    LookupFreeQuantizer,
    Quantizer,
    VectorQuantizer,
    codebook_use,
)


def latents(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def entropy(p: Tensor) -> Tensor:
    return -torch.xlogy(p, p).sum(-1)


def quantizers() -> list[Quantizer]:
    torch.manual_seed(3)
    return [
        BinarySphericalQuantizer(BSQConfig(36, group_size=9)),
        BinarySphericalQuantizer(BSQConfig(64, zero_bit=0, most_first=True)),
        LookupFreeQuantizer(18, group_size=9),
        FiniteScalarQuantizer((8, 5, 4)),
        VectorQuantizer(50, 6),
        VectorQuantizer(50, 6, normalize=True),
    ]


@pytest.mark.parametrize("quantizer", quantizers(), ids=lambda q: type(q).__name__)
def test_every_quantizer(quantizer: Quantizer) -> None:
    z = latents(2, 5, 7, quantizer.dim).requires_grad_()
    found = quantizer(z)
    assert found.vectors.shape == z.shape and found.vectors.dtype == z.dtype
    assert found.indices.shape == (2, 5, 7) and found.indices.dtype == torch.int64
    torch.testing.assert_close(quantizer.vectors_of(found.indices), found.vectors.detach())
    again = quantizer(quantizer.vectors_of(found.indices) * 0.999)
    if not isinstance(quantizer, FiniteScalarQuantizer):  # its bound is no identity
        assert torch.equal(again.indices, found.indices)
    (found.vectors.square().sum() + (found.vectors * latents(quantizer.dim)).sum()).backward()
    assert z.grad is not None and z.grad.isfinite().all() and z.grad.abs().sum() > 0
    assert 0 <= found.batch_entropy <= quantizer.bits * math.log(2) + 1e-5
    with pytest.raises(UsageError, match="latents must be"):
        quantizer(latents(3, quantizer.dim + 1))
    with pytest.raises(UsageError, match="no latent"):
        quantizer(z[:0])


def test_codebook_use() -> None:
    found = codebook_use(torch.tensor([[0, 1], [1, 3]]), 1 << 36)
    assert (found.tokens, found.codes, found.share) == (4, 3, 0.75)
    assert found.perplexity == pytest.approx(2**1.5)
    assert found.balance == (0.75, 0.25, *[0.0] * 34)
    every = codebook_use(torch.arange(50).repeat(3), 50)
    assert (every.codes, every.share, every.balance) == (50, 1.0, ())
    assert every.perplexity == pytest.approx(50, rel=1e-5)
    for wrong in (torch.empty(0, dtype=torch.int64), torch.ones(3)):
        with pytest.raises(UsageError, match="indices are int64 and some"):
            codebook_use(wrong, 4)


# ---- BSQ ----


@pytest.mark.parametrize("shape", [(5,), (4, 6), (3, 4, 6)])
def test_in_other_models(shape: tuple[int, ...]) -> None:
    """Features of any width, channels first as convolutions have them, or last."""
    torch.manual_seed(1)
    last = BinarySphericalQuantizer(10, dim=32)
    first = BinarySphericalQuantizer(10, dim=32, channel_first=True)
    first.load_state_dict(last.state_dict())
    x = latents(2, *shape, 32)
    a, b = last(x), first(x.movedim(-1, 1))
    assert a.vectors.shape == x.shape
    assert a.indices.shape == (2, *shape)
    assert b.vectors.shape == (2, 32, *shape)
    assert torch.equal(a.indices, b.indices)
    torch.testing.assert_close(b.vectors.movedim(1, -1), a.vectors)
    torch.testing.assert_close(first.vectors_of(b.indices), b.vectors.detach())
    assert torch.equal(first.indices_of(x.movedim(-1, 1)), b.indices)
    (a.vectors.square().mean() + a.loss).backward()
    assert all(p.grad is not None and p.grad.any() for p in last.parameters())
    assert "dim=32, bits=10, tau=2.0, group_size=1, channel_first=True" in repr(first)
    with pytest.raises(UsageError, match=r"floating point .*, 32"):
        last(latents(2, 31))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_gradients_of_half_precision_are_finite(dtype: torch.dtype) -> None:
    """Also of latents that are tiny, large or 0."""
    quantizer = BinarySphericalQuantizer(BSQConfig(36, group_size=9, commitment=0.25))
    z = latents(64, 36)
    z[0], z[1], z[2], z[3] = 0, z[1] * 1e-7, z[2] * 1e4, z[3] * 1e-3
    z = z.to(dtype).requires_grad_()
    found = quantizer(z)
    assert found.loss.dtype == torch.float32
    (found.vectors.float().square().sum() + found.vectors.float().sum() + found.loss).backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()
    assert z.grad[4:].any()


@pytest.mark.parametrize("bits", [1, 2, 9, 18, 36, 64])
def test_error_bound(bits: int) -> None:
    """|u - û| <= sqrt(2 - 2 / sqrt(L)) for every latent, reached at a single component."""
    z = torch.cat([latents(4000, bits, dtype=torch.float64), torch.eye(bits).double()])
    u = z / z.norm(dim=-1, keepdim=True)
    error = (u - BinarySphericalQuantizer(BSQConfig(bits))(z).vectors).norm(dim=-1)
    bound = math.sqrt(2 - 2 / math.sqrt(bits))
    assert error.max().item() == pytest.approx(bound, abs=1e-7)
    assert bound < math.sqrt(2)
    if bits > 1:
        assert error[:4000].mean().item() < bound


@pytest.mark.parametrize("tau", [1.0, 2.0, 20.0])
@pytest.mark.parametrize("bits", [1, 3, 8, 12])
def test_entropy_against_brute_force(bits: int, tau: float) -> None:
    """Sample and batch entropy from the softmax over all 2^L corners."""
    z = latents(60, bits, dtype=torch.float64)
    u = z / z.norm(dim=-1, keepdim=True)
    corners = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=bits)), dtype=z.dtype)
    q = (tau * u @ corners.T / math.sqrt(bits)).softmax(-1)
    config = BSQConfig(bits, tau=tau, group_size=bits, gamma=0.7, weight=1.0)
    found = BinarySphericalQuantizer(config)(z)
    torch.testing.assert_close(found.sample_entropy, entropy(q).mean())
    torch.testing.assert_close(found.batch_entropy, entropy(q.mean(0)))
    torch.testing.assert_close(found.loss, entropy(q).mean() - 0.7 * entropy(q.mean(0)))
    single = BinarySphericalQuantizer(BSQConfig(bits, tau=tau))(z)
    assert single.batch_entropy >= found.batch_entropy - 1e-9


@pytest.mark.parametrize("group", [1, 3])
def test_gradcheck(group: int) -> None:
    """Of the loss as it is, and of û as the derivative of u = z / |z|."""
    config = BSQConfig(6, group_size=group, commitment=0.3)
    quantizer = BinarySphericalQuantizer(config)
    z = latents(4, 6, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: quantizer(x).loss, (z,))
    weights = latents(4, 6, dtype=torch.float64) + 1
    (straight,) = torch.autograd.grad((quantizer(z).vectors * weights).sum(), z)
    (smooth,) = torch.autograd.grad((F.normalize(z, dim=-1) * weights).sum(), z)
    torch.testing.assert_close(straight, smooth)
    scaled = BinarySphericalQuantizer(BSQConfig(6, gradient_scale=0.25))
    (quarter,) = torch.autograd.grad((scaled(z).vectors * weights).sum(), z)
    torch.testing.assert_close(quarter, smooth / 4)


@pytest.mark.parametrize("most_first", [False, True])
@pytest.mark.parametrize("bits", [18, 24, 36, 53, 63, 64])
def test_indices_are_exact(bits: int, most_first: bool) -> None:
    """Every bit of every index, by Python's integers; neighbours in value stay apart."""
    quantizer = BinarySphericalQuantizer(BSQConfig(bits, most_first=most_first))
    z = latents(200, bits)
    z[0], z[1] = 1.0, 1.0
    z[1, -1 if most_first else 0] = -1.0  # the lowest bit alone
    indices = quantizer(z).indices
    for row, index in zip((z >= 0).tolist(), indices.tolist(), strict=True):
        ordered = row[::-1] if most_first else row
        assert index % 2**64 == sum(int(bit) << i for i, bit in enumerate(ordered))
    assert indices[0] - indices[1] == 1
    assert torch.equal(quantizer.vectors_of(indices), quantizer(z).vectors)
    if bits < 64:
        with pytest.raises(UsageError, match=f"more than {bits} bits"):
            quantizer.vectors_of(torch.tensor([-1]))


def test_the_sign_of_zero() -> None:
    z = torch.tensor([[0.0, -0.0, 1.0, -1.0]])
    ours, published = (BinarySphericalQuantizer(BSQConfig(4, zero_bit=b)) for b in (1, 0))
    assert ours(z).indices.item() == 0b0111
    assert published(z).indices.item() == 0b0100
    assert published(z).vectors.tolist() == [[-0.5, -0.5, 0.5, -0.5]]


def test_bsq_arguments_are_checked() -> None:
    for wrong in (BSQConfig(0), BSQConfig(65), BSQConfig(18, group_size=5), BSQConfig(8, tau=0.0)):
        with pytest.raises(UsageError):
            BinarySphericalQuantizer(wrong)
    with pytest.raises(UsageError, match="zero_bit"):
        BinarySphericalQuantizer(BSQConfig(8, zero_bit=2))


# ---- the others ----


def test_lfq_entropy_against_brute_force() -> None:
    z, tau = latents(50, 6, dtype=torch.float64), 0.8
    corners = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=6)), dtype=z.dtype)
    q = (-tau * torch.cdist(z, corners).square()).softmax(-1)
    found = LookupFreeQuantizer(6, tau=tau, group_size=6, weight=1.0, commitment=0.0)(z)
    torch.testing.assert_close(found.sample_entropy, entropy(q).mean())
    torch.testing.assert_close(found.loss, entropy(q).mean() - entropy(q.mean(0)))
    lfq = LookupFreeQuantizer(6, group_size=3)
    assert torch.autograd.gradcheck(lambda x: lfq(x).loss, (z[:3].requires_grad_(),))


@pytest.mark.parametrize("levels", [(3,), (4, 3), (8, 5, 4)])
def test_fsq_reaches_every_code(levels: tuple[int, ...]) -> None:
    quantizer = FiniteScalarQuantizer(levels)
    every = torch.arange(quantizer.codes)
    vectors = quantizer.vectors_of(every)
    assert len(torch.unique(vectors, dim=0)) == quantizer.codes == math.prod(levels)
    assert vectors.abs().max() <= 1
    wide = 1.5 * latents(200 * quantizer.codes, len(levels))
    assert torch.equal(torch.unique(quantizer(wide).indices), every)
    with pytest.raises(UsageError, match="not from 0 to"):
        quantizer.vectors_of(every + 1)
    with pytest.raises(UsageError, match="at least 3"):
        FiniteScalarQuantizer((*levels, 2))


@pytest.mark.parametrize("normalize", [False, True])
def test_vq_takes_the_nearest_code(normalize: bool) -> None:
    torch.manual_seed(1)
    quantizer = VectorQuantizer(40, 5, normalize=normalize)
    torch.nn.init.normal_(quantizer.codebook)
    z = latents(300, 5)
    near, codes = (F.normalize(x, dim=-1) if normalize else x for x in (z, quantizer.codebook))
    expected = torch.cdist(near, codes).argmin(-1)
    found = quantizer(z)
    assert torch.equal(found.indices, expected)
    found.loss.backward()
    assert quantizer.codebook.grad is not None
    unused = torch.bincount(expected, minlength=40) == 0
    assert (quantizer.codebook.grad[unused] == 0).all()
    with pytest.raises(UsageError, match="codebook has"):
        VectorQuantizer(1, 5)
