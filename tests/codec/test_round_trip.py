"""What the encoder reconstructs is what the decoder shows, for every format, size and setting."""

from __future__ import annotations

import numpy as np
import pytest

from bsqav import _core
from tests.codec.streams import (
    Format,
    Stream,
    clip,
    decode,
    encode,
    picture_hash,
    sequence_of,
    tiny_model,
)

SIZES = [(1, 1), (7, 5), (64, 48), (130, 98)]
SMALL = Format(64, 48)


def check(stream: Stream, form: Format, pictures: list[_core.Frame]) -> None:
    assert [picture_hash(p) for p in pictures] == stream.hashes
    assert [p.pts for p in pictures] == stream.pts
    assert [p.keyframe for p in pictures] == stream.keyframes
    assert not any(p.concealed for p in pictures)
    for picture in pictures:
        assert [plane.shape for plane in picture.planes] == form.plane_shapes
        assert (picture.width, picture.height) == (form.width, form.height)
        assert (picture.chroma, picture.bit_depth) == (form.chroma, form.bit_depth)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("chroma", ["gray", "420"])
@pytest.mark.parametrize("bit_depth", [8, 10])
def test_pictures_are_the_encoders(size: tuple[int, int], chroma: str, bit_depth: int) -> None:
    form = Format(*size, chroma, bit_depth)
    stream = encode(clip(form, 3), form, crf=30)
    assert stream.keyframes == [True, False, False]
    check(stream, form, decode(stream.packets))


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (66, 48)], ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize(
    ("chroma", "alpha"),
    [("gray", 1), ("420", 1), ("422", 0), ("422", 1), ("444", 0), ("444", 1)],
)
@pytest.mark.parametrize("bit_depth", [8, 10])
def test_pictures_of_several_components(
    size: tuple[int, int], chroma: str, alpha: int, bit_depth: int
) -> None:
    form = Format(*size, chroma, bit_depth, alpha)
    pictures = clip(form, 4)
    stream = encode(pictures, form, crf=16, gop=3)
    assert stream.keyframes == [True, False, False, True]
    shown = decode(stream.packets)
    check(stream, form, shown)
    assert sequence_of(stream.packets[0])["version"] == 1


def test_every_plane_is_that_of_its_own_source() -> None:
    form = Format(48, 40, "422", 8, 1)
    planes = [np.full(shape, 60 + 30 * i, np.uint8) for i, shape in enumerate(form.plane_shapes)]
    (picture,) = decode(encode([planes], form, crf=20).packets)
    for given, shown in zip(planes, picture.planes, strict=True):
        assert np.abs(shown.astype(int) - given).max() < 12


def test_formats_of_one_component_are_written_as_before() -> None:
    for chroma in ("gray", "420"):
        form = Format(16, 8, chroma)
        stream = encode(clip(form, 1), form)
        assert sequence_of(stream.packets[0])["version"] == 1


@pytest.mark.parametrize("threads", [1, 3])
def test_components_with_a_rate_and_a_lookahead(threads: int) -> None:
    """The decisions are those of the first component; the threads do not matter."""
    form = Format(70, 54, "444", 8, 1)
    stream = encode(clip(form, 10), form, threads=threads, bitrate=60_000, lookahead=3)
    again = encode(clip(form, 10), form, threads=2, bitrate=60_000, lookahead=3)
    assert stream.hashes == again.hashes
    check(stream, form, decode(stream.packets))


def test_planes_without_alpha_are_refused_where_there_is_one() -> None:
    form = Format(16, 8, "444", 8, 1)
    encoder = _core.Encoder(form.sequence, tiny_model())
    with pytest.raises(ValueError, match="4 planes, not 3"):
        encoder.send(clip(form, 1)[0][:3], 0)


def test_a_large_frame_in_several_tiles() -> None:
    form = Format(1920, 1080)
    stream = encode(clip(form, 1), form)
    assert _core.probe_packet(stream.packets[0])["tiles"] == 3
    check(stream, form, decode(stream.packets))


@pytest.mark.parametrize("size", [(1928, 488), (8192, 8), (8, 8192)])
def test_tiles_of_odd_shapes(size: tuple[int, int]) -> None:
    form = Format(*size, "gray")
    stream = encode(clip(form, 2), form)
    check(stream, form, decode(stream.packets))


@pytest.mark.parametrize("crf", [0, 8, 20.125, 43, 63])
@pytest.mark.parametrize("preset", ["fast", "medium", "slow"])
def test_every_rate_and_preset(crf: float, preset: str) -> None:
    stream = encode(clip(SMALL, 4), SMALL, crf=crf, preset=preset)
    check(stream, SMALL, decode(stream.packets))
    info = _core.probe_packet(stream.packets[0])
    # Keyframes are finer than what follows.
    assert max(0, crf - 12) <= info["crf"] <= max(0, crf - 1)
    assert 1 <= info["layers"] <= 8


