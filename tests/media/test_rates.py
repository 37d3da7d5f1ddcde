"""A constant rate is found in every container, and stated where a clock counts frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

import bsqav
from bsqav.cli.main import main
from bsqav.media.metadata.stream_info import even_rate, usual_rate
from bsqav.media.transcode.events import SourceFrame
from bsqav.media.transcode.source import Source, SourceOptions
from tests.media.clips import ClipSpec, make_clip, pictures
from tests.media_data import PROGRAM_STREAM
from tests.support import run_tool

NTSC = Fraction(30000, 1001)
# Name of the file, FFmpeg's names of the container and of the encoder.
INPUTS = [
    ("a.y4m", "yuv4mpegpipe", "wrapped_avframe"),
    ("a.avi", "avi", "mpeg4"),
    ("a.h264", "h264", "libx264"),
    ("a.hevc", "hevc", "libx265"),
    ("a.m2v", "mpeg2video", "mpeg2video"),
    ("a.m1v", "mpeg1video", "mpeg1video"),
    ("a.m4v", "m4v", "mpeg4"),
    ("a.ivf", "ivf", "libvpx"),
    ("a.ogv", "ogg", "libvpx"),
    ("a.mpg", "mpeg", "mpeg1video"),
    ("a.vob", "vob", "mpeg2video"),
    ("a.ts", "mpegts", "libx264"),
    ("a.mkv", "matroska", "libx264"),
    ("a.flv", "flv", "libx264"),
    ("a.nut", "nut", "ffv1"),
]
# Name of the output, the encoder, and whether its clock counts frames.
OUTPUTS = [
    ("a.y4m", None),
    ("a.avi", None),
    ("a.avi", "mpeg4"),
    ("a.avi", "ffv1"),
    ("a.ogv", None),
    ("a.h264", None),
    ("a.mxf", "mpeg2video"),
    ("a.vob", "mpeg2video"),
    ("a.ts", None),
    ("a.mp4", None),
]


def write(path: Path, form: str, encoder: str, rate: Fraction, count: int = 40) -> Path:
    """A clip of one track as its container's own tools would write it."""
    with av.open(str(path), "w", format=form) as container:
        video: Any = container.add_stream(encoder, rate=rate)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        if encoder == "libx265":
            video.options = {"x265-params": "log-level=error", "preset": "ultrafast"}
        for number, frame in enumerate(pictures(ClipSpec(frames=count, rate=rate))):
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def read(path: Path) -> tuple[Source, list[Fraction]]:
    """The source, closed, and the times of its frames in seconds."""
    source = Source(path, warn=lambda said: pytest.fail(said))
    frames = [event for event in source.events() if isinstance(event, SourceFrame)]
    times = [frame.pts * source.time_base for frame in frames]
    source.close()
    return source, times


@pytest.mark.parametrize("rate", [Fraction(25), NTSC])
@pytest.mark.parametrize(("name", "form", "encoder"), INPUTS)
def test_a_constant_rate_is_found(
    tmp_path: Path, name: str, form: str, encoder: str, rate: Fraction
) -> None:
    source, times = read(write(tmp_path / name, form, encoder, rate))
    assert source.info.frame_rate == rate
    assert len(times) == 40
    # A program stream has times for some frames only, and FFmpeg may be one out between them.
    near = 1 / rate if form in ("mpeg", "vob") else source.time_base
    assert all(abs(time - times[0] - n / rate) <= near for n, time in enumerate(times))


def test_program_streams_with_fields_for_a_clock(data_dir: Path) -> None:
    """Their steps are 3600 of 90000 throughout; FFmpeg states 25 frames of 50 fields."""
    source = Source(data_dir / PROGRAM_STREAM, warn=lambda _: None)
    source.close()
    assert source.info.frame_rate == 25


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_a_variable_rate_stays_variable_and_exact(tmp_path: Path, name: str) -> None:
    times = [40 * n for n in range(20)] + [900, 903, 1000, 2000, 2040, 2500]
    make_clip(tmp_path / name, frames=len(times), times=times, audio=None)
    source, found = read(tmp_path / name)
    assert source.info.frame_rate is None
    assert source.info.usual_rate == 25
    assert [time - found[0] for time in found] == [Fraction(ms, 1000) for ms in times]


def test_even_times_and_those_that_are_not() -> None:
    tick = Fraction(1, 1000)
    rounded = [round(n * 1000 / NTSC) * tick for n in range(24)]
    assert even_rate(rounded, tick) == 30  # the clock is too coarse to tell
    assert even_rate(rounded, tick, [NTSC]) == NTSC
    assert even_rate([n * Fraction(7, 100) for n in range(9)], tick) == Fraction(100, 7)
    assert even_rate([*rounded[:20], rounded[-1] + Fraction(1, 10)], tick) is None
    assert even_rate(rounded[:5], tick) is None
    assert even_rate([Fraction(0)] * 20, tick) is None

    class Stream:
        base_rate, guessed_rate, average_rate = Fraction(1000), Fraction(20), Fraction(1000)

    stream: Any = Stream()
    assert usual_rate(stream) == 20  # a clock of milliseconds is no rate
    assert usual_rate(stream, [Fraction(n, 24) for n in range(9)]) == 24


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory, model_file: Path) -> Path:
    """A BSQ file whose clock has 12800 ticks a second."""
    folder = tmp_path_factory.mktemp("coded")
    clip = make_clip(folder / "a.mp4", frames=20, audio=None)
    bsqav.transcode(clip, folder / "a.mkv", crf=50, preset="fast", model=model_file)
    return folder / "a.mkv"


