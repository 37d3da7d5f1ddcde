"""Seeks land on the right frame: in a file, in memory, over HTTP, in every container."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

import bsqav
from bsqav import _core
from bsqav.media.transcode.trim import TOLERANCE
from tests.media.clips import make_clip, packets, plane_hash, seconds
from tests.media.containers import InOrder
from tests.media.web import served

FRAMES, GOP, SEEKS = 200, 20, 50
CONTAINERS = ["a.mkv", "a.mov", "fragmented.mov", "a.nut", "list.m3u8"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One clip in every container: sound, B frames, a variable rate."""
    path = tmp_path_factory.mktemp("seek")
    random_times = random.Random(3)
    times = [0]
    while len(times) < FRAMES:
        times.append(times[-1] + random_times.choice((50, 83, 100, 101, 250)))
    clip = make_clip(path / "in.mkv", frames=FRAMES, size=(32, 32), times=times, encoder="ffv1")
    first = path / CONTAINERS[0]
    bsqav.transcode(clip, first, gop=GOP, preset="fast")
    for name in CONTAINERS[1:]:
        if name == "fragmented.mov":
            with (path / name).open("wb") as file:
                bsqav.transcode(first, InOrder(file), codec="copy", format="mov")
        else:
            bsqav.transcode(first, path / name, codec="copy")
    assert b"moof" in (path / "fragmented.mov").read_bytes()
    infos = [_core.probe_packet(data) for _, data in packets(first, "video")]
    assert {info["frames"] for info in infos} >= {0, 1, 2, 4}
    assert max(info["index_in_group"] for info in infos) == GOP - 1
    return path


@contextmanager
def opened(folder: Path, name: str, way: str) -> Iterator[Any]:
    """An open container of ours."""
    with ExitStack() as stack:
        source: Any = folder / name
        if way == "memory":
            source = io.BytesIO(source.read_bytes())
        elif way == "http":
            source = f"{stack.enter_context(served(folder))}/{name}"
        yield stack.enter_context(bsqav.open(source))


def pictures(container: Any, stream: Any) -> Iterator[tuple[int, str]]:
    for frame in container.decode(stream):
        yield frame.pts, plane_hash([frame])


WAYS = [(name, way) for name in CONTAINERS for way in ("file", "memory", "http")]
# A playlist in memory cannot say where the file is that it names.
WAYS.remove(("list.m3u8", "memory"))
# In these, every frame is sought.
WHOLE = {("a.mkv", "file"), ("a.mkv", "http"), ("list.m3u8", "http")}


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_a_seek_shows_what_decoding_from_the_start_does(folder: Path, name: str, way: str) -> None:
    with bsqav.open(folder / CONTAINERS[0]) as container:
        expected = list(pictures(container, container.streams.video[0]))
    assert len(expected) == FRAMES
    chance = random.Random(7)
    if (name, way) in WHOLE:
        times = [pts for pts, _ in expected]
        chance.shuffle(times)
    else:
        times = [chance.randrange(expected[0][0], expected[-1][0] + 50) for _ in range(SEEKS)]
    with opened(folder, name, way) as container:
        stream = container.streams.video[0]
        for time in times:
            # The frame that shows then.
            number = max(n for n, (pts, _) in enumerate(expected) if pts <= time)
            container.seek(time, stream=stream)
            shown: tuple[int, str] | None = None
            for found in pictures(container, stream):
                if found[0] > time:
                    break
                shown = found
            assert shown == expected[number], f"at {time}"


@pytest.mark.parametrize("name", CONTAINERS)
def test_cuts_begin_and_end_at_the_frame(tmp_path: Path, folder: Path, name: str) -> None:
    with bsqav.open(folder / CONTAINERS[0]) as container:
        expected = list(pictures(container, container.streams.video[0]))
    tick = Fraction(1, 1000)
    chance = random.Random(11)
    for turn in range(3):
        start = Fraction(chance.randrange(0, expected[-1][0] - 800), 1000)
        duration = Fraction(chance.randrange(50, 800), 1000)
        target = tmp_path / f"{turn}.mkv"
        source: Any = folder / name
        with ExitStack() as stack:
            if turn == 2:
                source = f"{stack.enter_context(served(folder))}/{name}"
            bsqav.transcode(
                source, target, codec="ffv1", start=start, duration=duration, warn=lambda _: None
            )
        # The duration counts from the first picture, which gets the time 0.
        wanted = [each for each in expected if each[0] * tick >= start - TOLERANCE]
        end = wanted[0][0] * tick + duration
        wanted = [each for each in wanted if each[0] * tick < end - TOLERANCE]
        with av.open(str(target)) as container:
            frames = list(container.decode(video=0))
        assert [plane_hash([frame]) for frame in frames] == [picture for _, picture in wanted]
        assert [seconds(frame) for frame in frames] == [
            (pts - wanted[0][0]) * tick for pts, _ in wanted
        ]
