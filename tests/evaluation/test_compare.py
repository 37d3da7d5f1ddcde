"""The comparison: curves, deltas of a substitute codec, and what happens when parts fail."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from bsqav.evaluation.compare import points as points_module
from bsqav.evaluation.compare.bsq import Encoded
from bsqav.evaluation.compare.comparison import CompareResult
from bsqav.evaluation.compare.reference_encoders import REFERENCES, encode_reference
from bsqav.evaluation.compare.table import format_table
from bsqav.evaluation.io.errors import EvaluationError
from bsqav.evaluation.io.ffmpeg import Run, decode_to_y4m, packet_sizes
from bsqav.evaluation.io.y4m import Y4mHeader
from bsqav.evaluation.metrics.quality import ALWAYS, Quality

from .comparing import compare_with
from .conftest import FRAMES, HEADER, write_y4m

pytestmark = pytest.mark.usefixtures("ffmpeg")


class Borrowed:
    """A codec under test that is a reference in disguise, with its rate scaled."""

    def __init__(self, name: str = "mpeg2", rate: float = 1.0, lost_frames: int = 0) -> None:
        self.reference = REFERENCES[name]
        self.rate = rate
        self.lost_frames = lost_frames

    def encode(self, y4m: Path, crf: float, gop: int, out: Path) -> Encoded:
        run = encode_reference(self.reference, y4m, int(crf), gop, out)
        sizes = [round(self.rate * 1000 * size) for size in packet_sizes(out)]
        return Encoded([size // 1000 for size in sizes], run.seconds, run.command)

    def decode(self, stream: Path, y4m: Path, header: Y4mHeader) -> Run:
        run = decode_to_y4m(stream, y4m, header)
        if self.lost_frames:
            data = y4m.read_bytes()
            y4m.write_bytes(data[: -self.lost_frames * (6 + header.frame_bytes)])
        return run


def compare_mpeg2(clips: list[Path], codec: Borrowed, **options: Any) -> CompareResult:
    return compare_with(
        clips, codecs=["mpeg2"], bsq=codec, crfs=REFERENCES["mpeg2"].points[:4], **options
    )


@pytest.fixture
def short_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four points a reference, to be quick."""
    for name, reference in REFERENCES.items():
        four = dataclasses.replace(reference, points=reference.points[:4])
        monkeypatch.setitem(REFERENCES, name, four)


@pytest.mark.usefixtures("short_curves")
def test_half_the_rate_at_equal_quality_is_minus_fifty_percent(clip: Path) -> None:
    steps: list[str] = []
    result = compare_mpeg2([clip], Borrowed(rate=0.5), gop=4, progress=steps.append)
    assert result.failures == []
    (measured,) = result.clips
    assert (measured.width, measured.height, measured.frames) == (192, 176, FRAMES)
    assert [delta.metric for delta in measured.deltas] == list(ALWAYS)
    for delta in measured.deltas:
        assert delta.rate.value == pytest.approx(-50.0, abs=0.2)
        assert delta.rate.overlap == pytest.approx(1.0)
    assert result.mean_rate("mpeg2", "psnr_y") == (measured.deltas[0].rate.value, 1)
    assert len(steps) == len(measured.points) == 8


@pytest.mark.usefixtures("short_curves")
def test_figures_of_a_point_follow_from_its_packets(clip: Path) -> None:
    result = compare_mpeg2([clip], Borrowed(), frames=5, scale=(96, 88))
    (measured,) = result.clips
    assert (measured.width, measured.height, measured.frames) == (96, 88, 5)
    for point in measured.points:
        assert point.stream_bytes == sum(point.packet_bytes)
        assert point.bits == 8 * point.stream_bytes
        assert point.bpp == pytest.approx(point.bits / (5 * 96 * 88))
        assert point.kbps == pytest.approx(point.bits / 5 * float(HEADER.rate) / 1000)
        assert point.frames == len(point.packet_bytes) == len(point.per_frame["psnr_y"]) == 5
        assert point.ms_ssim is None
        assert point.command.startswith("ffmpeg ")
        assert point.encode_fps == pytest.approx(5 / point.encode_seconds)
    assert "ms_ssim is not defined for 96x88" in measured.notes
    assert [delta.metric for delta in measured.deltas] == ["psnr_y", "psnr_yuv", "vmaf"]
    assert result.failures == []


