"""Numbered pictures as input, animated pictures as input and output."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import bsqav
from bsqav.errors import UnsupportedError, UsageError
from bsqav.media.demux.demuxer import Demuxer
from bsqav.media.demux.opening import InputNotFoundError

SIZE = (64, 32)


def write_pictures(folder: Path, numbers: Sequence[int], pattern: str = "in_%03d.png") -> str:
    """Gray pictures, each as light as its number says."""
    for number in numbers:
        Image.new("RGB", SIZE, (number * 10,) * 3).save(folder / (pattern % number))
    return str(folder / pattern)


def lightness(path: Path) -> list[int]:
    with bsqav.open(path) as container:
        planes = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    return [round(float(np.mean(plane)) / 10) for plane in planes]


def test_all_pictures_at_the_rate_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "100% %d"  # percent signs that are no place for a number
    folder.mkdir()
    pattern = write_pictures(folder, range(7, 14))
    said: list[str] = []
    bsqav.transcode(pattern, tmp_path / "o.mkv", fps=Fraction(24000, 1001), crf=8, warn=said.append)
    with Demuxer(tmp_path / "o.mkv") as demuxer:
        (track,) = demuxer.tracks
        assert track.frame_rate == Fraction(24000, 1001)
    assert lightness(tmp_path / "o.mkv") == list(range(7, 14))
    assert not any("missing" in text for text in said)


def test_a_gap_is_reported_and_ends_the_video(tmp_path: Path) -> None:
    pattern = write_pictures(tmp_path, [*range(1, 6), *range(8, 12)])
    said: list[str] = []
    result = bsqav.transcode(pattern, tmp_path / "o.mkv", warn=said.append)
    assert result.frames_out == 5
    (gap,) = [text for text in said if "missing" in text]
    assert "in_006.png is missing: the 4 images after it" in gap
    assert "--start-number 8" in gap
    said.clear()
    result = bsqav.transcode(
        pattern, tmp_path / "o.mkv", start_number=8, crf=8, overwrite=True, warn=said.append
    )
    assert result.frames_out == 4
    assert lightness(tmp_path / "o.mkv") == [8, 9, 10, 11]
    assert not any("missing" in text for text in said)


def test_wrong_sequences(tmp_path: Path) -> None:
    pattern = write_pictures(tmp_path, [3, 4])
    with pytest.raises(UsageError, match="from 3 to 4"):
        bsqav.transcode(pattern, tmp_path / "o.mkv", start_number=1)
    with pytest.raises(InputNotFoundError, match=r"no_0001\.png"):
        bsqav.transcode(tmp_path / "no_%04d.png", tmp_path / "o.mkv")
    with pytest.raises(UsageError, match="numbered images"):
        bsqav.transcode(tmp_path / "in_003.png", tmp_path / "o.mkv", start_number=3)
    assert not (tmp_path / "o.mkv.partial").exists()


def animation(holes: Sequence[bool]) -> list[Image.Image]:
    """Frames with a transparent corner, or without one."""
    frames = []
    for number, hole in enumerate(holes):
        frame = Image.new("RGBA", SIZE, (40 * number, 100, 200, 255))
        if hole:
            frame.paste((0, 0, 0, 0), (0, 0, 16, 16))
        frames.append(frame)
    return frames


@pytest.mark.parametrize(
    ("holes", "pixel_format", "lost"),
    [
        ([False] * 4, "yuv420p", False),
        ([True] * 4, "yuva420p", False),
        ([True, False, True, False], "yuva420p", False),
        ([False, True, True, True], "yuv420p", True),
    ],
)
def test_alpha_of_a_gif_is_taken_where_something_shows_through(
    holes: list[bool], pixel_format: str, lost: bool, tmp_path: Path
) -> None:
    first, *others = animation(holes)
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=100, disposal=2)
    said: list[str] = []
    bsqav.transcode(tmp_path / "a.gif", tmp_path / "o.mkv", warn=said.append)
    with bsqav.open(tmp_path / "o.mkv") as container:
        frames = [frame.format.name for frame in container.decode(video=0)]
    assert frames == [pixel_format] * len(holes)
    assert any("alpha channel" in text and "left out" in text for text in said) is lost


@pytest.fixture
def coded(tmp_path: Path) -> Path:
    pattern = write_pictures(tmp_path, range(1, 8))
    bsqav.transcode(pattern, tmp_path / "coded.mkv", crf=8, warn=lambda _: None)
    return tmp_path / "coded.mkv"


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("o.mpg", "mpeg2video"),
        ("o.264", "h264"),
        ("o.h264", "h264"),
        ("o.265", "hevc"),
        ("o.m2v", "mpeg2video"),
        ("o.gif", "gif"),
    ],
)
def test_outputs_by_their_suffix(name: str, codec: str, coded: Path, tmp_path: Path) -> None:
    bsqav.transcode(coded, tmp_path / name, warn=lambda _: None)
    with av.open(str(tmp_path / name)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.codec.canonical_name == codec
        grays = [frame.to_ndarray(format="gray") for frame in container.decode(stream)]
    assert [round(float(np.mean(gray)) / 10) for gray in grays] == list(range(1, 8))


def test_narrow_pictures_are_kept_from_x265(coded: Path, tmp_path: Path) -> None:
    """It corrupts the heap there, and the program would be aborted."""
    for encoder in ("libx265", "hevc"):
        with pytest.raises(UnsupportedError, match="narrower than 64"):
            bsqav.transcode(coded, tmp_path / "o.mp4", codec=encoder, scale=(48, 32))
    assert not (tmp_path / "o.mp4.partial").exists()


def test_webp_as_one_animation_and_as_pictures(coded: Path, tmp_path: Path) -> None:
    bsqav.transcode(coded, tmp_path / "o.webp", warn=lambda _: None)
    with Image.open(tmp_path / "o.webp") as picture:
        assert getattr(picture, "n_frames", 1) == 7
        picture.seek(4)
        assert abs(np.asarray(picture.convert("L")).mean() - 50) < 6
    bsqav.transcode(coded, tmp_path / "p_%02d.webp", warn=lambda _: None)
    with Image.open(tmp_path / "p_07.webp") as picture:
        assert abs(np.asarray(picture.convert("L")).mean() - 70) < 6
