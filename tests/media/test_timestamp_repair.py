"""Times that start again go on, sound and frames together, whatever the container."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest

import bsqav
from bsqav.media.transcode.events import SourceFrame
from bsqav.media.transcode.seek_check import must_read_on
from bsqav.media.transcode.source import Source, SourceOptions
from bsqav.media.transcode.timestamp_repair import TimestampRepair
from tests.media.clips import ClipSpec, pictures, seconds

MS = Fraction(1, 1000)
# Name of a part, its container with options, encoders of video and sound, bytes before the first
# packet that a second part leaves out, and how many parts FFmpeg reads of three.
JOINED = [
    ("flv", "flv", {}, "libx264", "aac", 13, 3),
    ("ts", "mpegts", {}, "libx264", "aac", 0, 3),
    ("mpg", "vob", {}, "mpeg2video", "mp2", 0, 3),
    ("webm", "webm", {"live": "1"}, "libvpx", "libopus", 0, 3),
    ("mkv", "matroska", {}, "libx264", "aac", 0, 2),
    ("mp4", "mp4", {"movflags": "frag_keyframe+empty_moov"}, "libx264", "aac", 0, 3),
]


def part(path: Path, row: Any, frames: int) -> bytes:
    """A small file with video at 25 frames a second and sound of the same length."""
    _, form, options, encoder, audio, _, _ = row
    with av.open(str(path), "w", format=form, options=options) as container:
        video: Any = container.add_stream(encoder, rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound: Any = container.add_stream(audio, rate=48000)
        sound.layout = "mono"
        tone = f"sine=r=48000:d={frames / 25}"
        with av.open(tone, format="lavfi") as generator:
            samples = list(generator.decode(audio=0))
        for number, frame in enumerate(pictures(ClipSpec(frames=frames))):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
            while samples and seconds(samples[0]) <= Fraction(number, 25):
                container.mux(sound.encode(samples.pop(0)))
        for each in samples:
            container.mux(sound.encode(each))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path.read_bytes()


def read(path: Path, kind: str) -> list[Fraction]:
    """Times of the packets of a track, in seconds and in their order."""
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        found = container.demux(stream)
        return [p.pts * Fraction(p.time_base) for p in found if p.pts is not None]


@pytest.mark.parametrize("frames", [5, 8, 25])
@pytest.mark.parametrize("row", JOINED, ids=[row[0] for row in JOINED])
def test_files_one_behind_the_other(tmp_path: Path, row: Any, frames: int) -> None:
    first = part(tmp_path / f"part.{row[0]}", row, frames)
    joined = tmp_path / f"joined.{row[0]}"
    joined.write_bytes(first + 2 * first[row[5] :])
    parts = row[6]
    out = tmp_path / "out.mkv"
    result = bsqav.transcode(joined, out, crf=55, preset="fast", warn=lambda _: None)
    assert result.frames_out == parts * frames
    jumps = [said for said in result.warnings if "the timestamps jump at" in said]
    assert len(jumps) == 1
    assert not any("do not rise" in said for said in result.warnings)
    video, sound = read(out, "video"), read(out, "audio")
    assert len(video) == parts * frames
    assert all(Fraction(39, 1000) <= b - a < Fraction(3, 20) for a, b in pairwise(video))
    assert sound == sorted(set(sound))
    # Every part has its sound at its frames: no drift from one part to the next.
    assert abs(video[-1] - sound[-1]) < Fraction(1, 8)
    assert abs((video[frames] - video[0]) - (sound[len(sound) // parts] - sound[0])) < Fraction(
        1, 20
    )


@pytest.mark.parametrize("row", JOINED, ids=[row[0] for row in JOINED])
def test_a_start_in_joined_files(tmp_path: Path, row: Any) -> None:
    first = part(tmp_path / f"part.{row[0]}", row, 25)
    joined = tmp_path / f"joined.{row[0]}"
    joined.write_bytes(first + 2 * first[row[5] :])
    for number in (12, 37):
        source = Source(joined, SourceOptions(start=Fraction(number, 25)), warn=lambda _: None)
        count = sum(isinstance(event, SourceFrame) for event in source.events())
        source.close()
        # Between two parts there may be a little time.
        assert 0 <= count - (25 * row[6] - number) <= 3


# ---- packets made by hand ----


class Container:
    """What is asked of PyAV's container."""

    def __init__(self, name: str = "matroska,webm", flags: int = 0) -> None:
        self.format = SimpleNamespace(name=name, flags=flags)


