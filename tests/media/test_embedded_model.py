"""A model that travels in the file: found uninstalled, checked, and refused elsewhere."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import pytest

import bsqav
from bsqav.codec.models import find_model
from bsqav.evaluation.compare.bit_allocation import examine
from bsqav.media.inspect.inspection import inspect
from bsqav.media.inspect.verification import verify
from bsqav.media.metadata.embedded_model import MAX_MODEL_BYTES, MODEL_TYPE, embedded_models
from bsqav.media.metadata.file_metadata import Attachment
from bsqav.media.mux.muxers import open_muxer
from tests.media.clips import make_clip
from tests.support import run_tool

Tool = Callable[[str], Path]


@pytest.fixture
def coded(tmp_path: Path) -> tuple[Path, str]:
    """A file with its model in it, and its conformance hash."""
    clip = make_clip(tmp_path / "in.mkv", frames=12, attachment=("a.ttf", "font/ttf", b"x" * 9))
    path = tmp_path / "coded.mkv"
    bsqav.transcode(clip, path, embed_model=True, gop=5)
    return path, verify(path).hash


@contextmanager
def nothing_installed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """No model is in reach: neither the test model nor a released one."""
    (folder / "empty").mkdir(exist_ok=True)
    with monkeypatch.context() as patch:
        patch.delenv("BSQAV_MODEL")
        patch.setenv("BSQAV_MODEL_PATH", str(folder / "empty"))
        patch.setattr("bsqav.codec.models.shipped_folder", lambda: folder / "empty")
        yield


def attachments(path: Path) -> dict[str, tuple[str | None, bytes]]:
    with av.open(str(path)) as container:
        found = container.streams.attachments
        return {each.metadata["filename"]: (each.mimetype, each.data) for each in found}


def decoded(path: Path, **options: Any) -> list[int]:
    with bsqav.open(path, **options) as container:
        return [frame.pts for frame in container.decode(video=0) if frame.pts is not None]


def test_everything_finds_the_model_in_the_file(
    tmp_path: Path, coded: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, expected = coded
    times = decoded(path)
    with nothing_installed(monkeypatch, tmp_path), warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(bsqav.ModelNotFoundError):
            find_model("tiny")
        assert verify(path).hash == expected
        assert decoded(path) == times
        with bsqav.open(path) as container:
            stream = container.streams.video[0]
            container.seek(times[10], stream=stream)
            frame = next(container.decode(stream))
            assert frame.pts == times[10]
        assert len(examine(path).bits) == 12
        track = inspect(path).bsq[0]
        assert (track.model_name, track.model_embedded) == ("tiny", True)
        back = bsqav.transcode(path, tmp_path / "back.mp4", warn=lambda _: None)
        assert (back.hash, back.warnings) == (
            expected,
            ("attachment a.ttf is left out: mp4 holds none",),
        ), "the model is not missed beside other video"


def test_the_attachment_is_the_model_file(coded: tuple[Path, str], model_file: Path) -> None:
    found = attachments(coded[0])
    (name,) = [name for name in found if name.endswith(".bsqm")]
    assert found[name] == (MODEL_TYPE, model_file.read_bytes())
    assert name == f"tiny.{find_model('tiny').id}.bsqm"


def test_a_copy_keeps_one_and_embeds_where_asked(
    tmp_path: Path, coded: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, expected = coded
    with nothing_installed(monkeypatch, tmp_path):
        for number, embed in enumerate((False, True)):
            copy = tmp_path / f"copy{number}.mkv"
            bsqav.transcode(path, copy, codec="copy", embed_model=embed)
            assert len(attachments(copy)) == 2
            assert verify(copy).hash == expected
        # By packets too, where the model is in the input alone.
        target = tmp_path / "packets.mkv"
        with bsqav.open(path) as source, bsqav.open(target, "w", embed_model=True) as sink:
            stream = sink.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                packet.stream = stream
                sink.mux(packet)
        assert verify(target).hash == expected


def test_transcoding_drops_the_old_model(tmp_path: Path, coded: tuple[Path, str]) -> None:
    muxer_file = tmp_path / "with.mkv"
    foreign = Attachment("old.bsqm", MODEL_TYPE, bytes(100))
    with bsqav.open(coded[0]) as source, bsqav.open(muxer_file, "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        sink.add_attachment(foreign.name, foreign.mimetype, foreign.data)
        for packet in source.demux(video=0):
            packet.stream = stream
            sink.mux(packet)
    with pytest.warns(bsqav.BsqWarning, match=r"old\.bsqm is no model that can be used"):
        bsqav.transcode(muxer_file, tmp_path / "again.mkv", codec="bsq")
    assert attachments(tmp_path / "again.mkv") == {}


def test_open_embeds_the_model_it_codes_with(
    tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mkv"
    with bsqav.open(path, "w", embed_model=True, model=model_file) as container:
        stream = container.add_stream("bsq", rate=25)
        frame = av.VideoFrame(32, 32, "gray")
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with nothing_installed(monkeypatch, tmp_path):
        assert decoded(path) == [0]


@pytest.mark.parametrize("suffix", ["mov", "nut"])
def test_containers_without_attachments_are_refused(tmp_path: Path, suffix: str) -> None:
    clip = make_clip(tmp_path / "in.mp4", frames=2)
    path = tmp_path / f"out.{suffix}"
    with pytest.raises(bsqav.UsageError, match=f"{suffix} holds no attachments.*mkv"):
        bsqav.transcode(clip, path, embed_model=True)
    with pytest.raises(bsqav.UsageError, match="holds no attachments"):
        bsqav.open(path, "w", embed_model=True)
    with pytest.raises(bsqav.UsageError, match="with BSQ video only"):
        bsqav.transcode(clip, tmp_path / "out.mp4", codec="libx264", embed_model=True)
    assert sorted(tmp_path.iterdir()) == [clip]


def test_damaged_and_huge_attachments_are_no_models(
    tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = model_file.read_bytes()
    with nothing_installed(monkeypatch, tmp_path):
        flipped = bytearray(good)
        flipped[5000] ^= 1
        huge = bytes(MAX_MODEL_BYTES + 1)
        files = [bytes(flipped), good[:-1], b"", huge]
        found = embedded_models([Attachment("m.bsqm", MODEL_TYPE, data) for data in files])
        assert found.models == ()
        assert len(found.faults) == len(files)
        many = [Attachment("m.bsqm", MODEL_TYPE, b"")] * 1000
        assert len(embedded_models(many).faults) < 30
        # The type may be lost on the way, the name and the hash do not lie.
        found = embedded_models([Attachment("M.BSQM", "application/octet-stream", good)])
        assert [model.name for model in found.models] == ["tiny"]


def test_a_damaged_model_is_named_where_it_is_needed(
    tmp_path: Path, coded: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = coded[0]
    data = bytearray(path.read_bytes())
    place = data.index(b"BSQM" if b"BSQM" in data else find_model("tiny").name.encode())
    data[place + 3000] ^= 1
    path.write_bytes(data)
    with (
        nothing_installed(monkeypatch, tmp_path),
        pytest.warns(bsqav.BsqWarning, match="is no model that can be used"),
        pytest.raises(bsqav.ModelNotFoundError, match="is not installed"),
    ):
        verify(path)


def test_muxers_say_whether_they_hold_attachments(tmp_path: Path) -> None:
    muxer = open_muxer(tmp_path / "a.nut")
    assert not muxer.add_attachment(Attachment("m.bsqm", MODEL_TYPE, b"x"))
    muxer.abort()


@pytest.mark.host
def test_it_survives_other_programs(
    tmp_path: Path, coded: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, expected = coded
    by: dict[str, list[Any]] = {
        "ffmpeg": ["ffmpeg", "-v", "error", "-i", path, "-map", "0", "-c", "copy"],
        "mkvmerge": ["mkvmerge", "-q", path, "-o"],
    }
    for name, command in by.items():
        copy = tmp_path / f"{name}.mkv"
        run_tool(*command, copy)
        with nothing_installed(monkeypatch, tmp_path):
            assert verify(copy).hash == expected, name
