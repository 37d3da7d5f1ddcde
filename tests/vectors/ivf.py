"""IVF: the plainest container there is, for test vectors and for the C example."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

FOURCC = b"BSQ1"
_HEADER = struct.Struct("<4sHH4sHHIIII")
_FRAME = struct.Struct("<IQ")


def write_ivf(
    path: Path,
    packets: Sequence[bytes],
    pts: Sequence[int],
    size: tuple[int, int],
    time_base: tuple[int, int],
) -> None:
    """Writes packets with their timestamps, in ticks of the time base, which are not negative."""
    width, height = size
    data = _HEADER.pack(
        b"DKIF", 0, 32, FOURCC, width, height, time_base[1], time_base[0], len(packets), 0
    )
    for packet, tick in zip(packets, pts, strict=True):
        data += _FRAME.pack(len(packet), tick) + packet
    path.write_bytes(data)


def read_ivf(path: Path) -> Iterator[tuple[bytes, int]]:
    """Packets and timestamps of a file."""
    data = path.read_bytes()
    magic, _, at, fourcc, *_ = _HEADER.unpack_from(data)
    if magic != b"DKIF" or fourcc != FOURCC:
        raise ValueError(f"{path} is not an IVF file with a BSQ1 stream")
    while at < len(data):
        size, pts = _FRAME.unpack_from(data, at)
        at += _FRAME.size
        yield data[at : at + size], pts
        at += size
