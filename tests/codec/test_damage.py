"""Lost, damaged and foreign packets: concealed and announced, or a clear error; never a crash."""

from __future__ import annotations

import random
import zlib
from collections.abc import Collection, Sequence
from itertools import accumulate, pairwise
from typing import Any

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
from tests.codec.streams import Format, Stream, clip, decode, encode, picture_hash, tiny_model
from tests.reference.bitstream import Frame, PacketParser
from tests.reference.groups import lost_packets

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


# Of the groups with B frames below: a keyframe and two groups of eight.
GOP = 17


@pytest.fixture(scope="module", params=["one component", "four"])
def b_stream(request: pytest.FixtureRequest) -> Stream:
    """Two groups of pictures with B frames."""
    form = FORM if request.param == "one component" else DEEP
    options: dict[str, Any] = {"gop": GOP, "scene_cut": False, "crf": 30, "preset": "fast"}
    return encode(clip(form, 2 * GOP, calm=True), form, lookahead=24, bframes=7, **options)


def flip(data: bytes, bit: int) -> bytes:
    """The data with one bit changed."""
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def seal(data: bytes) -> bytes:
    """The data with a new checksum in place of its own, as an attacker would."""
    size = 4 if data[0] & 0x80 else 2
    body = data[:-size]
    return body + (zlib.crc32(body) & (1 << 8 * size) - 1).to_bytes(size, "little")


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


def test_random_damage_of_b_frames_is_survived(b_stream: Stream) -> None:
    check_damaged(b_stream, 150, 10)


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
        data = packets[at]
        for _ in range(rng.choice([1, 1, 2, 8])):
            data = flip(data, rng.randrange(8 * len(data)))
        if rng.random() < 0.3:
            data = data[: rng.randrange(min(5, len(data)), len(data) + 1)]
        packets[at] = seal(data)
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


def coded_frames(stream: Stream) -> list[Sequence[Frame]]:
    """The frames coded in every packet."""
    parser = PacketParser()
    return [parser.parse(packet).frames for packet in stream.packets]


def check_shown(stream: Stream, packets: dict[int, bytes], lost: Collection[int]) -> None:
    """What the packets of these numbers show: the frame before of those lost, else their own."""
    shown = decode(packets.values())
    assert [frame.concealed for frame in shown] == [number in lost for number in packets]
    assert [frame.pts for frame in shown] == [stream.pts[number] for number in packets]
    expected: list[str] = []
    for number in packets:
        expected.append(expected[-1] if number in lost else stream.hashes[number])
    assert [picture_hash(frame) for frame in shown] == expected


