"""Decoders and encoders of the CUDA backend, and streams through them."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterable
from typing import Any

from bsqav import _core
from bsqav.codec.modelspec import ModelConfig
from tests.bitstream.packets import Header
from tests.codec.streams import TINY_MODEL, Format, coded_packets, tiny_model
from tests.network.models import ONE_STAGE, UNEVEN, random_model
from tests.reference.random_stream import RandomStream
from tests.vectors.ivf import read_ivf
from tests.vectors.make_golden import FOLDER

# The limits of docs/numerics.md section 6, but for the encoder and the number of blocks.
LARGEST = ModelConfig(8, 8, 0, 512, 1024, 1, 512, 1024, 1, stages=8)
MODELS = {
    "tiny": TINY_MODEL.read_bytes(),
    "uneven": random_model(UNEVEN, 1)[0],
    "least": random_model(ONE_STAGE, 2)[0],
    "largest": random_model(LARGEST, 3)[0],
}


@functools.cache
def emulation() -> _core.CudaLibrary:
    """The backend on the host.

    Its devices differ in their order of work, which must not matter: 1 does nothing before the host
    waits, 2 runs the blocks of a launch and the threads of a block backwards, 3 does both.
    """
    return _core.CudaLibrary()


def open_decoder(
    device: int = 0, library: _core.CudaLibrary | None = None, **options: Any
) -> _core.CudaDecoder:
    """With the frozen test model and one of other sizes."""
    models = [tiny_model(), _core.Model(MODELS["uneven"])]
    return _core.CudaDecoder(library or emulation(), models, device=device, **options)


def drain(decoder: _core.CudaDecoder) -> list[_core.Frame]:
    """The pictures that are ready, on the host."""
    pictures = []
    while (frame := decoder.receive_host()) is not None:
        pictures.append(frame)
    return pictures


def decode_all(packets: Iterable[bytes], decoder: _core.CudaDecoder) -> list[_core.Frame]:
    """All pictures of a stream, on the host."""
    pictures = []
    for data in packets:
        decoder.send(data)
        pictures += drain(decoder)
    decoder.flush()
    return pictures + drain(decoder)


def encode_all(form: Format, pictures: Iterable[Any], **options: Any) -> list[tuple[Any, ...]]:
    """Packets of a clip with their statistics; `options` are those of _core.Encoder."""
    settings = {"model": tiny_model(), "threads": 2, **options}
    encoder = _core.Encoder(form.sequence, **settings)
    return [
        (packet.data, packet.pts, packet.keyframe, encoder.stats)
        for packet in coded_packets(encoder, pictures, pts=range(10**6))
    ]


@functools.cache
def short_stream() -> tuple[bytes, ...]:
    """Two groups, of three pictures and of two."""
    return tuple(data for data, _ in read_ivf(FOLDER / "64x48_irregular.ivf"))


def forge(packet: bytes, payload: bytes) -> bytes:
    """The packet with another end of its payload and the checksum that fits."""
    size = 4 if packet[0] & 0x80 else 2
    body = packet[: -size - len(payload)] + payload
    return body + (zlib.crc32(body) & (0xFFFFFFFF >> 8 * (4 - size))).to_bytes(size, "little")


@functools.cache
def random_stream(model: str, form: int) -> RandomStream:
    """Three pictures of random symbols; `form` is the header's format."""
    stream = RandomStream(Header(44, 28, format=form), MODELS[model], form, 0.6)
    for frame, layers in enumerate((2, 1, 3)):
        stream.add(frame == 0, layers)
    return stream
