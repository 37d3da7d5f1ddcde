"""Decoders of the CUDA backend, and streams through them."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterable
from typing import Any

from bsqav import _core
from tests.codec.streams import Format, clip, encode, old_models, tiny_model


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
    """With all test models."""
    models = [tiny_model(), *old_models()]
    return _core.CudaDecoder(library or emulation(), models, device=device, **options)


def drain(decoder: _core.CudaDecoder) -> list[_core.Picture]:
    """The pictures that are ready, on the host."""
    pictures = []
    while (picture := decoder.receive_host()) is not None:
        pictures.append(picture)
    return pictures


def decode_all(packets: Iterable[bytes], decoder: _core.CudaDecoder) -> list[_core.Picture]:
    """All pictures of a stream, on the host."""
    pictures = []
    for data in packets:
        decoder.send(data)
        pictures += drain(decoder)
    decoder.flush()
    return pictures + drain(decoder)


@functools.cache
def short_stream() -> tuple[bytes, ...]:
    """Two groups of three pictures."""
    return tuple(encode(clip(Format(70, 50), 6), Format(70, 50), gop=3, crf=24).packets)


def forge(packet: bytes, payload: bytes) -> bytes:
    """The packet with another end of its payload and the checksum that fits."""
    size = 4 if packet[0] & 0x80 else 2
    body = packet[: -size - len(payload)] + payload
    return body + (zlib.crc32(body) & (0xFFFFFFFF >> 8 * (4 - size))).to_bytes(size, "little")
