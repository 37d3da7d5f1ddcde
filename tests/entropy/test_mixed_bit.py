"""Adaptive bits: the documented recurrence and check values, signed integers, damaged data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsqav import _core
from tests.reference.range_decoder import STRETCH, Kind, RangeDecoder

CONTEXTS = st.tuples(*[st.integers(0, 3)] * 3)
# Bits with the number of their set, their contexts and a logit.
BITS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 1), CONTEXTS, st.integers(-40_000, 40_000)),
    max_size=200,
)


class Coin(RangeDecoder):
    """Gives the bit that is wanted."""

    def __init__(self) -> None:
        super().__init__(b"")
        self.wanted = 0

    def bit(self, p: int) -> int:
        """The bit; p is a probability."""
        assert 32 <= p <= 65504
        return self.wanted


@given(BITS, st.booleans())
def test_follows_the_document(
    bits: list[tuple[int, int, tuple[int, int, int], int]], logits: bool
) -> None:
    own = _core.MixedLogits() if logits else _core.MixedContexts()
    kind, coin, encoder = Kind(2, 4, 4, 4, logit=logits), Coin(), _core.RangeEncoder()
    for bit, number, contexts, logit in bits:
        assert own.probability(number, contexts, logit) == kind.probability(
            number, *contexts, logit=logit
        )
        own.encode(encoder, bit, number, contexts, logit)
        coin.wanted = bit
        kind.read(coin, number, *contexts, logit=logit)
    data = encoder.finish()
    decoder, own = (
        _core.RangeDecoder(data),
        _core.MixedLogits() if logits else _core.MixedContexts(),
    )
    for bit, number, contexts, logit in bits:
        assert own.decode(decoder, number, contexts, logit) == bit
    decoder.check_end()


def test_state_stays_within_its_range() -> None:
    kind, coin = Kind(1, 2, logit=True), Coin()
    for i in range(20_000):
        coin.wanted = i // 3000 & 1
        kind.read(coin, 0, 0, logit=2839 if i // 5000 & 1 else -2839)
        (e, k), weights = kind.contexts[0][0], kind.weights[0]
        assert 0 <= e <= 65535
        assert k <= 60
        assert all(-(2**19) <= w <= 2**19 for w in weights)


def test_check_values() -> None:
    values = [STRETCH[j] for j in (0, 1, 1024, 2047, 2048, 4095)]
    assert values == [-2307, -2025, -281, 0, 0, 2307]
    kind, coin = Kind(1, 1, 1), Coin()
    assert kind.probability(0, 0, 0) == 32768
    coin.wanted = 1
    kind.read(coin, 0, 0, 0)
    assert kind.weights == [[32768, 32768, 256]]
    assert kind.contexts == [[(53247, 1)], [(53247, 1)]]
    assert kind.probability(0, 0, 0) == 53272


def test_arguments() -> None:
    own, encoder = _core.MixedContexts(), _core.RangeEncoder()
    with pytest.raises(ValueError, match="no such context"):
        own.probability(0, (0, 4, 0))
    with pytest.raises(ValueError, match="no such context"):
        own.probability(2, (0, 0, 0))
    with pytest.raises(ValueError, match="not 0 or 1"):
        own.encode(encoder, 2, 0, (0, 0, 0))


def test_learns_a_skewed_source() -> None:
    rng = np.random.default_rng(11)
    bits = (rng.random(20_000) < 0.03).astype(int).tolist()
    encoder, own = _core.RangeEncoder(), _core.MixedContexts()
    for bit in bits:
        own.encode(encoder, bit, 0, (0, 0, 0))
    entropy = -(0.03 * np.log2(0.03) + 0.97 * np.log2(0.97)) * len(bits)
    assert 8 * len(encoder.finish()) < 1.1 * entropy


def test_uses_the_context_that_tells_most() -> None:
    """Of three inputs one tells the bit."""
    rng = np.random.default_rng(12)
    bits = rng.integers(0, 2, 4000).tolist()
    encoder, own = _core.RangeEncoder(), _core.MixedContexts()
    for bit in bits:
        noise = rng.integers(0, 4, 2).tolist()
        own.encode(encoder, bit, 0, (noise[0], 2 * bit, noise[1]))
    assert 8 * len(encoder.finish()) < 0.03 * len(bits)


@given(st.lists(st.one_of(st.integers(-3, 3), st.integers(-32767, 32767)), max_size=100))
def test_signed_round_trip(values: list[int]) -> None:
    encoder, own = _core.RangeEncoder(), _core.SignedContexts()
    for value in values:
        own.encode(encoder, value)
    decoder, own = _core.RangeDecoder(encoder.finish()), _core.SignedContexts()
    assert [own.decode(decoder) for _ in values] == values
    decoder.check_end()


@pytest.mark.parametrize("value", [-(2**31), -32768, 32768, 2**31 - 1])
def test_signed_values_out_of_range(value: int) -> None:
    encoder = _core.RangeEncoder()
    with pytest.raises(ValueError, match=r"-32767 \.\. 32767"):
        _core.SignedContexts().encode(encoder, value)
    assert encoder.finish() == b""


def test_a_prefix_that_is_too_long_is_an_error() -> None:
    encoder, kind = _core.RangeEncoder(), Kind(12, 12)
    for i, bit in enumerate([0, 0, *[1] * 15]):  # not zero, positive
        coin, at = Coin(), min(i, 11)
        coin.wanted = bit
        encoder.encode(bit, kind.probability(at, at))
        kind.read(coin, at, at)
    with pytest.raises(ValueError, match="prefix of more than 14 bits"):
        _core.SignedContexts().decode(_core.RangeDecoder(encoder.finish()))


@given(st.binary(max_size=40))
def test_garbage_ends(data: bytes) -> None:
    decoder, own = _core.RangeDecoder(data), _core.SignedContexts()
    try:
        for _ in range(2000):
            assert -32767 <= own.decode(decoder) <= 32767
    except ValueError as error:
        assert "damaged" in str(error)
