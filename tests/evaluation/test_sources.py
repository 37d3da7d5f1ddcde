"""Clips read into y4m: exact pictures, exact length, clear refusals."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from bsqav.evaluation.io.errors import SourceError
from bsqav.evaluation.io.sources import frame_planes, read_source
from bsqav.evaluation.io.y4m import Y4mFile, Y4mHeader

from .conftest import moving_planes

ODD = Y4mHeader(65, 49, Fraction(30000, 1001))
FRAMES = 5


@pytest.fixture
def odd_clip(tmp_path: Path) -> Path:
    """A lossless clip of odd size in Matroska."""
    path = tmp_path / "odd.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=ODD.rate)
        stream.width, stream.height, stream.pix_fmt = ODD.width, ODD.height, "yuv420p"
        for i in range(FRAMES):
            frame = av.VideoFrame(ODD.width, ODD.height, "yuv420p")
            for target, plane in zip(frame.planes, moving_planes(ODD, i), strict=True):
                lines = np.zeros((plane.shape[0], target.line_size), np.uint8)
                lines[:, : plane.shape[1]] = plane
                target.update(lines.tobytes())
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def assert_frame(y4m: Y4mFile, index: int, original: int) -> None:
    for got, expected in zip(y4m[index], moving_planes(ODD, original), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_the_whole_clip_is_read_bit_for_bit(odd_clip: Path, tmp_path: Path) -> None:
    source = read_source(odd_clip, tmp_path / "out.y4m")
    assert source.frames == FRAMES
    assert source.notes == ()
    read = Y4mFile(source.path)
    assert read.header == source.header == ODD
    assert len(read) == FRAMES
    for i in range(FRAMES):
        assert_frame(read, i, i)


def test_fewer_frames(odd_clip: Path, tmp_path: Path) -> None:
    source = read_source(odd_clip, tmp_path / "out.y4m", frames=2)
    assert source.frames == len(Y4mFile(source.path)) == 2


def test_more_frames_play_forward_and_backward(odd_clip: Path, tmp_path: Path) -> None:
    source = read_source(odd_clip, tmp_path / "out.y4m", frames=12)
    read = Y4mFile(source.path)
    assert source.frames == len(read) == 12
    assert "forward and backward" in source.notes[0]
    for i, original in enumerate([0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3]):
        assert_frame(read, i, original)


def test_one_frame_repeats(odd_clip: Path, tmp_path: Path) -> None:
    short = read_source(odd_clip, tmp_path / "one.y4m", frames=1)
    read = Y4mFile(read_source(short.path, tmp_path / "out.y4m", frames=3).path)
    assert len(read) == 3
    for i in range(3):
        assert_frame(read, i, 0)


def test_scaling(odd_clip: Path, tmp_path: Path) -> None:
    source = read_source(odd_clip, tmp_path / "out.y4m", scale=(32, 24))
    assert (source.header.width, source.header.height) == (32, 24)
    assert "scaled from 65x49 to 32x24" in source.notes
    assert len(Y4mFile(source.path)) == FRAMES


def test_rgb_pictures_use_bt709() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    y, u, v = frame_planes(av.VideoFrame.from_ndarray(red, format="rgb24"))
    # BT.709, limited range: Y = 16 + 219 * .2126, Cb = 128 - 224 * .2126 / 1.8556, Cr = 240
    assert abs(int(y[8, 8]) - 63) <= 1
    assert abs(int(u[4, 4]) - 102) <= 1
    assert abs(int(v[4, 4]) - 240) <= 1


def test_full_range_luma_stays_as_it_is() -> None:
    frame = av.VideoFrame(18, 10, "yuvj420p")
    for plane, value in zip(frame.planes, (3, 100, 200), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    y, u, v = frame_planes(frame)
    assert (y.shape, u.shape, v.shape) == ((10, 18), (5, 9), (5, 9))
    assert [np.unique(plane).tolist() for plane in (y, u, v)] == [[3], [100], [200]]


@pytest.mark.parametrize("content", [b"", b"not a video\n" * 50])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"notes\.mp4"):
        read_source(path, tmp_path / "out.y4m")


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(SourceError, match="no video stream"):
        read_source(path, tmp_path / "out.y4m")


def test_a_missing_file_and_bad_arguments(odd_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.mp4"):
        read_source(tmp_path / "absent.mp4", tmp_path / "out.y4m")
    with pytest.raises(ValueError, match="frames"):
        read_source(odd_clip, tmp_path / "out.y4m", frames=0)
    with pytest.raises(ValueError, match="scale"):
        read_source(odd_clip, tmp_path / "out.y4m", scale=(0, 10))
