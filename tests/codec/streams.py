"""Synthetic clips, and their way through encoder and decoder with the tiny test model."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bsqav import _core
from bsqav.codec.sequence import SequenceHeader

Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
VECTORS = Path(__file__).resolve().parent.parent / "vectors"
TINY_MODEL = VECTORS / "tiny.bsqm"


@functools.cache
def tiny_model() -> _core.Model:
    """The frozen test model."""
    return _core.Model(TINY_MODEL.read_bytes())


@dataclass(frozen=True)
class Format:
    """What a stream holds."""

    width: int
    height: int
    chroma: str = "420"
    bit_depth: int = 8
    alpha: int = 0

    @property
    def sequence(self) -> SequenceHeader:
        """The sequence header's fields for an encoder: 25 pictures a second, a tick each 1/100."""
        return {
            "width": self.width,
            "height": self.height,
            "chroma": self.chroma,
            "bit_depth": self.bit_depth,
            "alpha": self.alpha,
            "time_base": (1, 100),
            "frame_rate": (25, 1),
        }

    @property
    def plane_shapes(self) -> list[tuple[int, int]]:
        """Height and width of every plane."""
        luma = (self.height, self.width)
        rows, columns = (self.height + 1) // 2, (self.width + 1) // 2
        chroma = {
            "gray": [],
            "420": [(rows, columns)] * 2,
            "422": [(self.height, columns)] * 2,
            "444": [luma] * 2,
        }
        return [luma, *chroma[self.chroma], *[luma] * self.alpha]


def clip(form: Format, frames: int, seed: int = 0, *, calm: bool = False) -> list[list[Plane]]:
    """Pictures of a smooth texture that drifts by (2, 1) luma samples, with a square that jumps.

    calm: it drifts by a sample every second frame and every fourth one, without a square, so that
    an encoder makes its groups as long as it may.
    The samples come from integer arithmetic alone, so that they are the same everywhere.
    """
    rng = np.random.default_rng(seed)
    pictures = []
    fields = [_texture(rng, h + 64, w + 64) for h, w in form.plane_shapes]
    for t in range(frames):
        planes: list[Plane] = []
        for index, (height, width) in enumerate(form.plane_shapes):
            divisor = 2 if index in (1, 2) and form.chroma in ("420", "422") else 1
            moved = (t // 4, t // 2) if calm else (t, 2 * t)
            dy, dx = moved[0] // divisor % 64, moved[1] // divisor % 64
            plane = fields[index][dy : dy + height, dx : dx + width].copy()
            y, x = (5 * t + 3) % max(1, height - 4), (11 * t + 1) % max(1, width - 4)
            if not calm:
                plane[y : y + 12 // divisor, x : x + 12 // divisor] = (40 * t + 90) % 256
            if form.bit_depth > 8:
                planes.append(((plane << 2) + (plane & 3)).astype(np.uint16))
            else:
                planes.append(plane.astype(np.uint8))
        pictures.append(planes)
    return pictures


def _texture(rng: np.random.Generator, height: int, width: int) -> npt.NDArray[np.int64]:
    """Noise that has been summed over 8x8 squares twice, stretched to 0..255."""
    noise = rng.integers(0, 256, (height + 14, width + 14), dtype=np.int64)
    for _ in range(2):
        sums = np.cumsum(np.cumsum(np.pad(noise, ((1, 0), (1, 0))), axis=0), axis=1)
        noise = (sums[8:, 8:] - sums[:-8, 8:] - sums[8:, :-8] + sums[:-8, :-8]) // 64
    low, high = int(noise.min()), int(noise.max())
    return (noise - low) * 255 // max(1, high - low)


@dataclass
class Stream:
    """An encoder's output."""

    packets: list[bytes] = field(default_factory=list)
    pts: list[int] = field(default_factory=list)
    keyframes: list[bool] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    stats: list[dict[str, Any]] = field(default_factory=list)
    header: bytes = b""


def encode(
    pictures: Iterable[Sequence[Plane]],
    form: Format,
    *,
    pts: Sequence[int] | None = None,
    force: Sequence[int] = (),
    **options: Any,
) -> Stream:
    """Encodes with the tiny model. `pts` is 4 ticks a picture where not given."""
    encoder = _core.Encoder(form.sequence, tiny_model(), **options)
    stream = Stream(header=encoder.header)
    for packet in coded_packets(encoder, pictures, pts=pts, force=force):
        stream.packets.append(packet.data)
        stream.pts.append(packet.pts)
        stream.keyframes.append(packet.keyframe)
        stream.hashes.append(encoder.reconstruction_hash)
        stream.stats.append(encoder.stats)
    return stream


def coded_packets(
    encoder: _core.Encoder,
    pictures: Iterable[Sequence[Plane]],
    *,
    pts: Sequence[int] | None = None,
    force: Sequence[int] = (),
) -> Iterator[_core.Packet]:
    """Every packet as soon as it is coded, while the encoder still tells of it; ends the input."""
    for index, planes in enumerate(pictures):
        tick = 4 * index if pts is None else pts[index]
        encoder.send(planes, tick, keyframe=index in force)
        yield from ready(encoder)
    encoder.flush()
    yield from ready(encoder)


def ready(encoder: _core.Encoder) -> Iterator[_core.Packet]:
    """The packets that an encoder has now."""
    while (packet := encoder.receive()) is not None:
        yield packet


def decode(
    packets: Iterable[bytes], decoder: _core.Decoder | None = None, **options: Any
) -> list[_core.Frame]:
    """Decodes packets with the tiny model."""
    decoder = decoder or _core.Decoder([tiny_model()], **options)
    pictures = []
    for data in packets:
        decoder.send(data)
        while (picture := decoder.receive()) is not None:
            pictures.append(picture)
    decoder.flush()
    assert decoder.receive() is None
    return pictures


def picture_hash(picture: _core.Frame) -> str:
    """SHA-256 of the samples, as in docs/bitstream.md section 7."""
    digest = hashlib.sha256()
    for plane in picture.planes:
        digest.update(plane.astype(f"<u{plane.itemsize}").tobytes())
    return digest.hexdigest()


def sequence_of(packet: bytes) -> dict[str, Any]:
    """The sequence header in the packet of a keyframe."""
    header = _core.probe_packet(packet)["sequence"]
    assert header is not None
    return dict(header)


def stream_hash(pictures: Iterable[_core.Frame]) -> str:
    """The conformance hash of docs/bitstream.md section 7."""
    digest = hashlib.sha256()
    for picture in pictures:
        for plane in picture.planes:
            digest.update(plane.astype(f"<u{plane.itemsize}").tobytes())
    return digest.hexdigest()
