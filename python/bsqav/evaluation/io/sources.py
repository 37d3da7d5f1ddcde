"""Reading any clip into a y4m file, exactly as long as asked.

A clip shorter than asked is played forward and backward, so that real motion fills the length.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from bsqav.errors import UsageError
from bsqav.evaluation.io.errors import SourceError
from bsqav.evaluation.io.images import Pixels, read_pixels
from bsqav.evaluation.io.y4m import Plane, Planes, Y4mFile, Y4mHeader, Y4mWriter
from bsqav.media.demux.tag_encoding import open_av

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_FALLBACK_RATE = Fraction(25)
_DIRECT = ("yuv420p", "yuvj420p")


@dataclass(frozen=True)
class Source:
    """A clip in y4m form, with what was done to it on the way (`notes`).

    matrix      "bt709" or "bt601": how its samples become RGB; by the stream's tag, else by size
    full_range  whether they use all of 0 to 255
    """

    path: Path
    header: Y4mHeader
    frames: int
    notes: tuple[str, ...] = field(default=())
    matrix: str = "bt601"
    full_range: bool = False


def read_source(
    clip: Path,
    y4m: Path,
    *,
    frames: int | None = None,
    scale: tuple[int, int] | None = None,
) -> Source:
    """Decode the first video stream of `clip` into `y4m` as 8-bit 4:2:0.

    frames  how many; None takes the whole clip, more than it has plays it forward and backward
    scale   (width, height) in pixels; None keeps the size

    The frame rate is the stream's mean rate, also for clips of variable rate; rotation is not
    applied and full-range luma stays as it is. All codecs are compared on the same pictures.

    Raises FileNotFoundError, UsageError (a ValueError) for a count or size below one, and
    SourceError for what holds no decodable video or breaks before the frames asked for.
    """
    if frames is not None and frames < 1:
        raise UsageError(f"frames is {frames}; at least 1 is needed")
    if scale is not None and min(scale) < 1:
        raise UsageError(f"scale is {scale[0]}x{scale[1]}; each side needs at least 1 pixel")
    if not clip.exists():
        raise FileNotFoundError(f"{clip}: no such file")
    try:
        with open_av(str(clip)) as container:
            header, notes = _decode(container, clip, y4m, frames, scale)
            matrix, full_range = _colour(container.streams.video[0], header)
    except (av.error.FFmpegError, OSError) as error:
        raise SourceError(f"{clip}: cannot be read as video: {error}") from error
    count = len(Y4mFile(y4m))
    if count == 0:
        raise SourceError(f"{clip}: holds no video frame")
    if frames is not None and frames > count:
        ping_pong(y4m, frames)
        notes.append(f"{count} frames played forward and backward to {frames}")
        count = frames
    return Source(y4m, header, count, tuple(notes), matrix, full_range)


def read_picture(path: Path, y4m: Path, scale: tuple[int, int] | None = None) -> Source:
    """Reads a still picture, upright and without transparency, into a y4m file of one 4:4:4 frame.

    The samples are BT.601 in full range, as in JPEG files.

    Raises FileNotFoundError, and SourceError for what Pillow cannot read.
    """
    pixels = read_pixels(path, scale)
    header = write_pixels(pixels, y4m)
    return Source(y4m, header, 1, (), "bt601", True)


def write_pixels(pixels: Pixels, y4m: Path) -> Y4mHeader:
    """Writes RGB as a y4m file of one 4:4:4 frame, BT.601 in full range."""
    header = Y4mHeader(pixels.shape[1], pixels.shape[0], Fraction(1), "444")
    with Y4mWriter(y4m, header) as writer:
        writer.write(_rgb_planes(pixels))
    return header


def _rgb_planes(pixels: Pixels) -> Planes:
    """Y, U and V of RGB, rounded to the nearest; libswscale would round chroma down."""
    rgb = pixels.astype(np.float32)
    luma = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    blue = 128 + (rgb[..., 2] - luma) / np.float32(1.772)
    red = 128 + (rgb[..., 0] - luma) / np.float32(1.402)
    y, u, v = (np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in (luma, blue, red))
    return y, u, v


def planes_to_rgb(planes: Planes, matrix: str, full_range: bool) -> Pixels:
    """Y, U and V as RGB uint8 [H, W, 3], chroma interpolated."""
    y, u, _ = planes
    kind = "yuv444p" if u.shape == y.shape else "yuv420p"
    frame = av.VideoFrame(y.shape[1], y.shape[0], kind)
    for plane, samples in zip(frame.planes, planes, strict=True):
        lines = np.zeros((samples.shape[0], plane.line_size), np.uint8)
        lines[:, : samples.shape[1]] = samples
        plane.update(lines.tobytes())
    made = frame.reformat(
        format="rgb24",
        src_colorspace="ITU709" if matrix == "bt709" else "ITU601",
        src_color_range="JPEG" if full_range else "MPEG",
        dst_color_range="JPEG",
        interpolation="BICUBIC",
    )
    return made.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def _colour(stream: "VideoStream", header: Y4mHeader) -> tuple[str, bool]:
    """Matrix and range of a stream; without a tag, SD is BT.601 and HD BT.709."""
    context = stream.codec_context
    by_tag = {1: "bt709", 5: "bt601", 6: "bt601"}
    by_size = "bt709" if header.height > 576 else "bt601"
    matrix = by_tag.get(int(context.colorspace), by_size)
    return matrix, int(context.color_range) == 2 or context.pix_fmt == "yuvj420p"


def ping_pong(y4m: Path, frames: int) -> None:
    """Lengthen a y4m file in place to `frames`: 0 1 2 3, then 2 1 0, then 1 2 3 and so on."""
    source = Y4mFile(y4m)
    count = len(source)
    period = max(1, 2 * (count - 1))
    with y4m.open("ab") as stream:
        for i in range(count, frames):
            phase = i % period
            planes = source[phase if phase < count else period - phase]
            stream.write(b"FRAME\n" + b"".join(plane.tobytes() for plane in planes))


def _decode(
    container: "InputContainer",
    clip: Path,
    y4m: Path,
    frames: int | None,
    scale: tuple[int, int] | None,
) -> tuple[Y4mHeader, list[str]]:
    if not container.streams.video:
        raise SourceError(f"{clip}: holds no video stream")
    stream = container.streams.video[0]
    if getattr(stream, "codec_context", None) is None:
        raise SourceError(f"{clip}: FFmpeg has no decoder for its video stream")
    stream.thread_type = "AUTO"
    rate = _rate(stream)
    writer: Y4mWriter | None = None
    notes: list[str] = []
    try:
        for frame in container.decode(stream):
            if writer is None:
                width, height = scale or (frame.width, frame.height)
                header = Y4mHeader(width, height, rate)
                writer = Y4mWriter(y4m, header)
                notes = _notes(frame, header)
            try:
                writer.write(frame_planes(frame, scale))
            except SourceError as error:
                raise SourceError(f"{clip}: {error}; give a fixed size by scale") from error
            if writer.frames == frames:
                break
    except av.error.FFmpegError as error:
        done = writer.frames if writer else 0
        raise SourceError(f"{clip}: decoding broke after {done} frames: {error}") from error
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise SourceError(f"{clip}: holds no video frame")
    return writer.header, notes


def frame_planes(frame: Any, scale: tuple[int, int] | None = None) -> Planes:
    """Y, U and V of a PyAV frame as uint8 arrays without line padding; 4:2:0 whatever it was.

    RGB is converted by the BT.709 matrix; deeper or denser pictures are reduced by swscale.
    """
    name = str(frame.format.name)
    size = scale or (frame.width, frame.height)
    if name not in _DIRECT or size != (frame.width, frame.height):
        matrix = "ITU709" if frame.format.is_rgb else None
        target = name if name in _DIRECT else "yuv420p"
        frame = frame.reformat(
            width=size[0],
            height=size[1],
            format=target,
            dst_colorspace=matrix,
            interpolation="LANCZOS",
        )
    y, u, v = frame.planes[:3]
    chroma = ((frame.width + 1) // 2, (frame.height + 1) // 2)
    return _plane(y, frame.width, frame.height), _plane(u, *chroma), _plane(v, *chroma)


def _plane(plane: Any, width: int, height: int) -> Plane:
    """The picture part of a plane whose lines are `line_size` bytes apart."""
    flat = np.frombuffer(plane, dtype=np.uint8)
    lines = flat[: plane.line_size * height].reshape(height, plane.line_size)
    return lines[:, :width]


def _rate(stream: "VideoStream") -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate is not None and rate > 0:
            return Fraction(rate).limit_denominator(100_000)
    return _FALLBACK_RATE


def _notes(frame: Any, header: Y4mHeader) -> list[str]:
    notes = []
    if frame.format.name not in _DIRECT:
        notes.append(f"converted from {frame.format.name} to yuv420p")
    if (frame.width, frame.height) != (header.width, header.height):
        notes.append(f"scaled from {frame.width}x{frame.height} to {header.width}x{header.height}")
    return notes
