"""Sample-coded tokens: both decoders read the same, in random streams and in pictures of text."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from bsqav import _core
from tests.bitstream.packets import Header
from tests.codec.streams import TINY_MODEL, Format, decode, encode
from tests.codec.text import LINE, sample_bits, scrolling
from tests.reference.bitstream import Plane, Tile, conformance_hash, tiles
from tests.reference.decoder import decode_stream
from tests.reference.random_stream import RandomCoder, RandomStream, Shape
from tests.reference.range_decoder import RangeDecoder, TileContexts
from tests.reference.samples import BoolArray, IntArray, SampleReader, step

MODEL = TINY_MODEL.read_bytes()

# A keyframe, P and B frames; the last one refers to the B frame.
GROUP = [
    [Shape(0, slot=0, layers=2)],
    [Shape(2, 2, slot=1), Shape(1, 1, 1, slot=2, layers=2)],
    [],
    [Shape(3, 2, slot=0)],
]


@dataclass(frozen=True)
class Read:
    """What one call of the reference decoder's reader found.

    Attributes:
        tile: whose symbols they are.
        planes: of the component.
        depth: bits of a sample.
        tokens: how many are sample-coded.
    """

    tile: Tile
    planes: int
    depth: int
    tokens: int


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Read]:
    """The calls during the test, in the order of frames, components and tiles."""
    calls: list[Read] = []
    read = SampleReader.read

    def record(
        self: SampleReader, tile: Tile, planes: Sequence[IntArray], sampled: BoolArray
    ) -> None:
        before = int(sampled.sum())
        read(self, tile, planes, sampled)
        calls.append(Read(tile, len(planes), self.depth, int(sampled.sum()) - before))

    monkeypatch.setattr(SampleReader, "read", record)
    return calls


class ForcedReader(SampleReader):
    """Makes the first token of every tile sample-coded; all else is random."""

    def read(self, tile: Tile, planes: Sequence[IntArray], sampled: BoolArray) -> None:
        """The symbols of a tile: its flag, those of the first superblock and token are ones."""
        assert isinstance(self.coder, RandomCoder)
        self.coder.written = [1, 1, 1]
        super().read(tile, planes, sampled)


def random_samples(
    header: Header, groups: Sequence[Sequence[Sequence[Shape]]], seed: int, ones: float
) -> RandomStream:
    """A random stream of these groups in which every tile has sample-coded tokens."""
    stream = RandomStream(header, MODEL, seed, ones)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.reference.samples.SampleReader", ForcedReader)
        for packets in groups:
            stream.add_packets(packets)
    return stream


def check_frames(packets: Sequence[bytes], expected: Sequence[Sequence[Plane]]) -> None:
    """The library decodes the packets to these frames."""
    frames = decode(packets, _core.Decoder([_core.Model(MODEL)], strict=True))
    assert len(frames) == len(expected)
    for index, (frame, planes) in enumerate(zip(frames, expected, strict=True)):
        assert [p.shape for p in frame.planes] == [p.shape for p in planes]
        differing = [int((a != b).sum()) for a, b in zip(frame.planes, planes, strict=True)]
        assert not any(differing), f"frame {index}: {differing} samples differ"


class ScriptedCoder(RangeDecoder):
    """Gives the bits of a script, and then ones."""

    def __init__(self, bits: str) -> None:
        super().__init__(b"")
        self.bits = [int(bit) for bit in bits if bit in "01"]

    def bit(self, p: int) -> int:
        """The next bit."""
        return self.bits.pop(0) if self.bits else 1


def test_the_example_of_the_format() -> None:
    """The hash, and a token whose even rows are found again.

    Its first sample is 200, which no candidate is; everywhere else the first candidate is right,
    which in rows 2, 4 and 6 is what followed the same neighbours in row 0.
    """
    h = step(0, 1)
    for v in (128, 128, 128):
        h = step(h, v)
    assert h == 318720542
    plane, sampled = np.full((8, 8), 128, np.int64), np.zeros((1, 1), np.bool_)
    coder = ScriptedCoder("1 1 1  0 11001000")  # tile, superblock, token; no candidate, the value
    SampleReader(coder, TileContexts(), 8, keyframe=True).read(Tile(0, 0, 1, 1), [plane], sampled)
    assert sampled.all()
    assert plane.tolist() == [[200] * 8, [128] * 8] * 4


@pytest.mark.parametrize("form", [0, 1, 4, 5, 18, 21])
def test_random_samples(form: int, reads: list[Read]) -> None:
    """In frames of every type, in gray and in 4:2:0, with 8 and with 10 bits."""
    rng = random.Random(form)
    size = rng.choice([(38, 22), (22, 46), (70, 30)])
    stream = random_samples(Header(*size, format=form), [GROUP] * 2, form, rng.uniform(0.3, 0.8))
    reads.clear()
    expected = decode_stream(stream.packets, MODEL)
    assert conformance_hash(expected) == conformance_hash(stream.frames)
    check_frames(stream.packets, expected)
    assert len(reads) == 2 * 4 * len(stream.component_headers)
    assert all(call.tokens > 0 for call in reads)
    used = {(call.planes, call.depth) for call in reads}
    assert used == {(3 if own.chroma else 1, own.depth) for own in stream.component_headers}


def test_random_samples_of_two_tiles(reads: list[Read]) -> None:
    """Each has its own contexts and matches, and no neighbours in the other one."""
    shapes = [[Shape(0, slot=0)], [Shape(1, 1, layers=2)]]
    stream = random_samples(Header(1288, 720, format=0), [shapes], 1, 0.0)
    assert len({call.tile for call in reads}) == len(tiles(1288, 720)) == 2
    assert all(call.tokens > 0 for call in reads)
    check_frames(stream.packets, stream.frames)


@pytest.mark.parametrize(
    ("form", "options"),
    [
        (Format(96, 72), {}),
        (Format(70, 50, bit_depth=10), {"lookahead": 4}),
        (Format(70, 50, "gray"), {"lookahead": 4}),
        (Format(54, 40, "444", alpha=1), {}),
    ],
)
def test_pictures_of_text(form: Format, options: dict[str, Any], reads: list[Read]) -> None:
    """A page that moves up by a line a picture, so that a new one appears at its bottom."""
    stream = encode(scrolling(form, 3, LINE), form, crf=30, **options)
    coded = [packet[0] >> 4 & 7 for packet in stream.packets]  # frames of each
    assert [bits > 0 for bits in sample_bits(stream.stats)] == [count > 0 for count in coded]
    check_frames(stream.packets, decode_stream(stream.packets, MODEL))
    count = len(form.plane_shapes) if form.chroma == "444" else 1
    frames = [reads[i : i + count] for i in range(0, len(reads), count)]
    assert len(frames) == 3
    assert all(any(call.tokens for call in frame) for frame in frames)
