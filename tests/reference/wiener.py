"""The Wiener filter and its symbols, from docs/bitstream.md section 4.9."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tests.reference.bitstream import Tile, require
from tests.reference.range_decoder import Integer, RangeDecoder, TileContexts

IntArray = npt.NDArray[np.int64]

LUMA = [(1, 0), (2, 0), (3, 0), (-2, 1), (-1, 1), (0, 1)]
LUMA += [(1, 1), (2, 1), (-1, 2), (0, 2), (1, 2), (0, 3)]
CHROMA = [(1, 0), (2, 0), (-1, 1), (0, 1), (1, 1), (0, 2)]
TRANSPOSED = [5, 9, 11, 8, 4, 0, 6, 10, 3, 1, 7, 2]
CLASSES = 8
KEPT = 4
LARGEST_TAP = 127


@dataclass
class Filtered:
    """What is filtered of a plane in a tile.

    Attributes:
        taps: [classes, taps].
        superblocks: those that are filtered, (y, x).
    """

    taps: IntArray
    superblocks: list[tuple[int, int]]


def read_planes(
    coder: RangeDecoder, contexts: TileContexts, tile: Tile, planes: int, keyframe: bool
) -> list[Filtered | None]:
    """The symbols of a tile; None for a plane that is not filtered."""
    return [_PlaneReader(coder, contexts, p).read(tile, keyframe) for p in range(planes)]


class _PlaneReader:
    """Reads the symbols of one plane."""

    def __init__(self, coder: RangeDecoder, contexts: TileContexts, plane: int) -> None:
        self.coder, self.contexts, self.plane = coder, contexts, plane
        self.sets = contexts.wiener_sets[plane]

    def read(self, tile: Tile, keyframe: bool) -> Filtered | None:
        plane = self.plane
        if not self.contexts.filtered.read(self.coder, plane, 2 * plane + int(keyframe)):
            return None
        number = self._set_number(0)
        taps = self.sets[number] if number < len(self.sets) else self._new_set()
        found = Filtered(taps, self._superblocks(tile))
        if number == len(self.sets):
            self.sets.insert(0, taps)
            del self.sets[KEPT:]
        return found

    def _set_number(self, parent: int) -> int:
        number = 0
        while number < len(self.sets):
            context = 8 * self.plane + 4 * parent + number
            if not self.contexts.wiener_set.read(self.coder, 0, context):
                break
            number += 1
        return number

    def _new_set(self) -> IntArray:
        parent = self._set_number(1)
        shape = (CLASSES, len(LUMA)) if self.plane == 0 else (1, len(CHROMA))
        taps = np.zeros(shape, np.int64)
        if parent < len(self.sets):
            taps = self.sets[parent].copy()
        for k in range(shape[0]):
            context = k if self.plane == 0 else 7 + self.plane
            if self.contexts.own_taps.read(self.coder, 0, context):
                taps[k] = [self._tap(i) for i in range(shape[1])]
        return taps

    def _tap(self, i: int) -> int:
        place = i if self.plane == 0 else 12 + i
        kind = self.contexts.tap
        tap = Integer().read(
            self.coder, lambda known: kind.read(self.coder, known.bin, 18 * known.bin + place)
        )
        require(abs(tap) <= LARGEST_TAP, f"a tap of {tap}")
        return tap

    def _superblocks(self, tile: Tile) -> list[tuple[int, int]]:
        flags: dict[tuple[int, int], int] = {}
        for y in range(tile.y0, tile.y1):
            for x in range(tile.x0, tile.x1):
                n = flags.get((y, x - 1), 1) + flags.get((y - 1, x), 1)
                flags[y, x] = self.contexts.filtered_superblock.read(
                    self.coder, self.plane, 3 * self.plane + n
                )
        return [place for place, flag in flags.items() if flag]


def apply(
    planes: Sequence[IntArray], filtered: Sequence[Sequence[Filtered | None]], depth: int
) -> list[IntArray]:
    """The filtered planes; `filtered`: of every tile."""
    out = []
    for p, plane in enumerate(planes):
        done, side = plane.copy(), 32 if p == 0 else 16
        known = [tile[p] for tile in filtered]
        for found in [one for one in known if one is not None]:
            result = _filter_plane(plane, found.taps, p, depth)
            for y, x in found.superblocks:
                area = slice(y * side, (y + 1) * side), slice(x * side, (x + 1) * side)
                done[area] = result[area]
        out.append(done)
    return out


def _filter_plane(plane: IntArray, taps: IntArray, number: int, depth: int) -> IntArray:
    """The plane, filtered throughout."""
    height, width = plane.shape
    near = np.pad(plane, 3, mode="edge")

    def moved(x: int, y: int) -> IntArray:
        return near[3 + y : 3 + y + height, 3 + x : 3 + x + width]

    if number == 0:
        classes, transposed = classify(plane, depth)
        weights = taps[classes]
        weights = np.where(transposed[..., None], weights[..., TRANSPOSED], weights)
    else:
        weights = np.broadcast_to(taps[0], (height, width, len(CHROMA)))
    total = np.full(plane.shape, 64, np.int64)
    for i, (x, y) in enumerate(LUMA if number == 0 else CHROMA):
        total += weights[..., i] * (moved(x, y) + moved(-x, -y) - 2 * plane)
    return np.asarray(np.clip(plane + (total >> 7), 0, 2**depth - 1), np.int64)


def classify(plane: IntArray, depth: int) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """The class of every sample, and whether its filter is transposed."""
    near = np.pad(plane, 1, mode="edge")
    middle = near[1:-1, 1:-1]
    v = _around(abs(2 * middle - near[:-2, 1:-1] - near[2:, 1:-1]))
    h = _around(abs(2 * middle - near[1:-1, :-2] - near[1:-1, 2:]))
    activity = (v + h) >> (depth - 8)
    level = sum((activity >= limit).astype(np.int64) for limit in (512, 1280, 3072))
    directed = np.maximum(v, h) > 2 * np.minimum(v, h)
    classes = 2 * level + directed
    return (
        classes.repeat(4, 0).repeat(4, 1),
        (directed & (h > v)).repeat(4, 0).repeat(4, 1),
    )


def _around(values: IntArray) -> IntArray:
    """Sums over squares of 4x4, and then over the squares around them with weights."""
    rows, columns = values.shape[0] // 4, values.shape[1] // 4
    squares = np.pad(values.reshape(rows, 4, columns, 4).sum((1, 3)), 1, mode="edge")
    lines = squares[:-2] + 2 * squares[1:-1] + squares[2:]
    return np.asarray(lines[:, :-2] + 2 * lines[:, 1:-1] + lines[:, 2:], np.int64)
