"""FrameReader: the pictures of a track by number, whatever the order."""

from __future__ import annotations

import io
import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import bsqav
from bsqav.codec import encode_animation
from bsqav.errors import BitstreamError, MediaError, UsageError
from bsqav.media.inspect.frame_reader import FrameReader
from tests.media.clips import ClipSpec, make_clip, pictures

COUNT = 23


def write(path: Path, *, gop: int = 6) -> Path:
    with bsqav.open(path, "w") as container:
        stream = container.add_stream(
            "bsq", rate=Fraction(30000, 1001), options={"gop": gop, "crf": 30}
        )
        for number, frame in enumerate(pictures(ClipSpec(size=(48, 32), frames=COUNT))):
            frame.pts, frame.time_base = number * 1001, Fraction(1, 30000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["a.mkv", "a.mov", "a.nut"])
def test_any_order_gives_what_the_order_gives(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name)
    with bsqav.open(path) as container:
        expected = [bytes(frame.planes[0]) for frame in container.decode(video=0)]
    with FrameReader(path, output="frame") as reader:
        assert len(reader) == len(expected) == COUNT
        assert reader.index.keyframes[:3] == (0, 6, 12)
        rng = random.Random(1)
        for number in [*range(COUNT), *(rng.randrange(-COUNT, COUNT) for _ in range(50))]:
            assert bytes(reader[number].planes[0]) == expected[number]
        assert reader.time(7) == Fraction(7 * 1001, 30000)
        assert [reader.number_at(t) for t in (-1, 0, 0.1, 99)] == [0, 0, 2, COUNT - 1]
        with pytest.raises(IndexError, match="23 frames"):
            reader[COUNT]


def test_file_objects_and_a_known_index(tmp_path: Path) -> None:
    held = io.BytesIO(write(tmp_path / "a.mkv").read_bytes())
    with FrameReader(held) as reader, FrameReader(tmp_path / "a.mkv", index=reader.index) as same:
        assert same[20].shape == (32, 48, 3)
        assert np.array_equal(same[20], reader[20])
    assert not held.closed


def test_an_animation_has_pictures_too(tmp_path: Path) -> None:
    shades = [np.full((16, 16), 40 * n, np.uint8) for n in range(5)]
    (tmp_path / "a.bsq").write_bytes(encode_animation(shades, gop=2, crf=10))
    with FrameReader(tmp_path / "a.bsq") as reader:
        assert len(reader) == 5
        assert reader[3].shape == (16, 16)


def test_a_file_without_bsq_says_so(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", size=(48, 32), frames=3)
    with pytest.raises(UsageError, match="0 BSQ tracks"):
        FrameReader(clip)
    with pytest.raises(FileNotFoundError):
        FrameReader(tmp_path / "missing.mkv")


def test_a_damaged_frame_is_reported_and_the_others_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv")
    with bsqav.open(path) as container:
        packets = [bytes(packet) for packet in container.demux(video=0)]
    data = bytearray(path.read_bytes())
    place = bytes(data).index(packets[8])
    data[place + len(packets[8]) // 2] ^= 255
    with FrameReader(path) as reader, FrameReader(io.BytesIO(data)) as damaged:
        for number in (7, 13, 2):
            assert np.array_equal(reader[number], damaged[number])
        with pytest.raises(BitstreamError):
            damaged[9]
        assert np.array_equal(reader[7], damaged[7])


def test_a_file_that_became_shorter(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv")
    with FrameReader(path) as reader:
        index = reader.index
    other = tmp_path / "b.mkv"
    with bsqav.open(path) as source, bsqav.open(other, "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in list(source.demux(video=0))[:10]:
            packet.stream = stream
            target.mux(packet)
    with FrameReader(other, index=index) as reader:
        assert reader[9].shape == (32, 48, 3)
        with pytest.raises(MediaError, match="shorter"):
            reader[20]
