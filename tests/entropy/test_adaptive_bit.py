"""Adaptive models: the documented recurrence, signed integers, limits on damaged data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsqav import _core


@given(st.integers(0, 65535), st.lists(st.integers(0, 1), max_size=200))
def test_update_follows_the_recurrence(initial: int, bits: list[int]) -> None:
    model = _core.AdaptiveBit(initial)
    fast = slow = initial
    for bit in bits:
        assert model.probability == min(max((fast + slow) >> 1, 32), 65504)
        model.update(bit)
        target = 65535 * bit
        fast += (target - fast) >> 4  # Python's shift rounds down too
        slow += (target - slow) >> 7
        assert 0 <= fast <= 65535
        assert 0 <= slow <= 65535


def test_start_and_limits() -> None:
    model = _core.AdaptiveBit()
    assert model.probability == 32768
    for _ in range(2000):
        model.update(0)
    assert model.probability == 32
    for _ in range(2000):
        model.update(1)
    assert model.probability == (65535 - 15 + 65535 - 127) >> 1
    with pytest.raises(ValueError, match="65536"):
        _core.AdaptiveBit(65536)
    with pytest.raises(ValueError, match="not 0 or 1"):
        model.update(2)


def test_learns_a_skewed_source() -> None:
    rng = np.random.default_rng(11)
    bits = (rng.random(20_000) < 0.03).astype(int).tolist()
    encoder, model = _core.RangeEncoder(), _core.AdaptiveBit()
    for bit in bits:
        model.encode(encoder, bit)
    data = encoder.finish()
    entropy = -(0.03 * np.log2(0.03) + 0.97 * np.log2(0.97)) * len(bits)
    assert 8 * len(data) < 1.1 * entropy

    decoder, model = _core.RangeDecoder(data), _core.AdaptiveBit()
    assert [model.decode(decoder) for _ in bits] == bits
    decoder.check_end()


@given(st.lists(st.one_of(st.integers(-3, 3), st.integers(-32767, 32767)), max_size=100))
def test_signed_round_trip(values: list[int]) -> None:
    encoder, models = _core.RangeEncoder(), _core.SignedContexts()
    for value in values:
        before, cost = encoder.bits, models.cost(value)
        models.encode(encoder, value)
        assert abs(encoder.bits - before - cost) < 0.02 + 0.01 * cost
    data = encoder.finish()
    decoder, models = _core.RangeDecoder(data), _core.SignedContexts()
    assert [models.decode(decoder) for _ in values] == values
    decoder.check_end()


@pytest.mark.parametrize("value", [-(2**31), -32768, 32768, 2**31 - 1])
def test_signed_values_out_of_range(value: int) -> None:
    encoder = _core.RangeEncoder()
    with pytest.raises(ValueError, match=r"-32767 \.\. 32767"):
        _core.SignedContexts().encode(encoder, value)
    assert encoder.finish() == b""


def test_a_prefix_that_is_too_long_is_an_error() -> None:
    encoder = _core.RangeEncoder()
    _core.AdaptiveBit().encode(encoder, 0)  # not zero
    encoder.encode(0, 32768)  # positive
    for _ in range(15):
        _core.AdaptiveBit().encode(encoder, 1)
    with pytest.raises(ValueError, match="prefix of more than 14 bits"):
        _core.SignedContexts().decode(_core.RangeDecoder(encoder.finish()))


@given(st.binary(max_size=40))
def test_garbage_ends(data: bytes) -> None:
    decoder, models = _core.RangeDecoder(data), _core.SignedContexts()
    try:
        for _ in range(2000):
            assert -32767 <= models.decode(decoder) <= 32767
    except ValueError as error:
        assert "damaged" in str(error)
