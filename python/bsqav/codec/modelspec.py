"""What tensors a model consists of, and their limits.

Sources: docs/bitstream.md section 6, docs/numerics.md section 6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from bsqav.errors import ModelError

__all__ = [
    "KEYFRAMES",
    "MAX_TENSORS",
    "NUMERICS",
    "ModelConfig",
    "Tensor",
    "TensorSpec",
    "check_sizes",
    "check_tensors",
    "join_sets",
    "tensor_specs",
    "tensors_of_set",
    "token_width",
]

Tensor = npt.NDArray[Any]

# Begins the names of the tensors of the keyframe networks.
KEYFRAMES = "key."
NUMERICS = 1  # the version of docs/numerics.md, which model files name
MAX_TENSORS = 4096
MAX_WIDTH = 512
MAX_HIDDEN = 1024
MAX_BLOCKS = 16
MAX_PAIR = 32767
MIN_SHIFT, MAX_SHIFT = 32, 62
SUM_LIMIT = 2**31
SIDE_VECTOR = 104
SAMPLE_VECTOR = 96
NEIGHBOURHOOD = 9  # a token and those around it, by rows
# The largest magnitude of the errors that the response reads.
ERROR_LIMIT = 4096
MAX_ENERGY = 32767
MAX_STAGES = 8
STAGE_BITS = 32
FLAG_CONTEXTS = 3
HEAD_BITS = 8
STAGE_HEADS = STAGE_BITS // HEAD_BITS


def token_width(stages: int) -> int:
    """Width of the token vectors of a model with that many stages: 33 each, then up to 8s."""
    return (stages * (STAGE_BITS + 1) + 7) // 8 * 8


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of one set of the three networks: width of the residual stream, hidden width, blocks.

    A model has two sets: one for keyframes, one for frames that are predicted from others.
    `stages` is how many times 32 bits a token has at most, the same in both.
    """

    encoder_width: int = 192
    encoder_hidden: int = 384
    encoder_blocks: int = 2
    decoder_width: int = 192
    decoder_hidden: int = 384
    decoder_blocks: int = 3
    prior_width: int = 128
    prior_hidden: int = 256
    prior_blocks: int = 2
    stages: int = 8

    def check(self) -> None:
        """Raises ModelError if a size breaks a limit."""
        for field in fields(self):
            value = getattr(self, field.name)
            valid, rule = self._rule(field.name, value)
            if not valid:
                raise ModelError(f"{field.name} is {value}; it must be {rule}")

    @staticmethod
    def _rule(name: str, value: int) -> tuple[bool, str]:
        """Whether the field may have this value, and what is allowed."""
        if name == "stages":
            return 1 <= value <= MAX_STAGES, f"1 to {MAX_STAGES}"
        if name.endswith("blocks"):
            return 0 <= value <= MAX_BLOCKS, f"at most {MAX_BLOCKS}"
        limit = MAX_WIDTH if name.endswith("width") else MAX_HIDDEN
        valid = 8 <= value <= limit and value % 8 == 0
        return valid, f"a multiple of 8 of at most {limit}"


@dataclass(frozen=True)
class TensorSpec:
    """One tensor of a model.

    Attributes:
        shape: its exact shape.
        dtype: int8 or int32.
        low, high: range of its values, both ends included.
        optional: may be left out, and is 0 then.
        input_limit: for weights, the largest magnitude of the layer's input; the limit on the sums
            of the layer is checked with it. 0 for tensors that are no weights.
        inputs_axis: for weights, the axis that is summed over.
    """

    shape: tuple[int, ...]
    dtype: type[np.int8] | type[np.int32]
    low: int
    high: int
    optional: bool = False
    input_limit: int = 0
    inputs_axis: int = -1


Specs = Iterator[tuple[str, TensorSpec]]


def _bias(shape: tuple[int, ...]) -> TensorSpec:
    return TensorSpec(shape, np.int32, -(2**31), 2**31 - 1, optional=True)


