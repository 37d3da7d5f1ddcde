"""Packet and sequence headers: round trips against a second writer, limits, damage."""

from __future__ import annotations

import dataclasses
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsqav import _core
from bsqav.errors import BitstreamError, UnsupportedError
from tests.bitstream.packets import FrameFields, Header, PacketFields, level_of

# Gray, 4:2:0, 4:2:2 and 4:4:4; with 10 bits; with alpha; with a chroma crf offset.
FORMATS = [chroma | depth | alpha for chroma in range(4) for depth in (0, 4) for alpha in (0, 16)]
FORMATS += [1 | offset << 5 for offset in range(1, 8)]
ratios = st.tuples(st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1))
headers = st.builds(
    Header,
    width=st.integers(1, 8192),
    height=st.integers(1, 8192),
    format=st.sampled_from(FORMATS),
    time_base=ratios,
    ticks=st.integers(0, 2**31 - 1),
    rate=st.one_of(st.just((0, 1)), ratios),
    aspect=st.one_of(st.just((0, 1)), ratios),
    colour=st.binary(min_size=3, max_size=3),
    display=st.builds(
        lambda full, place, turn: full | place << 2 | turn << 6,
        st.integers(0, 2),
        st.integers(0, 6),
        st.integers(0, 3),
    ),
    model=st.binary(min_size=16, max_size=16),
    extra=st.binary(max_size=20),
)


@given(
    headers,
    st.integers(-(2**62), 2**62),
    st.lists(st.integers(0, 504), min_size=1, max_size=8).map(lambda q: sorted(q, reverse=True)),
)
def test_keyframe_headers_are_read_as_written(
    header: Header, pts: int, quantizers: list[int]
) -> None:
    form = header.format
    frame = FrameFields(layers=len(quantizers), quantizers=quantizers)
    packet = PacketFields(header=header, pts=pts, frames=[frame])
    info = _core.probe_packet(packet.write())
    assert info["keyframe"] is True
    assert (info["index_in_group"], info["layers"], info["pts"]) == (0, len(quantizers), pts)
    assert info["crf"] == quantizers[-1] / 8
    sequence = info["sequence"]
    expected: dict[str, Any] = {
        "width": header.width,
        "height": header.height,
        "chroma": ["gray", "420", "422", "444"][form & 3],
        "alpha": form >> 4 & 1,
        "bit_depth": 10 if form & 4 else 8,
        "time_base": header.time_base,
        "frame_rate": header.rate,
        "sample_aspect": header.aspect,
        "color_primaries": header.colour[0],
        "color_transfer": header.colour[1],
        "color_matrix": header.colour[2],
        "full_range": header.display & 3,
        "chroma_location": header.display >> 2 & 15,
        "rotation": 90 * (header.display >> 6),
        "model_id": header.model.hex(),
        "version": 1,
        "level": level_of(header.width, header.height, form),
        "chroma_crf_offset": -(form >> 5),
    }
    assert sequence == expected


frames = st.builds(
    FrameFields,
    layers=st.integers(1, 8),
    quantizers=st.none(),
    hold=st.integers(0, 6),
    b_frame=st.booleans(),
    back=st.integers(1, 256),
    forth=st.integers(1, 255) | st.integers(-(2**31) + 1, -257),
    escape=st.booleans(),
)
inter_packets = st.builds(
    PacketFields,
    keyframe=st.just(False),
    index=st.integers(256, 2**31 - 256),
    deviation=st.none() | st.integers(-(2**62), 2**62),
    duration=st.none() | st.integers(0, 2**62),
    frames=st.lists(frames, max_size=7),
)


@given(inter_packets)
def test_headers_between_keyframes_are_read_as_written(packet: PacketFields) -> None:
    for frame in packet.frames:
        frame.ahead = None if frame is packet.frames[-1] else 255
        frame.forth *= frame.b_frame
    info = _core.probe_packet(packet.write())
    assert (info["keyframe"], info["sequence"]) == (False, None)
    layers = packet.frames[-1].layers if packet.frames else 0
    assert (info["index_in_group"], info["layers"]) == (packet.index, layers)
    assert info["pts"] == (packet.deviation or 0)
    assert info["frames"] == len(packet.frames)
    assert info["held_frames"] == sum(frame.hold > 0 for frame in packet.frames)


