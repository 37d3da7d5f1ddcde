"""Options of ffmpeg's users: what x264 takes is taken, what has no effect is named."""

from __future__ import annotations

import os
import re
from fractions import Fraction
from pathlib import Path

import av
import pytest

from bsqav._core import probe_packet
from tests.ffmpeg.program import FFmpeg
from tests.media.clips import packets
from tests.support import ROOT, run

pytestmark = pytest.mark.host

SOURCE = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=2")
# By the networks alone: the source is drawn, and most options are theirs.
NETWORKS = ("-c:v", "libbsq", "-screen_content", "0")
README = ROOT / "integrations" / "ffmpeg" / "README.md"


def coded(ffmpeg: FFmpeg, *options: str) -> str:
    """The conformance hash of a few pictures with these options."""
    ffmpeg(*SOURCE, "-frames:v", "6", *NETWORKS, *options, "out.mkv")
    return ffmpeg.hash("-i", "out.mkv")


def lowest_fullness(ffmpeg: FFmpeg, file: str, rate: float, buffer: float) -> float:
    """Of a receiver's buffer of so many bits, nine tenths full at the start, filled at `rate`."""
    fullness = lowest = 0.9 * buffer
    last: Fraction | None = None
    for packet in ffmpeg.packets(file):
        now = Fraction(packet["pts_time"])
        if last is not None:
            fullness = min(buffer, fullness + rate * float(now - last))
        last = now
        fullness -= 8 * int(packet["size"])
        lowest = min(lowest, fullness)
    return lowest


def test_a_capped_crf(ffmpeg: FFmpeg) -> None:
    """-crf with -maxrate and -bufsize: the buffer is never empty; a high cap changes nothing."""
    ffmpeg(*SOURCE, *NETWORKS, "-crf", "12", "free.mkv")
    free = sum(8 * int(packet["size"]) for packet in ffmpeg.packets("free.mkv")) / 2
    ffmpeg(*SOURCE, *NETWORKS, "-crf", "12", "-maxrate", str(round(20 * free)), "high.mkv")
    assert ffmpeg.hash("-i", "high.mkv") == ffmpeg.hash("-i", "free.mkv")
    for name, quality in (("crf", ("-crf", "12")), ("alone", ())):
        cap = round(0.4 * free)
        rate = ("-maxrate", str(cap), "-bufsize", str(cap // 2), *quality)
        said = ffmpeg.warnings(*SOURCE, *NETWORKS, *rate, f"{name}.mkv")
        assert said == ""
        assert lowest_fullness(ffmpeg, f"{name}.mkv", cap, cap / 2) >= 0
    assert ffmpeg.hash("-i", "crf.mkv") != ffmpeg.hash("-i", "free.mkv")


def test_a_bit_rate_with_maxrate(ffmpeg: FFmpeg) -> None:
    rate = ("-c:v", "libbsq", "-b:v", "40k", "-maxrate", "80k", "-bufsize", "60k")
    assert ffmpeg.warnings(*SOURCE, *rate, "out.mkv") == ""
    assert lowest_fullness(ffmpeg, "out.mkv", 80_000, 60_000) >= 0
    lower = ("-c:v", "libbsq", "-b:v", "80k", "-maxrate", "40k")
    said = ffmpeg.warnings(*SOURCE, *lower, "out.mkv")
    assert "-maxrate is below -b:v: the bit rate is 40000 b/s" in said


def test_presets_of_x264(ffmpeg: FFmpeg) -> None:
    """Names and numbers are coded as fast, medium or slow, and that is said."""
    names = [
        *("ultrafast", "superfast", "veryfast", "faster", "fast"),
        *("medium", "slow", "slower", "veryslow", "placebo"),
    ]
    own = {name: coded(ffmpeg, "-preset", name) for name in ("fast", "medium", "slow")}
    assert len(set(own.values())) == 3
    for number, name in enumerate(names):
        expected = "fast" if number < 5 else "medium" if number == 5 else "slow"
        for preset in (name, str(number)):
            assert coded(ffmpeg, "-preset", preset) == own[expected]
    options = ("-v", "info", *SOURCE, "-frames:v", "1", "-c:v", "libbsq", "-preset", "veryslow")
    assert "preset veryslow is coded as slow" in ffmpeg.warnings(*options, "out.mkv")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (("-rc-lookahead", "3"), ("-lookahead", "3")),
        (("-tune", "zerolatency"), ("-lookahead", "0")),
        (("-tune", "ssim"), ("-tune", "perceptual")),
        (("-tune", "film,zerolatency,psnr"), ("-tune", "psnr", "-lookahead", "0")),
        (("-qp", "20"), ("-crf", "20")),
    ],
)
def test_the_same_by_another_name(
    ffmpeg: FFmpeg, theirs: tuple[str, ...], ours: tuple[str, ...]
) -> None:
    assert coded(ffmpeg, *theirs) == coded(ffmpeg, *ours) != coded(ffmpeg)


