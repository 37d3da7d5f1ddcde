"""The report: one file that needs nothing else, pictures at matched rate, within its size."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bsqav.evaluation.compare import report
from bsqav.evaluation.compare.comparison import CompareResult
from bsqav.evaluation.compare.plots import write_plots
from bsqav.evaluation.compare.report import fit_frames, report_page, write_report
from bsqav.evaluation.compare.results import ClipResult, Point
from bsqav.evaluation.compare.viewer import (
    ClipFrames,
    Frame,
    Viewer,
    choose_frames,
    pack_planes,
    unpack_planes,
)

from .conftest import HEADER, moving_planes
from .reports import FRAMES, compared

pytestmark = pytest.mark.usefixtures("ffmpeg")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, ffmpeg: str) -> tuple[CompareResult, Viewer]:
    folder = tmp_path_factory.mktemp("compared")
    return compared(folder, folder / "page_frames")


def content_of(page: str) -> dict[str, Any]:
    match = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert match is not None
    found: dict[str, Any] = json.loads(match[1])
    return found


def test_codecs_are_matched_in_rate(made: tuple[CompareResult, Viewer]) -> None:
    (clip,) = made[0].clips
    assert list(clip.matched) == ["bsq", "mpeg2", "mjpeg"]
    rates = [point.bpp for point in clip.matched.values()]
    assert max(rates) / min(rates) < 1.1
    # what the viewer shows is not on the curves
    assert len(clip.points) == 12
    for point in clip.matched.values():
        assert len(point.frame_bytes) == len(point.per_frame["vmaf"]) == FRAMES
        assert sorted(point.frame_bytes) == sorted(point.packet_bytes)


def test_pictures_are_what_was_decoded(made: tuple[CompareResult, Viewer]) -> None:
    (frames,) = made[1].clips.values()
    assert len({frame.index for frame in frames.frames}) == len(frames.frames) >= 6
    assert (frames.matrix, frames.full_range, frames.chroma) == ("bt601", False, "420")
    for frame in frames.frames:
        assert list(frame.pictures) == ["original", "bsq", "mpeg2", "mjpeg"]
    first = frames.frames[0]
    packed = np.asarray(Image.open(io.BytesIO(first.pictures["original"])))[..., 0]
    y, u, v = moving_planes(HEADER, first.index)
    np.testing.assert_array_equal(packed[:176, :192], y)
    np.testing.assert_array_equal(packed[176:, :96], u)
    np.testing.assert_array_equal(packed[176:, 96:], v)


@pytest.mark.parametrize("shapes", [((5, 7), (3, 4)), ((4, 4), (4, 4)), ((1, 1), (1, 1))])
def test_planes_of_any_size_fit_into_an_image(shapes: tuple[tuple[int, int], ...]) -> None:
    rng = np.random.default_rng(3)
    y, u, v = (rng.integers(0, 256, shapes[i > 0], dtype=np.uint8) for i in range(3))
    packed = np.asarray(Image.open(io.BytesIO(pack_planes((y, u, v)))))[..., 0]
    height, width = y.shape
    unpacked = unpack_planes(packed, width, height, "444" if u.shape == y.shape else "420")
    for plane, expected in zip(unpacked, (y, u, v), strict=True):
        np.testing.assert_array_equal(plane, expected)


def test_the_page_holds_everything_and_fetches_nothing(
    made: tuple[CompareResult, Viewer], tmp_path: Path
) -> None:
    result, viewer = made
    write_report(result, tmp_path / "page.html")
    assert content_of((tmp_path / "page.html").read_text("utf-8"))["frames"] == [None]
    assert viewer.sidecar is not None
    page = report_page(result, viewer, viewer.sidecar.parent)
    assert not re.findall(r"{{\w+}}", page)
    addresses = set(re.findall(r"https?://[^\s\"'`]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(link|script|img|iframe)[^>]+(src|href)=\"(?!data:)", page)
    assert "default-src 'none'" in page
    content = content_of(page)
    assert content["codecs"] == ["bsq", "mpeg2", "mjpeg"]
    (clip,) = content["clips"]
    assert len(clip["points"]) == 12
    assert "per_frame" not in clip["points"][0]
    assert len(clip["matched"]["bsq"]["per_frame"]["psnr_y"]) == FRAMES
    (frames,) = content["frames"]
    assert frames["sidecar"] == "page_frames/000"
    blocks = re.findall(r'<script type="text/plain" id="p-0-(\d+)-(\w+)">', page)
    assert len(blocks) == 4 * len(frames["frames"])


def test_all_frames_are_next_to_the_page(made: tuple[CompareResult, Viewer]) -> None:
    (frames,) = made[1].clips.values()
    assert frames.sidecar is not None
    for version in ("original", "bsq", "mpeg2", "mjpeg"):
        files = sorted((frames.sidecar / version).iterdir())
        assert [path.name for path in files] == [f"{i:05}.webp" for i in range(FRAMES)]
        assert Image.open(files[0]).size == (HEADER.width, HEADER.height)


def test_text_of_an_input_cannot_break_out(made: tuple[CompareResult, Viewer]) -> None:
    name = "</script><script>alert(1)</script>{{script}}.mp4"
    result = CompareResult([ClipResult(name)], ["bsq"], ["vmaf"], 250, {}, [])
    page = report_page(result)
    assert "<script>alert" not in page
    assert content_of(page)["clips"][0]["path"] == name


def frame_of(size: int, index: int = 0) -> Frame:
    return Frame(index, "worst 1", {"original": bytes(size)})


def test_what_does_not_fit_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    many = ClipFrames([frame_of(300, i) for i in range(5)])
    one = ClipFrames([frame_of(300)])
    assert fit_frames([many, None, one], 1_000_000) == [[0, 1, 2, 3, 4], [], [0]]
    # each clip has its first frame before any has a second
    assert fit_frames([many, one], 1200) == [[0], [0]]
    assert fit_frames([many], 100) == [[]]

    result = CompareResult([ClipResult("a.mp4")], ["bsq"], ["vmaf"], 250, {}, [])
    viewer = Viewer()
    viewer.clips["a.mp4"] = ClipFrames([frame_of(400_000, i) for i in range(5)])
    monkeypatch.setattr(report, "MAX_BYTES", 2_000_000)
    page = report_page(result, viewer)
    assert len(page) < 2_000_000
    assert "pictures of 2 further frames" in page


def test_frames_to_look_at_are_the_worst_and_a_spread() -> None:
    values = [90.0] * 100
    values[40:44] = [50.0, 40.0, 50.0, 60.0]
    values[80] = 45.0
    point = Point(
        *("bsq", "crf 1", 1, 8, 1.0, 1.0, 100, 1.0, 1.0, 1.0, 1.0, 1.0, None, 1.0, "", []),
        {"vmaf": values},
    )
    clip = ClipResult("a.mp4", matched={"bsq": point})
    chosen = choose_frames(clip)
    worst = [index for index, why in chosen if why.startswith("worst")]
    spread = [index for index, why in chosen if why == "representative"]
    assert worst[:2] == [41, 80]
    assert len(worst) == 6 and len(spread) >= 5
    assert all(abs(a - b) > 1 for a in worst for b in worst if a != b)
    assert choose_frames(ClipResult("a.mp4")) == []


def test_plots_are_pictures(made: tuple[CompareResult, Viewer], tmp_path: Path) -> None:
    result = dataclasses.replace(made[0], metrics=["vmaf"])
    files = write_plots(result, tmp_path / "plots", made[1])
    names = {path.name for path in files}
    assert names == {
        f"{kind}_moving_vmaf.{suffix}" for kind in ("rd", "frames") for suffix in ("png", "svg")
    } | {"look_moving.webp"}
    # four pictures in rows of three, twice as large
    assert Image.open(tmp_path / "plots" / "look_moving.webp").size == (3 * 392 - 8, 2 * 396)
    assert Image.open(tmp_path / "plots" / "rd_moving_vmaf.png").width > 800
    assert "<svg" in (tmp_path / "plots" / "rd_moving_vmaf.svg").read_text()


def test_csv_has_a_line_for_every_point(made: tuple[CompareResult, Viewer]) -> None:
    head, *lines = made[0].to_csv().splitlines()
    assert head.startswith("clip,width,height,fps,codec,setting,stream_bytes")
    assert len(lines) == 12
