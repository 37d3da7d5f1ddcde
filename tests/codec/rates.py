"""Bit rates of coded streams, and the fullness of the VBV buffer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bsqav import _core
from tests.codec.streams import Format, Plane, Stream, decode, encode, picture_hash

FORM = Format(96, 64)  # 25 frames a second, a tick each 1/100 s
Pictures = list[list[Plane]]


def mean_rate(stream: Stream, first: int, last: int) -> float:
    """Bits per second of the frames first to last - 1, of 1/25 s each."""
    return 8 * sum(map(len, stream.packets[first:last])) * 25 / (last - first)


def lowest_fullness(
    packets: Sequence[bytes], pts: Sequence[int], bitrate: float, seconds: float
) -> float:
    """Of a buffer that is nine tenths full when the first frame is due, in bits."""
    capacity = bitrate * seconds
    fullness = lowest = 0.9 * capacity
    for index, data in enumerate(packets):
        if index:
            fullness = min(capacity, fullness + bitrate * (pts[index] - pts[index - 1]) / 100)
        fullness -= 8 * len(data)
        lowest = min(lowest, fullness)
    return lowest


def check_same_everywhere(frames: Pictures, **options: Any) -> None:
    """Threads and kernel sets change neither packets nor decoded frames."""
    stream = encode(frames, FORM, threads=1, **options)
    assert encode(frames, FORM, threads=2, **options).packets == stream.packets
    try:
        for name in _core.kernel_sets():
            _core.set_kernels(name)
            assert encode(frames, FORM, **options).packets == stream.packets
    finally:
        _core.set_kernels(None)
    assert [picture_hash(frame) for frame in decode(stream.packets)] == stream.hashes
