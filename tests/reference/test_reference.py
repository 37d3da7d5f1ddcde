"""The codec decodes to the same frames as the reference decoder, bit for bit."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Sequence
from typing import Any

import pytest

from bsqav import _core
from bsqav.codec.modelfile import parse_model
from bsqav.errors import BsqError, UnsupportedError
from tests.bitstream.packets import Header, PacketFields
from tests.codec.streams import TINY_MODEL, Format, clip, decode, encode
from tests.network.models import SMALL, random_model
from tests.reference.bitstream import (
    KEYFRAME,
    TILE_SUPERBLOCKS,
    DamageError,
    Plane,
    conformance_hash,
    tiles,
)
from tests.reference.decoder import Decoder, decode_stream
from tests.reference.groups import GroupPlan, lost_packets, random_groups
from tests.reference.random_stream import RandomStream
from tests.reference.range_decoder import RangeDecoder
from tests.vectors.ivf import read_ivf
from tests.vectors.make_golden import FOLDER, INDEX

# The frozen test model, and one of random networks.
MODELS = {"tiny": TINY_MODEL.read_bytes(), "random": random_model(SMALL, 1)[0]}
BY_ID = {parse_model(data).id: data for data in MODELS.values()}
EACH_MODEL = pytest.mark.parametrize("model", MODELS)
GOLDEN: dict[str, dict[str, Any]] = json.loads(INDEX.read_text()) if INDEX.exists() else {}
QUICK_SAMPLES = 300_000


def strict_decoder() -> _core.Decoder:
    """A decoder with both models that stops at damage."""
    return _core.Decoder([_core.Model(data) for data in MODELS.values()], strict=True)


def assert_same(frames: Sequence[_core.Frame], expected: Sequence[Sequence[Plane]]) -> None:
    """The frames have the type, shape and samples of the expected planes."""
    assert len(frames) == len(expected)
    for index, (frame, planes) in enumerate(zip(frames, expected, strict=True)):
        shown = frame.planes
        assert [p.dtype for p in shown] == [p.dtype for p in planes]
        assert [p.shape for p in shown] == [p.shape for p in planes]
        differing = [int((a != b).sum()) for a, b in zip(shown, planes, strict=True)]
        assert not any(differing), f"frame {index}: {differing} samples differ"


@pytest.mark.parametrize("crf", [20, 40, 55])
@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("chroma", ["gray", "420"])
@pytest.mark.parametrize("size", [(1, 1), (24, 40), (70, 54)])
def test_encoded_streams(size: tuple[int, int], chroma: str, depth: int, crf: int) -> None:
    check_encoded(Format(*size, chroma, depth), crf)


@pytest.mark.parametrize(
    ("size", "chroma", "alpha", "depth"),
    [
        ((1, 1), "gray", 1, 8),
        ((41, 27), "420", 1, 10),
        ((1, 3), "422", 0, 8),
        ((65, 20), "422", 1, 8),
        ((33, 24), "444", 0, 10),
        ((24, 9), "444", 1, 8),
    ],
)
def test_encoded_streams_of_several_components(
    size: tuple[int, int], chroma: str, alpha: int, depth: int
) -> None:
    check_encoded(Format(*size, chroma, depth, alpha), 20)


def check_encoded(form: Format, crf: float) -> None:
    """Both decoders give the same frames of a clip that the encoder has coded."""
    stream = encode(clip(form, 5), form, crf=crf, gop=3)
    assert stream.keyframes == [True, False, False, True, False]
    expected = decode_stream(stream.packets, TINY_MODEL.read_bytes())
    frames = decode(stream.packets, strict_decoder())
    assert_same(frames, expected)
    assert conformance_hash(p.planes for p in frames) == conformance_hash(expected)


@EACH_MODEL
@pytest.mark.parametrize("seed", range(8))
def test_random_symbols(seed: int, model: str) -> None:
    """All of the syntax: splits, far vectors, one to eight layers, timestamps, unknown fields."""
    header = Header(
        *[(70, 54), (101, 35), (40, 24), (9, 130)][seed % 4],
        format=[1 | 5 * seed << 5, 0, 5 | (7 - seed) << 5, 4][seed // 2],
        ticks=[0, 4, 100][seed % 3],
        extra=bytes(seed),
    )
    stream = RandomStream(header, MODELS[model], seed, [0.5, 0.85, 0.3, 0.7][seed % 4])
    for frame, layers in enumerate([1 + seed, 1, 2, 2, 1, 8 - seed]):
        stream.add(frame % 5 == 0, layers)
    assert_same_stream(stream)


# Formats of several components: 4:2:2, 4:4:4, and all with alpha; those from 20 on have 10 bits.
COMPONENTS = [2, 3, 16, 17, 18, 19, 22, 23]


@pytest.mark.parametrize("form", COMPONENTS)
def test_random_symbols_of_several_components(form: int) -> None:
    """Layers, quantizers, base frames and motion of every component are its own, or the first's."""
    header = Header(*[(40, 24), (33, 17), (9, 50)][form % 3], format=form)
    stream = RandomStream(header, MODELS["tiny"], form, 0.5)
    for frame, layers in enumerate([2, 1, 2]):
        stream.add(frame == 0, layers)
    assert len(stream.frames[0]) == [1, 3, 3, 3][form & 3] + (form >> 4 & 1)
    assert_same_stream(stream)


