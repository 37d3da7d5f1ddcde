"""Bit rates of coded streams, and the fullness of the receiver's buffer."""

from __future__ import annotations

from collections.abc import Sequence

from tests.codec.streams import Format, Plane, Stream

FORM = Format(96, 64)  # 25 pictures a second, a tick each 1/100 s
Pictures = list[list[Plane]]


def mean_rate(stream: Stream, first: int, last: int) -> float:
    """Bits per second of the pictures first to last - 1, of 1/25 s each."""
    return 8 * sum(map(len, stream.packets[first:last])) * 25 / (last - first)


def lowest_fullness(
    packets: Sequence[bytes], pts: Sequence[int], bitrate: float, seconds: float
) -> float:
    """Of a buffer that is nine tenths full when the first picture is due, in bits."""
    capacity = bitrate * seconds
    fullness = lowest = 0.9 * capacity
    for index, data in enumerate(packets):
        if index:
            fullness = min(capacity, fullness + bitrate * (pts[index] - pts[index - 1]) / 100)
        fullness -= 8 * len(data)
        lowest = min(lowest, fullness)
    return lowest
