"""Files that end before they say."""

from __future__ import annotations

import io
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bsqav
from bsqav.errors import MediaError
from bsqav.media.inspect.verification import verify
from bsqav.media.io.truncation import LengthWatch, cut_short
from bsqav.media.mux.matroska import MatroskaMuxer
from tests.media.clips import make_clip
from tests.media.containers import HEADER, SEQUENCE, mux_video, read_pipe, sound


def matroska() -> bytes:
    file = io.BytesIO()
    muxer = MatroskaMuxer(file)
    mux_video(muxer, muxer.add_video(HEADER, SEQUENCE))
    muxer.close()
    return file.getvalue()


@pytest.mark.parametrize("data", [matroska(), sound("aac").getvalue()])
def test_every_truncation_is_detected(data: bytes) -> None:
    assert not cut_short(io.BytesIO(data))
    for size in (20, len(data) // 3, len(data) - 1):
        assert cut_short(io.BytesIO(data[:size]))


def read_through(data: bytes, sizes: list[int]) -> LengthWatch:
    watch = LengthWatch(read_pipe(data))
    turn = 0
    while watch.read(sizes[turn % len(sizes)]):
        turn += 1
    return watch


@pytest.mark.parametrize("data", [matroska(), sound("aac").getvalue()])
@pytest.mark.parametrize("sizes", [[1], [7, 100], [1 << 20]])
def test_every_truncation_of_a_pipe_is_detected(data: bytes, sizes: list[int]) -> None:
    assert not read_through(data, sizes).cut_short
    for size in (30, len(data) // 3, len(data) - 1):
        assert read_through(data[:size], sizes).cut_short
    watch = LengthWatch(read_pipe(data[:500]))
    watch.read(500)
    assert not watch.cut_short, "its end has not been seen yet"


@given(
    st.binary(max_size=99),
    st.sampled_from([b"", b"\x1a\x45\xdf\xa3", bytes(3) + b"\x18ftyp"]),
    st.integers(1, 50),
)
def test_pipes_of_any_bytes_agree_with_files(data: bytes, start: bytes, size: int) -> None:
    whole = start + data
    assert read_through(whole, [size]).cut_short == cut_short(io.BytesIO(whole))


def test_files_that_do_not_say_are_taken_as_whole() -> None:
    for data in (b"", b"hello", sound("mp3").getvalue()[:1000], bytes(8) + b"moov"):
        assert not cut_short(io.BytesIO(data))


def test_the_position_is_put_back() -> None:
    file = io.BytesIO(matroska())
    file.seek(17)
    cut_short(file)
    assert file.tell() == 17


@given(st.binary(max_size=64), st.sampled_from([b"", b"\x1a\x45\xdf\xa3", bytes(3) + b"\x18ftyp"]))
def test_any_bytes_are_read_without_harm(data: bytes, start: bytes) -> None:
    assert cut_short(io.BytesIO(start + data)) in (False, True)


# ---- wrong sizes, and frames that are missing ----

FRAMES = 20


def grown(data: bytes, kind: str) -> bytes:
    """A file in which one size says more bytes than there are."""
    changed = bytearray(data)
    if kind == "mkv":  # that of the segment, in eight bytes
        at = data.index(b"\x18\x53\x80\x67") + 4
        changed[at : at + 8] = (int.from_bytes(data[at : at + 8], "big") + 99).to_bytes(8, "big")
        return bytes(changed)
    if kind == "avi":
        changed[4:8] = (int.from_bytes(data[4:8], "little") + 99).to_bytes(4, "little")
        return bytes(changed)
    at = 0  # that of the last box
    while (following := at + int.from_bytes(data[at : at + 4], "big")) < len(data):
        at = following
    changed[at : at + 4] = (following - at + 99).to_bytes(4, "big")
    return bytes(changed)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of all kinds that say how long they are, by what they are called in tests."""
    folder = tmp_path_factory.mktemp("sizes")
    clip = make_clip(folder / "clip.mkv", frames=FRAMES)
    made = {"clip.mkv": clip}
    for name, encoder in (("clip.mp4", "libx264"), ("clip.avi", "mpeg4")):
        audio = None if name.endswith("avi") else "aac"
        made[name] = make_clip(folder / name, frames=FRAMES, encoder=encoder, audio=audio)
    for suffix in ("mkv", "mov"):
        made[f"bsq.{suffix}"] = folder / f"bsq.{suffix}"
        bsqav.transcode(clip, made[f"bsq.{suffix}"], gop=5)
    data = {name: path.read_bytes() for name, path in made.items()}
    # FFmpeg looks for the head, so that it must stand before the packets whose size is wrong.
    data["clip.mp4"] = with_head_first(folder, made["clip.mp4"])
    return data


def with_head_first(folder: Path, path: Path) -> bytes:
    target = folder / "fast.mp4"
    with (
        av.open(str(path)) as source,
        av.open(str(target), "w", options={"movflags": "faststart"}) as output,
    ):
        streams = {s.index: output.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                output.mux(packet)
    return target.read_bytes()


NAMES = ["clip.mkv", "clip.mp4", "clip.avi", "bsq.mkv", "bsq.mov"]


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_size_is_a_warning(files: dict[str, bytes], name: str, tmp_path: Path) -> None:
    """Every frame came: the file is finished, and strict callers hear of an error."""
    path, target = tmp_path / name, tmp_path / "out.mkv"
    path.write_bytes(grown(files[name], path.suffix[1:]))
    said: list[str] = []
    codec = "copy" if name.startswith("bsq") else "bsq"
    result = bsqav.transcode(path, target, codec=codec, warn=said.append)
    assert result.frames_out == FRAMES
    assert any("smaller than it says" in each and "has come" in each for each in said)
    with pytest.raises(MediaError, match=r"smaller than it says.*out\.mkv\.partial"):
        bsqav.transcode(path, target, codec=codec, overwrite=True, strict=True, warn=said.append)
    if codec == "copy":
        assert "has come" in verify(path, warn=said.append).warnings[0]
        with pytest.raises(MediaError, match="smaller than it says"):
            verify(path, warn=said.append, strict=True)


@pytest.mark.parametrize("name", NAMES)
def test_missing_frames_at_the_end_are_damage(
    files: dict[str, bytes], name: str, tmp_path: Path
) -> None:
    path, target = tmp_path / name, tmp_path / "out.mkv"
    whole = files[name]
    codec = "copy" if name.startswith("bsq") else "bsq"
    for left in (len(whole) // 2, 3 * len(whole) // 4):
        path.write_bytes(whole[:left])
        with pytest.raises(MediaError, match="cut short"):
            bsqav.transcode(path, target, codec=codec, overwrite=True, warn=lambda _: None)
        if codec == "copy":
            with pytest.raises(bsqav.BsqError):
                verify(path, warn=lambda _: None)


def test_a_playlist_without_its_end(tmp_path: Path) -> None:
    """It is read from its beginning, and not waited for."""
    playlist = tmp_path / "out.m3u8"
    bsqav.transcode(make_clip(tmp_path / "clip.mkv", frames=FRAMES), playlist, gop=5)
    playlist.write_text(playlist.read_text().replace("#EXT-X-ENDLIST\n", ""))
    said: list[str] = []
    assert verify(playlist, warn=said.append).frames == FRAMES
    assert "no end mark" in said[0]


def test_a_master_playlist_has_no_end_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "master.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nvariant.m3u8\n")
    with path.open("rb") as file:
        assert not cut_short(file)
    path.write_text("#EXTM3U\n#EXTINF:1,\npart.ts\n")
    with path.open("rb") as file:
        assert cut_short(file)
