"""B frames on the CUDA backend, on the emulation: packets and frames are those of the processor."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from bsqav import _core
from tests.codec.streams import Format, clip, decode, stream_hash, tiny_model
from tests.cuda.decoders import decode_all, emulation, encode_all, open_decoder

BOTH = 3  # defers its work and goes backwards, see emulation()
FRAMES = 6
FORMATS = {
    "4:2:0": Format(72, 56),
    "gray of 10 bits": Format(40, 33, chroma="gray", bit_depth=10),
    "4:4:4 with alpha": Format(40, 24, chroma="444", alpha=1),
    "several tiles": Format(1040, 40),
}
Packets = list[tuple[Any, ...]]


@functools.cache
def pictures_of(name: str) -> list[Any]:
    """A clip of that format."""
    return list(clip(FORMATS[name], FRAMES))


@functools.cache
def coded(name: str, bframes: int = 3, preset: str = "medium") -> Packets:
    """Packets and statistics of the processor."""
    return encode(name, bframes, preset)


def encode(name: str, bframes: int, preset: str, **options: Any) -> Packets:
    """A clip with its lookahead, on the processor or on a device."""
    settings = {"crf": 32, "lookahead": 8, "bframes": bframes, "preset": preset, **options}
    return encode_all(FORMATS[name], pictures_of(name), **settings)


def data_of(packets: Packets) -> list[bytes]:
    """Their bytes."""
    return [packet[0] for packet in packets]


@pytest.mark.parametrize("bframes", [0, 3])
@pytest.mark.parametrize("name", FORMATS)
def test_packets_are_those_of_the_processor(name: str, bframes: int) -> None:
    expected = coded(name, bframes)
    counts = [_core.probe_packet(data)["frames"] for data in data_of(expected)]
    assert counts == ([1, 3, 0, 1, 0, 1] if bframes else [1] * FRAMES)
    assert encode(name, bframes, "medium", library=emulation(), device=BOTH) == expected


@pytest.mark.parametrize("device", range(4))
@pytest.mark.parametrize("preset", ["fast", "slow"])
def test_presets_and_orders_of_the_device(preset: str, device: int) -> None:
    found = encode("4:2:0", 3, preset, library=emulation(), device=device)
    assert found == coded("4:2:0", 3, preset)


@pytest.mark.parametrize("device", [0, BOTH])
@pytest.mark.parametrize("name", FORMATS)
def test_frames_are_those_of_the_processor(name: str, device: int) -> None:
    packets = data_of(coded(name))
    expected = decode(packets, strict=True)
    found = decode_all(packets, open_decoder(device, strict=True))
    assert stream_hash(found) == stream_hash(expected)
    assert [frame.pts for frame in found] == [frame.pts for frame in expected]


def test_held_frames_stay_as_they_are_shown() -> None:
    """Planes outlast the packets after them, whose frames take the slots of others."""
    packets = data_of(coded("4:2:0"))
    decoder = _core.CudaDecoder(emulation(), [tiny_model()], device=1, strict=True)
    arrays = []
    for data in packets:
        decoder.send(data)
        frame = decoder.receive()
        assert frame is not None
        arrays.append([np.from_dlpack(plane) for plane in frame.planes])
    for planes, shown in zip(arrays, decode(packets), strict=True):
        for one, other in zip(planes, shown.planes, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("lost", range(1, FRAMES))
def test_loss_is_concealed_as_without_a_device(lost: int) -> None:
    packets = data_of(coded("4:2:0"))
    packets[lost] = packets[lost][:-1]
    expected = decode(packets)
    found = decode_all(packets, open_decoder(BOTH))
    assert [frame.concealed for frame in found] == [frame.concealed for frame in expected]
    assert found[lost].concealed
    assert stream_hash(found) == stream_hash(expected)
