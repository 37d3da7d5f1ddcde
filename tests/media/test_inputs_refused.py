"""What cannot be read is refused in a sentence that says what can; nothing is left behind."""

from __future__ import annotations

import json
import os
import random
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import bsqav
from bsqav.cli.main import main
from bsqav.media.demux.demuxer import Demuxer
from bsqav.media.mux.muxers import open_muxer
from tests.media.clips import ClipSpec, make_clip, pictures, seconds
from tests.media.containers import InOrder


def encrypted(path: Path) -> Path:
    options = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
        "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
    }
    with av.open(str(path), "w", container_options=options) as container:
        video: Any = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for number, frame in enumerate(pictures(ClipSpec(frames=5))):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def sound_alone(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=48000)
        stream.layout = "mono"
        with av.open("sine=d=0.2:r=48000", format="lavfi") as generator:
            for frame in generator.decode(audio=0):
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def no_tracks(path: Path) -> Path:
    open_muxer(path).close()
    return path


def unknown_codec(path: Path) -> Path:
    muxer: Any = open_muxer(path)
    sequence = {"width": 32, "height": 32, "time_base": (1, 25), "chroma": "420", "bit_depth": 8}
    track = muxer.add_video(b"XYZ9", {**sequence, "frame_rate": (25, 1)})
    muxer.mux(track, b"other codec", pts=0, keyframe=True, time_base=Fraction(1, 25))
    muxer.close()
    path.write_bytes(path.read_bytes().replace(b"BSQ1", b"XYZ9"))
    return path


def cut_mp4(path: Path) -> Path:
    make_clip(path, frames=10)
    path.write_bytes(path.read_bytes()[:3000])
    return path


CASES = {
    "encrypted.mp4": (encrypted, r"track 0 is encrypted: what is read is files without"),
    "sound.m4a": (
        sound_alone,
        r"no video, only audio tracks: .*with a video track is needed",
    ),
    "nothing.mkv": (no_tracks, r"no video, no tracks|no media file"),
    "unknown.mkv": (unknown_codec, r"codec.*that neither bsqav nor FFmpeg can decode: BSQ and"),
    "cut.mp4": (cut_mp4, r"cut short: it ends before it says what is in it"),
    "empty.mp4": (lambda path: path.write_bytes(b""), "is empty"),
    "folder.mp4": (lambda path: path.mkdir(), "is a folder"),
    "noise.mp4": (lambda path: path.write_bytes(random.Random(5).randbytes(5000)), "no media file"),
    "text.mp4": (lambda path: path.write_text("hello\n" * 99), "no media file|is a text file"),
    "gone.mp4": (lambda path: None, "there is no file"),
}


@pytest.mark.parametrize("name", CASES)
def test_one_sentence_and_nothing_left(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make, message = CASES[name]
    path = tmp_path / name
    make(path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(bsqav.BsqError, match=message):
        bsqav.transcode(path, tmp_path / "out.mkv", warn=lambda _: None)
    assert sorted(tmp_path.iterdir()) == before
    assert main(["transcode", str(path), str(tmp_path / "out.mkv"), "--quiet"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("bsqav: ")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("sent", [0, 1, 3000, -1])
@pytest.mark.parametrize("name", ["in.mkv", "in.mov"])
def test_a_pipe_that_is_closed_early(tmp_path: Path, sent: int, name: str) -> None:
    bsqav.transcode(make_clip(tmp_path / "in.mp4", frames=10), tmp_path / "in.mkv")
    with (tmp_path / "in.mov").open("wb", buffering=0) as file:
        bsqav.transcode(tmp_path / "in.mkv", InOrder(file), codec="copy", format="mov")
    data = (tmp_path / name).read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb") as file:
            file.write(data[:sent])

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    said: list[str] = []
    if sent == -1 and name == "in.mkv":  # the index lacks a byte, and no frame
        assert bsqav.transcode(pipe, tmp_path / "out.mkv", warn=said.append).frames_out == 10
        assert "smaller than it says itself; every frame that it announces has come" in said[0]
        return
    with pytest.raises(bsqav.BsqError, match="pipe") as caught:
        bsqav.transcode(pipe, tmp_path / "out.mkv", warn=said.append)
    writer.join(5)
    assert sent in (0, 1) or "cut short" in str(caught.value)
    assert not (tmp_path / "out.mkv").exists()


def test_info_reports_a_truncated_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip, path = make_clip(tmp_path / "in.mp4", frames=20), tmp_path / "a.mkv"
    bsqav.transcode(clip, path)
    assert main(["info", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["truncated"] is False
    path.write_bytes(path.read_bytes()[:-500])
    assert main(["info", str(path)]) == 0
    assert "cut short: it ends before it says it does" in capsys.readouterr().out


def test_a_variable_rate_without_timestamps_is_reported(tmp_path: Path) -> None:
    with bsqav.open(tmp_path / "a.mkv", "w") as container:
        stream = container.add_stream("bsq", time_base=Fraction(1, 1000))
        for number, frame in enumerate(pictures(ClipSpec(frames=6))):
            frame.pts, frame.time_base = number * number * 20, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with Demuxer(tmp_path / "a.mkv") as demuxer:
        assert demuxer.tracks[0].frame_rate is None
    result = bsqav.transcode(tmp_path / "a.mkv", tmp_path / "a.y4m", warn=lambda _: None)
    (said,) = result.warnings
    assert "a constant rate, 50 frames a second, and no times: 4 frames that last longer" in said


def test_arrays_without_times_are_not_squeezed(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with bsqav.open(path, "w") as container:
        stream = container.add_stream("bsq")
        with pytest.warns(bsqav.BsqWarning, match="25 a second are assumed"):
            container.mux(stream.encode(np.zeros((32, 32), np.uint8)))
        container.mux(stream.encode(np.zeros((32, 32), np.uint8)))
        container.mux(stream.encode(None))
    with bsqav.open(path) as container:
        times = [seconds(frame) for frame in container.decode(video=0)]
    assert times == [0, Fraction(1, 25)]
