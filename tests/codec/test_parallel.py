"""Parallel groups give one stream, that of one encoder as far as scene cuts allow."""

from __future__ import annotations

import functools
import gc
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bsqav
from bsqav import _core
from bsqav.codec import encoder as encoder_module
from bsqav.codec.parallel import memory_limit, plan_parallel
from tests.codec.streams import Format, Plane, clip, tiny_model

FORM = Format(48, 32)
DRIFT = clip(FORM, 60)


def scene(frames: int, seed: int) -> list[list[Plane]]:
    """A texture that drifts slowly."""
    still = clip(FORM, 1, seed)[0]
    return [[np.roll(plane, n // 4, 1) for plane in still] for n in range(frames)]


# Cuts at 60 and 124; what changes at 130 comes too soon to be another.
SCENES = [*scene(60, 1), *scene(64, 9), *scene(6, 3), *scene(50, 4)]


def opened(form: Format = FORM, **options: Any) -> bsqav.Encoder:
    return bsqav.Encoder(
        sequence=form.sequence, model=tiny_model(), preset="fast", **{"threads": 1, **options}
    )


def coded(
    pictures: Sequence[Sequence[Plane]], form: Format = FORM, **options: Any
) -> list[bsqav.Packet]:
    encoder = opened(form, **options)
    packets = []
    for number, picture in enumerate(pictures):
        packets += encoder.encode(picture, pts=4 * number)
    return packets + encoder.flush()


@functools.cache
def scenes() -> list[bsqav.Packet]:
    return coded(SCENES, parallel=2, gop=50, lookahead=9)


def keyframes(packets: Sequence[bsqav.Packet]) -> list[int]:
    return [number for number, packet in enumerate(packets) if packet.keyframe]


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("bsqav group")]


@pytest.mark.parametrize(("parallel", "count"), [(2, 1), (2, 4), (3, 1), (5, 3)])
def test_the_packets_do_not_depend_on_how_many_work(parallel: int, count: int) -> None:
    again = coded(SCENES, parallel=parallel, threads=count, gop=50, lookahead=9)
    assert again == scenes()


@pytest.mark.parametrize("lookahead", [0, 9, 70])
@pytest.mark.parametrize("gop", [1, 7, 55])
def test_without_scene_cuts_they_are_those_of_one_encoder(lookahead: int, gop: int) -> None:
    """So nothing is lost at the joints: neither the look-ahead nor what a keyframe goes on with."""
    pictures = [*DRIFT, *DRIFT[::-1]][: 60 if gop == 1 else 118]
    options: dict[str, Any] = {"gop": gop, "lookahead": lookahead, "scene_cut": False}
    assert coded(pictures, parallel=2, **options) == coded(pictures, **options)


def test_without_scene_cuts_other_formats_are_too() -> None:
    form = Format(24, 16, "444", 10, alpha=1)
    pictures = clip(form, 60)
    options: dict[str, Any] = {"gop": 52, "lookahead": 5, "scene_cut": False}
    assert coded(pictures, form, parallel=2, **options) == coded(pictures, form, **options)


def test_segments_begin_where_scenes_do() -> None:
    alone = coded(SCENES, gop=50, lookahead=9)
    assert keyframes(scenes()) == keyframes(alone) == [0, 50, 60, 110, 124, 174]


def test_the_stream_decodes_without_a_gap() -> None:
    decoder = bsqav.Decoder(models=[tiny_model()], strict=True)
    frames = [frame for packet in scenes() for frame in decoder.decode(packet)]
    assert [frame.pts for frame in frames] == [4 * n for n in range(len(SCENES))]
    assert [frame.keyframe for frame in frames] == [packet.keyframe for packet in scenes()]
    errors = [
        np.mean((frame.planes[0].astype(float) - picture[0]) ** 2)
        for frame, picture in zip(frames, SCENES, strict=True)
    ]
    assert np.mean(errors) < 255**2 / 10**2.5  # 25 dB


def test_the_group_counter_rises_from_group_to_group() -> None:
    """So a lost keyframe shows where the indices happen to go on, across joints too."""
    assert len(keyframes(scenes())) > 4
    counters = [packet.data[0] & 3 for packet in scenes() if packet.keyframe]
    assert counters == [n % 4 for n in range(len(counters))]
    for first, second in zip(keyframes(scenes())[:-1], keyframes(scenes())[1:], strict=True):
        decoder = bsqav.Decoder(models=[tiny_model()], strict=True)
        for packet in scenes()[first : first + 4]:
            decoder.decode(packet)
        with pytest.raises(bsqav.BitstreamError, match="group"):
            decoder.decode(scenes()[second + 4])


def test_forced_keyframes_stay_and_the_samples_sent_are_copied() -> None:
    encoder = opened(parallel=2, scene_cut=False, lookahead=5)
    buffers = [np.empty_like(plane) for plane in DRIFT[0]]
    packets = []
    for number, picture in enumerate(DRIFT):
        for buffer, plane in zip(buffers, picture, strict=True):
            buffer[:] = plane
        packets += encoder.encode(buffers, pts=4 * number, keyframe=number in (0, 20, 53))
    packets += encoder.flush()
    assert keyframes(packets) == [0, 20, 53]
    lone = opened(scene_cut=False, lookahead=5)
    expected = []
    for number, picture in enumerate(DRIFT):
        expected += lone.encode(picture, pts=4 * number, keyframe=number in (0, 20, 53))
    assert packets == expected + lone.flush()


def test_packets_come_while_pictures_still_go_in() -> None:
    encoder = opened(parallel=2, gop=20, lookahead=3)
    early = [p for n, picture in enumerate(SCENES) for p in encoder.encode(picture, pts=4 * n)]
    assert early
    rest = encoder.drain()
    assert next(rest).pts == 4 * len(early)
    assert encoder.stats["psnr_y"] > 20
    assert len(early) + 1 + sum(1 for _ in rest) == len(SCENES)
    assert encoder.flush() == []
    assert encoder.rate is None
    with pytest.raises(bsqav.EndOfStreamError):
        encoder.encode(SCENES[0], pts=9999)


def test_no_picture_and_one() -> None:
    assert opened(parallel=4).flush() == []
    assert coded(SCENES[:1], parallel=4, lookahead=9) == coded(SCENES[:1], lookahead=9)


def test_where_memory_is_short_fewer_work_and_the_packets_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    picture = sum(plane.nbytes for plane in SCENES[0])
    monkeypatch.setattr(encoder_module, "memory_limit", lambda: 200 * picture)
    encoder = opened(parallel=8, gop=50, lookahead=9)
    assert encoder.parallel == 1
    assert coded(SCENES, parallel=8, gop=50, lookahead=9) == scenes()


@given(
    parallel=st.integers(1, 64),
    gop=st.integers(1, 65535),
    lookahead=st.integers(0, 250),
    picture=st.integers(1, 3 << 27),
    limit=st.integers(1, 1 << 40),
)
def test_what_is_held_is_bounded(
    parallel: int, gop: int, lookahead: int, picture: int, limit: int
) -> None:
    plan = plan_parallel(parallel, gop, lookahead, picture, limit)
    assert 1 <= plan.workers <= parallel
    assert plan.workers == 1 or plan.bytes <= limit
    assert plan.held > plan.ahead + 1  # less would wait for itself
    more = plan_parallel(parallel, gop, lookahead, picture, 2 * limit)
    assert more.workers >= plan.workers
    assert memory_limit() > 0


def test_no_more_is_held_than_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the encoders are; a picture that waits to go in asks whether it shall."""
    go = threading.Event()
    held: list[int] = []

    class Slow:
        header = b""
        stats = None

        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def send(self, *_: Any, **__: Any) -> None:
            go.wait()

        def flush(self) -> None:
            pass

        def receive(self) -> None:
            return None

    def asked() -> None:
        held.append(core._shared.held)
        raise KeyboardInterrupt

    monkeypatch.setattr(_core, "Encoder", Slow)
    encoder = opened(parallel=2, gop=20, lookahead=3, while_waiting=asked)
    core: Any = encoder._core
    try:
        with pytest.raises(KeyboardInterrupt):
            for number in range(10_000):
                encoder.encode(DRIFT[number % 60], pts=number)
    finally:
        go.set()
        encoder.close()
    assert len(held) == 1 and held[0] <= core.plan.held
    assert not threads()


def test_an_error_in_one_group_comes_out_and_ends_the_work() -> None:
    encoder = opened(parallel=2, gop=20, lookahead=3)
    with pytest.raises(bsqav.UsageError, match="duration is out of range"):
        for number, picture in enumerate(SCENES):
            encoder.encode(picture, pts=4 * number, duration=-1 if number == 70 else 0)
        encoder.flush()
    with pytest.raises(bsqav.UsageError, match="duration is out of range"):
        list(encoder._ready())
    encoder.close()
    assert not threads()


def test_a_closed_encoder_says_so() -> None:
    encoder = opened(parallel=2)
    encoder.encode(SCENES[0], pts=0)
    encoder.close()
    with pytest.raises(bsqav.EndOfStreamError, match="closed"):
        list(encoder.drain())


def test_an_encoder_may_be_left_with_pictures_in_it() -> None:
    encoder = opened(parallel=3, lookahead=9)
    for number, picture in enumerate(SCENES[:30]):
        encoder.encode(picture, pts=4 * number)
    del encoder
    gc.collect()
    deadline = time.monotonic() + 30
    while threads():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("parallel", [0, -1, 65])
def test_numbers_out_of_range_are_refused(parallel: int) -> None:
    with pytest.raises(bsqav.UsageError, match=r"parallel -?\d+ is not in 1 .. 64"):
        opened(parallel=parallel)


def test_what_does_not_go_with_it_is_refused() -> None:
    with pytest.raises(bsqav.UsageError, match="bit rate"):
        opened(parallel=2, bitrate=100_000)
    with pytest.raises(bsqav.UsageError, match="gop"):
        opened(parallel=2, gop=0)
    with pytest.raises(bsqav.UsageError, match="lookahead"):
        opened(parallel=2, lookahead=251)
