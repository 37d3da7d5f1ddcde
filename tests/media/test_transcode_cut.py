"""`start`, `duration` and `scale`: exact to the frame, from files and from pipes."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import pytest

import bsqav
from tests.media.clips import frame_times, make_clip, packets, plane_hash

RATE = 25


class Pipe:
    """A readable file that cannot seek."""

    name = "a pipe"

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lossless, keyframes every 10 frames with B-frames between, sound beside it."""
    path = tmp_path_factory.mktemp("clips") / "numbered.mkv"
    return make_clip(path, frames=60, gop=10)


def decoded(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [plane_hash([frame]) for frame in container.decode(video=0)]


def cut(source: Any, target: Path, **options: Any) -> bsqav.TranscodeResult:
    return bsqav.transcode(source, target, codec="ffv1", audio="copy", **options)


@pytest.mark.parametrize(("first", "count"), [(0, 7), (1, 3), (9, 2), (10, 1), (37, 23), (59, 1)])
def test_cuts_are_exact_to_the_frame(
    tmp_path: Path, numbered: Path, first: int, count: int
) -> None:
    result = cut(
        numbered, tmp_path / "cut.mkv", start=Fraction(first, RATE), duration=Fraction(count, RATE)
    )
    assert result.frames_out == count
    assert decoded(tmp_path / "cut.mkv") == decoded(numbered)[first : first + count]
    assert frame_times(tmp_path / "cut.mkv") == [Fraction(n, RATE) for n in range(count)]


def test_cuts_of_bsq_are_exact_to_the_frame(tmp_path: Path, numbered: Path) -> None:
    bsqav.transcode(numbered, tmp_path / "all.mkv", gop=12)
    cut(tmp_path / "all.mkv", tmp_path / "whole.mkv")
    cut(tmp_path / "all.mkv", tmp_path / "part.mkv", start="0.68", duration=0.4)
    assert decoded(tmp_path / "part.mkv") == decoded(tmp_path / "whole.mkv")[17:27]


@pytest.mark.parametrize("suffix", ["mkv", "mov", "nut"])
def test_sound_before_zero_does_not_move_a_cut(tmp_path: Path, suffix: str) -> None:
    clip = make_clip(tmp_path / "in.mp4", frames=30)
    coded = tmp_path / f"all.{suffix}"
    bsqav.transcode(clip, coded)
    bsqav.transcode(coded, tmp_path / "whole.mkv", codec="ffv1", audio="none")
    bsqav.transcode(coded, tmp_path / "part.mkv", codec="ffv1", audio="none", start="0.48")
    assert decoded(tmp_path / "part.mkv") == decoded(tmp_path / "whole.mkv")[12:]
    with bsqav.open(coded) as container:
        assert container.streams.video[0].start_time == 0


def test_a_pipe_is_read_up_to_the_start(tmp_path: Path, numbered: Path) -> None:
    with numbered.open("rb") as file:
        cut(Pipe(file), tmp_path / "cut.mkv", start=0.8, duration=0.2)
    assert decoded(tmp_path / "cut.mkv") == decoded(numbered)[20:25]


def test_sound_is_cut_with_the_picture(tmp_path: Path, numbered: Path) -> None:
    cut(numbered, tmp_path / "cut.mkv", start=1, duration=0.6)
    sound = packets(tmp_path / "cut.mkv", "audio")
    whole = packets(numbered, "audio")
    kept = [data for time, data in whole if 1 <= time < Fraction(16, 10)]
    assert [data for _, data in sound] == kept
    assert abs(float(sound[0][0])) < 0.03


def test_joined_transport_streams_go_on_in_time(tmp_path: Path) -> None:
    one = make_clip(tmp_path / "one.ts", frames=25)
    (tmp_path / "two.ts").write_bytes(2 * one.read_bytes())
    with pytest.warns(bsqav.BsqWarning, match="jump"):
        result = bsqav.transcode(tmp_path / "two.ts", tmp_path / "out.mkv", codec="ffv1")
    assert result.frames_out == 50
    times = [float(time) for time in frame_times(tmp_path / "out.mkv")]
    assert times[49] - times[25] == pytest.approx(24 / RATE, abs=0.002)
    assert 0.03 < times[25] - times[24] < 0.1
    sound = [float(time) for time, _ in packets(tmp_path / "out.mkv", "audio")]
    assert all(0.02 < after - before < 0.03 for before, after in itertools.pairwise(sound))


def test_a_start_behind_the_end_is_refused(tmp_path: Path, numbered: Path) -> None:
    with pytest.raises(bsqav.UsageError, match=r"after the last frame .* 2\.360 s"):
        cut(numbered, tmp_path / "cut.mkv", start=10)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("scale", "size"), [((32, 24), (32, 24)), ((-1, 24), (32, 24)), ((96, -1), (96, 72))]
)
def test_scale(
    tmp_path: Path, numbered: Path, scale: tuple[int, int], size: tuple[int, int]
) -> None:
    result = bsqav.transcode(numbered, tmp_path / "out.mkv", scale=scale, duration=0.2)
    assert result.frames_out == 5
    bsqav.transcode(tmp_path / "out.mkv", tmp_path / "back.mkv", codec="ffv1")
    with av.open(str(tmp_path / "back.mkv")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == size


@pytest.mark.parametrize(
    "options",
    [
        {"start": -1},
        {"duration": 0},
        {"duration": "soon"},
        {"scale": (0, 10)},
        {"scale": (-1, -1)},
        {"threads": 65},
        {"gop": 0},
        {"crf": 20, "bitrate": 1000},
        {"bitrate": 0},
        {"bitrate": 1000, "vbv_buffer": 0.01},
        {"vbv_buffer": 2.0},
        {"two_pass": True},
        {"two_pass": True, "crf": 30},
        {"two_pass": True, "bitrate": 1000, "codec": "libx264"},
        {"crf": 64},
        {"preset": "quickest"},
    ],
)
def test_arguments_out_of_range(tmp_path: Path, numbered: Path, options: dict[str, Any]) -> None:
    with pytest.raises(bsqav.UsageError):
        bsqav.transcode(numbered, tmp_path / "out.mkv", **options)
    assert not list(tmp_path.iterdir())
