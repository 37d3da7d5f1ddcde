"""The autoregressive prior: causal, the same with its cache, and real bytes by the range coder."""

import math

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn

from bsqav.errors import BitstreamError, ModelError, UsageError
from bsqav.nn.paper.arprior import ARPrior, ARPriorConfig
from bsqav.nn.paper.attention import TransformerConfig
from bsqav.nn.paper.exactprior import ExactPrior, exponential
from bsqav.nn.paper.fingerprints import fingerprint
from bsqav.nn.paper.subtokens import SubTokens
from bsqav.nn.paper.tokencoding import HEADER, compress, decompress

# Of test_a_golden_stream.
GOLDEN = (
    "4253515403060200030002000200eff3129cc40e14500000000000000000"
    "3f7ac38a4a26a4d9a8aa31e1b6461d6ca231a0510c0a"
)
SMALL = TransformerConfig(width=32, layers=2, heads=2, hidden=64)


def prior(bits: int = 6, group: int = 3, frames: int = 2) -> ARPrior:
    torch.manual_seed(8)
    net = ARPrior(ARPriorConfig(SMALL, SubTokens(bits, group), (2, 3), frames)).eval()
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return net


def tokens(bits: int = 6, batch: int = 2, frames: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(bits)
    return torch.randint(0, 2**bits, (batch, frames, 2, 3), generator=generator)


@pytest.mark.parametrize(("bits", "group"), [(18, 9), (36, 9), (36, 6), (64, 16), (64, 8), (5, 5)])
def test_subtokens(bits: int, group: int) -> None:
    split = SubTokens(bits, group)
    indices = torch.tensor([0, 1, 2 ** (bits - 2), 2 ** (bits - 1) - 1, -1 if bits == 64 else 5])
    values = split.split(indices)
    assert values.shape == (5, bits // group)
    assert values.min() >= 0 and values.max() < split.values
    assert torch.equal(split.join(values), indices)
    for index, parts in zip(indices.tolist(), values.tolist(), strict=True):
        assert index % 2**64 == sum(part << (group * g) for g, part in enumerate(parts))
    if bits < 63:
        with pytest.raises(UsageError, match="more than"):
            split.split(torch.tensor([2**bits]))
    with pytest.raises(UsageError):
        split.join(values + split.values)
    with pytest.raises(UsageError):
        SubTokens(18, 7).check()


def test_a_subtoken_sees_earlier_ones_only() -> None:
    net, x = prior(), tokens()
    logits, values = net(x), net.sequence(x)
    assert logits.shape == (2, 24, 8)
    for s in range(24):
        other = values.clone()
        other[:, s] = (other[:, s] + 1) % 8
        changed = net(net.frames_of(other))
        assert torch.equal(changed[:, : s + 1], logits[:, : s + 1])
        if s < 23:
            assert ((changed[:, s + 1 :] - logits[:, s + 1 :]).abs().amax(-1) > 1e-7).all()


def test_steps_with_the_cache_equal_the_whole_pass() -> None:
    net, x = prior(), tokens()
    logits, values, seen = net(x), net.sequence(x), []

    def choose(s: int, logits_BV: Tensor) -> Tensor:
        seen.append(logits_BV)
        return values[:, s]

    assert torch.equal(net.unroll(2, 24, choose), values)
    torch.testing.assert_close(torch.stack(seen, 1), logits, atol=1e-5, rtol=1e-5)
    assert torch.equal(net.frames_of(values), x)


@pytest.mark.parametrize(("bits", "group"), [(6, 3), (18, 9), (36, 6)])
def test_tokens_come_back_exactly(bits: int, group: int) -> None:
    net, x = prior(bits, group), tokens(bits)
    data = compress(net, x)
    assert torch.equal(decompress(net, data), x)
    single = compress(net, x[:, 0])  # images, or clips shorter than the prior's
    assert torch.equal(decompress(net, single)[:, 0], x[:, 0])
    # The bytes cost what the prior says.
    cost = net.bits_per_token(x) * x.numel() / 8
    assert len(data) - HEADER.size == pytest.approx(cost, abs=3)


def test_a_trained_prior_saves_bits() -> None:
    """Tokens that repeat: far less than their bits, once they are learned."""
    torch.manual_seed(1)
    net = ARPrior(ARPriorConfig(SMALL, SubTokens(6, 3), (2, 3), 2))
    generator = torch.Generator().manual_seed(3)
    frame = torch.randint(0, 64, (4, 1, 2, 3), generator=generator)
    x = frame.expand(4, 2, 2, 3).contiguous()
    assert net.bits_per_token(x) == pytest.approx(6, abs=1e-4)  # it begins at even chances
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
    for _ in range(60):
        optimizer.zero_grad()
        net.loss(x).backward()
        optimizer.step()
    data = compress(net, x)
    assert net.training
    assert len(data) - HEADER.size < 0.4 * x.numel() * 6 / 8
    assert torch.equal(decompress(net, data), x)


def test_samples_follow_the_prior() -> None:
    torch.manual_seed(1)
    net = ARPrior(ARPriorConfig(SMALL, SubTokens(2, 2), (1, 1)))
    net.head.bias.data = torch.tensor([0.5, 0.25, 0.125, 0.125]).log()
    drawn = net.sample(4000, generator=torch.Generator().manual_seed(2))
    assert drawn.shape == (4000, 1, 1)
    share = torch.bincount(drawn.flatten(), minlength=4) / 4000
    torch.testing.assert_close(share, torch.tensor([0.5, 0.25, 0.125, 0.125]), atol=0.04, rtol=0)
    sure = net.sample(50, temperature=0.05)
    assert (sure == 0).all()


def test_damaged_streams() -> None:
    net, x = prior(), tokens()
    data = compress(net, x)
    for wrong in (b"", data[:10], b"XXXX" + data[4:], data[:4] + b"\x09" + data[5:], data[:36]):
        with pytest.raises(BitstreamError):
            decompress(net, wrong)
    for at in range(HEADER.size, len(data), 3):
        changed = bytearray(data)
        changed[at] ^= 0x55
        with pytest.raises(BitstreamError):
            decompress(net, bytes(changed))
    with pytest.raises(BitstreamError):
        decompress(net, data + b"\x01" * 8)
    huge = HEADER.pack(b"BSQT", 3, 6, 2, 3, 2, 65535, 0, 0, b"")
    with pytest.raises((BitstreamError, ModelError)):
        decompress(net, huge)
    with pytest.raises(UsageError, match="need 0 MiB"):
        decompress(net, data, memory=2 * 2 * 2 * 24 * 32 * 8 - 1)
    assert torch.equal(decompress(net, data, memory=2 * 2 * 2 * 24 * 32 * 8), x)
    other = prior()
    other.head.bias.data += 1
    with pytest.raises(ModelError, match="another prior"):
        decompress(other, data)
    with pytest.raises(ModelError, match="which this prior"):
        decompress(prior(18, 9), data)


def test_streams_say_whose_tokens_they_hold() -> None:
    net, x = prior(), tokens()
    torch.manual_seed(5)
    tokenizer, other = nn.Linear(3, 2), nn.Linear(3, 2)
    plain = compress(net, x)  # of a prior that does not know
    assert torch.equal(decompress(net, plain, tokenizer=other), x)
    net.tokenizer_id = fingerprint(tokenizer)
    data = compress(net, x)
    assert torch.equal(decompress(net, data, tokenizer=tokenizer), x)
    with pytest.raises(ModelError, match="the stream is of the tokens of another tokenizer"):
        decompress(net, data, tokenizer=other)


def test_arguments_are_checked() -> None:
    net = prior()
    with pytest.raises(UsageError, match="this prior knows"):
        net(torch.zeros(1, 3, 3, dtype=torch.long))
    with pytest.raises(UsageError, match="clips have 2 frames"):
        net(tokens(frames=3))
    with pytest.raises(UsageError, match="temperature"):
        net.sample(1, temperature=0.0)
    assert math.isfinite(net.loss(tokens()).item())


def test_the_papers_prior() -> None:
    """24 layers of 768 channels for clips of 16 frames of 16 x 16 tokens of 18 bits."""
    with torch.device("meta"):
        net = ARPrior(ARPriorConfig(frames=16))
    assert net.config.length == 16 * 256 * 2
    assert 165e6 < sum(p.numel() for p in net.parameters()) < 175e6


# ---- exact arithmetic ----


def rough_prior() -> ARPrior:
    """With weights as large as trained ones, in groups of values that are not alike."""
    torch.manual_seed(9)
    sizes = TransformerConfig(width=48, layers=3, heads=3, hidden=96)
    net = ARPrior(ARPriorConfig(sizes, SubTokens(12, 6), (3, 4), 2)).eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return net


def test_one_pass_is_step_by_step() -> None:
    """To the last bit, in batches of any size, with any number of threads."""
    net = rough_prior()
    exact = ExactPrior(net)
    x = torch.randint(0, 1 << 12, (3, 2, 3, 4), generator=torch.Generator().manual_seed(1))
    values = net.sequence(x)
    whole = exact.weights_of(values)
    found: list[Tensor] = []

    def given(s: int, weights: Tensor) -> Tensor:
        found.append(weights)
        return values[:, s]

    assert torch.equal(exact.unroll(3, values.shape[1], given), values)
    assert torch.equal(torch.stack(found, 1), whole)
    assert torch.equal(exact.weights_of(values[1:2]), whole[1:2])
    threads = torch.get_num_threads()
    torch.set_num_threads(3 - min(2, threads))
    try:
        assert torch.equal(exact.weights_of(values), whole)
    finally:
        torch.set_num_threads(threads)


def test_exact_probabilities_are_the_priors() -> None:
    net = rough_prior()
    x = torch.randint(0, 1 << 12, (16, 2, 3, 4), generator=torch.Generator().manual_seed(2))
    values = net.sequence(x)
    weights = ExactPrior(net).weights_of(values)
    shares = weights / weights.sum(-1, keepdim=True)
    bits = -shares.gather(-1, values.unsqueeze(-1)).log2().mean().item() * 2
    assert bits == pytest.approx(net.bits_per_token(x), rel=1e-4)
    assert (shares - net(x).softmax(-1)).abs().max() < 2e-3
    size = 8 * (len(compress(net, x)) - HEADER.size) / x.numel()
    assert size == pytest.approx(net.bits_per_token(x), rel=0.005)


def test_exponential() -> None:
    t = -torch.linspace(0, 60, 100_001, dtype=torch.float64)
    assert (exponential(t) - t.exp()).abs().max() < 2**-30
    assert exponential(torch.tensor([0.0, -math.inf], dtype=torch.float64)).tolist() == [1.0, 0.0]


def test_a_golden_stream() -> None:
    """Written once, decoded for ever: weights by arithmetic that no library changes."""
    net = ARPrior(ARPriorConfig(SMALL, SubTokens(6, 3), (2, 3), 2)).eval()
    with torch.no_grad():
        for number, weight in enumerate(net.parameters()):
            at = torch.arange(weight.numel(), dtype=torch.int64)
            mixed = (at * 7919 + number * 104729) * 48271 % 65521
            weight.copy_(((mixed % 2001 - 1000).double() / 2048).view_as(weight))
    x = (torch.arange(24).view(2, 2, 2, 3) * 29 + 5) % 64
    data = compress(net, x)
    assert data.hex() == GOLDEN
    assert torch.equal(decompress(net, data), x)


def test_what_exact_arithmetic_does_not_take() -> None:
    net = prior()
    net.head.bias.data[0] = math.nan
    with pytest.raises(UsageError, match="no numbers"):
        compress(net, tokens())
    wide = ARPriorConfig(TransformerConfig(8192 * 2, 1, 16, 16), SubTokens(2, 2), (1, 1))
    with torch.device("meta"):
        huge = ARPrior(wide)
    with pytest.raises(UsageError, match="up to 8192 wide"):
        ExactPrior(huge)
