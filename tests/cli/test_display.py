"""What is shown: progress that fits the terminal, and nothing that commands it."""

from __future__ import annotations

import json
import os
import pty
import struct
import termios
import warnings
from dataclasses import replace
from fcntl import ioctl
from pathlib import Path

import pytest

import bsqav
from bsqav.cli import info as command
from bsqav.cli import models
from bsqav.cli.display import ProgressDisplay, describe, show
from bsqav.cli.main import main
from bsqav.codec.models import list_models
from bsqav.errors import BsqWarning
from bsqav.evaluation.compare.table import COLUMNS, fitted
from bsqav.media.inspect import inspection
from bsqav.media.io.progress import Progress
from tests.media.clips import make_clip

# Moves the cursor, sets the title, rings the bell, and an 8-bit control code.
CODES = "\x1b[2Jx\x1b]0;owned\x07\x9b31m"


def state(frames: int, *, stages: int = 1) -> Progress:
    return Progress(
        frames=frames,
        total_frames=100_000,
        time=frames / 25,
        duration=4000.0,
        elapsed=100.0,
        bytes=frames * 1000,
        stages=stages,
        frames_in=frames + 24,
    )


@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize("columns", [120, 80, 60, 50, 40, 30, 20, 10])
def test_a_state_fits(columns: int, stages: int) -> None:
    whole = describe(state(99_999, stages=stages))
    line = describe(state(99_999, stages=stages), columns)
    assert len(line) <= columns
    assert (line == whole) is (len(whole) <= columns)
    if columns >= 30:
        assert "100 %" in line
    if columns >= 50:
        assert "frame 99999/100000" in line
        assert "0:00 left" in line


def test_the_line_follows_the_terminal() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        display = ProgressDisplay(stream=terminal)
        for columns in (120, 50):
            ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            display._next = 0.0
            display.progress(state(1000, stages=2))
            shown = os.read(ours, 4096).decode()
            assert shown.startswith("\r")
            assert "\n" not in shown
            line = shown.strip("\r").rstrip()
            assert line == describe(state(1000, stages=2), columns - 1)
            assert len(shown.strip("\r")) < columns
    os.close(ours)


@pytest.mark.parametrize("options", [{}, {"bitrate": 100_000, "two_pass": True}, {"parallel": 2}])
def test_progress_counts_what_came_out(tmp_path: Path, options: dict[str, object]) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=40, audio=None)
    states: list[Progress] = []
    bsqav.transcode(clip, tmp_path / "out.mkv", progress=states.append, gop=12, **options)  # type: ignore[arg-type]
    for stage in {each.stage for each in states}:
        part = [each for each in states if each.stage == stage]
        counts = [each.frames for each in part]
        assert counts == sorted(counts)
        assert all(each.frames <= each.frames_in for each in part)
        assert max(each.frames_in - each.frames for each in part) >= 12  # held by the look-ahead
        assert (part[-1].frames, part[-1].frames_in) == (40, 40)
        assert part[-1].fraction == 1
        # The input has been read before the last frames have been written.
        ended = [each for each in part if each.frames_in == 40]
        assert min(each.fraction or 0 for each in ended) < 0.9


def test_progress_of_other_encoders_counts_what_came_out(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=60, audio=None)
    bsqav.transcode(clip, tmp_path / "coded.mkv")
    states: list[Progress] = []
    bsqav.transcode(tmp_path / "coded.mkv", tmp_path / "out.mp4", progress=states.append)
    assert all(each.frames <= each.frames_in for each in states)
    assert states[20].frames < states[20].frames_in
    assert states[-1].frames == 60


def test_show_keeps_lines_and_makes_codes_visible(capsys: pytest.CaptureFixture[str]) -> None:
    show(f"one\ntwo {CODES}\r\u202e\ud800")
    assert capsys.readouterr().out.splitlines() == [
        "one",
        "two \ufffd[2Jx\ufffd]0;owned\ufffd\ufffd31m\ufffd\ufffd\ufffd",
    ]


def assert_harmless(text: str) -> None:
    assert all(char.isprintable() or char == "\n" for char in text), ascii(text)


@pytest.mark.parametrize(
    "call", ["info", "verify", "play", "transcode", "transcode -c:v copy", "models", "compare"]
)
def test_nothing_in_a_file_commands_the_terminal(
    call: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    clip = make_clip(
        tmp_path / f"{CODES} in.mkv",
        frames=2,
        metadata={"title": CODES, f"k{CODES}": CODES},
        attachment=(f"{CODES}.ttf", "font/ttf", b"x"),
    )
    bsqav.transcode(clip, tmp_path / f"{CODES}.mkv", warn=lambda _: None)
    coded = tmp_path / f"{CODES}.mkv"
    damaged = bytearray(coded.read_bytes())
    damaged[-60] ^= 0xFF
    (tmp_path / f"{CODES}bad.mkv").write_bytes(damaged)
    name, *options = call.split()
    for file in (clip, coded, tmp_path / f"{CODES}bad.mkv", tmp_path / f"{CODES}missing"):
        target = [str(tmp_path / f"{CODES}out.mov"), "-y"] if name == "transcode" else []
        words = ["show", str(file)] if name == "models" else [str(file), *target]
        if name == "compare":
            words += ["--codecs", CODES]
        main([name, *options, *words])
    said = capsys.readouterr()
    assert "owned" in said.err + said.out
    assert_harmless(said.err + said.out)


def test_a_models_name_is_shown_harmlessly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's model may be called anything."""
    clip = make_clip(tmp_path / "in.mkv", frames=2)
    bsqav.transcode(clip, tmp_path / "coded.mkv", warn=lambda _: None)
    inspect = inspection.inspect

    def named(*args: object, **kwargs: object) -> object:
        report = inspect(*args, **kwargs)  # type: ignore[arg-type]
        for track in report.bsq:
            track.model_name = CODES
        return report

    monkeypatch.setattr(command, "inspect", named)
    monkeypatch.setattr(models, "list_models", lambda: [replace(list_models()[0], name=CODES)])
    assert main(["info", str(tmp_path / "coded.mkv")]) == 0
    assert main(["models"]) == 0
    said = capsys.readouterr()
    assert said.out.count("owned") == 2
    assert_harmless(said.out + said.err)


def test_warnings_of_the_library_are_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def warn(_: object) -> int:
        warnings.warn(f"left out: {CODES}", BsqWarning, stacklevel=1)
        return 0

    monkeypatch.setattr("bsqav.cli.info.run", warn)
    assert main(["info", "x"]) == 0
    assert capsys.readouterr().err == (
        "bsqav: warning: left out: \ufffd[2Jx\ufffd]0;owned\ufffd\ufffd31m\n"
    )


def test_json_is_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=2, metadata={"title": CODES})
    assert main(["info", str(clip), "--json"]) == 0
    said = capsys.readouterr().out
    assert_harmless(said)
    assert json.loads(said)["metadata"]["title"] == CODES


def test_tables_fit_the_terminal() -> None:
    head = ["codec", "quality", "bpp", "kbit/s", *(f"metric {n}" for n in range(7)), "enc MB"]
    row = ["svtav1", "crf 26.5", *("1234.56" for _ in head[2:])]
    lines = fitted([head, row, row])
    assert max(map(len, lines)) <= COLUMNS == 80
    assert " ".join(lines).count("1234.56") == 2 * len(row[2:])
    assert lines.count("") == sum(line.startswith("  codec") for line in lines) - 1
