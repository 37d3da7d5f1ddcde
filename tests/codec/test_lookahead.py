"""The encoder's look-ahead: when packets come, and what it makes of the pictures to come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import bsqav
from bsqav import _core
from tests.codec.streams import (
    Format,
    Plane,
    clip,
    coded_packets,
    decode,
    encode,
    picture_hash,
    ready,
    tiny_model,
)

FORM = Format(96, 72)
PICTURES = clip(FORM, 14)


def arrivals(lookahead: int, count: int = len(PICTURES)) -> tuple[list[int], list[int]]:
    """Packets after every picture, and the pts of all, flushed ones included."""
    encoder = _core.Encoder(FORM.sequence, tiny_model(), lookahead=lookahead, preset="fast")
    after: list[int] = []
    pts: list[int] = []
    for index, planes in enumerate(PICTURES[:count]):
        encoder.send(planes, 4 * index)
        before = len(pts)
        pts += [packet.pts for packet in ready(encoder)]
        after.append(len(pts) - before)
    encoder.flush()
    pts += [packet.pts for packet in ready(encoder)]
    return after, pts


@pytest.mark.parametrize("lookahead", [0, 1, 5, 13, 14, 250])
def test_a_packet_comes_when_so_many_pictures_wait_behind_it(lookahead: int) -> None:
    after, pts = arrivals(lookahead)
    assert after == [int(n >= lookahead) for n in range(len(PICTURES))]
    assert pts == [4 * n for n in range(len(PICTURES))]


def test_nothing_comes_of_nothing() -> None:
    assert arrivals(5, count=0) == ([], [])


def test_none_is_the_default_of_the_library() -> None:
    plain = encode(PICTURES, FORM, preset="fast")
    assert encode(PICTURES, FORM, preset="fast", lookahead=0).packets == plain.packets


@pytest.mark.parametrize("form", [FORM, Format(130, 98), Format(9, 200, "gray", 10), Format(1, 1)])
def test_threads_and_kernels_do_not_matter_and_it_decodes(form: Format) -> None:
    pictures = clip(form, 7)
    stream = encode(pictures, form, lookahead=4, threads=1)
    assert encode(pictures, form, lookahead=4, threads=2).packets == stream.packets
    assert [picture_hash(p) for p in decode(stream.packets)] == stream.hashes
    _core.set_kernels("scalar")
    try:
        assert encode(pictures, form, lookahead=4).packets == stream.packets
    finally:
        _core.set_kernels(None)


def test_keyframes_stay_where_they_are() -> None:
    options: dict[str, Any] = {"gop": 5, "force": [3], "scene_cut": False, "preset": "fast"}
    at_once = encode(PICTURES, FORM, **options)
    assert [n for n, key in enumerate(at_once.keyframes) if key] == [0, 3, 8, 13]
    assert encode(PICTURES, FORM, lookahead=6, **options).keyframes == at_once.keyframes


def test_scene_cuts_stay_where_they_are() -> None:
    pictures = clip(FORM, 11) + clip(FORM, 5, seed=9)
    keyframes = encode(pictures, FORM, preset="fast").keyframes
    assert keyframes[11]
    assert encode(pictures, FORM, preset="fast", lookahead=8).keyframes == keyframes


def test_no_frame_depends_on_later_groups() -> None:
    """With groups of 3, what comes 3 pictures later changes no packet; what comes 2 later does."""
    others = PICTURES[:7] + clip(FORM, 7, seed=5)
    for bframes, changed in [(0, 5), (2, 6)]:  # with B frames packet 5 shows one of packet 4
        options: dict[str, Any] = {"gop": 3, "scene_cut": False, "preset": "fast", "lookahead": 9}
        options["bframes"] = bframes
        stream, other = encode(PICTURES, FORM, **options), encode(others, FORM, **options)
        assert stream.packets[:changed] == other.packets[:changed]
        assert stream.packets[changed] != other.packets[changed]


def test_intra_only_codes_every_picture_as_if_alone() -> None:
    options: dict[str, Any] = {"gop": 1, "preset": "fast", "lookahead": 9}
    alone = [encode([picture], FORM, **options).hashes[0] for picture in PICTURES]
    assert encode(PICTURES, FORM, **options).hashes == alone


def test_the_samples_sent_are_copied() -> None:
    encoder = _core.Encoder(FORM.sequence, tiny_model(), lookahead=4)
    buffers = [np.empty_like(plane) for plane in PICTURES[0]]
    packets = []
    for index, planes in enumerate(PICTURES):
        for buffer, plane in zip(buffers, planes, strict=True):
            buffer[:] = plane
        encoder.send(buffers, 4 * index)
        packets += [packet.data for packet in ready(encoder)]
    encoder.flush()
    packets += [packet.data for packet in ready(encoder)]
    assert packets == encode(PICTURES, FORM, lookahead=4).packets


def test_an_encoder_may_be_left_with_pictures_in_it() -> None:
    encoder = _core.Encoder(FORM.sequence, tiny_model(), lookahead=9)
    for index, planes in enumerate(PICTURES[:5]):
        encoder.send(planes, index)
    del encoder


def test_times_rise_from_picture_to_picture_not_from_packet_to_packet() -> None:
    encoder = _core.Encoder(FORM.sequence, tiny_model(), lookahead=9)
    encoder.send(PICTURES[0], 100)
    encoder.send(PICTURES[1], 104)
    with pytest.raises(bsqav.UsageError, match="pts 104 does not rise above 104"):
        encoder.send(PICTURES[2], 104)
    encoder.send(PICTURES[2], 105)


@pytest.mark.parametrize("passes", [1, 2])
def test_it_goes_with_a_bit_rate(passes: int) -> None:
    pictures = clip(FORM, 30)
    options: dict[str, Any] = {"bitrate": 60_000.0, "gop": 12, "preset": "fast", "lookahead": 7}
    records: list[Any] = []
    for _ in range(passes):
        encoder = _core.Encoder(FORM.sequence, tiny_model(), first_pass=records, **options)
        records, packets = [], []
        for packet in coded_packets(encoder, pictures):
            packets.append(packet)
            records.append(encoder.pass_record)
    assert [packet.pts for packet in packets] == [4 * n for n in range(30)]
    assert [record[3] for record in records] == [packet.keyframe for packet in packets]
    assert encoder.rate["actual_bitrate"] == pytest.approx(
        sum(8 * len(packet.data) for packet in packets) / 1.2
    )


@pytest.mark.parametrize("lookahead", [-1, 251])
def test_out_of_range(lookahead: int) -> None:
    with pytest.raises(bsqav.UsageError, match="lookahead must be 0 to 250"):
        _core.Encoder(FORM.sequence, tiny_model(), lookahead=lookahead)


# ---- importance ----


def texture(height: int, width: int, seed: int = 1) -> npt.NDArray[np.uint8]:
    return clip(Format(width, height, "gray"), 1, seed)[0][0].astype(np.uint8)


def noise(rng: np.random.Generator, height: int, width: int) -> npt.NDArray[np.uint8]:
    return rng.integers(0, 256, (height, width)).astype(np.uint8)


def propagation(pictures: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The propagation cost of the first picture, with P frames only."""
    packets = _core.planned_packets(pictures, lookahead=max(1, len(pictures) - 1), bframes=0)
    [(_, cost)] = packets[0]
    assert cost is not None
    return cost


