"""The Matroska writer, read back with PyAV."""

from __future__ import annotations

import io
import itertools
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from bsqav.codec.sequence import SequenceHeader
from bsqav.errors import MediaError, UnsupportedError, UsageError
from bsqav.media.io.types import decoder_of
from bsqav.media.metadata.file_metadata import Attachment, Chapter, chapters_of, metadata_of
from bsqav.media.mux.matroska import MatroskaMuxer
from tests.media.containers import (
    HEADER,
    SEQUENCE,
    SOUNDS,
    TICK,
    Pipe,
    Sink,
    mux_video,
    packets_of,
    samples_of,
    sound,
)

MILLISECOND = Fraction(1, 1000)


def written(**shape: int) -> tuple[io.BytesIO, list[tuple[bytes, int, bool]]]:
    file = io.BytesIO()
    muxer = MatroskaMuxer(file)
    track = muxer.add_video(HEADER, SEQUENCE, metadata={"title": "Ansicht", "language": "ger"})
    packets = mux_video(muxer, track, **shape)
    muxer.close()
    file.seek(0)
    return file, packets


def test_packets_come_back_exactly() -> None:
    file, packets = written()
    with av.open(file, "r") as container:
        stream = container.streams.video[0]
        assert decoder_of(stream) is None
        assert stream.average_rate == Fraction(30000, 1001)
        found = packets_of(container, stream)
        assert [bytes(p) for p in found] == [data for data, _, _ in packets]
        assert [p.is_keyframe for p in found] == [key for _, _, key in packets]
        for packet, (_, pts, _) in zip(found, packets, strict=True):
            assert abs(packet.pts * packet.time_base - pts * TICK) <= MILLISECOND / 2
        assert container.duration is not None
        assert abs(container.duration - 60 * 1001 * TICK * 10**6) <= 2


@pytest.mark.parametrize("size", [8, 8000])
def test_every_keyframe_is_found_by_seeking(size: int) -> None:
    file, packets = written(count=100, gop=7, size=size)
    with av.open(file, "r") as container:
        stream = container.streams.video[0]
        for data, pts, keyframe in packets:
            if keyframe:
                container.seek(round(pts * TICK * 1000), stream=stream)
                assert bytes(next(container.demux(stream))) == data


def test_metadata_chapters_and_attachments_survive() -> None:
    file = io.BytesIO()
    muxer = MatroskaMuxer(file)
    muxer.set_metadata({"title": "Ünï ☃", "artist": "Somebody", "date": "2026"})
    marks = [
        Chapter(Fraction(0), Fraction(1, 3), {"title": "eins"}),
        Chapter(Fraction(1, 3), Fraction(2), {"title": "zwei", "artist": "Other"}),
    ]
    assert muxer.set_chapters(marks)
    assert muxer.add_attachment(Attachment("schrift ä.ttf", "font/ttf", bytes(3000), "a font"))
    tags = {"title": "Bild", "language": "deu", "x": "y"}
    track = muxer.add_video(HEADER, SEQUENCE, metadata=tags)
    mux_video(muxer, track, count=3)
    muxer.close()
    file.seek(0)
    with av.open(file, "r") as container:
        assert metadata_of(container)["title"] == "Ünï ☃"
        assert metadata_of(container)["artist"] == "Somebody"
        video = container.streams.video[0]
        assert metadata_of(video) == tags
        chapters = chapters_of(container)
        assert [chapter.title for chapter in chapters] == ["eins", "zwei"]
        assert abs(chapters[1].start - Fraction(1, 3)) < Fraction(1, 10**8)
        assert chapters[1].end == 2
        font = container.streams.attachments[0]
        assert font.data == bytes(3000)
        assert font.mimetype == "font/ttf"
        assert font.metadata["filename"] == "schrift ä.ttf"


