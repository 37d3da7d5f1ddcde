"""What the command line says of a call that is wrong: one line, with what to do instead."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bsqav.cli.main import main
from tests.media.clips import make_clip
from tests.support import only_error

# The call, the exit status, and what the line must have in it. {d} is the folder, with clip.mkv.
CALLS = [
    ("trascode clip.mkv out.mkv", 2, "did you mean transcode?"),
    ("{d}/clip.mkv out.mkv", 2, "bsqav transcode"),
    ("transcode", 2, "IN and OUT are missing"),
    ("transcode {d}/clip.mkv", 2, "OUT is missing: `bsqav transcode IN OUT`"),
    ("transcode {d}/clip.mkv {d}/o.mkv third.mkv", 2, "'third.mkv' is one argument too many"),
    ("transcode {d}/clip.mkv {d}/o.mkv --cfr 20", 2, "did you mean --crf?"),
    ("transcode {d}/clip.mkv {d}/o.mkv --pix_fmt gray", 2, "did you mean --pix-fmt?"),
    ("transcode {d}/clip.mkv {d}/o.mkv --frobnicate", 2, "transcode --help"),
    ("transcode {d}/clip.mkv {d}/o.mkv --crf", 2, "--crf needs a value: --crf N"),
    ("transcode {d}/clip.mkv {d}/o.mkv --crf good", 2, "--crf: 'good' is no number"),
    ("transcode {d}/clip.mkv {d}/o.mkv --threads 1.5", 2, "--threads: '1.5' is no whole number"),
    ("transcode {d}/clip.mkv {d}/o.mkv --crf 3 --bitrate 1M", 2, "exclude each other"),
    ("transcode {d}/clip.mkv {d}/o.mkv --device gpu", 2, "auto, cpu, cuda"),
    ("transcode {d}/clip.mkv {d}/o.mkv --quiet=yes", 2, "--quiet takes no value"),
    ("transcode {d}/clip.mkv {d}/o.mkv --scale 640", 2, "640x360, 640x-1, -1x360 or 50%"),
    ("transcode {d}/clip.mkv {d}/o.mkv --scale 0%", 2, "50%"),
    ("transcode {d}/clip.mkv {d}/o.mkv --start -5", 2, "00:01:30.25"),
    ("transcode {d}/clip.mkv {d}/o.mkv --start 3 --to 2", 2, "--to 2 s is not behind --start"),
    ("transcode {d}/clip.mkv {d}/o.mkv --fps 30", 2, "numbered images and raw streams"),
    ("transcode {d}/clip.mkv {d}/o.mkv --start-number 3", 2, "in_%04d.png"),
    ("transcode {d}/in_%04d.png {d}/o.mkv", 1, "in_0001.png"),
    ("transcode {d}/clip.mkv {d}/o.mkv -c:v h265", 2, "did you mean libx265?"),
    ("transcode {d}/clip.mkv {d}/o.mkv -c:v libx246", 2, "did you mean libx264?"),
    ("transcode {d}/clip.mkv {d}/o.mkv -c:v flac", 2, "-c:a flac"),
    ("transcode {d}/clip.mkv {d}/o.mkv -c:a acc", 2, "did you mean aac?"),
    ("transcode {d}/clip.mkv {d}/o.mp4", 2, "-c:v libx264"),
    ("transcode {d}/clip.mkv {d}/o.webp", 2, "-c:v libwebp_anim"),
    ("transcode {d}/clip.mkv {d}/o.mp3", 2, "ffmpeg -i IN -vn OUT.mp3"),
    ("transcode {d}/clip.mkv {d}/o", 2, ".mkv, .mov, .nut or .m3u8"),
    ("transcode {d}/clip.mkv {d}/o.mkv -bufsize 1M", 2, "--vbv-buffer T"),
    ("transcode {d}/clip.mkv {d}/o.mkv -vf fps=30", 2, "bsqav transcode - OUT"),
    ("transcode {d}/clip.mkv {d}/o.mkv -r 30", 2, "--fps N"),
    ("transcode {d}/clip.mkv {d}/o.mkv -map 0:v", 2, "--video N"),
    ("transcode {d}/clip.mkv {d}/o.mkv -q:v 3", 2, "--crf N"),
    ("transcode {d}/clip.mkv {d}/o.mkv -b:a 96k", 2, "-c:a CODEC"),
    ("transcode {d}/clip.mkv {d}/o.mkv -c libx265", 2, "-c:v libx265"),
    ("transcode -ss 1 -i {d}/clip.mkv -to 2 {d}/o.mkv", 2, "--duration T"),
    ("transcode -i {d}/clip.mkv -i {d}/b.mkv {d}/o.mkv", 2, "one input at a time"),
    ("info", 2, "FILE is missing: `bsqav info FILE`"),
    ("info --jsn {d}/clip.mkv", 2, "did you mean --json?"),
    ("info {d}/clip.mkv --frame 3", 2, "--plot"),
    ("verify {d}/clip.mkv", 1, "has no BSQ video"),
    ("models shw", 2, "did you mean show?"),
    ("models show nosuch", 1, "bsqav models import FILE"),
    ("compare {d}/clip.mkv --codecs h265", 2, "did you mean x265?"),
    ("compare {d}/clip.mkv --metrics psnr,vamf", 2, "did you mean vmaf?"),
    ("bench --size 50%", 2, "640x360"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("calls")
    make_clip(made / "clip.mkv", frames=3)
    return made


@pytest.mark.parametrize(("call", "status", "remedy"), CALLS, ids=[call[0] for call in CALLS])
def test_a_wrong_call(
    call: str, status: int, remedy: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in folder.iterdir())
    words = [word.replace("{d}", str(folder)) for word in shlex.split(call)]
    assert main(words) == status
    assert remedy in only_error(capsys)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_no_arguments_show_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert "transcode" in captured.out
    assert captured.err == ""


def test_the_package_is_a_program() -> None:
    words = [sys.executable, "-m", "bsqav", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].startswith("bsqav ")


def test_debug_shows_where_an_error_comes_from(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bad = folder / "bad.mkv"
    bad.write_bytes(b"\x1a\x45\xdf\xa3" + bytes(2000))
    assert main(["info", str(bad)]) == 1
    assert len(capfd.readouterr().err.splitlines()) == 1
    words = [sys.executable, "-m", "bsqav", "info", str(bad), "--debug"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "[matroska" in done.stderr  # FFmpeg's own log
    assert done.stderr.splitlines()[-1].startswith("bsqav: ")