@pytest.mark.parametrize("preset", ["fast", "medium", "slow"])
def test_a_finer_crf_costs_more_and_looks_better(preset: str) -> None:
    form = Format(130, 98)
    pictures = clip(form, 4)
    sizes, errors = [], []
    for crf in range(56, 8, -8):  # the test model has no stages for finer steps
        stream = encode(pictures, form, crf=crf, preset=preset)
        sizes.append(sum(map(len, stream.packets)))
        shown = decode(stream.packets)
        errors.append(
            np.mean(
                [
                    (picture.planes[0].astype(float) - planes[0]) ** 2
                    for picture, planes in zip(shown, pictures, strict=True)
                ]
            )
        )
    assert sizes == sorted(set(sizes))
    assert errors == sorted(set(errors), reverse=True)
    assert errors[0] > 10 * errors[-1]


def test_keyframes_come_by_force_and_by_the_group_length() -> None:
    stream = encode(clip(SMALL, 11), SMALL, gop=4, force=[6], scene_cut=False)
    assert [i for i, key in enumerate(stream.keyframes) if key] == [0, 4, 6, 10]
    check(stream, SMALL, decode(stream.packets))
    # Every group decodes by itself.
    for start, end in [(4, 6), (6, 10), (10, 11)]:
        pictures = decode(stream.packets[start:end])
        assert [picture_hash(p) for p in pictures] == stream.hashes[start:end]
        assert [p.pts for p in pictures] == stream.pts[start:end]


def test_a_scene_cut_becomes_a_keyframe() -> None:
    form = Format(128, 96)
    pictures = clip(form, 1) * 12 + clip(form, 1, seed=9) * 6
    assert [i for i, key in enumerate(encode(pictures, form).keyframes) if key] == [0, 12]
    assert not any(encode(pictures, form, scene_cut=False).keyframes[1:])


@pytest.mark.parametrize(
    "pts",
    [
        [0, 4, 8, 12],
        [-7, -2, 0, 100],
        [5, 6, 7, 2**40],
        [-(2**61), 0, 1, 2**61],
        [1000000007, 1000000011, 1000000014, 1000000019],
    ],
)
def test_timestamps_come_back_exactly(pts: list[int]) -> None:
    stream = encode(clip(SMALL, 4), SMALL, pts=pts)
    assert stream.pts == pts
    check(stream, SMALL, decode(stream.packets))


def test_durations_come_back() -> None:
    encoder = _core.Encoder(SMALL.sequence, tiny_model())
    decoder = _core.Decoder([tiny_model()])
    shown = []
    for index, (planes, duration) in enumerate(zip(clip(SMALL, 3), [4, 9, 0], strict=True)):
        encoder.send(planes, 10 * index, duration=duration)
        packet = encoder.receive()
        assert packet is not None
        assert packet.duration == duration
        decoder.send(packet.data)
        picture = decoder.receive()
        assert picture is not None
        shown.append(picture.duration)
    assert shown == [4, 9, 4]  # unknown: by the frame rate


def test_several_streams_with_changing_formats_through_one_decoder() -> None:
    decoder = _core.Decoder([tiny_model()])
    for form in [SMALL, Format(50, 20, "gray"), Format(64, 48, "420", 10), SMALL]:
        stream = encode(clip(form, 3), form)
        decoder.reset()
        check(stream, form, decode(stream.packets, decoder))
        sequence = decoder.sequence
        assert sequence is not None
        assert (sequence["width"], sequence["chroma"]) == (form.width, form.chroma)
        decoder.reset()
        assert decoder.sequence is None


def test_a_change_of_format_within_a_stream() -> None:
    other = Format(40, 24, "gray")
    first, second = encode(clip(SMALL, 3), SMALL), encode(clip(other, 3), other)
    pictures = decode(first.packets + second.packets)
    assert [picture_hash(p) for p in pictures] == first.hashes + second.hashes


def test_statistics_add_up() -> None:
    form = Format(130, 98)
    stream = encode(clip(form, 3), form)
    most = tiny_model().stages
    for packet, stats in zip(stream.packets, stream.stats, strict=True):
        parts = sum(
            stats[f"{kind}_bits"] for kind in ("motion", "flag", "delta_q", "sample", "token")
        )
        assert stats["ideal_bits"] == pytest.approx(parts)
        # Header, timestamps, steps and checksum beside the coded symbols.
        overhead = 8 * len(packet) - stats["ideal_bits"]
        assert 0 <= overhead <= 8 * 70
        assert 0 <= stats["coded_tokens"] <= stats["tokens"]
        assert stats["coded_tokens"] <= stats["coded_stages"] <= most * stats["coded_tokens"]
        assert 5 < stats["psnr_y"] <= 100
    assert stream.stats[0]["motion_bits"] == 0
    assert stream.stats[1]["motion_bits"] > 0


def test_the_header_is_that_of_the_keyframes() -> None:
    stream = encode(clip(SMALL, 1), SMALL)
    assert stream.header[:4] == b"BSQ1"
    assert stream.header in stream.packets[0]
    sequence = sequence_of(stream.packets[0])
    assert sequence["model_id"] == tiny_model().id
    assert sequence["frame_rate"] == (25, 1)


def test_a_still_picture_costs_next_to_nothing() -> None:
    planes = clip(SMALL, 1)[0]
    stream = encode([planes] * 40, SMALL, crf=63, scene_cut=False)
    assert max(len(packet) for packet in stream.packets[-8:]) < 60
