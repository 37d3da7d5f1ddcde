"""The range decoder and its contexts, written from docs/bitstream.md sections 3.2 to 3.4 and 5."""

from __future__ import annotations

import math

from tests.reference.bitstream import require

MAX_IMPLIED_BYTES = 8
MAX_LOGIT = 2839
BYPASS = 32768


class RangeDecoder:
    """Reads the bits of one tile (section 5.1)."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0
        self.range = 0xFFFFFFFF
        self.code = 0
        for _ in range(4):
            self.code = self.code * 256 + self._next()
        require(self.code != 0xFFFFFFFF, "a tile begins with FFFFFFFF")

    def _next(self) -> int:
        self.position += 1
        return self.data[self.position - 1] if self.position <= len(self.data) else 0

    def bit(self, p: int) -> int:
        """One bit that is 1 with probability p / 65536."""
        bound = self.range * p >> 16
        bit = int(self.code < bound)
        if bit:
            self.range = bound
        else:
            self.code -= bound
            self.range -= bound
        while self.range < 1 << 24:
            self.range *= 256
            self.code = self.code * 256 + self._next()
        return bit

    def number(self, size: int) -> int:
        """A number of `size` bypass bits."""
        value = 0
        for _ in range(size):
            value = 2 * value + self.bit(BYPASS)
        return value

    def finish(self) -> None:
        """Checks that all bytes were read, and not too many beyond them."""
        excess = self.position - len(self.data)
        require(0 <= excess <= MAX_IMPLIED_BYTES, f"a tile ends {excess} bytes after its data")


def probability(logit: int) -> int:
    """Probability of a 1 in units of 2^-16 (section 5.3)."""
    clamped = min(max(logit, -MAX_LOGIT), MAX_LOGIT)
    return round(65536 / (1 + math.exp(-clamped / 256)))


class CorrectedBit:
    """A bit with a logit, and the correction of that logit (section 3.4)."""

    def __init__(self) -> None:
        self.r = 0

    def read(self, coder: RangeDecoder, logit: int) -> int:
        """One bit; updates the correction."""
        p = probability(logit + (self.r >> 13))
        bit = coder.bit(p)
        self.r = min(max(self.r + 65536 * bit - p, -(2**24)), 2**24)
        return bit


class AdaptiveBit:
    """A bit with its context (section 3.2)."""

    def __init__(self) -> None:
        self.a = self.b = 32768

    def read(self, coder: RangeDecoder) -> int:
        """One bit; updates the context."""
        bit = coder.bit(min(max(self.a + self.b >> 1, 32), 65504))
        target = 65535 * bit
        self.a += target - self.a >> 4
        self.b += target - self.b >> 7
        return bit


class AdaptiveInteger:
    """A signed integer with its contexts (section 3.3)."""

    def __init__(self) -> None:
        self.zero = AdaptiveBit()
        self.prefix = [AdaptiveBit() for _ in range(15)]

    def read(self, coder: RangeDecoder) -> int:
        """One integer from -32767 to 32767."""
        if self.zero.read(coder):
            return 0
        negative = coder.bit(BYPASS)
        for k, context in enumerate(self.prefix):
            if not context.read(coder):
                value = (1 << k) + coder.number(k)
                return -value if negative else value
        require(False, "fifteen ones in the prefix of an integer")
        raise AssertionError


def _bits(count: int) -> list[AdaptiveBit]:
    return [AdaptiveBit() for _ in range(count)]


class MotionContexts:
    """The contexts of motion in P frames (section 3.3)."""

    def __init__(self) -> None:
        self.split = _bits(3)
        self.block_split = _bits(3)
        self.same = _bits(9)
        self.difference = (AdaptiveInteger(), AdaptiveInteger())


class BMotionContexts:
    """The contexts of motion in B frames (section 4.6)."""

    def __init__(self) -> None:
        self.split = _bits(3)
        self.block_split = _bits(3)
        self.merged = _bits(9)
        self.number = _bits(4)
        self.both = _bits(9)
        self.second = _bits(3)
        self.same = (_bits(9), _bits(9))
        self.difference = tuple((AdaptiveInteger(), AdaptiveInteger()) for _ in range(2))


class TileContexts:
    """The contexts and corrections of one tile (ends of sections 3.3 and 3.4)."""

    def __init__(self) -> None:
        self.flags = [[CorrectedBit() for _ in range(24)] for _ in range(2)]
        self.bits = [[CorrectedBit() for _ in range(256)] for _ in range(2)]
        self.active = _bits(12)
        self.motion = MotionContexts()
        self.b_motion = BMotionContexts()
        self.same_delta_q = _bits(2)
        self.delta_q = AdaptiveInteger()
