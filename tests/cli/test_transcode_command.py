"""`bsqav transcode` as a program: pipes, signals, exit status, progress and JSON."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bsqav.cli.display import ProgressDisplay
from bsqav.cli.main import main
from bsqav.media.demux.demuxer import Demuxer
from bsqav.media.io.progress import Progress
from tests.codec.streams import TINY_MODEL
from tests.media.clips import make_clip, payloads
from tests.support import only_error

# Seconds for a program on a busy machine. No timing is asserted.
PATIENCE = 120
PROGRAM = [sys.executable, "-m", "bsqav.cli.main"]
FRAMES = 12


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "in.mkv", frames=FRAMES)


def count(path: Path) -> int:
    with Demuxer(path) as demuxer:
        return sum(1 for _ in demuxer.demux(demuxer.tracks[0].stream))


def test_there_and_back_with_json(
    tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coded, back = tmp_path / "out.mkv", tmp_path / "back.mp4"
    assert main(["transcode", str(clip), str(coded), "--json", "--crf", "40"]) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert set(report) == {
        "output",
        "codec",
        "frames_in",
        "frames_out",
        "bytes",
        "video_bytes",
        "video_bitrate",
        "duration",
        "seconds",
        "fps",
        "bitrate",
        "hash",
        "warnings",
    }
    assert (report["frames_in"], report["frames_out"], report["codec"]) == (FRAMES, FRAMES, "bsq")
    assert report["bytes"] == coded.stat().st_size
    assert f"{FRAMES} frames" in captured.err
    assert main(["transcode", str(coded), str(back), "--quiet"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert payloads(back, "audio") == payloads(clip, "audio")


def test_pipes_in_a_shell(tmp_path: Path, clip: Path) -> None:
    bsqav = shlex.join([*PROGRAM, "transcode", "--quiet"])
    back = shlex.quote(str(tmp_path / "back.mkv"))
    script = f"{bsqav} - - < {shlex.quote(str(clip))} | cat | {bsqav} - {back}"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", script], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert payloads(tmp_path / "back.mkv", "audio") == payloads(clip, "audio")
    assert len(payloads(tmp_path / "back.mkv", "video")) == FRAMES


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    big = make_clip(tmp_path / "big.mkv", size=(320, 240), frames=10)
    bsqav = shlex.join([*PROGRAM, "transcode", "--quiet", "-c:v", "rawvideo"])
    script = f"{bsqav} {shlex.quote(str(big))} - | head -c 1000 >/dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "closed by its reader" in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("piped", [False, True])
def test_an_interrupt_leaves_the_partial_file_only(
    tmp_path: Path, clip: Path, number: signal.Signals, piped: bool
) -> None:
    target = tmp_path / "out.mkv"
    source = "-" if piped else "lavfi"
    options = [] if piped else ["--input-format", "lavfi", "--crf", "0"]  # many bytes soon
    if not piped:
        source = "testsrc2=s=64x48:r=25"  # without an end
    partial = tmp_path / "out.mkv.partial"
    command = [*PROGRAM, "transcode", source, str(target), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdin is not None
            if piped:
                # A live source: it has sent something and is silent now.
                process.stdin.write(clip.read_bytes()[:-100])
                process.stdin.flush()
            deadline = time.monotonic() + PATIENCE
            while not (partial.exists() and (piped or partial.stat().st_size > 100_000)):
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.02)
            process.send_signal(number)
            _, stderr = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 1
    lines = stderr.decode().splitlines()
    assert "interrupted" in lines[-1]
    assert "Traceback" not in stderr.decode()
    assert not target.exists()
    if "frames are in" in lines[-1]:
        said = int(lines[-1].split(" good frames")[0].split()[-1])
        assert count(partial) == said
    else:
        assert not partial.exists()


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["{clip}", "{tmp}/there.mkv"], 1, "exists already"),
        (["{clip}", "{tmp}/nope/out.mkv"], 1, "no folder"),
        (["{clip}", "{tmp}/out.mkv", "--two-pass"], 2, "bit rate"),
        (["-", "{tmp}/out.mkv", "--two-pass", "--bitrate", "2M"], 2, "read once only"),
        (["{clip}", "{tmp}/out.mkv", "--vbv-buffer", "2"], 2, "--bitrate"),
        (["{clip}", "{tmp}/out.mkv", "--device", "cuda"], 1, "CUDA"),
        (["{clip}", "{tmp}/out.mkv", "--model", "nosuch"], 1, "nosuch"),
        (["{clip}", "{tmp}/out.mkv", "--model", "{tmp}/newer.bsqm"], 1, "numerics 2"),
        (["{clip}", "{tmp}/out.mkv", "--crf", "99"], 2, "crf"),
        (["{clip}", "{tmp}/out.mp4"], 2, "out.mp4"),
        (["{clip}", "{tmp}/out.mkv", "-c:v", "copy"], 2, "no BSQ video to copy"),
        (["{clip}", "{clip}", "-y"], 2, "both the input and the output"),
        (["{tmp}", "{tmp}/out.mkv"], 1, "folder"),
        (["{tmp}/missing.mp4", "{tmp}/out.mkv"], 1, "missing.mp4"),
        (["{tmp}/a.txt", "{tmp}/out.mkv"], 1, "a.txt"),
        (["{tmp}/empty", "{tmp}/out.mkv"], 1, "empty"),
    ],
)
def test_failures_say_where_in_one_line(
    tmp_path: Path,
    clip: Path,
    arguments: list[str],
    status: int,
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "there.mkv").write_bytes(b"mine")
    (tmp_path / "a.txt").write_bytes(b"hello, world\n" * 40)
    model = TINY_MODEL.read_bytes()
    (tmp_path / "newer.bsqm").write_bytes(model[:6] + b"\2" + model[7:])
    (tmp_path / "empty").touch()
    before = sorted(path.name for path in tmp_path.iterdir())
    filled = [word.format(clip=clip, tmp=tmp_path) for word in arguments]
    assert main(["transcode", *filled]) == status
    assert text in only_error(capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / "there.mkv").read_bytes() == b"mine"


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.geteuid() == 0:
        folder = Path("/proc")  # root writes everywhere else
    assert main(["transcode", str(clip), str(folder / "out.mkv")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{folder / 'out.mkv'}" in line


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--start", "1:99"),
        ("--start", "soon"),
        ("--duration", "-1"),
        ("--scale", "640"),
        ("--scale", "axb"),
        ("--bitrate", "fast"),
        ("--bitrate", "0"),
        ("--crf", "good"),
        ("--threads", "many"),
    ],
)
def test_values_that_cannot_be_read(
    tmp_path: Path, clip: Path, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcode", str(clip), str(tmp_path / "o.mkv"), f"{option}={value}"]) == 2
    assert option in capsys.readouterr().err


def state(frames: int, *, duration: float | None = 10.0) -> Progress:
    return Progress(
        frames=frames,
        total_frames=None if duration is None else 250,
        time=frames / 25,
        duration=duration,
        elapsed=2.0,
        bytes=123_456,
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_renews_one_line() -> None:
    stream = Terminal()
    display = ProgressDisplay(stream=stream)
    display.progress(state(100))
    text = stream.getvalue()
    assert text.startswith("\r")
    assert "\n" not in text
    for part in ("frame 100/250", "40 %", "50.0 fps", "2.00x", "123 kB", "0:03 left"):
        assert part in text, part
    display.warn("something")
    assert stream.getvalue().endswith("\rbsqav: warning: something\n")


def test_progress_elsewhere_is_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("bsqav.cli.display.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    display = ProgressDisplay(stream=stream)
    for second in range(12):
        now[0] = 100.0 + second
        display.progress(state(25 * second + 1, duration=None))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert all("\r" not in line and "left" not in line and "fps" in line for line in lines)
    quiet = io.StringIO()
    silent = ProgressDisplay(quiet=True, stream=quiet)
    now[0] += 100
    silent.progress(state(1))
    silent.warn("something")
    assert quiet.getvalue() == ""


def test_names_in_files_do_not_command_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.mkv"
    bad = ("\x1b[2Jfont\x07.ttf", "font/ttf", b"x" * 9)
    make_clip(path, frames=2, attachment=bad, metadata={"title": "T\x1b]0;owned\x07"})
    assert main(["transcode", str(path), str(tmp_path / "out.mov")]) == 0
    assert main(["info", str(path)]) == 0
    said = capsys.readouterr()
    assert "font" in said.err
    assert "\x1b" not in said.err + said.out
