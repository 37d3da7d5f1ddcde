"""Ctrl-C and SIGTERM while a program waits: for a server, for a pipe, for a reader."""

from __future__ import annotations

import contextlib
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

import bsqav.media.io.waiting as waiting_calls
from bsqav.media.demux.demuxer import Demuxer
from bsqav.media.io.waiting import Waiting
from tests.media.clips import make_clip

PROGRAM = [sys.executable, "-m", "bsqav"]
# No timing is asserted: a program that does not hear of the signal would wait for ever.
PATIENCE = 120


class Stalling(http.server.BaseHTTPRequestHandler):
    """Sends most of a file, or nothing at all, and then keeps the client waiting."""

    data = b""
    asked = threading.Event()

    def do_GET(self) -> None:
        if self.path.startswith("/most"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.data)))
            self.end_headers()
            self.wfile.write(self.data[: len(self.data) * 9 // 10])
            self.wfile.flush()
        self.asked.set()
        with contextlib.suppress(OSError):
            self.rfile.read(1)  # until the client goes away

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    clip = make_clip(tmp_path_factory.mktemp("served") / "clip.mkv", frames=400, audio=None)
    Stalling.data = clip.read_bytes()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stalling) as serving:
        serving.daemon_threads = True
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()


@contextlib.contextmanager
def running(
    *arguments: str, program: list[str] = PROGRAM, stdout: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The program with what it says on standard error kept, ended in any case."""
    command = [*program, *arguments]
    with subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def telling(ready: Path) -> list[str]:
    """The program, which makes a file as soon as it has waited for input for a second."""
    code = (
        "import sys, pathlib, bsqav.media.io.waiting as waiting, bsqav.cli.main as entry\n"
        "init = waiting.Waiting.__init__\n"
        "def counting(self, cancelled):\n"
        "    polls = []\n"
        "    def polled():\n"
        "        polls.append(1)\n"
        f"        len(polls) > 10 and pathlib.Path({str(ready)!r}).touch()\n"
        "        return cancelled()\n"
        "    init(self, polled)\n"
        "waiting.Waiting.__init__ = counting\n"
        "entry.run()\n"
    )
    return [sys.executable, "-c", code]


def last_line(process: subprocess.Popen[bytes], number: signal.Signals) -> str:
    """Sends a signal; returns the last line that the program says, which ends with status 1."""
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, said
    assert b"Traceback" not in said
    return said.decode().splitlines()[-1]


def wait_for(condition: threading.Event | Path, process: subprocess.Popen[bytes]) -> None:
    """Waits until something has happened while the program runs."""
    deadline = time.monotonic() + PATIENCE
    while not (condition.exists() if isinstance(condition, Path) else condition.is_set()):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)


@pytest.mark.parametrize("command", ["transcode", "info"])
def test_a_server_that_says_nothing(server: str, command: str, tmp_path: Path) -> None:
    Stalling.asked.clear()
    target = [str(tmp_path / "out.mkv")] if command == "transcode" else []
    with running(command, f"{server}/nothing.mkv", *target) as process:
        wait_for(Stalling.asked, process)
        assert "interrupted" in last_line(process, signal.SIGTERM)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_stops_sending(server: str, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    ready = tmp_path / "ready"
    words = ("transcode", f"{server}/most.mkv", str(target), "--lookahead", "0")
    with running(*words, program=telling(ready)) as process:
        wait_for(ready, process)
        line = last_line(process, signal.SIGINT)
    assert "interrupted" in line
    assert not target.exists()
    if "good frames are in" in line:
        with Demuxer(tmp_path / "out.mkv.partial") as demuxer:
            frames = sum(1 for _ in demuxer.demux(demuxer.tracks[0].stream))
        assert f"{frames} good frames" in line


@pytest.mark.parametrize("command", ["transcode", "verify", "play"])
def test_a_pipe_without_a_writer(command: str, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    ready = tmp_path / "ready"
    target = [str(tmp_path / "out.mkv")] if command == "transcode" else []
    with running(command, str(fifo), *target, program=telling(ready)) as process:
        wait_for(ready, process)
        assert "interrupted" in last_line(process, signal.SIGINT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo", "ready"]


def test_a_reader_that_takes_nothing(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", size=(320, 240), frames=20)
    words = ("transcode", str(clip), "-", "-c:v", "rawvideo")
    with running(*words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(1)  # it is at work, and the pipe will be full
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        line = process.stderr.read().decode().splitlines()[-1]
        assert process.wait(PATIENCE) == 1
    assert "interrupted" in line


def test_exit_handlers_run_after_a_pipe_was_read_to_its_end(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", frames=4, audio=None)
    code = (
        "import atexit, bsqav.cli.main as entry\n"
        "atexit.register(print, 'exit handlers ran')\n"
        "entry.run()\n"
    )
    command = [sys.executable, "-c", code, "transcode", "-", str(tmp_path / "out.mkv")]
    with (
        clip.open("rb") as source,
        subprocess.Popen(["cat"], stdin=source, stdout=subprocess.PIPE) as cat,
    ):
        done = subprocess.run(command, stdin=cat.stdout, capture_output=True, check=True)
    assert done.stdout.endswith(b"exit handlers ran\n")


def test_the_second_signal_ends_at_once() -> None:
    """Also inside calls of C code that go on: Python's own handlers wait for their end."""
    code = (
        "import ctypes, sys\n"
        "from bsqav.cli.interrupts import interruptible\n"
        "with interruptible():\n"
        "    print('now', flush=True)\n"
        "    sort = ctypes.CDLL(None).qsort\n"
        "    compare = ctypes.CDLL(None).strcmp\n"
        "    room = ctypes.create_string_buffer(1 << 28)\n"
        "    while True:\n"
        "        sort(room, 1 << 28, 1, compare)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while process.stdout.readline() != b"now\n":
            pass  # what the loader of an editable installation says
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) in (128 + signal.SIGINT, -signal.SIGINT)


def test_an_abandoned_call_closes_what_it_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_calls, "_abandoned", weakref.WeakSet())
    release, closed = threading.Event(), threading.Event()
    waiting = Waiting(lambda: True)
    with pytest.raises(KeyboardInterrupt):
        waiting.call(release.wait)
    assert waiting.is_abandoned
    with pytest.raises(KeyboardInterrupt):
        waiting.call(lambda: None)  # nothing is read any more
    waiting.close(closed.set)
    assert not closed.is_set()
    assert waiting_calls.is_any_abandoned()
    release.set()
    assert closed.wait(PATIENCE)
    assert waiting._thread is not None
    waiting._thread.join(PATIENCE)
    assert not waiting_calls.is_any_abandoned()


def test_calls_come_back_with_what_they_return_or_raise() -> None:
    waiting = Waiting()
    assert waiting.call(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        waiting.call(lambda: 1 / 0)
    assert waiting.call(threading.get_ident) != threading.get_ident()
    waiting.close(lambda: None)
