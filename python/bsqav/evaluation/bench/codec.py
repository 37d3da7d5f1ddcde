"""The whole codec in memory: kernel sets and threads, sizes of frames."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from bsqav import _core
from bsqav.codec.settings import EncoderSettings
from bsqav.evaluation.bench.kernels import peak_rate
from bsqav.evaluation.bench.result import Part, Settings, columns
from bsqav.evaluation.bench.timing import Spread, in_turn, ratios, seconds_of
from bsqav.evaluation.io.coding import decode, encode
from bsqav.evaluation.io.errors import EvaluationError
from bsqav.evaluation.io.frames import moving_texture, read_frames
from bsqav.evaluation.io.y4m import Planes

# The scalar set is there to be equal to, not to be fast.
SCALAR_FRAMES = 6
# Of the bare loop that the codec is compared with.
PEAK_SECONDS = 0.2
WAYS = ("encode", "decode")


def frames_of(settings: Settings, size: tuple[int, int], frames: int) -> list[Planes]:
    """The clip at that size, or the texture."""
    if settings.clip is None:
        return moving_texture(*size, frames)
    return read_frames(settings.clip, *size, frames)


class Coding:
    """Encodes and decodes some frames as often as asked; its calls return frames a second."""

    def __init__(
        self, settings: Settings, frames: list[Planes], kernels: str, threads: int
    ) -> None:
        self.settings = settings
        self.frames = frames
        self.kernels = kernels
        self.threads = threads
        self.packets: list[bytes] = []

    @property
    def bpp(self) -> float:
        """Bits per pixel of the last encoding."""
        pixels = len(self.frames) * self.frames[0][0].size
        return 8 * sum(map(len, self.packets)) / pixels

    def encode(self) -> float:
        """As files are, with the lookahead."""
        return self._rate(self._encode)

    def _encode(self) -> None:
        coded = encode(
            self.frames,
            self.settings.model,
            self.settings.crf,
            threads=self.threads,
            lookahead=EncoderSettings.for_files().lookahead,
        )
        self.packets = [packet.data for packet, _ in coded]

    def decode(self) -> float:
        """What was encoded last. Raises EvaluationError where frames are missing."""
        return self._rate(self._decode)

    def _decode(self) -> None:
        count = decode(self.packets, self.settings.model, self.threads)
        if count != len(self.frames):
            raise EvaluationError(f"{len(self.frames)} frames in, {count} out")

    def _rate(self, work: Callable[[], None]) -> float:
        _core.set_kernels(self.kernels)
        try:
            return len(self.frames) / seconds_of(work)
        finally:
            _core.set_kernels(None)

    def ways(self) -> dict[str, Callable[[], float]]:
        """Both directions, in order."""
        return {"encode": self.encode, "decode": self.decode}


def measure(settings: Settings) -> Part:
    """Kernel sets and numbers of threads; how threads scale compared with a bare loop."""
    width, height = settings.size
    part = Part(
        "codec",
        f"Whole codec, {width}x{height}, crf {settings.crf:g}, default preset, in memory",
        columns("kernels | threads | frames | encode_fps .1f | decode_fps .1f | bpp .4f"),
    )
    frames = frames_of(settings, settings.size, settings.frames)
    codings = {
        (name, threads): Coding(
            settings, frames[:SCALAR_FRAMES] if name == "scalar" else frames, name, threads
        )
        for name in _core.kernel_sets()
        for threads in settings.threads
    }
    turns = {(*key, way): run for key, c in codings.items() for way, run in c.ways().items()}
    best = _core.kernel_sets()[0]
    if peak_rate(best) is not None:
        for threads in settings.threads:
            turns[best, threads, "peak"] = partial(_peak, best, threads)
    values = in_turn(turns, settings.repeats)
    for (name, threads), coding in codings.items():
        row = {f"{way}_fps": Spread.of(values[name, threads, way]) for way in WAYS}
        part.rows.append(
            {
                "kernels": name,
                "threads": threads,
                "frames": len(coding.frames),
                **row,
                "bpp": coding.bpp,
            }
        )
    _scaling(part, values, best, settings.threads)
    return part


def _peak(kernels: str, threads: int) -> float:
    return peak_rate(kernels, threads, PEAK_SECONDS) or 0.0


def _scaling(
    part: Part,
    values: dict[tuple[str, int, str], list[float]],
    best: str,
    threads: tuple[int, ...],
) -> None:
    """How much faster the most threads are than the fewest, and the bare loop likewise."""
    few, many = min(threads), max(threads)
    if few == many:
        return
    for way in (*WAYS, "peak"):
        if (best, many, way) in values:
            name = "bare_loop" if way == "peak" else way
            part.facts[f"{name}_speedup_of_{many}_threads_over_{few}"] = ratios(
                values[best, many, way], values[best, few, way]
            )
    if (best, many, "peak") not in values:
        return
    bare = ratios(values[best, many, "peak"], values[best, few, "peak"]).median
    for way in WAYS:
        own = ratios(values[best, many, way], values[best, few, way]).median
        part.facts[f"{way}_share_of_bare_loop_scaling"] = own / bare


def measure_sizes(settings: Settings) -> Part:
    """Time over pixels, one clip scaled to every height, best kernels, most threads."""
    threads = max(settings.threads)
    part = Part(
        "sizes",
        f"Sizes, {settings.size_frames} frames each, {threads} threads",
        columns("size | encode_fps .2f | decode_fps .2f | bpp .4f"),
    )
    values: dict[tuple[int, str], list[float]] = {}
    pixels: dict[int, int] = {}
    for height in settings.heights:
        width = 2 * round(height * settings.size[0] / settings.size[1] / 2)
        frames = frames_of(settings, (width, height), settings.size_frames)
        pixels[height] = width * height
        coding = Coding(settings, frames, _core.current_kernels(), threads)
        found = in_turn(coding.ways(), settings.repeats)
        values.update({(height, way): fps for way, fps in found.items()})
        row = {f"{way}_fps": Spread.of(found[way]) for way in WAYS}
        part.rows.append({"size": f"{width}x{height}", "pixels": width * height, **row})
        part.rows[-1]["bpp"] = coding.bpp
    if len(settings.heights) > 1:
        for way in WAYS:
            part.facts[f"{way}_exponent_of_time_in_pixels"] = _exponent(
                [pixels[h] for h in settings.heights],
                [1 / Spread.of(values[h, way]).median for h in settings.heights],
            )
    return part


def _exponent(pixels: list[int], seconds: list[float]) -> float:
    """Slope of a line through the logarithms."""
    x = [math.log(p) for p in pixels]
    y = [math.log(s) for s in seconds]
    return float(np.polyfit(x, y, 1)[0])
