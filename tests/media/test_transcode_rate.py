"""A bit rate through `transcode`: what is reached, what is said, and what is refused."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

import bsqav
from bsqav.cli.main import main
from tests.media.clips import make_clip, packets, payloads

SIZE = (96, 64)
SECONDS = 10
BITRATE = 60_000


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "in.mkv", size=SIZE, frames=25 * SECONDS)


@pytest.mark.parametrize(("two_pass", "tolerance"), [(False, 0.05), (True, 0.02)])
def test_a_rate_is_reached(tmp_path: Path, clip: Path, two_pass: bool, tolerance: float) -> None:
    states: list[bsqav.Progress] = []
    result = bsqav.transcode(
        clip,
        tmp_path / "out.mkv",
        bitrate=BITRATE,
        two_pass=two_pass,
        preset="fast",
        progress=states.append,
    )
    coded = packets(tmp_path / "out.mkv", "video")
    assert len(coded) == 25 * SECONDS
    size = sum(len(data) for _, data in coded)
    assert 8 * size / SECONDS == pytest.approx(BITRATE, rel=tolerance)
    assert result.video_bytes == size
    assert result.video_bitrate == pytest.approx(8 * size / SECONDS)
    assert result.bitrate > result.video_bitrate  # with sound
    assert not result.warnings
    passes = 2 if two_pass else 1
    for number in range(1, passes + 1):
        counts = [state.frames for state in states if state.stage == number]
        assert counts == sorted(counts)
        assert counts[-1] == 25 * SECONDS
    stages = [state.stage for state in states]
    assert stages == sorted(stages)
    assert {state.stages for state in states} == {passes}
    assert states[-1].bitrate > 0
    assert payloads(tmp_path / "out.mkv", "audio") == payloads(clip, "audio")


def test_a_cut_in_two_passes(tmp_path: Path, clip: Path) -> None:
    result = bsqav.transcode(
        clip, tmp_path / "out.mkv", bitrate=BITRATE, two_pass=True, start=2, duration=1.0
    )
    assert result.frames_out == 25


def test_an_unreachable_rate_is_reported_once(tmp_path: Path, clip: Path) -> None:
    with pytest.warns(bsqav.BsqWarning, match="largest quantizer index") as caught:
        result = bsqav.transcode(
            clip, tmp_path / "out.mkv", bitrate=300, two_pass=True, preset="fast", duration=2.0
        )
    assert len([w for w in caught if w.category is bsqav.BsqWarning]) == 1
    assert len(result.warnings) == 1
    assert "crf 63" in result.warnings[0]


def test_the_command_names_the_rate(
    tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--bitrate", "60k", "--two-pass", "--vbv-buffer", "2", "--json", "--duration", "2"]
    assert main(["transcode", str(clip), str(tmp_path / "out.mkv"), *options]) == 0
    captured = capsys.readouterr()
    rate = json.loads(captured.out)["video_bitrate"]
    assert f"{rate / 1000:.0f} of video" in captured.err


def test_two_passes_over_what_is_read_once_are_refused(tmp_path: Path, clip: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for source in ("-", fifo, io.BytesIO(clip.read_bytes())):
        with pytest.raises(bsqav.UsageError, match=r"two.pass"):
            bsqav.transcode(source, tmp_path / "out.mkv", bitrate=BITRATE, two_pass=True)
    assert list(tmp_path.iterdir()) == [fifo]


def test_a_damaged_input_in_two_passes_leaves_the_decodable_part(
    tmp_path: Path, clip: Path
) -> None:
    cut = tmp_path / "cut.mkv"
    data = clip.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    with pytest.raises(bsqav.MediaError, match="good frames are in"):
        bsqav.transcode(cut, tmp_path / "out.mkv", bitrate=BITRATE, two_pass=True, preset="fast")
    assert (tmp_path / "out.mkv.partial").exists()
