"""The rows of other codecs, and of this package's own, at the rate of a tokenizer."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from bsqav.evaluation.compare.bsq import PublicBsq
from bsqav.evaluation.compare.reference_encoders import (
    Reference,
    check_reference,
    encode_reference,
)
from bsqav.evaluation.compare.still_codecs import StillCodec
from bsqav.evaluation.io.ffmpeg import decode_to_y4m, packet_sizes
from bsqav.evaluation.io.images import Pixels
from bsqav.evaluation.research.tables.material import Film, Item, Still, to_unit
from bsqav.evaluation.research.tables.rows import Meter, Row, Seconds

__all__ = ["BsqPeer", "Peer", "ReferencePeer", "StillPeer", "peer_row"]

GOP = 250
# The rate is looked for on so many images or videos, the first ones.
SEARCHED = 100
# A rate as near as this is near enough; so many settings are tried between two of the codec's own.
NEAR = math.log(1.02)
TRIES = 4


@dataclass(frozen=True)
class Coded:
    """Bytes of a stream, seconds that it took, and what gives its frames and their seconds."""

    size: int
    seconds: float
    decode: Callable[[], tuple[Iterator[Pixels], float]]


class Peer(Protocol):
    """A codec with the settings of its curve, cheapest first or last.

    step: the least difference between two settings, 0 where any number will do.
    """

    title: str
    settings: Sequence[float]
    step: float

    def label(self, setting: float) -> str:
        """The setting as people write it."""

    def code(self, item: Item, setting: float) -> Coded:
        """Codes an item. Raises EvaluationError where it cannot."""


class StillPeer:
    """A codec of still images."""

    def __init__(self, codec: StillCodec) -> None:
        codec.check()
        self.codec, self.title = codec, codec.title
        self.settings: Sequence[float] = codec.settings
        self.step = codec.step

    def label(self, setting: float) -> str:
        """See Peer."""
        return f"{self.codec.option} {setting:g}"

    def code(self, item: Item, setting: float) -> Coded:
        """See Peer."""
        assert isinstance(item, Still)
        began = time.perf_counter()
        data = self.codec.encode(item.pixels, setting)
        return Coded(len(data), time.perf_counter() - began, lambda: self._decode(data))

    def _decode(self, data: bytes) -> tuple[Iterator[Pixels], float]:
        began = time.perf_counter()
        pixels = self.codec.decode(data)
        return iter([pixels]), time.perf_counter() - began


class VideoPeer(ABC):
    """A codec of videos, which writes a stream beside the source."""

    title: str
    settings: Sequence[float]
    step: float

    @abstractmethod
    def label(self, setting: float) -> str:
        """See Peer."""

    @abstractmethod
    def _encode(self, film: Film, setting: float, out: Path) -> tuple[int, float]:
        """Bytes and seconds."""

    @abstractmethod
    def _decode(self, stream: Path, y4m: Path, film: Film) -> float:
        """Seconds."""

    def code(self, item: Item, setting: float) -> Coded:
        """See Peer."""
        assert isinstance(item, Film)
        out, y4m = (item.y4m.with_name(name) for name in ("stream.mkv", "decoded.y4m"))
        out.unlink(missing_ok=True)
        size, seconds = self._encode(item, setting, out)

        def decode() -> tuple[Iterator[Pixels], float]:
            took = self._decode(out, y4m, item)
            return item.rgb(y4m), took

        return Coded(size, seconds, decode)


class ReferencePeer(VideoPeer):
    """A video encoder of FFmpeg's."""

    def __init__(self, reference: Reference) -> None:
        self.reference, self.title = reference, reference.title
        self.settings, self.step = reference.points, reference.step

    def label(self, setting: float) -> str:
        """See Peer."""
        return f"{self.reference.option.lstrip('-')} {setting:g}"

    def _encode(self, film: Film, setting: float, out: Path) -> tuple[int, float]:
        check_reference(self.reference, film.header.width, film.header.height, GOP)
        run = encode_reference(self.reference, film.y4m, setting, GOP, out)
        return sum(packet_sizes(out)), run.seconds

    def _decode(self, stream: Path, y4m: Path, film: Film) -> float:
        return decode_to_y4m(stream, y4m, film.header).seconds


class BsqPeer(VideoPeer):
    """This package's codec of videos."""

    step, title = 0.0, "BSQ"

    def __init__(self, model: str | None, crfs: Sequence[float]) -> None:
        self.codec, self.settings = PublicBsq(model), crfs

    def label(self, setting: float) -> str:
        """See Peer."""
        return f"crf {setting:g}"

    def _encode(self, film: Film, setting: float, out: Path) -> tuple[int, float]:
        coded = self.codec.encode(film.y4m, setting, GOP, out)
        return sum(coded.packet_bytes), coded.seconds

    def _decode(self, stream: Path, y4m: Path, film: Film) -> float:
        return self.codec.decode(stream, y4m, film.header).seconds


Items = Callable[[], Iterator[Item]]


def peer_row(peer: Peer, items: Items, rate: float, meter: Meter, frames: int) -> Row:
    """The row of a codec at the one setting for all whose rate is nearest to `rate`, in bpp.

    items: gives them anew at each call. frames: of the clips that the meter's network looks at.
    """
    setting = nearest_setting(peer, lambda value: _rate(peer, items, value), rate)
    size, seconds = 0, Seconds()
    for item in items():
        coded = peer.code(item, setting)
        size += 8 * coded.size
        seconds.encode += coded.seconds
        out, took = coded.decode()
        seconds.decode += took
        for batch in item.batches(frames):
            meter.add(batch, _taken(out, batch.shape))
    return meter.row(peer.title, peer.label(setting), size, seconds)


def _taken(frames: Iterator[Pixels], shape: torch.Size) -> torch.Tensor:
    """The next frames as a batch of the shape given."""
    if len(shape) == 4:
        return to_unit(next(frames)).unsqueeze(0)
    return torch.stack([to_unit(next(frames)) for _ in range(shape[2])], 1).unsqueeze(0)


def _rate(peer: Peer, items: Items, setting: float) -> float:
    size = pixels = 0
    for _, item in zip(range(SEARCHED), items(), strict=False):
        size += peer.code(item, setting).size
        pixels += item.samples
    return 8 * size / max(pixels, 1)


def nearest_setting(peer: Peer, rate_of: Callable[[float], float], rate: float) -> float:
    """The setting whose rate is nearest: between two of the codec's own, then by interpolation."""
    known: dict[float, float] = {}

    def gap(setting: float) -> float:
        if setting not in known:
            known[setting] = math.log(max(rate_of(setting), 1e-9) / rate)
        return known[setting]

    settings = sorted(peer.settings)
    low, high = 0, len(settings) - 1
    rising = gap(settings[high]) > gap(settings[low])
    while high - low > 1:
        middle = (low + high) // 2
        if (gap(settings[middle]) > 0) == rising:
            high = middle
        else:
            low = middle
    step = peer.step or 0.01
    for _ in range(TRIES):
        best = min(known, key=lambda setting: abs(known[setting]))
        if abs(known[best]) < NEAR:
            break
        gaps, tried = zip(
            *sorted((value, setting) for setting, value in known.items()), strict=True
        )
        found = float(np.interp(0.0, gaps, tried))
        found = round(round(found / step) * step, 6)
        if found in known:
            break
        gap(found)
    return min(known, key=lambda setting: abs(known[setting]))
