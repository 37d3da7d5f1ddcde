"""`bsqav compare` on the command line: table, JSON, exit status; BSQ by its public functions."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

import bsqav
from bsqav.cli import compare as command
from bsqav.evaluation.compare import bsq, worker
from bsqav.evaluation.compare.reference_encoders import REFERENCES
from bsqav.evaluation.io.ffmpeg import packet_sizes, run_ffmpeg
from bsqav.evaluation.metrics.quality import measure

from .conftest import FRAMES, HEADER


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["compare", *arguments])
    return int(args.run(args))


class PyAVFace:
    """What bsqav.open gives back, over a file that PyAV can decode by itself."""

    def __init__(self, path: Path, models: object = ()) -> None:
        del models
        self._container = av.open(str(path))

    def __enter__(self) -> PyAVFace:
        return self

    def __exit__(self, *error: object) -> None:
        self._container.close()

    def decode(self, video: int) -> Iterator[av.VideoFrame]:
        return self._container.decode(video=video)


@pytest.fixture
def mpeg4_as_bsq(monkeypatch: pytest.MonkeyPatch, ffmpeg: str) -> None:
    """Puts MPEG-4 behind bsqav.transcode and bsqav.open, and shortens the references' curves."""

    def transcode(
        src: Path, dst: Path, *, codec: str, crf: float, gop: int, model: object, **settings: object
    ) -> None:
        assert (codec, model) == ("bsq", None)
        assert settings in ({}, {"lookahead": 0, "scene_cut": False})
        arguments = ["-i", src.name, "-c:v", "mpeg4", "-q:v", f"{crf:g}", "-g", str(gop), dst.name]
        run_ffmpeg(arguments, src.parent)

    monkeypatch.setattr(bsqav, "transcode", transcode, raising=False)
    monkeypatch.setattr(bsqav, "open", PyAVFace, raising=False)
    # in this process, where the substitutes are
    monkeypatch.setattr(bsq, "run_worker", worker.run)
    four = dataclasses.replace(REFERENCES["mjpeg"], points=(2, 6, 12, 31))
    monkeypatch.setitem(REFERENCES, "mjpeg", four)


@pytest.mark.usefixtures("mpeg4_as_bsq")
def test_public_bsq_codes_and_reads_back(clip: Path) -> None:
    codec = bsq.PublicBsq()
    stream, decoded = clip.parent / "a.mkv", clip.parent / "a.y4m"
    encoded = codec.encode(clip, 4, 5, stream)
    assert encoded.packet_bytes == packet_sizes(stream)
    assert encoded.command == "bsqav transcode moving.y4m a.mkv --crf 4 --gop 5"
    assert codec.decode(stream, decoded, HEADER).seconds > 0
    quality = measure(decoded, clip)
    assert quality.frames == FRAMES
    assert quality.psnr_y > 30


@pytest.mark.usefixtures("mpeg4_as_bsq")
def test_settings_reach_the_encoder_and_the_result(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--codecs", "mjpeg", "--crf", "2,6,12,31", "--frames", "2", "--metrics", "psnr"]
    options += ["--set", "lookahead=0", "--set", "scene-cut=no", "--json", "-", "--quiet"]
    assert run(str(clip), *options) == 0
    point = json.loads(capsys.readouterr().out)["clips"][0]["points"][0]
    assert point["command"].endswith(" --lookahead 0 --no-scene-cut")


@pytest.mark.parametrize("text", ["lookahead", "lookahead=x", "lookahead=900", "crf=3", "speed=1"])
def test_settings_that_are_none(clip: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(clip), "--set", text) == 2
    assert "--set" in capsys.readouterr().err


@pytest.mark.usefixtures("mpeg4_as_bsq")
def test_table_and_json_file(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "result.json"
    options = ["--codecs", "mjpeg", "--crf", "2,6,12,31", "--frames", "3", "--json", str(out)]
    options += ["--csv", str(tmp_path / "points.csv")]
    assert run(str(clip), *options) == 0
    shown = capsys.readouterr()
    titles = ("PSNR-Y ", "PSNR-YUV", "MS-SSIM", "VMAF")
    for text in ("BD-rate", "overlap", *titles, "q:v 31", "crf 12", "ffmpeg -"):
        assert text in shown.out
    assert "mjpeg q:v 2" in shown.err
    content = json.loads(out.read_text(encoding="utf-8"))
    assert content["codecs"] == ["bsq", "mjpeg"]
    assert content["clips"][0]["deltas"][0]["rate"]["value"] < 0
    assert content["metrics"] == ["psnr_y", "psnr_yuv", "ms_ssim", "vmaf"]
    with (tmp_path / "points.csv").open(encoding="utf-8") as table:
        assert all(0 < float(row["psnr_yuv"]) < 100 for row in csv.DictReader(table))


@pytest.mark.usefixtures("mpeg4_as_bsq")
def test_json_is_alone_on_standard_output(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--codecs", "mjpeg", "--crf", "2,6,12,31", "--frames", "2", "--metrics", "psnr"]
    assert run(str(clip), *options, "--quiet", "--json", "-") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["metrics"] == ["psnr_y"]
    assert "BD-rate" in shown.err


@pytest.mark.usefixtures("mpeg4_as_bsq")
def test_a_broken_input_gives_status_one(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = tmp_path / "absent.mp4"
    options = ["--codecs", "mjpeg", "--crf", "2,6,12,31", "--frames", "2"]
    assert run(str(absent), str(clip), *options) == 1
    assert "absent.mp4: no such file" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    [
        ["--codecs", "x999"],
        ["--codecs", ","],
        ["--metrics", "lpips"],
        ["--crf", "abc"],
        ["--crf", "nan"],
        ["--frames", "0"],
        ["--gop", "-1"],
        ["--scale", "640"],
        ["--scale", "0x4"],
    ],
)
def test_wrong_usage_gives_status_two(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("clip.mp4", *options) == 2
    assert "bsqav: compare:" in capsys.readouterr().err


def test_without_imageio_ffmpeg_the_message_names_the_package(clip: Path) -> None:
    script = (
        "import sys, argparse; sys.modules['imageio_ffmpeg'] = None\n"
        "from bsqav.cli import compare\n"
        "p = argparse.ArgumentParser(); compare.add_parser(p.add_subparsers())\n"
        f"a = p.parse_args(['compare', {str(clip)!r}]); sys.exit(a.run(a))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install 'bsqav[compare]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_measuring_never_imports_torch() -> None:
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "import bsqav.cli.compare, bsqav.evaluation.compare.comparison\n"
        "import bsqav.evaluation.compare.table\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
