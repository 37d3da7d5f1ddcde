"""Texts as MOV's samples: in order, none over another, and no abort in FFmpeg's muxer."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from bsqav.media.demux.demuxer import Demuxer
from bsqav.media.mux.muxers import open_muxer
from bsqav.media.mux.subtitles import EMPTY_TEXT, subrip_to_mov_text
from bsqav.media.mux.text_track import TextSample, TextTrack
from tests.media.containers import HEADER, SEQUENCE, TICK, packets_of, sound
from tests.support import ROOT

MS = Fraction(1, 1000)
SRT = b"1\n00:00:00,500 --> 00:00:01,000\nx\n"


def text(name: str) -> bytes:
    return subrip_to_mov_text(name.encode())


def shown(samples: list[TextSample]) -> list[tuple[int, int, str]]:
    """(start, end, text) of what is not empty."""
    return [
        (s.start, s.start + s.duration, s.data[2:].decode()) for s in samples if s.data[2:].strip()
    ]


def test_texts_that_overlap_are_shown_together() -> None:
    track = TextTrack(MS, gapless=False)
    for start, length, name in ((0, 5000, "a"), (2000, 1000, "b"), (9000, 500, "c")):
        track.add(start, length, text(name))
    samples = [*track.until(10_000), *track.finish()]
    assert shown(samples) == [
        (0, 5000, "a"),  # cut short by the next sample, as all containers of this kind do
        (2000, 3000, "a\nb"),
        (3000, 5000, "a"),
        (9000, 9500, "c"),
    ]


def test_a_text_without_an_end_lasts_until_the_next_one() -> None:
    track = TextTrack(MS, gapless=False)
    track.add(1000, 0, text("a"))
    track.add(3000, 0, text("b"))
    samples = [*track.until(4000), *track.finish()]
    assert [(start, name) for start, _, name in shown(samples)] == [(1000, "a"), (3000, "b")]


@pytest.mark.parametrize("seed", range(20))
def test_samples_never_run_backward(seed: int) -> None:
    """Nor leave a gap where fragments need none, whatever comes in whatever order."""
    chance = random.Random(seed)
    track = TextTrack(MS, gapless=True)
    samples, time = list[TextSample](), 0
    for _ in range(200):
        time += chance.choice((0, 0, 40, 1000))
        if chance.random() < 0.3:
            start = time + chance.choice((-3000, -1, 0, 1, 500))
            track.add(start, chance.choice((0, 1, 300, 5000)), text("x"))
        samples += track.until(time)
        last = samples[-1]
        assert last.start + last.duration > time, "never behind the other tracks"
        if chance.random() < 0.1:
            track.keyframe(time)
    samples += track.finish()
    assert samples[0].start == 0
    for one, two in pairwise(samples):
        assert one.duration > 0
        assert one.start <= two.start <= one.start + one.duration


@pytest.mark.parametrize("name", ["a.mov", "fragmented.mov", "a.m3u8"])
def test_texts_keep_their_times_across_fragments(tmp_path: Path, name: str) -> None:
    """At zero, at a keyframe, across one, one behind the other: as they were."""
    path = tmp_path / name
    muxer = open_muxer(path, fragmented="frag" in name)
    video = muxer.add_video(HEADER, SEQUENCE)
    wanted = [(0, 700), (1001, 1400), (1400, 1500), (2600, 3400), (5200, 5300)]
    with av.open(io.BytesIO(SRT), format="srt") as container:
        track = muxer.copy_stream(container.streams.subtitles[0])
    with av.open(sound("aac", 6.0)) as container:
        audio = muxer.copy_stream(container.streams.audio[0])
        heard = packets_of(container, container.streams.audio[0])
        events: list[tuple[Fraction, int, Any]] = [(p.pts * p.time_base, audio, p) for p in heard]
        for start, end in wanted:
            packet: av.Packet[Any] = av.Packet(b"text %d" % start)
            packet.pts = packet.dts = start
            packet.duration, packet.time_base = end - start, MS
            events.append((start * MS, track, packet))
        events += [(1001 * n * TICK, video, n) for n in range(180)]
        for _, index, what in sorted(events, key=lambda event: event[0]):
            if index == video:
                muxer.mux(
                    video,
                    b"frame",
                    pts=1001 * what,
                    duration=1001,
                    keyframe=what % 30 == 0,
                    time_base=TICK,
                )
            else:
                muxer.mux_packet(index, what)
        muxer.close()
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        found = [p for p in packets_of(container, stream) if bytes(p) != EMPTY_TEXT]
        times = [(p.pts * p.time_base, (p.pts + p.duration) * p.time_base) for p in found]
    assert [bytes(p)[2:] for p in found] == [b"text %d" % start for start, _ in wanted]
    for (start, end), (begun, ended) in zip(wanted, times, strict=True):
        assert abs(begun - start * MS) <= MS
        assert abs(ended - end * MS) <= MS


ABORTS = """
import io, random, sys
from fractions import Fraction
import av
from bsqav.errors import BsqError
from bsqav.media.mux.muxers import open_muxer
from tests.media.containers import HEADER, SEQUENCE, packets_of, sound
heard_file = sound("aac", 0.5).getvalue()
for seed in range(int(sys.argv[1]), int(sys.argv[2])):
    chance = random.Random(seed)
    base = chance.choice([(1, 25), (1, 1000), (1001, 30000), (1, 1000000000)])
    muxer = open_muxer(
        io.BytesIO(), format="mov", fragmented=True, warn=lambda _: None
    )
    video = muxer.add_video(HEADER, {**SEQUENCE, "time_base": base})
    with av.open(io.BytesIO(b"1\\n00:00:00,500 --> 00:00:01,000\\nx\\n"), format="srt") as file:
        texts = muxer.copy_stream(file.streams.subtitles[0])
    with av.open(io.BytesIO(heard_file)) as file:
        stream = file.streams.audio[0]
        audio, heard = muxer.copy_stream(stream), packets_of(file, stream)
    step, gop = chance.choice([0.04, 0.001, 1, 10, 0]), chance.choice([1, 2, 10, 1000])
    events = [(n * step, video, n) for n in range(60)]
    early = chance.choice([0, 0.023])
    events += [(n * 0.02 - early, audio, packet) for n, packet in enumerate(heard)]
    time = 0
    for number in range(20):
        time += chance.choice([0, 0, 0.1, 1, 5])
        events.append((time, texts, chance.choice([0, 0.5, 3, 100, -1, 1e5])))
    late = [chance.choice([0, 0.5, 5, 30]) for _ in range(3)]
    events.sort(key=lambda event: event[0] + late[event[1]])
    try:
        for seconds, index, what in events:
            if chance.random() < 0.02:
                seconds = chance.choice([-5, seconds - 3, seconds + 1e4, 1e7, -1e12, 1e15])
            if index == video:
                muxer.mux(
                    video, b"frame", pts=round(Fraction(seconds) / Fraction(*base)),
                    keyframe=what % gop == 0, time_base=Fraction(*base),
                )
                continue
            packet = av.Packet(b"text" if index == texts else bytes(what))
            packet.time_base = Fraction(1, 1000)
            packet.pts = packet.dts = round(seconds * 1000)
            if index == texts:
                packet.duration = round(what * 1000)
            muxer.mux_packet(index, packet)
        muxer.close()
    except BsqError:
        muxer.abort()