@pytest.mark.parametrize("seed", range(10))
def test_random_groups(seed: int) -> None:
    """P and B frames, coded ahead or not, held or not, with references at any distance."""
    assert_same_stream(random_groups(seed, MODELS["tiny"]))


@pytest.mark.parametrize("seed", range(3))
def test_missing_packets(seed: int) -> None:
    """Both decoders lose the same frames, and the others are as before."""
    stream = RandomStream(Header(16, 8, format=0), MODELS["tiny"], seed, 0.5)
    rng = random.Random(seed)
    for length in (16, 6):
        stream.add_packets(GroupPlan(rng, length).packets)
    for number in range(1, 22):
        missing = {number, *rng.sample(range(1, 22), seed)}
        lost = lost_packets(stream.shapes, missing)
        if 16 in missing:
            lost |= set(range(16, 22))
        left = [i for i in range(22) if i not in missing]
        frames = decode([stream.packets[i] for i in left])
        assert [frame.concealed for frame in frames] == [i in lost for i in left]
        shown = [i for i in left if i not in lost]
        intact = [frame for frame in frames if not frame.concealed]
        assert_same(intact, [stream.frames[i] for i in shown])


def assert_same_stream(stream: RandomStream) -> None:
    """Both decoders give the frames that the stream was made from."""
    expected = decode_stream(stream.packets, BY_ID[stream.header.model.hex()])
    assert conformance_hash(expected) == conformance_hash(stream.frames)
    frames = decode(stream.packets, strict_decoder())
    assert_same(frames, expected)
    assert [(p.pts, p.duration) for p in frames] == stream.times


@EACH_MODEL
def test_a_header_that_changes(model: str) -> None:
    first = RandomStream(Header(70, 54, format=1), MODELS[model], 20, 0.5)
    first.add(True, 1)
    first.add(False, 2)
    fields = Header(33, 17, format=4, time_base=(1, 3))
    second = RandomStream(fields, MODELS[model], 21, 0.5, start=1000)
    second.add(True, 2)
    second.add(False, 2)
    packets = first.packets + second.packets
    expected = decode_stream(packets, MODELS[model])
    assert conformance_hash(expected) == conformance_hash(first.frames + second.frames)
    assert_same(decode(packets, strict_decoder()), expected)


def test_a_stream_that_goes_on_with_another_model() -> None:
    packets, frames = [], []
    for seed, model in enumerate(["random", "tiny", "random"]):
        stream = RandomStream(Header(70, 54, format=1), MODELS[model], seed, 0.5, start=1000 * seed)
        for frame in range(2):
            stream.add(frame == 0, 2)
        packets += stream.packets
        frames += stream.frames
    assert_same(decode(packets, strict_decoder()), frames)


@pytest.mark.parametrize(("version", "numerics"), [(0, 1), (2, 1), (1, 0), (1, 2), (2, 2)])
def test_other_versions_are_refused(version: int, numerics: int) -> None:
    model = MODELS["tiny"]
    header = Header(model=bytes.fromhex(parse_model(model).id), version=version, numerics=numerics)
    packet = PacketFields(header=header).write()
    with pytest.raises(DamageError, match="unknown version"):
        Decoder(model).decode(packet)
    with pytest.raises(UnsupportedError, match="version"):
        decode([packet], strict_decoder())


