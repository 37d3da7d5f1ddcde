"""Packs photos and clips into shards of planar 4:2:0 samples that training reads as a whole.

A shard is an .npz of at most 60 MB with one array: `clips` [N, T, 3/2 * S, S] uint8 (luma rows,
then both chroma planes side by side) or `photos`, the same with T = 1.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from bsqav.errors import MediaError
from bsqav.media.demux.tag_encoding import open_av

Samples = npt.NDArray[np.uint8]
SHARD_BYTES = 60_000_000
PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
# Below this many coded bits a sample, the source's own artefacts are halved away before use.
CLEAN_BITS_PER_PIXEL = 0.25


@dataclass(frozen=True)
class PackConfig:
    """size: side of the squares in luma samples, a multiple of 16; frames: length of a clip."""

    size: int = 160
    frames: int = 6
    squares_per_clip: int = 60
    squares_per_photo: int = 10
    seed: int = 1


def frame_to_array(frame: av.VideoFrame) -> Samples:
    """A yuv420p frame of even size -> [3/2 * H, W]."""
    return np.ascontiguousarray(frame.to_ndarray(format="yuv420p"))


def _even(value: float, least: int) -> int:
    return max(least, round(value / 2) * 2)


def _scaled(frame: av.VideoFrame, scale: float, least: int) -> Samples:
    width, height = frame.width * scale, frame.height * scale
    grow = max(1.0, least / min(width, height))
    frame = frame.reformat(
        width=_even(width * grow, least),
        height=_even(height * grow, least),
        format="yuv420p",
        dst_color_range="MPEG",
        interpolation="AREA" if scale < 1 else "BICUBIC",
    )
    return frame_to_array(frame)


def cut(planes: Samples, x: int, y: int, size: int) -> Samples:
    """A square of `size` luma samples at even (x, y) out of a [3/2 * H, W] array."""
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    half = chroma[:, y // 2 : (y + size) // 2, x // 2 : (x + size) // 2]
    square = np.empty((size * 3 // 2, size), np.uint8)
    square[:size] = planes[y : y + size, x : x + size]
    square[size:] = half.transpose(1, 0, 2).reshape(size // 2, size)
    return square


def crop(square: Samples, x: int, y: int, size: int) -> Samples:
    """A smaller square at even (x, y) out of a packed one, [3/2 * S, S]."""
    side, half = square.shape[-1], slice(y // 2, (y + size) // 2)
    luma, chroma = square[y : y + size, x : x + size], square[side:][half]
    parts = [chroma[:, f + x // 2 : f + (x + size) // 2] for f in (0, side // 2)]
    return np.concatenate([luma, np.concatenate(parts, 1)])


def square_planes(square: Samples) -> list[Samples]:
    """y [S, S], u and v [S/2, S/2] of a packed square, each in memory of its own."""
    side = square.shape[-1]
    planes = square[:side], square[side:, : side // 2], square[side:, side // 2 :]
    return [np.ascontiguousarray(plane) for plane in planes]


def _places(
    planes: Samples, size: int, count: int, rng: random.Random
) -> Iterator[tuple[int, int]]:
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    for _ in range(count):
        x, y = rng.randint(0, width - size), rng.randint(0, height - size)
        yield x // 2 * 2, y // 2 * 2


def _read_clip(path: Path, scale: float, least: int, most: int) -> list[Samples]:
    with open_av(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        rate = float(stream.average_rate or 25)
        keep = 2 if rate > 40 else 1
        frames: list[Samples] = []
        for index, frame in enumerate(container.decode(stream)):
            if index % keep == 0:
                frames.append(_scaled(frame, scale, least))
            if len(frames) >= most:
                break
    return frames


def _bits_per_pixel(path: Path) -> float:
    with open_av(str(path)) as container:
        stream = container.streams.video[0]
        seconds = float((container.duration or 1_000_000) / 1_000_000)
        pixels = stream.width * stream.height * float(stream.average_rate or 25) * seconds
    return float(path.stat().st_size * 8 / max(pixels, 1.0))


def clip_squares(path: Path, config: PackConfig, rng: random.Random) -> Iterator[Samples]:
    """Squares [T, 3/2 * S, S] from one clip, at full or half size."""
    low = _bits_per_pixel(path) < CLEAN_BITS_PER_PIXEL
    for scale in (0.5,) if low else (1.0, 0.5):
        frames = _read_clip(path, scale, config.size, 400)
        if len(frames) < config.frames:
            continue
        count = config.squares_per_clip if scale < 1 else config.squares_per_clip // 2
        for x, y in _places(frames[0], config.size, count, rng):
            start = rng.randint(0, len(frames) - config.frames)
            part = frames[start : start + config.frames]
            yield np.stack([cut(planes, x, y, config.size) for planes in part])


def photo_squares(path: Path, config: PackConfig, rng: random.Random) -> Iterator[Samples]:
    """Squares [1, 3/2 * S', S'] from one photo at several scales; S' leaves room for motion."""
    size = config.size * 3 // 2 // 16 * 16
    with open_av(str(path)) as container:
        frame = next(container.decode(container.streams.video[0]))
        for _ in range(config.squares_per_photo):
            scale = rng.choice([1.0, 0.75, 0.5]) if max(frame.width, frame.height) > 600 else 1.0
            if scale == 1.0 and max(frame.width, frame.height) > 1200:
                scale = 0.5
            planes = _scaled(frame, scale, size)
            for x, y in _places(planes, size, 1, rng):
                yield cut(planes, x, y, size)[None]


def _write(out: Path, kind: str, squares: list[Samples], number: int) -> None:
    arrays: dict[str, Any] = {kind: np.stack(squares)}
    np.savez(out / f"{kind}-{number:03d}.npz", **arrays)


def pack(source: Path, out: Path, config: PackConfig | None = None) -> dict[str, int]:
    """Reads every photo and clip below `source` and writes shards into `out`.

    Returns the number of squares of each kind. Files that cannot be read are skipped and counted
    under "unreadable". Raises MediaError when nothing at all was found.
    """
    config = config or PackConfig()
    rng = random.Random(config.seed)
    out.mkdir(parents=True, exist_ok=True)
    counts = {"clips": 0, "photos": 0, "unreadable": 0}
    held: dict[str, list[Samples]] = {"clips": [], "photos": []}
    shards = {"clips": 0, "photos": 0}
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        kind = "photos" if path.suffix.lower() in PHOTO_SUFFIXES else "clips"
        squares = photo_squares if kind == "photos" else clip_squares
        try:
            for square in squares(path, config, rng):
                held[kind].append(square)
                counts[kind] += 1
        except (av.error.FFmpegError, StopIteration, IndexError):
            counts["unreadable"] += 1
        rng.shuffle(held[kind])
        while held[kind] and len(held[kind]) * held[kind][0].nbytes > SHARD_BYTES:
            fit = max(1, SHARD_BYTES // held[kind][0].nbytes)
            _write(out, kind, held[kind][:fit], shards[kind])
            held[kind] = held[kind][fit:]
            shards[kind] += 1
    for kind, rest in held.items():
        if rest:
            _write(out, kind, rest, shards[kind])
    if not counts["clips"] and not counts["photos"]:
        raise MediaError(f"no readable photo or clip below {source}")
    return counts
