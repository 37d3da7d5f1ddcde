"""Every container through the one face of muxers."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import bsqav
from bsqav.errors import UnsupportedError, UsageError
from bsqav.media.demux.demuxer import BsqPacket, Demuxer
from bsqav.media.io.output_file import OutputExistsError, OutputFile
from bsqav.media.metadata.file_metadata import Attachment, Chapter, chapters_of
from bsqav.media.mux.base import Muxer
from bsqav.media.mux.muxers import format_of, open_muxer
from tests.media.clips import make_clip, seconds
from tests.media.containers import (
    HEADER,
    SEQUENCE,
    TICK,
    Pipe,
    mux_video,
    packets_of,
    samples_of,
    sound,
)
from tests.media.test_matroska import SUBTITLES

FORMATS = ["matroska", "mov", "nut"]


@pytest.mark.parametrize("name", FORMATS)
def test_video_and_sound_through_every_container(name: str) -> None:
    source, file = sound("aac"), io.BytesIO()
    muxer = open_muxer(file, format=name)
    assert isinstance(muxer, Muxer)
    with av.open(source) as container:
        stream = container.streams.audio[0]
        video = muxer.add_video(HEADER, SEQUENCE, metadata={"language": "fra"}, disposition=1)
        assert muxer.refuses(stream) is None
        audio = muxer.copy_stream(stream)
        muxer.set_metadata({"title": "Titel"})
        muxer.set_chapters([Chapter(Fraction(0), Fraction(1), {"title": "a"})])
        sent = packets_of(container, stream)
        times = [packet.pts * packet.time_base for packet in sent]
        for packet in sent:
            muxer.mux_packet(audio, packet)
            assert packet.stream is stream, "the caller's packet stays as it is"
        packets = mux_video(muxer, video, count=24)
        muxer.close()
        payloads = [bytes(packet) for packet in sent]
    file.seek(0)
    with av.open(file, "r") as container:
        assert container.metadata["title"] == "Titel"
        assert [chapter.title for chapter in chapters_of(container)] == ["a"]
        found = [packet for packet in container.demux() if packet.size]
        pictures = [p for p in found if p.stream_index == video]
        assert [(bytes(p), p.is_keyframe) for p in pictures] == [(d, k) for d, _, k in packets]
        heard = [p for p in found if p.stream_index == audio]
        assert [bytes(p) for p in heard] == payloads
        # Where a container has no negative times, all tracks are moved by the same.
        lag = {round((seconds(p) - time) * 500) for p, time in zip(heard, times, strict=True)} | {
            round((seconds(p) - pts * TICK) * 500)
            for p, (_, pts, _) in zip(pictures, packets, strict=True)
        }
        assert len(lag) == 1
        assert lag == {0} or name == "nut"
    if name != "nut":
        assert np.array_equal(samples_of(file), samples_of(source))


@pytest.mark.parametrize("name", ["mov", "nut"])
def test_outputs_that_cannot_seek(name: str) -> None:
    pipe: Any = Pipe()
    muxer = open_muxer(pipe, format=name)
    track = muxer.add_video(HEADER, SEQUENCE)
    packets = mux_video(muxer, track)
    muxer.close()
    with av.open(io.BytesIO(bytes(pipe.data))) as container:
        found = packets_of(container, container.streams.video[0])
        assert [bytes(p) for p in found] == [data for data, _, _ in packets]


def test_fragmented_mov_is_readable_when_it_ends_in_the_middle() -> None:
    file = io.BytesIO()
    muxer = open_muxer(file, format="mov", fragmented=True)
    track = muxer.add_video(HEADER, SEQUENCE)
    packets = mux_video(muxer, track, count=60, gop=12)
    muxer.close()
    data = file.getvalue()
    with av.open(io.BytesIO(data[: len(data) * 2 // 3])) as container:
        found = packets_of(container, container.streams.video[0])
        assert 12 <= len(found) < 60
        assert [bytes(p) for p in found[:12]] == [data for data, _, _ in packets[:12]]


@pytest.mark.parametrize("kind", ["srt", "ass"])
def test_text_subtitles_become_mov_text(kind: str) -> None:
    file = io.BytesIO()
    muxer = open_muxer(file, format="mov")
    video = muxer.add_video(HEADER, SEQUENCE)
    with av.open(io.BytesIO(SUBTITLES[kind]), format=kind) as container:
        stream = container.streams.subtitles[0]
        assert muxer.refuses(stream) is None
        track = muxer.copy_stream(stream)
        for packet in packets_of(container, stream):
            muxer.mux_packet(track, packet)
    mux_video(muxer, video, count=90)
    muxer.close()
    file.seek(0)
    with av.open(file, "r") as container:
        found = packets_of(container, container.streams.subtitles[0])
        texts = [(p.pts * p.time_base, bytes(p)[2:]) for p in found if len(bytes(p)) > 2]
    assert texts == [(Fraction(1, 2), b"Guten Tag"), (Fraction(2), b"zwei")]


def test_mov_text_comes_back_as_subrip() -> None:
    first, second = io.BytesIO(), io.BytesIO()
    muxer = open_muxer(first, format="mov")
    with av.open(io.BytesIO(SUBTITLES["srt"]), format="srt") as container:
        track = muxer.copy_stream(container.streams.subtitles[0])
        for packet in packets_of(container, container.streams.subtitles[0]):
            muxer.mux_packet(track, packet)
    muxer.close()
    first.seek(0)
    muxer = open_muxer(second, format="mkv")
    with av.open(first) as container:
        track = muxer.copy_stream(container.streams.subtitles[0])
        for packet in packets_of(container, container.streams.subtitles[0]):
            muxer.mux_packet(track, packet)
    muxer.close()
    second.seek(0)
    with av.open(second) as container:
        found = packets_of(container, container.streams.subtitles[0])
        assert [(p.pts, p.duration, bytes(p)) for p in found] == [
            (500, 750, b"Guten Tag"),
            (2000, 100, b"zwei"),
        ]


def test_mov_refuses_what_ffmpeg_would_not_write() -> None:
    muxer = open_muxer(io.BytesIO(), format="mov")
    with av.open(sound("opus")) as container:
        stream = container.streams.audio[0]
        assert muxer.refuses(stream) == "mov cannot carry opus"
        with pytest.raises(UnsupportedError):
            muxer.copy_stream(stream)
    assert not muxer.add_attachment(Attachment("a", "b/c", b"d"))
    muxer.abort()


@pytest.mark.parametrize("name", ["mov", "nut"])
def test_a_file_whose_first_frame_is_before_zero_is_moved(name: str) -> None:
    """All tracks by the same, and it is said by how much: nobody hides those frames."""
    file, said = io.BytesIO(), list[str]()
    muxer = open_muxer(file, format=name, warn=said.append)
    track = muxer.add_video(HEADER, SEQUENCE)
    with av.open(sound("aac")) as container:
        stream = container.streams.audio[0]
        audio = muxer.copy_stream(stream)
        heard = packets_of(container, stream)
        times = [packet.pts * packet.time_base for packet in heard]
        for packet in heard:
            muxer.mux_packet(audio, packet)
    for number in range(6):
        muxer.mux(track, b"frame", pts=1001 * (number - 3), keyframe=number == 0, time_base=TICK)
    muxer.close()
    (sentence,) = said
    assert "the first frame is 0.100 s before zero" in sentence
    file.seek(0)
    with av.open(file, "r") as container:
        packets = [packet for packet in container.demux() if packet.size]
    shown = [seconds(p) for p in packets if p.stream_index == track]
    moved = [seconds(p) for p in packets if p.stream_index == audio]
    assert shown == [1001 * number * TICK for number in range(6)]
    assert {round((b - a) * 1000) for a, b in zip(times, moved, strict=True)} == {100}


def test_adts_sound_goes_into_mov() -> None:
    source, file = sound("aac-adts"), io.BytesIO()
    muxer = open_muxer(file, format="mov")
    with av.open(source) as container:
        stream = container.streams.audio[0]
        track = muxer.copy_stream(stream)
        for packet in packets_of(container, stream):
            muxer.mux_packet(track, packet)
    muxer.close()
    assert np.array_equal(samples_of(file), samples_of(source))


def test_formats_by_name_and_suffix(tmp_path: Path) -> None:
    assert format_of("a.mkv") == format_of("a.MKV.partial") == "matroska"
    assert format_of(tmp_path / "a.b.mov") == "mov"
    assert format_of(io.BytesIO(), "mkv") == "matroska"
    assert format_of("x", "nut") == "nut"
    for target, reason in (("a.mp4", "registration"), ("a.webm", "only its own"), ("a", "suffix")):
        with pytest.raises(UsageError, match=reason):
            format_of(target)
    with pytest.raises(UsageError, match="needs a format"):
        format_of(io.BytesIO())
    with pytest.raises(UsageError, match="matroska, mov, nut"):
        format_of("a.mkv", "avi")


def test_names_with_colons_and_letters(tmp_path: Path) -> None:
    path = tmp_path / "10:30 Übung ☃.mov"
    muxer = open_muxer(path)
    packets = mux_video(muxer, muxer.add_video(HEADER, SEQUENCE), count=3)
    muxer.close()
    with path.open("rb") as file, av.open(file) as container:
        found = packets_of(container, container.streams.video[0])
        assert [bytes(p) for p in found] == [data for data, _, _ in packets]


def test_output_file_gets_its_name_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out.mkv"
    output = OutputFile(path)
    output.partial.write_bytes(b"x")
    assert not path.exists()
    output.commit()
    assert path.read_bytes() == b"x"
    assert not output.partial.exists()
    with pytest.raises(FileExistsError) as caught:
        OutputFile(path)
    assert isinstance(caught.value, OutputExistsError)
    OutputFile(path, overwrite=True)


def test_fragmented_mov_keeps_times_when_sound_begins_before_zero(tmp_path: Path) -> None:
    """Also where subtitles come late: fragments must not wait for them."""
    clip = make_clip(tmp_path / "in.mp4", frames=50, subtitles="mov_text")
    with Demuxer(clip) as source:
        sounds = [seconds(p) for p in packets_of(source, source.container.streams.audio[0])]
    assert sounds[0] < 0, "the encoder's priming samples"
    pipe: Any = Pipe()
    bsqav.transcode(clip, pipe, format="mov", gop=10)
    assert pipe.data.count(b"moof") == 5
    with Demuxer(io.BytesIO(bytes(pipe.data))) as demuxer:
        packets = list(demuxer.demux())
        sound_index = demuxer.container.streams.audio[0].index
    video = [seconds(p) for p in packets if isinstance(p, BsqPacket)]
    assert video == [Fraction(n, 25) for n in range(50)]
    others = [p for p in packets if not isinstance(p, BsqPacket)]
    heard = [seconds(p) for p in others if p.stream_index == sound_index]
    assert heard == sounds


def test_two_writers_of_one_output_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "out.mkv"
    clip = make_clip(tmp_path / "in.mp4", frames=2, audio=None)
    with bsqav.open(path, "w") as container:
        stream = container.add_stream("bsq", rate=25)
        for writer in (bsqav.transcode, lambda _, target: bsqav.open(target, "w")):
            with pytest.raises(bsqav.MediaError, match=r"out\.mkv\.partial is being written by"):
                writer(clip, path)
        frame = av.VideoFrame(32, 32, "gray")
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with bsqav.open(path) as container:
        assert len(list(container.decode(video=0))) == 1
    bsqav.transcode(clip, path, overwrite=True)
    # What is left of a run that was killed is no hindrance, and nothing empty is left behind.
    (tmp_path / "b.mkv.partial").write_bytes(b"old")
    bsqav.transcode(clip, tmp_path / "b.mkv")
    with pytest.raises(bsqav.MediaError):
        bsqav.transcode(tmp_path / "nothing.mp4", tmp_path / "c.mkv")
    assert {each.name for each in tmp_path.iterdir()} == {"in.mp4", "out.mkv", "b.mkv"}