def _weights(shape: tuple[int, ...], input_limit: int = 127, axis: int = -1) -> TensorSpec:
    return TensorSpec(shape, np.int8, -127, 127, False, input_limit, axis)


def _requant(name: str, channels: tuple[int, ...]) -> Specs:
    """Multipliers and shift; a leading axis of several layers also has that many shifts."""
    shifts = channels[:-1] or (1,)
    yield f"{name}.m", TensorSpec(channels, np.int32, 0, 2**31 - 1)
    yield f"{name}.n", TensorSpec(shifts, np.int32, MIN_SHIFT, MAX_SHIFT)


def _table(name: str) -> Specs:
    yield name, TensorSpec((256,), np.int8, -127, 127)


def _linear(name: str, n: int, k: int, input_limit: int = 127) -> Specs:
    yield f"{name}.w", _weights((n, k), input_limit)
    yield f"{name}.b", _bias((n,))
    yield from _requant(name, (n,))


def _depthwise(name: str, channels: int) -> Specs:
    yield f"{name}.w", _weights((25, channels), axis=0)
    yield f"{name}.b", _bias((channels,))
    yield from _requant(name, (channels,))


def _ffn(name: str, width: int, hidden: int) -> Specs:
    yield from _requant(f"{name}.in", (width,))
    yield from _linear(f"{name}.fc1", hidden, width)
    yield from _table(f"{name}.table")
    yield from _linear(f"{name}.fc2", width, hidden)


def _blocks(network: str, width: int, hidden: int, count: int) -> Specs:
    for i in range(count):
        yield from _ffn(f"{network}.block{i}", width, hidden)
        yield from _depthwise(f"{network}.block{i}.dw", width)
    yield from _requant(f"{network}.f", (width,))


def _encoder(config: ModelConfig) -> Specs:
    width, count = config.encoder_width, config.stages * STAGE_BITS
    yield from _linear("enc.in", width, SAMPLE_VECTOR + SIDE_VECTOR, 32767)
    yield from _blocks("enc", width, config.encoder_hidden, config.encoder_blocks)
    yield from _linear("enc.head", count, width)
    shape = (NEIGHBOURHOOD, count, SAMPLE_VECTOR)
    yield "enc.response.w", _weights(shape, ERROR_LIMIT)
    yield from _requant("enc.response", shape[:2])
    yield "enc.response.energy", TensorSpec((count,), np.int32, 0, MAX_ENERGY)


def _two_inputs(network: str, width: int, stages: int) -> Specs:
    yield from _linear(f"{network}.tok", width, token_width(stages))
    yield from _linear(f"{network}.side", width, SIDE_VECTOR, 32767)


def _decoder(config: ModelConfig) -> Specs:
    width = config.decoder_width
    yield from _two_inputs("dec", width, config.stages)
    yield from _blocks("dec", width, config.decoder_hidden, config.decoder_blocks)
    yield from _linear("dec.out", SAMPLE_VECTOR, width)


def _prior(config: ModelConfig) -> Specs:
    width, hidden, stages = config.prior_width, config.prior_hidden, config.stages
    heads = STAGE_HEADS * stages
    yield from _two_inputs("prior", width, stages)
    yield from _blocks("prior", width, hidden, config.prior_blocks)
    yield from _linear("prior.flag", FLAG_CONTEXTS * stages, width)
    yield from _linear("prior.cur", width, token_width(stages))
    yield from _depthwise("prior.ctx", width)
    yield from _linear("prior.mix", width, width)
    yield from _ffn("prior.ffn", width, hidden)
    yield from _requant("prior.head.in", (heads, width))
    yield from _table("prior.head.table")
    yield "prior.head.w", _weights((heads, HEAD_BITS, width))
    yield "prior.head.b", _bias((heads, HEAD_BITS))
    yield from _requant("prior.head", (heads, HEAD_BITS))
    yield "prior.emb.w", _weights((heads, width, HEAD_BITS))
    yield from _requant("prior.emb", (heads, width))
    shape = (heads, HEAD_BITS, HEAD_BITS)
    yield "prior.pair", TensorSpec(shape, np.int32, -MAX_PAIR, MAX_PAIR)


