"""bsqav.Encoder and bsqav.Decoder: frames and packets without a container."""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from bsqav.codec import Colour, Decoder, Encoder, Frame, Packet
from bsqav.errors import (
    BitstreamError,
    BsqWarning,
    EndOfStreamError,
    ModelNotFoundError,
    UnsupportedError,
    UsageError,
)
from tests.codec.streams import TINY_MODEL, VECTORS, Format, clip, tiny_model
from tests.vectors.ivf import read_ivf
from tests.vectors.make_golden import FOLDER, INDEX

CLIP = clip(Format(50, 38), 12)


def encoder(**options: Any) -> Encoder:
    given = {"time_base": Fraction(1, 100), "frame_rate": 25, "gop": 5, "scene_cut": False}
    return Encoder(50, 38, model=TINY_MODEL, **{**given, **options})


def coded(**options: Any) -> list[Packet]:
    session = encoder(**options)
    packets = [packet for planes in CLIP for packet in session.encode(planes)]
    return packets + session.encode(None)


def decoded(packets: list[Any], **options: Any) -> list[Frame]:
    session = Decoder(models=[tiny_model()], **options)
    frames = [frame for packet in packets for frame in session.decode(packet)]
    return frames + session.decode(None)


def test_planes_round_trip() -> None:
    packets = coded(crf=0)
    frames = decoded(packets)
    assert [packet.pts for packet in packets] == [4 * n for n in range(12)]
    assert [packet.keyframe for packet in packets] == [n % 5 == 0 for n in range(12)]
    assert [frame.pts for frame in frames] == [4 * n for n in range(12)]
    for frame, planes in zip(frames, CLIP, strict=True):
        assert (frame.width, frame.height, frame.pix_fmt) == (50, 38, "yuv420p")
        assert frame.time == Fraction(frame.pts, 100)
        assert not frame.concealed
        error = [abs(a.astype(int) - b).mean() for a, b in zip(frame.planes, planes, strict=True)]
        assert max(error) < 40


def test_packets_are_taken_in_any_clothes() -> None:
    packets = coded()
    hashes = [
        [frame.planes[0].tobytes() for frame in decoded(dressed)]
        for dressed in (
            packets,
            [packet.data for packet in packets],
            [av.Packet(packet.data) for packet in packets],
        )
    ]
    assert hashes[0] == hashes[1] == hashes[2]


def test_pyav_frames_bring_their_time_and_colour() -> None:
    session = encoder()
    frames = []
    for number in range(3):
        frame = av.VideoFrame(50, 38, "yuv420p")
        for plane in frame.planes:
            np.frombuffer(memoryview(plane), np.uint8)[:] = 100
        frame.pts, frame.time_base, frame.duration = 20 * number, Fraction(1, 1000), 20
        frame.colorspace, frame.color_range = 1, 1
        frames += session.encode(frame)
    assert [(packet.pts, packet.duration) for packet in frames] == [(0, 2), (2, 2), (4, 2)]
    assert session.sequence["color_matrix"] == 1
    assert session.sequence["full_range"] == 0
    (first, *_) = decoded(frames)
    picture = first.to_video_frame()
    assert (picture.colorspace, picture.color_range) == (1, 1)
    assert (picture.pts, picture.time_base) == (0, Fraction(1, 100))
    assert first.to_ndarray().shape == (38, 50, 3)


def test_stated_colour_is_kept() -> None:
    session = encoder(colour=Colour(9, 16, 9, 1))
    frame = av.VideoFrame(50, 38, "yuv420p")
    frame.pts, frame.colorspace = 0, 1
    session.encode(frame)
    assert session.sequence["color_matrix"] == 9


def test_rgb_is_converted_with_bt709_and_says_so() -> None:
    session = encoder(crf=0)
    rgb = np.zeros((38, 50, 3), np.uint8)
    rgb[:] = (0, 200, 0)
    with pytest.warns(BsqWarning, match="BT.709"):
        (packet,) = session.encode(rgb)
    assert session.sequence["color_matrix"] == 1
    converted = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(
        format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
    )
    (frame,) = decoded([packet])
    luma = np.frombuffer(memoryview(converted.planes[0]), np.uint8)[0]
    assert abs(float(frame.planes[0].mean()) - luma) < 12


