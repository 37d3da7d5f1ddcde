"""The cache: a second run measures nothing, a damaged or changed part is measured again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from bsqav.evaluation.compare import coders, points
from bsqav.evaluation.compare.comparison import CompareResult
from bsqav.evaluation.compare.reference_encoders import REFERENCES, encode_reference
from bsqav.evaluation.io.cache import Cache, cache_folder, file_hash, key_of
from bsqav.evaluation.metrics.quality import measure

from .comparing import compare_with
from .conftest import HEADER, write_y4m

pytestmark = pytest.mark.usefixtures("ffmpeg")


def measure_mjpeg(clip: Path, cache: Cache | None, **options: Any) -> CompareResult:
    return compare_with([clip], codecs=["mjpeg"], frames=2, cache=cache, **options)


@pytest.fixture(autouse=True)
def two_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """A curve of two points, to be quick."""
    short = dataclasses.replace(REFERENCES["mjpeg"], points=(4, 12))
    monkeypatch.setitem(REFERENCES, "mjpeg", short)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "kept")


@pytest.fixture
def encodes(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The qualities that have been encoded."""
    seen: list[float] = []
    real = encode_reference

    def counted(reference: Any, y4m: Path, quality: float, gop: int, out: Path) -> Any:
        seen.append(quality)
        return real(reference, y4m, quality, gop, out)

    monkeypatch.setattr(coders, "encode_reference", counted)
    return seen


def test_a_second_run_encodes_and_measures_nothing(
    clip: Path, cache: Cache, encodes: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = measure_mjpeg(clip, cache)
    assert len(encodes) == len(first.clips[0].points) == 2
    monkeypatch.setattr(points, "measure", None)
    second = measure_mjpeg(clip, cache)
    assert len(encodes) == 2
    assert second.clips[0].points == first.clips[0].points
    assert (first.cached, second.cached) == (0, 2)
    assert any("2 points came from the cache" in note for note in second.notes)


def test_without_a_cache_everything_is_measured_again(clip: Path, encodes: list[float]) -> None:
    measure_mjpeg(clip, None)
    measure_mjpeg(clip, None)
    assert len(encodes) == 4


def test_another_content_under_the_same_name_is_another_input(
    clip: Path, cache: Cache, encodes: list[float]
) -> None:
    before = measure_mjpeg(clip, cache)
    data = bytearray(clip.read_bytes())
    data[-20_000:] = bytes(20_000)
    clip.write_bytes(data)
    compare_with([clip], codecs=["mjpeg"], cache=cache)
    assert len(encodes) == 4
    assert before.clips[0].sha256 != file_hash(clip)


def test_the_same_content_under_another_name_is_the_same(
    clip: Path, cache: Cache, encodes: list[float]
) -> None:
    measure_mjpeg(clip, cache)
    measure_mjpeg(clip.rename(clip.with_name("other.y4m")), cache)
    assert len(encodes) == 2


def test_a_further_metric_takes_the_streams_that_are_there(
    clip: Path, cache: Cache, encodes: list[float]
) -> None:
    plain = measure_mjpeg(clip, cache)
    more = measure_mjpeg(clip, cache, metrics=["ssim"])
    assert len(encodes) == 2
    assert plain.clips[0].points[0].ssim is None
    assert 0.5 < (more.clips[0].points[0].ssim or 0) <= 1


def test_a_run_that_was_stopped_goes_on_where_it_was(
    clip: Path, cache: Cache, encodes: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = measure
    left = iter(range(1))

    def stops(*arguments: Any) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(points, "measure", stops)
    with pytest.raises(KeyboardInterrupt):
        measure_mjpeg(clip, cache)
    monkeypatch.setattr(points, "measure", real)
    encodes.clear()
    assert measure_mjpeg(clip, cache).cached == 1
    assert len(encodes) < 2


def test_damaged_entries_are_made_again(clip: Path, cache: Cache, encodes: list[float]) -> None:
    measure_mjpeg(clip, cache)
    for path in cache.folder.rglob("*.json"):
        path.write_text("{")
    assert measure_mjpeg(clip, cache).failures == []
    assert len(encodes) == 4


def test_a_folder_that_cannot_be_written_to_is_no_obstacle(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert measure_mjpeg(clip, Cache(tmp_path / "file")).failures == []


def test_the_folder_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own_cache: Path
) -> None:
    assert cache_folder() == own_cache
    monkeypatch.delenv("BSQAV_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "bsqav" / "compare"


def test_keys_depend_on_every_part(tmp_path: Path) -> None:
    assert key_of(a=1, b=2) == key_of(b=2, a=1)
    assert len({key_of(a=1), key_of(a=2), key_of(b=1)}) == 3
    assert Cache(tmp_path).read(None, ".json") is None
    path = write_y4m(tmp_path / "a.y4m", HEADER, 1)
    assert len(file_hash(path)) == 64