"""


def test_nothing_that_a_file_holds_aborts_the_program() -> None:
    """FFmpeg's muxer asserts that times rise; in a process of its own, since that ends it."""
    done = subprocess.run(
        [sys.executable, "-c", ABORTS, "0", "40"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_subtitles_at_zero_with_early_sound_become_a_playlist(tmp_path: Path) -> None:
    """Texts that begin with the sound's priming samples, and short groups."""
    path = tmp_path / "a.m3u8"
    muxer = open_muxer(path)
    video = muxer.add_video(HEADER, SEQUENCE)
    with av.open(io.BytesIO(SRT), format="srt") as container:
        track = muxer.copy_stream(container.streams.subtitles[0])
    with av.open(sound("aac", 1.2)) as container:
        audio = muxer.copy_stream(container.streams.audio[0])
        heard = packets_of(container, container.streams.audio[0])
        assert heard[0].pts < 0
    for start, length in ((-23, 1000), (977, 500)):
        packet: av.Packet[Any] = av.Packet(b"text")
        packet.pts = packet.dts = start
        packet.duration, packet.time_base = length, MS
        muxer.mux_packet(track, packet)
    for packet in heard:
        muxer.mux_packet(audio, packet)
    for number in range(30):
        muxer.mux(
            video, b"f", pts=1001 * number, duration=1001, keyframe=number % 10 == 0, time_base=TICK
        )
    muxer.close()
    with Demuxer(path) as demuxer:
        texts = [bytes(p) for p in demuxer.demux(demuxer.container.streams.subtitles[0])]
    assert [each[2:] for each in texts if each != EMPTY_TEXT] == [b"text", b"text"]
