"""Mastering display, content light level and chroma siting through every way that has room."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bsqav
from bsqav.codec.sequence import SequenceHeader
from bsqav.media.demux.demuxer import Demuxer
from bsqav.media.inspect.inspection import inspect
from bsqav.media.metadata.hdr import NO_HDR, HdrMetadata, MasteringDisplay, hdr_of_frame
from bsqav.media.metadata.matroska_header import chapter_languages
from bsqav.media.metadata.track_colour import read_colours, stream_colour
from bsqav.media.mux.muxers import open_muxer
from tests.media.clips import ClipSpec, bsq_stream, pictures
from tests.media.containers import HEADER, SEQUENCE, mux_video, read_pipe
from tests.support import run_tool

SHOWN = MasteringDisplay(
    (0.708, 0.292), (0.17, 0.797), (0.131, 0.046), (0.3127, 0.329), (0.005, 1000)
)
LIGHT = HdrMetadata(SHOWN, 1000, 400)


def hdr_clip(path: Path) -> Path:
    """Two seconds of HDR10, as x265 writes it."""
    spec = ClipSpec(size=(64, 64), frames=6, pixel_format="yuv420p10le")
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx265", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p10le"
        context = video.codec_context
        context.color_primaries, context.color_trc, context.colorspace = 9, 16, 9
        parameters = ":".join(["log-level=error", *LIGHT.x265_parameters()])
        video.options = {"x265-params": parameters, "preset": "ultrafast"}
        for number, frame in enumerate(pictures(spec)):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def light_of(path: Path) -> HdrMetadata:
    return read_colours(path)[0].hdr


def close(found: HdrMetadata) -> bool:
    """Equal within the steps of ST 2086."""
    shown = found.mastering
    assert shown is not None
    ours = (*shown.red, *shown.green, *shown.blue, *shown.white, *shown.luminance)
    theirs = (*SHOWN.red, *SHOWN.green, *SHOWN.blue, *SHOWN.white, *SHOWN.luminance)
    same = all(abs(a - b) < 1e-4 for a, b in zip(ours, theirs, strict=True))
    return same and (found.max_cll, found.max_fall) == (1000, 400)


def test_hdr10_round_trip(tmp_path: Path) -> None:
    clip = hdr_clip(tmp_path / "in.mp4")
    coded, copy, back = (tmp_path / name for name in ("a.mkv", "b.mkv", "back.mp4"))
    bsqav.transcode(clip, coded)
    assert close(light_of(coded))
    assert (inspect(coded).bsq[0].hdr or NO_HDR).max_cll == 1000
    bsqav.transcode(coded, copy, codec="copy")
    assert light_of(copy) == light_of(coded)
    bsqav.transcode(copy, back, codec="libx265")
    with av.open(str(back)) as container:
        assert close(hdr_of_frame(next(container.decode(video=0))))
    with bsqav.open(coded) as source, bsqav.open(tmp_path / "c.mkv", "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            packet.stream = stream
            sink.mux(packet)
    assert light_of(tmp_path / "c.mkv") == light_of(coded)


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory, model_file: Path) -> Path:
    """BSQ with mastering display and content light level."""
    folder = tmp_path_factory.mktemp("light")
    bsqav.transcode(hdr_clip(folder / "in.mp4"), folder / "a.mkv", model=model_file)
    return folder / "a.mkv"


@pytest.mark.parametrize(
    ("encoder", "name"),
    [
        *[("libx264", name) for name in ("back.mp4", "back.mkv", "back.ts")],
        *[("libx265", name) for name in ("back.mp4", "back.mkv", "back.ts")],
        *[("libsvtav1", name) for name in ("back.mp4", "back.mkv")],
    ],
)
def test_encoders_carry_it(tmp_path: Path, coded: Path, encoder: str, name: str) -> None:
    result = bsqav.transcode(coded, tmp_path / name, codec=encoder)
    assert result.warnings == ()
    with av.open(str(tmp_path / name)) as container:
        found = hdr_of_frame(next(container.decode(video=0)))
    if encoder == "libsvtav1":  # AV1 has other steps, 65536 of them
        assert found.mastering is not None
        assert found.mastering.red == pytest.approx(SHOWN.red, abs=1e-4)
        assert found.mastering.white == pytest.approx(SHOWN.white, abs=1e-4)
        assert found.mastering.luminance == pytest.approx(SHOWN.luminance, abs=1e-4)
        assert (found.max_cll, found.max_fall) == (1000, 400)
    else:
        assert close(found)
    # And once more into BSQ.
    bsqav.transcode(tmp_path / name, tmp_path / "again.mkv", codec="bsq")
    assert light_of(tmp_path / "again.mkv").max_cll == 1000


@pytest.mark.parametrize("encoder", ["libvpx-vp9", "ffv1", "mpeg4"])
def test_encoders_that_cannot_say_so(tmp_path: Path, coded: Path, encoder: str) -> None:
    result = bsqav.transcode(coded, tmp_path / "a.mkv", codec=encoder, warn=lambda _: None)
    said = f"mastering display and content light level are left out by {encoder}"
    assert said in result.warnings


def test_levels_alone_become_parameters() -> None:
    levels = HdrMetadata(None, 1000, 400)
    assert levels.x264_parameters() == ["cll=1000,400"]
    assert levels.svtav1_parameters() == ["content-light=1000,400"]
    assert LIGHT.svtav1_parameters()[0] == (
        "mastering-display=G(0.17,0.797)B(0.131,0.046)R(0.708,0.292)WP(0.3127,0.329)L(1000,0.005)"
    )
    assert HdrMetadata().x264_parameters() == []


def test_frames_have_their_hdr_metadata_through_open(tmp_path: Path) -> None:
    clip = hdr_clip(tmp_path / "in.mkv")
    with av.open(str(clip)) as source, bsqav.open(tmp_path / "a.mkv", "w") as sink:
        stream = sink.add_stream("bsq", rate=25)
        for frame in source.decode(video=0):
            sink.mux(stream.encode(frame))
        sink.mux(stream.encode(None))
    assert close(light_of(tmp_path / "a.mkv"))


@pytest.mark.parametrize("name", ["a.mov", "a.m3u8"])
def test_mov_holds_it_too(tmp_path: Path, name: str) -> None:
    clip = hdr_clip(tmp_path / "in.mp4")
    assert bsqav.transcode(clip, tmp_path / name).warnings == ()
    assert close(light_of(tmp_path / name))
    with bsqav.open(tmp_path / name) as container:
        stream = bsq_stream(container)
        assert (stream.average_rate, close(stream.hdr)) == (Fraction(25), True)
        assert len(list(container.decode(stream))) == 6
    bsqav.transcode(tmp_path / name, tmp_path / "b.mkv", codec="copy")
    assert close(light_of(tmp_path / "b.mkv"))


def test_metadata_that_cannot_be_kept_are_reported(tmp_path: Path) -> None:
    clip = hdr_clip(tmp_path / "in.mp4")
    result = bsqav.transcode(clip, tmp_path / "a.nut", warn=lambda _: None)
    (said,) = result.warnings
    assert said == "mastering display and content light level are left out: nut holds none"


def test_chroma_siting_is_kept_from_matroska(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    muxer = open_muxer(path)
    mux_video(muxer, muxer.add_video(HEADER, {**SEQUENCE, "chroma_location": 3}), count=2)
    muxer.close()
    assert read_colours(path)[0].chroma_location == 3
    # A video that is coded anew keeps what its sequence header says.
    frame = next(pictures(ClipSpec(size=(32, 32), frames=1)))
    header: SequenceHeader = {**SEQUENCE, "width": 32, "height": 32, "chroma_location": 3}
    encoder = bsqav.Encoder(sequence=header)
    first, again = tmp_path / "first.mkv", tmp_path / "again.mkv"
    muxer = open_muxer(first)
    track = muxer.add_video(encoder.header, encoder.sequence)
    for packet in (*encoder.encode(frame, pts=0), *encoder.flush()):
        muxer.mux(track, packet.data, pts=0, keyframe=True, time_base=packet.time_base)
    muxer.close()
    bsqav.transcode(first, again, codec="bsq")
    with Demuxer(again) as demuxer:
        assert demuxer.tracks[0].sequence["chroma_location"] == 3


def test_a_file_without_is_none_and_pipes_are_left_alone(tmp_path: Path) -> None:
    file = io.BytesIO()
    muxer = open_muxer(file, format="matroska")
    mux_video(muxer, muxer.add_video(HEADER, SEQUENCE, hdr=LIGHT), count=2)
    muxer.close()
    file.seek(7)
    assert read_colours(file)[0].hdr == LIGHT
    assert file.tell() == 7
    assert read_colours(read_pipe(file.getvalue())) == {}
    assert read_colours(tmp_path / "none.mkv") == read_colours(tmp_path) == {}


@pytest.mark.parametrize("form", ["matroska", "mov"])
@settings(max_examples=100, deadline=None)
@given(noise=st.binary(max_size=80), place=st.integers(0, 700))
def test_any_bytes_are_read_without_harm(form: str, noise: bytes, place: int) -> None:
    file = io.BytesIO()
    muxer = open_muxer(file, format=form)
    mux_video(muxer, muxer.add_video(HEADER, SEQUENCE, hdr=LIGHT), count=1)
    muxer.close()
    data = bytearray(file.getvalue())
    place += max(0, data.find(b"moov"))
    data[place : place + len(noise)] = noise
    for colour in read_colours(io.BytesIO(bytes(data))).values():
        assert colour.hdr.mastering is None or colour.hdr.mastering.is_sound
        assert 0 <= colour.hdr.max_cll <= 1 << 20
    read_colours(io.BytesIO(noise))
    assert all(map(str.isascii, chapter_languages(io.BytesIO(bytes(data)))))


def test_values_that_no_display_has_are_dropped() -> None:
    def of(**side_data: bytes) -> HdrMetadata:
        frame: Any = SimpleNamespace(side_data=side_data)
        return hdr_of_frame(frame)

    numbers = [1, 0] * 10
    packed = struct.pack("=20i2i", *numbers, 1, 1)
    assert of(MASTERING_DISPLAY_METADATA=packed) == HdrMetadata()
    assert not of(MASTERING_DISPLAY_METADATA=b"short", CONTENT_LIGHT_LEVEL=b"x")


@pytest.mark.host
def test_other_programs_read_it(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.mkv", tmp_path / "b.mkv"
    muxer = open_muxer(path)
    mux_video(muxer, muxer.add_video(HEADER, SEQUENCE, hdr=LIGHT), count=2)
    muxer.close()
    said = run_tool("ffprobe", "-v", "error", "-show_streams", path)
    assert "red_x=177/250" in said
    assert "max_luminance=1000/1" in said
    assert "max_content=1000" in said
    run_tool("mkvmerge", "-q", path, "-o", copy)
    assert close(light_of(copy))
    run_tool("ffmpeg", "-v", "error", "-y", "-i", path, "-c", "copy", copy)
    assert close(light_of(copy))
    assert "HDR10 compatible" in run_tool("mediainfo", path)


@pytest.mark.parametrize(("said", "kept"), [(None, 1), ("center", 2), ("topleft", 3), ("top", 4)])
def test_chroma_siting_of_other_codecs_round_trip(
    tmp_path: Path, said: str | None, kept: int
) -> None:
    """H.264 that says nothing has its chroma at the left, by its standard."""
    clip, coded, back = (tmp_path / name for name in ("in.mp4", "a.mov", "back.mp4"))
    with av.open(str(clip), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        video.options = {"chroma_sample_location": said} if said else {}
        for number, frame in enumerate(pictures(ClipSpec(size=(32, 32), frames=2))):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    bsqav.transcode(clip, coded)
    with Demuxer(coded) as demuxer:
        assert demuxer.tracks[0].sequence["chroma_location"] == kept
    bsqav.transcode(coded, back)
    with av.open(str(back)) as container:
        assert stream_colour(container.streams.video[0]).chroma_location == kept
