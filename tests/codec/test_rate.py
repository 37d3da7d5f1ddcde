"""A bit rate is kept: over ten seconds, within the VBV buffer, in one pass and in two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from bsqav import Encoder, _core
from bsqav.codec.encoder import PassRecord
from bsqav.errors import UsageError
from tests.codec.rates import FORM, Pictures, check_same_everywhere, lowest_fullness, mean_rate
from tests.codec.streams import (
    Format,
    clip,
    coded_packets,
    decode,
    encode,
    picture_hash,
    tiny_model,
)
from tests.media_data import DETAIL, WATER

SECONDS = 12


@pytest.fixture(scope="module")
def scenes() -> Pictures:
    """Four scenes of three seconds, of which one hardly moves."""
    scenes = [clip(FORM, 75, seed) for seed in range(4)]
    scenes[2] = [scenes[2][i // 5] for i in range(75)]
    return [planes for scene in scenes for planes in scene]


def rate_at(frames: Pictures, crf: float) -> float:
    """Bits per second at a constant quality."""
    sizes = [len(data) for data in encode(frames, FORM, crf=crf, preset="fast").packets]
    return 8 * sum(sizes) * 25 / len(frames)


@pytest.mark.parametrize(("crf", "lookahead"), [(28, 0), (40, 0), (28, 24), (40, 24)])
def test_ten_seconds_keep_the_rate(scenes: Pictures, crf: float, lookahead: int) -> None:
    """Within 5 %, with B frames within 6 %."""
    bitrate = rate_at(scenes, crf)
    stream = encode(scenes, FORM, bitrate=bitrate, preset="fast", lookahead=lookahead)
    bound = 0.06 if lookahead else 0.05
    assert mean_rate(stream, 0, 250) == pytest.approx(bitrate, rel=bound)
    assert mean_rate(stream, 0, len(scenes)) == pytest.approx(bitrate, rel=bound)
    assert lowest_fullness(stream.packets, stream.pts, bitrate, 1.5) >= 0


@pytest.mark.parametrize(("vbv_buffer", "lookahead"), [(0.5, 0), (4.0, 0), (0.5, 24), (1.5, 24)])
def test_the_vbv_buffer_never_underflows(
    scenes: Pictures, vbv_buffer: float, lookahead: int
) -> None:
    bitrate = rate_at(scenes, 34)
    encoder = _core.Encoder(
        FORM.sequence,
        tiny_model(),
        bitrate=bitrate,
        vbv_buffer=vbv_buffer,
        preset="fast",
        gop=50,
        lookahead=lookahead,
    )
    packets = [packet.data for packet in coded_packets(encoder, scenes)]
    lowest = lowest_fullness(packets, range(0, 4 * len(scenes), 4), bitrate, vbv_buffer)
    report = encoder.rate
    assert lowest >= 0
    assert report["vbv_min_fullness"] == pytest.approx(lowest)
    assert report["vbv_buffer_bits"] == pytest.approx(bitrate * vbv_buffer)
    assert (report["bitrate"], report["underflows"]) == (bitrate, 0)
    assert report["actual_bitrate"] == pytest.approx(sum(map(len, packets)) * 8 / SECONDS)


@pytest.mark.parametrize("lookahead", [0, 12])
def test_frames_coded_again_for_the_buffer_decode(scenes: Pictures, lookahead: int) -> None:
    options: dict[str, Any] = {"vbv_buffer": 0.2, "gop": 20, "lookahead": lookahead}
    stream = encode(scenes[60:100], FORM, bitrate=60_000, preset="fast", **options)
    assert lowest_fullness(stream.packets, stream.pts, 60_000, 0.2) >= 0
    assert [picture_hash(frame) for frame in decode(stream.packets)] == stream.hashes


def test_times_count_and_not_frames(scenes: Pictures) -> None:
    """Every other second has a fifth of the frames."""
    pts = [4 * i for i in range(len(scenes)) if i // 25 % 2 == 0 or i % 5 == 0]
    frames = [scenes[tick // 4] for tick in pts]
    bitrate = rate_at(scenes, 34)
    stream = encode(frames, FORM, pts=pts, bitrate=bitrate, preset="fast")
    assert 8 * sum(map(len, stream.packets)) / SECONDS == pytest.approx(bitrate, rel=0.05)
    assert lowest_fullness(stream.packets, stream.pts, bitrate, 1.5) >= 0


def test_threads_and_kernels_do_not_matter(scenes: Pictures) -> None:
    check_same_everywhere(scenes[60:100], bitrate=60_000, gop=20)


def test_static_frames_take_what_they_need() -> None:
    """The finest quantizer bounds the bits spent, and later frames may not have all the rest."""
    quiet = [clip(FORM, 1)[0]] * 100
    moving = clip(FORM, 50, 7)
    stream = encode(quiet + moving, FORM, bitrate=200_000, preset="fast", scene_cut=False)
    assert mean_rate(stream, 25, 100) < 200_000
    assert lowest_fullness(stream.packets, stream.pts, 200_000, 1.5) >= 0


def test_a_rate_that_no_quantizer_reaches(scenes: Pictures) -> None:
    encoder = Encoder(
        sequence=FORM.sequence, model=tiny_model(), bitrate=200, preset="fast", gop=25
    )
    for index, planes in enumerate(scenes[:50]):
        encoder.encode(planes, pts=4 * index)
    report = encoder.rate
    assert report is not None
    assert report.frames_at_max_q > 40
    assert report.actual_bitrate > 1.05 * report.bitrate
    assert {record.crf for record in encoder.pass_records[20:]} == {63.0}


def coded_at(frames: Pictures, bitrate: float, **options: Any) -> Encoder:
    settings: dict[str, Any] = {"preset": "fast", **options}
    encoder = Encoder(sequence=FORM.sequence, model=tiny_model(), bitrate=bitrate, **settings)
    for index, planes in enumerate(frames):
        encoder.encode(planes, pts=4 * index)
    encoder.flush()
    return encoder


def two_passes(frames: Pictures, bitrate: float, lookahead: int = 0) -> tuple[Encoder, Encoder]:
    first = coded_at(frames, bitrate, lookahead=lookahead)
    records = first.pass_records
    return first, coded_at(frames, bitrate, lookahead=lookahead, first_pass=records)


@pytest.mark.parametrize(("crf", "lookahead"), [(28, 0), (40, 0), (28, 24), (40, 24)])
def test_two_passes_are_within_five_percent(scenes: Pictures, crf: float, lookahead: int) -> None:
    bitrate = rate_at(scenes, crf)
    first, second = two_passes(scenes, bitrate, lookahead)
    records = second.pass_records
    assert sum(record.bits for record in records) / SECONDS == pytest.approx(bitrate, rel=0.05)
    keyframes = [record.keyframe for record in records]
    assert keyframes == [record.keyframe for record in first.pass_records]
    report = second.rate
    assert report is not None
    assert report.underflows == 0
    # The second pass knows what comes, and its quality is more even.
    spread = [np.std([r.crf for r in e.pass_records if not r.keyframe]) for e in (first, second)]
    assert spread[1] < spread[0]


def test_more_frames_than_the_first_pass_had(scenes: Pictures) -> None:
    bitrate = rate_at(scenes, 34)
    first, _ = two_passes(scenes[:100], bitrate)
    second = encode(scenes, FORM, bitrate=bitrate, first_pass=first.pass_records, preset="fast")
    assert len(second.packets) == len(scenes)
    assert mean_rate(second, 0, len(scenes)) == pytest.approx(bitrate, rel=0.05)


RECORD = PassRecord(0.04, 1000.0, 30.0, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bitrate": -1}, "bitrate"),
        ({"bitrate": float("nan")}, "bitrate"),
        ({"bitrate": 1e11}, "bitrate"),
        ({"bitrate": 1e6, "vbv_buffer": 0.01}, "vbv_buffer"),
        ({"bitrate": 1e6, "vbv_buffer": 61}, "vbv_buffer"),
        ({"first_pass": [RECORD]}, "bitrate"),
        ({"bitrate": 1e6, "first_pass": [RECORD._replace(seconds=-1.0)]}, "seconds"),
        ({"bitrate": 1e6, "first_pass": [RECORD, RECORD._replace(bits=0.0)]}, r"first_pass\[1\]"),
        ({"bitrate": 1e6, "first_pass": [RECORD._replace(crf=float("nan"))]}, "crf"),
    ],
)
def test_a_rate_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _core.Encoder(FORM.sequence, tiny_model(), **options)


@pytest.mark.parametrize(
    "options",
    [
        {"bitrate": 1e6, "crf": 30},
        {"bitrate": 0},
        {"vbv_buffer": 2.0},
        {"first_pass": [RECORD]},
    ],
)
def test_a_rate_that_makes_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="bitrate"):
        Encoder(sequence=FORM.sequence, model=tiny_model(), **options)


def test_without_a_rate_there_is_no_report() -> None:
    encoder = Encoder(sequence=FORM.sequence, model=tiny_model())
    encoder.encode(clip(FORM, 1)[0])
    assert encoder.rate is None
    assert encoder.pass_records == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", [DETAIL, WATER])
def test_clips_forward_and_backward(data_dir: Path, name: str) -> None:
    form = Format(320, 180)
    with av.open(str(data_dir / name)) as container:
        images = [f.reformat(320, 180, "yuv420p").to_ndarray() for f in container.decode(video=0)]
    shown = [[f[:180], f[180:225].reshape(90, 160), f[225:].reshape(90, 160)] for f in images]
    turn = shown + shown[-2:0:-1]
    frames: Pictures = [
        [np.ascontiguousarray(p, np.uint8) for p in turn[i % len(turn)]] for i in range(250)
    ]
    for bitrate in (150_000, 600_000):
        stream = encode(frames, form, bitrate=bitrate)
        assert mean_rate(stream, 0, 250) == pytest.approx(bitrate, rel=0.05)
        assert lowest_fullness(stream.packets, stream.pts, bitrate, 1.5) >= 0
