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
from tests.bitstream.packets import Header, PacketFields, level_of

# Gray, 4:2:0, 4:2:2 and 4:4:4; with 10 bits; with alpha.
FORMATS = [chroma | depth | alpha for chroma in range(4) for depth in (0, 4) for alpha in (0, 16)]
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
    st.lists(st.integers(0, 504), min_size=1, max_size=8),
)
def test_keyframe_headers_are_read_as_written(
    header: Header, pts: int, quantizers: list[int]
) -> None:
    form = header.format
    packet = PacketFields(header=header, pts=pts, layers=len(quantizers), quantizers=quantizers)
    info = _core.probe_packet(packet.write())
    assert info["keyframe"] is True
    assert (info["index_in_group"], info["layers"], info["pts"]) == (0, len(quantizers), pts)
    assert info["crf"] == quantizers[-1] / 8
    sequence = info["sequence"]
    expected: dict[str, Any] = {
        "width": header.width,
        "height": header.height,
        "chroma": ["gray", "420", "422", "444"][form & 3],
        "alpha": form >> 4,
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
    }
    assert sequence == expected


inter_packets = st.builds(
    PacketFields,
    keyframe=st.just(False),
    index=st.integers(1, 2**31 - 1),
    layers=st.integers(1, 8),
    deviation=st.none() | st.integers(-(2**62), 2**62),
    duration=st.none() | st.integers(0, 2**62),
    quantizers=st.none(),
)


@given(inter_packets)
def test_headers_between_keyframes_are_read_as_written(packet: PacketFields) -> None:
    info = _core.probe_packet(packet.write())
    assert (info["keyframe"], info["sequence"]) == (False, None)
    assert (info["index_in_group"], info["layers"]) == (packet.index, packet.layers)
    assert info["pts"] == (packet.deviation or 0)


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
    ({"format": 34}, "format 34"),
    ({"format": 1 | 2 << 2}, "format 9"),
    ({"format": 1 | 3 << 2}, "format 13"),
]


@pytest.mark.parametrize(("change", "message"), NEWER_HEADERS)
def test_what_a_newer_library_may_read_is_unsupported(change: dict[str, Any], message: str) -> None:
    packet = PacketFields(header=dataclasses.replace(Header(), **change))
    with pytest.raises(UnsupportedError, match=message):
        _core.probe_packet(packet.write())


WRONG_PACKETS = [
    (PacketFields(quantizers=None), 0, "steps"),
    (PacketFields(deviation=3), 0, "deviation"),
    (PacketFields(quantizers=[505]), 40, "505"),
    (PacketFields(pts=2**62 + 1), None, "timestamp"),
    (PacketFields(keyframe=False, index=0), 1, "index"),
    (PacketFields(keyframe=False, index=2**31), 1, "index"),
    (PacketFields(keyframe=False, layers=3, quantizers=[1]), None, "early"),
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
        data = bytes([0x88]) + Header().write() + data
    if seal and data:
        size = 4 if data[0] & 0x80 else 2
        data += (zlib.crc32(data) & (1 << 8 * size) - 1).to_bytes(size, "little")
    try:
        info = _core.probe_packet(data)
    except (BitstreamError, UnsupportedError):
        return
    assert 1 <= info["layers"] <= 8
