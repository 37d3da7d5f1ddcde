"""`-c:v copy` with a start and a duration, and streams that begin between keyframes."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

import bsqav
from bsqav.errors import BitstreamError, BsqWarning, MediaError, UsageError
from bsqav.media.demux.demuxer import Demuxer
from bsqav.media.inspect.frame_reader import FrameReader
from bsqav.media.inspect.verification import verify
from bsqav.media.mux.muxers import open_muxer
from tests.media.clips import (
    bsq_packets,
    frame_hashes,
    make_clip,
    packets,
    plane_hash,
    seconds,
    ticks,
)
from tests.media.containers import InOrder, mux_packets
from tests.media.test_transcode_cut import Pipe

RATE, GOP, FRAMES = 25, 12, 75
CONTAINERS = ("mkv", "mov", "nut")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip with sound as BSQ in every container, keyframes every 12 frames."""
    folder = tmp_path_factory.mktemp("copies")
    clip = make_clip(folder / "clip.mkv", frames=FRAMES)
    bsqav.transcode(clip, folder / "all.mkv", gop=GOP, preset="fast")
    for suffix in CONTAINERS[1:]:
        bsqav.transcode(folder / "all.mkv", folder / f"all.{suffix}", codec="copy")
    return folder


@pytest.fixture(scope="module")
def hashes(folder: Path) -> list[str]:
    """Of every picture of the whole clip."""
    return frame_hashes(folder / "all.mkv")


def timed_pictures(path: Path) -> list[tuple[str, Fraction]]:
    with bsqav.open(path) as container:
        return [(plane_hash([frame]), seconds(frame)) for frame in container.decode(video=0)]


def copy(source: Any, target: Any, **options: Any) -> bsqav.TranscodeResult:
    return bsqav.transcode(source, target, codec="copy", **options)


def copy_said(source: Any, target: Path, first: int, **options: Any) -> bsqav.TranscodeResult:
    """A copy from a frame on, which is said to begin earlier where that is no keyframe."""
    said: list[str] = []
    start = Fraction(first, RATE)
    result = copy(source, target, start=start, warn=said.append, **options)
    early = Fraction(first % GOP, RATE)
    assert said == (
        [
            f"what is copied begins with a keyframe: {float(early):.3f} s before the start "
            "that was asked for"
        ]
        if early
        else []
    )
    return result


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_twenty_places(tmp_path: Path, folder: Path, hashes: list[str], suffix: str) -> None:
    rng = random.Random(suffix)
    for first in [0, GOP, GOP + 1, FRAMES - 1, *rng.sample(range(2, FRAMES - 1), 16)]:
        count = rng.randint(1, FRAMES - first)
        target = tmp_path / f"part.{suffix}"
        result = copy_said(
            folder / f"all.{suffix}",
            target,
            first,
            duration=Fraction(count, RATE),
            overwrite=True,
        )
        begin = first - first % GOP
        wanted = hashes[begin : first + count]
        timed = [(picture, Fraction(n, RATE)) for n, picture in enumerate(wanted)]
        assert timed_pictures(target) == timed, (first, count)
        assert result.frames_out == verify(target).frames == len(wanted)


@pytest.mark.parametrize("suffix", [*CONTAINERS, "m3u8"])
def test_sound_begins_with_the_pictures(tmp_path: Path, folder: Path, suffix: str) -> None:
    copy_said(folder / "all.mkv", tmp_path / f"part.{suffix}", 30, duration=1)
    whole = packets(folder / "all.mkv", "audio")
    begin, end = Fraction(24, RATE), Fraction(30, RATE) + 1
    wanted = [data for time, data in whole if begin <= time < end]
    with bsqav.open(tmp_path / f"part.{suffix}") as container:
        found = [packet for packet in container.demux(audio=0) if packet.size]
    assert [bytes(packet) for packet in found] == wanted
    first = seconds(found[0])
    assert abs(first - (next(t for t, _ in whole if t >= begin) - begin)) < Fraction(2, 1000)


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_from_a_pipe(tmp_path: Path, folder: Path, hashes: list[str], suffix: str) -> None:
    target = tmp_path / "part.mkv"
    if suffix == "mov":  # its table comes last
        copy(folder / "all.mov", tmp_path / "fragments.mov", format="mov")
        with (folder / "all.mkv").open("rb") as file, (tmp_path / "f.mov").open("wb") as pipe:
            copy(file, InOrder(pipe), format="mov")
        source = tmp_path / "f.mov"
    else:
        source = folder / f"all.{suffix}"
    with source.open("rb") as file:
        copy_said(Pipe(file), target, 41, duration=Fraction(4, RATE))
    assert frame_hashes(target) == hashes[36:45]