def test_a_lost_packet_costs_exactly_the_frames_that_depend_on_it(b_stream: Stream) -> None:
    frames = coded_frames(b_stream)
    assert [len(packet) for packet in frames[:GOP]] == [1, *[4, 0, 1, 0, 2, 0, 1, 0] * 2]
    for missing in range(1, GOP):
        lost = lost_packets(frames, {missing})
        # A frame that is not held, or nothing but what the packet shows.
        if missing % 4 == 3 or missing % 2 == 0:
            assert lost == {missing}
        elif missing % 8 == 1:
            assert lost == set(range(missing, GOP)), "of an anchor"
        else:
            assert lost == {missing, missing + 1, missing + 2}
        packets = dict(enumerate(b_stream.packets))
        del packets[missing]
        check_shown(b_stream, packets, lost)
        data = b_stream.packets[missing]
        packets = dict(enumerate(b_stream.packets))
        packets[missing] = flip(data, 8 * len(data) // 2)
        check_shown(b_stream, packets, lost)


@pytest.mark.parametrize("bframes", [0, 7])
def test_made_up_times_cost_no_frame(bframes: int) -> None:
    """A damaged packet's frame is due when the one before ends: here after the frames behind it."""
    rng = random.Random(4)
    pts = list(accumulate(rng.choice([1, 1, 1, 2, 50]) for _ in range(GOP + 2)))
    options: dict[str, Any] = {"gop": GOP, "scene_cut": False, "crf": 30, "preset": "fast"}
    pictures = clip(FORM, GOP + 2, calm=True)
    stream = encode(pictures, FORM, pts=pts, lookahead=24, bframes=bframes, **options)
    frames = coded_frames(stream)
    falls = 0
    for missing in range(1, GOP):
        lost = lost_packets(frames, {missing})
        packets = list(stream.packets)
        packets[missing] = b"\0"
        shown = decode(packets)
        assert [frame.concealed for frame in shown] == [n in lost for n in range(GOP + 2)]
        for number, frame in enumerate(shown):
            if number not in lost:
                assert (frame.pts, picture_hash(frame)) == (pts[number], stream.hashes[number])
        falls += any(one.pts >= other.pts for one, other in pairwise(shown))
    assert falls > 0


def test_packets_whose_times_fall_are_damaged(stream: Stream) -> None:
    early = PacketFields(keyframe=False, index=2, deviation=-4).write()
    assert [frame.concealed for frame in decode([*stream.packets[:2], early])] == [0, 0, 1]
    with pytest.raises(BitstreamError, match=r"does not rise \(packet 2, byte 1\)"):
        decode([*stream.packets[:2], early], strict=True)


def test_packets_of_frames_that_are_not_held_may_be_left_out(b_stream: Stream) -> None:
    infos = [_core.probe_packet(packet) for packet in b_stream.packets]
    spare = [i for i, info in enumerate(infos) if info["frames"] and not info["held_frames"]]
    assert spare == [3, 7, 11, 15, 20, 24, 28, 32]
    left = [i for i in range(2 * GOP) if i not in spare]
    frames = decode([b_stream.packets[i] for i in left], strict=True)
    assert [picture_hash(frame) for frame in frames] == [b_stream.hashes[i] for i in left]
    assert [frame.pts for frame in frames] == [b_stream.pts[i] for i in left]


def test_several_lost_packets_cost_what_depends_on_any_of_them(b_stream: Stream) -> None:
    frames = coded_frames(b_stream)
    rng = random.Random(5)
    for _ in range(12):
        missing = rng.sample(range(1, GOP), 4)
        packets = {i: data for i, data in enumerate(b_stream.packets) if i not in missing}
        check_shown(b_stream, packets, lost_packets(frames, missing))


def test_a_lost_keyframe_costs_its_group_of_b_frames(b_stream: Stream) -> None:
    packets = dict(enumerate(b_stream.packets))
    del packets[GOP]
    check_lost_group(b_stream, packets)
    # Also where packets of the first group come late, between those of the second one.
    late = dict(enumerate([*b_stream.packets[:9], b_stream.packets[18], *b_stream.packets[9:17]]))
    shown = decode(late.values())
    assert [frame.concealed for frame in shown] == [False] * 9 + [True] * 9


def check_lost_group(stream: Stream, packets: dict[int, bytes]) -> None:
    shown = decode(packets.values())
    assert [frame.concealed for frame in shown] == [number > GOP for number in packets]
    assert {picture_hash(frame) for frame in shown[GOP:]} == {stream.hashes[GOP - 1]}
    ticks = [frame.pts for frame in shown]
    assert ticks == sorted(set(ticks))


def test_a_group_that_ends_early_is_followed_by_the_next(b_stream: Stream) -> None:
    """Frames that were coded ahead are then not shown."""
    for end in range(1, GOP):
        left = [*range(end), *range(GOP, GOP + 3)]
        packets = [b_stream.packets[i] for i in left]
        if end % 2 == 1 and end > 1:
            assert _core.probe_packet(packets[end - 1])["frames"] == 0
        frames = decode(packets, strict=True)
        assert [picture_hash(frame) for frame in frames] == [b_stream.hashes[i] for i in left]


def test_a_packet_that_breaks_a_rule_costs_no_more_than_its_group(b_stream: Stream) -> None:
    rng = random.Random(3)
    concealed = 0
    for _ in range(60):
        packets = list(b_stream.packets[: GOP + 2])
        at = rng.randrange(1, GOP)
        data = packets[at]
        for _ in range(rng.choice([1, 1, 2, 8])):
            data = flip(data, rng.randrange(8 * len(data)))
        packets[at] = seal(bytes([data[0] & 0x7F]) + data[1:])
        frames = decode(packets)
        hashes = [picture_hash(frame) for frame in frames]
        assert hashes[:at] == b_stream.hashes[:at]
        assert hashes[-2:] == b_stream.hashes[GOP : GOP + 2]
        assert [frame.concealed for frame in frames[-2:]] == [False, False]
        concealed += any(frame.concealed for frame in frames)
        # A frame is the right one, or concealed, or of damage that kept the rules.
        assert len(frames) == GOP + 2
    assert concealed > 20


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
