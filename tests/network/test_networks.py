"""The networks of libbsq equal the reference, for every kernel set, activity and thread count.

In models with one to eight stages.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from bsqav import _core
from bsqav.codec.modelspec import ModelConfig
from tests.network.models import ONE_STAGE, SMALL, UNEVEN, random_model
from tests.reference import numerics

SETS = _core.kernel_sets()
CONFIGS = {
    "small": SMALL,
    "uneven": UNEVEN,
    "one stage": ONE_STAGE,
}
MODELS = {
    name: random_model(config, seed) for seed, (name, config) in enumerate(CONFIGS.items(), 7)
}


@dataclass
class Pair:
    """A model for libbsq, and the reference's networks of the same tensors."""

    loaded: _core.Model
    reference: numerics.Networks
    config: ModelConfig


@dataclass
class Picture:
    """Random inputs of all networks, [H, W, ..]; `windows` as bindings take them."""

    side: npt.NDArray[np.int16]
    residual: npt.NDArray[np.int16]
    stages: npt.NDArray[np.int64]
    bits: npt.NDArray[np.int64]
    tokens: npt.NDArray[np.int8]
    previous: npt.NDArray[np.int8]
    windows: npt.NDArray[np.uint8]

    @property
    def active(self) -> numerics.Bool:
        height, width = self.stages.shape
        return np.kron(self.windows != 0, np.ones((4, 4), np.bool_))[:height, :width]


def picture(model: Pair, height: int, width: int, seed: int, density: float = 0.7) -> Picture:
    rng = np.random.default_rng(seed)
    windows = (rng.random((-(-height // 4), -(-width // 4))) < density).astype(np.uint8)
    spread = rng.choice([5, 200, 9000])
    side = np.clip(np.rint(rng.normal(0, spread, (height, width, 104))), -32767, 32767)
    residual = np.clip(np.rint(rng.normal(0, spread, (height, width, 96))), -32767, 32767)
    count = model.config.stages
    stages = rng.integers(0, count + 1, (2, height, width))
    bits = rng.integers(0, 2, (2, height, width, count, 32))
    stages[0][windows.repeat(4, 0).repeat(4, 1)[:height, :width] == 0] = 0
    tokens, previous = (
        numerics.token_vectors(stages[i], bits[i]).astype(np.int8) for i in range(2)
    )
    return Picture(
        side.astype(np.int16),
        residual.astype(np.int16),
        stages[0],
        bits[0],
        tokens,
        previous,
        windows,
    )


SIZES = [(1, 1), (3, 5), (4, 4), (9, 14), (13, 31)]


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> Pair:
    data, tensors = MODELS[request.param]
    config = CONFIGS[request.param]
    return Pair(_core.Model(data), numerics.Networks(tensors), config)


def test_models_tell_their_sizes(model: Pair) -> None:
    assert model.loaded.stages == model.config.stages


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_networks_equal_the_reference(model: Pair, size: tuple[int, int]) -> None:
    loaded, reference = model.loaded, model.reference
    x = picture(model, *size, seed=sum(size))
    active = x.active
    for kernels in SETS:
        bits = _core.tokenizer_encode(loaded, x.side, x.residual, x.windows, kernels=kernels)
        np.testing.assert_array_equal(bits, reference.encode(x.residual, x.side, active))
        out = _core.tokenizer_decode(loaded, x.tokens, x.side, x.windows, kernels=kernels)
        np.testing.assert_array_equal(out, reference.decode(x.tokens, x.side, active))
        gains = _core.tokenizer_gains(loaded, x.residual, out, x.windows, kernels=kernels)
        np.testing.assert_array_equal(gains, reference.gains(x.residual, out, active))
        stream, flags = reference.trunk(x.previous, x.side, active)
        got = _core.prior_flags(loaded, x.previous, x.side, x.windows, kernels=kernels)
        np.testing.assert_array_equal(got, flags)
        logits = _core.prior_logits(
            loaded, x.previous, x.side, x.windows, x.tokens, kernels=kernels
        )
        expected = reference.logits(stream, x.stages, x.bits, active)
        np.testing.assert_array_equal(logits, expected)


def test_random_models_are_no_trivial_test(model: Pair) -> None:
    loaded = model.loaded
    x = picture(model, 13, 31, seed=44, density=1.0)
    out = _core.tokenizer_decode(loaded, x.tokens, x.side, x.windows)
    logits = _core.prior_logits(loaded, x.previous, x.side, x.windows, x.tokens)
    coded = logits[x.stages == model.config.stages]
    gains = _core.tokenizer_gains(loaded, x.residual, out, x.windows)
    for values in (out, gains, coded):
        assert values.std() > 100
        assert (np.abs(values) == 32767).mean() < 0.05
    bits = _core.tokenizer_encode(loaded, x.side, x.residual, x.windows)
    assert 0.2 < bits.mean() < 0.8


def test_thread_count_changes_nothing(model: Pair) -> None:
    loaded = model.loaded
    x = picture(model, 23, 41, seed=5)
    for threads in (2, 3):
        np.testing.assert_array_equal(
            _core.tokenizer_encode(loaded, x.side, x.residual, x.windows),
            _core.tokenizer_encode(loaded, x.side, x.residual, x.windows, threads=threads),
        )
        np.testing.assert_array_equal(
            _core.tokenizer_decode(loaded, x.tokens, x.side, x.windows),
            _core.tokenizer_decode(loaded, x.tokens, x.side, x.windows, threads=threads),
        )
        np.testing.assert_array_equal(
            _core.tokenizer_gains(loaded, x.residual, x.side[..., :96], x.windows),
            _core.tokenizer_gains(loaded, x.residual, x.side[..., :96], x.windows, threads=threads),
        )
        np.testing.assert_array_equal(
            _core.prior_flags(loaded, x.previous, x.side, x.windows),
            _core.prior_flags(loaded, x.previous, x.side, x.windows, threads=threads),
        )
        np.testing.assert_array_equal(
            _core.prior_logits(loaded, x.previous, x.side, x.windows, x.tokens),
            _core.prior_logits(loaded, x.previous, x.side, x.windows, x.tokens, threads=threads),
        )


def test_tiles_are_independent(model: Pair) -> None:
    loaded, reference = model.loaded, model.reference
    x = picture(model, 13, 18, seed=6)
    stream, _ = reference.trunk(x.previous, x.side, x.active)
    blocks = [(0, 0, 8, 8), (0, 8, 8, 10), (8, 0, 5, 8), (8, 8, 5, 10)]
    logits = _core.prior_logits(
        loaded, x.previous, x.side, x.windows, x.tokens, tiles=blocks, threads=2
    )
    for y, left, height, width in blocks:
        cut = (slice(y, y + height), slice(left, left + width))
        expected = reference.logits(stream[cut], x.stages[cut], x.bits[cut], x.active[cut])
        np.testing.assert_array_equal(logits[cut], expected)


def test_no_active_superblock_gives_zeros(model: Pair) -> None:
    loaded = model.loaded
    x = picture(model, 9, 9, seed=8, density=0.0)
    assert not _core.tokenizer_decode(loaded, x.tokens, x.side, x.windows).any()
    assert not _core.prior_logits(loaded, x.previous, x.side, x.windows, x.tokens).any()


def test_absent_superblock_flags_mean_all(model: Pair) -> None:
    loaded = model.loaded
    x = picture(model, 6, 7, seed=9, density=1.0)
    np.testing.assert_array_equal(
        _core.tokenizer_decode(loaded, x.tokens, x.side),
        _core.tokenizer_decode(loaded, x.tokens, x.side, x.windows),
    )