@pytest.mark.usefixtures("short_curves")
def test_json_holds_everything(clip: Path) -> None:
    result = compare_mpeg2([clip], Borrowed(), frames=3)
    content = json.loads(result.to_json())
    assert content["schema"] == 1
    assert content["tools"]["ffmpeg"].startswith("ffmpeg version")
    (measured,) = content["clips"]
    assert len(measured["points"]) == 8
    point = result.clips[0].points[0]
    assert measured["points"][0]["bits"] == point.bits
    assert measured["points"][0]["psnr_y"] == pytest.approx(point.psnr_y, rel=1e-6)
    assert measured["deltas"][0]["rate"]["overlap"] == pytest.approx(1.0)


@pytest.mark.usefixtures("short_curves")
def test_a_broken_input_among_several_does_not_stop_the_rest(clip: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("not a video\n")
    absent = tmp_path / "absent.mp4"
    result = compare_mpeg2([text, clip, absent], Borrowed(), frames=2)
    assert [len(measured.points) for measured in result.clips] == [0, 8, 0]
    assert len(result.failures) == 2
    assert "notes.mp4" in result.failures[0]
    assert "no such file" in result.failures[1]
    table = format_table(result)
    assert "failed:" in table
    assert "cannot be read as video" in table


@pytest.mark.usefixtures("short_curves")
def test_a_missing_encoder_is_reported_and_the_rest_runs(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        REFERENCES, "x264", dataclasses.replace(REFERENCES["x264"], encoder="libx999")
    )
    result = compare_with([clip], codecs=["x264", "mjpeg"], frames=2)
    (failure,) = result.failures
    assert "no encoder libx999" in failure
    assert {point.codec for point in result.clips[0].points} == {"mjpeg"}


@pytest.mark.usefixtures("short_curves")
def test_a_size_an_encoder_refuses_is_reported(clip: Path) -> None:
    result = compare_with([clip], codecs=["x264", "mpeg2"], frames=2, scale=(65, 49))
    (failure,) = result.failures
    assert "x264 medium takes only even sizes, the clip is 65x49" in failure
    assert len(result.clips[0].points) == 4


def test_curves_without_overlap_are_reported(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def far_apart(decoded: Path, source: Path, metrics: object) -> Quality:
        name, quality = decoded.stem.split("-")
        psnr = (20.0 if name == "bsq" else 40.0) - float(quality) / 10
        return Quality(psnr, psnr, None, psnr, 2, {"psnr_y": [psnr] * 2, "vmaf": [psnr] * 2})

    monkeypatch.setattr(points_module, "measure", far_apart)
    result = compare_mpeg2([clip], Borrowed(), frames=2, metrics=["psnr_y"])
    (failure,) = result.failures
    assert "BD of bsq against mpeg2 in psnr_y: no overlap" in failure
    assert result.clips[0].deltas[0].rate.value is None
    assert result.mean_rate("mpeg2", "psnr_y") == (None, 0)
    assert "no overlap" in format_table(result)


def test_lost_frames_are_never_reported_as_quality(clip: Path) -> None:
    result = compare_with([clip], codecs=[], bsq=Borrowed(lost_frames=1), crfs=[4, 8])
    assert result.clips[0].points == []
    assert len(result.failures) == 2
    assert "has 8 frames, its source has 9" in result.failures[0]


@pytest.mark.usefixtures("short_curves")
def test_too_few_points_are_reported(clip: Path) -> None:
    result = compare_with(
        [clip], codecs=["mjpeg"], bsq=Borrowed(), crfs=[4, 8, 16], metrics=["vmaf"]
    )
    (failure,) = result.failures
    assert "the test curve has 3 points" in failure


def test_a_codec_that_raises_is_reported(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> Encoded:
        raise EvaluationError("no such model")

    codec = Borrowed()
    monkeypatch.setattr(codec, "encode", refuse)
    result = compare_with([clip], codecs=[], bsq=codec, crfs=[4])
    assert result.failures == [f"{clip}: bsq crf 4: no such model"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codecs": ["x999"]}, "unknown x999"),
        ({"metrics": ["lpips"]}, "unknown lpips"),
        ({"gop": 0}, "gop is 0"),
        ({"frames": 0}, "frames is 0"),
        ({"bsq": Borrowed()}, "give crfs"),
    ],
)
def test_wrong_arguments_raise(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    clip = write_y4m(tmp_path / "a.y4m", HEADER, 1)
    with pytest.raises(ValueError, match=message):
        compare_with([clip], **options)
