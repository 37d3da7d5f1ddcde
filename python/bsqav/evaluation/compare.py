"""BSQ beside the reference codecs: rate-distortion points, Bjontegaard deltas, one result."""

import dataclasses
import functools
import json
import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bsqav.errors import BsqError, UsageError
from bsqav.evaluation.bdrate import BdResult, bd_quality, bd_rate
from bsqav.evaluation.bsq import BsqCodec
from bsqav.evaluation.errors import CurveError, EvaluationError
from bsqav.evaluation.ffmpeg import decode_to_y4m, ffmpeg_version, packet_sizes
from bsqav.evaluation.metrics import METRICS, VMAF_MODEL, Quality, measure, ms_ssim_db
from bsqav.evaluation.references import (
    REFERENCES,
    Reference,
    check_reference,
    encode_reference,
)
from bsqav.evaluation.sources import Source, read_source

DEFAULT_GOP = 250
SCHEMA = 1

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Point:
    """One codec at one quality on one clip.

    stream_bytes counts the encoded video's packets only, no container overhead; `bpp` is bits per
    luma pixel; seconds are wall clock and include starting the program and reading or writing raw
    video. Metrics are as in `metrics.Quality`.
    """

    codec: str
    setting: str
    stream_bytes: int
    bits: int
    bpp: float
    kbps: float
    frames: int
    encode_seconds: float
    decode_seconds: float
    encode_fps: float
    decode_fps: float
    psnr_y: float
    ms_ssim: float | None
    vmaf: float
    command: str
    packet_bytes: list[int]
    per_frame: dict[str, list[float]]


@dataclass(frozen=True)
class Delta:
    """BSQ (`test`) against a reference (`anchor`) in one metric; MS-SSIM counts in dB."""

    anchor: str
    test: str
    metric: str
    rate: BdResult
    quality: BdResult


@dataclass
class ClipResult:
    """Everything measured on one input; `failures` says what could not be."""

    path: str
    width: int = 0
    height: int = 0
    fps: float = 0.0
    frames: int = 0
    notes: list[str] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    deltas: list[Delta] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def curve(self, codec: str) -> list[Point]:
        """The points of one codec, cheapest first."""
        return sorted((p for p in self.points if p.codec == codec), key=lambda p: p.bits)


@dataclass
class CompareResult:
    """A comparison over clips, with the settings and tools that made it."""

    clips: list[ClipResult]
    codecs: list[str]
    metrics: list[str]
    gop: int
    tools: dict[str, str]
    notes: list[str]

    @property
    def failures(self) -> list[str]:
        """What failed, each line beginning with its clip."""
        return [f"{clip.path}: {text}" for clip in self.clips for text in clip.failures]

    def mean_rate(self, anchor: str, metric: str) -> tuple[float | None, int]:
        """Mean BD-rate in percent against `anchor` over the clips that have one, and how many."""
        values = [
            delta.rate.value
            for clip in self.clips
            for delta in clip.deltas
            if delta.anchor == anchor and delta.metric == metric and delta.rate.value is not None
        ]
        return (sum(values) / len(values) if values else None), len(values)

    def to_json(self, indent: int | None = 1) -> str:
        """The whole result as JSON; floats carry seven significant digits."""
        content: dict[str, Any] = {"schema": SCHEMA, **dataclasses.asdict(self)}
        content["failures"] = self.failures
        return json.dumps(_rounded(content), indent=indent)


NOTES = (
    "sizes are sums of the encoded video's packets; container overhead and codec private data "
    "are not counted",
    "PSNR-Y, MS-SSIM (luma) and VMAF are means over frames by libvmaf; BD of MS-SSIM is computed "
    "on -10 log10(1 - MS-SSIM)",
    "BD by piecewise cubic Hermite interpolation over log rate; negative BD-rate: BSQ needs fewer "
    "bits than the reference",
    "seconds are wall clock, including program start and raw video input or output",
)


