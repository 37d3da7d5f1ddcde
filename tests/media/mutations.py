"""Damage of any kind in small BSQ files: what `verify` accepts must show what the whole file shows.

`python -m tests.media.mutations FOLDER COUNT SEED` makes the files in a folder, damages them COUNT
times, and prints a line for each one that `verify` accepts, and a count of all others.
"""

from __future__ import annotations

import random
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

import bsqav
from bsqav.codec import encode_animation
from bsqav.errors import BsqError
from bsqav.media.demux.inputs import open_input
from bsqav.media.inspect.verification import verify
from tests.media.clips import bsq_packets, make_clip, seconds
from tests.media.containers import Pipe

FRAMES = 30
# Times in milliseconds of a clip of a variable rate.
UNEVEN = [
    *(0, 40, 80, 120, 160, 240, 280, 300, 360, 400, 440, 500, 560, 600, 640, 700, 730, 760, 800),
    *(860, 900, 940, 1000, 1050, 1100, 1150, 1180, 1210, 1280, 1330),
]
CLUSTER, VOID = b"\x1fC\xb6u", b"\xec"


@dataclass(frozen=True)
class Shown:
    """What a file shows: the hash of its pictures, and their times in seconds."""

    hash: str
    times: tuple[Fraction, ...]


def shown(path: Path) -> Shown:
    """What `verify` finds, which must accept the file.

    Raises:
        BsqError: it does not.
    """
    found = verify(path, threads=1, warn=lambda _: None)
    with open_input(path) as demuxer:
        track = demuxer.tracks[0]
        times = [
            seconds(packet)
            for packet in bsq_packets(demuxer, track)
            if packet.damage is None and not packet.before_keyframe
        ]
    assert len(times) == found.frames
    return Shown(found.hash, tuple(times))


# ---- the files ----

# Name, clip, and what is asked of transcode.
_FILES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("video.mkv", "plain", {}),
    ("sound.mkv", "sound", {}),
    ("subtitles.mkv", "texts", {}),
    ("uneven.mkv", "uneven", {}),
    ("uneven_video.mkv", "uneven_plain", {"gop": 4}),
    ("video.mov", "plain", {}),
    ("sound.mov", "sound", {}),
    ("subtitles.mov", "texts", {}),
    ("uneven.mov", "uneven", {}),
    ("video.nut", "plain", {}),
    ("sound.nut", "sound", {}),
    ("uneven.nut", "uneven", {}),
    ("sound.m3u8", "sound", {}),
    ("uneven.m3u8", "uneven", {}),
    ("pipe.mkv", "sound", {"format": "matroska"}),
    ("pipe.mov", "sound", {"format": "mov"}),
    ("uneven_pipe.mov", "uneven_plain", {"format": "mov"}),
    ("pipe.nut", "uneven", {"format": "nut"}),
)


def make_files(folder: Path) -> list[Path]:
    """Twenty small files of all containers; returns them."""
    folder.mkdir(parents=True, exist_ok=True)
    small: dict[str, Any] = {"size": (64, 48), "frames": FRAMES}
    clips = {
        "plain": make_clip(folder / "plain_clip.mkv", audio=None, **small),
        "sound": make_clip(folder / "sound_clip.mkv", **small),
        "texts": make_clip(folder / "texts_clip.mp4", subtitles="mov_text", chapters=True, **small),
        "uneven": make_clip(folder / "uneven_clip.mkv", times=UNEVEN, **small),
        "uneven_plain": make_clip(
            folder / "uneven_plain_clip.mkv", audio=None, times=UNEVEN, **small
        ),
    }
    made = []
    for name, clip, asked in _FILES:
        made.append(folder / name)
        if made[-1].exists():
            continue
        options = {"gop": 6, "lookahead": 8, "warn": lambda _: None, **asked}
        if "format" in asked:
            pipe: Any = Pipe()
            bsqav.transcode(clips[clip], pipe, codec="bsq", **options)
            made[-1].write_bytes(pipe.data)
        else:
            bsqav.transcode(clips[clip], made[-1], overwrite=True, **options)
    slope = np.add.outer(np.arange(48) * 3, np.arange(64) * 2)
    drawn = [(slope + 10 * number).clip(0, 255).astype(np.uint8) for number in range(12)]
    made += [folder / "animation.bsq", folder / "still.bsq"]
    made[-2].write_bytes(encode_animation(drawn, gop=3, crf=20))
    made[-1].write_bytes(bsqav.encode_image(drawn[0], crf=20))
    return made


