"""The window that plays where there is no ffplay."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from bsqav.cli.main import main
from bsqav.cli.window import Clock, fitting_size, portable_pixmap
from bsqav.media.transcode.api import transcode
from tests.media.clips import make_clip

PROGRAM = [sys.executable, "-m", "bsqav.cli.main"]


@pytest.fixture
def coded(tmp_path: Path) -> Path:
    transcode(make_clip(tmp_path / "in.mp4", frames=12), tmp_path / "coded.mkv")
    return tmp_path / "coded.mkv"


def test_the_clock_runs_with_the_wall_clock() -> None:
    clock = Clock(start=5.0, now=100.0)
    assert clock.wait(5.0, 100.0) == 0
    assert clock.wait(5.5, 100.25) == 0.25
    assert clock.wait(5.5, 101.0) == -0.5


def test_the_clock_stops_while_paused() -> None:
    clock = Clock(start=0.0, now=10.0)
    clock.toggle(11.0)
    assert clock.paused
    assert clock.wait(1.5, 50.0) == 0.5
    clock.toggle(60.0)
    assert [clock.paused, clock.wait(1.5, 60.0)] == [False, 0.5]
    assert clock.wait(1.5, 60.5) == 0


@pytest.mark.parametrize(
    ("size", "aspect", "shown"),
    [
        ((640, 360), 1.0, (640, 360)),
        ((720, 576), 16 / 15, (768, 576)),
        ((3840, 2160), 1.0, (900, 506)),
        ((100, 2000), 1.0, (45, 900)),
        ((1, 8192), 1.0, (1, 900)),
    ],
)
def test_pictures_fit_the_screen(
    size: tuple[int, int], aspect: float, shown: tuple[int, int]
) -> None:
    assert fitting_size(*size, aspect, (1000, 1000)) == shown


def test_tk_gets_the_pixels() -> None:
    colours = np.zeros((48, 64, 3), np.uint8)
    colours[:, 32:] = (250, 10, 10)
    frame = av.VideoFrame.from_ndarray(colours, format="rgb24").reformat(
        format="yuv444p", dst_colorspace="ITU601"
    )
    data = portable_pixmap(frame, (64, 48), VideoReformatter())
    stream = io.BytesIO(data)
    assert stream.readline() == b"P6 64 48 255\n"
    pixels = np.frombuffer(stream.read(), np.uint8).reshape(48, 64, 3).astype(int)
    assert abs(pixels - colours).max() <= 4


def test_neither_player_nor_display(
    coded: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setitem(sys.modules, "tkinter", type(sys)("tkinter"))
    assert main(["play", str(coded)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "there is no display" in line


def test_neither_player_nor_tk(
    coded: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "tkinter", None)
    assert main(["play", str(coded)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "python3-tk" in line


@pytest.fixture
def screen(require_tool: Callable[[str], Path]) -> Generator[str, None, None]:
    """A display of its own, without a monitor."""
    pytest.importorskip("tkinter")
    reading, writing = os.pipe()
    command = [str(require_tool("Xvfb")), "-screen", "0", "320x240x24", "-displayfd", str(writing)]
    with subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL) as server:
        os.close(writing)
        with os.fdopen(reading) as stream:
            number = stream.readline().strip()
        try:
            yield f":{number}"
        finally:
            server.terminate()


@pytest.mark.host
def test_the_window_plays_to_the_end(coded: Path, screen: str) -> None:
    began = time.monotonic()
    result = subprocess.run(
        [*PROGRAM, "play", "--window", coded],
        env={**os.environ, "DISPLAY": screen},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert time.monotonic() - began > 0.4  # twelve pictures at 25 a second


@pytest.mark.host
def test_a_display_that_does_not_answer(coded: Path) -> None:
    pytest.importorskip("tkinter")
    result = subprocess.run(
        [*PROGRAM, "play", "--window", coded],
        env={**os.environ, "DISPLAY": ":9876"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "no window can be opened" in line