WRONG_HEADERS = [
    ({"width": 0}, "width"),
    ({"height": 0}, "height"),
    ({"width": 8193}, "8193"),
    ({"level": 13}, "level"),
    ({"time_base": (0, 1)}, "time base"),
    ({"time_base": (1, 0)}, "time base"),
    ({"time_base": (1, 2**31)}, "time base"),
    ({"rate": (25, 0)}, "frame rate"),
    ({"aspect": (1, 0)}, "sample aspect"),
    ({"ticks": 2**31}, "ticks per frame"),
    ({"display": 3}, "range"),
    ({"display": 7 << 2}, "chroma location"),
    ({"format": 2 | 1 << 5}, "chroma crf offset"),
    ({"format": 0 | 7 << 5}, "chroma crf offset"),
    ({"magic": b"BSQ0"}, "BSQ"),
]


@pytest.mark.parametrize(("change", "message"), WRONG_HEADERS)
def test_a_wrong_sequence_header_is_an_error_that_names_the_byte(
    change: dict[str, Any], message: str
) -> None:
    packet = PacketFields(header=dataclasses.replace(Header(), **change))
    if change.get("width") == 0 or change.get("height") == 0:
        packet.header.level = 0
    with pytest.raises(BitstreamError, match=message) as caught:
        _core.probe_packet(packet.write())
    assert caught.value.byte is not None
    assert caught.value.byte >= 1


NEWER_HEADERS = [
    ({"version": 2}, "version 2 of the codestream; this library reads version 1"),
    ({"version": 2, "numerics": 2}, "version 2 of the codestream"),
    ({"version": 0, "numerics": 0}, "version 0 of the codestream"),
    ({"numerics": 0}, "version 0 of the networks' arithmetic; this library knows version 1"),
    ({"numerics": 2}, "version 2 of the networks' arithmetic"),
    ({"format": 1 | 2 << 2}, "format 9"),
    ({"format": 1 | 3 << 2}, "format 13"),
]


@pytest.mark.parametrize(("change", "message"), NEWER_HEADERS)
def test_what_a_newer_library_may_read_is_unsupported(change: dict[str, Any], message: str) -> None:
    packet = PacketFields(header=dataclasses.replace(Header(), **change))
    with pytest.raises(UnsupportedError, match=message):
        _core.probe_packet(packet.write())


WRONG_PACKETS = [
    (PacketFields(flags=0x20), 0, "frames"),
    (PacketFields(frames=[]), 0, "frames"),
    (PacketFields(deviation=3), 0, "deviation"),
    (PacketFields(pts=2**62 + 1), None, "timestamp"),
    (PacketFields(keyframe=False, index=0), 1, "index"),
    (PacketFields(keyframe=False, index=2**31), 1, "index"),
    (PacketFields(keyframe=False, frames=[FrameFields(layers=3)]), None, "the data ends"),
    (PacketFields(checksum_error=1), None, "checksum"),
    (PacketFields(keyframe=False, checksum_error=1), None, "checksum"),
]


@pytest.mark.parametrize(("packet", "byte", "message"), WRONG_PACKETS)
def test_a_wrong_packet_is_an_error_that_names_the_byte(
    packet: PacketFields, byte: int | None, message: str
) -> None:
    with pytest.raises(BitstreamError, match=message) as caught:
        _core.probe_packet(packet.write())
    assert caught.value.byte is not None
    if byte is not None:
        assert caught.value.byte == byte
    assert caught.value.packet is None


