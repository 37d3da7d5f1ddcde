"""The commands beside transcode, and what the entry point does with errors."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import av
import pytest

import bsqav
from bsqav.cli import main as entry
from bsqav.cli.main import main
from bsqav.media.demux.demuxer import Demuxer
from tests.media.clips import bsq_packets, make_clip

FRAMES = 12
GOP = 5


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(
        tmp_path_factory.mktemp("clips") / "in.mp4",
        frames=FRAMES,
        rotation=90,
        metadata={"title": "A clip"},
        chapters=True,
    )


@pytest.fixture
def coded(clip: Path, tmp_path: Path) -> Path:
    bsqav.transcode(clip, tmp_path / "coded.mkv", gop=GOP)
    return tmp_path / "coded.mkv"


def one_line_of_error(capsys: pytest.CaptureFixture[str]) -> str:
    """The only line on standard error, nothing on standard output."""
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert "Traceback" not in line
    return line


def test_info_shows_streams_and_bits(coded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(coded)]) == 0
    text = capsys.readouterr().out
    stream = ("video bsq", "audio aac", "64x48 yuv420p", "rotation 90")
    for part in (*stream, "12, 3 of them", "frames coded ahead", "crf"):
        assert part in text, part


def test_info_json(coded: Path, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(coded), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    keys = {"format", "duration", "chapters", "metadata", "streams", "bsq", "truncated"}
    assert set(report) == keys
    assert (report["chapters"], report["metadata"]["title"]) == (2, "A clip")
    (track,) = report["bsq"]
    assert (track["packets"], track["keyframes"], track["longest_group"]) == (FRAMES, 3, GOP)
    assert 0 < track["frames_ahead"] < FRAMES
    assert track["layers"][0] >= 1
    assert track["sequence"]["rotation"] == 90
    assert track["bits"]["min"] <= track["bits"]["mean"] <= track["bits"]["max"]
    assert track["model_name"]
    assert main(["info", str(clip), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["bsq"] == []
    assert [s["codec"] for s in report["streams"]][:2] == ["h264", "aac"]


def test_verify_prints_the_hash(
    coded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(coded), "--quiet"]) == 0
    digest, name = capsys.readouterr().out.split(maxsplit=1)
    assert (len(digest), name.strip()) == (64, str(coded))
    assert main(["verify", str(coded), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert (report["hash"], report["frames"], report["keyframes"]) == (digest, FRAMES, 3)
    result = bsqav.transcode(coded, tmp_path / "back.mkv")
    assert result.hash == digest


def test_verify_names_packet_and_byte_of_damage(
    coded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Demuxer(coded) as demuxer:
        packets = [packet.data for packet in bsq_packets(demuxer, demuxer.tracks[0].stream)]
    data = bytearray(coded.read_bytes())
    data[bytes(data).index(packets[6]) + len(packets[6]) // 2] ^= 1
    coded.write_bytes(data)
    assert main(["verify", str(coded)]) == 1
    line = one_line_of_error(capsys)
    assert "packet 6" in line
    assert "byte" in line
    assert str(coded) in line
    assert main(["verify", str(coded), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["packet"]) == (False, 6)
    assert isinstance(report["byte"], int)
    assert main(["info", str(coded)]) == 1
    assert "packet 6" in one_line_of_error(capsys)


def test_verify_of_a_truncated_file(coded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = coded.read_bytes()
    coded.write_bytes(data[: len(data) * 2 // 3])
    assert main(["verify", str(coded)]) == 1
    line = one_line_of_error(capsys)
    assert "packet" in line


def test_verify_of_other_video(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(clip)]) == 1
    assert "no BSQ video" in one_line_of_error(capsys)


@pytest.mark.parametrize("command", ["info", "verify", "play"])
@pytest.mark.parametrize(
    ("name", "content"),
    [("a.txt", b"hello, world\n" * 40), ("empty.mkv", b""), ("missing.mkv", None), ("dir", None)],
)
def test_bad_files(
    tmp_path: Path,
    command: str,
    name: str,
    content: bytes | None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake_player(tmp_path, monkeypatch)
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    elif name == "dir":
        path.mkdir()
    assert main([command, str(path)]) == 1
    assert name in one_line_of_error(capsys)


def test_models(
    tmp_path: Path,
    model_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert main(["models", "list", "--json"]) == 0
    known = json.loads(capsys.readouterr().out)
    identity = next(m["id"] for m in known if Path(m["path"]).parent == model_file.parent)
    assert main(["models"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line[0] for line in listed if identity in line] == ["*"]  # BSQAV_MODEL names it
    assert main(["models", "show", identity[:10], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == identity
    assert main(["models", "show", identity]) == 0
    assert identity in capsys.readouterr().out
    target = tmp_path / "copy.bsqm"
    assert main(["models", "export", identity, str(target)]) == 0
    assert target.read_bytes() == model_file.read_bytes()
    capsys.readouterr()
    assert main(["models", "export", identity, str(target)]) == 1
    assert "exists already" in one_line_of_error(capsys)
    monkeypatch.setenv("BSQAV_MODEL_PATH", str(tmp_path / "nowhere"))
    monkeypatch.delenv("BSQAV_MODEL")
    assert main(["models", "show", identity]) == 1
    assert identity in one_line_of_error(capsys)
    assert main(["models", "import", str(target)]) == 0
    assert main(["models", "show", identity]) == 0
    capsys.readouterr()
    target.write_bytes(b"not a model")
    assert main(["models", "import", str(target)]) == 1
    assert "copy.bsqm" in one_line_of_error(capsys)
    assert main(["models", "import", str(tmp_path / "missing.bsqm")]) == 1
    assert "missing.bsqm" in one_line_of_error(capsys)


def fake_player(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str = "pass") -> None:
    """A program called ffplay, first on the search path."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    player = tools / "ffplay"
    player.write_text(f"#!{sys.executable}\n{code}\n")
    player.chmod(player.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DISPLAY", ":99")


def test_play_pipes_into_the_player(
    coded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = tmp_path / "played.nut"
    code = f"import shutil, sys\nshutil.copyfileobj(sys.stdin.buffer, open({str(saved)!r}, 'wb'))\n"
    fake_player(tmp_path, monkeypatch, code)
    assert main(["play", str(coded)]) == 0
    with av.open(str(saved)) as container:
        shapes = {(frame.width, frame.height) for frame in container.decode(video=0)}
        assert container.streams.audio[0].codec_context.name == "aac"
        assert container.streams.video[0].width < container.streams.video[0].height
    assert len(shapes) == 1  # upright: NUT carries no rotation


def test_a_player_window_may_be_closed(
    coded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_player(tmp_path, monkeypatch, "import sys; sys.stdin.buffer.read(10)")
    assert main(["play", str(coded)]) == 0


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["nonsense"], ["transcode"], ["info", "--nonsense", "x"]):
        assert main(arguments) == 2
    capsys.readouterr()
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    for name, _, _ in entry.COMMANDS:
        assert name in overview
    for name, _, _ in entry.COMMANDS:
        assert main([name, "--help"]) == 0, name
    assert main(["--version"]) == 0


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (bsqav.BitstreamError("bad", packet=3, byte=4), 1, "bsqav: bad (packet 3, byte 4)"),
        (bsqav.UsageError("wrong"), 2, "bsqav: wrong"),
        (FileNotFoundError(2, "No such file", "x"), 1, "bsqav: [Errno 2] No such file: 'x'"),
        (KeyboardInterrupt(), 1, "bsqav: interrupted"),
        (MemoryError(), 1, "bsqav: out of memory"),
        (RuntimeError("two\nlines"), 1, "bsqav: internal error: RuntimeError: two lines; "),
    ],
)
def test_errors_become_one_line(
    error: BaseException,
    status: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("BSQAV_DEBUG", raising=False)

    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr("bsqav.cli.info.run", fail)
    assert main(["info", "x"]) == status
    assert one_line_of_error(capsys).startswith(text)
