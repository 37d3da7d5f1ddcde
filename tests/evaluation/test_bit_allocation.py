"""`bsqav info --plot`: what it finds in a file, and the picture it draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bsqav
from bsqav import _core
from bsqav.cli.main import main
from bsqav.errors import MediaError, UsageError
from bsqav.evaluation.compare.bit_allocation import examine
from bsqav.evaluation.io.errors import EvaluationError

from .conftest import FRAMES, HEADER, write_y4m


@pytest.fixture
def coded(clip: Path, tmp_path: Path) -> Path:
    out = tmp_path / "coded.mkv"
    bsqav.transcode(clip, out, crf=40, gop=5, preset="fast")
    return out


def test_bits_are_those_of_the_packets(coded: Path) -> None:
    found = examine(coded)
    with bsqav.open(coded) as container:
        packets = [bytes(p) for p in container.demux(video=0) if p.size]
    assert sum(found.bits) == 8 * sum(map(len, packets))
    assert found.bits[0] == 8 * len(packets[0])
    assert found.keyframes == [i % 5 == 0 for i in range(FRAMES)]
    assert found.psnr_y == []
    assert len(found.crf) == FRAMES and all(0 <= crf <= 63 for crf in found.crf)
    assert not found.keyframes[found.shown]
    assert found.bits[found.shown] == max(
        bits for bits, key in zip(found.bits, found.keyframes, strict=True) if not key
    )
    assert found.image.shape == (HEADER.height, HEADER.width, 3)
    assert found.token_bits.shape == (22, 24)
    assert found.token_bits.min() >= 0
    assert found.token_bits.sum() == pytest.approx(found.bits[found.shown])


def test_frames_have_their_bits_wherever_they_are_coded(coded: Path) -> None:
    """Groups of a keyframe and four frames: packet 1 has P4, B2 and B1; packet 3 has B3."""
    with bsqav.open(coded) as container:
        packets = [bytes(p) for p in container.demux(video=0) if p.size]
    frames = [_core.probe_frames(data) for data in packets]
    assert [len(found) for found in frames[:5]] == [1, 3, 0, 1, 0]
    assert [frame["ahead"] for frame in frames[1]] == [3, 1, 0]
    assert [(frame["back"], frame["forth"]) for frame in frames[1]] == [(4, 0), (2, 2), (1, 1)]
    found = examine(coded)
    anchor, middle, _ = frames[1]
    empty = [8 * len(packets[i]) for i in (2, 4)]
    assert [found.bits[i] for i in (2, 4)] == [
        8 * middle["bytes"] + empty[0],
        8 * anchor["bytes"] + empty[1],
    ]
    assert (found.crf[4], found.crf[2]) == (anchor["crf"], middle["crf"])
    assert 0 < found.crf[4] < found.crf[2]
    for shown in (1, 2, 4):
        mapped = examine(coded, frame=shown)
        assert mapped.token_bits.sum() == pytest.approx(found.bits[shown])


def test_quality_is_that_against_the_original(coded: Path, clip: Path) -> None:
    found = examine(coded, frame=0, original=clip)
    assert len(found.psnr_y) == FRAMES
    assert 22 < min(found.psnr_y) <= max(found.psnr_y) < 50
    assert found.shown == 0 and found.keyframes[0]
    assert found.token_bits.sum() == pytest.approx(found.bits[0])


def test_what_does_not_fit_is_refused(coded: Path, clip: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no frame 9: it has 9"):
        examine(coded, frame=FRAMES)
    with pytest.raises(MediaError, match="no BSQ video"):
        examine(clip)
    other = write_y4m(tmp_path / "other.y4m", type(HEADER)(64, 48, HEADER.rate), 2)
    with pytest.raises(EvaluationError, match="quality needs frames of the same format"):
        examine(coded, original=other)


def test_the_command_draws(
    coded: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bits.png"
    assert main(["info", str(coded), "--plot", str(out), "--original", str(clip)]) == 0
    assert "bits per pixel" in capsys.readouterr().out
    pixels = np.asarray(Image.open(out).convert("RGB"))
    assert pixels.shape[1] > 1000
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 500


def test_a_still_is_a_picture_and_a_map(tmp_path: Path) -> None:
    data = bsqav.encode_image(np.full((40, 56, 3), 90, np.uint8), crf=30)
    still = tmp_path / "a.bsq"
    still.write_bytes(data)
    found = examine(still)
    assert (found.bits, found.keyframes) == ([8 * len(data)], [True])
    assert main(["info", str(still), "--plot", str(tmp_path / "a.svg")]) == 0
    assert "<svg" in (tmp_path / "a.svg").read_text()


@pytest.mark.parametrize(
    "options",
    [
        ["--frame", "1"],
        ["--original", "x"],
        ["--plot", "a.gif"],
        ["--plot", "a.png", "--frame", "99"],
    ],
)
def test_wrong_usage_gives_status_two(
    options: list[str], coded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(coded), *options]) == 2
    assert capsys.readouterr().err.startswith("bsqav: ")
