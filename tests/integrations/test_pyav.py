"""bsqav.install: PyAV itself reads and writes BSQ, and everything else stays as it was."""

from __future__ import annotations

import gc
import io
import itertools
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import bsqav
from bsqav.errors import UnsupportedError, UsageError
from bsqav.integrations import pyav
from bsqav.media.pyav_api.container_read import InputContainer
from tests.media.clips import ClipSpec, make_clip, pictures

SPEC = ClipSpec(size=(48, 32), frames=6, gop=3)


@pytest.fixture(autouse=True)
def installed() -> Generator[None, None, None]:
    bsqav.install()
    yield
    bsqav.uninstall()


def write(target: Any, **options: Any) -> None:
    with av.open(target, "w", **options) as container:
        stream: Any = container.add_stream("bsq", rate=25, options={"crf": "30", "gop": "3"})
        for number, frame in enumerate(pictures(SPEC)):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def luma(container: Any) -> list[bytes]:
    return [bytes(frame.planes[0]) for frame in container.decode(video=0)]


@pytest.mark.parametrize("name", ["out.mkv", "out.mov", "out.nut"])
def test_pyav_writes_and_reads_bsq(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write(str(path))
    with av.open(str(path)) as container:
        stream: Any = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("bsq", 48, 32)
        found = luma(container)
        container.seek(0)
        assert luma(container) == found
    assert len(found) == 6
    with bsqav.open(path) as same:
        assert luma(same) == found


def test_file_objects_go_both_ways() -> None:
    held = io.BytesIO()
    write(held, format="matroska")
    held.seek(0)
    with av.open(held) as container:
        assert len(luma(container)) == 6


def test_audio_and_video_in_either_order(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", SPEC)
    for number, sound_first in enumerate((True, False)):
        path = tmp_path / f"{number}.mkv"
        with av.open(str(clip)) as source, av.open(str(path), "w") as container:
            order: list[Any] = ["bsq", source.streams.audio[0]]
            streams: dict[str, Any] = {
                one if isinstance(one, str) else one.type: container.add_stream(one, rate=25)
                if isinstance(one, str)
                else container.add_stream_from_template(one)
                for one in (reversed(order) if sound_first else order)
            }
            container.metadata["title"] = "a clip"
            assert len(container.streams) == 2
            for packet in source.demux():
                if packet.stream.type == "audio" and packet.dts is not None:
                    packet.stream = streams["audio"]
                    container.mux(packet)
                for frame in packet.decode() if packet.stream.type == "video" else ():
                    container.mux(streams["bsq"].encode(frame))
            container.mux(streams["bsq"].encode(None))
        with av.open(str(path)) as container, av.open(str(clip)) as source:
            assert container.metadata["title"] == "a clip"
            sizes = [p.size for p in container.demux(audio=0) if p.size]
            assert sizes == [p.size for p in source.demux(audio=0) if p.size]
        with av.open(str(path)) as container:
            assert len(luma(container)) == 6


def test_sound_encoders_made_before_and_after(tmp_path: Path) -> None:
    path = tmp_path / "out.mkv"
    with av.open(str(path), "w") as container:
        sounds: list[Any] = [container.add_stream("aac", rate=48000)]
        video: Any = container.add_stream("bsq", rate=25)
        sounds.append(container.add_stream("aac", rate=48000))
        for frame in itertools.islice(pictures(SPEC), 2):
            container.mux(video.encode(frame))
        for sound in sounds:
            silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
            silence.sample_rate, silence.pts = 48000, 0
            for packet in [*sound.encode(silence), *sound.encode(None)]:
                container.mux(packet)
        container.mux(video.encode(None))
    with av.open(str(path)) as container:
        assert [stream.type for stream in container.streams] == ["audio", "video", "audio"]


def test_bsq_is_copied_into_another_container(tmp_path: Path) -> None:
    write(str(tmp_path / "in.mkv"))
    source, target = av.open(str(tmp_path / "in.mkv")), av.open(str(tmp_path / "out.mov"), "w")
    with source, target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            packet.stream = stream
            target.mux(packet)
    with av.open(str(tmp_path / "in.mkv")) as one, av.open(str(tmp_path / "out.mov")) as other:
        assert luma(one) == luma(other)


def test_other_codecs_are_pyavs_own(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", SPEC)
    with av.open(str(clip)) as container:
        assert isinstance(container, av.container.InputContainer)
        assert len(luma(container)) == 6
    with av.open(str(tmp_path / "out.mkv"), "w") as output:
        stream = output.add_stream("mpeg4", rate=25)
        assert isinstance(stream, av.VideoStream)
        assert list(output.streams) == [stream]
        with pytest.raises(av.codec.codec.UnknownCodecError):
            output.add_stream("no such codec")


def test_a_failing_block_leaves_the_partial_file(tmp_path: Path) -> None:
    path = tmp_path / "out.mkv"
    with pytest.raises(KeyboardInterrupt), av.open(str(path), "w") as container:
        container.add_stream("bsq", rate=25)
        raise KeyboardInterrupt
    assert not path.exists()
    bsqav.uninstall()


@pytest.mark.parametrize(
    ("name", "message"), [("out.mp4", "write .mov"), ("out.webm", "write .mkv"), ("a.avi", "AVI")]
)
def test_containers_without_a_place_for_it_say_so(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message), av.open(str(tmp_path / name), "w") as container:
        container.add_stream("bsq", rate=25)


def test_a_second_video_codec_is_refused(tmp_path: Path) -> None:
    container = av.open(str(tmp_path / "a.mkv"), "w")
    container.add_stream("mpeg4", rate=25)
    with container, pytest.raises(UsageError, match="stream 0"):
        container.add_stream("bsq", rate=25)


def test_it_is_undone_and_may_be_done_twice(tmp_path: Path) -> None:
    path = tmp_path / "out.mkv"
    write(str(path))
    bsqav.install()
    wrapper = av.open
    bsqav.uninstall()
    assert not pyav.is_installed()
    assert av.open is av.container.open is not wrapper
    bsqav.uninstall()
    with av.open(str(path)) as container:
        assert isinstance(container, av.container.InputContainer)
    with pytest.raises(ValueError, match="bsq"), av.open(str(path), "w") as container:
        container.add_stream("bsq")
    assert "streams" not in vars(av.container.OutputContainer)


def test_it_is_not_undone_while_files_are_open(tmp_path: Path) -> None:
    container = av.open(str(tmp_path / "out.mkv"), "w")
    stream: Any = container.add_stream("bsq", rate=25)
    with pytest.raises(UsageError, match="being written"):
        bsqav.uninstall()
    container.mux(stream.encode(np.zeros((32, 32), np.uint8)))
    container.close()
    container.close()


def test_a_dropped_container_blocks_nothing(tmp_path: Path) -> None:
    av.open(str(tmp_path / "out.mkv"), "w").add_stream("bsq", rate=25)
    gc.collect()
    bsqav.uninstall()
    assert not pyav.is_installed()


def test_a_pyav_that_cannot_be_extended(monkeypatch: pytest.MonkeyPatch) -> None:
    bsqav.uninstall()
    monkeypatch.setattr(av.container, "OutputContainer", int)
    with pytest.raises(UnsupportedError, match=r"17\.1"):
        pyav._replace(int, {"add_stream": None})
    assert not pyav.is_installed()


def test_a_bsq_file_behaves_as_in_pyav(tmp_path: Path) -> None:
    write(str(tmp_path / "out.mkv"))
    with av.open(str(tmp_path / "out.mkv")) as opened:
        container: Any = opened
        assert isinstance(container, InputContainer)
        assert container.streams.video[0].codec.name == "bsq"
        assert container.streams.best("video") is container.streams.video[0]
