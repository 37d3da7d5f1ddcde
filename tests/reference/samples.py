"""Sample-coded tokens, from docs/bitstream.md section 3.7."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tests.reference.bitstream import Tile
from tests.reference.range_decoder import RangeDecoder, TileContexts

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Entry = tuple[int, int, int]  # check, value, count

# W, N, NE; then NW, WW, NN; then NNE, NWW, NEE, WWW, NNW: what follows for each hash.
NEAR = [(-1, 0), (0, -1), (1, -1)]
MIDDLE = [(-1, -1), (-2, 0), (0, -2)]
FAR = [(1, -2), (-2, -1), (2, -1), (-3, 0), (-1, -2)]
TABLE_SHIFTS = [15, 16, 18]
MOST_MATCHES = 63
PREDICTION = 7  # as the source of a candidate
SUPERBLOCK_TOKENS = 4


def step(h: int, v: int) -> int:
    """The hash, with one more value."""
    t = (h ^ v) * 0x85EBCA6B & 0xFFFFFFFF
    return t ^ t >> 13


def scatter(a: int, b: int) -> int:
    """The q(a, b) of the contexts of values."""
    return (step(step(0, a), b) * 0x9E3779B1 & 0xFFFFFFFF) >> 18


def kept(changed: list[IntArray], before: list[IntArray], sampled: BoolArray) -> list[IntArray]:
    """The changed planes, but in sample-coded tokens what was before."""
    out = []
    for plane, old in zip(changed, before, strict=True):
        side = plane.shape[0] // sampled.shape[0]
        out.append(np.where(sampled.repeat(side, 0).repeat(side, 1), old, plane))
    return out


class SampleReader:
    """Reads the symbols of a tile."""

    def __init__(
        self, coder: RangeDecoder, contexts: TileContexts, depth: int, keyframe: bool
    ) -> None:
        self.coder, self.contexts = coder, contexts
        self.depth, self.f = depth, int(keyframe)

    def read(self, tile: Tile, planes: Sequence[IntArray], sampled: BoolArray) -> None:
        """Puts the samples into `planes`, which hold the prediction.

        `sampled` [rows, columns]: tokens that are sample-coded become True.
        """
        if not self.contexts.sample_tile.read(self.coder, 0, self.f):
            return
        inside = sampled[_area(tile, SUPERBLOCK_TOKENS)]
        self._read_tokens(inside)
        areas: list[_Area] = []
        for plane in planes:
            side = plane.shape[0] // sampled.shape[0]
            own = plane[_area(tile, SUPERBLOCK_TOKENS * side)]
            areas.append(_Area.of(own, 1 << (self.depth - 1)))
            reader = _PlaneReader(self.coder, self.contexts, areas, self.depth, bool(self.f))
            for y, x in np.argwhere(inside.repeat(side, 0).repeat(side, 1)).tolist():
                own[y, x] = reader.read(x, y)

    def _read_tokens(self, inside: BoolArray) -> None:
        """Which tokens of the tile are sample-coded; all of them are False before."""
        superblocks: set[tuple[int, int]] = set()
        for y in range(-(-inside.shape[0] // SUPERBLOCK_TOKENS)):
            for x in range(-(-inside.shape[1] // SUPERBLOCK_TOKENS)):
                near = ((y, x - 1) in superblocks) + ((y - 1, x) in superblocks)
                context = 3 * self.f + near
                if self.contexts.sample_superblock.read(self.coder, 0, context):
                    self._read_superblock(inside, x, y)
                    own = inside[_area(Tile(x, y, x + 1, y + 1), SUPERBLOCK_TOKENS)]
                    if own.any():
                        superblocks.add((y, x))

    def _read_superblock(self, inside: BoolArray, wx: int, wy: int) -> None:
        """The flags of the tokens of a superblock."""
        side, (rows, columns) = SUPERBLOCK_TOKENS, inside.shape
        for y in range(wy * side, min((wy + 1) * side, rows)):
            for x in range(wx * side, min((wx + 1) * side, columns)):
                known = np.pad(inside, 1)[y : y + 2, x : x + 3]
                near = [known[1, 0], known[0, 1], known[0, 0], known[0, 2]]
                context = 16 * self.f + sum(int(flag) << i for i, flag in enumerate(near))
                inside[y, x] = self.contexts.sample_token.read(self.coder, 0, context)


def _area(tile: Tile, side: int) -> tuple[slice, slice]:
    """The part of a frame that a tile has, with `side` elements along a superblock."""
    return slice(tile.y0 * side, tile.y1 * side), slice(tile.x0 * side, tile.x1 * side)


@dataclass(frozen=True)
class _Area:
    """The samples of a plane in a tile, with a border around them.

    Attributes:
        values: rows of the samples, as far as they are known, and of the prediction elsewhere.
        predicted: rows of the prediction.
        wrong: the places of the samples whose prediction was wrong.
    """

    values: list[list[int]]
    predicted: list[list[int]]
    wrong: set[tuple[int, int]]

    @classmethod
    def of(cls, prediction: IntArray, outside: int) -> _Area:
        """Of the prediction in the tile."""
        rows = np.pad(prediction, ((2, 0), (3, 2)), constant_values=outside).tolist()
        return cls([list(row) for row in rows], rows, set())

    def value(self, x: int, y: int) -> int:
        """Of the sample at (x, y) in the tile, or a little outside of it."""
        return self.values[y + 2][x + 3]

    def prediction(self, x: int, y: int) -> int:
        """Of the sample at (x, y) in the tile."""
        return self.predicted[y + 2][x + 3]

    def learn(self, x: int, y: int, value: int) -> None:
        """The sample at (x, y) is known."""
        self.values[y + 2][x + 3] = value
        if value != self.prediction(x, y):
            self.wrong.add((x, y))


class _PlaneReader:
    """Reads the samples of the last one of the planes `areas`."""

    def __init__(
        self,
        coder: RangeDecoder,
        contexts: TileContexts,
        areas: Sequence[_Area],
        depth: int,
        keyframe: bool,
    ) -> None:
        self.coder, self.contexts, self.before = coder, contexts, areas[:-1]
        self.area, self.depth, self.keyframe = areas[-1], depth, keyframe
        self.chroma = int(len(areas) > 1)  # g of section 3.7

    def read(self, x: int, y: int) -> int:
        """The sample at (x, y)."""
        sample = _Sample(self, x, y)
        value = sample.read_candidate()
        if value is None:
            value = sample.read_value()
        sample.update_matches(value)
        self.area.learn(x, y, value)
        return value

    def hashes(self, x: int, y: int) -> list[int]:
        """h0, h1 and h2."""
        h = step(0, len(self.before) + 1)
        if self.before:
            for i, j in ((0, 0), (1, 0), (0, 1), (1, 1)):
                h = step(h, self.before[0].value(2 * x + i, 2 * y + j))
        for area in self.before[1:]:
            h = step(h, area.value(x, y))
        found = []
        for offsets in (NEAR, MIDDLE, FAR):
            for dx, dy in offsets:
                h = step(h, self.area.value(x + dx, y + dy))
            found.append(h)
        return found[::-1]


class _Sample:
    """One sample that is to be read."""

    def __init__(self, plane: _PlaneReader, x: int, y: int) -> None:
        self.coder, self.contexts = plane.coder, plane.contexts
        self.chroma, self.depth = plane.chroma, plane.depth
        area, self.between = plane.area, not plane.keyframe  # between keyframes
        self.w, self.n, self.nw, self.ne = (
            area.value(x + i, y + j) for i, j in ((-1, 0), (0, -1), (-1, -1), (1, -1))
        )
        self.prediction = area.prediction(x, y)
        self.right = [place not in area.wrong for place in ((x - 1, y), (x, y - 1))]
        self.hashes = plane.hashes(x, y)
        self.places = [h >> shift for h, shift in zip(self.hashes, TABLE_SHIFTS, strict=True)]
        self.entries = [self._entry(i) for i in range(3)]

    def _entry(self, i: int) -> Entry:
        """The entry of table i, whose count is 0 if it is that of another hash."""
        check, value, count = self.contexts.matches[i][self.places[i]].tolist()
        return check, value, count if check == self.hashes[i] & 0xFFFF else 0

    def candidates(self) -> list[tuple[int, int]]:
        """Source and value of each."""
        matches = [(i, value) for i, (_, value, count) in enumerate(self.entries) if count > 0]
        predicted = [(PREDICTION, self.prediction)] if self.between else []
        listed = [*matches, (3, self.w), (4, self.n), (5, self.nw), (6, self.ne)]
        listed = [*predicted, *listed] if all(self.right) else [*listed, *predicted]
        found: dict[int, int] = {}
        for source, value in listed:
            found.setdefault(value, source)
        return [(source, value) for value, source in found.items()]

    def read_candidate(self) -> int | None:
        """The value, if it is that of a candidate."""
        first, second, third = self._candidate_contexts()
        for k, (source, value) in enumerate(self.candidates()):
            number = (8 * self.chroma + k) * 8 + source
            contexts = [256 * number + own for own in (first, second, third)]
            if self.contexts.sample_candidate.read(self.coder, number, *contexts):
                return value
        return None

    def _candidate_contexts(self) -> tuple[int, int, int]:
        """What the contexts of all candidates have in common."""
        m = [min(count, 3) for _, _, count in self.entries]
        values = [value for _, value, _ in self.entries]
        a = sum(1 << i for i in range(2) if m[i] and m[i + 1] and values[i] == values[i + 1])
        greatest = max(abs(self.w - self.nw), abs(self.n - self.nw))
        d = min(7, (greatest + 1).bit_length() - 1)
        r = 2 * self.right[0] + self.right[1] if self.between else 0
        w = (self.w == self.n) + 2 * (self.n == self.nw) + 4 * (self.n == self.ne)
        return 64 * m[0] + 16 * m[1] + 4 * m[2] + a, 32 * w + 4 * d + r, self.hashes[2] & 255

    def read_value(self) -> int:
        """The value, bit for bit."""
        u = 1
        for i in range(self.depth):
            o = 1024 * self.chroma + u
            near = [scatter(o, v) for v in (self.n, self.w + 1024, self.hashes[2])]
            number = 10 * self.chroma + i
            u = 2 * u + self.contexts.sample_value.read(self.coder, number, o, *near)
        return u - (1 << self.depth)

    def update_matches(self, value: int) -> None:
        """The entries follow the sample's value."""
        for i, (check, expected, count) in enumerate(self.entries):
            if count == 0:
                check, expected, count = self.hashes[i] & 0xFFFF, value, 1
            elif expected == value:
                count = min(count + 1, MOST_MATCHES)
            elif count > 1:
                count >>= 1
            else:
                expected = value
            self.contexts.matches[i][self.places[i]] = check, expected, count