def test_static_areas_have_a_higher_propagation_cost() -> None:
    """One window of noise, new in every picture, beside a still texture."""
    rng = np.random.default_rng(3)
    still = texture(96, 128)
    pictures = np.stack([still] * 8)
    for picture in pictures:
        picture[32:64, 64:96] = noise(rng, 32, 32)
    worth = propagation(pictures)
    assert worth.shape == (3, 4)
    assert worth[1, 2] < 0.7
    rest = np.delete(worth.ravel(), 6)
    assert rest.min() > 2.0
    assert rest.max() == pytest.approx(3.0, abs=0.1)  # eight pictures hang on it


def test_importance_moves_with_the_picture() -> None:
    """A still picture and one that drifts are worth about the same, except where it leaves."""
    wide = texture(96, 400)
    pictures = np.stack([wide[:, 6 * t : 6 * t + 256] for t in range(8)])
    worth = propagation(pictures)
    assert worth[:, 3:].min() > 1.8
    assert worth[:, 0].max() < 0.8 * worth[:, 3:].min()


def test_a_single_frame_and_a_scene_cut_have_no_propagation_cost() -> None:
    rng = np.random.default_rng(5)
    assert not propagation(texture(64, 64)[None]).any()
    cut = np.stack([noise(rng, 64, 64), noise(rng, 64, 64)])
    assert propagation(cut).max() < 0.4


def test_propagation_refuses_what_is_no_stack_of_frames() -> None:
    with pytest.raises(bsqav.UsageError, match="dimensions"):
        _core.planned_packets(np.zeros((8, 8), np.uint8))
    with pytest.raises(bsqav.UsageError, match="multiples of 8"):
        _core.planned_packets(np.zeros((2, 8, 9), np.uint8))


# ---- files ----


def test_transcode_uses_a_lookahead(tmp_path: Path) -> None:
    sent: list[Plane] = [planes[0] for planes in clip(Format(64, 48, "gray"), 30)]
    with bsqav.open(tmp_path / "in.mkv", "w") as output:
        stream = output.add_stream("bsq", rate=25, options={"lookahead": "3"})
        for planes in sent:
            output.mux(stream.encode(planes))
        output.mux(stream.encode(None))
    results = {}
    for lookahead in (None, 0, 24):
        path = tmp_path / f"{lookahead}.mkv"
        results[lookahead] = bsqav.transcode(
            tmp_path / "in.mkv", path, codec="bsq", lookahead=lookahead
        )
        assert results[lookahead].frames_out == 30
    assert results[None].video_bytes == results[24].video_bytes
    with pytest.raises(bsqav.UsageError, match="lookahead must be 0 to 250 frames, not 251"):
        bsqav.transcode(tmp_path / "in.mkv", tmp_path / "x.mkv", codec="bsq", lookahead=251)
    with pytest.raises(bsqav.UsageError, match="for encoding to BSQ"):
        bsqav.transcode(tmp_path / "in.mkv", tmp_path / "x.mp4", lookahead=4)
