"""A cap on the rate under crf: the VBV buffer never underflows, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bsqav import Encoder, _core, transcode
from bsqav.errors import UsageError
from tests.codec.rates import FORM, Pictures, check_same_everywhere, lowest_fullness, mean_rate
from tests.codec.streams import (
    TINY_MODEL,
    Stream,
    clip,
    coded_packets,
    decode,
    encode,
    picture_hash,
    tiny_model,
)
from tests.media.clips import make_clip

CRF = 28


@pytest.fixture(scope="module")
def scenes() -> Pictures:
    """Two seconds that hardly move, three that do, and one that hardly moves."""
    quiet = [frame for frame in clip(FORM, 6, 2) for _ in range(12)]
    return [*quiet[:50], *clip(FORM, 75, 3), *quiet[:25]]


@pytest.fixture(scope="module")
def free(scenes: Pictures) -> Stream:
    """By crf alone."""
    return encode(scenes, FORM, crf=CRF, preset="fast", lookahead=8)


def peak(stream: Stream) -> float:
    """Bits of the heaviest second."""
    return max(mean_rate(stream, first, first + 25) for first in range(len(stream.packets) - 25))


def capped(frames: Pictures, maxrate: float, **options: Any) -> tuple[Stream, dict[str, float]]:
    """A stream and the encoder's report on it."""
    settings = {"crf": CRF, "preset": "fast", "lookahead": 8, **options}
    encoder = _core.Encoder(FORM.sequence, tiny_model(), maxrate=maxrate, **settings)
    stream = Stream()
    stream.packets = [packet.data for packet in coded_packets(encoder, frames)]
    stream.pts = list(range(0, 4 * len(frames), 4))
    return stream, encoder.rate


def test_a_cap_that_is_never_reached_changes_nothing(scenes: Pictures, free: Stream) -> None:
    stream, report = capped(scenes, 4 * peak(free))
    assert stream.packets == free.packets
    assert (report["frames_capped"], report["underflows"], report["bitrate"]) == (0, 0, 0)


@pytest.mark.parametrize(("share", "vbv_buffer"), [(0.3, 0.5), (0.6, 1.0), (0.4, 4.0)])
def test_no_second_exceeds_the_vbv_buffer(
    scenes: Pictures, free: Stream, share: float, vbv_buffer: float
) -> None:
    maxrate = share * peak(free)
    stream, report = capped(scenes, maxrate, vbv_buffer=vbv_buffer, gop=60)
    lowest = lowest_fullness(stream.packets, stream.pts, maxrate, vbv_buffer)
    assert lowest >= 0
    assert report["vbv_min_fullness"] == pytest.approx(lowest)
    assert (report["underflows"], report["maxrate"]) == (0, maxrate)
    # What a second can take is what comes in it and what the VBV buffer held.
    assert peak(stream) <= maxrate * (1 + vbv_buffer)
    assert report["frames_capped"] > 0
    # The hard scene has about what it may.
    assert mean_rate(stream, 50, 125) > 0.7 * maxrate
    assert [picture_hash(frame) for frame in decode(stream.packets)]


def test_easy_scenes_keep_the_quality_of_crf(scenes: Pictures, free: Stream) -> None:
    """The cap lowers the rate of the moving scene only; packets of quiet seconds are the same."""
    stream, _ = capped(scenes, 0.5 * peak(free), scene_cut=False)
    whole = encode(scenes, FORM, crf=CRF, preset="fast", lookahead=8, scene_cut=False)
    assert stream.packets[:50] == whole.packets[:50]
    assert mean_rate(stream, 50, 125) < mean_rate(whole, 50, 125)


def qualities(packets: list[bytes]) -> list[float]:
    """The crf of every frame."""
    found: list[float] = []
    for packet in packets:
        crf = _core.probe_packet(packet)["crf"]
        found.append(crf if crf >= 0 else found[-1])
    return found


