"""Errors say where they occurred, and leave the decodable part in the partial file."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import av
import pytest

import bsqav
from bsqav.media.demux.demuxer import BsqPacket, Demuxer
from tests.media.clips import interrupt, make_clip

FRAMES = 20


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "in.mkv", frames=FRAMES, gop=5)


@pytest.fixture
def coded(clip: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "coded"
    folder.mkdir()
    bsqav.transcode(clip, folder / "in.mkv", gop=5)
    return folder / "in.mkv"


def video_packets(path: Path) -> list[bytes]:
    with Demuxer(path) as demuxer:
        found = demuxer.demux(demuxer.tracks[0].stream)
        return [packet.data for packet in found if isinstance(packet, BsqPacket)]


def count_frames(path: Path) -> int:
    with av.open(str(path), format="matroska") as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_truncated_bsq_file_leaves_the_decodable_part(tmp_path: Path, coded: Path) -> None:
    data = coded.read_bytes()
    coded.write_bytes(data[: len(data) // 2])
    with pytest.raises(bsqav.BsqError, match=r"good frames are in .*back\.mkv\.partial") as caught:
        bsqav.transcode(coded, tmp_path / "back.mkv")
    count = int(str(caught.value).split(" good frames")[0].split()[-1])
    assert 0 < count < FRAMES
    assert count_frames(tmp_path / "back.mkv.partial") == count
    assert not (tmp_path / "back.mkv").exists()
    assert str(coded) in str(caught.value)


def test_a_truncated_ordinary_file_leaves_the_decodable_part(tmp_path: Path, clip: Path) -> None:
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with pytest.raises(bsqav.MediaError, match=r"cut short.* good frames are in") as caught:
        bsqav.transcode(cut, tmp_path / "out.mkv")
    count = int(str(caught.value).split(" good frames")[0].split()[-1])
    assert len(video_packets(tmp_path / "out.mkv.partial")) == count > 0


def test_a_flipped_bit_names_packet_and_byte(tmp_path: Path, coded: Path) -> None:
    packet = video_packets(coded)[7]
    data = bytearray(coded.read_bytes())
    place = bytes(data).index(packet)
    data[place + len(packet) // 2] ^= 4
    coded.write_bytes(data)
    with pytest.raises(bsqav.BitstreamError, match="7 good frames are in") as caught:
        bsqav.transcode(coded, tmp_path / "back.mkv")
    assert caught.value.packet == 7
    assert caught.value.byte is not None
    assert count_frames(tmp_path / "back.mkv.partial") == 7


def test_a_missing_model_is_named(
    tmp_path: Path, coded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.delenv("BSQAV_MODEL")
    monkeypatch.setenv("BSQAV_MODEL_PATH", str(empty))
    with pytest.raises(bsqav.ModelNotFoundError, match="bsqav models import"):
        bsqav.transcode(coded, tmp_path / "back.mkv")
    with pytest.raises(bsqav.ModelNotFoundError, match="nosuch"):
        bsqav.transcode(coded, tmp_path / "back.mkv", codec="bsq", model="nosuch")
    assert not list(tmp_path.glob("back*"))


def test_a_model_with_a_wrong_hash_is_refused(tmp_path: Path, clip: Path, model_file: Path) -> None:
    bad = tmp_path / f"bad.{'0' * 32}.bsqm"
    bad.write_bytes(model_file.read_bytes())
    with pytest.raises(bsqav.ModelError, match="0" * 32):
        bsqav.transcode(clip, tmp_path / "out.mkv", model=bad)
    flipped = bytearray(model_file.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    (tmp_path / "flipped.bsqm").write_bytes(flipped)
    with pytest.raises(bsqav.ModelError, match=r"flipped\.bsqm"):
        bsqav.transcode(clip, tmp_path / "out.mkv", model=tmp_path / "flipped.bsqm")
    assert not list(tmp_path.glob("out*"))


def test_an_unknown_version_is_named(tmp_path: Path, coded: Path) -> None:
    data = bytearray(coded.read_bytes())
    packet = video_packets(coded)[0]
    place = bytes(data).index(packet)
    assert data[place + 1 : place + 5] == b"BSQ1"
    data[place + 5] = 9
    coded.write_bytes(data)
    with pytest.raises(bsqav.BsqError, match=r"[Vv]ersion 9"):
        bsqav.transcode(coded, tmp_path / "back.mkv")
    assert not list(tmp_path.glob("back*"))


@pytest.mark.parametrize(
    ("name", "content"), [("a.txt", b"hello, world\n" * 50), ("empty.mkv", b"")]
)
def test_no_media_file(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(bsqav.MediaError, match=name):
        bsqav.transcode(tmp_path / name, tmp_path / "out.mkv")
    assert not list(tmp_path.glob("out*"))


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nope\.mp4") as caught:
        bsqav.transcode(tmp_path / "nope.mp4", tmp_path / "out.mkv")
    assert isinstance(caught.value, bsqav.BsqError)
    with pytest.raises(bsqav.MediaError, match="folder"):
        bsqav.transcode(tmp_path, tmp_path / "out.mkv")


def test_sound_without_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        stream.layout = "mono"
        frame = av.AudioFrame("s16", "mono", 800)
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(bsqav.MediaError, match="no video"):
        bsqav.transcode(tmp_path / "a.wav", tmp_path / "out.mkv")


def test_an_existing_output_is_kept(tmp_path: Path, clip: Path) -> None:
    target = tmp_path / "out.mkv"
    target.write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="exists already") as caught:
        bsqav.transcode(clip, target)
    assert isinstance(caught.value, bsqav.BsqError)
    assert target.read_bytes() == b"mine"
    bsqav.transcode(clip, target, overwrite=True)
    assert len(video_packets(target)) == FRAMES
    with pytest.raises(bsqav.UsageError, match="both the input and the output"):
        bsqav.transcode(clip, clip, overwrite=True)


def test_what_an_earlier_run_has_left_stays_until_there_is_more(tmp_path: Path, clip: Path) -> None:
    left = tmp_path / "out.mkv.partial"
    left.write_bytes(b"frames of an interrupted run")
    with pytest.raises(bsqav.UsageError):
        bsqav.transcode(clip, tmp_path / "out.mkv", crf=64)
    assert left.read_bytes() == b"frames of an interrupted run"


def test_outputs_that_cannot_be(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(bsqav.MediaError, match="no folder"):
        bsqav.transcode(clip, tmp_path / "nope" / "out.mkv")
    with pytest.raises(bsqav.MediaError, match="folder"):
        bsqav.transcode(clip, tmp_path, overwrite=True)
    with pytest.raises(bsqav.UsageError, match=r"out\.mp4: "):
        bsqav.transcode(clip, tmp_path / "out.mp4")
    with pytest.raises(bsqav.UsageError, match=r"out\.xyz"):
        bsqav.transcode(clip, tmp_path / "out.xyz", codec="libx264")
    with pytest.raises(bsqav.UsageError, match="no video encoder 'nonsense'"):
        bsqav.transcode(clip, tmp_path / "out.mkv", codec="nonsense")
    assert not list(tmp_path.iterdir())


class FullDisk:
    """A file that takes some bytes and then has no space."""

    name = "full.mkv"

    def __init__(self, space: int, code: int) -> None:
        self._space, self._code = space, code

    def write(self, data: Any) -> int:
        self._space -= len(data)
        if self._space < 0:
            raise OSError(self._code, "No space left on device")
        return len(data)

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def flush(self) -> None:
        pass


@pytest.mark.parametrize("space", [10, 3000])
@pytest.mark.parametrize("form", ["matroska", "nut", "mov"])
def test_a_full_disk_is_explained(clip: Path, space: int, form: str) -> None:
    disk: Any = FullDisk(space, errno.ENOSPC)
    with pytest.raises(bsqav.MediaError, match="No space left"):
        bsqav.transcode(clip, disk, format=form, codec="bsq")


@pytest.mark.parametrize("form", ["matroska", "nut"])
def test_a_full_disk_is_explained_for_other_codecs(clip: Path, form: str) -> None:
    disk: Any = FullDisk(2000, errno.ENOSPC)
    with pytest.raises(bsqav.MediaError, match="No space left"):
        bsqav.transcode(clip, disk, format=form, codec="rawvideo")


def test_an_interruption_leaves_the_decodable_part(tmp_path: Path, clip: Path) -> None:
    partial = tmp_path / "out.mkv.partial"
    interrupt(clip, tmp_path / "out.mkv", partial, lambda counts: len(counts) >= 10, lookahead=2)
    assert list(tmp_path.iterdir()) == [partial]
    assert 5 <= len(video_packets(partial)) <= 10


def test_a_partial_file_is_no_input_of_its_own_output(tmp_path: Path, clip: Path) -> None:
    """It would be written over while it is read."""
    left = tmp_path / "out.mkv.partial"
    bsqav.transcode(clip, left, format="matroska")
    data = left.read_bytes()
    with pytest.raises(bsqav.UsageError, match=r"is the input, and .*: rename it first"):
        bsqav.transcode(left, tmp_path / "out.mkv", codec="copy")
    assert left.read_bytes() == data


def test_a_start_beyond_all_clocks(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(bsqav.UsageError, match="after the last frame"):
        bsqav.transcode(clip, tmp_path / "out.mkv", start=10**18)
