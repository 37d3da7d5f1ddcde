"""EBML elements, written and read."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsqav.media.io import ebml


@given(st.integers(0, ebml.MAX_SIZE))
def test_sizes_come_back(size: int) -> None:
    found = ebml.read_head(io.BytesIO(b"\xec" + ebml.size_field(size)))
    assert found is not None
    assert (found.id, found.size) == (0xEC, size)


@pytest.mark.parametrize(("size", "width"), [(126, 1), (127, 2), (16382, 2), (16383, 3)])
def test_all_ones_is_kept_for_unknown_sizes(size: int, width: int) -> None:
    assert len(ebml.size_field(size)) == width


def test_unknown_size_is_read_as_such() -> None:
    found = ebml.read_head(io.BytesIO(ebml.head(0x1F43B675, None)))
    assert found is not None
    assert (found.id, found.size, found.end) == (0x1F43B675, None, None)


@given(st.binary(max_size=12))
def test_any_bytes_are_read_without_harm(data: bytes) -> None:
    found = ebml.read_head(io.BytesIO(data))
    assert found is None or found.start <= len(data)


@given(st.integers(-(1 << 62), 1 << 62))
def test_signed_integers_take_the_fewest_bytes(value: int) -> None:
    data = ebml.signed(0xFB, value)[2:]
    assert int.from_bytes(data, "big", signed=True) == value
    assert len(data) == 1 or not -(1 << (8 * len(data) - 9)) <= value < 1 << (8 * len(data) - 9)


@pytest.mark.parametrize("size", [2, 3, 127, 128, 129, 1000])
def test_void_has_the_size_asked_for(size: int) -> None:
    assert len(ebml.void(size)) == size


def test_what_does_not_fit_is_refused() -> None:
    for call in (
        lambda: ebml.size_field(ebml.MAX_SIZE + 1),
        lambda: ebml.size_field(1000, 1),
        lambda: ebml.uint(0xD7, -1),
        lambda: ebml.void(1),
    ):
        with pytest.raises(ValueError):
            call()  # type: ignore[no-untyped-call]


def test_text_with_a_nul_is_not_cut() -> None:
    assert ebml.string(0x86, "a\0b") == b"\x86\x82ab"
