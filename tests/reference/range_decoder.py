"""The range decoder and its contexts, written from docs/bitstream.md sections 3.2 to 3.4 and 5."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from copy import copy

import numpy as np
import numpy.typing as npt

from tests.reference.bitstream import require

MAX_IMPLIED_BYTES = 8
MAX_LOGIT = 2839
BYPASS = 32768
COUNT_LIMIT = 60
WEIGHT_LIMIT = 2**19
STRETCH = [round(256 * math.log((2 * j + 1) / (8191 - 2 * j))) for j in range(4096)]


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


@functools.cache
def probability(logit: int) -> int:
    """Probability of a 1 in units of 2^-16 (section 5.3)."""
    clamped = min(max(logit, -MAX_LOGIT), MAX_LOGIT)
    return round(65536 / (1 + math.exp(-clamped / 256)))


class CorrectedLogit:
    """The correction of a logit (section 3.4)."""

    def __init__(self) -> None:
        self.r = 0

    def __deepcopy__(self, memo: object) -> CorrectedLogit:
        """Coding states are copied for every frame, which the copy module does slowly."""
        other = CorrectedLogit()
        other.r = self.r
        return other

    def logit(self, logit: int) -> int:
        """The corrected logit."""
        return logit + (self.r >> 13)

    def learn(self, logit: int, bit: int) -> None:
        """Follows a bit that had the logit."""
        p = probability(self.logit(logit))
        self.r = min(max(self.r + 65536 * bit - p, -(2**24)), 2**24)

    def read(self, coder: RangeDecoder, logit: int) -> int:
        """One bit of a token; updates the correction."""
        bit = coder.bit(probability(self.logit(logit)))
        self.learn(logit, bit)
        return bit


class Kind:
    """The contexts and weights of one kind of adaptive bits (section 3.2)."""

    def __init__(self, sets: int, *sizes: int, logit: bool = False) -> None:
        """`sizes`: the number of contexts in each input; `logit`: whether the bits have one."""
        self.contexts = [[(32768, 0)] * size for size in sizes]  # e, k
        first = 65536 // (4 * len(sizes)) if logit else 65536 // len(sizes)
        own = [first] * len(sizes) + [65536] * logit + [0]
        self.weights = [list(own) for _ in range(sets)]
        self.logit = logit

    def __deepcopy__(self, memo: object) -> Kind:
        other = copy(self)
        other.contexts = [list(own) for own in self.contexts]
        other.weights = [list(own) for own in self.weights]
        return other

    def probability(self, number: int, *contexts: int, logit: int = 0) -> int:
        """P of a bit with the set of that number."""
        inputs = self._inputs(contexts, logit)
        return self._mixed(inputs, self.weights[number])

    def _inputs(self, numbers: tuple[int, ...], logit: int) -> list[int]:
        found = [own[i] for own, i in zip(self.contexts, numbers, strict=True)]
        inputs = [STRETCH[e >> 4] for e, _ in found]
        return [*inputs, *[min(max(logit, -MAX_LOGIT), MAX_LOGIT)] * self.logit, 256]

    @staticmethod
    def _mixed(inputs: list[int], weights: list[int]) -> int:
        y = sum(x * w for x, w in zip(inputs, weights, strict=True)) >> 16
        return min(max(probability(y), 32), 65504)

    def read(self, coder: RangeDecoder, number: int, *contexts: int, logit: int = 0) -> int:
        """One bit; updates weights and contexts."""
        inputs, weights = self._inputs(contexts, logit), self.weights[number]
        p = self._mixed(inputs, weights)
        bit = coder.bit(p)
        for i, x in enumerate(inputs):
            moved = weights[i] + (x * (65536 * bit - p) + 16384 >> 15)
            weights[i] = min(max(moved, -WEIGHT_LIMIT), WEIGHT_LIMIT)
        for own, at in zip(self.contexts, contexts, strict=True):
            e, k = own[at]
            e += (65535 * bit - e) * (655360 // (10 * k + 16)) >> 16
            own[at] = e, min(k + 1, COUNT_LIMIT)
        return bit


class Integer:
    """A signed integer, as far as it is known (section 3.3)."""

    def __init__(self) -> None:
        self.bits: list[int] = []

    @property
    def bin(self) -> int:
        """Of the next bit, which is an adaptive one."""
        return min(len(self.bits), 11)

    def vote(self, value: int) -> int | None:
        """The next bit if the integer is `value`; None if it is not."""
        spelled = [int(value == 0), int(value < 0), *[1] * (abs(value).bit_length() - 1), 0]
        if value == 0:
            del spelled[1:]
        known = len(self.bits)
        return spelled[known] if spelled[:known] == self.bits and known < len(spelled) else None

    def read(self, coder: RangeDecoder, read_bit: Callable[[Integer], int]) -> int:
        """The integer, from -32767 to 32767; `read_bit` reads the next adaptive bit."""
        self.bits = [read_bit(self)]
        if self.bits[0]:
            return 0
        self.bits.append(read_bit(self))
        for k in range(15):
            self.bits.append(read_bit(self))
            if not self.bits[-1]:
                value = (1 << k) + coder.number(k)
                return -value if self.bits[1] else value
        require(False, "fifteen ones in the prefix of an integer")
        raise AssertionError


class TileContexts:
    """The contexts, weights and corrections of one tile (ends of sections 3.3 and 3.4).

    And its Wiener sets, by plane (section 4.9), and the three tables of matches, whose entries are
    check, value and count (section 3.7).
    """

    def __init__(self) -> None:
        self.flags = [[CorrectedLogit() for _ in range(24)] for _ in range(2)]
        self.bits = [[CorrectedLogit() for _ in range(256)] for _ in range(2)]
        self.active = Kind(4, 72, 72)
        self.stages = Kind(16, 1296, logit=True)
        self.same_delta_q = Kind(1, 2)
        self.delta_q = Kind(12, 24)
        self.split = Kind(2, 6, 96)
        self.block_split = Kind(2, 6, 96)
        self.same = Kind(4, 36, 48, 108)
        self.difference = Kind(24, 96, 384, 288, 384)
        self.merged = Kind(1, 9, 45, 27)
        self.candidate = Kind(4, 4, 60, 72)
        self.both = Kind(1, 9, 48, 24)
        self.second = Kind(1, 3, 48)
        self.filtered = Kind(3, 6)
        self.wiener_set = Kind(1, 24)
        self.own_taps = Kind(1, 10)
        self.tap = Kind(12, 216)
        self.filtered_superblock = Kind(3, 9)
        self.sample_tile = Kind(1, 2)
        self.sample_superblock = Kind(1, 6)
        self.sample_token = Kind(1, 32)
        self.sample_candidate = Kind(128, 32768, 32768, 32768)
        self.sample_value = Kind(20, 2048, 16384, 16384, 16384)
        self.wiener_sets: list[list[npt.NDArray[np.int64]]] = [[], [], []]
        self.matches = [np.zeros((1 << size, 3), np.int32) for size in (17, 16, 14)]
