"""Animations: the file around the packets, and its pictures in any order."""

from __future__ import annotations

import io
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bsqav
from bsqav.codec import Animation, encode_animation
from bsqav.codec.animation import read_animation, write_animation
from bsqav.codec.image_metadata import ImageMetadata
from bsqav.errors import BitstreamError, UnsupportedError, UsageError
from tests.codec.streams import TINY_MODEL, Format, clip, tiny_model

GRAY = [planes[0] for planes in clip(Format(40, 24), 6)]


def encode(pictures: Any = GRAY, **options: Any) -> bytes:
    return encode_animation(pictures, **{"model": TINY_MODEL, "gop": 3, **options})


def test_images_round_trip_in_any_order() -> None:
    data = encode(crf=0, durations=Fraction(1, 25), loops=3)
    animation = Animation(data, model=tiny_model())
    assert (len(animation), animation.loops, animation.complete) == (6, 3, True)
    assert animation.sequence["chroma"] == "gray"
    shown = list(animation)
    for index in (4, 1, -1, 0, 5, 2, 3):
        assert np.array_equal(animation[index], shown[index])
        assert animation.duration(index) == Fraction(1, 25)
    assert [animation.frame(n).keyframe for n in range(6)] == [n % 3 == 0 for n in range(6)]
    with pytest.raises(IndexError, match="of 6"):
        animation[6]


def test_alpha_is_kept() -> None:
    pictures = [np.full((16, 16, 4), 60 * n, np.uint8) for n in range(4)]
    animation = Animation(encode(pictures, crf=4), model=tiny_model())
    assert animation[3].shape == (16, 16, 4)


def test_the_file_is_as_it_is_written_down() -> None:
    data = encode(loops=3)
    assert data[:7] == bytes.fromhex("42535141010103")
    assert data[-1] == 0
    file = read_animation(data)
    again = io.BytesIO()
    write_animation(again, file.packets, loops=file.loops)
    assert again.getvalue() == data
    # Bytes of a longer head are skipped.
    longer = data[:5] + b"\x04\x03abc" + data[7:]
    assert read_animation(longer) == file


def test_metadata_are_in_the_header_with_checksums() -> None:
    metadata = ImageMetadata(exif=b"II*\0", icc=b"profile", xmp=b"<x/>")
    data = encode(loops=3, metadata=metadata)
    # As docs/bitstream.md 10 has it: kind, size, so many bytes, checksum.
    chunks = b"".join(
        bytes([kind, len(part)]) + part + zlib.crc32(part).to_bytes(4, "little")
        for kind, part in ((1, b"II*\0"), (2, b"profile"), (3, b"<x/>"))
    )
    assert data[:7] == b"BSQA\1" + bytes([1 + len(chunks), 3])
    assert data[7 : 7 + len(chunks)] == chunks
    assert read_animation(data).metadata == metadata
    plain = read_animation(encode(loops=3))
    assert read_animation(data).packets == plain.packets
    # Kinds that are not known are passed over.
    unknown = b"\x09\x01a" + bytes(4)
    longer = data[:5] + bytes([1 + len(chunks) + 7, 3]) + unknown + data[7:]
    assert read_animation(longer).metadata == metadata
    assert read_animation(longer).faults == ()


@pytest.mark.parametrize("place", range(7, 18))
def test_damaged_metadata_are_faults_and_no_errors(place: int) -> None:
    data = bytearray(encode(metadata=ImageMetadata(exif=b"II*\0\0")))
    data[place] ^= 0x40
    file = read_animation(bytes(data))
    assert not file.metadata
    assert len(file.packets) == len(read_animation(encode()).packets)
    assert file.faults or place == 7  # another kind


def test_a_still_with_metadata_is_read_as_a_still() -> None:
    metadata = ImageMetadata(icc=b"\0" * 36 + b"acsp")
    still = bsqav.encode_image(GRAY[0], model=TINY_MODEL)
    data = bsqav.encode_image(GRAY[0], model=TINY_MODEL, metadata=metadata)
    assert read_animation(data).packets == (still,)
    shown = bsqav.decode_image(data, model=tiny_model())
    assert np.array_equal(shown, bsqav.decode_image(still, model=tiny_model()))
    assert Animation(data, model=tiny_model()).metadata == metadata
    with pytest.raises(BitstreamError, match="animation"):
        bsqav.decode_image(encode(), model=tiny_model())


def test_a_still_is_an_animation_of_one_picture() -> None:
    still = bsqav.encode_image(GRAY[0], model=TINY_MODEL)
    animation = Animation(still, model=tiny_model())
    assert len(animation) == 1
    assert np.array_equal(animation[0], bsqav.decode_image(still, model=tiny_model()))


def test_a_truncated_animation_gives_its_complete_images() -> None:
    data = encode()
    counts = []
    for end in range(len(data)):
        try:
            file = read_animation(data[:end])
        except BitstreamError:
            continue
        assert not file.complete
        counts.append(len(file.packets))
    assert sorted(set(counts)) == list(range(1, 7))
    with pytest.raises(BitstreamError, match="cut short"):
        read_animation(data[:30])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"BSQB" + data[4:], "no BSQ animation"),
        (lambda data: data + b"\0", "follow"),
        (lambda data: data[:7] + b"\0", "no picture"),
        (lambda data: data[:7] + b"\xff" * 20, "shortest form"),
        (lambda data: data[:7] + b"\x80\0", "shortest form"),
        (lambda data: data[:7] + b"\xff\xff\xff\xff\x0f", "a picture of"),
        (lambda data: data[:5] + b"\x05\xff\xff\xff\xff\x0f" + data[7:], "loops"),
    ],
)
def test_files_that_are_no_animations(change: Any, message: str) -> None:
    with pytest.raises(BitstreamError, match=message):
        read_animation(change(encode()))


def test_a_newer_version_is_refused() -> None:
    data = encode()
    with pytest.raises(UnsupportedError, match="version 2"):
        read_animation(data[:4] + b"\2" + data[5:])


def test_a_damaged_frame_is_reported_and_the_others_are_kept() -> None:
    data = bytearray(encode(crf=0))
    sound = list(Animation(bytes(data), model=tiny_model()))
    packets = read_animation(bytes(data)).packets
    place = bytes(data).index(packets[1])
    data[place + len(packets[1]) // 2] ^= 255
    animation = Animation(bytes(data), model=tiny_model())
    with pytest.raises(BitstreamError) as caught:
        animation[2]
    assert caught.value.packet == 1
    assert np.array_equal(animation[4], sound[4])
    assert np.array_equal(animation[0], sound[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"durations": 0}, "cannot show"),
        ({"durations": [0.1]}, "durations"),
        ({"durations": [0.1] * 9}, "9 durations for 6"),
        ({"loops": -1}, "loops"),
        ({"pictures": []}, "at least one"),
        ({"pictures": [GRAY[0], GRAY[0][:-1]]}, "one size"),
        ({"pictures": [GRAY[0], np.zeros((24, 40, 3), np.uint8)]}, "in colour"),
        ({"pictures": [np.full((8, 8, 4), alpha, np.uint8) for alpha in (255, 0)]}, "transparent"),
    ],
)
def test_what_cannot_be_coded(options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        encode(**options)


def test_a_stream_that_begins_between_keyframes_is_none() -> None:
    packets = read_animation(encode()).packets
    with pytest.raises(UsageError, match="keyframe"):
        write_animation(io.BytesIO(), packets[1:])


def test_other_functions_tell_an_animation(tmp_path: Path) -> None:
    with pytest.raises(BitstreamError, match="animation"):
        bsqav.decode_image(encode())