@EACH_MODEL
@pytest.mark.parametrize("seed", range(4))
def test_damaged_streams(seed: int, model: str) -> None:
    """What one decoder refuses the other refuses too, and otherwise the frames are equal."""
    check_damaged([0, 1, 4, 5][seed], model, seed)


@pytest.mark.parametrize("form", [2, 19])
def test_damaged_streams_of_several_components(form: int) -> None:
    check_damaged(form, "tiny", form, size=(17, 9), times=12)


def check_damaged(
    form: int, model: str, seed: int, *, size: tuple[int, int] = (33, 17), times: int = 25
) -> None:
    """Both decoders treat damaged packets of a random stream alike."""
    rng = random.Random(seed)
    stream = RandomStream(Header(*size, format=form), MODELS[model], seed, 0.5)
    for frame in range(3):
        stream.add(frame == 0, 1 + frame % 2)
    refused = 0
    for _ in range(times):
        packets = list(stream.packets)
        index = rng.randrange(3)
        packets[index] = damage(packets[index], rng)
        expected, message = decode_until_damage(packets, MODELS[model])
        assert_same(decode(packets[: len(expected)], strict_decoder()), expected)
        if message is not None:
            refused += 1
            with pytest.raises(BsqError):
                decode(packets[: len(expected) + 1], strict_decoder())
    assert refused > 0


def damage(packet: bytes, rng: random.Random) -> bytes:
    """The packet with a bit changed or bytes added or removed, and a checksum that fits."""
    size = 4 if packet[0] & KEYFRAME else 2
    body = bytearray(packet[:-size])
    kind = rng.randrange(4)
    if kind < 2:  # anywhere, or in the first bytes
        end = len(body) if kind == 0 else min(60, len(body))
        body[rng.randrange(end)] ^= 1 << rng.randrange(8)
    elif kind == 2:
        body += bytes(rng.choice([0, 1, 255]) for _ in range(rng.randrange(1, 20)))
    else:
        del body[-rng.randrange(1, 8) :]
    body[0] = body[0] & 0x7F | packet[0] & KEYFRAME
    return bytes(body) + (zlib.crc32(body) & (1 << 8 * size) - 1).to_bytes(size, "little")


def decode_until_damage(
    packets: Sequence[bytes], model: bytes
) -> tuple[list[list[Plane]], str | None]:
    """The frames before the first packet that the reference refuses, and why it does."""
    decoder = Decoder(model)
    frames = []
    for packet in packets:
        try:
            frames.append(decoder.decode(packet))
        except DamageError as error:
            return frames, str(error)
    return frames, None


@EACH_MODEL
@pytest.mark.slow
def test_a_frame_of_many_tiles_and_layers(model: str) -> None:
    stream = RandomStream(Header(width=1930, height=1082, format=5), MODELS[model], 1, 0.02)
    for frame, layers in enumerate([2, 1]):
        stream.add(frame == 0, layers)
    assert_same_stream(stream)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (e["width"] * e["height"] > QUICK_SAMPLES))
        for name, e in GOLDEN.items()
    ],
)
def test_golden_streams(name: str) -> None:
    packets = [data for data, _ in read_ivf(FOLDER / f"{name}.ivf")]
    frames = decode_stream(packets, BY_ID[GOLDEN[name]["model"]])
    assert conformance_hash(frames) == GOLDEN[name]["hash"]


@pytest.mark.parametrize(
    ("size", "columns", "rows"),
    [
        ((8, 8), 1, 1),
        ((1280, 720), 1, 1),
        ((1920, 1080), 3, 1),
        ((3840, 2160), 5, 2),
        ((8192, 8192), 2, 37),
    ],
)
def test_tiles(size: tuple[int, int], columns: int, rows: int) -> None:
    """The examples of section 3, and that the tiles cover the frame."""
    cut = tiles(*size)
    assert len(cut) == columns * rows
    assert len({tile.y0 for tile in cut}) == rows
    assert cut == sorted(cut, key=lambda tile: (tile.y0, tile.x0))
    superblocks = [(tile.x1 - tile.x0) * (tile.y1 - tile.y0) for tile in cut]
    assert sum(superblocks) == -(-size[0] // 32) * -(-size[1] // 32)
    assert max(superblocks) <= TILE_SUPERBLOCKS or columns * rows == 1


def test_the_example_of_the_range_coder() -> None:
    coder = RangeDecoder(bytes([0x30]))
    assert [coder.bit(p) for p in (49152, 16384, 256)] == [1, 0, 1]
    coder.finish()
