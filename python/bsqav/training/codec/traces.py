"""Layers as the codec's own encoder codes them, for training on its choices.

The encoder sets bits by RDO quantization, zeroes tokens out and varies q in ways that a rollout
only approximates. Networks that are trained on what it really writes (the tokenizer's decoder and
the prior; bits are given, so the tokenizer's encoder is not) match what they will be used for:
keyframes, or frames that are predicted from others (P and B frames).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bsqav import _core
from bsqav.codec.modelspec import STAGE_BITS
from bsqav.errors import UsageError
from bsqav.nn.codec import fields
from bsqav.nn.codec.networks import CodecNet
from bsqav.training.codec.data import ClipSampler
from bsqav.training.codec.objective import Coded, LayerInput

LOOKAHEAD = 24

# The model of networks, for the encoder; keyframes may have others, which do not change in the run.
# Raises ModelError if they have no integers.
Quantize = Callable[[CodecNet], _core.Model]


@dataclass(frozen=True)
class TraceConfig:
    """frames: of a clip, played forward and backward to have so many. batch: layers of a step.

    crf: range of the clips'. keep: layers to draw from. refresh: steps between models. layers: of
    which frames; a base frame counts as a keyframe.
    """

    frames: int = 16
    batch: int = 32
    crf: tuple[float, float] = (12.0, 54.0)
    keep: int = 1024
    refresh: int = 300
    layers: Literal["all", "keyframes", "predicted"] = "all"


@dataclass
class Layer:
    """One layer on a canvas of tokens, samples as integers."""

    target: npt.NDArray[np.uint8]  # [H, W, 96]
    prediction: npt.NDArray[np.uint8]
    bits: npt.NDArray[np.uint32]  # [H, W, S]
    stages: npt.NDArray[np.uint8]
    previous_bits: npt.NDArray[np.uint32]
    previous_stages: npt.NDArray[np.uint8]
    q: npt.NDArray[np.int16]
    prediction_side: npt.NDArray[np.int16]  # [H, W, 2]
    place: tuple[float, float, float]  # first of a keyframe, later, above


def forward_and_backward(count: int, length: int) -> list[int]:
    """`count` indices that run 0 .. length - 1, back, and so on."""
    period = max(1, 2 * (length - 1))
    return [min(i % period, period - i % period) for i in range(count)]


def _samples(planes: Sequence[npt.NDArray[np.uint16]]) -> npt.NDArray[np.uint8]:
    """Planes -> samples of tokens [H, W, 96]."""
    y, u, v = (torch.from_numpy(plane.astype(np.uint8)).unsqueeze(0) for plane in planes)
    tokens: npt.NDArray[np.uint8] = fields.planes_to_tokens(y, u, v)[0].numpy()
    return tokens


def _on_canvas(values: npt.NDArray[Any], side: int) -> npt.NDArray[Any]:
    """The grid with zeros to the right and below: no token there is active."""
    margin = [(0, side - values.shape[0]), (0, side - values.shape[1])]
    return np.pad(values, margin + [(0, 0)] * (values.ndim - 2))


def layer_of(traced: dict[str, Any], side: int) -> Layer:
    """What the encoder traced, on a canvas of side x side tokens."""

    def grid(name: str) -> npt.NDArray[Any]:
        return _on_canvas(traced[name], side)

    place = traced["first_of_keyframe"], traced["later"], traced["above"]
    return Layer(
        _on_canvas(_samples(traced["source"]), side),
        _on_canvas(_samples(traced["prediction"]), side),
        grid("bits"),
        grid("stages"),
        grid("previous_bits"),
        grid("previous_stages"),
        grid("q"),
        grid("prediction_side"),
        (float(place[0]), float(place[1]), float(place[2])),
    )


def batch_of(layers: Sequence[Layer], device: torch.device | str = "cpu") -> LayerInput:
    """Layers of any kind as one input; `coded` holds their bits."""

    def stack(name: str) -> Tensor:
        values = np.stack([getattr(layer, name) for layer in layers])
        # PyTorch shifts signed integers only; the lowest 32 bits of these are the words'.
        return torch.from_numpy(values.astype(np.int64)).to(device)

    def bits(name: str) -> Tensor:
        """[B, H, W, S] words -> [B, H, W, 32 S] of 0 and 1."""
        places = torch.arange(STAGE_BITS, device=device)
        return (stack(name).unsqueeze(-1) >> places & 1).float().flatten(-2)

    first, later, above = torch.tensor([layer.place for layer in layers], device=device).T
    return LayerInput(
        stack("target").float(),
        stack("prediction").float(),
        fields.token_vector(bits("previous_bits"), stack("previous_stages")),
        stack("q").float(),
        fields.LayerPlace(first, later, above),
        Coded(bits("bits"), stack("stages")),
        stack("prediction_side").float(),
    )


class TraceSampler:
    """Batches of layers that the encoder chose with the networks as they are."""

    def __init__(
        self, clips: ClipSampler, config: TraceConfig, quantize: Quantize, threads: int
    ) -> None:
        if config.layers == "predicted" and config.frames < 2:
            raise UsageError("predicted frames need traces of 2 frames or more")
        self.clips, self.config, self.quantize, self.threads = clips, config, quantize, threads
        self.side = -(-clips.config.size // 8)
        self.layers: list[Layer] = []
        self.model: _core.Model | None = None

    def use(self, net: CodecNet) -> None:
        """Encodes with these networks from now on. Raises ModelError if they have no integers."""
        self.model = self.quantize(net)

    def batch(self, device: torch.device) -> LayerInput:
        """Layers drawn from what was encoded last; each is drawn once."""
        rng = self.clips.rng
        while len(self.layers) < self.config.keep:
            self._encode()
        chosen = rng.permutation(len(self.layers))[: self.config.batch]
        layers = [self.layers[i] for i in chosen]
        for i in sorted(chosen, reverse=True):
            self.layers[i] = self.layers[-1]
            self.layers.pop()
        return batch_of(layers, device)

    def _encode(self) -> None:
        planes = [plane.numpy().astype(np.uint8) for plane in self.clips.batch()]
        for index in range(planes[0].shape[0]):
            crf = float(self.clips.rng.uniform(*self.config.crf))
            self._encode_clip([plane[index] for plane in planes], crf)

    def _encode_clip(self, planes: list[npt.NDArray[np.uint8]], crf: float) -> None:
        if self.model is None:
            raise RuntimeError("use() networks before asking for layers")
        size = planes[0].shape[-1]
        encoder = _core.Encoder(
            {"width": size, "height": size},
            self.model,
            crf=crf,
            threads=self.threads,
            lookahead=LOOKAHEAD,
            screen_content=0,  # the networks learn what is drawn too
        )
        encoder.trace()
        for pts, i in enumerate(forward_and_backward(self.config.frames, planes[0].shape[0])):
            encoder.send([plane[i] for plane in planes], pts)
            self._take(encoder)
        encoder.flush()
        self._take(encoder)

    def _take(self, encoder: _core.Encoder) -> None:
        while encoder.receive() is not None:
            for traced in encoder.take_layers():
                if self._is_wanted(traced):
                    self.layers.append(layer_of(traced, self.side))

    def _is_wanted(self, traced: dict[str, Any]) -> bool:
        """Whether the layer is of the frames to train on, and has tokens at all."""
        kind = "keyframes" if traced["keyframe"] else "predicted"
        return self.config.layers in ("all", kind) and bool(traced["stages"].any())
