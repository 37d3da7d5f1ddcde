"""Motion in PyTorch: compensation equals the codec's, and the search finds as much."""

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("torch")

import torch

from bsqav import _core
from bsqav.training.codec.compensation import compensate
from bsqav.training.codec.motion_search import search


def textured(rng: np.random.Generator, side: int) -> npt.NDArray[np.uint8]:
    """Smooth noise of two scales, [side, side] uint8."""
    coarse = np.kron(rng.normal(0, 40, (side // 16 + 1, side // 16 + 1)), np.ones((16, 16)))
    fine = np.kron(rng.normal(0, 12, (side // 4 + 4, side // 4 + 4)), np.ones((4, 4)))
    image = coarse[:side, :side] + fine[:side, :side]
    for axis in (0, 1):
        image = np.mean([np.roll(image, i, axis) for i in range(-2, 3)], axis=0)
    return (128 + image).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("height,width", [(64, 64), (40, 72), (8, 136)])
def test_compensation_equals_the_codecs(height: int, width: int) -> None:
    rng = np.random.default_rng(height)
    y = rng.integers(0, 256, (2, height, width), dtype=np.uint8)
    u, v = rng.integers(0, 256, (2, 2, height // 2, width // 2), dtype=np.uint8)
    split = np.ones((2, -(-height // 32), -(-width // 32)), np.uint8)
    shape = (2, -(-height // 16), -(-width // 16), 2)
    for reach in (8, 2047):
        mv = rng.integers(-reach, reach + 1, shape).astype(np.int16)
        expected = _core.motion_predict_batch(y, u, v, split, mv)
        found = compensate(*(torch.from_numpy(a) for a in (y, u, v, mv)))
        for left, right in zip(expected, found, strict=True):
            assert np.array_equal(left, right.numpy())


@pytest.mark.parametrize("lam", [0.7, 5.0])
def test_the_search_finds_what_the_codecs_finds(lam: float) -> None:
    rng = np.random.default_rng(5)
    cur, ref = np.empty((2, 6, 96, 96), np.uint8)
    for i in range(6):
        large = textured(rng, 192)
        x, y = rng.integers(-9, 10, 2)
        ref[i] = large[48:144, 48:144]
        cur[i] = large[48 + y : 144 + y, 48 + x : 144 + x]
        cur[i, 20:60, 30:70] = large[60:100, 50:90]  # something else moves otherwise
        cur[i] = (cur[i] + rng.normal(0, 2, (96, 96))).clip(0, 255).astype(np.uint8)

    def left_over(split: np.ndarray, mv: np.ndarray) -> float:
        half = np.zeros((6, 48, 48), np.uint8)
        found = _core.motion_predict_batch(ref, half, half, split, mv)[0]
        return float(np.abs(found.astype(int) - cur).mean())

    known = left_over(*_core.motion_search_batch(cur, ref, lam))
    split, mv = search(torch.from_numpy(cur), torch.from_numpy(ref), torch.tensor(lam))
    assert split.shape == (6, 3, 3) and mv.shape == (6, 6, 6, 2)
    assert left_over(split.numpy(), mv.numpy()) < 1.03 * known
    assert known < 0.5 * np.abs(cur.astype(int) - ref).mean()


def test_frames_that_do_not_fill_their_superblocks_are_searched() -> None:
    rng = np.random.default_rng(6)
    ref = textured(rng, 80)[None, :40, :72]
    cur = np.roll(ref, 2, axis=2)
    cur, ref = np.ascontiguousarray(cur), np.ascontiguousarray(ref)
    split, mv = search(torch.from_numpy(cur), torch.from_numpy(ref), torch.tensor(2.0))
    assert split.shape == (1, 2, 3) and mv.shape == (1, 3, 5, 2)
    assert (mv[0, 0, 1:4] == torch.tensor([-8, 0])).all()
