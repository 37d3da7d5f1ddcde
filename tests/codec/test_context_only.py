"""Frames that an encoder takes as context without coding them, and the group counter of packets."""

from __future__ import annotations

from typing import Any

import pytest

import bsqav
from bsqav import _core
from tests.codec.streams import Format, clip, encode, ready, tiny_model

FORM = Format(64, 48)
PICTURES = clip(FORM, 14)
OPTIONS: dict[str, Any] = {"gop": 6, "scene_cut": False, "preset": "fast", "lookahead": 3}


def part(begin: int, end: int, looks: range, **options: Any) -> list[bytes]:
    """Packets of an encoder that codes a part and looks at another around it."""
    encoder = _core.Encoder(FORM.sequence, tiny_model(), **{**OPTIONS, **options})
    packets: list[_core.Packet] = []
    for number in looks:
        context_only = not begin <= number < end
        encoder.send(PICTURES[number], 4 * number, context_only=context_only)
        packets += ready(encoder)
    encoder.flush()
    packets += ready(encoder)
    assert [packet.pts for packet in packets] == [4 * number for number in range(begin, end)]
    return [packet.data for packet in packets]


@pytest.mark.parametrize("lookahead", [0, 3, 9])
def test_with_its_neighbours_a_group_is_coded_as_in_the_whole(lookahead: int) -> None:
    whole = encode(PICTURES, FORM, **{**OPTIONS, "lookahead": lookahead}).packets
    middle = part(6, 12, range(5, 14), lookahead=lookahead)
    assert [_core.set_packet_group_counter(packet, 1) for packet in middle] == whole[6:12]
    assert part(0, 6, range(min(14, 6 + lookahead)), lookahead=lookahead) == whole[:6]


def test_without_them_it_is_not() -> None:
    whole = encode(PICTURES, FORM, **OPTIONS).packets
    for looks in (range(6, 14), range(5, 12)):
        alone = part(6, 12, looks)
        assert [_core.set_packet_group_counter(packet, 1) for packet in alone] != whole[6:12]


def test_context_frames_come_before_or_after() -> None:
    encoder = _core.Encoder(FORM.sequence, tiny_model(), **OPTIONS)
    encoder.send(PICTURES[0], 4, context_only=True)
    with pytest.raises(bsqav.UsageError, match="only one frame"):
        encoder.send(PICTURES[1], 8, context_only=True)
    with pytest.raises(bsqav.UsageError, match="pts 4 does not rise above 4"):
        encoder.send(PICTURES[1], 4)
    encoder.send(PICTURES[1], 8)
    encoder.send(PICTURES[2], 12, context_only=True)
    with pytest.raises(bsqav.UsageError, match="comes after those to be looked at"):
        encoder.send(PICTURES[3], 16)
    encoder.flush()
    assert encoder.receive() is not None
    assert encoder.receive() is None


def test_nothing_to_code() -> None:
    assert part(0, 0, range(3, 4)) == []


def test_a_group_counter_changes_the_first_and_the_last_bytes_only() -> None:
    for packet in encode(PICTURES[:3], FORM, **OPTIONS).packets:
        other = _core.set_packet_group_counter(packet, 2)
        size = 4 if packet[0] & 0x80 else 2
        assert (other[0], packet[0] & 3) == (packet[0] | 2, 0)
        assert other[1:-size] == packet[1:-size]
        assert other[-size:] != packet[-size:]
        assert _core.set_packet_group_counter(other, 0) == packet
        assert _core.set_packet_group_counter(other, 2) == other
        _core.probe_packet(other)


def test_a_group_counter_of_damaged_packets_is_refused() -> None:
    packet = encode(PICTURES[:1], FORM, **OPTIONS).packets[0]
    for damaged in (b"", packet[:1], packet[:-1], packet[:-1] + bytes([packet[-1] ^ 1])):
        with pytest.raises(bsqav.BitstreamError):
            _core.set_packet_group_counter(damaged, 1)
    with pytest.raises(bsqav.UsageError, match="group_counter must be 0 to 3"):
        _core.set_packet_group_counter(packet, 4)
