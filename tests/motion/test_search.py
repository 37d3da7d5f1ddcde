"""Motion search finds what is there, prefers cheap vectors and always gives the same answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bsqav import _core
from tests.motion.reference import field_shapes


def texture(rng: np.random.Generator, height: int, width: int) -> npt.NDArray[np.float64]:
    """Smooth random texture, float, about 0 to 255."""
    noise = rng.random((height, width))
    for axis in (0, 1):
        for _ in range(3):
            noise = noise + np.roll(noise, 1, axis) + np.roll(noise, -1, axis)
    low, high = noise.min(), noise.max()
    stretched: npt.NDArray[np.float64] = (noise - low) * (255 / (high - low))
    return stretched


def moved_pair(
    rng: np.random.Generator, height: int, width: int, dx: int, dy: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """(current, reference): current(p) = reference(p + (dx, dy))."""
    margin = 96
    scene = np.rint(texture(rng, height + 2 * margin, width + 2 * margin)).astype(np.uint8)
    ref = scene[margin : margin + height, margin : margin + width]
    cur = scene[margin + dy : margin + dy + height, margin + dx : margin + dx + width]
    return np.ascontiguousarray(cur), np.ascontiguousarray(ref)


SHIFTS = [(0, 0), (1, 0), (-3, 2), (7, -5), (-12, -9), (30, 17), (-47, 40), (60, -60)]


@pytest.mark.parametrize("shift", SHIFTS)
def test_whole_sample_shifts_are_found(shift: tuple[int, int]) -> None:
    dx, dy = shift
    cur, ref = moved_pair(np.random.default_rng(1), 192, 256, dx, dy)
    split, mv = _core.motion_search(cur, ref)
    # Blocks whose position in the reference is inside it; others have nothing to match.
    py, px = np.mgrid[0 : mv.shape[0], 0 : mv.shape[1]]
    inside = (
        (16 * px + dx >= 0)
        & (16 * px + dx + 16 <= 256)
        & (16 * py + dy >= 0)
        & (16 * py + dy + 16 <= 192)
    )
    whole = np.ones_like(inside)  # superblocks that straddle the border may choose otherwise
    for wy, wx in np.ndindex(*split.shape):
        at = np.s_[2 * wy : 2 * wy + 2, 2 * wx : 2 * wx + 2]
        whole[at] = inside[at].all()
    assert whole.any()
    assert (mv[whole] == (4 * dx, 4 * dy)).all()
    assert (split[whole[::2, ::2]] == 0).all()


@pytest.mark.parametrize("phase", [(1, 0), (2, 2), (3, 1), (-2, 5)])
def test_fractional_motion_is_found(phase: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    ref = np.rint(texture(rng, 128, 128)).astype(np.uint8)
    superblocks, blocks = field_shapes(128, 128)
    truth = np.broadcast_to(np.array(phase, np.int16), (*blocks, 2)).copy()
    (cur,) = _core.motion_compensate([ref], np.zeros(superblocks, np.uint8), truth)
    _, mv = _core.motion_search(cur, ref)
    np.testing.assert_array_equal(mv, truth)


def test_two_motions_split_a_superblock() -> None:
    rng = np.random.default_rng(3)
    left, ref = moved_pair(rng, 96, 96, 4, 0)
    cur = ref.copy()
    cur[:, :48] = left[:, :48]  # the border runs through the middle of the second superblock
    split, mv = _core.motion_search(cur, ref)
    assert split[1].tolist() == [0, 1, 0]
    assert mv[2, :, 0].tolist() == [16, 16, 16, 0, 0, 0]


@pytest.mark.parametrize("size", [(8, 8), (24, 40), (40, 24), (104, 72)])
def test_unmoved_and_noisy_content_stays_at_zero(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(4)
    ref = np.rint(texture(rng, *size)).astype(np.int16)
    cur = np.clip(ref + rng.integers(-2, 3, size), 0, 255).astype(np.uint8)
    split, mv = _core.motion_search(cur, ref.astype(np.uint8))
    assert not split.any()
    assert not mv.any()


def test_two_motions_split_a_block() -> None:
    rng = np.random.default_rng(3)
    left, ref = moved_pair(rng, 96, 96, 4, 0)
    cur = ref.copy()
    cur[:, :40] = left[:, :40]  # the border runs through a quarter of the second superblock
    split, mv = _core.motion_search(cur, ref, fine=True)
    assert split[1].tolist() == [0, 0b01011, 0]
    assert mv[5, :, 0].tolist() == [16] * 5 + [0] * 7


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_threads_change_nothing(threads: int) -> None:
    rng = np.random.default_rng(11)
    cur, ref = moved_pair(rng, 200, 168, 5, -3)
    cur = np.clip(cur.astype(int) + rng.integers(-20, 21, cur.shape), 0, 255).astype(np.uint8)
    wanted = _core.motion_search(cur, ref, fine=True, lam=1.0)
    got = _core.motion_search(cur, ref, fine=True, lam=1.0, threads=threads)
    for a, b in zip(wanted, got, strict=True):
        np.testing.assert_array_equal(a, b)


def test_search_pays_on_moving_content() -> None:
    rng = np.random.default_rng(5)
    cur, ref = moved_pair(rng, 120, 152, 9, 6)
    split, mv = _core.motion_search(cur, ref)
    (predicted,) = _core.motion_compensate([ref], split, mv)
    before = np.abs(cur.astype(int) - ref).mean()
    after = np.abs(cur.astype(int) - predicted).mean()
    assert after < before / 4


def test_previous_vectors_reach_beyond_the_range() -> None:
    cur, ref = moved_pair(np.random.default_rng(6), 128, 384, 88, 0)
    blocks = field_shapes(128, 384)[1]
    previous = np.broadcast_to(np.array((4 * 87, 0), np.int16), (*blocks, 2)).copy()
    _, mv = _core.motion_search(cur, ref, range=16, previous=previous)
    assert (mv[:, :16] == (4 * 88, 0)).all()


def test_depth_changes_nothing_for_scaled_samples() -> None:
    cur, ref = moved_pair(np.random.default_rng(7), 64, 96, -5, 3)
    cur10, ref10 = ((plane.astype(np.uint16) << 2).astype(np.uint16) for plane in (cur, ref))
    split, mv = _core.motion_search(cur, ref)
    split10, mv10 = _core.motion_search(cur10, ref10, bit_depth=10)
    np.testing.assert_array_equal(split, split10)
    np.testing.assert_array_equal(mv, mv10)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_batch_equals_single_frames_for_any_threads(threads: int) -> None:
    rng = np.random.default_rng(8)
    pairs = [moved_pair(rng, 88, 120, int(rng.integers(-20, 21)), 3) for _ in range(5)]
    cur, ref = (np.stack([pair[i] for pair in pairs]) for i in (0, 1))
    split, mv = _core.motion_search_batch(cur, ref, lam=6.0, threads=threads)
    fine = _core.motion_search_batch(cur, ref, lam=6.0, threads=threads, fine=True)
    for i, pair in enumerate(pairs):
        for (splits, mvs), is_fine in (((split, mv), False), (fine, True)):
            one_split, one_mv = _core.motion_search(*pair, lam=6.0, fine=is_fine)
            np.testing.assert_array_equal(splits[i], one_split)
            np.testing.assert_array_equal(mvs[i], one_mv)


def test_vectors_stay_in_range_and_fields_are_consistent() -> None:
    rng = np.random.default_rng(9)
    for size in [(8, 8), (16, 40), (72, 136), (8, 200)]:
        cur, ref = rng.integers(0, 256, (2, *size), dtype=np.uint8)
        split, mv = _core.motion_search(cur, ref, lam=0.0, range=512)
        assert mv.min() >= -2048
        assert mv.max() <= 2047
        _core.motion_compensate([ref], split, mv)  # refuses what the codestream cannot carry


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lam": -1.0}, "lam"),
        ({"lam": float("nan")}, "lam"),
        ({"range": 2}, "range"),
        ({"range": 1000}, "range"),
        ({"bit_depth": 12}, "bit_depth"),
        ({"previous": np.zeros((1, 2, 2), np.int16)}, "mv"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    plane = np.zeros((32, 32), np.uint8)
    with pytest.raises(ValueError, match=message):
        _core.motion_search(plane, plane, **options)


def test_planes_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="same shape"):
        _core.motion_search(np.zeros((32, 32), np.uint8), np.zeros((32, 40), np.uint8))


TILES = [(0, 0, 2, 2), (2, 0, 4, 2), (0, 2, 2, 3), (2, 2, 4, 3)]


def test_tiles_are_searched_alone_and_in_any_order() -> None:
    cur, ref = moved_pair(np.random.default_rng(10), 96, 128, -6, 11)
    split, mv = _core.motion_search(cur, ref, tiles=TILES)
    for threads in (1, 2, 4):
        again = _core.motion_search(cur, ref, tiles=TILES[::-1], threads=threads)
        np.testing.assert_array_equal(split, again[0])
        np.testing.assert_array_equal(mv, again[1])


@pytest.mark.parametrize("tiles", [TILES[:3], [*TILES, (0, 0, 1, 1)], [(0, 0, 4, 4)]])
def test_tiles_cover_the_frame(tiles: list[tuple[int, int, int, int]]) -> None:
    plane = np.zeros((96, 128), np.uint8)
    with pytest.raises(ValueError, match="tile"):
        _core.motion_search(plane, plane, tiles=tiles)


@pytest.fixture
def any_kernels() -> Iterator[None]:
    """The best kernel set again afterwards."""
    yield
    _core.set_kernels(None)


def extreme_pair(kind: str, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures on which sums grow as far as they can, or are like noise."""
    rng = np.random.default_rng(11)
    if kind == "noise":
        pair = rng.integers(0, 256, (2, height, width))
    elif kind == "black and white":
        pair = 255 * rng.integers(0, 2, (2, height, width))
    else:
        y, x = np.mgrid[0:height, 0:width]
        stripes = 255 * ((x // 2 + y // 3) % 2)
        pair = np.stack([stripes, 255 - np.roll(stripes, (3, 5), (0, 1))])
    cur, ref = pair.astype(np.uint8)
    return cur, ref


@pytest.mark.usefixtures("any_kernels")
@pytest.mark.parametrize("kind", ["noise", "black and white", "stripes", "moved"])
@pytest.mark.parametrize("size", [(8, 8), (40, 24), (72, 264), (104, 344)])
def test_kernel_sets_do_not_matter(kind: str, size: tuple[int, int]) -> None:
    if kind == "moved":
        cur, ref = moved_pair(np.random.default_rng(12), *size, 5, -3)
    else:
        cur, ref = extreme_pair(kind, *size)
    found = {}
    for name in _core.kernel_sets():
        _core.set_kernels(name)
        split, mv = _core.motion_search(cur, ref, 2.0, fine=True)
        packets = _core.planned_packets(np.stack([cur, ref, cur]), lookahead=2, bframes=1)
        costs = [cost for packet in packets for _, cost in packet if cost is not None]
        found[name] = (split, mv, np.stack(costs))
    for name, arrays in found.items():
        for one, scalar in zip(arrays, found["scalar"], strict=True):
            np.testing.assert_array_equal(one, scalar, err_msg=name)
