"""Damage of any kind in the packets of a stream with B frames costs no more than it must.

`python -m tests.codec.damage COUNT SEED` damages a stream COUNT times, checks what a decoder shows
then, and prints counts and the time.
"""

from __future__ import annotations

import random
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

from bsqav import _core
from bsqav.errors import BitstreamError, BsqError
from tests.codec.streams import Format, Stream, clip, encode, picture_hash, tiny_model
from tests.reference.bitstream import Frame, PacketParser
from tests.reference.groups import lost_packets

# Of a stream of two groups: a keyframe and two groups of eight each.
GOP = 17


def group_stream(form: Format) -> Stream:
    """Two groups of frames with B frames."""
    options: dict[str, Any] = {"gop": GOP, "scene_cut": False, "crf": 30, "preset": "fast"}
    return encode(clip(form, 2 * GOP, calm=True), form, lookahead=24, bframes=7, **options)


def coded_frames(stream: Stream) -> list[Sequence[Frame]]:
    """The frames coded in every packet."""
    parser = PacketParser()
    return [parser.parse(packet).frames for packet in stream.packets]


def flip(data: bytes, bit: int) -> bytes:
    """The data with one bit changed."""
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def flip_some(data: bytes, rng: random.Random) -> bytes:
    """The data with a few bits changed."""
    for _ in range(rng.choice([1, 1, 2, 8])):
        data = flip(data, rng.randrange(8 * len(data)))
    return data


def seal(data: bytes) -> bytes:
    """The data with a new checksum in place of its own, as an attacker would."""
    size = 4 if data[0] & 0x80 else 2
    body = data[:-size]
    return body + (zlib.crc32(body) & (1 << 8 * size) - 1).to_bytes(size, "little")


def flip_and_seal(data: bytes, rng: random.Random) -> bytes:
    """Changed bits, and at times a missing end, behind a checksum that fits."""
    data = flip_some(data, rng)
    if rng.random() < 0.3:
        data = data[: rng.randrange(min(5, len(data)), len(data) + 1)]
    return seal(data)


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def _noise(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    end = rng.randrange(start, len(data)) + 1
    return data[:start] + rng.randbytes(end - start) + data[end:]


def _lose(data: bytes, rng: random.Random) -> bytes | None:
    del data, rng
    return None


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes | None]] = {
    "lost": _lose,
    "bits": flip_some,
    "cut": _cut,
    "noise": _noise,
    "sealed": flip_and_seal,
}


def shown(packets: Sequence[bytes | None]) -> list[_core.Frame | None]:
    """What a decoder shows for every packet; None where the packet is lost, or nothing comes."""
    decoder = _core.Decoder([tiny_model()])
    found: list[_core.Frame | None] = []
    for data in packets:
        frame = None
        if data is not None:
            try:
                decoder.send(data)
            except BsqError as error:
                if isinstance(error, BitstreamError):
                    assert not any(found), "there is a frame to show again"
            else:
                frame = decoder.receive()
        found.append(frame)
    return found


def check(
    stream: Stream, frames: Sequence[Sequence[Frame]], at: int, data: bytes | None, hidden: bool
) -> tuple[int, int]:
    """Checks what is shown with `data` for packet `at`; returns frames shown exactly, and others.

    All frames but those that depend on the packet are exact. Where a new checksum hides the damage,
    only those before it and those of the other group are.
    """
    packets: list[bytes | None] = [*stream.packets[:at], data, *stream.packets[at + 1 :]]
    end = at - at % GOP + GOP
    lost: Collection[int] = range(at, end) if hidden else lost_packets(frames, {at})
    exact = 0
    for number, frame in enumerate(shown(packets)):
        whole = (stream.hashes[number], stream.pts[number])
        if number not in lost:
            assert frame is not None
            assert not frame.concealed
            assert (picture_hash(frame), frame.pts) == whole
        elif not hidden:
            assert frame is None or frame.concealed
        exact += frame is not None and (picture_hash(frame), frame.pts) == whole
    return exact, len(packets) - exact


def damage_packets(stream: Stream, count: int, seed: int) -> Counter[str]:
    """Damages one packet, `count` times; counts kinds of damage, and frames."""
    rng = random.Random(seed)
    frames = coded_frames(stream)
    counts: Counter[str] = Counter()
    for _ in range(count):
        kind = rng.choice(list(DAMAGES))
        at = rng.randrange(len(stream.packets))
        data = DAMAGES[kind](stream.packets[at], rng)
        if data == stream.packets[at]:
            continue
        exact, others = check(stream, frames, at, data, kind == "sealed")
        info = _core.probe_packet(stream.packets[at])
        leaf = info["frames"] > 0 and info["held_frames"] == 0
        if leaf and kind != "sealed":
            assert others <= 1, "a packet that others do not need costs its own frame"
            counts["leaves"] += 1
        counts[kind] += 1
        counts["exact frames"] += exact
        counts["other frames"] += others
    return counts


def main() -> None:
    """See above."""
    count, seed = int(sys.argv[1]), int(sys.argv[2])
    stream = group_stream(Format(64, 48))
    begin = time.monotonic()
    counts = damage_packets(stream, count, seed)
    print(*(f"{number} {name}" for name, number in sorted(counts.items())), sep=", ")
    print(f"{time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
