"""The files of examples/ run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import bsqav
from tests.media.clips import ClipSpec, make_clip
from tests.support import ROOT, find_tool

EXAMPLES = ROOT / "examples"


def run(name: str, *arguments: str | Path) -> str:
    program = sys.executable if name.endswith(".py") else "sh"
    # Shell scripts find `python` and `bsqav` as a user's shell would.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    result = subprocess.run(
        [program, EXAMPLES / name, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PATH": path},
    )
    assert result.returncode == 0, result.stderr + result.stdout
    return result.stdout


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "in.mp4", ClipSpec(size=(64, 48), frames=10, gop=5))


def frames(path: Path) -> int:
    with bsqav.open(path) as container:
        return sum(1 for _ in container.decode(video=0))


def test_pyav_loop(clip: Path, tmp_path: Path) -> None:
    assert run("pyav_loop.py", clip, tmp_path / "out.mkv") == "10 frames\n"
    with bsqav.open(tmp_path / "out.mkv") as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]


def test_imageio(tmp_path: Path) -> None:
    lines = run("imageio_pictures.py", tmp_path).splitlines()
    assert lines[:2] == ["(96, 128, 3)"] * 2
    assert len(lines) == 2 + 10 + 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "animation.bsq",
        "still.bsq",
        "video.mkv",
    ]


def test_pillow(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (16, 24, 3), np.uint8)) for _ in range(3)]
    pictures[0].save(tmp_path / "in.gif", save_all=True, append_images=pictures[1:], duration=40)
    output = run("pillow_animation.py", *(tmp_path / name for name in ("in.gif", "a.bsq", "b.gif")))
    assert output.splitlines()[2] == "2 (24, 16) RGB 40"
    with Image.open(tmp_path / "b.gif") as image:
        assert image.n_frames == 3  # type: ignore[attr-defined]


def test_data_loader(clip: Path, tmp_path: Path) -> None:
    for name in ("a.mkv", "b.mkv"):
        bsqav.transcode(clip, tmp_path / name, gop=3)
    lines = run("data_loader.py", tmp_path / "a.mkv", tmp_path / "b.mkv").splitlines()
    assert len(lines) == 7
    assert all(line.startswith("(2, 4, 3, 48, 64)") for line in lines)


@pytest.mark.host
def test_ffmpeg_pipe(clip: Path, tmp_path: Path) -> None:
    find_tool("ffmpeg")
    find_tool("bsqav")
    run("ffmpeg_pipe.sh", clip, tmp_path / "a.mkv", tmp_path / "b.mp4")
    assert frames(tmp_path / "a.mkv") == 10
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 10
        assert len(container.streams.audio) == 1


@pytest.mark.host
def test_gstreamer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_tool("gst-launch-1.0")
    monkeypatch.setenv("GST_REGISTRY", str(tmp_path / "registry"))
    run("gstreamer.sh", tmp_path / "a.mkv", tmp_path / "a.wav")
    assert frames(tmp_path / "a.mkv") == 50
    assert (tmp_path / "a.wav").stat().st_size > 48000


def test_every_example_is_run_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    programs = [path for path in EXAMPLES.iterdir() if path.is_file() and path.suffix != ".ipynb"]
    assert all(f'"{path.name}"' in source for path in programs)
