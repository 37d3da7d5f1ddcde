"""Frames in memory for the benchmarks: from a clip, or a texture that moves."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from bsqav.evaluation.io.y4m import Planes, Y4mHeader, split_planes

# Of a clip whose frames are counted, not timed.
ANY_RATE = Fraction(25)


def read_frames(path: Path | str, width: int, height: int, count: int) -> list[Planes]:
    """The clip's frames as 8-bit 4:2:0, forward and backward until there are `count`.

    The clip is scaled to width x height, both even; 0 keeps its size.
    """
    from bsqav.media.demux.tag_encoding import open_av

    frames: list[Planes] = []
    with open_av(str(path)) as container:
        for frame in container.decode(video=0):
            frame = frame.reformat(width=width or None, height=height or None, format="yuv420p")
            header = Y4mHeader(frame.width, frame.height, ANY_RATE)
            frames.append(split_planes(frame.to_ndarray().tobytes(), header))
            if len(frames) == count:
                break
    turn = frames + frames[-2:0:-1]
    return [turn[i % len(turn)] for i in range(count)]


def moving_texture(width: int, height: int, count: int) -> list[Planes]:
    """A smooth random frame that moves by (2, 1) samples a frame; sides must be even."""
    rng = np.random.default_rng(1)
    small = rng.integers(30, 220, ((height + count) // 6 + 3, (width + 2 * count) // 6 + 3))
    big = np.kron(small, np.ones((6, 6)))
    for axis in (0, 1):  # without it squares of one value, which are coded as drawn
        big = np.lib.stride_tricks.sliding_window_view(big, 6, axis).mean(-1)
    big = big.astype(np.uint8)
    gray = np.full((height // 2, width // 2), 128, np.uint8)
    return [
        (np.ascontiguousarray(big[i : i + height, 2 * i : 2 * i + width]), gray, gray)
        for i in range(count)
    ]
