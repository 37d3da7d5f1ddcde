"""Still pictures, pictures and clips together, several jobs, one broken input among ten."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bsqav.cli import compare as command
from bsqav.evaluation.compare import still_codecs
from bsqav.evaluation.compare.bsq import PublicBsq
from bsqav.evaluation.compare.reference_encoders import REFERENCES
from bsqav.evaluation.io.errors import MissingEncoderError, SourceError
from bsqav.evaluation.io.images import read_pixels
from bsqav.evaluation.io.process import peak_memory, run_measured
from bsqav.evaluation.io.sources import read_picture
from bsqav.evaluation.io.y4m import Y4mFile
from bsqav.evaluation.metrics.pixels import psnr_luma

from .comparing import compare_with
from .test_cli_compare import run
from .test_stills import picture

pytestmark = pytest.mark.usefixtures("ffmpeg")
QUALITIES = (10, 30, 60, 90)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(picture()).save(path)
    return path


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short curves, to be quick."""
    jpeg = dataclasses.replace(still_codecs.REFERENCES["jpeg"], settings=QUALITIES)
    monkeypatch.setitem(still_codecs.REFERENCES, "jpeg", jpeg)
    mjpeg = dataclasses.replace(REFERENCES["mjpeg"], points=(4, 12))
    monkeypatch.setitem(REFERENCES, "mjpeg", mjpeg)


@pytest.mark.usefixtures("short")
def test_a_picture_is_measured_with_bsq_stills(photo: Path) -> None:
    result = compare_with(
        [photo], codecs=["mjpeg", "jpeg"], bsq=PublicBsq(), crfs=(40, 46, 52, 58), frames=30
    )
    assert result.failures == []
    assert result.codecs == ["bsq", "jpeg"]
    assert result.titles["jpeg"] == "JPEG"
    (clip,) = result.clips
    assert (clip.kind, clip.frames) == ("picture", 1)
    assert [point.setting for point in clip.curve("jpeg")] == [f"quality {q}" for q in QUALITIES]
    assert len(clip.curve("bsq")) == 4
    assert {delta.anchor for delta in clip.deltas} == {"jpeg"}
    point = clip.curve("jpeg")[-1]
    data = still_codecs.REFERENCES["jpeg"].encode(picture(), 90)
    assert point.stream_bytes == len(data)
    assert point.bpp == pytest.approx(8 * len(data) / picture()[..., 0].size)
    expected = psnr_luma(still_codecs.REFERENCES["jpeg"].decode(data), picture())
    assert point.psnr_y == pytest.approx(expected, abs=0.1)


def test_pictures_become_planes_as_in_jpeg_files(photo: Path, tmp_path: Path) -> None:
    source = read_picture(photo, tmp_path / "a.y4m")
    assert (source.header.chroma, source.frames, source.full_range) == ("444", 1, True)
    y, u, v = Y4mFile(tmp_path / "a.y4m")[0]
    rgb = picture().astype(float)
    assert y.shape == u.shape == v.shape == rgb.shape[:2]
    assert np.abs(y - rgb @ np.array([0.299, 0.587, 0.114])).max() <= 0.501
    blue = 128 + (rgb[..., 2] - rgb @ np.array([0.299, 0.587, 0.114])) / 1.772
    assert np.abs(u - np.clip(blue, 0, 255)).max() <= 0.501
    assert read_pixels(photo, (40, 30)).shape == (30, 40, 3)


def test_files_that_are_no_images_are_reported(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(SourceError, match=r"a\.png: cannot be read as a picture"):
        read_pixels(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_pixels(tmp_path / "b.png")


def test_a_missing_image_codec_is_reported(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise MissingEncoderError("this Pillow cannot write JPEG XL")

    jxl = dataclasses.replace(still_codecs.REFERENCES["jxl"], check=absent)
    monkeypatch.setitem(still_codecs.REFERENCES, "jxl", jxl)
    (failure,) = compare_with([photo], codecs=["jxl"]).failures
    assert failure == f"{photo}: jxl: this Pillow cannot write JPEG XL"


@pytest.mark.usefixtures("short")
def test_one_broken_input_among_ten(
    photo: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "ten"
    folder.mkdir()
    for i in range(8):
        data = bytearray(photo.read_bytes())
        if i == 4:
            data = data[: len(data) // 2]
        (folder / f"{i}.png").write_bytes(data)
    clip.rename(folder / "a.y4m")
    (folder / "b.y4m").write_bytes((folder / "a.y4m").read_bytes()[:-9000])
    options = ["--codecs", "jpeg,mjpeg", "--crf", "60", "--frames", "2", "--jobs", "2"]
    out = tmp_path / "a.csv"
    assert run(str(folder), *options, "--csv", str(out)) == 1
    shown = capsys.readouterr()
    assert "4.png: cannot be read as a picture" in shown.out
    assert "b.y4m" in shown.err
    lines = out.read_text().splitlines()
    # seven pictures with JPEG and BSQ; equal pictures are measured once and reported each
    assert sum("photo" in line or ".png," in line for line in lines) == 7 * 5
    assert "2 measurements ran at a time" in shown.out


def test_an_empty_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (failure,) = compare_with([tmp_path / "empty"], codecs=["mjpeg"]).failures
    assert "a folder without videos or pictures" in failure


@pytest.mark.parametrize("options", [["--jobs", "0"], ["--all-frames"], ["--metrics", "all,vmaf"]])
def test_wrong_usage_is_refused(options: list[str]) -> None:
    assert run("clip.mp4", *options) == 2
    assert command.DEFAULT_CODECS


def test_peak_memory_is_that_of_the_program(tmp_path: Path) -> None:
    import sys

    script = "import time; a = bytearray(60_000_000); time.sleep(0.2)"
    large = run_measured([sys.executable, "-S", "-c", script], tmp_path)
    small = run_measured([sys.executable, "-S", "-c", "import time; time.sleep(0.2)"], tmp_path)
    assert large.status == small.status == 0
    if peak_memory() is not None:
        assert (large.memory or 0) - (small.memory or 0) > 40_000_000
        assert (small.memory or 0) < 40_000_000