def beside_video(container: Any, stream: Any, count: int) -> tuple[io.BytesIO, list[Any]]:
    """A file with so many frames of BSQ and a copy of a stream, and the stream's packets."""
    file = io.BytesIO()
    muxer = MatroskaMuxer(file)
    video = muxer.add_video(HEADER, SEQUENCE)
    track = muxer.copy_stream(stream)
    packets = packets_of(container, stream)
    for packet in packets:
        muxer.mux_packet(track, packet)
    mux_video(muxer, video, count=count)
    muxer.close()
    file.seek(0)
    return file, packets


@pytest.mark.parametrize("kind", SOUNDS)
def test_sound_is_copied_byte_for_byte(kind: str) -> None:
    source = sound(kind)
    with av.open(source) as container:
        file, packets = beside_video(container, container.streams.audio[0], count=12)
        times = [packet.pts * packet.time_base for packet in packets]
        payloads = [bytes(packet) for packet in packets]
    with av.open(file, "r") as container:
        stream = container.streams.audio[0]
        found = packets_of(container, stream)
        header = 7 if kind == "aac-adts" else 0
        assert [bytes(packet) for packet in found] == [data[header:] for data in payloads]
        for packet, time in zip(found, times, strict=True):
            assert abs(packet.pts * packet.time_base - time) <= MILLISECOND
        assert container.streams.video[0].start_time == 0
    assert np.array_equal(samples_of(file), samples_of(source))


def test_sound_before_zero_keeps_the_video_at_zero() -> None:
    with av.open(sound("aac")) as container:
        file, packets = beside_video(container, container.streams.audio[0], count=5)
        assert packets[0].pts == -1024
    with av.open(file, "r") as container:
        times = {p.stream.type: p.pts for p in reversed([p for p in container.demux() if p.size])}
        assert times == {"audio": -21, "video": 0}


def test_video_before_zero_moves_the_whole_file() -> None:
    file = io.BytesIO()
    muxer = MatroskaMuxer(file)
    track = muxer.add_video(HEADER, SEQUENCE)
    other = muxer.add_video(HEADER, SEQUENCE)
    for pts in (-3000, 0, 3000):
        muxer.mux(track, b"a", pts=pts, keyframe=True, time_base=TICK)
        muxer.mux(other, b"b", pts=pts + 3000, keyframe=True, time_base=TICK)
    muxer.close()
    file.seek(0)
    with av.open(file, "r") as container:
        found = [(p.stream_index, p.pts) for p in container.demux() if p.size]
    assert sorted(found) == [(0, 0), (0, 100), (0, 200), (1, 100), (1, 200), (1, 300)]


SUBTITLES = {
    "srt": b"1\n00:00:00,500 --> 00:00:01,250\n<i>Guten</i> Tag\n\n"
    b"2\n00:00:02,000 --> 00:00:02,100\nzwei\n\n",
    "webvtt": b"WEBVTT\n\n00:00.500 --> 00:01.250\n<i>Guten</i> Tag\n\n"
    b"00:02.000 --> 00:02.100\nzwei\n\n",
    "ass": b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\n"
    b"Style: Default,Arial,16\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, "
    b"MarginR, MarginV, Effect, Text\n"
    b"Dialogue: 0,0:00:00.50,0:00:01.25,Default,,0,0,0,,{\\i1}Guten{\\i0} Tag\n"
    b"Dialogue: 0,0:00:02.00,0:00:02.10,Default,,0,0,0,,zwei\n",
}


@pytest.mark.parametrize("kind", SUBTITLES)
def test_subtitles_keep_text_and_times(kind: str) -> None:
    with av.open(io.BytesIO(SUBTITLES[kind]), format=kind) as container:
        stream = container.streams.subtitles[0]
        extradata = stream.codec_context.extradata
        file, sent = beside_video(container, stream, count=90)
        sent_data = [bytes(packet) for packet in sent]
    with av.open(file, "r") as container:
        stream = container.streams.subtitles[0]
        found = packets_of(container, stream)
        assert [(p.pts, p.duration) for p in found] == [(500, 750), (2000, 100)]
        if kind == "ass":
            assert stream.codec_context.codec.canonical_name == "ass"
            assert stream.codec_context.extradata == extradata
            assert [bytes(p) for p in found] == sent_data
        else:
            assert stream.codec_context.codec.canonical_name == "subrip"
            assert [bytes(p) for p in found] == [b"<i>Guten</i> Tag", b"zwei"]