def packet(
    index: int,
    pts: int,
    *,
    dts: int | None = None,
    key: bool = True,
    kind: str | None = None,
    duration: int = 40,
) -> Any:
    return SimpleNamespace(
        stream_index=index,
        stream=SimpleNamespace(type=kind or ("audio" if index else "video")),
        pts=pts,
        dts=pts if dts is None else dts,
        duration=duration,
        size=100,
        time_base=MS,
        is_keyframe=key,
        is_discard=False,
    )


def repaired(container: Any, packets: list[Any]) -> tuple[list[Any], list[str]]:
    said: list[str] = []
    found = list(TimestampRepair(container, said.append).repaired(packets))
    assert [id(each) for each in found] == [id(each) for each in packets]
    return found, said


TS = Container("mpegts", 0x0200)
FLV: Any = Container("flv")
MKV = Container()


@pytest.mark.parametrize("container", [TS, FLV, MKV])
@pytest.mark.parametrize("early", [-400, -40, 0, 40, 400])
def test_sound_that_is_early_or_late_stays_with_its_frames(container: Any, early: int) -> None:
    """The second part's sound begins `early` milliseconds before its frames."""

    def piece(shift: int) -> list[Any]:
        video = [packet(0, 1000 + 40 * n, key=n == 0) for n in range(25)]
        sound = [packet(1, 1000 - shift + 20 * n, duration=20) for n in range(50)]
        return sorted([*video, *sound], key=lambda each: each.pts)

    first, second = piece(0), piece(early)
    out, said = repaired(container, [*first, *second])
    assert len(said) == 1
    video = [each.pts for each in out if each.stream_index == 0]
    sound = [each.pts for each in out if each.stream_index == 1]
    assert video[25] - sound[50] == early
    assert video == sorted(set(video))
    assert sound == sorted(set(sound))
    assert min(video[25] - video[24] - 40, sound[50] - sound[49] - 20) == 0


def test_many_short_parts_with_all_sound_behind_the_frames() -> None:
    packets = []
    for _ in range(6):
        packets += [packet(0, 40 * n, key=n == 0) for n in range(5)]
        packets += [packet(1, 20 * n, duration=20) for n in range(10)]
    out, said = repaired(TS, packets)
    assert len(said) == 1
    assert [p.pts for p in out if p.stream_index == 0] == [40 * n for n in range(30)]
    assert [p.pts for p in out if p.stream_index == 1] == [20 * n for n in range(60)]


def reordered(count: int, step: int, group: int) -> list[Any]:
    """Video with frames out of order and no decoding times of its own, as FFmpeg reads Matroska."""
    found = []
    for start in range(0, count, group):
        order = [0, *range(group - 1, 0, -1)]
        found += [
            packet(0, step * (start + n), dts=step * (start + n), key=n == 0, duration=step)
            for n in order
        ]
    return found


def jitter(count: int) -> list[Any]:
    draw = random.Random(3)
    late = [20 * n + draw.choice([0, 0, 0, 15, 30]) for n in range(count)]
    return [packet(1, pts, duration=20) for pts in late]


