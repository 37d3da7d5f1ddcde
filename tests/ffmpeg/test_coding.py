"""The BSQ encoder and decoder inside ffmpeg: same pictures as bsqav, times, options, errors."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from bsqav.media.inspect.verification import verify
from bsqav.media.transcode.api import transcode
from tests.ffmpeg.program import PASS, FFmpeg
from tests.media.clips import make_clip, packets

pytestmark = pytest.mark.host

SOURCE = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.8")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """25 pictures of 64x48 in H.264, with sound."""
    return make_clip(tmp_path / "in.mp4")


def test_to_bsq_and_back(ffmpeg: FFmpeg, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    ffmpeg("-i", clip, "-c:v", "libbsq", "-c:a", "copy", *PASS, out)
    checked = verify(out)
    assert (checked.frames, checked.pixel_format) == (25, "yuv420p")
    assert ffmpeg.hash("-i", out) == checked.hash
    stream = ffmpeg.video(out)
    assert (stream["codec_name"], stream["codec_tag_string"]) == ("bsq", "BSQ1")
    assert "Binary Spherical" in stream["codec_long_name"]
    found = ffmpeg.packets(out)
    assert [packet["pts"] for packet in found] == [packet["dts"] for packet in found]
    assert ["K" in packet["flags"] for packet in found].count(True) == checked.keyframes
    assert [data for _, data in packets(out, "audio")] == [d for _, d in packets(clip, "audio")]
    ffmpeg("-i", out, "-c:v", "libx264", *PASS, "-c:a", "copy", "back.mp4")
    ffmpeg("-i", out, *PASS, "back.y4m")
    assert ffmpeg.video("back.mp4")["codec_name"] == "h264"
    for name in ("back.mp4", "back.y4m"):
        with av.open(str(tmp_path / name)) as container:
            assert sum(1 for _ in container.decode(video=0)) == 25


@pytest.mark.parametrize("lookahead", [0, 24])
def test_the_same_stream_as_bsqav(
    ffmpeg: FFmpeg, clip: Path, tmp_path: Path, lookahead: int
) -> None:
    ffmpeg(
        *("-i", clip, "-an", "-c:v", "libbsq", "-crf", "27", "-lookahead", str(lookahead)),
        *("-tune", "perceptual"),
        *(*PASS, "-g", "10", "-preset", "fast", "out.mkv"),
    )
    own = tmp_path / "own.mkv"
    transcode(clip, own, crf=27, gop=10, lookahead=lookahead, preset="fast", tune="perceptual")
    assert verify(tmp_path / "out.mkv").hash == verify(tmp_path / "own.mkv").hash


@pytest.mark.parametrize(
    ("pixel_format", "decoded"),
    [
        ("yuv420p", "yuv420p"),
        ("yuvj420p", "yuv420p"),
        ("yuv420p10le", "yuv420p10le"),
        ("yuv422p", "yuv422p"),
        ("yuvj444p", "yuv444p"),
        ("yuv444p10le", "yuv444p10le"),
        ("yuva420p", "yuva420p"),
        ("yuva444p10le", "yuva444p10le"),
        ("gray", "gray"),
        ("gray10le", "gray10le"),
    ],
)
def test_pixel_formats_at_an_odd_size(
    ffmpeg: FFmpeg, tmp_path: Path, pixel_format: str, decoded: str
) -> None:
    ffmpeg(
        *(*SOURCE, "-frames:v", "5", "-vf", "scale=55:41,vflip", "-pix_fmt", pixel_format),
        *("-c:v", "libbsq", "out.mkv"),
    )
    checked = verify(tmp_path / "out.mkv")
    assert (checked.width, checked.height, checked.pixel_format) == (55, 41, decoded)
    assert ffmpeg.hash("-i", "out.mkv") == checked.hash


@pytest.mark.parametrize("suffix", ["mkv", "mov", "nut"])
def test_files_of_bsqav_decode(ffmpeg: FFmpeg, clip: Path, tmp_path: Path, suffix: str) -> None:
    own = tmp_path / f"own.{suffix}"
    transcode(clip, own)
    assert ffmpeg.hash("-i", own) == verify(own).hash
    assert ffmpeg.video(own)["codec_name"] == "bsq"


def test_the_stream_carries_colour_aspect_and_rotation(ffmpeg: FFmpeg, tmp_path: Path) -> None:
    """NUT keeps none of them: what is read comes from the sequence header."""
    ffmpeg(
        *(*SOURCE, "-frames:v", "3", "-c:v", "libbsq", "-rotation", "90", "-vf"),
        "setsar=4/3,setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"
        ":range=tv",
        *("-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc"),
        *("-color_range", "tv", "out.nut"),
    )
    stream = ffmpeg.video("out.nut")
    assert (stream["color_primaries"], stream["color_transfer"], stream["color_space"]) == (
        *("bt2020", "smpte2084", "bt2020nc"),
    )
    assert stream["color_range"] == "tv"
    frame = ffmpeg.probe("out.nut", "-show_frames")["frames"][0]
    assert frame["sample_aspect_ratio"] == "4:3"
    assert [data["rotation"] for data in frame["side_data_list"] if "rotation" in data] == [-90]
    assert (frame["pict_type"], frame["key_frame"]) == ("I", 1)


def test_variable_rates_keep_their_times(ffmpeg: FFmpeg, tmp_path: Path) -> None:
    times = [0, 40, 45, 300, 301, 900, 1000]
    clip = make_clip(tmp_path / "in.mkv", frames=7, times=times, audio=None)
    ffmpeg("-i", clip, "-c:v", "libbsq", *PASS, "-enc_time_base", "1:1000", "out.mkv")
    assert ffmpeg.times("out.mkv") == [Fraction(time, 1000) for time in times]
    assert ffmpeg.hash("-i", "out.mkv") == verify(tmp_path / "out.mkv").hash


def test_keyframes_where_they_are_asked_for(ffmpeg: FFmpeg) -> None:
    def keyframes(*options: str) -> list[int]:
        ffmpeg(*SOURCE, "-c:v", "libbsq", "-scene_cut", "0", *options, "out.mkv")
        found = ffmpeg.packets("out.mkv")
        return [number for number, packet in enumerate(found) if "K" in packet["flags"]]

    assert keyframes("-g", "7") == [0, 7, 14]
    assert keyframes("-force_key_frames", "0.2,0.48") == [0, 5, 12]
    assert keyframes("-g", "0", "-frames:v", "3") == [0, 1, 2]
    assert keyframes("-flags", "low_delay") == [0]


def test_two_passes_at_a_bit_rate(ffmpeg: FFmpeg, tmp_path: Path) -> None:
    rate = ("-c:v", "libbsq", "-b:v", "60k", "-bufsize", "90k", "-passlogfile", "log")
    ffmpeg(*SOURCE, *rate, "-pass", "1", "-f", "null", "-")
    (log,) = tmp_path.glob("log*")
    assert len(log.read_text().splitlines()) == 20
    ffmpeg(*SOURCE, *rate, "-pass", "2", "out.mkv")
    assert verify(tmp_path / "out.mkv").frames == 20
    log.write_text("what another encoder wrote\n")
    assert "not of this encoder" in ffmpeg(*SOURCE, *rate, "-pass", "2", "out.mkv", fails=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-crf", "64"], "crf"),
        (["-crf", "30", "-b:v", "100k"], "exclude each other"),
        (["-crf", "20", "-maxrate", "5M", "-bufsize", "100k"], "is 0.02 seconds of 5000000 b/s"),
        (["-pass", "1"], "bit rate"),
        (["-model", "nonesuch"], "nonesuch is not installed: looked in"),
        (["-model", "no/such.bsqm"], "there is no model file no/such.bsqm"),
        (["-rotation", "45"], "rotation"),
        (["-preset", "warp"], "there is no preset warp: fast, medium and slow"),
        (["-preset", "10"], "there is no preset 10"),
        (["-s", "9000x16"], "width"),
    ],
)
def test_options_that_cannot_be(ffmpeg: FFmpeg, options: list[str], message: str) -> None:
    said = ffmpeg(*SOURCE, "-c:v", "libbsq", *options, "-frames:v", "1", "out.mkv", fails=True)
    assert message in said


def test_interlaced_input_is_mentioned(ffmpeg: FFmpeg) -> None:
    interlaced = ("-vf", "setfield=tff", "-c:v", "libbsq", "out.mkv")
    assert "deinterlace" in ffmpeg.warnings(*SOURCE, *interlaced)
    assert ffmpeg.warnings(*SOURCE, "-c:v", "libbsq", "out.mkv") == ""