@pytest.mark.parametrize("share", [0.58, 0.62, 0.68])
def test_quality_recovers_after_a_hard_scene(scenes: Pictures, share: float) -> None:
    quiet = (scenes[:50] + scenes[:50])[:100]
    frames = [*scenes[:25], *scenes[50:100], *quiet]
    options: dict[str, Any] = {"lookahead": 0, "scene_cut": False}
    whole = encode(frames, FORM, crf=CRF, preset="fast", **options)
    stream, report = capped(frames, share * peak(whole), vbv_buffer=0.5, **options)
    assert report["frames_capped"] > 0
    assert qualities(stream.packets)[-10:] == qualities(whole.packets)[-10:]


def test_threads_and_kernels_do_not_matter(scenes: Pictures) -> None:
    check_same_everywhere(scenes[30:60], maxrate=40_000, crf=20, gop=20, lookahead=4)


def test_a_bit_rate_under_a_higher_maxrate(scenes: Pictures, free: Stream) -> None:
    """The mean is the bit rate's; hard scenes may have more than under the bit rate alone."""
    bitrate = 0.5 * peak(free)
    options: dict[str, Any] = {
        "crf": 32,
        "bitrate": bitrate,
        "vbv_buffer": 1.0,
        "lookahead": 0,
    }
    stream, report = capped(scenes, 2 * bitrate, **options)
    assert mean_rate(stream, 0, len(scenes)) == pytest.approx(bitrate, rel=0.05)
    assert lowest_fullness(stream.packets, stream.pts, 2 * bitrate, 1.0) >= 0
    assert (report["bitrate"], report["maxrate"]) == (bitrate, 2 * bitrate)
    assert report["vbv_buffer_bits"] == pytest.approx(2 * bitrate)


def test_a_cap_that_no_quantizer_reaches(scenes: Pictures) -> None:
    _, report = capped(scenes[50:100], 200)
    assert report["frames_at_max_q"] > 30
    assert report["underflows"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maxrate": -1}, "maxrate"),
        ({"maxrate": float("nan")}, "maxrate"),
        ({"maxrate": 1e11}, "maxrate"),
        ({"maxrate": 1e5, "bitrate": 1e6}, "maxrate must not be below bitrate"),
        ({"maxrate": 1e6, "vbv_buffer": 61}, "vbv_buffer"),
    ],
)
def test_a_cap_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _core.Encoder(FORM.sequence, tiny_model(), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maxrate": 0}, "above 0"),
        ({"maxrate": 1e5, "bitrate": 1e6}, "below the bitrate"),
        ({"maxrate": 1e5, "parallel": 2}, "parallel"),
        ({"vbv_buffer": 2.0}, "maxrate"),
    ],
)
def test_a_cap_that_makes_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Encoder(sequence=FORM.sequence, model=tiny_model(), **options)


def test_the_report_of_an_encoder(scenes: Pictures) -> None:
    encoder = Encoder(
        sequence=FORM.sequence, model=tiny_model(), crf=20, maxrate=30_000, vbv_buffer=0.5
    )
    for index, planes in enumerate(scenes[50:100]):
        encoder.encode(planes, pts=4 * index)
    report = encoder.rate
    assert report is not None
    assert (report.bitrate, report.maxrate, report.vbv_buffer_bits) == (0, 30_000, 15_000)
    assert report.frames_capped > 10
    assert report.underflows == 0
    assert encoder.pass_records == ()


def test_a_file_under_a_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_clip(tmp_path / "in.mp4", frames=75, audio=None)
    monkeypatch.setenv("BSQAV_MODEL_PATH", str(TINY_MODEL.parent))
    options: dict[str, Any] = {"crf": 4, "model": tiny_model(), "preset": "fast"}
    free = transcode(source, tmp_path / "free.mkv", **options)
    maxrate = round(0.5 * free.video_bitrate)
    result = transcode(source, tmp_path / "capped.mkv", maxrate=maxrate, vbv_buffer=0.5, **options)
    assert result.video_bytes * 8 <= maxrate * (free.duration + 0.5)
    assert result.video_bytes < np.floor(0.8 * free.video_bytes)
    back = transcode(
        tmp_path / "free.mkv", tmp_path / "back.mp4", codec="libx264", crf=1, maxrate=100_000
    )
    assert back.video_bytes * 8 <= 100_000 * (back.duration + 1.5)