GOOD: dict[str, Callable[[], tuple[Any, list[Any]]]] = {
    "frames out of order, seconds apart": lambda: (MKV, reordered(64, 5000, 8)),
    "a gap of a minute": lambda: (
        MKV,
        [packet(0, 40 * n + (60_000 if n > 9 else 0)) for n in range(20)],
    ),
    "sound that trembles": lambda: (FLV, jitter(200)),
    "one stray time": lambda: (
        FLV,
        [packet(0, 100 if n == 50 else 40 * n, key=n % 25 == 0) for n in range(99)],
    ),
    "sound that steps back a little": lambda: (
        FLV,
        [packet(n % 2, 20 * n - (60 if n % 2 and n > 50 else 0), key=n == 0) for n in range(200)],
    ),
    "subtitles far behind": lambda: (
        MKV,
        [
            packet(2, 0, kind="subtitle") if n % 25 == 0 else packet(0, 40 * n, key=False)
            for n in range(1, 200)
        ],
    ),
    "a track that begins late": lambda: (
        TS,
        [packet(0, 40 * n) for n in range(50)] + [packet(1, 20 * n) for n in range(100)],
    ),
    "times before zero": lambda: (TS, [packet(0, 40 * n - 500) for n in range(50)]),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_no_jump_is_left_alone(name: str) -> None:
    container, packets = GOOD[name]()
    before = [(each.pts, each.dts) for each in packets]
    out, said = repaired(container, packets)
    assert said == []
    assert [(each.pts, each.dts) for each in out] == before


def test_a_leap_forward_counts_where_clocks_may_leap() -> None:
    def recording() -> list[Any]:
        return [
            packet(n % 2, 20 * n + (7_200_000 if n > 60 else 0), key=n % 20 == 0)
            for n in range(200)
        ]

    out, said = repaired(TS, recording())
    assert len(said) == 1
    assert max(b.pts - a.pts for a, b in pairwise(out)) <= 60
    out, said = repaired(FLV, recording())
    assert (said, out[-1].pts) == ([], 20 * 199 + 7_200_000)


def test_nothing_waits_without_a_jump() -> None:
    seen = 0

    def count() -> Any:
        nonlocal seen
        for n in range(50):
            seen += 1
            yield packet(n % 2, 20 * n)

    for number, _ in enumerate(TimestampRepair(FLV, pytest.fail).repaired(count())):
        assert seen == number + 1


def test_what_was_held_comes_before_the_error() -> None:
    def broken() -> Any:
        yield from (packet(0, 40 * n) for n in range(25))
        yield packet(0, 0)
        raise bsqav.MediaError("the end")

    out = []
    with pytest.raises(bsqav.MediaError, match="the end"):
        for each in TimestampRepair(FLV, lambda _: None).repaired(broken()):
            out.append(each.pts)
    assert out == [*range(0, 1000, 40), 1000]


def silent(begin: int, end: int, *, leap: int | None = None, by: int = 0) -> list[Any]:
    """Video of 60 s with sound that is silent for a while; both clocks may leap at a time."""
    packets = [packet(0, 40 * n, key=n % 25 == 0) for n in range(1500)]
    sound = [packet(1, 20 * n, duration=20) for n in range(3000)]
    packets += [each for each in sound if not begin <= each.pts < end]
    packets.sort(key=lambda each: each.pts)
    for each in packets:
        if leap is not None and each.pts >= leap:
            each.pts, each.dts = each.pts + by, each.dts + by
    return packets


@pytest.mark.parametrize("begin", [4000, 6400, 30_000])
def test_a_silent_track_is_no_jump(begin: int) -> None:
    packets = silent(begin, begin + 15_000)
    before = [each.pts for each in packets]
    out, said = repaired(TS, packets)
    assert (said, [each.pts for each in out]) == ([], before)


@pytest.mark.parametrize("by", [-24_000, 7_200_000])
def test_a_jump_during_silence_moves_all_tracks_alike(by: int) -> None:
    before = [each.pts for each in silent(6400, 26_400)]
    out, said = repaired(TS, silent(6400, 26_400, leap=20_000, by=by))
    assert len(said) == 1
    assert [each.pts for each in out] == before


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("by", [-20_000, 12_000, 7_200_000])
def test_a_track_that_ends_before_a_jump_stays_with_the_others(index: int, by: int) -> None:
    def is_there(each: Any) -> bool:
        return each.stream_index != index or not 15_000 <= each.pts < 20_000

    def piece(by: int) -> list[Any]:
        leaping = zip(silent(0, 0), silent(0, 0, leap=20_000, by=by), strict=True)
        return [moved for each, moved in leaping if is_there(each)]

    before = [each.pts for each in piece(0)]
    out, said = repaired(TS, piece(by))
    assert len(said) == 1
    assert [each.pts for each in out] == before


def test_what_waits_is_bounded() -> None:
    """A track ends with a stray time: nobody comes to tell what it meant."""
    packets = [packet(0, 40 * n, key=n % 25 == 0) for n in range(5000)]
    packets.insert(100, packet(1, 2000, duration=20))
    packets.insert(101, packet(1, 0, duration=20))
    given = waiting = 0
    for each in packets:
        each.size = 64 << 10

    def count() -> Any:
        nonlocal given
        for each in packets:
            given += 1
            yield each

    for number, _ in enumerate(TimestampRepair(FLV, lambda _: None).repaired(count())):
        waiting = max(waiting, given - number)
    assert 1000 < waiting <= 1100  # 64 MiB


def test_looking_for_jumps_before_a_seek(tmp_path: Path) -> None:
    path = tmp_path / "part.ts"
    data = part(path, JOINED[1], 25)
    with av.open(str(path)) as container:
        assert not must_read_on(path, container, None)
        with pytest.raises(KeyboardInterrupt):
            must_read_on(path, container, None, lambda: True)
    path.write_bytes(2 * data)
    with av.open(str(path)) as container:
        assert must_read_on(path, container, None)


def test_damage_met_while_looking_for_jumps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: Any) -> Any:
        raise bsqav.MediaError("damaged")

    path = tmp_path / "part.ts"
    part(path, JOINED[1], 25)
    monkeypatch.setattr("bsqav.media.transcode.seek_check.may_jump", damaged)
    with av.open(str(path)) as container:
        assert not must_read_on(path, container, None)
