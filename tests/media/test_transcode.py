"""To BSQ and back: every frame, every audio byte and all that belongs to the video arrives."""

from __future__ import annotations

import warnings
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

import bsqav
from bsqav.media.demux.demuxer import BsqPacket, Demuxer
from bsqav.media.io.types import MediaFile
from bsqav.media.transcode.audio_convert import AudioConverter
from tests.media.clips import (
    SUBTITLES,
    cover_bytes,
    frame_times,
    make_clip,
    packets,
    payloads,
    plane_hash,
    seconds,
)
from tests.media.containers import packets_of, sound

CONTAINERS = ["mkv", "mov", "nut"]


def bsq_times(path: Path) -> list[Fraction]:
    with Demuxer(path) as demuxer:
        return [
            seconds(packet)
            for packet in demuxer.demux(demuxer.tracks[0].stream)
            if isinstance(packet, BsqPacket)
        ]


def sequence(path: Path) -> dict[str, object]:
    with Demuxer(path) as demuxer:
        return dict(demuxer.tracks[0].sequence)


def convert(source: MediaFile, target: MediaFile, **options: Any) -> bsqav.TranscodeResult:
    """A transcode in which every warning is a failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", bsqav.BsqWarning)
        return bsqav.transcode(source, target, **options)


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_sixty_frames_in_sixty_out_with_equal_times(tmp_path: Path, suffix: str) -> None:
    clip = make_clip(tmp_path / "in.mp4", frames=60, rate=Fraction(30000, 1001))
    coded, back = tmp_path / f"out.{suffix}", tmp_path / "back.mp4"
    there = convert(clip, coded)
    assert (there.frames_in, there.frames_out, there.codec) == (60, 60, "bsq")
    assert there.bytes == coded.stat().st_size
    times = frame_times(clip)
    shift = bsq_times(coded)[0] - times[0]
    assert [time - shift for time in bsq_times(coded)] == times
    again = convert(coded, back)
    assert (again.frames_in, again.frames_out, again.codec) == (60, 60, "libx264")
    # Every tick survives in the codestream, so H.264 gets the times of the original.
    decoded = frame_times(back)
    assert [time - decoded[0] for time in decoded] == [time - times[0] for time in times]
    assert not list(tmp_path.glob("*.partial"))


ENCODERS = ["aac", "libopus", "vorbis", "libmp3lame", "ac3", "flac", "pcm_s16le", "pcm_s24le"]
NOT_IN_MOV = {"libopus", "vorbis", "flac"}


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_audio_packets_are_identical(tmp_path: Path, encoder: str, container: str) -> None:
    suffix = "mp4" if encoder == "aac" else "mkv"
    if container == "mov" and encoder in NOT_IN_MOV:
        clip = make_clip(tmp_path / f"in.{suffix}", frames=12, audio=encoder)
        with pytest.warns(bsqav.BsqWarning, match="track 1 .* is encoded to aac: mov cannot carry"):
            bsqav.transcode(clip, tmp_path / "out.mov")
        return
    clip = make_clip(tmp_path / f"in.{suffix}", frames=12, audio=encoder)
    coded, back = tmp_path / f"out.{container}", tmp_path / "back.mkv"
    convert(clip, coded)
    assert payloads(coded, "audio") == payloads(clip, "audio")
    convert(coded, back)
    assert payloads(back, "audio") == payloads(clip, "audio")
    with av.open(str(clip)) as one, av.open(str(back)) as two:
        ours, theirs = two.streams.audio[0], one.streams.audio[0]
        assert ours.codec_context.name == theirs.codec_context.name
        assert ours.codec_context.sample_rate == theirs.codec_context.sample_rate
        assert sum(f.samples for f in two.decode(audio=0)) == pytest.approx(
            sum(f.samples for f in one.decode(audio=0)), abs=2048
        )


def test_sound_stays_in_time_with_the_picture(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4")
    convert(clip, tmp_path / "out.mkv")
    lead = packets(clip, "audio")[1][0] - frame_times(clip)[0]
    ours = packets(tmp_path / "out.mkv", "audio")[1][0] - bsq_times(tmp_path / "out.mkv")[0]
    assert abs(float(ours - lead)) <= 0.001


def test_everything_around_the_video_is_carried(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "in.mp4",
        subtitles="mov_text",
        chapters=True,
        rotation=90,
        sample_aspect=Fraction(4, 3),
        colour=(1, 1, 1, 1),
        metadata={"title": "A clip", "artist": "Someone"},
        cover=True,
    )
    coded, back = tmp_path / "out.mkv", tmp_path / "back.mp4"
    convert(clip, coded)
    head = sequence(coded)
    assert (head["rotation"], head["sample_aspect"]) == (90, (4, 3))
    assert (head["color_primaries"], head["color_transfer"], head["color_matrix"]) == (1, 1, 1)
    assert head["full_range"] == 0
    assert [text.strip() for text in payloads(coded, "subtitle") if text.strip()] == [*SUBTITLES]
    with av.open(str(coded)) as container:
        assert container.metadata["title"] == "A clip"
        assert {key.lower(): value for key, value in container.metadata.items()}[
            "artist"
        ] == "Someone"
        assert [c["metadata"]["title"] for c in container.chapters()] == ["first", "second"]
        assert container.streams.audio[0].language == "eng"
        assert [s.language for s in container.streams.subtitles] == ["fra"]
    convert(coded, back)
    with av.open(str(back)) as container:
        assert container.metadata["title"] == "A clip"
        assert [c["metadata"]["title"] for c in container.chapters()] == ["first", "second"]
        pictures = [s for s in container.streams.video if s.disposition & 0x400]
        assert len(pictures) == 1
        cover = next(p for p in container.demux(pictures[0]) if p.size)
        assert bytes(cover) == cover_bytes()
    with av.open(str(back)) as container:
        best = container.streams.best("video")
        assert isinstance(best, av.VideoStream)
        frame = next(container.decode(best))
        assert frame.rotation == -90
        assert (frame.color_primaries, frame.color_trc, frame.colorspace) == (1, 1, 1)
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
        assert container.streams.subtitles[0].language == "fra"
    texts = [data[2:] for data in payloads(back, "subtitle") if len(data) > 2]
    assert texts == [b"one two", b"three\nfour"]


def test_ass_subtitles_and_attachments_are_carried(tmp_path: Path) -> None:
    font = ("font.ttf", "font/ttf", bytes(range(256)))
    clip = make_clip(tmp_path / "in.mkv", subtitles="ass", attachment=font)
    coded, back = tmp_path / "out.mkv", tmp_path / "back.mkv"
    convert(clip, coded)
    convert(coded, back)
    for path in (coded, back):
        assert payloads(path, "subtitle") == payloads(clip, "subtitle")
        with av.open(str(path)) as container:
            (attached,) = container.streams.attachments
            assert (attached.metadata["filename"], attached.data) == (font[0], font[2])
            header = container.streams.subtitles[0].codec_context.extradata
            assert header is not None
            assert b"Style: Default" in bytes(header)


def test_variable_frame_rate_is_kept_exactly(tmp_path: Path) -> None:
    times = [0, 40, 81, 160, 161, 400, 1000, 1001, 1700]
    clip = make_clip(tmp_path / "in.mkv", frames=len(times), times=times, audio=None)
    coded, back = tmp_path / "out.mkv", tmp_path / "back.mkv"
    convert(clip, coded)
    assert bsq_times(coded) == [Fraction(time, 1000) for time in times]
    convert(coded, back)
    assert frame_times(back) == [Fraction(time, 1000) for time in times]


@pytest.mark.parametrize("size", [(63, 47), (1, 1), (17, 64), (64, 33)])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "gray"])
def test_odd_sizes_and_gray(tmp_path: Path, size: tuple[int, int], pixel_format: str) -> None:
    clip = make_clip(
        tmp_path / "in.mkv",
        size=size,
        pixel_format=pixel_format,
        encoder="ffv1",
        frames=3,
        audio=None,
    )
    coded, back = tmp_path / "out.mkv", tmp_path / "back.mkv"
    convert(clip, coded)
    head = sequence(coded)
    assert (head["width"], head["height"]) == size
    assert head["chroma"] == ("gray" if pixel_format == "gray" else "420")
    # FFV1 takes every size and keeps every sample.
    result = convert(coded, back, codec="ffv1")
    assert result.frames_out == 3
    with av.open(str(back)) as container:
        frame = next(container.decode(video=0))
        assert (frame.width, frame.height, frame.format.name) == (*size, pixel_format)
    assert len(str(result.hash)) == 64


def test_odd_sizes_are_padded_for_h264_with_a_warning(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", size=(63, 47), encoder="ffv1", frames=2, audio=None)
    convert(clip, tmp_path / "out.mkv")
    with pytest.warns(bsqav.BsqWarning, match="63x47 is padded to 64x48"):
        bsqav.transcode(tmp_path / "out.mkv", tmp_path / "back.mp4")
    with av.open(str(tmp_path / "back.mp4")) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (64, 48)


def test_ten_bits_are_kept(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "in.mkv", pixel_format="yuv420p10le", encoder="ffv1", frames=2, audio=None
    )
    convert(clip, tmp_path / "out.mkv")
    assert sequence(tmp_path / "out.mkv")["bit_depth"] == 10
    convert(tmp_path / "out.mkv", tmp_path / "back.mkv", codec="ffv1")
    with av.open(str(tmp_path / "back.mkv")) as container:
        assert container.streams.video[0].pix_fmt == "yuv420p10le"


def test_rgb_becomes_yuv420p_by_bt709_with_a_warning(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", pixel_format="bgr0", encoder="ffv1", frames=2, audio=None)
    with pytest.warns(bsqav.BsqWarning, match=r"bgr0 is converted to yuv420p .*yuv444p, where"):
        bsqav.transcode(clip, tmp_path / "out.mkv")
    header = sequence(tmp_path / "out.mkv")
    assert (header["chroma"], header["alpha"]) == ("420", 0)
    assert (header["color_matrix"], header["full_range"]) == (1, 0)


def test_a_track_that_cannot_be_carried_is_named_or_refused(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", subtitles="subrip", frames=3)
    with pytest.warns(bsqav.BsqWarning, match=r"track 2 \(subtitle srt, fra\) is left out"):
        bsqav.transcode(clip, tmp_path / "out.nut")
    with pytest.raises(bsqav.UnsupportedError, match=r"track 2 \(subtitle srt, fra\)"):
        bsqav.transcode(clip, tmp_path / "strict.nut", strict=True)
    assert not (tmp_path / "strict.nut").exists()
    assert not list(tmp_path.glob("*.partial"))


def test_sound_is_converted_where_the_container_cannot_hold_it(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", audio="flac", frames=12)
    convert(clip, tmp_path / "out.mkv")
    with pytest.warns(bsqav.BsqWarning, match=r"track 1 \(audio flac, eng\) is encoded to"):
        bsqav.transcode(tmp_path / "out.mkv", tmp_path / "back.webm")
    with av.open(str(tmp_path / "back.webm")) as container:
        assert container.streams.audio[0].codec_context.name in ("opus", "libopus")
        assert container.streams.video[0].codec_context.name in ("vp9", "libvpx-vp9")


def test_audio_option(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", audio="flac", frames=12)
    convert(clip, tmp_path / "none.mkv", audio="none")
    convert(clip, tmp_path / "aac.mkv", audio="aac")
    with av.open(str(tmp_path / "none.mkv")) as container:
        assert not container.streams.audio
    with av.open(str(tmp_path / "aac.mkv")) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        seconds = sum(f.samples for f in container.decode(audio=0)) / 48000
    assert seconds == pytest.approx(12 / 25, abs=0.05)
    with pytest.raises(bsqav.UsageError, match="no sound encoder 'libfdk'"):
        bsqav.transcode(clip, tmp_path / "x.mkv", audio="libfdk")


def test_sound_without_a_layout_is_converted(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=12, audio="pcm_s16le")
    with av.open(str(clip)) as container:
        assert container.streams.audio[0].codec_context.layout.name.endswith("channels")
    convert(clip, tmp_path / "out.mkv", audio="aac")
    with av.open(str(tmp_path / "out.mkv")) as container:
        seconds = sum(f.samples for f in container.decode(audio=0)) / 48000
    assert seconds == pytest.approx(12 / 25, abs=0.05)


def test_sound_may_change_its_form_on_the_way() -> None:
    with av.open(sound("mp2")) as container:
        stream = container.streams.audio[0]
        converter = AudioConverter(stream, "aac")
        packets = [converter.convert(packet) for packet in packets_of(container, stream)]
    before = sum(map(len, packets))
    mono = av.AudioFrame.from_ndarray(np.zeros((1, 32000), np.int16), format="s16", layout="mono")
    mono.sample_rate, mono.pts, mono.time_base = 32000, 32000, Fraction(1, 32000)
    packet: Any = SimpleNamespace(decode=lambda: [mono])
    made = converter.convert(packet)
    made += converter.context.encode(None)
    assert before > 20
    assert len(made) == pytest.approx(48000 / 1024, abs=3)


def test_copy_moves_packets_between_containers(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", frames=12)
    convert(clip, tmp_path / "one.mkv", gop=4)
    convert(tmp_path / "one.mkv", tmp_path / "two.mov", codec="copy")
    convert(tmp_path / "two.mov", tmp_path / "three.nut", codec="copy")
    convert(tmp_path / "three.nut", tmp_path / "four.mkv", codec="copy")
    for name in ("two.mov", "three.nut", "four.mkv"):
        assert payloads(tmp_path / name, "video") == payloads(tmp_path / "one.mkv", "video")
        assert payloads(tmp_path / name, "audio") == payloads(clip, "audio")
    with pytest.raises(bsqav.UsageError, match="no BSQ video to copy"):
        bsqav.transcode(clip, tmp_path / "x.mkv", codec="copy")
    with pytest.raises(bsqav.UsageError, match="omit crf, scale"):
        bsqav.transcode(
            tmp_path / "one.mkv", tmp_path / "x.mkv", codec="copy", crf=30, scale=(32, -1)
        )


def test_the_hash_is_of_the_decoded_frames(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", frames=5, audio=None)
    convert(clip, tmp_path / "out.mkv")
    one = convert(tmp_path / "out.mkv", tmp_path / "one.mkv", codec="ffv1")
    two = convert(tmp_path / "out.mkv", tmp_path / "two.mov")
    assert one.hash == two.hash
    assert one.hash is not None
    with av.open(str(tmp_path / "one.mkv")) as container:
        assert plane_hash(list(container.decode(video=0))) == one.hash


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_frames_are_rotated_where_the_format_has_no_rotation(tmp_path: Path, rotation: int) -> None:
    clip = make_clip(tmp_path / "in.mp4", frames=2, rotation=rotation, audio=None)
    convert(clip, tmp_path / "out.mkv")
    convert(tmp_path / "out.mkv", tmp_path / "one.png", duration=0.04)
    convert(tmp_path / "out.mkv", tmp_path / "out.avi", codec="ffv1")
    with bsqav.open(tmp_path / "out.mkv") as container:
        lying = next(container.decode(video=0))
    upright = np.rot90(lying.to_ndarray()[: lying.height], -rotation // 90)
    with av.open(str(tmp_path / "out.avi")) as container:
        frame = next(container.decode(video=0))
        assert frame.rotation == 0
        np.testing.assert_array_equal(frame.to_ndarray()[: frame.height], upright)
    with av.open(str(tmp_path / "one.png")) as container:
        frame = next(container.decode(video=0))
        assert (frame.height, frame.width) == upright.shape


def test_pictures(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", frames=5)
    convert(clip, tmp_path / "out.mkv")
    result = convert(tmp_path / "out.mkv", tmp_path / "still_%03d.png")
    names = sorted(path.name for path in tmp_path.glob("still_*"))
    assert names == [f"still_{number:03d}.png" for number in range(1, 6)]
    assert (result.frames_out, result.codec) == (5, "png")
    with av.open(str(tmp_path / "still_001.png")) as container:
        frame = next(container.decode(video=0))
        assert (frame.width, frame.height, frame.format.name) == (64, 48, "rgb24")
    with pytest.raises(FileExistsError, match="exists already"):
        bsqav.transcode(tmp_path / "out.mkv", tmp_path / "still_%03d.png")
    with pytest.raises(bsqav.UsageError, match="names one image"):
        bsqav.transcode(tmp_path / "out.mkv", tmp_path / "one.png")
    assert not (tmp_path / "one.png").exists()
    convert(tmp_path / "out.mkv", tmp_path / "one.png", start=0.08, duration=0.04)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "still_003.png").read_bytes()


@pytest.mark.parametrize("encoder", ["mpeg2video", "mpeg4"])
def test_a_variable_rate_in_encoders_that_count_frames(tmp_path: Path, encoder: str) -> None:
    times = [40 * n for n in range(20)] + [770, 775, 2000]
    clip = make_clip(tmp_path / "in.mkv", frames=len(times), times=times, audio=None)
    with pytest.warns(bsqav.BsqWarning, match="constant rate, 25 frames a second: 2 frames were"):
        result = bsqav.transcode(clip, tmp_path / "out.mkv", codec=encoder)
    assert result.frames_out == len(times)
    found = frame_times(tmp_path / "out.mkv")
    assert [round(25 * time) for time in found] == [*range(22), 50]


@pytest.mark.parametrize("name", ["a:b.mkv", "http:c.mp4"])
def test_a_name_with_a_colon_is_no_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    make_clip(tmp_path / "in.mkv", frames=5)
    monkeypatch.chdir(tmp_path)
    convert(Path("in.mkv"), Path("bsq:.mkv"))
    convert(Path("bsq:.mkv"), Path(name), codec="libx264")
    assert len(frame_times(tmp_path / name)) == 5


def test_file_objects(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=5)
    with clip.open("rb") as source, (tmp_path / "out.mkv").open("wb") as target:
        convert(source, target, format="matroska")
        assert not target.closed
    assert len(bsq_times(tmp_path / "out.mkv")) == 5


def test_progress_is_reported(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4")
    seen: list[bsqav.Progress] = []
    convert(clip, tmp_path / "out.mkv", progress=seen.append)
    assert sorted({state.frames_in for state in seen}) == list(range(1, 26))
    frames = [state.frames for state in seen]
    assert frames[0] == 0, "the look-ahead holds them"
    assert frames == sorted(frames)
    assert frames[-1] == 25
    assert seen[-1].time == pytest.approx(1.0)
    assert seen[-1].total_frames == 25
    assert seen[-1].fraction == pytest.approx(1.0)
    assert all(state.remaining is not None for state in seen if state.frames)