def test_an_output_that_cannot_seek_is_written_in_order() -> None:
    pipe: Any = Pipe()
    muxer = MatroskaMuxer(pipe)
    video = muxer.add_video(HEADER, SEQUENCE)
    packets = mux_video(muxer, video, size=4000)
    assert len(pipe.data) > 4000 * 60, "packets must leave at once, not at the end"
    muxer.close()
    with av.open(io.BytesIO(bytes(pipe.data))) as container:
        found = packets_of(container, container.streams.video[0])
        assert [(bytes(p), p.is_keyframe) for p in found] == [(d, k) for d, _, k in packets]


def test_times_are_finer_where_frames_come_faster_than_milliseconds() -> None:
    file = io.BytesIO()
    muxer = MatroskaMuxer(file)
    fast: SequenceHeader = {**SEQUENCE, "frame_rate": (1500, 1), "time_base": (1, 1500)}
    track = muxer.add_video(HEADER, fast)
    for pts in range(3000):
        muxer.mux(track, b"x", pts=pts, keyframe=pts % 500 == 0, time_base=Fraction(1, 1500))
    muxer.close()
    file.seek(0)
    with av.open(file, "r") as container:
        stream = container.streams.video[0]
        assert stream.time_base == Fraction(1, 10000)
        found = [packet.pts * stream.time_base for packet in packets_of(container, stream)]
    assert all(b > a for a, b in itertools.pairwise(found))
    assert max(abs(t - Fraction(n, 1500)) for n, t in enumerate(found)) <= Fraction(1, 20000)


def test_a_variable_rate_keeps_what_cannot_be_inferred() -> None:
    file = io.BytesIO()
    muxer = MatroskaMuxer(file)
    track = muxer.add_video(HEADER, {**SEQUENCE, "frame_rate": (0, 1)})
    # A pause after the second picture, and a last one that stands for long.
    shown = [(0, 1500), (1500, 3000), (9000, 1500), (10500, 30000)]
    for pts, duration in shown:
        muxer.mux(track, b"x", pts=pts, duration=duration, keyframe=pts == 0, time_base=TICK)
    muxer.close()
    file.seek(0)
    with av.open(file, "r") as container:
        assert container.duration == 1_350_000
        found = packets_of(container, container.streams.video[0])
        assert [p.pts for p in found] == [0, 50, 300, 350]
        assert [found[1].duration, found[3].duration] == [100, 1000]
        assert [p.is_keyframe for p in found] == [True, False, False, False]


def test_a_silent_track_does_not_hold_the_file_back() -> None:
    sink: Any = Sink()
    muxer = MatroskaMuxer(sink)
    with av.open(sound("pcm_s16le")) as container:
        muxer.copy_stream(container.streams.audio[0])
    track = muxer.add_video(HEADER, SEQUENCE)
    mux_video(muxer, track, count=2000, size=4000)
    assert sink.size > 5_000_000
    muxer.close()


def test_an_hour_takes_bounded_memory() -> None:
    sink: Any = Sink()
    muxer = MatroskaMuxer(sink)
    with av.open(sound("pcm_s16le")) as container:
        audio = muxer.copy_stream(container.streams.audio[0])
    video = muxer.add_video(HEADER, {**SEQUENCE, "frame_rate": (2, 1)})
    payload, half = bytes(15000), Fraction(1, 2)
    tracemalloc.start()
    for tick in range(7200):
        key = tick % 20 == 0
        muxer.mux(video, payload, pts=tick, duration=1, keyframe=key, time_base=half)
        muxer.mux(audio, payload, pts=tick, duration=1, time_base=half)
    muxer.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sink.size > 7200 * 30000
    assert peak < 4 << 20


