"""BSQ in ffmpeg's containers: copying, cutting, segments, playlists, seeking, damage, players."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bsqav.media.demux.demuxer import Demuxer
from bsqav.media.inspect.verification import verify
from tests.ffmpeg.program import FFmpeg
from tests.media.clips import bsq_packets, make_clip
from tests.support import run

pytestmark = pytest.mark.host


@pytest.fixture
def coded(ffmpeg: FFmpeg, tmp_path: Path) -> Path:
    """50 pictures in BSQ, a keyframe every 10, with sound."""
    clip = make_clip(tmp_path / "in.mp4", frames=50)
    ffmpeg("-i", clip, "-c:v", "libbsq", "-g", "10", "-c:a", "copy", "coded.mkv")
    return tmp_path / "coded.mkv"


@pytest.mark.parametrize("suffix", ["mkv", "mov", "mp4", "nut", "avi"])
def test_copying(ffmpeg: FFmpeg, coded: Path, tmp_path: Path, suffix: str) -> None:
    copy = tmp_path / f"copy.{suffix}"
    ffmpeg("-i", coded, "-map", "0:v", "-c", "copy", copy)
    expected = verify(coded).hash
    assert ffmpeg.hash("-i", copy) == expected
    assert verify(copy).hash == expected
    stream = ffmpeg.video(copy)
    assert (stream["codec_name"], stream["codec_tag_string"]) == ("bsq", "BSQ1")
    assert stream["r_frame_rate"] == "25/1"


def test_segments_and_their_concatenation(ffmpeg: FFmpeg, coded: Path, tmp_path: Path) -> None:
    ffmpeg("-i", coded, "-c", "copy", "-f", "segment", "-segment_time", "0.4", "part%d.mkv")
    parts = sorted(tmp_path.glob("part*.mkv"))
    assert len(parts) == 5
    assert [verify(part).frames for part in parts] == [10] * 5
    (tmp_path / "list.txt").write_text("".join(f"file {part.name}\n" for part in parts))
    expected = verify(coded).hash
    assert ffmpeg.hash("-f", "concat", "-i", "list.txt") == expected
    ffmpeg("-f", "concat", "-i", "list.txt", "-c", "copy", "joined.mkv")
    assert verify(tmp_path / "joined.mkv").hash == expected


@pytest.mark.parametrize("flags", [(), ("-hls_flags", "single_file")])
def test_hls(ffmpeg: FFmpeg, coded: Path, tmp_path: Path, flags: tuple[str, ...]) -> None:
    folder = tmp_path / "hls"
    folder.mkdir()
    ffmpeg(
        *("-i", coded, "-c", "copy", "-f", "hls", "-hls_time", "0.4", "-hls_list_size", "0"),
        *("-hls_segment_type", "fmp4", *flags),
        folder / "list.m3u8",
    )
    expected = verify(coded).hash
    assert ffmpeg.hash("-i", folder / "list.m3u8") == expected
    assert verify(folder / "list.m3u8").hash == expected
    assert "EXT-X-MAP" in (folder / "list.m3u8").read_text()


def test_seeking(ffmpeg: FFmpeg, coded: Path) -> None:
    """-ss before -i starts decoding at a keyframe and gives the very picture of that time."""
    times = ffmpeg.times(coded)
    whole = ffmpeg.frames("-i", coded)
    for number in (0, 3, 10, 24, 39, 49):
        begin = f"{float(times[number]) - 0.01:.3f}" if number else "0"
        assert ffmpeg.frames("-ss", begin, "-i", coded, "-frames:v", "1") == [whole[number]]
    ffmpeg("-ss", "0.9", "-i", coded, "-an", "-c", "copy", "cut.mkv")
    assert ffmpeg.frames("-i", "cut.mkv") == whole[20:]


@pytest.mark.parametrize("suffix", ["mkv", "mov", "mp4", "nut", "avi", "m3u8"])
def test_a_stream_that_begins_between_keyframes(ffmpeg: FFmpeg, coded: Path, suffix: str) -> None:
    """Size and format are known from the private data; packets before a keyframe are counted."""
    name = f"cut.{suffix}"
    hls = ("-f", "hls", "-hls_segment_type", "fmp4") if suffix == "m3u8" else ()
    drop = ("-bsf:v", r"noise=drop=lt(n\,3)")
    ffmpeg("-i", coded, "-map", "0:v", "-c", "copy", *drop, *hls, name)
    stream = ffmpeg.video(name)
    assert (stream["width"], stream["height"], stream["pix_fmt"]) == (64, 48, "yuv420p")
    said = ffmpeg.warnings("-i", name, "-f", "null", "-")
    assert said.count("7 packets before the first keyframe show nothing") == 1
    assert ffmpeg.frames("-i", name) == ffmpeg.frames("-i", coded)[10:]


def test_a_stream_without_a_keyframe(ffmpeg: FFmpeg, coded: Path) -> None:
    ffmpeg("-i", coded, "-map", "0:v", "-c", "copy", "-bsf:v", "noise=drop=key", "none.mkv")
    assert ffmpeg.video("none.mkv")["pix_fmt"] == "yuv420p"
    said = ffmpeg.warnings("-i", "none.mkv", "-f", "null", "-")
    assert "45 packets without a keyframe before them show nothing" in said


def test_a_model_that_is_missing_is_named(
    ffmpeg: FFmpeg, coded: Path, model_file: Path, tmp_path: Path
) -> None:
    model = verify(coded).model
    expected = verify(coded).hash
    nowhere = {"BSQAV_MODEL": "", "BSQAV_MODEL_PATH": "", "XDG_DATA_HOME": str(tmp_path / "none")}
    said = ffmpeg("-xerror", "-i", coded, "-f", "null", "-", fails=True, environment=nowhere)
    assert f"model {model} is not installed: looked in {tmp_path / 'none'}" in said
    # Neither copying nor ffprobe needs it.
    ffmpeg("-i", coded, "-map", "0:v", "-c", "copy", "copy.mkv", environment=nowhere)
    assert verify(tmp_path / "copy.mkv").hash == expected
    printed = ffmpeg(
        *("-model", model_file, "-i", coded, "-map", "0:v", "-f", "hash", "-"), environment=nowhere
    )
    assert printed.strip() == f"SHA256={expected}"


def test_the_installed_model_is_the_default(ffmpeg: FFmpeg, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", frames=3)
    nowhere = {"BSQAV_MODEL": "", "BSQAV_MODEL_PATH": "", "XDG_DATA_HOME": str(tmp_path / "none")}
    ffmpeg("-i", clip, "-an", "-c:v", "libbsq", "new.mkv", environment=nowhere)
    assert "SHA256=" in ffmpeg("-i", "new.mkv", "-f", "hash", "-", environment=nowhere)


def without(ffmpeg: FFmpeg, coded: Path, number: int) -> str:
    """The file without one packet."""
    drop = ("-bsf:v", rf"noise=drop=eq(n\,{number})")
    ffmpeg("-i", coded, "-map", "0:v", "-c", "copy", *drop, "gap.nut")
    return "gap.nut"


def test_damage_is_concealed_and_reported(ffmpeg: FFmpeg, coded: Path) -> None:
    """The packet holds an anchor, to which all others up to the keyframe refer."""
    whole = ffmpeg.frames("-i", coded)
    gap = without(ffmpeg, coded, 11)
    said = ffmpeg.warnings("-i", gap, "-f", "null", "-")
    assert said.count("is lost and shows the one before again") == 1
    assert "packets before it are lost or damaged" in said
    pictures = ffmpeg.frames("-i", gap)
    assert pictures == [*whole[:11], *[whole[10]] * 8, *whole[20:]]
    strict = ("-xerror", "-err_detect", "explode", "-i", gap, "-f", "null", "-")
    assert "is lost" in ffmpeg(*strict, fails=True)


def test_a_lost_b_frame_costs_itself_alone(ffmpeg: FFmpeg, coded: Path) -> None:
    whole = ffmpeg.frames("-i", coded)
    gap = without(ffmpeg, coded, 13)
    assert ffmpeg.warnings("-i", gap, "-f", "null", "-") == ""
    assert ffmpeg.frames("-i", gap) == [*whole[:13], *whole[14:]]


def test_frames_are_skipped_as_asked(ffmpeg: FFmpeg, coded: Path) -> None:
    """noref and bidir: what no other frame refers to; the others are the same as without."""
    whole = ffmpeg.frames("-i", coded)
    with Demuxer(coded) as demuxer:
        found = bsq_packets(demuxer, demuxer.tracks[0])
    held = [picture for picture, packet in zip(whole, found, strict=True) if not packet.disposable]
    assert len(whole) // 2 < len(held) < len(whole)
    frames = ffmpeg.probe(coded, "-show_frames", "-select_streams", "v")["frames"]
    types = {
        frame["pict_type"] for frame, packet in zip(frames, found, strict=True) if packet.disposable
    }
    assert types == {"B"}
    assert {frame["pict_type"] for frame in frames[::10]} == {"I"}
    for word in ("noref", "bidir"):
        assert ffmpeg.frames("-skip_frame", word, "-i", coded) == held
    assert ffmpeg.frames("-skip_frame", "nokey", "-i", coded) == whole[::10]
    assert ffmpeg.frames("-skip_frame", "all", "-i", coded) == []


def test_a_flipped_bit_is_found(ffmpeg: FFmpeg, coded: Path, tmp_path: Path) -> None:
    ffmpeg("-i", coded, "-map", "0:v", "-c", "copy", "bad.nut")
    packet = ffmpeg.packets("bad.nut")[15]
    data = bytearray((tmp_path / "bad.nut").read_bytes())
    data[int(packet["pos"]) + int(packet["size"]) // 2] ^= 4
    (tmp_path / "bad.nut").write_bytes(data)
    assert "checksum" in ffmpeg.warnings("-i", "bad.nut", "-f", "null", "-")


def test_ffplay_plays(ffmpeg: FFmpeg, coded: Path) -> None:
    player = ffmpeg.programs / "ffplay"
    quiet = {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"}
    run(player, "-v", "error", "-autoexit", "-an", coded, **quiet)


def test_imageio_reads_through_it(ffmpeg: FFmpeg, coded: Path) -> None:
    program = (
        "import imageio_ffmpeg, json, sys\n"
        "frames = imageio_ffmpeg.read_frames(sys.argv[1])\n"
        "facts = next(frames)\n"
        "print(json.dumps([facts['codec'], facts['size'], sum(1 for _ in frames)]))\n"
    )
    printed = run(
        *(sys.executable, "-c", program, coded),
        IMAGEIO_FFMPEG_EXE=str(ffmpeg.programs / "ffmpeg"),
    )
    codec, size, count = json.loads(printed)
    assert (codec, size) == ("bsq", [64, 48])
    assert count >= 50


def test_a_shell_pipeline(ffmpeg: FFmpeg, coded: Path, tmp_path: Path) -> None:
    """Raw pictures through a pipe into the encoder, and BSQ through a pipe into another."""
    program = ffmpeg.programs / "ffmpeg"
    line = (
        f"{program} -v error -i coded.mkv -an -f yuv4mpegpipe - | "
        f"{program} -v error -i - -c:v libbsq -f nut - | {program} -v error -y -i - -c copy out.mkv"
    )
    shell = shutil.which("bash")
    assert shell is not None
    subprocess.run([shell, "-o", "pipefail", "-c", line], cwd=tmp_path, check=True, timeout=120)
    assert verify(tmp_path / "out.mkv").frames >= 50
