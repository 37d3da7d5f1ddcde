"""The range coder: round trips, byte-exact output, efficiency, carries, damaged input."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsqav import _core
from tests.entropy.range_code import Interval, encode

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]

# Extremes as often as anything else.
probabilities = st.one_of(
    st.sampled_from([1, 2, 255, 256, 32767, 32768, 65534, 65535]), st.integers(1, 65535)
)
symbols = st.lists(st.tuples(st.integers(0, 1), probabilities), max_size=300)


def encode_arrays(bits: U8, probs: U16) -> bytes:
    encoder = _core.RangeEncoder()
    encoder.encode_bits(bits, probs)
    return encoder.finish()


@given(symbols)
def test_round_trip_and_exact_bytes(pairs: list[tuple[int, int]]) -> None:
    encoder = _core.RangeEncoder()
    for bit, p in pairs:
        encoder.encode(bit, p)
    cost = encoder.bits
    data = encoder.finish()
    assert data == encode(pairs)
    assert 8 * len(data) <= cost + 8  # the end takes a byte at most

    decoder = _core.RangeDecoder(data)
    assert [decoder.decode(p) for _, p in pairs] == [bit for bit, _ in pairs]
    assert not decoder.overrun
    assert decoder.unread == 0
    decoder.check_end()


def test_documented_example() -> None:
    encoder = _core.RangeEncoder()
    for bit, p in ((1, 49152), (0, 16384), (1, 256)):
        encoder.encode(bit, p)
    assert encoder.finish() == b"\x30"
    assert encoder.finish() == b""  # starts anew


def bernoulli(rng: np.random.Generator, probs: npt.NDArray[np.float64]) -> tuple[U8, U16]:
    quantized = np.clip(np.round(probs * 65536), 1, 65535).astype(np.uint16)
    return (rng.random(probs.size) < quantized / 65536).astype(np.uint8), quantized


DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, int], npt.NDArray[np.float64]]] = {
    "even": lambda rng, n: np.full(n, 0.5),
    "uniform": lambda rng, n: rng.random(n),
    "sharp": lambda rng, n: rng.beta(0.1, 0.1, n),
    "skewed": lambda rng, n: rng.beta(0.3, 30.0, n),
    "one in 100": lambda rng, n: np.full(n, 0.01),
    "all but one in 100": lambda rng, n: np.full(n, 0.99),
    "one in 65536": lambda rng, n: np.full(n, 2.0**-16),
    "all but one in 65536": lambda rng, n: np.full(n, 1 - 2.0**-16),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_million_bits_take_the_ideal_size(name: str) -> None:
    rng = np.random.default_rng(7)
    bits, probs = bernoulli(rng, DISTRIBUTIONS[name](rng, 1_000_000))
    p = probs / 65536
    ideal = float(-np.log2(np.where(bits == 1, p, 1 - p)).sum())
    data = encode_arrays(bits, probs)
    assert 8 * len(data) <= 1.001 * ideal + 32
    decoder = _core.RangeDecoder(data)
    assert np.array_equal(decoder.decode_bits(probs), bits)
    decoder.check_end()


@pytest.mark.parametrize("p", [1, 65535])
@pytest.mark.parametrize("bit", [0, 1])
def test_long_runs_under_extreme_probabilities(p: int, bit: int) -> None:
    bits = np.full(3000, bit, np.uint8)
    probs = np.full(3000, p, np.uint16)
    data = encode_arrays(bits, probs)
    decoder = _core.RangeDecoder(data)
    assert np.array_equal(decoder.decode_bits(probs), bits)
    decoder.check_end()


def straddle(rng: np.random.Generator, count: int, last: int) -> tuple[U8, U16]:
    """Symbols whose interval keeps the fraction 1/2 inside to the end, then one that decides.

    While 1/2 stays inside, the bytes of low are 7F FF FF ...: a run that a carry may still turn
    into 80 00 00 ...
    """
    interval = Interval()
    pairs: list[tuple[int, int]] = []
    while len(pairs) < count:
        p = int(rng.integers(1, 65536))
        half = 1 << (8 * (4 + interval.shifts) - 1)
        # The bit whose part holds 1/2 and some of both sides.
        bit = int(half < interval.low + (interval.range * p >> 16))
        interval.code(bit, p)
        pairs.append((bit, p))
    # Lower and upper part on either side of 1/2, as near as 16 bits allow.
    half = 1 << (8 * (4 + interval.shifts) - 1)
    p = min(max(((half - interval.low) << 16) // interval.range + 1 - last, 1), 65535)
    pairs.append((last, p))
    bits, probs = np.array(pairs).T
    return bits.astype(np.uint8), probs.astype(np.uint16)


@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("count", [10, 100, 3000])
def test_carries_through_long_runs_of_ff(count: int, last: int) -> None:
    rng = np.random.default_rng(count)
    for _ in range(5):
        head = straddle(rng, count, last)
        tail = bernoulli(rng, rng.random(40))
        bits = np.concatenate([head[0], tail[0]])
        probs = np.concatenate([head[1], tail[1]])
        data = encode_arrays(bits, probs)
        assert data == encode(zip(bits.tolist(), probs.tolist(), strict=True))
        run = count // 25
        assert b"\xff" * run in data or b"\x00" * run in data
        decoder = _core.RangeDecoder(data)
        assert np.array_equal(decoder.decode_bits(probs), bits)
        decoder.check_end()


@given(st.binary(max_size=64), st.integers(0, 2**32 - 1))
def test_garbage_decodes_to_something_and_is_noticed(data: bytes, seed: int) -> None:
    probs = np.random.default_rng(seed).integers(1, 65536, 4000).astype(np.uint16)
    decoder = _core.RangeDecoder(data)
    bits = decoder.decode_bits(probs)
    assert set(np.unique(bits).tolist()) <= {0, 1}
    # 4000 symbols need more than the 64 bytes and the zeros that may follow.
    assert decoder.overrun
    with pytest.raises(ValueError, match="damaged or cut off"):
        decoder.check_end()


def test_damage_at_the_end_is_noticed() -> None:
    rng = np.random.default_rng(3)
    bits, probs = bernoulli(rng, rng.random(5000))
    data = encode_arrays(bits, probs)

    # The decoder holds 4 bytes, so that a few more do not show here but in a checksum.
    longer = _core.RangeDecoder(data + b"\x01" * 5)
    longer.decode_bits(probs)
    assert longer.unread in (1, 2)
    with pytest.raises(ValueError, match="left over"):
        longer.check_end()

    shorter = _core.RangeDecoder(data[:-20])
    shorter.decode_bits(probs)
    assert shorter.overrun

    # The one start that lies outside of the first range.
    impossible = _core.RangeDecoder(b"\xff" * 100)
    assert impossible.overrun


def test_logits_give_their_probabilities() -> None:
    rng = np.random.default_rng(5)
    logits = rng.integers(-32768, 32768, 5000).astype(np.int16)
    probs = _core.probability_from_logit(logits)
    bits = (rng.random(5000) < probs / 65536).astype(np.uint8)
    encoder = _core.RangeEncoder()
    encoder.encode_logits(bits, logits)
    data = encoder.finish()
    assert data == encode_arrays(bits, probs)
    assert np.array_equal(_core.RangeDecoder(data).decode_logits(logits), bits)


def test_arguments_are_checked() -> None:
    encoder = _core.RangeEncoder()
    bits = np.zeros(3, np.uint8)
    probs = np.full(3, 32768, np.uint16)
    for p in (0, 65536, -1):
        with pytest.raises(ValueError, match="from 1 to 65535"):
            encoder.encode(1, p)
        with pytest.raises(ValueError, match="from 1 to 65535"):
            _core.RangeDecoder(b"").decode(p)
    with pytest.raises(ValueError, match="not 0 or 1"):
        encoder.encode(2, 100)
    with pytest.raises(ValueError, match=r"bits\[1\] is 2"):
        encoder.encode_bits(np.array([0, 2, 1], np.uint8), probs)
    with pytest.raises(ValueError, match=r"probs\[0\] is 0"):
        encoder.encode_bits(bits, np.zeros(3, np.uint16))
    with pytest.raises(ValueError, match="same length"):
        encoder.encode_bits(bits[:2], probs)
    with pytest.raises(ValueError, match="uint16, not int64"):
        encoder.encode_bits(bits, np.full(3, 32768, np.int64))
    with pytest.raises(ValueError, match="shape is 1x3"):
        encoder.encode_bits(bits[None], probs)
    with pytest.raises(ValueError, match="NumPy array, not list"):
        encoder.encode_bits([0, 1, 0], probs)  # type: ignore[arg-type]
    assert encoder.finish() == b""  # nothing of this was coded


def test_bools_and_strided_arrays_are_taken() -> None:
    bits = np.array([True, False, True, True])
    probs = np.full(8, 1000, np.uint16)[::2]
    encoder = _core.RangeEncoder()
    encoder.encode_bits(bits, probs)
    decoder = _core.RangeDecoder(encoder.finish())
    assert decoder.decode_bits(probs).tolist() == [1, 0, 1, 1]
