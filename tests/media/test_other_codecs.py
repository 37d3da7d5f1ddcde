"""Video of other codecs: what an encoder or a container does not keep is said or refused."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

import bsqav
from bsqav.media.metadata.file_metadata import Chapter
from bsqav.media.metadata.hdr import HdrMetadata
from bsqav.media.mux.subtitles import subrip_to_webvtt, webvtt_to_subrip
from tests.media.clips import make_clip
from tests.media.test_muxing_repairs import clip, through


def names(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [s.codec_context.name for s in container.streams if s.codec_context is not None]


def times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        found = [p.pts * p.time_base for p in container.demux(video=0) if p.pts is not None]
    return sorted(Fraction(time) for time in found)


# ---- times ----


@pytest.mark.parametrize("target", ["out.mp4", "out.mkv", "out.avi", "out.m2v"])
def test_a_first_frame_off_the_grid_moves_no_other(tmp_path: Path, target: str) -> None:
    given = [21 + 40 * n for n in range(15)]
    make_clip(tmp_path / "in.mkv", frames=15, times=given, audio="flac")
    bare: dict[str, Any] = {"codec": "mpeg2video", "audio": "none"}
    options = bare if target == "out.m2v" else {"codec": "mpeg4"}
    assert through(tmp_path / "in.mkv", tmp_path / target, **options) == []
    if target in ("out.mp4", "out.mkv"):
        pairs = zip(times(tmp_path / target), given, strict=True)
        assert all(abs(found - Fraction(time, 1000)) < 0.001 for found, time in pairs)


# ---- what containers keep ----


@pytest.mark.parametrize(("target", "codec"), [("out.ts", "libx264"), ("out.mpg", "mpeg2video")])
def test_transport_and_program_streams_hold_what_is_read_back(
    tmp_path: Path, target: str, codec: str
) -> None:
    make_clip(tmp_path / "in.mkv", frames=12, audio="flac", subtitles="subrip", chapters=True)
    said = through(tmp_path / "in.mkv", tmp_path / target, codec=codec)
    form = {"out.ts": "mpegts", "out.mpg": "vob"}[target]
    assert said == [
        f"track 1 (audio flac, eng) is encoded to mp2: {form} cannot carry flac",
        f"track 2 (subtitle srt, fra) is left out: {form} cannot carry subrip",
        f"2 chapters are left out: {form} holds none",
    ]
    assert names(tmp_path / target)[1:] in (["mp2"], ["mp2float"])
    with pytest.raises(bsqav.UnsupportedError, match=f"{form} cannot carry flac"):
        bsqav.transcode(tmp_path / "in.mkv", tmp_path / f"b{target}", codec=codec, audio="flac")


@pytest.mark.parametrize(
    ("target", "said"), [("out.m3u8", "1 chapters are left out"), ("out.nut", "light level")]
)
def test_python_says_what_nut_and_playlists_leave_out(
    tmp_path: Path, model_file: Path, target: str, said: str
) -> None:
    make_clip(tmp_path / "in.mp4", frames=3, audio=None)
    with av.open(str(tmp_path / "in.mp4")) as source:
        frame = next(source.decode(video=0))
    out = bsqav.open(tmp_path / target, "w", model=model_file)
    stream = out.add_stream("bsq", rate=25, options={"preset": "fast"})
    stream.width, stream.height, stream.hdr = 64, 48, HdrMetadata(max_cll=1000)
    out.set_chapters([Chapter(Fraction(0), Fraction(1, 25), {"title": "one"})])
    with pytest.warns(bsqav.BsqWarning, match=said):
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        out.close()


@pytest.mark.parametrize("rate", [44100, 48000])
def test_mxf_keeps_its_sound(tmp_path: Path, rate: int) -> None:
    source = clip(tmp_path / "in.mkv", "pcm_s16le", rate=rate)
    said = through(source, tmp_path / "out.mxf", codec="mpeg2video")
    assert names(tmp_path / "out.mxf") == ["mpeg2video", "pcm_s16le"]
    changed = ["track 1 (audio pcm_s16le) is encoded to pcm_s16le: "]
    changed[0] += "mxf cannot carry pcm_s16le of 44100 Hz"
    assert said == ([] if rate == 48000 else changed)


# ---- sound and text ----


def test_sound_of_24_bits_stays_so(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mkv", "pcm_s24le")
    assert through(source, tmp_path / "out.mp4", codec="libx264", audio="flac") == []
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.audio[0].format.name == "s32"


def test_vorbis_becomes_opus_with_a_warning(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mkv", "aac")
    (said,) = through(source, tmp_path / "out.mkv", codec="libx264", audio="vorbis")
    assert said.startswith("track 1 (audio aac) is encoded to opus: ")


def test_subrip_in_webm_is_text() -> None:
    text = b"Tom & <I>1 < 2</I> <font color=red>x</font>{\\an8} <b>y"
    assert subrip_to_webvtt(text) == b"Tom &amp; <i>1 &lt; 2</i> x <b>y"
    assert webvtt_to_subrip(subrip_to_webvtt(text)) == b"Tom & <i>1 < 2</i> x <b>y"


# ---- options that would do nothing ----


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"codec": "mpeg4", "crf": 20}, "mpeg4 has no crf: give a bit rate"),
        ({"codec": "ffv1", "preset": "fast"}, "ffv1 has no preset"),
        ({"codec": "libvpx-vp9", "maxrate": 500_000}, "only with a bit rate"),
    ],
)
def test_options_that_an_encoder_has_not(
    tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    make_clip(tmp_path / "in.mp4", frames=3, audio=None)
    with pytest.raises(bsqav.UsageError, match=said):
        bsqav.transcode(tmp_path / "in.mp4", tmp_path / "out.mkv", **options)


def test_options_that_an_encoder_has(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mp4", frames=3, audio=None)
    options: dict[str, Any] = {"crf": 30, "preset": "ultrafast", "tune": "zerolatency"}
    assert through(tmp_path / "in.mp4", tmp_path / "out.mkv", codec="libx264", **options) == []


def test_a_cap_may_coarsen_mpeg2(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mp4", frames=50, audio=None)
    sizes = []
    for rate in (15_000, 3_000_000):
        bsqav.transcode(
            tmp_path / "in.mp4", tmp_path / f"{rate}.m2v", codec="mpeg2video", maxrate=rate
        )
        sizes.append((tmp_path / f"{rate}.m2v").stat().st_size)
    assert sizes[0] < 0.8 * sizes[1]


@pytest.mark.parametrize(
    ("target", "options", "said"),
    [
        ("out.bsq", {"gop": 3, "lookahead": 2}, "one image: omit gop, lookahead"),
        ("out_%04d.png", {"crf": 3}, "omit crf"),
        ("out_%04d.jpg", {"codec": "png"}, "jpg images are mjpeg"),
        ("out.srt", {"codec": "libx264"}, "holds subtitles and no video"),
        ("out.vtt", {}, "holds subtitles and no video"),
    ],
)
def test_pictures_and_texts_refuse_what_they_would_drop(
    tmp_path: Path, target: str, options: dict[str, Any], said: str
) -> None:
    make_clip(tmp_path / "in.mp4", frames=1, audio=None)
    with pytest.raises(bsqav.UsageError, match=said):
        bsqav.transcode(tmp_path / "in.mp4", tmp_path / target, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