def compare(
    inputs: Sequence[Path],
    *,
    codecs: Sequence[str] = ("mjpeg", "mpeg2", "x264", "x265"),
    metrics: Sequence[str] = tuple(METRICS),
    bsq: BsqCodec | None = None,
    crfs: Sequence[float] = (),
    frames: int | None = None,
    gop: int = DEFAULT_GOP,
    scale: tuple[int, int] | None = None,
    progress: Progress | None = None,
) -> CompareResult:
    """Measure BSQ at `crfs`, and the named references at their own qualities, on every input.

    bsq       the codec under test, or None to measure references alone
    frames    frames per clip; longer than a clip plays it forward and backward
    progress  called with one line of text per step

    What fails (a missing encoder, a broken input, curves without overlap) is listed in the
    result's failures, and the rest goes on.

    Raises UsageError (a ValueError) for unknown names, for a keyframe interval or a frame count
    below one and for BSQ without a crf, and MissingToolError where there is no ffmpeg at all.
    """
    _check_arguments(codecs, metrics, bsq, crfs, frames, gop)
    tools = {
        "ffmpeg": ffmpeg_version(),
        "vmaf_model": VMAF_MODEL,
        "machine": f"{platform.system()} {platform.machine()}",
    }
    say = progress or _silent
    names = (["bsq"] if bsq is not None else []) + list(codecs)
    result = CompareResult([], names, list(metrics), gop, tools, list(NOTES))
    for path in inputs:
        clip = ClipResult(str(path))
        result.clips.append(clip)
        with tempfile.TemporaryDirectory(prefix="bsqav-compare-") as folder:
            try:
                source = read_source(path, Path(folder) / "source.y4m", frames=frames, scale=scale)
            except (BsqError, OSError) as error:
                clip.failures.append(_reason(error))
                say(f"{path}: {_reason(error)}")
                continue
            _measure_clip(clip, source, codecs, metrics, bsq, crfs, gop, say)
    return result


def _check_arguments(
    codecs: Sequence[str],
    metrics: Sequence[str],
    bsq: BsqCodec | None,
    crfs: Sequence[float],
    frames: int | None,
    gop: int,
) -> None:
    unknown = [name for name in codecs if name not in REFERENCES]
    unknown += [name for name in metrics if name not in METRICS]
    if unknown:
        raise UsageError(
            f"unknown {', '.join(unknown)}; codecs: {', '.join(REFERENCES)}; "
            f"metrics: {', '.join(METRICS)}"
        )
    for name, value in (("gop", gop), ("frames", frames)):
        if value is not None and value < 1:
            raise UsageError(f"{name} is {value}; at least 1 is needed")
    if bsq is not None and not crfs:
        raise UsageError("BSQ has no crf to be measured at; give crfs")


def _silent(text: str) -> None:
    """Report nothing."""


def _measure_clip(
    clip: ClipResult,
    source: Source,
    codecs: Sequence[str],
    metrics: Sequence[str],
    bsq: BsqCodec | None,
    crfs: Sequence[float],
    gop: int,
    progress: Progress,
) -> None:
    clip.width, clip.height = source.header.width, source.header.height
    clip.fps, clip.frames = float(source.header.rate), source.frames
    clip.notes.extend(source.notes)
    if bsq is not None:
        for crf in crfs:
            make_point = functools.partial(_bsq_point, bsq, source, crf, gop)
            _attempt(clip, progress, f"bsq crf {crf:g}", make_point)
    for name in codecs:
        reference = REFERENCES[name]
        try:
            check_reference(reference, clip.width, clip.height)
        except EvaluationError as error:
            clip.failures.append(f"{name}: {error}")
            progress(f"{clip.path}: {name}: {error}")
            continue
        for quality in reference.points:
            label = f"{name} {reference.option.lstrip('-')} {quality}"
            make_point = functools.partial(_reference_point, reference, source, quality, gop)
            _attempt(clip, progress, label, make_point)
    if bsq is not None:
        for name in codecs:
            for metric in metrics:
                _add_delta(clip, name, metric)


