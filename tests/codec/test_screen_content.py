"""Sample-coded tokens: what text gains by them, and that they decode alike everywhere."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from bsqav import _core
from bsqav.errors import BsqError
from tests.codec.damage import flip_and_seal
from tests.codec.streams import (
    Format,
    Plane,
    Stream,
    clip,
    decode,
    encode,
    picture_hash,
    tiny_model,
)
from tests.codec.text import sample_bits, scrolling

FORM = Format(192, 136)
FORMS = [
    FORM,
    Format(130, 98, bit_depth=10),
    Format(96, 72, "gray"),
    Format(70, 50, "422", 10, alpha=1),
    Format(64, 48, "444"),
]


def size(stream: Stream) -> int:
    return sum(map(len, stream.packets))


def luma_error(stream: Stream, pictures: list[Any]) -> float:
    """Mean squared error of all pictures."""
    pairs = zip(decode(stream.packets), pictures, strict=True)
    return float(np.mean([(np.asarray(a.planes[0], float) - b[0]) ** 2 for a, b in pairs]))


@pytest.mark.parametrize("options", [{}, {"lookahead": 8}], ids=["P", "B"])
def test_text_takes_less_and_is_sharper(options: dict[str, Any]) -> None:
    pictures = scrolling(FORM, 6)
    on = encode(pictures, FORM, crf=32, **options)
    off = encode(pictures, FORM, crf=32, screen_content=0, **options)
    assert size(on) < size(off) / 3
    assert luma_error(on, pictures) < luma_error(off, pictures) / 4
    assert max(sample_bits(off.stats)) == 0


def test_samples_are_exact_where_they_should_be() -> None:
    """A keyframe of text at a high quality is what it was."""
    pictures = scrolling(FORM, 1)
    [shown] = decode(encode(pictures, FORM, crf=4).packets)
    assert all(np.array_equal(a, b) for a, b in zip(shown.planes, pictures[0], strict=True))


def test_pictures_of_a_camera_have_none() -> None:
    pictures = clip(FORM, 4)
    on = encode(pictures, FORM, crf=32, lookahead=3)
    off = encode(pictures, FORM, crf=32, lookahead=3, screen_content=0)
    assert max(sample_bits(on.stats)) == 0
    assert [len(packet) for packet in on.packets] == [len(packet) for packet in off.packets]


@pytest.mark.parametrize("step", [4, 90])
def test_a_page_that_scrolls_is_found_again(step: int) -> None:
    """By whole samples, and farther than the search reaches."""
    form = Format(192, 264)
    pictures = scrolling(form, 2, step)
    other = scrolling(form, 2, 400)[1]

    def second(first: list[Plane]) -> int:
        return len(encode([first, pictures[1]], form, crf=24, scene_cut=0).packets[1])

    assert second(pictures[0]) < (step / form.height + 0.2) * second(other)


@pytest.mark.parametrize("form", FORMS)
def test_it_decodes_alike_everywhere(form: Format) -> None:
    """Of all formats, by any number of threads, with other kernels."""
    pictures = scrolling(form, 5)
    options: dict[str, Any] = {"crf": 30, "lookahead": 4}
    stream = encode(pictures, form, threads=1, **options)
    assert max(sample_bits(stream.stats)) > 0
    assert encode(pictures, form, threads=3, **options).packets == stream.packets
    assert [picture_hash(p) for p in decode(stream.packets)] == stream.hashes
    assert [picture_hash(p) for p in decode(stream.packets, threads=3)] == stream.hashes
    _core.set_kernels("scalar")
    try:
        assert [picture_hash(p) for p in decode(stream.packets)] == stream.hashes
    finally:
        _core.set_kernels(None)


def test_several_tiles() -> None:
    """Each learns its own text."""
    form = Format(1312, 736)
    pictures = scrolling(form, 2, 5)
    stream = encode(pictures, form, crf=30, preset="fast")
    assert min(sample_bits(stream.stats)) > 0
    assert [picture_hash(p) for p in decode(stream.packets, threads=2)] == stream.hashes


def test_a_bit_rate_is_kept() -> None:
    """Frames that are coded again for the VBV buffer begin from the same samples."""
    pictures = scrolling(FORM, 12, 4)
    stream = encode(pictures, FORM, bitrate=6e4, vbv_buffer=0.2)
    assert [picture_hash(p) for p in decode(stream.packets)] == stream.hashes


@pytest.mark.parametrize("seed", range(40))
def test_damage_is_an_error_or_a_picture(seed: int) -> None:
    """Behind a checksum that fits: no crash, and memory and time as usual."""
    rng = random.Random(seed)
    packets = encode(scrolling(Format(96, 72), 3), Format(96, 72), crf=30).packets
    number = rng.randrange(3)
    packets[number] = flip_and_seal(packets[number], rng)
    decoder = _core.Decoder([tiny_model()])
    for packet in packets:
        try:
            decoder.send(packet)
        except BsqError:
            continue
        while (picture := decoder.receive()) is not None:
            assert picture.planes[0].shape == (72, 96)
