"""The motion search of B frames finds what is there, and what it finds can be coded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from bsqav import _core
from tests.motion.b_reference import completed, used
from tests.motion.test_search import texture

Plane = npt.NDArray[np.uint8]
Field = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.int16]]


def moving_scene(
    seed: int, height: int, width: int, step: tuple[int, int], times: tuple[int, ...]
) -> list[Plane]:
    """Frames at some times of a scene that moves by `step` samples per unit of time."""
    margin = 96
    rng = np.random.default_rng(seed)
    scene = np.rint(texture(rng, height + 2 * margin, width + 2 * margin)).astype(np.uint8)
    frames = []
    for t in times:
        x, y = margin - t * step[0], margin - t * step[1]
        frames.append(np.ascontiguousarray(scene[y : y + height, x : x + width]))
    return frames


def noisy(seed: int, frame: Plane, amplitude: int) -> Plane:
    noise = np.random.default_rng(seed).integers(-amplitude, amplitude + 1, frame.shape)
    return np.clip(frame.astype(int) + noise, 0, 255).astype(np.uint8)


def check_coding(
    field: Field,
    distances: tuple[int, int] = (1, 1),
    temporal: tuple[npt.NDArray[np.int16], int, bool] | None = None,
    tiles: list[tuple[int, int, int, int]] | None = None,
) -> int:
    """The bytes of a field, which the coding of its symbols gives back."""
    size, decoded = _core.b_motion_code(*field, distances, temporal, tiles)
    for a, b in zip(field, decoded, strict=True):
        np.testing.assert_array_equal(a, b)
    return size


@pytest.mark.parametrize("step", [(0, 0), (3, -2), (-8, 5), (20, 11)])
@pytest.mark.parametrize("distances", [(1, 1), (2, 1)])
def test_motion_between_two_references_is_found(
    step: tuple[int, int], distances: tuple[int, int]
) -> None:
    back, forth = distances
    times = (0, back, back + forth)
    first, cur, second = moving_scene(1, 192, 256, step, times)
    # Noise of their own makes the mean of both references better than either.
    field = _core.b_motion_search(cur, noisy(2, first, 6), noisy(3, second, 6), distances)
    _, direction, mv = field
    margin = 5 + max(back, forth) * max(map(abs, step)) // 8
    inside = np.s_[margin:-margin, margin:-margin]
    assert (direction[inside] == 3).mean() > 0.98
    wanted = np.array([(-4 * back * c, 4 * forth * c) for c in step]).T
    # A quarter sample beside the truth there is a filter that takes noise away.
    near = (np.abs(mv[(slice(None), *inside)] - wanted[:, None, None]) <= 1).all(axis=(0, 3))
    assert near.mean() > 0.98
    check_coding(field, distances)


def merged_share(field: Field, temporal: tuple[npt.NDArray[np.int16], int, bool] | None) -> float:
    """Of the sub-blocks, how many are in squares whose motion is that of a candidate."""
    _, direction, mv = field
    merged = np.zeros(direction.shape, bool)
    for place in _core.b_motion_places(*field, temporal=temporal):
        x, y, size = place["square"]
        first, second = ((int(v[0]), int(v[1])) for v in mv[:, y, x])
        motion = used((int(direction[y, x]), (first, second)))
        merged[y : y + size, x : x + size] = motion in map(used, place["candidates"])
    return float(merged.mean())


def test_constant_motion_is_merged() -> None:
    first, cur, second = moving_scene(4, 192, 256, (3, -2), (0, 1, 2))
    first, second = noisy(5, first, 6), noisy(6, second, 6)
    field = _core.b_motion_search(cur, first, second)
    assert merged_share(field, None) > 0.85
    assert check_coding(field) < 120


def test_temporal_vectors_are_merged() -> None:
    first, cur, second = moving_scene(4, 64, 64, (3, -2), (0, 1, 2))
    temporal = (np.full((8, 8, 2), (-24, 16), np.int16), 2, False)
    field = _core.b_motion_search(cur, first, second, lam=50.0, temporal=temporal)
    assert merged_share(field, temporal) > 0.9
    assert (field[2] == np.array([(-12, 8), (12, -8)])[:, None, None]).all()
    assert check_coding(field, temporal=temporal) < 12


def test_one_reference_is_taken_where_the_other_does_not_show_it() -> None:
    first, cur, second = moving_scene(7, 128, 192, (4, 0), (0, 1, 2))
    other = moving_scene(8, 128, 192, (0, 0), (0,))[0]
    first[:, :96] = other[:, :96]
    second[:, 96:] = other[:, 96:]
    _, direction, mv = _core.b_motion_search(cur, first, second)
    assert (direction[2:-2, 2:10] == 2).mean() > 0.95
    assert (direction[2:-2, 14:-2] == 1).mean() > 0.95
    assert (mv[1, 2:-2, 2:10] == (16, 0)).mean() > 0.95
    assert (mv[0, 2:-2, 14:-2] == (-16, 0)).mean() > 0.95


def test_fractions_are_found_in_both_references() -> None:
    first, second = (noisy(9, f, 9) for f in moving_scene(10, 128, 128, (2, 1), (0, 1)))
    split = np.zeros((4, 4), np.uint8)
    halves = [
        _core.motion_compensate([ref], split, np.full((8, 8, 2), v, np.int16))[0].astype(int)
        for ref, v in ((first, (-4, -2)), (second, (4, 2)))
    ]
    cur = ((halves[0] + halves[1] + 1) >> 1).astype(np.uint8)
    _, direction, mv = _core.b_motion_search(cur, first, second)
    assert (direction[2:-2, 2:-2] == 3).all()
    assert (mv[:, 2:-2, 2:-2] == np.array([(-4, -2), (4, 2)])[:, None, None]).all()


TILES = [(0, 0, 3, 2), (3, 0, 5, 2), (0, 2, 3, 4), (3, 2, 5, 4)]


@pytest.mark.parametrize("size", [(8, 8), (24, 40), (104, 136), (120, 152)])
@pytest.mark.parametrize("kind", ["none", "shared", "apart"])
def test_fields_of_any_size_are_coded_and_do_not_depend_on_threads(
    size: tuple[int, int], kind: str
) -> None:
    rng = np.random.default_rng(size)
    frames = moving_scene(11, *size, (5, -3), (0, 2, 3))
    first, cur, second = (noisy(12 + i, frame, 16) for i, frame in enumerate(frames))
    cur[: size[0] // 2, : size[1] // 3] = rng.integers(0, 256)
    mv = rng.integers(-60, 61, (size[0] // 8, size[1] // 8, 2), dtype=np.int16)
    temporal = None if kind == "none" else (mv, 3, kind == "shared")
    for tiles in (None, TILES) if size[0] > 100 else (None,):
        found = [
            _core.b_motion_search(
                cur, first, second, (2, 1), 1.0, temporal=temporal, tiles=tiles, threads=threads
            )
            for threads in (1, 2, 5)
        ]
        for other in found[1:]:
            for a, b in zip(found[0], other, strict=True):
                np.testing.assert_array_equal(a, b)
        check_coding(found[0], (2, 1), temporal, tiles)


def test_vectors_that_are_not_used_mirror_the_others() -> None:
    frames = moving_scene(13, 72, 104, (4, 2), (0, 1, 3))
    first, cur, second = (noisy(14 + i, frame, 20) for i, frame in enumerate(frames))
    first[:, :40] = 0
    second[:, 64:] = 0
    _, direction, mv = _core.b_motion_search(cur, first, second, (1, 2), 0.5)
    assert set(np.unique(direction)) == {1, 2, 3}
    for y, x in np.ndindex(*direction.shape):
        vectors = tuple((int(v[0]), int(v[1])) for v in mv[:, y, x])
        motion = (int(direction[y, x]), (vectors[0], vectors[1]))
        assert completed(motion, 1, 2) == motion


def test_vectors_stay_in_range() -> None:
    rng = np.random.default_rng(15)
    for size in [(8, 8), (16, 40), (72, 136), (8, 200)]:
        cur, first, second = rng.integers(0, 256, (3, *size), dtype=np.uint8)
        field = _core.b_motion_search(cur, first, second, (3, 1), 0.0, 512)
        check_coding(field, (3, 1))


def test_planes_of_different_sizes_are_refused() -> None:
    small, large = np.zeros((32, 32), np.uint8), np.zeros((32, 40), np.uint8)
    with pytest.raises(ValueError, match="one shape"):
        _core.b_motion_search(small, small, large)


@pytest.fixture
def any_kernels() -> Iterator[None]:
    """The best kernel set again afterwards."""
    yield
    _core.set_kernels(None)


@pytest.mark.usefixtures("any_kernels")
@pytest.mark.parametrize("kind", ["noise", "black and white", "moved"])
@pytest.mark.parametrize("size", [(8, 8), (40, 24), (72, 264)])
def test_kernel_sets_do_not_matter(kind: str, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(16)
    if kind == "moved":
        frames = moving_scene(17, *size, (3, 1), (0, 1, 2))
    elif kind == "noise":
        frames = list(rng.integers(0, 256, (3, *size), dtype=np.uint8))
    else:
        frames = list((255 * rng.integers(0, 2, (3, *size))).astype(np.uint8))
    found = {}
    for name in _core.kernel_sets():
        _core.set_kernels(name)
        found[name] = _core.b_motion_search(frames[1], frames[0], frames[2], lam=2.0)
    for name, field in found.items():
        for one, scalar in zip(field, found["scalar"], strict=True):
            np.testing.assert_array_equal(one, scalar, err_msg=name)