@pytest.mark.parametrize(("name", "encoder"), OUTPUTS)
def test_a_constant_rate_is_stated(
    tmp_path: Path, coded: Path, name: str, encoder: str | None
) -> None:
    result = bsqav.transcode(coded, tmp_path / name, codec=encoder)
    assert result.warnings == ()
    with av.open(str(tmp_path / name)) as container:
        stream = container.streams.video[0]
        rates = {stream.average_rate, stream.base_rate, stream.guessed_rate}
        assert 25 in rates
        assert max(rate for rate in rates if rate) <= 50  # fields, of H.264 without a container
        assert len([p for p in container.demux(stream) if p.size]) == 20
    assert read(tmp_path / name)[0].info.frame_rate == 25


@pytest.mark.host
@pytest.mark.parametrize(("name", "encoder"), OUTPUTS)
def test_ffprobe_finds_it(tmp_path: Path, coded: Path, name: str, encoder: str | None) -> None:
    bsqav.transcode(coded, tmp_path / name, codec=encoder)
    entries = "stream=r_frame_rate,nb_read_packets"
    said = run_tool(
        *("ffprobe", "-v", "error", "-count_packets", "-show_entries", entries),
        *("-of", "default=nokey=1:noprint_wrappers=1", tmp_path / name),
    )
    assert said.split()[:2] == ["25/1", "20"]


def test_h264_in_mp4_does_not_take_ticks_for_frames(tmp_path: Path, coded: Path) -> None:
    bsqav.transcode(coded, tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        with av.open(str(tmp_path / "a.h264"), "w") as out:
            copy = out.add_stream_from_template(stream)
            for packet in container.demux(stream):
                if packet.size:
                    packet.stream = copy
                    out.mux(packet)
    assert read(tmp_path / "a.h264")[0].info.frame_rate == 25


def test_a_variable_rate_in_avi_is_rounded_with_a_warning(tmp_path: Path, model_file: Path) -> None:
    times = [0, 33, 67, 100, 133, 500, 533, 567, 600, 700, 1510, 3000]
    clip = make_clip(tmp_path / "in.mkv", frames=len(times), times=times, audio=None)
    bsqav.transcode(clip, tmp_path / "a.mkv", crf=50, preset="fast", model=model_file)
    result = bsqav.transcode(tmp_path / "a.mkv", tmp_path / "a.avi", warn=lambda _: None)
    (said,) = result.warnings
    assert said == (
        "avi has a constant rate, 30 frames a second: 1 frames were moved, by up to 0.010 s"
    )
    source, found = read(tmp_path / "a.avi")
    assert source.info.frame_rate == 30
    assert all(abs(f - t / 1000) < 0.02 for f, t in zip(found, times, strict=True))


def test_avi_with_frames_out_of_order(tmp_path: Path) -> None:
    """It stores times of decoding alone, of which FFmpeg makes times that do not rise."""
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.options = {"bf": "3"}
        for number, frame in enumerate(pictures(ClipSpec(frames=30))):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    _, times = read(path)
    assert times == [Fraction(n, 25) for n in range(30)]


def test_a_longer_frame_is_reported_where_there_are_no_timestamps(
    tmp_path: Path, model_file: Path
) -> None:
    times = [0, 40, 80, 120, 160, 200, 240, 280, 320, 360, 600, 640]
    clip = make_clip(tmp_path / "in.mkv", frames=len(times), times=times, audio=None)
    bsqav.transcode(clip, tmp_path / "a.mkv", crf=50, preset="fast", model=model_file)
    result = bsqav.transcode(tmp_path / "a.mkv", tmp_path / "a.h264", warn=lambda _: None)
    (said,) = result.warnings
    assert said.endswith("no times: 1 frames that last longer are shown as long as the others")


def test_a_rate_that_mpeg_has_not_becomes_one_that_it_has(tmp_path: Path, model_file: Path) -> None:
    rate = Fraction(25, 2)
    clip = make_clip(tmp_path / "in.mp4", frames=10, rate=rate, audio=None)
    bsqav.transcode(clip, tmp_path / "a.mkv", crf=50, preset="fast", model=model_file)
    result = bsqav.transcode(tmp_path / "a.mkv", tmp_path / "a.ts", codec="mpeg2video")
    assert result.warnings == ()
    _, times = read(tmp_path / "a.ts")
    assert [time - times[0] for time in times] == [n / rate for n in range(10)]


def test_a_start_in_a_bare_stream_counts_frames(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h264", "h264", "libx264", Fraction(25))
    source = Source(path, SourceOptions(start=Fraction(1)), warn=lambda said: pytest.fail(said))
    frames = [event for event in source.events() if isinstance(event, SourceFrame)]
    source.close()
    assert len(frames) == 15


def test_frames_that_a_camera_dropped_are_no_damage(tmp_path: Path, model_file: Path) -> None:
    """At a constant rate the frame before says that it lasts longer, also before a keyframe."""
    times = [40 * n for n in range(30) if n not in (5, 10, 11, 20)]
    clip = make_clip(tmp_path / "in.mkv", frames=len(times), times=times, audio=None)
    settings: dict[str, Any] = {"crf": 50, "preset": "fast", "model": model_file}
    for gop in (5, 9, 10):
        path = tmp_path / f"{gop}.mkv"
        bsqav.transcode(clip, path, gop=gop, **settings)
        assert main(["verify", str(path), "--quiet"]) == 0
        copied = bsqav.transcode(path, tmp_path / "b.mkv", codec="copy", overwrite=True)
        assert copied.warnings == ()