def test_a_start_between_the_last_frame_of_a_group_and_the_next_keyframe(
    tmp_path: Path, folder: Path, hashes: list[str]
) -> None:
    copy(
        folder / "all.mkv",
        tmp_path / "part.mkv",
        start=Fraction(2 * GOP - 1, RATE) + Fraction("0.02"),
    )
    assert frame_hashes(tmp_path / "part.mkv") == hashes[2 * GOP :]


def test_a_start_behind_the_end(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UsageError, match=r"after the last frame of .*, which is at 2\.960 s"):
        copy(folder / "all.mkv", tmp_path / "part.mkv", start=3)
    assert list(tmp_path.iterdir()) == []


# ---- streams that begin between keyframes ----


def without_head(source: Path, target: Path, drop: int, keep: int = FRAMES) -> Path:
    """What other tools cut: BSQ packets from number `drop` on, times from zero."""
    muxer = open_muxer(target)
    with Demuxer(source) as demuxer:
        track = demuxer.tracks[0]
        made = muxer.add_video(track.header, track.sequence)
        kept = bsq_packets(demuxer, track)[drop : drop + keep]
    mux_packets(muxer, made, kept, move=-ticks(kept[0]))
    muxer.close()
    return target


SAID = "the video begins between keyframes: its first 7 packets cannot be shown"


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_packets_before_the_first_keyframe_are_left_out_and_counted(
    tmp_path: Path, folder: Path, hashes: list[str], suffix: str
) -> None:
    cut = without_head(folder / "all.mkv", tmp_path / f"cut.{suffix}", 5)
    wanted = hashes[GOP:]
    said: list[str] = []
    bsqav.transcode(cut, tmp_path / "decoded.mkv", codec="ffv1", warn=said.append)
    assert said == [SAID]
    with av.open(str(tmp_path / "decoded.mkv")) as container:
        shown = list(container.decode(video=0))
    assert [plane_hash([frame]) for frame in shown] == wanted
    assert shown[0].time == pytest.approx(7 / RATE), "it stays where it was beside the sound"

    said.clear()
    copy(cut, tmp_path / "copy.mkv", warn=said.append)
    assert said == [SAID]
    assert frame_hashes(tmp_path / "copy.mkv") == wanted

    with pytest.warns(BsqWarning, match=SAID):
        assert verify(cut).frames == len(wanted)
    with pytest.warns(BsqWarning, match=SAID):
        assert frame_hashes(cut) == wanted
    with pytest.warns(BsqWarning, match=SAID), FrameReader(cut) as reader:
        assert len(reader) == len(wanted)
        assert plane_hash([reader.frame(3).to_video_frame()]) == wanted[3]


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_no_keyframe_at_all(tmp_path: Path, folder: Path, suffix: str) -> None:
    cut = without_head(folder / "all.mkv", tmp_path / f"cut.{suffix}", 5, keep=6)
    if suffix == "nut":  # its private data is in no reader's reach
        with pytest.raises(BitstreamError, match="track 0 is BSQ video without a keyframe"):
            Demuxer(cut)
        return
    with Demuxer(cut) as demuxer:
        track = demuxer.tracks[0]
        assert (track.width, track.height, track.pix_fmt) == (64, 48, "yuv420p")
    with pytest.raises(MediaError, match=r"6 packets of BSQ video \(64x48\) and no keyframe"):
        bsqav.transcode(cut, tmp_path / "out.mkv", codec="ffv1")
    with pytest.raises(MediaError, match="no keyframe"):
        verify(cut)


# ---- starts where nothing decodes behind a seek ----


def test_a_start_steps_back_to_where_a_picture_decodes(tmp_path: Path) -> None:
    """H.264 whose only keyframe is the first: what a container calls one later decodes to none."""
    clip = tmp_path / "refresh.mkv"
    options = {"intra-refresh": "1", "g": "250", "bf": "0", "crf": "10"}
    with av.open("testsrc2=s=64x48:r=25:d=4", format="lavfi") as made, av.open(clip, "w") as output:
        stream: Any = output.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in made.decode(video=0):
            picture = frame.reformat(format="yuv420p")
            picture.pict_type = 0
            for packet in stream.encode(picture):
                packet.is_keyframe = packet.is_keyframe or packet.pts % 25 == 0
                output.mux(packet)
        for packet in stream.encode(None):
            output.mux(packet)
    with av.open(str(clip)) as container:
        whole = [plane_hash([frame]) for frame in container.decode(video=0)]
    for start in ("0.52", "1", "2.4", "3.96"):
        target = tmp_path / "part.mkv"
        bsqav.transcode(clip, target, codec="ffv1", start=start, overwrite=True)
        with av.open(str(target)) as container:
            found = [plane_hash([frame]) for frame in container.decode(video=0)]
        assert found == whole[int(Fraction(start) * RATE) :], start
