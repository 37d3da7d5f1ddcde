"""Frames to packets and back in memory, for the benchmarks: no container, no file."""

from collections.abc import Iterable, Sequence
from typing import Any

from bsqav import _core
from bsqav.codec.sequence import SequenceHeader
from bsqav.evaluation.io.y4m import Planes

Coded = tuple[_core.Packet, dict[str, Any]]


def encode(frames: Iterable[Planes], model: _core.Model, crf: float, **options: Any) -> list[Coded]:
    """Packets with their statistics; `options` are those of `_core.Encoder`."""
    encoder: _core.Encoder | None = None
    out: list[Coded] = []

    def drain(from_encoder: _core.Encoder) -> None:
        while (packet := from_encoder.receive()) is not None:
            out.append((packet, from_encoder.stats))

    for index, planes in enumerate(frames):
        if encoder is None:
            height, width = planes[0].shape
            sequence = SequenceHeader(width=width, height=height)
            encoder = _core.Encoder(sequence, model, crf=crf, **options)
        encoder.send(planes, index)
        drain(encoder)
    if encoder is not None:
        encoder.flush()
        drain(encoder)
    return out


def decode(packets: Sequence[bytes], model: _core.Model, threads: int) -> int:
    """Decodes all packets and returns the number of frames."""
    decoder = _core.Decoder([model], threads=threads)
    count = 0
    for data in packets:
        decoder.send(data)
        while decoder.receive() is not None:
            count += 1
    return count
