"""Files with parallel groups of frames: in order, the same for every number, cleanly ended."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import bsqav
from bsqav import _core
from bsqav.codec import encoder as encoder_module
from bsqav.media.inspect.verification import verify
from tests.media.clips import interrupt, make_clip
from tests.media.test_transcode_failures import video_packets

FRAMES = 160
OPTIONS: dict[str, Any] = {"gop": 50, "lookahead": 5, "preset": "fast", "parallel": 2}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "in.mkv", frames=FRAMES)


@pytest.fixture
def coded(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("coded") / "out.mkv"
    result = bsqav.transcode(clip, target, **OPTIONS)
    assert result.frames_in == result.frames_out == FRAMES
    return target


def no_threads() -> bool:
    return not any(thread.name.startswith("bsqav group") for thread in threading.enumerate())


@pytest.mark.parametrize("parallel", [2, 3])
def test_the_file_does_not_depend_on_the_number(
    tmp_path: Path, clip: Path, coded: Path, parallel: int
) -> None:
    bsqav.transcode(clip, tmp_path / "out.mkv", **{**OPTIONS, "parallel": parallel, "threads": 3})
    assert (tmp_path / "out.mkv").read_bytes() == coded.read_bytes()


def test_it_decodes_to_every_frame(coded: Path, clip: Path) -> None:
    assert verify(coded).frames == FRAMES
    with bsqav.open(coded) as video, av.open(str(clip)) as source:
        frames = list(video.decode(video=0))
        for frame, original in itertools.zip_longest(frames, source.decode(video=0)):
            assert frame.time == original.time
            error = np.mean(
                (frame.to_ndarray()[:48].astype(float) - original.to_ndarray()[:48]) ** 2
            )
            assert error < 255**2 / 10**1.5


def test_audio_is_interleaved_with_its_video(coded: Path, clip: Path, tmp_path: Path) -> None:
    """Not seconds before them, where a group is read ahead; NUT is written as it comes."""
    bsqav.transcode(clip, tmp_path / "out.nut", **OPTIONS)
    for path in (coded, tmp_path / "out.nut"):
        with av.open(str(path)) as container:
            last = {"video": 0.0, "audio": 0.0}
            for packet in container.demux():
                if packet.pts is not None:
                    last[packet.stream.type] = float(packet.pts * packet.time_base)
                    assert abs(last["video"] - last["audio"]) < 0.5


def test_progress_counts_what_is_in_the_file(clip: Path, tmp_path: Path) -> None:
    seen: list[bsqav.Progress] = []
    bsqav.transcode(clip, tmp_path / "out.mkv", progress=seen.append, **OPTIONS)
    counts = [state.frames for state in seen]
    assert counts == sorted(counts)
    assert counts[-1] == FRAMES
    assert seen[-1].frames_in == FRAMES
    assert seen[-1].time == pytest.approx(FRAMES / 25, abs=0.05)


@pytest.mark.parametrize("frames", [10, FRAMES])
def test_an_interruption_leaves_the_decodable_part(tmp_path: Path, clip: Path, frames: int) -> None:
    """While frames go in, and after the last one has."""
    least = min(frames, 100)
    target, partial = tmp_path / "out.mkv", tmp_path / "out.mkv.partial"
    interrupt(clip, target, partial, lambda counts: max(counts, default=0) >= least, **OPTIONS)
    assert list(tmp_path.iterdir()) == [partial]
    assert len(video_packets(partial)) >= least
    assert no_threads()


def test_a_truncated_input_leaves_the_decodable_part(tmp_path: Path, clip: Path) -> None:
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(clip.read_bytes()[: clip.stat().st_size * 3 // 4])
    with pytest.raises(bsqav.MediaError, match=r"cut short.* good frames are in") as caught:
        bsqav.transcode(cut, tmp_path / "out.mkv", **OPTIONS)
    count = int(str(caught.value).split(" good frames")[0].split()[-1])
    assert 50 < count < FRAMES
    assert len(video_packets(tmp_path / "out.mkv.partial")) == count
    assert not (tmp_path / "out.mkv").exists()
    assert no_threads()


def test_an_error_in_a_group_leaves_no_finished_file(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(_core.Encoder):
        def send(self, planes: Any, pts: int, **options: Any) -> None:
            if pts >= 4000:
                raise bsqav.BsqError("no memory left")
            super().send(planes, pts, **options)

    monkeypatch.setattr(_core, "Encoder", Failing)
    with pytest.raises(bsqav.BsqError, match="no memory left"):
        bsqav.transcode(clip, tmp_path / "out.mkv", **OPTIONS)
    assert not (tmp_path / "out.mkv").exists()
    assert no_threads()


def test_a_pipe_gives_the_same_as_a_file(coded: Path, clip: Path, tmp_path: Path) -> None:
    class Pipe:
        """Readable, and nothing else."""

        def __init__(self) -> None:
            self._file = clip.open("rb")

        def read(self, size: int) -> bytes:
            return self._file.read(min(size, 5000))

    pipe: Any = Pipe()
    bsqav.transcode(pipe, tmp_path / "out.mkv", **OPTIONS)
    assert video_packets(tmp_path / "out.mkv") == video_packets(coded)


def test_where_memory_is_short_a_warning_says_how_many_work(
    tmp_path: Path, clip: Path, coded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_module, "memory_limit", lambda: 230 * 64 * 48 * 3 // 2)
    said: list[str] = []
    options = {**OPTIONS, "parallel": 8}
    bsqav.transcode(clip, tmp_path / "out.mkv", warn=said.append, **options)
    assert [line for line in said if "8 groups at a time" in line and "--gop" in line]
    assert (tmp_path / "out.mkv").read_bytes() == coded.read_bytes()


def test_streams_of_an_open_file_have_the_option(tmp_path: Path, clip: Path, coded: Path) -> None:
    options = {"gop": "50", "lookahead": "5", "preset": "fast", "parallel": "2"}
    with av.open(str(clip)) as source, bsqav.open(tmp_path / "out.mkv", "w") as target:
        stream = target.add_stream("bsq", rate=25, options=options)
        for frame in source.decode(video=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
    sizes = [[len(p) for p in video_packets(path)] for path in (coded, tmp_path / "out.mkv")]
    assert len(sizes[0]) == len(sizes[1]) == FRAMES
    assert sizes[0] == pytest.approx(sizes[1], abs=8)  # the sequence headers differ


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parallel": 0}, "parallel 0 is not in 1 .. 64"),
        ({"parallel": 65}, "parallel 65 is not in 1 .. 64"),
        ({"parallel": 2, "bitrate": 100_000}, "bit rate"),
        ({"parallel": 2, "codec": "libx264"}, "parallel groups are for encoding to BSQ"),
        ({"parallel": 2, "codec": "copy"}, "omit parallel"),
    ],
)
def test_what_does_not_go_with_it_is_refused(
    tmp_path: Path, clip: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(bsqav.UsageError, match=message):
        bsqav.transcode(clip, tmp_path / "out.mkv", **options)
    assert list(tmp_path.iterdir()) == []


def test_one_group_at_a_time_is_the_usual_encoder(tmp_path: Path, clip: Path) -> None:
    bsqav.transcode(clip, tmp_path / "a.mkv", gop=50, preset="fast")
    bsqav.transcode(clip, tmp_path / "b.mkv", gop=50, preset="fast", parallel=1)
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()