def bytes_of(path: Path) -> Path:
    """The file in which the packets are: of a playlist, that beside it."""
    return path.with_suffix(".mov") if path.suffix == ".m3u8" else path


# ---- the damage ----

Damage = Callable[[bytearray, random.Random], str]


def _span(data: bytearray, rng: random.Random, most: int | None = None) -> tuple[int, int]:
    start = rng.randrange(len(data))
    size = int(2 ** rng.uniform(0, 13))
    return start, min(start + min(size, most or size), len(data))


def flip(data: bytearray, rng: random.Random) -> str:
    """A few bits."""
    places = [rng.randrange(len(data)) for _ in range(rng.choice((1, 1, 1, 2, 5)))]
    for place in places:
        data[place] ^= 1 << rng.randrange(8)
    return f"bits flipped at {places}"


def flip_head(data: bytearray, rng: random.Random) -> str:
    """A byte near the beginning or the end, where heads and tables are."""
    place = rng.randrange(min(600, len(data)))
    place = rng.choice((place, len(data) - 1 - place))
    data[place] = rng.randrange(256)
    return f"byte {place} set to {data[place]}"


def zeros(data: bytearray, rng: random.Random) -> str:
    """A run of zeros."""
    start, end = _span(data, rng)
    data[start:end] = bytes(end - start)
    return f"zeros in {start}..{end}"


def noise(data: bytearray, rng: random.Random) -> str:
    """A run of any bytes."""
    start, end = _span(data, rng)
    data[start:end] = rng.randbytes(end - start)
    return f"noise in {start}..{end}"


def remove(data: bytearray, rng: random.Random) -> str:
    """Bytes are gone."""
    start, end = _span(data, rng)
    del data[start:end]
    return f"removed {start}..{end}"


def repeat(data: bytearray, rng: random.Random) -> str:
    """Bytes are there twice."""
    start, end = _span(data, rng)
    data[end:end] = data[start:end]
    return f"twice {start}..{end}"


def replace(data: bytearray, rng: random.Random) -> str:
    """Bytes stand in the place of others."""
    start, end = _span(data, rng)
    place = rng.randrange(len(data) - (end - start) + 1)
    data[place : place + end - start] = data[start:end]
    return f"{start}..{end} over {place}"


def move(data: bytearray, rng: random.Random) -> str:
    """Bytes stand elsewhere."""
    start, end = _span(data, rng)
    part = data[start:end]
    del data[start:end]
    place = rng.randrange(len(data) + 1)
    data[place:place] = part
    return f"{start}..{end} moved to {place}"


def cut(data: bytearray, rng: random.Random) -> str:
    """The end is missing."""
    size = rng.randrange(len(data))
    if rng.random() < 0.5:
        size = max(1, len(data) - int(2 ** rng.uniform(0, 11)))
    del data[size:]
    return f"cut to {size}"


