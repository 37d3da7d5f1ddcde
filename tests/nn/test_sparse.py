"""Bits as a sparse code: their gradient, their stages, where training starts, and the prior."""

import pytest

pytest.importorskip("torch")

import torch

from bsqav.codec.modelspec import ModelConfig
from bsqav.errors import ModelError
from bsqav.nn.codec import fields
from bsqav.nn.codec.fakequant import stream_add
from bsqav.nn.codec.networks import CodecNet, Prior, soft_bits
from bsqav.nn.codec.sparse import bit_pairs, start_from_transform, token_basis

CONFIG = ModelConfig(96, 32, 1, 104, 32, 1, 16, 32, 1)


def test_soft_bits_feel_only_latents_near_zero() -> None:
    z = torch.tensor([-20.0, -1.0, 0.0, 1.0, 20.0], requires_grad=True)
    bits = soft_bits(z)
    assert bits.tolist() == [0, 0, 1, 1, 1]
    (gradient,) = torch.autograd.grad(bits.sum(), z)
    assert gradient[2] == 0.25 and torch.isclose(gradient[1], gradient[3])
    assert 0.15 < gradient[1] < 0.25 and gradient[0] < 1e-6 and gradient[4] < 1e-6


def test_stages_are_counted_up_to_the_last_one() -> None:
    bits = torch.zeros(1, 1, 4, 128)
    bits[0, 0, 1, 31] = 1
    bits[0, 0, 2, 64] = 1  # stages before the last may be empty
    bits[0, 0, 3, [0, 127]] = 1
    stages = fields.count_stages(bits)
    assert stages.tolist() == [[[0, 1, 3, 4]]]
    token = fields.token_vector(bits, stages)
    assert token.shape[-1] == fields.token_width(4) == 136
    assert torch.equal(token[..., :128], bits)
    assert token[0, 0, :, 128:].sum(-1).tolist() == [0, 1, 3, 4]
    assert token[0, 0, 2, 128:].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("stages", [1, 3, 8])
def test_every_pair_of_bits_is_of_its_own(stages: int) -> None:
    pairs = bit_pairs(stages)
    assert len(pairs) == len(set(pairs)) == 16 * stages
    levels: dict[int, list[int]] = {}
    for row, level in pairs:
        levels.setdefault(row, []).append(level)
    for row, seen in levels.items():  # thresholds rise without a gap
        assert 0 <= row < 96 and seen == list(range(len(seen)))
    if stages == 8:
        assert set(levels) == set(range(96))


def test_the_basis_is_orthonormal() -> None:
    basis, frequency = token_basis()
    torch.testing.assert_close(basis @ basis.T, torch.eye(96), atol=1e-5, rtol=0)
    assert frequency[0] == 0 and len(frequency) == 96


def test_a_fresh_network_is_a_transform_coder() -> None:
    torch.manual_seed(5)
    net = CodecNet(CONFIG)
    start_from_transform(net)
    basis, frequency = token_basis()
    falling = 4.0 / (1.0 + torch.tensor(frequency))
    residual = (torch.randn(1, 12, 12, 96) * falling) @ basis
    side = fields.side_vector(
        torch.full_like(residual, 128.0), torch.tensor([256.0]), fields.LayerPlace()
    )
    mask = torch.ones(1, 12, 12, 1)
    with torch.no_grad():
        bits = net.enc(residual, side, mask)
        stages = fields.count_stages(bits)
        out = net.dec(fields.token_vector(bits, stages), side, mask)
    assert residual.square().mean() > 1.0
    assert (out - residual).square().mean() < 0.35 * residual.square().mean()
    assert bits.mean() < 0.2  # and the code is sparse
    assert (bits[..., 0::2] * bits[..., 1::2]).mean() < 0.001  # never above and below at once


def test_active_tokens_alone_give_what_all_tokens_give() -> None:
    torch.manual_seed(7)
    net = CodecNet(CONFIG)
    stages = torch.randint(0, 2, (2, 12, 12))
    stages[:, 4:8] = stages[:, :, 8:] = 0
    mask = fields.active_tokens(stages)
    bits = (torch.rand(2, 12, 12, 256) < 0.3).float()
    token, side = fields.token_vector(bits, stages), torch.randn(2, 12, 12, fields.SIDE_WIDTH)
    for run in (net.dec, net.prior.trunk):
        whole, apart = run(token, side, mask), run(token, side, mask, dense=False)
        torch.testing.assert_close(whole * mask, apart)
    assert 0 < mask.mean() < 1


def test_narrow_networks_are_refused() -> None:
    with pytest.raises(ModelError, match="at least 96"):
        start_from_transform(CodecNet(ModelConfig(96, 32, 1, 88, 32, 1, 16, 32, 1)))


def every_logit(prior: Prior, context: torch.Tensor, bits: torch.Tensor) -> torch.Tensor:
    """Logits of all bits of all tokens, whether they are coded or not."""
    v, logits = context, []
    for index, (head, embed) in enumerate(zip(prior.heads, prior.embeds, strict=True)):
        logits.append(head(torch.nn.functional.gelu(v)))
        v = stream_add(v, embed(bits[:, 8 * index : 8 * index + 8]))
    return torch.cat(logits, dim=-1)


def test_leaving_tokens_out_changes_no_logit() -> None:
    torch.manual_seed(6)
    prior = CodecNet(CONFIG).prior
    stages = torch.randint(0, 9, (40,))
    context = torch.randn(40, 16, requires_grad=True)
    here = fields.presence(stages, 8).bool().repeat_interleave(32, dim=-1)
    bits = (torch.rand(40, 256) < 0.3).float() * here
    compact, full = prior.bit_logits(context, bits, stages), every_logit(prior, context, bits)
    torch.testing.assert_close(compact[here], full[here])
    assert not compact[~here].any()
    weights = torch.randn(40, 256) * here
    (left,) = torch.autograd.grad((compact * weights).sum(), context)
    (right,) = torch.autograd.grad((full * weights).sum(), context)
    torch.testing.assert_close(left, right, atol=1e-5, rtol=1e-4)
    nothing = prior.bit_logits(context[:0], bits[:0], stages[:0])
    assert nothing.shape == (0, 256)
