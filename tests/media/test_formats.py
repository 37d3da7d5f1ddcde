"""Chroma formats, alpha and interlaced video in `transcode`, both ways."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import bsqav
from bsqav.cli.main import main
from bsqav.media.transcode.deinterlace import Deinterlacer
from tests.media.clips import frame_times, make_clip
from tests.tiny import model_file, only_test_model

__all__ = ["model_file", "only_test_model"]


def clip_of(folder: Path, pixel_format: str, encoder: str = "ffv1") -> Path:
    """Three frames."""
    return make_clip(
        folder / "in.mkv", pixel_format=pixel_format, encoder=encoder, frames=3, audio=None
    )


def pixel_format_of(path: Path) -> str:
    """Of a file that FFmpeg decodes."""
    with av.open(str(path)) as container:
        name: str = next(container.decode(video=0)).format.name
        return name


@pytest.mark.parametrize(
    "name", ["yuv422p", "yuv444p", "yuv444p10le", "yuva420p", "yuva422p10le", "yuva444p"]
)
def test_formats_are_kept_both_ways(
    tmp_path: Path, name: str, recwarn: pytest.WarningsRecorder
) -> None:
    bsqav.transcode(clip_of(tmp_path, name), tmp_path / "out.mkv", crf=0)
    with bsqav.open(tmp_path / "out.mkv") as container:
        assert container.streams.video[0].pix_fmt == name
        pictures = list(container.decode(video=0))
    assert [p.format.name for p in pictures] == [name] * 3
    bsqav.transcode(tmp_path / "out.mkv", tmp_path / "back.mkv", codec="ffv1")
    assert pixel_format_of(tmp_path / "back.mkv") == name
    with av.open(str(tmp_path / "back.mkv")) as container:
        for ours, theirs in zip(pictures, container.decode(video=0), strict=True):
            assert np.array_equal(ours.to_ndarray(format="rgba"), theirs.to_ndarray(format="rgba"))
    assert not [w for w in recwarn if issubclass(w.category, bsqav.BsqWarning)]


@pytest.mark.parametrize(
    ("name", "encoder", "becomes", "words"),
    [
        ("yuv444p", "libx264", "yuv444p", None),
        ("yuv422p", "libx264", "yuv422p", None),
        ("yuva420p", "libx264", "yuv420p", "the alpha channel is left out: libx264 holds none"),
        ("yuva444p", "png", "rgba", None),
        ("yuv444p", "mpeg4", "yuv420p", "4:4:4 becomes yuv420p: mpeg4 does not hold it"),
    ],
)
def test_other_encoders_get_their_nearest_format(
    tmp_path: Path, name: str, encoder: str, becomes: str, words: str | None
) -> None:
    bsqav.transcode(clip_of(tmp_path, name), tmp_path / "out.mkv", crf=40)
    said: list[str] = []
    bsqav.transcode(tmp_path / "out.mkv", tmp_path / "a.mov", codec=encoder, warn=said.append)
    assert pixel_format_of(tmp_path / "a.mov") == becomes
    assert said == ([] if words is None else [words])


def test_a_format_that_is_asked_for(tmp_path: Path) -> None:
    source, target = clip_of(tmp_path, "yuva444p"), tmp_path / "out.mkv"
    assert main(["transcode", str(source), str(target), "--pix-fmt", "yuv420p", "--quiet"]) == 0
    with bsqav.open(target) as container:
        assert container.streams.video[0].pix_fmt == "yuv420p"
    with pytest.raises(bsqav.UnsupportedError, match="yuv411p is not coded as it is"):
        bsqav.transcode(source, target, pixel_format="yuv411p", overwrite=True)
    with pytest.raises(bsqav.UsageError, match="omit pixel_format"):
        bsqav.transcode(target, tmp_path / "b.mkv", codec="copy", pixel_format="gray")


def test_alpha_goes_into_pictures(tmp_path: Path) -> None:
    bsqav.transcode(clip_of(tmp_path, "yuva420p"), tmp_path / "out.mkv")
    bsqav.transcode(tmp_path / "out.mkv", tmp_path / "p_%d.png")
    assert pixel_format_of(tmp_path / "p_1.png") == "rgba"


def woven(folder: Path) -> Path:
    """Ten frames of two moments each, as a camera of 50 fields a second gives them."""
    path = folder / "fields.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.options = {"flags": "+ildct+ilme", "qscale": "2"}
        for index in range(10):
            samples = np.full((72, 64), 128, np.uint8)
            samples[:48] = 30
            for field in range(2):
                left = 4 * index + 2 * field
                samples[field:48:2, left : left + 16] = 220
            frame = av.VideoFrame.from_ndarray(samples, format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def combing(path: Path) -> float:
    """How far neighbouring rows differ, on the mean."""
    with av.open(str(path)) as container:
        rows = [
            np.abs(np.diff(frame.to_ndarray(format="gray").astype(int), axis=0)).mean()
            for frame in container.decode(video=0)
        ]
    return float(np.mean(rows))


def test_interlaced_video_is_deinterlaced_with_a_warning(tmp_path: Path) -> None:
    source = woven(tmp_path)
    said: list[str] = []
    bsqav.transcode(source, tmp_path / "out.mkv", crf=0, warn=said.append)
    assert said == ["interlaced video is deinterlaced (bwdif), one progressive frame for each"]
    bsqav.transcode(tmp_path / "out.mkv", tmp_path / "back.mkv", codec="ffv1")
    assert frame_times(tmp_path / "back.mkv") == frame_times(source)
    assert combing(tmp_path / "back.mkv") < combing(source) / 3
    result = bsqav.transcode(
        source, tmp_path / "cut.mkv", start="0.2", duration="0.12", warn=said.append
    )
    assert result.frames_out == 3


def test_frames_that_are_not_interlaced_pass_as_they_are() -> None:
    deinterlacer = Deinterlacer(Fraction(1, 25), pytest.fail)
    frame = av.VideoFrame(16, 16, "yuv420p")
    assert list(deinterlacer.push(frame)) == [frame]
    assert list(deinterlacer.flush()) == []
