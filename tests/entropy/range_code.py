"""The range code by definition: exact integers of any size, no carries, no pending bytes.

Written from docs/bitstream.md to compare the fast coder with, byte by byte.
"""

from __future__ import annotations

from collections.abc import Iterable

MAX_IMPLIED_BYTES = 8


class Interval:
    """The interval [low, low + range) in units of 256^-(4 + shifts)."""

    def __init__(self) -> None:
        self.low = 0
        self.range = 0xFFFFFFFF
        self.shifts = 0

    def code(self, bit: int, p: int) -> None:
        bound = self.range * p >> 16
        if bit:
            self.range = bound
        else:
            self.low += bound
            self.range -= bound
        while self.range < 1 << 24:
            self.low <<= 8
            self.range <<= 8
            self.shifts += 1

    def end(self) -> bytes:
        """The fraction with the most trailing zero bytes, at most 8 of which are left out."""
        size = 4 + self.shifts
        for zero_bytes in (4, 3):
            unit = 256**zero_bytes
            value = -(-self.low // unit) * unit
            if value < self.low + self.range:
                break
        code = value.to_bytes(size, "big")
        return code[: max(size - MAX_IMPLIED_BYTES, len(code.rstrip(b"\0")))]


def encode(symbols: Iterable[tuple[int, int]]) -> bytes:
    """The code of (bit, probability of a 1) pairs."""
    interval = Interval()
    for bit, p in symbols:
        interval.code(bit, p)
    return interval.end()