def test_b_frames(ffmpeg: FFmpeg, tmp_path: Path) -> None:
    """-bf is the setting bframes, 7 without it; packets stay in the order of their times."""
    ffmpeg(*SOURCE, "-c:v", "libbsq", "out.mkv")
    own = ffmpeg.hash("-i", "out.mkv")
    for count, same in (("7", True), ("3", False), ("0", False)):
        ffmpeg(*SOURCE, "-c:v", "libbsq", "-bf", count, "out.mkv")
        assert (ffmpeg.hash("-i", "out.mkv") == own) is same
        found = ffmpeg.packets("out.mkv")
        assert [packet["pts"] for packet in found] == [packet["dts"] for packet in found]
        frames = {
            probe_packet(data)["frames"] for _, data in packets(tmp_path / "out.mkv", "video")
        }
        assert frames == {"7": {0, 1, 2, 4}, "3": {0, 1, 3}, "0": {1}}[count]
    ffmpeg(*SOURCE, "-c:v", "libbsq", "out.mov")
    with av.open(str(tmp_path / "out.mov")) as container:
        said = [packet.is_disposable for packet in container.demux(video=0) if packet.size]
    infos = [probe_packet(data) for _, data in packets(tmp_path / "out.mov", "video")]
    assert said == [info["frames"] > 0 and info["held_frames"] == 0 for info in infos]
    assert any(said)
    ffmpeg(*SOURCE, "-c:v", "libbsq", "-maxrate", "50M", "out.mkv")
    assert ffmpeg.hash("-i", "out.mkv") == own
    assert "bframes" in ffmpeg(*SOURCE, "-c:v", "libbsq", "-bf", "16", "out.mkv", fails=True)


def test_the_temporal_filter(ffmpeg: FFmpeg) -> None:
    """-temporal_filter is on without it, and off without a lookahead."""

    def shown(*options: str) -> str:
        ffmpeg(*SOURCE, *NETWORKS, *options, "out.mkv")
        return ffmpeg.hash("-i", "out.mkv")

    own = shown()
    assert shown("-temporal_filter", "1") == own
    assert shown("-temporal_filter", "0") != own
    without = shown("-lookahead", "0")
    assert shown("-lookahead", "0", "-temporal_filter", "0") == without


def test_screen_content(ffmpeg: FFmpeg) -> None:
    """-screen_content is on without it; off leaves what is drawn to the networks."""

    def shown(*options: str) -> str:
        ffmpeg(*SOURCE, "-frames:v", "6", "-c:v", "libbsq", *options, "out.mkv")
        return ffmpeg.hash("-i", "out.mkv")

    assert shown("-screen_content", "1") == shown()
    assert shown("-screen_content", "0") != shown()


def test_scene_cuts(ffmpeg: FFmpeg) -> None:
    """-sc_threshold 0, and a -keyint_min of the whole group, leave them out."""
    graph = (
        "testsrc2=s=64x48:d=0.48,format=yuv420p[a];"
        "testsrc=s=64x48:d=0.48,format=yuv420p[b];[a][b]concat"
    )
    cut = ("-f", "lavfi", "-i", graph)

    def keyframes(*options: str) -> list[int]:
        ffmpeg(*cut, "-c:v", "libbsq", *options, "out.mkv")
        found = ffmpeg.packets("out.mkv")
        return [number for number, packet in enumerate(found) if "K" in packet["flags"]]

    assert keyframes() == [0, 12]
    assert keyframes("-sc_threshold", "0") == [0]
    assert keyframes("-sc_threshold", "40") == [0, 12]
    assert keyframes("-g", "20", "-keyint_min", "20") == [0, 20]


def test_what_has_no_effect_is_named(ffmpeg: FFmpeg) -> None:
    given = {
        "refs": "4",
        "q:v": "3",
        "keyint_min": "12",
        "profile:v": "high",
        "level": "4.1",
        "tune": "film",
        "qmin": "10",
        "qmax": "40",
        "bufsize": "100k",
        "trellis": "2",
        "compression_level": "5",
    }
    options = [part for name, value in given.items() for part in (f"-{name}", value)]
    said = ffmpeg.warnings(*SOURCE, "-frames:v", "2", "-c:v", "libbsq", *options, "out.mkv")
    for name in given:
        assert re.search(rf"-{name.removesuffix(':v')}\b.* is ignored", said), (name, said)
    assert ffmpeg.warnings(*SOURCE, "-frames:v", "2", "-c:v", "libbsq", "out.mkv") == ""


def test_the_examples_of_the_readme(ffmpeg: FFmpeg, tmp_path: Path) -> None:
    """The lines below the commands that build it, on a clip of 100 seconds with AC-3."""
    lines = re.findall(r"^    (ffmpeg .*)$", README.read_text(), re.M)
    assert len(lines) == 3
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=32x32:r=2:d=100", "-f", "lavfi", "-i", "sine=d=100"),
        *("-c:v", "libx264", "-c:a", "ac3", "in.mp4"),
    )
    path = f"{ffmpeg.programs}{os.pathsep}{os.environ['PATH']}"
    for line in lines:
        run("bash", "-c", f"cd '{tmp_path}' && {line} -v error -nostdin", PATH=path)
    streams = ffmpeg.probe("part.mkv", "-show_streams")["streams"]
    assert [stream["codec_name"] for stream in streams] == ["bsq", "ac3"]
    assert ffmpeg.video("back.mp4")["codec_name"] == "h264"


@pytest.mark.parametrize("suffix", ["mkv", "mov", "mp4", "nut", "avi"])
def test_no_codec_need_be_named(ffmpeg: FFmpeg, suffix: str) -> None:
    """The small build has what a container takes where nothing is said of the sound."""
    sound = ("-f", "lavfi", "-i", "sine=d=0.5")
    ffmpeg(*SOURCE, *sound, "-frames:v", "5", "-c:v", "libbsq", f"out.{suffix}")
    ffmpeg("-i", f"out.{suffix}", "-c:v", "libx264", "-f", "null", "-")
