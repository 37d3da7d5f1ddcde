"""SHA-256 and CRC-32 agree with Python's own, for any length and any cut."""

from __future__ import annotations

import hashlib
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsqav import _core


@given(st.binary(max_size=400))
def test_hashes_of_short_strings(data: bytes) -> None:
    assert _core.sha256(data) == hashlib.sha256(data).hexdigest()
    assert _core.crc32(data) == zlib.crc32(data)


@pytest.mark.parametrize("size", [0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 128, 1_000_003])
def test_hashes_at_padding_borders(size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    assert _core.sha256(data) == hashlib.sha256(data).hexdigest()
    assert _core.crc32(data) == zlib.crc32(data)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_crc32_goes_on_from_earlier_bytes(a: bytes, b: bytes) -> None:
    assert _core.crc32(b, _core.crc32(a)) == zlib.crc32(a + b)


def test_any_contiguous_memory_is_taken() -> None:
    array = np.arange(1000, dtype=np.uint16)
    expected = hashlib.sha256(array.tobytes()).hexdigest()
    assert _core.sha256(array) == expected
    assert _core.sha256(memoryview(array.tobytes())) == expected
    assert _core.sha256(bytearray(array.tobytes())) == expected
    with pytest.raises(ValueError, match="contiguous"):
        _core.sha256(array[::2])
    with pytest.raises(ValueError, match="str"):
        _core.crc32("text")  # type: ignore[arg-type]
