"""The range coder compared with constriction's, on the same bits and probabilities."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bsqav import _core
from bsqav.evaluation.bench.result import Part, Settings, columns
from bsqav.evaluation.bench.timing import Spread, in_turn, ratios, seconds_of
from bsqav.evaluation.io.errors import EvaluationError

BITS = 1_000_000
ONE = 65536
WAYS = ("encode", "decode")


class _Coder(ABC):
    """Codes its bits as often as asked."""

    def __init__(self, bits: npt.NDArray[np.uint8], probs: npt.NDArray[np.uint16]) -> None:
        self.bits = bits
        self.probs = probs
        self.decoded: npt.NDArray[Any] = bits[:0]

    @abstractmethod
    def encode(self) -> None:
        """Codes all bits."""

    @abstractmethod
    def decode(self) -> None:
        """Decodes what was encoded last."""

    @abstractmethod
    def size_bits(self) -> int:
        """Of the code."""

    def check(self) -> None:
        """Raises EvaluationError unless the last decoding gave the bits."""
        if not np.array_equal(self.decoded, self.bits):
            raise EvaluationError(f"{type(self).__name__} does not decode what it encoded")


class _Own(_Coder):
    def encode(self) -> None:
        encoder = _core.RangeEncoder()
        encoder.encode_bits(self.bits, self.probs)
        self.data = encoder.finish()

    def decode(self) -> None:
        self.decoded = _core.RangeDecoder(self.data).decode_bits(self.probs)

    def size_bits(self) -> int:
        return 8 * len(self.data)


class _Constriction(_Coder):
    """Raises ImportError where the package is not there."""

    def __init__(self, bits: npt.NDArray[np.uint8], probs: npt.NDArray[np.uint16]) -> None:
        super().__init__(bits, probs)
        import constriction

        self.queue = constriction.stream.queue
        self.model = constriction.stream.model.Bernoulli(perfect=False)
        self.symbols = bits.astype(np.int32)
        self.chances = (probs / ONE).astype(np.float32)

    def encode(self) -> None:
        encoder = self.queue.RangeEncoder()
        encoder.encode(self.symbols, self.model, self.chances)
        self.words = encoder.get_compressed()

    def decode(self) -> None:
        self.decoded = self.queue.RangeDecoder(self.words).decode(self.model, self.chances)

    def size_bits(self) -> int:
        return 32 * len(self.words)


def way_of(coder: _Coder, way: str) -> Callable[[], float]:
    """Seconds of one encoding or decoding."""
    return lambda: seconds_of(coder.encode if way == "encode" else coder.decode)


def measure(settings: Settings) -> Part:
    """Nanoseconds a bit; probabilities like a prior's, most of them low."""
    part = Part(
        "entropy",
        f"Range coders, {BITS} bits under one probability each, one thread",
        columns(
            "coder | encode_ns .1f = encode ns/bit | decode_ns .1f = decode ns/bit | "
            "bits_per_ideal .5f = bits / ideal"
        ),
    )
    rng = np.random.default_rng(1)
    probs = np.clip(rng.beta(0.4, 2.0, BITS) * ONE, 32, ONE - 32).astype(np.uint16)
    bits = (rng.integers(0, ONE, BITS) < probs).astype(np.uint8)
    ideal = float(_core.bit_cost(bits, probs).sum())
    coders: dict[str, _Coder] = {"bsqav": _Own(bits, probs)}
    try:
        coders["constriction"] = _Constriction(bits, probs)
    except ImportError:
        part.notes.append("constriction is not installed: pip install 'bsqav[bench]'")
    turns = {(name, way): way_of(coder, way) for name, coder in coders.items() for way in WAYS}
    values = in_turn(turns, settings.repeats)
    for name, coder in coders.items():
        coder.check()
        row = {f"{way}_ns": Spread.of([1e9 * s / BITS for s in values[name, way]]) for way in WAYS}
        part.rows.append({"coder": name, **row, "bits_per_ideal": coder.size_bits() / ideal})
    if "constriction" in coders:
        for way in WAYS:
            part.facts[f"constriction_over_bsqav_{way}"] = ratios(
                values["constriction", way], values["bsqav", way]
            )
    return part