def _attempt(
    clip: ClipResult, progress: Progress, label: str, make_point: Callable[[], Point]
) -> None:
    """Add a point, or say why there is none."""
    try:
        point = make_point()
    except (BsqError, OSError) as error:
        clip.failures.append(f"{label}: {_reason(error)}")
        progress(f"{clip.path}: {label}: {_reason(error)}")
        return
    clip.points.append(point)
    progress(
        f"{clip.path}: {label}: {point.bpp:.4f} bpp, PSNR-Y {point.psnr_y:.2f} dB, "
        f"{point.encode_fps:.1f} frames/s"
    )


def _reference_point(reference: Reference, source: Source, quality: int, gop: int) -> Point:
    folder = source.path.parent
    stream = folder / f"{reference.name}-{quality}.mkv"
    decoded = folder / f"{reference.name}-{quality}.y4m"
    try:
        encoded = encode_reference(reference, source.path, quality, gop, stream)
        seconds = decode_to_y4m(stream, decoded, source.header).seconds
        setting = f"{reference.option.lstrip('-')} {quality}"
        return _point(
            reference.name,
            setting,
            source,
            packet_sizes(stream),
            (encoded.seconds, seconds),
            measure(decoded, source.path),
            encoded.command,
        )
    finally:
        stream.unlink(missing_ok=True)
        decoded.unlink(missing_ok=True)


def _bsq_point(bsq: BsqCodec, source: Source, crf: float, gop: int) -> Point:
    stream = source.path.parent / f"bsq-{crf:g}.mkv"
    decoded = source.path.parent / f"bsq-{crf:g}.y4m"
    try:
        encoded = bsq.encode(source.path, crf, gop, stream)
        seconds = bsq.decode(stream, decoded, source.header)
        quality = measure(decoded, source.path)
        sizes = encoded.packet_bytes
        times = (encoded.seconds, seconds)
        return _point("bsq", f"crf {crf:g}", source, sizes, times, quality, encoded.command)
    finally:
        stream.unlink(missing_ok=True)
        decoded.unlink(missing_ok=True)


def _point(
    codec: str,
    setting: str,
    source: Source,
    sizes: list[int],
    seconds: tuple[float, float],
    quality: Quality,
    command: str,
) -> Point:
    frames = source.frames
    if quality.frames != frames:
        raise EvaluationError(f"{quality.frames} frames were measured, the clip has {frames}")
    bits = 8 * sum(sizes)
    return Point(
        codec=codec,
        setting=setting,
        stream_bytes=sum(sizes),
        bits=bits,
        bpp=bits / (frames * source.header.width * source.header.height),
        kbps=bits * float(source.header.rate) / frames / 1000,
        frames=frames,
        encode_seconds=seconds[0],
        decode_seconds=seconds[1],
        encode_fps=frames / seconds[0],
        decode_fps=frames / seconds[1],
        psnr_y=quality.psnr_y,
        ms_ssim=quality.ms_ssim,
        vmaf=quality.vmaf,
        command=command,
        packet_bytes=sizes,
        per_frame=quality.per_frame,
    )


def _add_delta(clip: ClipResult, anchor: str, metric: str) -> None:
    """BSQ against one reference; a curve that is missing altogether has been reported already."""
    curves = {name: _rate_quality(clip.curve(name), metric) for name in (anchor, "bsq")}
    if not all(clip.curve(name) for name in curves):
        return
    label = f"BD of bsq against {anchor} in {metric}"
    if not all(curves.values()):
        clip.notes.append(f"{metric} is not defined for {clip.width}x{clip.height}")
        return
    try:
        rate = bd_rate(curves[anchor], curves["bsq"])
        quality = bd_quality(curves[anchor], curves["bsq"])
    except CurveError as error:
        clip.failures.append(f"{label}: {error}")
        return
    clip.deltas.append(Delta(anchor, "bsq", metric, rate, quality))
    if rate.value is None:
        clip.failures.append(f"{label}: {rate.reason}")


def _rate_quality(points: Sequence[Point], metric: str) -> list[tuple[float, float]]:
    values = [(point.bpp, getattr(point, metric)) for point in points]
    if metric == "ms_ssim":
        return [(bpp, ms_ssim_db(value)) for bpp, value in values if value is not None]
    return values


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