def test_aborting_leaves_what_came_playable(tmp_path: Path) -> None:
    path = tmp_path / "halb ü.mkv"
    muxer = MatroskaMuxer(path)
    track = muxer.add_video(HEADER, SEQUENCE)
    packets = mux_video(muxer, track, count=20)
    muxer.abort()
    muxer.abort()
    with path.open("rb") as file, av.open(file) as container:
        found = packets_of(container, container.streams.video[0])
        assert [bytes(p) for p in found] == [data for data, _, _ in packets]


class Full(io.RawIOBase):
    """A disk that is full after some bytes."""

    left = 20000

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if len(data) > self.left:
            raise OSError(28, "No space left on device")
        self.left -= len(data)
        return len(data)


def test_a_full_disk_is_an_os_error_and_abort_is_quiet() -> None:
    full: Any = Full()
    muxer = MatroskaMuxer(full)
    track = muxer.add_video(HEADER, SEQUENCE)
    with pytest.raises(OSError, match="No space"):
        mux_video(muxer, track, size=4000)
    muxer.abort()


def test_a_file_without_packets_is_whole() -> None:
    file = io.BytesIO()
    muxer = MatroskaMuxer(file)
    muxer.add_video(HEADER, SEQUENCE)
    muxer.close()
    file.seek(0)
    with av.open(file, "r") as container:
        assert len(container.streams) == 1


def test_misuse_is_named() -> None:
    muxer = MatroskaMuxer(io.BytesIO())
    track = muxer.add_video(HEADER, SEQUENCE)
    with pytest.raises(MediaError, match="no timestamp"):
        muxer.mux(track, b"x", pts=None, time_base=TICK)
    muxer.mux(track, b"x", pts=0, time_base=TICK)
    with pytest.raises(UsageError, match="no track 7"):
        muxer.mux(7, b"x", pts=0, time_base=TICK)
    with pytest.raises(UsageError, match="after the first packet"):
        muxer.add_video(HEADER, SEQUENCE)
    with pytest.raises(UsageError, match="after the first packet"):
        muxer.set_metadata({})
    muxer.close()
    with pytest.raises(UsageError, match="closed"):
        muxer.mux(track, b"x", pts=1, time_base=TICK)


def test_what_cannot_be_carried_is_refused_by_name() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mov") as output:
        stream: Any = output.add_stream("pcm_f32be", rate=48000)
        stream.codec_context.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 480), np.float32), "flt", "mono")
        frame.rate = 48000
        output.mux(stream.encode(frame))
    file.seek(0)
    muxer = MatroskaMuxer(io.BytesIO())
    with av.open(file, "r") as container:
        track = container.streams.audio[0]
        assert muxer.refuses(track) == "Matroska cannot carry pcm_f32be sound"
        with pytest.raises(UnsupportedError, match="track 0: Matroska cannot carry pcm_f32be"):
            muxer.copy_stream(track)


def test_chapters_keep_their_languages(tmp_path: Path) -> None:
    first, second = tmp_path / "a.mkv", tmp_path / "b.mkv"
    spans = [(0, 1, "one", "eng"), (1, 2, "zwei", "ger"), (2, 3, "?", None)]
    muxer = MatroskaMuxer(first)
    muxer.set_chapters(
        [
            Chapter(Fraction(a), Fraction(b), {"title": name, **({"language": to} if to else {})})
            for a, b, name, to in spans
        ]
    )
    mux_video(muxer, muxer.add_video(HEADER, SEQUENCE), count=2)
    muxer.close()
    with av.open(str(first)) as container:
        found = chapters_of(container)
    muxer = MatroskaMuxer(second)
    muxer.set_chapters(found)
    mux_video(muxer, muxer.add_video(HEADER, SEQUENCE), count=2)
    muxer.close()
    for path in (first, second):
        with av.open(str(path)) as container:
            chapters = chapters_of(container)
        assert [chapter.metadata.get("language") for chapter in chapters] == ["eng", "ger", None]
        assert [chapter.title for chapter in chapters] == ["one", "zwei", "?"]
