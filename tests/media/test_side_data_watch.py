"""What frames and tracks carry beside the picture is named when it is left out."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

import bsqav
from bsqav.media.metadata.track_colour import stream_colour
from bsqav.media.transcode.source import Source
from tests.media.clips import ClipSpec, make_clip, pictures

# ATSC A/53 captions: cc_count 1, one pair of bytes for field 1.
CAPTIONS = bytes.fromhex("b5 0031 47413934 03 41 ff fc 9420 ff")
# SMPTE ST 2094-40, application 4, version 1.
HDR10_PLUS = bytes.fromhex("b5 003c 0001 04 01")
ST_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


def escaped(payload: bytes) -> bytes:
    """With the bytes that keep start codes out of a NAL unit."""
    out = bytearray()
    for byte in payload:
        if out[-2:] == b"\0\0" and byte <= 3:
            out.append(3)
        out.append(byte)
    return bytes(out)


def units(data: bytes) -> list[bytes]:
    """NAL units of a stream with start codes."""
    stripped = (unit.rstrip(b"\0") for unit in data.split(b"\0\0\1"))
    return [unit for unit in stripped if unit]


def with_messages(data: bytes, head: bytes, slices: set[int], kind: Any, payload: bytes) -> bytes:
    """An elementary stream with a T.35 message before each slice."""
    message = head + escaped(bytes([4, len(payload)]) + payload + b"\x80")
    out = bytearray()
    for unit in units(data):
        if kind(unit[0]) in slices:
            out += b"\0\0\0\1" + message
        out += b"\0\0\0\1" + unit
    return bytes(out)


def bare(path: Path, form: str, encoder: str) -> bytes:
    with av.open(str(path), "w", format=form) as container:
        video: Any = container.add_stream(encoder, rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        silent = {"x265-params": "log-level=error"} if encoder == "libx265" else {}
        video.options = {"preset": "ultrafast", **silent}
        for number, frame in enumerate(pictures(ClipSpec(frames=4))):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path.read_bytes()


def hdr10_plus() -> bytes:
    """One window, of which only the mean and three maxima are given."""
    fields = [(1, 2), (1000, 27), (0, 1), *[(500, 17)] * 3, (100, 17), (0, 4), (0, 10)]
    fields += [(0, 1), (0, 1), (0, 1)]
    bits = "".join(f"{value:0{width}b}" for value, width in fields)
    bits += "0" * (-len(bits) % 8)
    return HDR10_PLUS + int(bits, 2).to_bytes(len(bits) // 8, "big")


def box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def dolby_vision(profile: int, compatibility: int) -> bytes:
    record = bytes([1, 0]) + (profile << 9 | 3 << 3 | 5).to_bytes(2, "big")
    return box(b"dvcC", record, bytes([compatibility << 4]), bytes(19))


def insert(path: Path, boxes: bytes) -> Path:
    """Adds boxes to the first sample description of an MP4 file whose head is at its end."""
    data, chain, low = bytearray(path.read_bytes()), [], 0
    for kind in ST_PATH:
        while data[low + 4 : low + 8] != kind:
            low += int.from_bytes(data[low : low + 4], "big")
        chain.append(low)
        low += 8
    chain.append(entry := low + 8)
    end = entry + int.from_bytes(data[entry : entry + 4], "big")
    data[end:end] = boxes
    for at in chain:
        size = int.from_bytes(data[at : at + 4], "big") + len(boxes)
        data[at : at + 4] = size.to_bytes(4, "big")
    path.write_bytes(data)
    return path


def said_of(path: Path) -> list[str]:
    said: list[str] = []
    source = Source(path, warn=said.append)
    for _ in source.events():
        pass
    source.close()
    return said


def test_captions_in_h264(tmp_path: Path) -> None:
    data = bare(tmp_path / "plain.h264", "h264", "libx264")
    assert said_of(tmp_path / "plain.h264") == []
    path = tmp_path / "captions.h264"
    path.write_bytes(with_messages(data, b"\x06", {1, 5}, lambda head: head & 31, CAPTIONS))
    assert said_of(path) == ["CEA-608/708 captions in the frames are left out"]
    result = bsqav.transcode(path, tmp_path / "a.mkv", warn=lambda _: None)
    assert result.warnings == ("CEA-608/708 captions in the frames are left out",)
    assert result.frames_out == 4


def test_hdr10_plus_in_hevc(tmp_path: Path) -> None:
    data = bare(tmp_path / "plain.hevc", "hevc", "libx265")
    path = tmp_path / "plus.hevc"
    path.write_bytes(
        with_messages(data, b"\x4e\x01", set(range(22)), lambda head: head >> 1, hdr10_plus())
    )
    assert said_of(path) == ["HDR10+ (brightness scene by scene) is left out"]


@pytest.mark.parametrize("name", ["in.mp4", "in.mov"])
def test_dolby_vision_that_the_container_states(tmp_path: Path, name: str) -> None:
    clip = insert(make_clip(tmp_path / name, frames=3, audio=None), dolby_vision(8, 1))
    (said,) = said_of(clip)
    assert said == "Dolby Vision (profile 8) is left out: its base layer is carried"
    other = insert(make_clip(tmp_path / f"b{name}", frames=3, audio=None), dolby_vision(5, 0))
    assert said_of(other)[0].endswith(
        "(profile 5) is left out: its base layer is carried, whose colours are wrong without it"
    )
    with av.open(str(clip)) as container:
        vision = stream_colour(container.streams.video[0]).dolby_vision
        assert vision is not None
        assert (vision.profile, vision.compatibility) == (8, 1)


def test_stereo_and_spheres(tmp_path: Path) -> None:
    sphere = box(b"proj", box(b"prhd", bytes(16)), box(b"equi", bytes(20)))
    boxes = box(b"st3d", bytes(4), b"\1")
    boxes += box(b"sv3d", box(b"svhd", bytes(4), b"x\0"), sphere)
    clip = insert(make_clip(tmp_path / "in.mp4", frames=3, audio=None), boxes)
    assert said_of(clip) == [
        "the mark that frames hold two views (stereo 3D) is left out",
        "the mark that frames are spherical (360 degrees) is left out",
    ]


def test_bsq_has_nothing_to_say(tmp_path: Path) -> None:
    bsqav.transcode(make_clip(tmp_path / "in.mp4", frames=3), tmp_path / "a.mkv")
    assert said_of(tmp_path / "a.mkv") == []
