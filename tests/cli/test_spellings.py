"""ffmpeg's spellings of options come to the same as ours."""

from __future__ import annotations

import argparse
import shlex
from fractions import Fraction
from pathlib import Path

import pytest

from bsqav.cli import transcode as command
from bsqav.cli.main import main
from bsqav.cli.parsing import Parser
from bsqav.cli.values import frame_rate, size
from bsqav.media.demux.demuxer import Demuxer
from tests.media.clips import bsq_packets, make_clip


def parsed(call: str) -> argparse.Namespace:
    parser = Parser(prog="bsqav")
    command.add_parser(parser.add_subparsers(dest="command", metavar="COMMAND"))
    return parser.parse_args(["transcode", *shlex.split(call)])


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("-i IN OUT", "IN OUT"),
        ("-y -ss 1:30 -i IN -t 10 OUT", "IN OUT -y --start 90 --duration 10"),
        ("-i IN -ss 5 -to 7.5 OUT", "IN OUT --start 5 --to 7.5"),
        (
            "-i IN -crf 30 -g 50 -preset slow -tune psnr OUT",
            "IN OUT --crf 30 --gop 50 --preset slow --tune psnr",
        ),
        ("-i IN -b:v 800k -threads 2 OUT", "IN OUT --bitrate 800k --threads 2"),
        ("-i IN -vcodec libx264 -acodec aac OUT", "IN OUT -c:v libx264 -c:a aac"),
        ("-i IN -codec:v bsq -codec:a copy OUT", "IN OUT -c:v bsq -c:a copy"),
        ("-i IN -c copy OUT", "IN OUT -c:v copy -c:a copy"),
        ("-i IN -an -sn OUT", "IN OUT --audio none --subtitles none"),
        ("-i IN -s 640x360 -pix_fmt gray OUT", "IN OUT --scale 640x360 --pix-fmt gray"),
        ("-i IN -vf scale=-2:360 OUT", "IN OUT --scale -1x360"),
        ("-f nut -i - -f matroska -", "- - --input-format nut -f matroska"),
        (
            "-framerate 24 -start_number 5 -i in_%d.png OUT",
            "in_%d.png OUT --fps 24 --start-number 5",
        ),
        ("-r 24 -i in_%d.png OUT", "in_%d.png OUT --fps 24"),
        ("-hide_banner -nostdin -loglevel error -i IN OUT", "IN OUT --quiet"),
        ("IN OUT -rc-lookahead 10", "IN OUT --lookahead 10"),
        ("IN OUT --scale 640:-1", "IN OUT --scale=640x-1"),
    ],
)
def test_the_same_in_both_spellings(theirs: str, ours: str) -> None:
    assert vars(parsed(theirs)) == vars(parsed(ours))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("640x360", (640, 360)),
        ("640X360", (640, 360)),
        ("640:-1", (640, -1)),
        ("-1x360", (-1, 360)),
        ("-2:360", (-1, 360)),
        ("50%", Fraction(1, 2)),
        ("12.5 %", Fraction(1, 8)),
    ],
)
def test_sizes(text: str, value: object) -> None:
    assert size(text) == value
    assert parsed(f"IN OUT --scale {shlex.quote(text)}").scale == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("25", Fraction(25)),
        ("29.97", Fraction(30000, 1001)),
        ("23.976", Fraction(24000, 1001)),
        ("30000/1001", Fraction(30000, 1001)),
        ("12.5", Fraction(25, 2)),
    ],
)
def test_frame_rates(text: str, value: Fraction) -> None:
    assert frame_rate(text) == value


def test_a_call_as_ffmpeg_has_it(tmp_path: Path) -> None:
    clip, out = make_clip(tmp_path / "in.mkv", frames=20), tmp_path / "out.mkv"
    call = f"-y -ss 0.2 -i {clip} -t 0.4 -crf 40 -g 4 -an -vf scale=-2:24 {out}"
    assert main(["transcode", *shlex.split(call)]) == 0
    with Demuxer(out) as demuxer:
        (track,) = demuxer.tracks
        assert len(demuxer.container.streams) == 1
        assert (track.sequence["width"], track.sequence["height"]) == (32, 24)
        keyframes = [packet.keyframe for packet in bsq_packets(demuxer, track.stream)]
    assert keyframes == [number % 4 == 0 for number in range(10)]


def test_a_part_of_the_size(tmp_path: Path) -> None:
    clip, out = make_clip(tmp_path / "in.mkv", frames=2), tmp_path / "out.mkv"
    assert main(["transcode", str(clip), str(out), "--scale", "50%"]) == 0
    with Demuxer(out) as demuxer:
        sequence = demuxer.tracks[0].sequence
    assert (sequence["width"], sequence["height"]) == (32, 24)


@pytest.mark.parametrize(("theirs", "ours"), [("veryfast", "fast"), ("veryslow", "slow")])
def test_presets_of_x264_take_the_nearest(tmp_path: Path, theirs: str, ours: str) -> None:
    clip = make_clip(tmp_path / "in.mp4", frames=4, audio=None)
    for name, preset in (("a.mkv", theirs), ("b.mkv", ours)):
        assert main(["transcode", str(clip), str(tmp_path / name), "--preset", preset]) == 0
    packets = []
    for name in ("a.mkv", "b.mkv"):
        with Demuxer(tmp_path / name) as demuxer:
            packets.append([bytes(packet) for packet in demuxer.demux()])
    assert packets[0] == packets[1]
