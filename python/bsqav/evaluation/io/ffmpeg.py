"""Running the ffmpeg binary of PyPI's imageio-ffmpeg, which carries reference encoders and VMAF.

Programs run inside a work folder with bare file names, so the commands shown in results are the
commands that ran, and no path needs escaping inside a filter graph.
"""

import functools
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from bsqav.evaluation.io.errors import EvaluationError, MissingToolError
from bsqav.evaluation.io.process import run_measured
from bsqav.evaluation.io.y4m import Y4mFile, Y4mHeader

_QUIET = ("-hide_banner", "-nostdin", "-loglevel", "error", "-y")


@dataclass(frozen=True)
class Run:
    """A finished command: its text, wall-clock seconds with the program's start, peak bytes."""

    command: str
    seconds: float
    memory: int | None = None


@functools.cache
def ffmpeg_path() -> str:
    """Path of the ffmpeg binary (IMAGEIO_FFMPEG_EXE overrides it).

    Raises MissingToolError where imageio-ffmpeg is not installed or has no binary for this machine.
    """
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise MissingToolError(
            "reference codecs and metrics need imageio-ffmpeg: pip install 'bsqav[compare]'"
        ) from error
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise MissingToolError(f"imageio-ffmpeg found no ffmpeg binary: {error}") from error


@functools.cache
def ffmpeg_version() -> str:
    """First line of `ffmpeg -version`."""
    return _output("-version").splitlines()[0]


@functools.cache
def encoders() -> frozenset[str]:
    """Names of the encoders in the binary."""
    lines = _output("-encoders").split("------", 1)[-1].splitlines()
    return frozenset(words[1] for words in map(str.split, lines) if len(words) > 1)


@functools.cache
def has_filter(name: str) -> bool:
    """Whether the binary has the filter."""
    lines = _output("-filters").splitlines()
    return any(len(words) > 1 and words[1] == name for words in map(str.split, lines))


def run_ffmpeg(arguments: Sequence[str], folder: Path) -> Run:
    """Run ffmpeg in `folder`; raise EvaluationError with its last words where it fails."""
    shown = shlex.join(("ffmpeg", *_QUIET, *arguments))
    done = run_measured([ffmpeg_path(), *_QUIET, *arguments], folder)
    if done.status != 0:
        words = done.errors.decode("utf-8", "replace").strip().splitlines()
        said = "; ".join(line for line in words if not line.startswith("Svt["))[:600]
        raise EvaluationError(f"ffmpeg failed ({done.status}): {said or 'no message'}: {shown}")
    return Run(shown, done.seconds, done.memory)


def decode_to_y4m(stream: Path, y4m: Path, header: Y4mHeader) -> Run:
    """Decode the video of `stream` to `y4m`, every frame once, in the clip's rate.

    The rate is set at the input: container timestamps are rounded (Matroska: 1 ms), and frames
    paired by rounded timestamps give wrong metrics. `stream` and `y4m` share a folder.
    """
    rate = f"{header.rate.numerator}/{header.rate.denominator}"
    arguments = ["-r", rate, "-i", stream.name, "-map", "0:v:0", "-fps_mode", "passthrough"]
    arguments += ["-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", y4m.name]
    run = run_ffmpeg(arguments, stream.parent)
    decoded = Y4mFile(y4m).header
    if (decoded.width, decoded.height) != (header.width, header.height):
        raise EvaluationError(
            f"{stream.name} decoded to {decoded.width}x{decoded.height}, "
            f"the clip is {header.width}x{header.height}"
        )
    return run


def shown_sizes(stream: Path) -> list[int]:
    """Bytes of each packet of the first video stream, in the order in which frames are shown."""
    with av.open(str(stream)) as container:
        video = container.streams.video[0]
        packets = [(p.pts or 0, p.size) for p in container.demux(video) if p.size]
    return [size for _, size in sorted(packets, key=lambda packet: packet[0])]


def packet_sizes(stream: Path) -> list[int]:
    """Bytes of each packet of the first video stream, in file order.

    Their sum is the size of the encoded video: without container overhead and without what the
    container keeps apart (parameter sets in the codec's private data, at most about 120 bytes for
    the references here).
    """
    with av.open(str(stream)) as container:
        video = container.streams.video[0]
        return [packet.size for packet in container.demux(video) if packet.size]


def _output(argument: str) -> str:
    done = subprocess.run(
        [ffmpeg_path(), "-hide_banner", argument],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode != 0:
        raise MissingToolError(f"{ffmpeg_path()} {argument} failed ({done.returncode})")
    return done.stdout.decode("utf-8", "replace")
