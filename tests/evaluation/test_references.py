"""Every reference encoder codes a clip, gives each frame back, and keeps to the settings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import av
import pytest

from bsqav.evaluation.compare.reference_encoders import (
    REFERENCES,
    check_reference,
    encode_reference,
)
from bsqav.evaluation.io.errors import EvaluationError, MissingEncoderError
from bsqav.evaluation.io.ffmpeg import decode_to_y4m, packet_sizes, run_ffmpeg
from bsqav.evaluation.io.y4m import Y4mFile
from bsqav.evaluation.metrics.quality import measure

from .conftest import FRAMES, HEADER

pytestmark = pytest.mark.usefixtures("ffmpeg")
GOP = 4


@pytest.mark.parametrize("name", REFERENCES)
def test_each_reference_keeps_frames_interval_and_quality(name: str, clip: Path) -> None:
    reference = REFERENCES[name]
    gop = max(GOP, reference.least_gop)
    check_reference(reference, HEADER.width, HEADER.height, gop)
    stream, decoded = clip.parent / "a.mkv", clip.parent / "a.y4m"
    run = encode_reference(reference, clip, reference.points[0], gop, stream)
    assert run.command.startswith("ffmpeg ")
    assert f"-c:v {reference.encoder}" in run.command
    assert f"{reference.option} {reference.points[0]}" in run.command
    assert str(clip.parent) not in run.command

    decode_to_y4m(stream, decoded, HEADER)
    assert Y4mFile(decoded).header == HEADER
    quality = measure(decoded, clip)
    assert quality.frames == FRAMES
    assert quality.psnr_y > 33

    with av.open(str(stream)) as container:
        packets = [p for p in container.demux(container.streams.video[0]) if p.size]
        assert not container.streams.audio
    assert packet_sizes(stream) == [packet.size for packet in packets]
    assert len(packets) == FRAMES
    keys = [i for i, packet in enumerate(packets) if packet.is_keyframe]
    if reference.intra_only:
        assert len(keys) == FRAMES
    else:
        assert keys[0] == 0
        assert max(b - a for a, b in zip(keys, [*keys[1:], FRAMES], strict=True)) <= gop
        assert len(keys) >= FRAMES // gop


@pytest.mark.parametrize("name", ["mpeg2", "mpeg4", "x264", "x265"])
def test_references_predict_both_ways(name: str, clip: Path) -> None:
    reference = REFERENCES[name]
    stream = clip.parent / "a.mkv"
    encode_reference(reference, clip, reference.points[3], 250, stream)
    with av.open(str(stream)) as container:
        times = [p.pts or 0 for p in container.demux(container.streams.video[0]) if p.size]
    assert times != sorted(times)


def test_a_lower_quality_costs_less(clip: Path) -> None:
    sizes = []
    for quality in REFERENCES["x264"].points:
        encode_reference(REFERENCES["x264"], clip, quality, 250, clip.parent / "a.mkv")
        sizes.append(sum(packet_sizes(clip.parent / "a.mkv")))
    assert sizes == sorted(sizes, reverse=True)


def test_a_missing_encoder_is_named() -> None:
    absent = dataclasses.replace(REFERENCES["x264"], encoder="libx999")
    with pytest.raises(MissingEncoderError, match="libx999"):
        check_reference(absent, 64, 64)


def test_odd_sizes_are_refused_where_the_encoder_does() -> None:
    with pytest.raises(EvaluationError, match="65x48"):
        check_reference(REFERENCES["x265"], 65, 48)
    check_reference(REFERENCES["mpeg2"], 65, 49)


def test_a_failing_command_is_shown_with_its_message(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"absent\.y4m.*No such file"):
        run_ffmpeg(["-i", "absent.y4m", "out.mkv"], tmp_path)


def test_an_interval_that_an_encoder_refuses_is_reported() -> None:
    with pytest.raises(EvaluationError, match="intervals of 16 and more, not 8"):
        check_reference(REFERENCES["vvenc"], 64, 64, 8)
