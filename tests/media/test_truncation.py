"""Files that end before they say."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsqav.media.matroska import MatroskaMuxer
from bsqav.media.truncation import LengthWatch, cut_short
from tests.media.containers import HEADER, SEQUENCE, ReadPipe, mux_video, sound


def matroska() -> bytes:
    file = io.BytesIO()
    muxer = MatroskaMuxer(file)
    mux_video(muxer, muxer.add_video(HEADER, SEQUENCE))
    muxer.close()
    return file.getvalue()


@pytest.mark.parametrize("data", [matroska(), sound("aac").getvalue()])
def test_every_cut_is_seen(data: bytes) -> None:
    assert not cut_short(io.BytesIO(data))
    for size in (20, len(data) // 3, len(data) - 1):
        assert cut_short(io.BytesIO(data[:size]))


def read_through(data: bytes, sizes: list[int]) -> LengthWatch:
    watch = LengthWatch(ReadPipe(data))
    turn = 0
    while watch.read(sizes[turn % len(sizes)]):
        turn += 1
    return watch


@pytest.mark.parametrize("data", [matroska(), sound("aac").getvalue()])
@pytest.mark.parametrize("sizes", [[1], [7, 100], [1 << 20]])
def test_every_cut_of_a_pipe_is_seen(data: bytes, sizes: list[int]) -> None:
    assert not read_through(data, sizes).cut_short
    for size in (30, len(data) // 3, len(data) - 1):
        assert read_through(data[:size], sizes).cut_short
    watch = LengthWatch(ReadPipe(data[:500]))
    watch.read(500)
    assert not watch.cut_short, "its end has not been seen yet"


@given(
    st.binary(max_size=99),
    st.sampled_from([b"", b"\x1a\x45\xdf\xa3", bytes(3) + b"\x18ftyp"]),
    st.integers(1, 50),
)
def test_pipes_of_any_bytes_agree_with_files(data: bytes, start: bytes, size: int) -> None:
    whole = start + data
    assert read_through(whole, [size]).cut_short == cut_short(io.BytesIO(whole))


def test_files_that_do_not_say_are_taken_as_whole() -> None:
    for data in (b"", b"hello", sound("mp3").getvalue()[:1000], bytes(8) + b"moov"):
        assert not cut_short(io.BytesIO(data))


def test_the_position_is_put_back() -> None:
    file = io.BytesIO(matroska())
    file.seek(17)
    cut_short(file)
    assert file.tell() == 17


@given(st.binary(max_size=64), st.sampled_from([b"", b"\x1a\x45\xdf\xa3", bytes(3) + b"\x18ftyp"]))
def test_any_bytes_are_read_without_harm(data: bytes, start: bytes) -> None:
    assert cut_short(io.BytesIO(start + data)) in (False, True)
