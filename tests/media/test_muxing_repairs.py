"""What FFmpeg's library refuses and its program repairs: mended here, or said and left out."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import bsqav
from bsqav.errors import MediaError
from bsqav.media.io.types import decoder_of
from bsqav.media.metadata.codec_names import codec_name
from bsqav.media.mux import matroska_tracks
from bsqav.media.mux.muxers import open_muxer
from bsqav.media.mux.packet_times import PacketTimes
from tests.media.containers import HEADER, SEQUENCE, TICK, Pipe, mux_video, packets_of, sound

MS = Fraction(1, 1000)


def clip(
    path: Path,
    sound_encoder: str | None = None,
    *,
    rate: int = 48000,
    layout: str = "stereo",
    silent: bool = False,
    video: str = "mpeg4",
) -> Path:
    """A dozen frames of 32x32, and half a second of sound; none of it is written where `silent`."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(video, rate=25)
        stream.width = stream.height = 32
        audio: Any = None
        if sound_encoder is not None:
            audio = container.add_stream(sound_encoder, rate=rate)
            audio.codec_context.layout = layout
        for number in range(12):
            frame = av.VideoFrame.from_ndarray(np.full((48, 32), 20 * number, np.uint8), "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None and not silent:
            count = audio.codec_context.frame_size or 1024
            form, channels = audio.codec_context.format, audio.codec_context.channels
            for at in range(0, rate // 2, count):
                shape = (channels, count) if form.is_planar else (1, channels * count)
                kind = {"s16": np.int16, "flt": np.float32, "s32": np.int32}[form.packed.name]
                data = (
                    np.sin(np.arange(shape[1]) / 9) * (1 if kind == np.float32 else 9000)
                ).astype(kind)
                samples: Any = av.AudioFrame.from_ndarray(
                    np.tile(data, (shape[0], 1)), format=form.name, layout=layout
                )
                samples.rate, samples.pts, samples.time_base = rate, at, Fraction(1, rate)
                container.mux(audio.encode(samples))
            container.mux(audio.encode(None))
    return path


def through(source: Path, target: Any, **options: Any) -> list[str]:
    """The warnings of a transcode."""
    said: list[str] = []
    bsqav.transcode(source, target, warn=said.append, **options)
    return said


def frames_in(file: Any) -> int:
    with av.open(file) as container:
        return sum(1 for _ in container.decode(video=0))


# ---- tags ----


def test_tags_that_are_not_utf8_are_read_as_latin1(tmp_path: Path) -> None:
    path, coded = tmp_path / "in.avi", tmp_path / "out.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 32
        container.metadata.update({"title": "Caf#", "artist": "Müller"})
        frame = av.VideoFrame(32, 32, "yuv420p")
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes().replace(b"Caf#", b"Caf\xe9"))
    said = through(path, coded)
    assert said == ["tags that are not UTF-8 are read as Latin-1 (Windows-1252)"]
    with av.open(str(coded)) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
    assert (tags["title"], tags["artist"]) == ("Café", "Müller")
    assert through(coded, tmp_path / "again.mkv", codec="copy") == []
    with pytest.warns(bsqav.BsqWarning, match="Latin-1"), bsqav.open(path) as opened:
        assert opened.metadata["title"] == "Café"


# ---- sound ----


@pytest.mark.parametrize("target", ["out.mov", "out.nut", "out.mkv", "out.mp4"])
@pytest.mark.parametrize("layout", ["stereo", "4.0"])
def test_pcm_without_a_layout_gets_the_usual_one(tmp_path: Path, target: str, layout: str) -> None:
    """Matroska says how many channels there are and not where they belong."""
    source = clip(tmp_path / "in.mkv", "pcm_s16le", layout=layout)
    coded = tmp_path / "coded.mkv"
    assert through(source, coded) == []
    assert through(coded, tmp_path / target) == [] or target != "out.mp4"
    with av.open(str(tmp_path / target)) as one, av.open(str(source)) as two:
        assert one.streams.audio[0].codec_context.name == "pcm_s16le"
        sounds = [
            b"".join(bytes(p) for p in packets_of(each, each.streams.audio[0]))
            for each in (one, two)
        ]
    assert sounds[0] == sounds[1]


@pytest.mark.parametrize("target", ["out.mkv", "out.mov", "out.nut", "out.mp4"])
def test_a_track_without_packets_is_left_out_and_named(tmp_path: Path, target: str) -> None:
    source = clip(tmp_path / "in.ts", "aac", silent=True, video="mpeg2video")
    codec = {"codec": "libx264"} if target.endswith("mp4") else {}
    (warning,) = through(source, tmp_path / target, **codec)
    assert warning == "track 1 (audio aac) is left out: no packet of it was found"
    with pytest.raises(bsqav.UnsupportedError, match=r"track 1 \(audio aac\) cannot be carried"):
        bsqav.transcode(source, tmp_path / "strict.mkv", strict=True)


def test_what_a_container_cannot_hold_is_encoded_and_named(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mkv", "libmp3lame", rate=11025, layout="mono")
    coded = tmp_path / "coded.mkv"
    assert through(source, coded) == []
    (warning,) = through(coded, tmp_path / "out.mp4")
    assert warning == "track 1 (audio mp3) is encoded to aac: mp4 cannot carry mp3"
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
    with pytest.raises(bsqav.UnsupportedError, match="mp4 cannot carry mp3"):
        bsqav.transcode(coded, tmp_path / "strict.mp4", strict=True)


def test_an_encoder_gets_a_layout_that_it_takes(tmp_path: Path) -> None:
    """Opus has no 5.1(side), which is what AC-3 has."""
    source = clip(tmp_path / "in.mkv", "ac3", layout="5.1(side)")
    assert through(source, tmp_path / "out.mkv", audio="libopus") == []
    with av.open(str(tmp_path / "out.mkv")) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.codec_context.channels) == ("opus", 6)
    (warning,) = through(source, tmp_path / "mp3.mkv", audio="libmp3lame")
    assert warning == "track 1: 6 channels of sound become 2: libmp3lame takes no more"


def test_adts_with_its_layout_inside_the_packets(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.ts", "aac", layout="2.1", video="mpeg2video")
    assert through(source, tmp_path / "out.mkv") == []
    counts = []
    for path in (source, tmp_path / "out.mkv"):
        with av.open(str(path)) as container:
            counts.append(sum(frame.samples for frame in container.decode(audio=0)))
            assert container.streams.audio[0].codec_context.layout.name == "2.1"
    assert counts[0] == counts[1]


# ---- containers ----


@pytest.mark.parametrize("form", ["mp4", "mov"])
def test_mp4_through_a_pipe_is_written_in_fragments(tmp_path: Path, form: str) -> None:
    source = clip(tmp_path / "in.mkv", "aac")
    pipe: Any = Pipe()
    assert through(source, pipe, codec="libx264", format=form) == []
    data = bytes(pipe.data)
    assert b"moof" in data
    assert frames_in(io.BytesIO(data)) == 12


def test_frames_before_zero_are_shown_and_the_shift_is_reported(tmp_path: Path) -> None:
    from tests.media.test_times import write

    source, target = tmp_path / "in.mkv", tmp_path / "out.mp4"
    write(source, Fraction(1, 90000), [-9009 + 3003 * n for n in range(9)])
    (warning,) = through(source, target)
    assert warning.startswith("the first frame is 0.100 s before zero: everything is moved later")
    assert frames_in(str(target)) == 9


def test_webvtt_in_matroska_is_named_and_carried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mkvmerge writes S_TEXT/WEBVTT, which FFmpeg does not know."""
    source = tmp_path / "in.mkv"
    monkeypatch.setitem(matroska_tracks._SUBTITLES, "subrip", "S_TEXT/WEBVTT")
    muxer = open_muxer(source)
    muxer.add_video(HEADER, SEQUENCE)
    with av.open(
        io.BytesIO(b"1\n00:00:00,500 --> 00:00:01,000\n<c.a>x</c>\n"), format="srt"
    ) as file:
        track = muxer.copy_stream(file.streams.subtitles[0])
        for packet in packets_of(file, file.streams.subtitles[0]):
            muxer.mux_packet(track, packet)
    mux_video(muxer, 0)
    muxer.close()
    monkeypatch.undo()
    with av.open(str(source)) as container:
        stream = container.streams[1]
        assert decoder_of(stream) is None
        assert codec_name(stream) == "webvtt"
        for name in ("a.mkv", "a.mov"):
            copy = open_muxer(tmp_path / name)
            copy.add_video(HEADER, SEQUENCE)
            assert copy.refuses(stream) is None
            text = copy.copy_stream(stream)
            container.seek(0)
            for packet in packets_of(container, stream):
                copy.mux_packet(text, packet)
            mux_video(copy, 0)
            copy.close()
            with av.open(str(tmp_path / name)) as found:
                texts = [bytes(p) for p in packets_of(found, found.streams.subtitles[0])]
            assert b"x" in [each[2:] if name == "a.mov" else each for each in texts]


# ---- times ----


Stamp = tuple[int | None, int | None]


def times(*stamps: Stamp) -> tuple[list[Stamp], str | None]:
    """(pts, dts) after mending, in milliseconds, and what is said of them."""
    mend, found = PacketTimes("track 1 (audio aac)", MS), []
    for pts, dts in stamps:
        packet: av.Packet[Any] = av.Packet(b"x")
        packet.pts, packet.dts, packet.time_base, packet.duration = pts, dts, MS, 20
        mend.repair(packet)
        found.append((packet.pts, packet.dts))
    return found, mend.remark()


def test_times_of_packets_rise() -> None:
    assert times((0, 0), (0, 0), (1, 1)) == ([(0, 0), (1, 1), (2, 2)], None)
    assert times((0, None), (None, None), (None, 40)) == ([(0, 0), (20, 20), (40, 40)], None)
    assert times((0, 10)) == ([(10, 10)], None), "nothing is shown before it is decoded"
    found, said = times((500, 500), (100, 100), (120, 120))
    assert found == [(500, 500), (501, 501), (502, 502)]
    assert said == (
        "track 1 (audio aac): the times of 2 packets did not rise: they are moved behind the "
        "packet before, by up to 0.401 s"
    )


@pytest.mark.parametrize("name", ["mov", "nut", "mkv"])
def test_equal_and_falling_times_are_written(name: str) -> None:
    file, said = io.BytesIO(), list[str]()
    muxer = open_muxer(file, format=name, warn=said.append)
    video = muxer.add_video(HEADER, SEQUENCE)
    with av.open(sound("aac")) as container:
        track = muxer.copy_stream(container.streams.audio[0])
        heard = packets_of(container, container.streams.audio[0])
        for number, packet in enumerate(heard):
            packet.time_base = MS
            packet.pts = packet.dts = number // 2 if number < 20 else number - 15
            muxer.mux_packet(track, packet)
    mux_video(muxer, video, count=12)
    muxer.close()
    file.seek(0)
    with av.open(file) as container:
        found = packets_of(container, container.streams.audio[0])
    assert [bytes(p) for p in found] == [bytes(p) for p in heard]
    assert bool(said) == (name != "mkv"), "Matroska holds such times as they are"


def test_errors_name_the_track_and_the_time() -> None:
    muxer = open_muxer(io.BytesIO(), format="mov")
    track = muxer.add_video(HEADER, SEQUENCE, metadata={"language": "fra"})
    muxer.mux(track, b"x", pts=0, keyframe=True, time_base=TICK)
    with pytest.raises(MediaError, match=r"track 0 \(video bsq, fra\): between 0.000 s and 80000"):
        muxer.mux(track, b"x", pts=30000 * 80_000, time_base=TICK)
    with pytest.raises(MediaError, match=r"track 0 .* cannot be written"):
        muxer.mux(track, b"x", pts=1 << 60, time_base=TICK)
    muxer.abort()


def test_errors_hold_what_ffmpeg_says(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mkv", "aac")
    with pytest.raises(bsqav.BsqError) as caught:
        bsqav.transcode(source, tmp_path / "out.webm", codec="mpeg4")
    assert "webm" in str(caught.value)
    assert "Invalid argument" not in str(caught.value)
