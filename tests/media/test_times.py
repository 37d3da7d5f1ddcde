"""The time of every frame comes back exactly: variable, negative and huge, in every container."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import av
import pytest

import bsqav
from bsqav.codec import Encoder
from bsqav.media.demux.demuxer import Demuxer
from bsqav.media.mux.muxers import open_muxer
from tests.codec.streams import Format, clip, tiny_model
from tests.media.clips import seconds
from tests.media.containers import mux_packets

CLIP = clip(Format(32, 24), 9)
CONTAINERS = ["a.mkv", "a.mov", "fragmented.mov", "a.nut", "a.m3u8"]
RANDOM = random.Random(5)
STEPS = [RANDOM.choice((1, 7, 100, 1501, 3003, 90000)) for _ in CLIP]
# Seconds per tick, and the time of every frame.
TIMES = {
    "constant": (Fraction(1001, 30000), list(range(9))),
    "variable": (Fraction(1, 90000), [sum(STEPS[:n]) for n in range(9)]),
    "microseconds": (Fraction(1, 1000000), [n * 33367 + n % 3 for n in range(9)]),
    "late": (Fraction(1, 1000), [7_200_000 + 40 * n for n in range(9)]),
    "huge": (Fraction(1, 90000), [2**40 + 3003 * n for n in range(9)]),
    "negative": (Fraction(1, 90000), [-9009 + 3003 * n for n in range(9)]),
}


def write(path: Path, time_base: Fraction, times: list[int]) -> None:
    """One BSQ track with these times."""
    encoder = Encoder(32, 24, model=tiny_model(), time_base=time_base, gop=4)
    muxer = open_muxer(path, fragmented="frag" in path.name)
    try:
        track = muxer.add_video(encoder.header, encoder.sequence)
        packets = [
            packet
            for planes, pts in zip(CLIP, times, strict=True)
            for packet in encoder.encode(planes, pts=pts)
        ]
        mux_packets(muxer, track, [*packets, *encoder.flush()])
    except bsqav.MediaError:
        muxer.abort()
        raise
    muxer.close()


def times_of(path: Path) -> list[Fraction]:
    with Demuxer(path) as demuxer:
        return [seconds(p) for p in demuxer.demux(demuxer.tracks[0])]


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("kind", TIMES)
def test_times_are_exact(tmp_path: Path, name: str, kind: str) -> None:
    time_base, times = TIMES[kind]
    path = tmp_path / name
    if kind == "negative" and name != "a.mkv":
        # Other programs see the file moved; the packets say the exact times.
        with pytest.warns(bsqav.BsqWarning, match=r"is 0\.100 s before zero"):
            write(path, time_base, times)
        with av.open(str(path)) as container:
            assert container.streams.video[0].start_time == 0
    else:
        write(path, time_base, times)
    found = times_of(path)
    exact = [pts * time_base for pts in times]
    assert found == exact


@pytest.mark.parametrize("name", CONTAINERS[1:])
def test_times_stay_through_a_chain_of_copies(tmp_path: Path, name: str) -> None:
    time_base, times = TIMES["variable"]
    first, second, third = tmp_path / "first.mkv", tmp_path / name, tmp_path / "third.mkv"
    write(first, time_base, times)
    bsqav.transcode(first, second, codec="copy")
    bsqav.transcode(second, third, codec="copy")
    assert times_of(first) == times_of(second) == times_of(third)
