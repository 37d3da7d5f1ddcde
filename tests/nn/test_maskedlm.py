"""The masked language model: its masks, what it learns, and how it is sampled."""

import math
from dataclasses import replace

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor

from bsqav.errors import UsageError
from bsqav.nn.paper.attention import TransformerConfig
from bsqav.nn.paper.maskedlm import MaskedLM, MaskedLMConfig, SamplingConfig, mask_share
from bsqav.nn.paper.subtokens import SubTokens

SMALL = MaskedLMConfig(
    TransformerConfig(width=32, layers=2, heads=2, hidden=64, pre_norm=False),
    SubTokens(6, 3),
    (2, 3),
    classes=2,
)


def model(config: MaskedLMConfig = SMALL) -> MaskedLM:
    torch.manual_seed(6)
    return MaskedLM(config).eval()


def tokens(batch: int = 3) -> Tensor:
    return torch.randint(0, 64, (batch, 2, 3), generator=torch.Generator().manual_seed(batch))


def test_masked_values_are_not_seen() -> None:
    net = model()
    values = SMALL.tokens.split(tokens()).flatten(1, 2)
    assert values.shape == (3, 6, 2)
    mask = torch.rand(values.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    logits = net(values, mask)
    assert logits.shape == (3, 6, 2, 8)
    other = torch.where(mask, (values + 1) % 8, values)
    assert torch.equal(net(other, mask), logits)
    shown = torch.where(mask, values, (values + 1) % 8)
    assert not torch.allclose(net(shown, mask), logits)


def test_labels() -> None:
    net = model()
    values = SMALL.tokens.split(tokens()).flatten(1, 2)
    mask = torch.ones_like(values, dtype=torch.bool)
    none = net(values, mask)
    assert torch.equal(net(values, mask, torch.tensor([2, 2, 2])), none)
    assert not torch.allclose(net(values, mask, torch.tensor([0, 1, 0])), none)
    for wrong in (torch.tensor([0, 1, 3]), torch.tensor([0, 1, -1]), torch.tensor([0, 1])):
        with pytest.raises(UsageError, match="labels"):
            net(values, mask, wrong)


def test_the_loss_masks_by_the_cosine() -> None:
    """Of the share of masked sub-tokens the mean is that of cos over a quarter turn, 2 / pi."""
    net, shares = model(), []
    net.register_forward_pre_hook(lambda _, given: shares.append(given[1].float().mean((1, 2))))
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        assert net.loss(tokens(300), None, generator).isfinite()
    found = torch.cat(shares)
    assert found.min() > 0 and found.max() == 1
    assert found.mean().item() == pytest.approx(2 / math.pi, abs=0.06)
    assert [round(mask_share(x), 6) for x in (0, 0.5, 1)] == [1, round(math.sqrt(0.5), 6), 0]


def test_guidance() -> None:
    net = model()
    values = torch.zeros(2, 6, 2, dtype=torch.long)
    mask, labels = torch.ones_like(values, dtype=torch.bool), torch.tensor([0, 1])
    given, free = net(values, mask, labels), net(values, mask)
    torch.testing.assert_close(net._guided(values, mask, labels, 0.5), 1.5 * given - 0.5 * free)
    assert torch.equal(net._guided(values, mask, labels, 0.0), given)


def test_sampling_follows_what_was_learned() -> None:
    """Two classes of images, each of one pattern or another: samples are of the asked class."""
    net = model(replace(SMALL, smoothing=0.0)).train()
    generator = torch.Generator().manual_seed(4)
    patterns = torch.randint(0, 64, (2, 2, 3), generator=generator)
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
    labels = torch.arange(16) % 2
    first = last = 0.0
    for step in range(80):
        loss = net.loss(patterns[labels], labels, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        first, last = (loss.item(), last) if step == 0 else (first, loss.item())
    assert last < 0.3 * first
    net.eval()
    few = SamplingConfig(steps=4, temperature=1.0)
    drawn = net.sample(labels, few, torch.Generator().manual_seed(9))
    right = (drawn == patterns[labels]).float().mean().item()
    assert right > 0.9
    again = net.sample(labels, few, torch.Generator().manual_seed(9))
    assert torch.equal(again, drawn)
    free = net.sample(torch.full((8,), 2), few, torch.Generator().manual_seed(9))
    assert free.shape == (8, 2, 3)


@pytest.mark.parametrize("steps", [1, 2, 5, 40])
def test_every_step_masks_fewer(steps: int) -> None:
    net, counts = model(), []
    net.register_forward_pre_hook(lambda _, given: counts.append(int(given[1][0].sum())))
    net.sample(torch.tensor([2, 2]), SamplingConfig(steps=steps))
    assert len(counts) == steps and counts[0] == 12
    assert counts == sorted(counts, reverse=True)
    for step, count in enumerate(counts[1:], 1):
        assert count == int(mask_share(step / steps) * 12)


def test_arguments_are_checked() -> None:
    net = model()
    for wrong in (SamplingConfig(0), SamplingConfig(guidance=math.nan), SamplingConfig(1, 0, -1.0)):
        with pytest.raises(UsageError):
            net.sample(torch.tensor([0]), wrong)
    for config in (replace(SMALL, class_drop=2.0), replace(SMALL, grid=(0, 3))):
        with pytest.raises(UsageError):
            MaskedLM(config)
    with pytest.raises(UsageError, match="values and mask"):
        net(torch.zeros(1, 5, 2, dtype=torch.long), torch.ones(1, 5, 2, dtype=torch.bool))


def test_the_papers_model() -> None:
    with torch.device("meta"):
        net = MaskedLM(MaskedLMConfig(classes=1000))
    assert not net.config.transformer.pre_norm and net.config.transformer.layers == 24
    assert 165e6 < sum(p.numel() for p in net.parameters()) < 180e6
