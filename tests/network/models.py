"""Random models for tests: every tensor valid, activations kept within their ranges."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bsqav.codec.modelfile import model_bytes
from bsqav.codec.modelspec import ModelConfig, Tensor, TensorSpec, tensor_specs

SMALL = ModelConfig(16, 32, 1, 16, 32, 1, 16, 32, 1, stages=3)
UNEVEN = ModelConfig(24, 40, 2, 72, 136, 1, 8, 88, 3, stages=8)
ONE_STAGE = ModelConfig(8, 8, 0, 8, 8, 0, 8, 8, 0, stages=1)
# Sizes of the keyframe networks where they differ from those of the others.
KEYFRAME_SIZES = {UNEVEN: ModelConfig(40, 24, 1, 104, 72, 2, 24, 128, 2, stages=8)}

# Standard deviations that the requantized values of a layer should have.
BYTES, WORDS = 40.0, 1500.0


def scale(factors: npt.NDArray[np.float64]) -> tuple[Tensor, int]:
    """Multipliers and the shift for real factors, all below 1/2."""
    shift = min(62, int(30 - np.floor(np.log2(factors.max()))))
    return np.rint(factors * 2.0**shift).astype(np.int32), shift


def keyframe_sizes(config: ModelConfig) -> ModelConfig:
    """Sizes of the keyframe networks beside networks of these sizes."""
    return KEYFRAME_SIZES.get(config, config)


def random_tensors(config: ModelConfig, seed: int) -> dict[str, Tensor]:
    """Tensors with random weights, biases and tables, and scales that fit their sums.

    Of both sets of networks: those of `config` and of keyframe_sizes(config).
    """
    rng = np.random.default_rng(seed)
    tensors: dict[str, Tensor] = {}
    specs = tensor_specs(config, keyframe_sizes(config))
    for name, spec in specs.items():
        kind = name.rsplit(".", 1)[-1]
        if kind == "w":
            tensors[name] = rng.integers(-127, 128, spec.shape, np.int8)
        elif kind == "b":
            if rng.random() < 0.8:  # the others test that an absent bias is 0
                tensors[name] = rng.integers(-20000, 20001, spec.shape, np.int32)
        elif kind == "table":
            tensors[name] = rng.integers(-127, 128, spec.shape, np.int8)
        elif kind == "pair":
            tensors[name] = rng.integers(-1500, 1501, spec.shape, np.int32)
        elif kind == "energy":
            tensors[name] = rng.integers(0, 2000, spec.shape, np.int32)
    for name, spec in specs.items():
        layer, _, kind = name.rpartition(".")
        if kind == "m":
            factors = rng.uniform(0.3, 1.7, spec.shape) * _factor(layer, specs.get(f"{layer}.w"))
            tensors[name], shift = scale(factors)
            tensors[f"{layer}.n"] = np.full(specs[f"{layer}.n"].shape, shift, np.int32)
    return tensors


def _factor(layer: str, weights: TensorSpec | None) -> float:
    """Output over sum, for inputs as large as a random model has them."""
    if weights is None:  # a residual stream to bytes
        return BYTES / WORDS
    inputs = weights.shape[weights.inputs_axis]
    to_bytes = layer.endswith((".dw", ".fc1", ".cur", ".ctx"))
    input_size = 200.0 if weights.input_limit > 127 else 50.0
    if layer.endswith("enc.response"):  # errors of nine tokens
        input_size *= 30.0
    return (BYTES if to_bytes else WORDS) / (73.0 * input_size * math.sqrt(inputs))


def random_model(config: ModelConfig, seed: int) -> tuple[bytes, dict[str, Tensor]]:
    """A model file and its tensors."""
    tensors = random_tensors(config, seed)
    text = {"name": f"random {seed}"}
    return model_bytes(config, tensors, text, keyframe_sizes(config)), tensors