def test_gray_is_one_plane() -> None:
    session = encoder(pix_fmt="gray")
    (packet,) = session.encode(CLIP[0][0])
    (frame,) = decoded([packet])
    assert len(frame.planes) == 1
    assert frame.to_video_frame().format.name == "gray"


def test_times_follow_the_rate_where_none_are_given() -> None:
    session = encoder(frame_rate=Fraction(30000, 1001))
    packets = [packet for planes in CLIP for packet in session.encode(planes)]
    assert [packet.pts for packet in packets] == [round(n * 100 * 1001 / 30000) for n in range(12)]


def test_the_model_is_found_by_the_id_in_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    packets = coded()
    monkeypatch.setenv("BSQAV_MODEL_PATH", str(TINY_MODEL.parent))
    assert len(Decoder().decode(packets[0])) == 1
    monkeypatch.setenv("BSQAV_MODEL_PATH", "")
    monkeypatch.setenv("XDG_DATA_HOME", str(Path("/nowhere")))
    with pytest.raises(ModelNotFoundError, match=tiny_model().id) as caught:
        Decoder().decode(packets[0])
    assert caught.value.model_id == tiny_model().id


@pytest.mark.parametrize("name", ["64x48", "1x1_gray"])
def test_golden_streams_find_their_model(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BSQAV_MODEL_PATH", str(VECTORS))
    session = Decoder()
    packets = [data for data, _ in read_ivf(FOLDER / f"{name}.ivf")]
    frames = [frame for data in packets for frame in session.decode(data)]
    frames += session.decode(None)
    digest = hashlib.sha256(b"".join(plane.tobytes() for f in frames for plane in f.planes))
    assert digest.hexdigest() == json.loads(INDEX.read_text())[name]["hash"]


def test_damage_is_concealed_or_an_error_with_its_place() -> None:
    packets = [bytearray(packet.data) for packet in coded()]
    packets[3][len(packets[3]) // 2] ^= 1
    frames = decoded(packets)
    assert [frame.concealed for frame in frames] == [False] * 3 + [True] * 2 + [False] * 7
    assert [frame.pts for frame in frames] == [4 * n for n in range(12)]
    session = Decoder(models=[TINY_MODEL], strict=True)
    for packet in packets[:3]:
        session.decode(packet)
    with pytest.raises(BitstreamError) as caught:
        session.decode(packets[3])
    assert caught.value.packet == 3
    assert len(session.decode(packets[5])) == 1, "the next keyframe decodes again"


def test_a_stream_that_begins_in_the_middle() -> None:
    packets = coded()
    frames = decoded(packets[3:])
    assert [frame.pts for frame in frames] == [20 + 4 * n for n in range(7)]
    strict = Decoder(models=[TINY_MODEL], strict=True)
    assert sum(len(strict.decode(packet)) for packet in packets[3:]) == 7
    assert strict.skipped == 2
    strict.reset()
    assert strict.decode(packets[4]) == []
    assert strict.skipped == 3
    with pytest.raises(BitstreamError):
        Decoder().decode(b"no packet")


def test_after_a_flush() -> None:
    session = encoder()
    session.encode(CLIP[0])
    session.flush()
    assert session.flush() == []
    with pytest.raises(EndOfStreamError):
        session.encode(CLIP[1])
    other = Decoder(models=[TINY_MODEL])
    packets = coded()
    other.decode(packets[0])
    other.flush()
    with pytest.raises(EndOfStreamError):
        other.decode(packets[1])
    other.reset()
    assert len(other.decode(packets[0])) == 1


def test_arguments_out_of_range_are_named() -> None:
    with pytest.raises(UsageError, match="crf"):
        encoder(crf=99)
    with pytest.raises(UnsupportedError, match="pixel format rgb24"):
        encoder(pix_fmt="rgb24")
    with pytest.raises(UsageError, match="rotation 45"):
        encoder(rotation=45)
    with pytest.raises(UsageError, match="time base"):
        encoder(time_base=Fraction(0))
    session = encoder()
    with pytest.raises(UsageError, match="planes of the shapes"):
        session.encode(CLIP[0][:2])
    with pytest.raises(UsageError, match="planes of the shapes"):
        session.encode([plane.astype(np.uint16) for plane in CLIP[0]])
    session.encode(CLIP[0], pts=5)
    with pytest.raises(UsageError, match="does not rise"):
        session.encode(CLIP[1], pts=5)