WRONG_FRAMES = [
    (FrameFields(hold=7), "no slot 6"),
    (FrameFields(forth=1), "a P frame with a second reference"),
    (FrameFields(back=0), "a frame that refers to itself"),
    (FrameFields(back=2**31), "a reference's distance"),
    (FrameFields(b_frame=True, forth=0), "a frame that refers to itself"),
    (FrameFields(b_frame=True, forth=256), "a reference's distance"),
    (FrameFields(b_frame=True, forth=-(2**31)), "a reference's distance"),
    (FrameFields(b_frame=True, back=3, forth=-3), "one reference twice"),
    (FrameFields(b_frame=True, back=3, forth=-2), None),
    (FrameFields(layers=2, quantizers=[255, 175]), None),
    (FrameFields(layers=3, quantizers=[255, 175]), "those of 2 layers, not of 3"),
    (FrameFields(layers=2, quantizers=[504, 425], ladder=False), None),
    (FrameFields(layers=2, quantizers=[505, 425], ladder=False), "step 505 of layer 0"),
    (FrameFields(layers=2, quantizers=[505, 425]), "step 505 of layer 0"),
    (FrameFields(quantizers=[505]), "step 505 of layer 0"),
]


@pytest.mark.parametrize(("frame", "message"), WRONG_FRAMES)
def test_a_wrong_frame_of_a_packet_is_an_error(frame: FrameFields, message: str | None) -> None:
    last = dataclasses.replace(FrameFields(), hold=0)
    for frames in ([frame], [dataclasses.replace(frame, ahead=1), last]):
        data = PacketFields(keyframe=False, frames=frames).write()
        if message is None:
            assert _core.probe_packet(data)["frames"] == len(frames)
        else:
            with pytest.raises(BitstreamError, match=message):
                _core.probe_packet(data)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (FrameFields(hold=0), "not held in the first slot"),
        (FrameFields(hold=2), "not held in the first slot"),
        (FrameFields(b_frame=True), "a keyframe with references"),
        (FrameFields(quantizers=None), "a keyframe without steps"),
    ],
)
def test_a_wrong_frame_of_a_keyframe_is_an_error(frame: FrameFields, message: str) -> None:
    with pytest.raises(BitstreamError, match=message):
        _core.probe_packet(PacketFields(frames=[frame]).write())


def test_frames_before_the_last_one_are_ahead_and_lie_in_the_packet() -> None:
    last = FrameFields(hold=0)
    for ahead, message in [(0, "two frames to show"), (256, "a frame's distance")]:
        packet = PacketFields(keyframe=False, frames=[FrameFields(ahead=ahead), last])
        with pytest.raises(BitstreamError, match=message):
            _core.probe_packet(packet.write())
    data = PacketFields(keyframe=False, frames=[FrameFields(ahead=1), last]).write()
    body = data[:2] + b"\x7f" + data[3:-2]  # the size of the first frame
    checksum = (zlib.crc32(body) & 0xFFFF).to_bytes(2, "little")
    with pytest.raises(BitstreamError, match="frame 0 reaches past the packet's end"):
        _core.probe_packet(body + checksum)


def test_a_packet_without_frames_ends_after_its_times() -> None:
    body = PacketFields(keyframe=False, frames=[], duration=3).write()[:-2] + b"\x00"
    with pytest.raises(BitstreamError):
        _core.probe_packet(body + (zlib.crc32(body) & 0xFFFF).to_bytes(2, "little"))


def test_the_last_bytes_of_a_packet_are_its_checksum() -> None:
    data = PacketFields().write()
    for size in range(len(data)):
        with pytest.raises(BitstreamError):
            _core.probe_packet(data[:size])
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        with pytest.raises((BitstreamError, UnsupportedError)):
            _core.probe_packet(bytes(damaged))


@given(st.binary(max_size=80), st.booleans(), st.booleans())
def test_any_bytes_are_read_or_refused(data: bytes, begin: bool, seal: bool) -> None:
    """Also bytes that begin like a keyframe, and with a checksum that fits."""
    if begin:
        data = bytes([0x90]) + Header().write() + data
    if seal and data:
        size = 4 if data[0] & 0x80 else 2
        data += (zlib.crc32(data) & (1 << 8 * size) - 1).to_bytes(size, "little")
    try:
        info = _core.probe_packet(data)
    except (BitstreamError, UnsupportedError):
        return
    assert 0 <= info["layers"] <= 8
