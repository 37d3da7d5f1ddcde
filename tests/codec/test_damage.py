"""Lost, damaged and foreign packets: concealed and announced, or a clear error; never a crash."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsqav import _core
from bsqav.errors import (
    BitstreamError,
    BsqError,
    EndOfStreamError,
    ModelNotFoundError,
    UnsupportedError,
)
from tests.bitstream.packets import FrameFields, Header, PacketFields, zigzag
from tests.codec.damage import flip, flip_and_seal, seal
from tests.codec.streams import Format, Stream, clip, decode, encode, picture_hash, tiny_model

FORM = Format(64, 48)
# Of four components.
DEEP = Format(40, 24, "422", 10, 1)


@pytest.fixture(scope="module")
def stream() -> Stream:
    """Three groups of four pictures."""
    return encode(clip(FORM, 12), FORM, gop=4, scene_cut=False, crf=30, preset="fast")


@pytest.fixture(scope="module")
def deep_stream() -> Stream:
    """Two groups of four pictures of several components."""
    return encode(clip(DEEP, 8), DEEP, gop=4, scene_cut=False, crf=30, preset="fast")


def test_a_lost_packet_is_concealed_until_the_next_keyframe(stream: Stream) -> None:
    pictures = decode(stream.packets[:5] + stream.packets[6:])
    assert [p.concealed for p in pictures] == [False] * 5 + [True] * 2 + [False] * 4
    assert [p.pts for p in pictures] == stream.pts[:5] + stream.pts[6:]
    hashes = [picture_hash(p) for p in pictures]
    assert hashes[5] == hashes[6] == stream.hashes[4]
    assert hashes[7:] == stream.hashes[8:]
    assert [p.keyframe for p in pictures if p.concealed] == [False, False]


def test_a_lost_keyframe_conceals_its_group(stream: Stream) -> None:
    pictures = decode(stream.packets[:4] + stream.packets[5:])
    assert [p.concealed for p in pictures] == [False] * 4 + [True] * 3 + [False] * 4
    assert {picture_hash(p) for p in pictures[4:7]} == {stream.hashes[3]}
    ticks = [p.pts for p in pictures]
    assert ticks == sorted(set(ticks))


def test_a_lost_keyframe_shows_where_the_indices_go_on() -> None:
    # A group of one picture, then one whose keyframe is lost: index 1 follows index 0.
    stream = encode(clip(FORM, 5), FORM, force=[1], scene_cut=False, crf=30, preset="fast")
    pictures = decode([stream.packets[0], *stream.packets[2:]])
    assert [p.concealed for p in pictures] == [False, True, True, True]
    assert {picture_hash(p) for p in pictures} == {stream.hashes[0]}


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_up_to_three_lost_keyframes_in_a_row_show(lost: int) -> None:
    """By the group counter: nothing is decoded with references of another group."""
    stream = encode(clip(FORM, 20), FORM, gop=4, scene_cut=False, crf=30, preset="fast")
    left = [0, 1, *range(4 * lost + 2, 20)]
    pictures = decode([stream.packets[number] for number in left])
    concealed = [4 * lost < number < 4 * lost + 4 for number in left]
    assert [picture.concealed for picture in pictures] == concealed
    expected = [1 if hidden else number for number, hidden in zip(left, concealed, strict=True)]
    assert [picture_hash(picture) for picture in pictures] == [stream.hashes[n] for n in expected]


@pytest.mark.parametrize("lost", [0, 3])
def test_a_packet_that_comes_twice_is_a_gap(stream: Stream, lost: int) -> None:
    packets = stream.packets[:4]
    pictures = decode([*packets, packets[lost]])
    assert pictures[4].concealed is (lost != 0)


def test_a_damaged_packet_is_concealed(stream: Stream) -> None:
    packets = list(stream.packets)
    packets[2] = flip(packets[2], 8 * len(packets[2]) // 2)
    pictures = decode(packets)
    assert [p.concealed for p in pictures] == [False, False, True, True] + [False] * 8
    assert [p.pts for p in pictures] == stream.pts


def test_strict_decoding_says_which_packet_and_byte(stream: Stream) -> None:
    packets = list(stream.packets)
    packets[2] = packets[2][:-3]
    decoder = _core.Decoder([tiny_model()], strict=True)
    shown = []
    errors = []
    for data in packets:
        try:
            decoder.send(data)
        except BitstreamError as error:
            errors.append(error)
        else:
            picture = decoder.receive()
            assert picture is not None
            shown.append(picture.pts)
    assert shown == stream.pts[:2] + stream.pts[4:]
    assert [error.packet for error in errors] == [2, 3]
    assert errors[0].byte == len(packets[2]) - 2
    assert "checksum" in str(errors[0])
    assert "packet 2" in str(errors[0])


def test_before_the_first_keyframe_pictures_are_dropped(stream: Stream) -> None:
    pictures = decode(stream.packets[2:6])
    assert [p.pts for p in pictures] == stream.pts[4:6]


def test_damage_without_a_picture_to_show_is_an_error(stream: Stream) -> None:
    decoder = _core.Decoder([tiny_model()])
    with pytest.raises(BitstreamError, match="checksum"):
        decoder.send(stream.packets[0][:-1])
    assert decoder.receive() is None
    decoder.send(stream.packets[0])
    picture = decoder.receive()
    assert picture is not None
    assert picture_hash(picture) == stream.hashes[0]


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\x80", b"This is a text file, not a packet.\n" * 20, bytes(5000)]
)
def test_foreign_data_is_an_error(data: bytes) -> None:
    with pytest.raises(BitstreamError):
        _core.Decoder([tiny_model()]).send(data)


def test_a_missing_model_is_named(stream: Stream) -> None:
    decoder = _core.Decoder([])
    with pytest.raises(ModelNotFoundError) as caught:
        decoder.send(stream.packets[0])
    assert caught.value.model_id == tiny_model().id
    assert tiny_model().id in str(caught.value)
    decoder.send(stream.packets[1])
    assert decoder.receive() is None


def test_a_stream_of_a_newer_version_is_unsupported() -> None:
    header = Header(model=bytes.fromhex(tiny_model().id), version=2)
    with pytest.raises(UnsupportedError, match="version 2"):
        _core.Decoder([tiny_model()]).send(PacketFields(header=header).write())


@pytest.mark.parametrize(
    ("level", "size", "form"),
    [
        (25, (8192, 8192), 1),
        (11, (64, 48), 1),
        (0, (2, 1), 1),
        (26, (8192, 8192), 16),
        (27, (8192, 8192), 19),
        (12, (64, 48), 2),
    ],
)
def test_pictures_above_the_level_are_refused(level: int, size: tuple[int, int], form: int) -> None:
    """Before anything is allocated: the largest would take gigabytes."""
    header = Header(size[0], size[1], model=bytes.fromhex(tiny_model().id), format=form)
    with pytest.raises(UnsupportedError, match="level"):
        _core.Decoder([tiny_model()], max_level=level).send(PacketFields(header=header).write())


@pytest.mark.parametrize("body", [b"", b"\x00" * 8, b"\xff" * 8, b"\x55" * 300])
def test_a_large_picture_of_little_data_ends_at_once(body: bytes) -> None:
    header = Header(1920, 1080, format=0, model=bytes.fromhex(tiny_model().id))
    sizes = bytes([0, 0])
    frame = FrameFields(layers=8, quantizers=[0] * 8, body=sizes + body)
    packet = PacketFields(header=header, frames=[frame]).write()
    with pytest.raises(BitstreamError):
        _core.Decoder([tiny_model()]).send(packet)


def test_random_damage_behind_a_good_checksum_is_survived(stream: Stream) -> None:
    """Symbols, vectors, sizes and headers of any value: pictures or errors come out."""
    check_damaged(stream, 300)


def test_random_damage_of_several_components_is_survived(deep_stream: Stream) -> None:
    check_damaged(deep_stream, 200)


def test_damage_in_one_component_conceals_the_whole_picture(deep_stream: Stream) -> None:
    """Also where the components before it were decoded: none of the picture is shown."""
    broken = 0
    for cut in range(3, 40):
        packets = list(deep_stream.packets[:3])
        size = len(packets[1])
        # Bytes of any component, the checksum made to fit.
        at = 4 + (size - 8) * cut // 40
        packets[1] = seal(packets[1][:at] + bytes([packets[1][at] ^ 0x55]) + packets[1][at + 1 :])
        pictures = decode(packets)
        if pictures[1].concealed:
            broken += 1
            assert picture_hash(pictures[1]) == picture_hash(pictures[2]) == deep_stream.hashes[0]
    assert broken


def test_a_component_of_the_packet_that_reaches_too_far() -> None:
    header = Header(33, 17, format=18, model=bytes.fromhex(tiny_model().id))
    good = bytes([0x08, 0, 1, 0])  # one layer and its step, no base picture
    for others, message in [
        ([], "early|ends inside|past the packet's end"),
        ([good, good], "early|ends inside|past the packet's end"),
        ([good, good, b""], "early"),
        ([good, b"\x0a" + good[1:], good], "component has the flags 10"),
        ([good, b"\x09" + good[1:], good], "component of a keyframe with motion"),
        ([b"\x00" + good[1:], good, good], "component of a keyframe without steps"),
        ([b"\x08\xff\xff\x00", good, good], "step 511"),
        ([b"\x08\x00\x01\x09", good, good], "base frame reaches past"),
    ]:
        packet = PacketFields(header=header, frames=[FrameFields(others=others)]).write()
        with pytest.raises(BitstreamError, match=message) as caught:
            _core.Decoder([tiny_model()]).send(packet)
        assert caught.value.byte is not None


def test_a_component_keeps_its_number_of_layers_without_steps() -> None:
    form = Format(33, 17, "gray", alpha=1)
    decoder = _core.Decoder([tiny_model()], strict=True)
    decoder.send(encode(clip(form, 1), form, crf=40).packets[0])
    assert decoder.receive() is not None
    between = PacketFields(keyframe=False, frames=[FrameFields(others=[bytes([0x71])])])
    with pytest.raises(BitstreamError, match="component 1 has 8 layers without steps"):
        decoder.send(between.write())


def check_damaged(stream: Stream, times: int, count: int = 4) -> None:
    """Packets with changed bits and checksums that fit neither crash nor hang a decoder."""
    rng = random.Random(7)
    decoder = _core.Decoder([tiny_model()])
    for _ in range(times):
        packets = list(stream.packets[:count])
        at = rng.randrange(count)
        packets[at] = flip_and_seal(packets[at], rng)
        decoder.reset()
        for packet in packets:
            try:
                decoder.send(packet)
            except BsqError:
                continue
            decoder.receive()


@pytest.mark.parametrize("limit", [2**62, -(2**62)])
def test_times_that_leave_their_range_are_damage(stream: Stream, limit: int) -> None:
    """Keyframe and deviation at the limit each: 2^63 in all, which 64 bits do not hold."""
    at = 1 + len(stream.header)
    keyframe = seal(stream.packets[0][:at] + zigzag(limit) + stream.packets[0][at + 1 :])
    between = PacketFields(keyframe=False, deviation=limit).write()
    decoder = _core.Decoder([tiny_model()], strict=True)
    decoder.send(keyframe)
    picture = decoder.receive()
    assert picture is not None
    assert (picture.pts, picture_hash(picture)) == (limit, stream.hashes[0])
    with pytest.raises(BitstreamError, match="timestamp is out of range"):
        decoder.send(between)
    first, second = decode([keyframe, between])
    assert second.concealed
    assert second.pts > first.pts


def test_packets_whose_times_fall_are_damaged(stream: Stream) -> None:
    early = PacketFields(keyframe=False, index=2, deviation=-4).write()
    assert [frame.concealed for frame in decode([*stream.packets[:2], early])] == [0, 0, 1]
    with pytest.raises(BitstreamError, match=r"does not rise \(packet 2, byte 1\)"):
        decode([*stream.packets[:2], early], strict=True)


def test_concealed_pictures_have_no_tokens(stream: Stream) -> None:
    """Those of the damaged packet may have been decoded in part."""
    decoder = _core.Decoder([tiny_model()])
    known = []
    for data in [*stream.packets[:2], *stream.packets[3:5]]:
        decoder.send(data)
        assert decoder.receive() is not None
        known.append(decoder.tokens is not None)
    assert known == [True, True, False, True]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_payload_is_survived(data: st.DataObject) -> None:
    header = Header(70, 40, model=bytes.fromhex(tiny_model().id))
    quantizers = sorted(
        data.draw(st.lists(st.integers(0, 504), min_size=1, max_size=3)), reverse=True
    )
    body = data.draw(st.binary(max_size=200))
    decoder = _core.Decoder([tiny_model()])
    try:
        frame = FrameFields(layers=len(quantizers), quantizers=quantizers, body=body)
        decoder.send(PacketFields(header=header, frames=[frame]).write())
    except BitstreamError as error:
        assert error.packet == 0
        assert error.byte is not None
    else:
        assert decoder.receive() is not None


def test_calls_in_the_wrong_order(stream: Stream) -> None:
    decoder = _core.Decoder([tiny_model()])
    decoder.send(stream.packets[0])
    with pytest.raises(ValueError, match="waits"):
        decoder.send(stream.packets[1])
    assert decoder.receive() is not None
    decoder.flush()
    with pytest.raises(EndOfStreamError):
        decoder.send(stream.packets[1])
    decoder.reset()
    decoder.send(stream.packets[4])
    picture = decoder.receive()
    assert picture is not None
    assert picture_hash(picture) == stream.hashes[4]


def test_packets_say_their_group_and_how_long_they_last(stream: Stream) -> None:
    """By which lost groups are told from joints, without decoding."""
    infos = [_core.probe_packet(packet) for packet in stream.packets]
    assert [info["group_counter"] for info in infos] == [0] * 4 + [1] * 4 + [2] * 4
    assert {info["duration"] for info in infos} == {-1}
    long = _core.probe_packet(PacketFields(keyframe=False, duration=3003).write())
    assert (long["duration"], long["group_counter"]) == (3003, 0)
