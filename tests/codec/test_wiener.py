"""The Wiener filter: what the encoder chooses, its limits, and the same result everywhere."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from bsqav import _core
from bsqav.errors import BsqError
from tests.bitstream.packets import Header
from tests.codec.streams import TINY_MODEL, Format, Stream, clip, decode, encode, picture_hash
from tests.cuda.decoders import decode_all, emulation, encode_all, open_decoder
from tests.reference import wiener
from tests.reference.bitstream import DamageError, conformance_hash
from tests.reference.decoder import decode_stream
from tests.reference.random_stream import RandomCoder, RandomStream
from tests.reference.range_decoder import Integer, RangeDecoder
from tests.reference.wiener import Filtered, IntArray

MODEL = TINY_MODEL.read_bytes()
SEED = 5  # whose random symbols filter every plane
FORM = Format(70, 54)
FORMATS = [FORM, Format(70, 54, "gray", 10), Format(1, 1), Format(34, 18, "444", alpha=1)]

# An emulated one that defers its work and goes backwards.
ON_DEVICE: dict[str, Any] = {"library": emulation(), "device": 3}


@dataclass
class Recorded:
    """One call of the reference decoder's filter.

    Attributes:
        before: the planes after deblocking.
        filtered: of every tile, by plane.
        after: the filtered planes.
    """

    before: list[IntArray]
    filtered: list[list[Filtered | None]]
    after: list[IntArray] = field(default_factory=list)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    """What the reference decoder filters during the test, by component and frame."""
    calls: list[Recorded] = []
    apply = wiener.apply

    def record(
        planes: Sequence[IntArray], filtered: Sequence[Sequence[Filtered | None]], depth: int
    ) -> list[IntArray]:
        call = Recorded(list(planes), [list(tile) for tile in filtered])
        call.after = apply(planes, filtered, depth)
        calls.append(call)
        return call.after

    monkeypatch.setattr(wiener, "apply", record)
    return calls


@pytest.fixture
def _best_kernels_afterwards() -> Iterator[None]:
    yield
    _core.set_kernels(None)


@functools.cache
def coded(form: Format, crf: float = 30) -> Stream:
    """A clip of that format."""
    return encode(clip(form, 4), form, crf=crf, threads=1)


def hashes(frames: Sequence[_core.Frame]) -> list[str]:
    return [picture_hash(frame) for frame in frames]


def uses(calls: Sequence[Recorded], plane: int) -> int:
    """How often the plane is filtered."""
    return sum(tile[plane] is not None for call in calls for tile in call.filtered)


def test_the_example_of_the_format() -> None:
    """It has horizontal detail alone, so that its first tap is tap 5 of luma's classes."""
    plane = np.tile(np.array([10, 10, 10, 30, 30, 30, 30, 30]), (8, 1)).astype(np.int64)
    for number, tap in ((0, 5), (1, 0)):
        taps = np.zeros((8, 12) if number == 0 else (1, 6), np.int64)
        taps[:, tap] = 16
        tile: list[Filtered | None] = [None] * number + [Filtered(taps, [(0, 0)])]
        filtered = wiener.apply([plane] * (number + 1), [tile], 8)[number]
        assert (filtered == [10, 10, 13, 28, 30, 30, 30, 30]).all()


def test_filters_lower_the_error_of_a_clip(recorded: list[Recorded]) -> None:
    """Those of every plane are used, also of earlier frames, and bring it nearer to the source."""
    pictures = clip(FORM, 4)
    frames = decode_stream(coded(FORM).packets, MODEL)
    assert all(uses(recorded, plane) for plane in range(3))
    assert len(frames) == len(recorded)
    errors = np.zeros(2)
    for planes, call in zip(pictures, recorded, strict=True):
        for source, *decoded in zip(planes, call.before, call.after, strict=True):
            shown = [plane[: source.shape[0], : source.shape[1]] for plane in decoded]
            errors += [float(((plane - source) ** 2).sum()) for plane in shown]
    assert errors[1] < 0.99 * errors[0]


def test_flat_frames_are_not_filtered(recorded: list[Recorded]) -> None:
    form = Format(64, 64)
    pictures = [[np.full(shape, 128, np.uint8) for shape in form.plane_shapes]] * 3
    stream = encode(pictures, form, crf=30)
    decode_stream(stream.packets, MODEL)
    assert len(recorded) == 3
    assert not any(uses(recorded, plane) for plane in range(3))


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_the_finest_quantizers(form: Format) -> None:
    stream = coded(form, 0)
    expected = decode_stream(stream.packets, MODEL)
    frames = decode(stream.packets)
    assert conformance_hash(frame.planes for frame in frames) == conformance_hash(expected)
    assert hashes(frames) == stream.hashes


@pytest.mark.usefixtures("_best_kernels_afterwards")
@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_kernel_sets_and_threads_do_not_matter(form: Format) -> None:
    stream = coded(form)
    for name in _core.kernel_sets():
        _core.set_kernels(name)
        for threads in (1, 2):
            again = encode(clip(form, 4), form, crf=30, threads=threads)
            assert again.packets == stream.packets
            assert hashes(decode(stream.packets, threads=threads)) == stream.hashes


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_a_device_filters_alike(form: Format) -> None:
    stream = coded(form)
    made = [encode_all(form, clip(form, 4), crf=30, **on) for on in ({}, ON_DEVICE)]
    assert made[0] == made[1]
    assert hashes(decode_all(stream.packets, open_decoder(3))) == stream.hashes


def stream_of_taps(draw: Callable[[], int], form: int) -> RandomStream:
    """A random stream with the taps that are drawn; none of them is 0."""

    class Tap(Integer):
        def read(self, coder: RangeDecoder, read_bit: Callable[[Integer], int]) -> int:
            tap = draw()
            length = abs(tap).bit_length() - 1
            low = [abs(tap) >> i & 1 for i in reversed(range(length))]
            assert isinstance(coder, RandomCoder)
            coder.written = [0, int(tap < 0), *[1] * length, 0, *low]
            return super().read(coder, read_bit)

    stream = RandomStream(Header(70, 54, format=form), MODEL, SEED, 0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiener, "LARGEST_TAP", 128)
        patch.setattr(wiener, "Integer", Tap)
        for frame in range(6):
            stream.add(frame == 0, 1)
    return stream


@pytest.mark.parametrize("form", [1, 5])
def test_taps_at_their_limits(form: int, recorded: list[Recorded]) -> None:
    """Sums of taps and samples are as large as they can be, and samples are clipped both ways."""
    rng = np.random.default_rng(form)
    stream = stream_of_taps(lambda: int(rng.choice([-127, 127])), form)
    assert all(uses(recorded, plane) for plane in range(3))
    largest = 255 if form == 1 else 1023
    ends = [(a.min(), a.max()) for call in recorded for a in call.after]
    assert min(low for low, _ in ends) == 0
    assert max(high for _, high in ends) == largest
    for decoder in (decode(stream.packets), decode_all(stream.packets, open_decoder(3))):
        assert conformance_hash(f.planes for f in decoder) == conformance_hash(stream.frames)


@pytest.mark.parametrize("tap", [128, -128])
def test_a_tap_beyond_its_limit_is_damage(tap: int) -> None:
    stream = stream_of_taps(lambda: tap, 1)
    with pytest.raises(DamageError, match=f"a tap of {tap}"):
        decode_stream(stream.packets, MODEL)
    with pytest.raises(BsqError, match="a tap of the Wiener filter exceeds 127"):
        decode(stream.packets, strict=True)
