"""Bit packing: exact layout, round trips, damaged input."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsqav import _core


def pack_by_numpy(codes: npt.NDArray[np.uint64], bits: int) -> bytes:
    rows = (codes[:, None] >> np.arange(bits, dtype=np.uint64)) & np.uint64(1)
    return np.packbits(rows.astype(np.uint8).reshape(-1), bitorder="little").tobytes()


def random_codes(count: int, bits: int) -> npt.NDArray[np.uint64]:
    rng = np.random.default_rng(100 * bits + count)
    return rng.integers(0, 2**bits, count, dtype=np.uint64, endpoint=False)


@pytest.mark.parametrize("bits", [1, 7, 18, 36, 63, 64])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 8, 9, 1001])
def test_exact_layout(count: int, bits: int) -> None:
    codes = random_codes(count, bits)
    data = _core.pack_bits(codes, bits)
    assert data == pack_by_numpy(codes, bits)
    assert len(data) == (count * bits + 7) // 8
    assert np.array_equal(_core.unpack_bits(data, count, bits), codes)


@given(st.integers(1, 64), st.data())
def test_round_trip(bits: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(0, 2**bits - 1), max_size=40))
    codes = np.array(values, np.uint64)
    packed = _core.pack_bits(codes, bits)
    assert packed == pack_by_numpy(codes, bits)
    assert _core.unpack_bits(packed, len(values), bits).tolist() == values


def test_documented_example() -> None:
    assert _core.pack_bits(np.array([5, 1, 6], np.uint64), 3) == b"\x8d\x01"


@pytest.mark.parametrize("bits", [1, 7, 18, 63])
def test_padding_must_be_zero(bits: int) -> None:
    packed = bytearray(_core.pack_bits(random_codes(3, bits), bits))
    for bit in range(3 * bits % 8, 8):
        damaged = bytearray(packed)
        damaged[-1] |= 1 << bit
        with pytest.raises(ValueError, match=f"padding bits in byte {len(packed) - 1} are set"):
            _core.unpack_bits(damaged, 3, bits)


def test_sizes_are_checked() -> None:
    packed = _core.pack_bits(random_codes(3, 18), 18)
    with pytest.raises(ValueError, match="7 bytes, there are 8"):
        _core.unpack_bits(packed + b"\0", 3, 18)
    with pytest.raises(ValueError, match="cut off"):
        _core.unpack_bits(packed[:-1], 3, 18)
    with pytest.raises(ValueError, match="cut off"):
        _core.unpack_bits(b"", 2**40, 64)
    with pytest.raises(ValueError, match="too many"):
        _core.unpack_bits(b"", 2**62, 64)
    with pytest.raises(ValueError, match="-1"):
        _core.unpack_bits(b"", -1, 64)


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="code 1 is 8, which has more than 3 bits"):
        _core.pack_bits(np.array([7, 8], np.uint64), 3)
    with pytest.raises(ValueError, match="from 1 to 64"):
        _core.pack_bits(np.zeros(2, np.uint64), 65)
    with pytest.raises(ValueError, match="from 1 to 64"):
        _core.unpack_bits(b"", 0, 0)
    with pytest.raises(ValueError, match="uint64, not int64"):
        _core.pack_bits(np.array([1, 2]), 3)
    with pytest.raises(ValueError, match="1 dimensions; its shape is 2x2"):
        _core.pack_bits(np.zeros((2, 2), np.uint64), 3)
