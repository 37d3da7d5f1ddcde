"""Test clips: those in the folder BSQAV_DATA, or synthesised ones of the same names and kinds.

`python -m tests.media_data FOLDER` writes the synthesised clips.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# Of running water, without a cut: 20 frames of 640x360.
WATER = "eval/clips/brink_20_640x360.mp4"
# Detail that moves fast, 30 frames of 320x180; the synthesised one has a scene cut.
DETAIL = "eval/clips/cherries_30_320x180.mp4"
# MPEG-1 in a program stream, for which FFmpeg states 50 fields a second as the base rate.
PROGRAM_STREAM = "train/clips/grid-bbaf2n.mpg"
# H.264 and AAC in MP4, with frames at irregular times.
IRREGULAR = "train/clips/androidx-sample_with_increasing_timestamps_360p.mp4"

_SAMPLE_RATE = 48000
_MARGIN = 96  # samples of texture around the frame, into which it may move


def shared_data() -> Path | None:
    """The folder that BSQAV_DATA names (train/ and eval/ in it), None where it is not set.

    Raises:
        NotADirectoryError: BSQAV_DATA names something that is no folder.
    """
    name = os.environ.get("BSQAV_DATA")
    if not name:
        return None
    folder = Path(name)
    if not folder.is_dir():
        raise NotADirectoryError(f"BSQAV_DATA={name} is not a folder")
    return folder


def write_data(folder: Path) -> Path:
    """Writes the synthesised clips into a folder, and returns it."""
    _write(folder / WATER, moving_texture((640, 360), 20, seed=1))
    cut = [*moving_texture((320, 180), 18, seed=2), *moving_texture((320, 180), 12, seed=3)]
    _write(folder / DETAIL, cut)
    program = moving_texture((360, 288), 75, seed=4)
    _write(folder / PROGRAM_STREAM, program, encoder="mpeg1video", rate=25)
    # Steps of 26 to 38 milliseconds.
    times = [34 * n + (0, 2, 5, -3, 1)[n % 5] for n in range(45)]
    _write(folder / IRREGULAR, moving_texture((640, 360), 45, seed=5), times=times, sound=True)
    return folder


def moving_texture(size: tuple[int, int], count: int, seed: int) -> Iterator[av.VideoFrame]:
    """Frames of a scene in yuv420p: a background that pans and ripples, an object, and noise."""
    width, height = size
    random = np.random.default_rng(seed)
    padded = (height + 2 * _MARGIN, width + 2 * _MARGIN)
    background = [_texture(random, padded) for _ in range(3)]
    object_side = height // 3
    moving = _texture(random, (object_side, object_side))
    for number in range(count):
        planes = []
        for plane, (texture, contrast) in enumerate(zip(background, (45, 12, 12), strict=True)):
            picture = 120 + contrast * _view(texture, size, number)
            if plane == 0:
                left = int(width / 8 + 2.5 * number) % (width - object_side)
                top = int(height / 3 + height / 12 * np.sin(number / 6))
                place = picture[top : top + object_side, left : left + object_side]
                place[:] = 140 + 40 * moving
                picture += random.normal(0, 1.5, picture.shape)
            else:
                picture = picture[::2, ::2]
            planes.append(np.clip(np.rint(picture), 16, 235).astype(np.uint8).reshape(-1))
        samples = np.concatenate(planes).reshape(height * 3 // 2, width)
        yield av.VideoFrame.from_ndarray(samples, format="yuv420p")


def _texture(random: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Noise with a spectrum like that of photographs, of mean 0 and deviation 1."""
    rows, columns = (np.fft.fftfreq(side)[:, None] for side in shape)
    frequency = np.hypot(rows, columns.T)
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(random.normal(size=shape)) / frequency**1.2
    spectrum[0, 0] = 0
    texture: Array = np.fft.ifft2(spectrum).real
    texture /= texture.std()
    return texture


def _view(texture: Array, size: tuple[int, int], number: int) -> Array:
    """The part of a texture that a frame shows: panned, with waves that run through its rows."""
    width, height = size
    rows = np.arange(height)
    left = _MARGIN / 2 + 0.9 * number + 1.5 * np.sin(rows / 11 + number / 3)
    top = int(_MARGIN / 2 + 0.3 * number)
    whole = np.floor(left).astype(int)
    share = (left - whole)[:, None]
    at = whole[:, None] + np.arange(width)
    lines = texture[top : top + height]
    left = np.take_along_axis(lines, at, axis=1)
    right = np.take_along_axis(lines, at + 1, axis=1)
    view: Array = (1 - share) * left + share * right
    return view


def _write(
    path: Path,
    frames: Iterable[av.VideoFrame],
    *,
    encoder: str = "libx264",
    rate: int = 30,
    times: Sequence[int] | None = None,
    sound: bool = False,
) -> None:
    """Encodes frames into a file; `times` are milliseconds, a constant rate without them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream(encoder, rate=rate)
        video.pix_fmt = "yuv420p"
        video.bit_rate = 4_000_000
        if encoder == "libx264":
            video.options = {"crf": "16", "preset": "veryfast", "bf": "0"}
        track: Any = container.add_stream("aac", rate=_SAMPLE_RATE) if sound else None
        unit = Fraction(1, 1000) if times else Fraction(1, rate)
        video.time_base = video.codec_context.time_base = unit
        for number, frame in enumerate(frames):
            if number == 0:
                video.width, video.height = frame.width, frame.height
            frame.pts, frame.time_base = times[number] if times else number, unit
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if track is not None:
            for part in _tone((number + 1) / rate):
                container.mux(track.encode(part))
            container.mux(track.encode(None))


def _tone(seconds: float) -> Iterator[av.AudioFrame]:
    """A stereo tone in pieces of 1024 samples, the first after AAC's 1024 samples of priming."""
    for start in range(1024, int(seconds * _SAMPLE_RATE), 1024):
        angle = np.arange(start, start + 1024) * (2 * np.pi * 440 / _SAMPLE_RATE)
        samples = np.tile(0.3 * np.sin(angle), (2, 1)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = _SAMPLE_RATE, start
        yield frame


if __name__ == "__main__":
    write_data(Path(sys.argv[1]))