def check_sizes(config: ModelConfig, keyframes: ModelConfig) -> None:
    """Raises ModelError if a size of one of the two sets breaks a limit, or if stages differ."""
    config.check()
    try:
        keyframes.check()
    except ModelError as error:
        raise ModelError(f"keyframe networks: {error}") from error
    if keyframes.stages != config.stages:
        raise ModelError(
            f"keyframe networks of {keyframes.stages} stages, but the other networks have "
            f"{config.stages}"
        )


def join_sets(
    tensors: Mapping[str, Tensor], keyframes: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """The tensors of a model from those of its two sets.

    keyframes: of the keyframe networks, without their prefix; None: the same as the others.
    """
    own = tensors if keyframes is None else keyframes
    return {**tensors, **{KEYFRAMES + name: tensor for name, tensor in own.items()}}


def tensors_of_set(tensors: Mapping[str, Tensor], keyframes: bool = False) -> dict[str, Tensor]:
    """Of a model's tensors those of one set, without the prefix of the keyframe networks."""
    return {
        name.removeprefix(KEYFRAMES): tensor
        for name, tensor in tensors.items()
        if name.startswith(KEYFRAMES) == keyframes
    }


def tensor_specs(
    config: ModelConfig, keyframes: ModelConfig | None = None
) -> dict[str, TensorSpec]:
    """All tensors of a model, by name: those of both sets.

    config: sizes of the networks of predicted frames. keyframes: of the keyframe networks; None:
    the same. Raises ModelError for sizes against the limits.
    """
    own = keyframes or config
    check_sizes(config, own)
    specs = {KEYFRAMES + name: spec for name, spec in _networks(own)}
    return {**dict(_networks(config)), **specs}


def _networks(config: ModelConfig) -> Specs:
    yield from _encoder(config)
    yield from _decoder(config)
    yield from _prior(config)


def check_tensors(
    config: ModelConfig, tensors: Mapping[str, Tensor], keyframes: ModelConfig | None = None
) -> None:
    """Raises ModelError, naming the tensor, unless these are the tensors of a valid model.

    Arguments are those of tensor_specs().
    """
    specs = tensor_specs(config, keyframes)
    for name in tensors:
        if name not in specs:
            raise ModelError(f"tensor {name} is not known")
    for name, spec in specs.items():
        if name in tensors:
            _check_tensor(name, spec, tensors[name])
        elif not spec.optional:
            raise ModelError(f"tensor {name} is missing")
    for name, spec in specs.items():
        if spec.input_limit:
            _check_sums(name, spec, tensors)


def _check_tensor(name: str, spec: TensorSpec, tensor: Tensor) -> None:
    if tensor.dtype != spec.dtype or tensor.shape != spec.shape:
        raise ModelError(
            f"tensor {name} is {tensor.dtype} {tensor.shape}, "
            f"expected {np.dtype(spec.dtype)} {spec.shape}"
        )
    low, high = int(tensor.min()), int(tensor.max())
    if low < spec.low or high > spec.high:
        raise ModelError(
            f"tensor {name} holds {low} .. {high}, outside of {spec.low} .. {spec.high}"
        )


def _check_sums(name: str, spec: TensorSpec, tensors: Mapping[str, Tensor]) -> None:
    bound = np.abs(tensors[name].astype(np.int64)).sum(spec.inputs_axis) * spec.input_limit
    bias = tensors.get(name.removesuffix(".w") + ".b")
    if bias is not None:
        bound += np.abs(bias.astype(np.int64))
    if bound.max() >= SUM_LIMIT:
        channel = np.unravel_index(int(bound.argmax()), bound.shape)
        raise ModelError(
            f"tensor {name}: the sum of output channel {', '.join(map(str, channel))} can reach "
            f"{int(bound.max())}, which 32 bits do not hold"
        )