def _elements(data: bytearray) -> list[tuple[int, int]]:
    """Spans of what looks like blocks and clusters of Matroska, or boxes of MOV."""
    found = []
    for place in range(len(data) - 8):
        if data[place] in (0xA3, 0xA0) and data[place + 1] & 0xC0:
            wide = data[place + 1] & 0x80 == 0
            size = int.from_bytes(data[place + 1 : place + 2 + wide], "big")
            size = (size & (0x3FFF if wide else 0x7F)) + 2 + wide
            if place + size < len(data) and data[place + size] in (0xA3, 0xA0, 0x1F, 0x1C, 0xEC):
                found.append((place, place + size))
        elif bytes(data[place : place + 4]) == CLUSTER and data[place + 4] & 0xF0:
            width = 9 - data[place + 4].bit_length()
            head = int.from_bytes(data[place + 4 : place + 4 + width], "big")
            size = (head & ((1 << 7 * width) - 1)) + 4 + width
            if place + size <= len(data):
                found.append((place, place + size))
        elif bytes(data[place + 4 : place + 8]) in (b"moof", b"mdat", b"trak", b"mfra", b"edts"):
            size = int.from_bytes(data[place : place + 4], "big")
            if 8 <= size <= len(data) - place:
                found.append((place, place + size))
    return found


def void(data: bytearray, rng: random.Random) -> str:
    """An element, or several, become one that readers pass over."""
    spans = _elements(data)
    if not spans:
        return zeros(data, rng)
    at = rng.randrange(len(spans))
    start, end = spans[at]
    if data[start] in (0xA3, 0xA0):
        for following in spans[at + 1 : at + rng.choice((1, 1, 4, 7, 13))]:
            if following[0] == end:
                end = following[1]
    if bytes(data[start + 4 : start + 8]).isalpha():
        data[start + 4 : start + 8] = b"free"
    else:
        size = end - start
        head = bytes([0xEC, 0x80 | size - 2]) if size < 120 else None
        head = head or b"\xec\x01" + (size - 9).to_bytes(7, "big")
        data[start:end] = head + bytes(size - len(head))
    return f"void over {start}..{end}"


def drop(data: bytearray, rng: random.Random) -> str:
    """An element is gone, or stands elsewhere."""
    spans = _elements(data)
    if not spans:
        return remove(data, rng)
    start, end = rng.choice(spans)
    part = data[start:end]
    del data[start:end]
    if rng.random() < 0.5:
        return f"element {start}..{end} removed"
    place = min(rng.choice(spans)[0], len(data))
    data[place:place] = part
    return f"element {start}..{end} moved to {place}"


DAMAGES: tuple[Damage, ...] = (
    *(flip, flip_head, zeros, noise, remove, repeat, replace, move, cut, void, drop),
)


@dataclass(frozen=True)
class Accepted:
    """A damaged file that `verify` accepts."""

    file: str
    damage: str
    same: bool  # pictures and times are those of the whole file


def damage_files(
    files: list[Path], folder: Path, count: int, seed: int
) -> tuple[list[Accepted], Counter[str]]:
    """Damages files in turn; returns what `verify` accepts, and how the others fail."""
    rng = random.Random(seed)
    whole = {path: shown(path) for path in files}
    accepted, refused = [], Counter[str]()
    for number in range(count):
        path = files[number % len(files)]
        # A playlist is short, and most of its bytes say little.
        target = path if rng.random() < 0.2 else bytes_of(path)
        data = bytearray(target.read_bytes())
        before = bytes(data)
        damage = rng.choice(DAMAGES)
        what = f"{target.suffix} {damage.__name__}: {damage(data, rng)}"
        for name in {path, bytes_of(path)}:
            (folder / name.name).write_bytes(name.read_bytes())
        if bytes(data) == before:
            continue
        (folder / target.name).write_bytes(data)
        try:
            found = shown(folder / path.name)
        except (BsqError, OSError) as error:
            refused[type(error).__name__] += 1
        else:
            accepted.append(Accepted(path.name, what, found == whole[path]))
    return accepted, refused


def main() -> None:
    """See above."""
    folder, count, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    warnings.simplefilter("ignore")
    files = make_files(folder / "whole")
    place = folder / f"damaged{seed}"
    place.mkdir(exist_ok=True)
    accepted, refused = damage_files(files, place, count, seed)
    for each in accepted:
        print("same " if each.same else "OTHER", each.file, each.damage)
    print(
        len(accepted),
        "accepted,",
        sum(not each.same for each in accepted),
        "other;",
        *refused.items(),
    )


if __name__ == "__main__":
    main()
