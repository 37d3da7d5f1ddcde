"""BSQ beside the reference codecs: rate-distortion points, Bjontegaard deltas, one result."""

import functools
import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bsqav.errors import BsqError, UsageError
from bsqav.evaluation.compare.bsq import BsqCodec
from bsqav.evaluation.compare.coders import (
    BsqCoder,
    Coder,
    ReferenceCoder,
    bsq_still_coder,
    still_coder,
)
from bsqav.evaluation.compare.matched import matched_point, target_rate
from bsqav.evaluation.compare.points import PointMaker
from bsqav.evaluation.compare.reference_encoders import REFERENCES
from bsqav.evaluation.compare.results import (
    NOTES,
    PICTURE_NOTE,
    SCHEMA,
    ClipResult,
    CompareResult,
    Delta,
    Point,
)
from bsqav.evaluation.compare.schedule import Pace, Task, run_tasks
from bsqav.evaluation.compare.still_codecs import REFERENCES as STILL_REFERENCES
from bsqav.evaluation.compare.still_codecs import still_tools
from bsqav.evaluation.compare.viewer import Viewer
from bsqav.evaluation.io.cache import Cache, file_hash
from bsqav.evaluation.io.errors import CurveError, EvaluationError
from bsqav.evaluation.io.ffmpeg import ffmpeg_version
from bsqav.evaluation.io.inputs import is_picture
from bsqav.evaluation.io.workspace import ClipSource
from bsqav.evaluation.metrics import perceptual
from bsqav.evaluation.metrics.bdrate import bd_quality, bd_rate
from bsqav.evaluation.metrics.quality import ALWAYS, METRICS, VMAF_MODEL, to_db

__all__ = [
    "DEFAULT_GOP",
    "NOTES",
    "SCHEMA",
    "ClipResult",
    "CompareResult",
    "Delta",
    "Point",
    "compare",
]

DEFAULT_GOP = 250
EXPECTED = (BsqError, OSError)

Progress = Callable[[str], None]


def compare(
    inputs: Sequence[Path],
    *,
    codecs: Sequence[str] = ("mjpeg", "mpeg2", "x264", "x265"),
    metrics: Sequence[str] = ALWAYS,
    bsq: BsqCodec | None = None,
    crfs: Sequence[float] = (),
    frames: int | None = None,
    gop: int = DEFAULT_GOP,
    scale: tuple[int, int] | None = None,
    progress: Progress | None = None,
    cache: Cache | None = None,
    jobs: int = 1,
    viewer: Viewer | None = None,
) -> CompareResult:
    """Measure BSQ at `crfs`, and the named references at their own qualities, on every input.

    codecs    names of video references, of picture references, or both; each input takes its kind
    bsq       the codec under test, or None to measure references alone
    frames    frames per clip; longer than a clip plays it forward and backward
    progress  called with one line of text per step
    cache     where results are kept and found again; None keeps nothing
    jobs      how many measurements at a time; with more than one, speeds are those under load
    viewer    collects pictures of all codecs at matched rate for a report; None makes none

    What fails (a missing encoder, a broken input, curves without overlap) is listed in the
    result's failures, and the rest goes on.

    Raises UsageError (a ValueError) for unknown names, for a keyframe interval, a frame count or
    jobs below one and for BSQ without a crf, and MissingToolError where there is no ffmpeg at all.
    """
    _check_arguments(codecs, metrics, bsq, crfs, {"gop": gop, "frames": frames, "jobs": jobs})
    pictures = [is_picture(path) for path in inputs]
    known = {
        name: any(pictures) if name in STILL_REFERENCES else not all(pictures) for name in codecs
    }
    names = (["bsq"] if bsq is not None else []) + [name for name in codecs if known[name]]
    tools = {
        "ffmpeg": ffmpeg_version(),
        "vmaf_model": VMAF_MODEL,
        "machine": f"{platform.system()} {platform.machine()}",
    }
    if any(pictures):
        tools |= still_tools()
    if "st_lpips" in metrics:
        tools["ST-LPIPS"] = f"{perceptual.TITLE}, SHA-256 {file_hash(perceptual.weights_path())}"
    result = CompareResult([], names, list(metrics), gop, tools, list(NOTES))
    if any(pictures):
        result.notes.append(PICTURE_NOTE)
    if "st_lpips" in metrics:
        result.notes.append(
            f"ST-LPIPS is {perceptual.TITLE} of PyPI's stlpips-pytorch, not LPIPS itself; the mean "
            f"over {perceptual.FRAMES} frames of a clip, its BD on -10 log10(x)"
        )
    if jobs > 1:
        result.notes.append(f"{jobs} measurements ran at a time: speeds are those under load")
    with tempfile.TemporaryDirectory(prefix="bsqav-compare-") as scratch:
        kept = cache or Cache(Path(scratch) / "cache")
        room = _Room(result, kept, jobs, progress or _silent, viewer, Pace(jobs))
        every = [_coders(path, codecs, bsq, crfs) for path in inputs]
        for coders in every:
            result.titles |= {coder.name: coder.title for coder in coders}
            room.expect(coders)
        for path, coders in zip(inputs, every, strict=True):
            clip = ClipResult(str(path))
            result.clips.append(clip)
            with tempfile.TemporaryDirectory(prefix="clip-", dir=scratch) as folder:
                try:
                    source = ClipSource(path, Path(folder), kept, frames=frames, scale=scale)
                except EXPECTED as error:
                    room.fail(clip, _reason(error))
                    room.expect(coders, -1)
                    continue
                _measure_clip(clip, source, coders, room)
    if result.cached:
        result.notes.append(
            f"{result.cached} points came from the cache: their speeds are those of the run that "
            "made them"
        )
    return result


@dataclass
class _Room:
    """What the steps of a comparison share."""

    result: CompareResult
    cache: Cache
    jobs: int
    say: Progress
    viewer: Viewer | None
    pace: Pace

    def expect(self, coders: Sequence[Coder], sign: int = 1) -> None:
        """Announces the tasks of a clip, or takes them back."""
        for coder in coders:
            self.pace.expect(coder.name, sign * len(coder.settings))
            if self.viewer is not None:
                self.pace.expect(coder.name, sign)

    def fail(self, clip: ClipResult, text: str) -> None:
        """Lists a failure and says it."""
        text = text.removeprefix(f"{clip.path}: ")  # which is said in front of it
        clip.failures.append(text)
        self.say(f"{clip.path}: {text}")


def _check_arguments(
    codecs: Sequence[str],
    metrics: Sequence[str],
    bsq: BsqCodec | None,
    crfs: Sequence[float],
    counts: dict[str, int | None],
) -> None:
    unknown = [name for name in codecs if name not in REFERENCES and name not in STILL_REFERENCES]
    unknown += [name for name in metrics if name not in METRICS]
    if unknown:
        raise UsageError(
            f"unknown {', '.join(unknown)}; codecs: {', '.join(REFERENCES)}; for pictures: "
            f"{', '.join(STILL_REFERENCES)}; metrics: {', '.join(METRICS)}"
        )
    for name, value in counts.items():
        if value is not None and value < 1:
            raise UsageError(f"{name} is {value}; at least 1 is needed")
    if bsq is not None and not crfs:
        raise UsageError("BSQ has no crf to be measured at; give crfs")


def _coders(
    path: Path, codecs: Sequence[str], bsq: BsqCodec | None, crfs: Sequence[float]
) -> list[Coder]:
    """The codecs for an input, the one under test first."""
    if not is_picture(path):
        video: list[Coder] = [BsqCoder(bsq, crfs)] if bsq is not None else []
        return video + [ReferenceCoder(REFERENCES[name]) for name in codecs if name in REFERENCES]
    still = None if bsq is None else bsq_still_coder(bsq, crfs)
    pictures: list[Coder] = [] if still is None else [still]
    wanted = (name for name in codecs if name in STILL_REFERENCES)
    return pictures + [still_coder(STILL_REFERENCES[name]) for name in wanted]


def _silent(text: str) -> None:
    """Report nothing."""


def _measure_clip(
    clip: ClipResult, source: ClipSource, coders: Sequence[Coder], room: _Room
) -> None:
    clip.width, clip.height = source.header.width, source.header.height
    clip.fps, clip.frames = float(source.header.rate), source.frames
    clip.kind, clip.sha256 = source.kind, source.sha256
    clip.notes.extend(source.notes)
    maker = PointMaker(source, room.result.gop, room.result.metrics, room.cache)
    usable = []
    tasks: list[Task[Point]] = []
    for coder in coders:
        try:
            coder.check(source, room.result.gop)
        except EvaluationError as error:
            room.fail(clip, f"{coder.name}: {error}")
            room.expect([coder], -1)
            continue
        usable.append(coder)
        tasks += [
            Task(
                coder.name,
                f"{coder.name} {coder.label(setting)}",
                functools.partial(maker.point, coder, setting),
            )
            for setting in coder.settings
        ]
    say = functools.partial(_say_point, clip, room)
    done: list[Point | BaseException] = run_tasks(tasks, room.pace, room.jobs, say, EXPECTED)
    for task, made in zip(tasks, done, strict=True):
        if isinstance(made, Point):
            clip.points.append(made)
        else:
            clip.failures.append(f"{task.label}: {_reason(made)}")
    _add_deltas(clip, coders, room.result.metrics)
    if room.viewer is not None:
        _match(clip, maker, usable, room)
    room.result.cached += maker.hits


def _say_point(
    clip: ClipResult, room: _Room, task: Task[Point], made: Point | BaseException
) -> None:
    if isinstance(made, Point):
        text = (
            f"{made.bpp:.4f} bpp, PSNR-Y {made.psnr_y:.2f} dB, {made.encode_fps:.1f} frames/s "
            f"{room.pace}"
        )
    else:
        text = _reason(made)
    room.say(f"{clip.path}: {task.label}: {text}")


def _match(clip: ClipResult, maker: PointMaker, coders: Sequence[Coder], room: _Room) -> None:
    """Finds every codec's point at one rate, and has pictures taken of them."""
    rate = target_rate(clip, [coder.name for coder in coders])
    if rate is None or room.viewer is None:
        return
    tasks = [
        Task(
            coder.name,
            f"{coder.name} at {rate:.4f} bpp",
            functools.partial(matched_point, maker, coder, clip, rate),
        )
        for coder in coders
    ]
    found: list[tuple[Coder, float]] = []
    done = run_tasks(tasks, room.pace, room.jobs, lambda *_: None, EXPECTED)
    for coder, task, made in zip(coders, tasks, done, strict=True):
        if isinstance(made, BaseException):
            room.fail(clip, f"{task.label}: {_reason(made)}")
        elif made is not None:
            setting, clip.matched[coder.name] = made
            found.append((coder, setting))
    try:
        room.viewer.take(clip, maker, found, room.say)
    except EXPECTED as error:
        room.fail(clip, f"pictures for the report: {_reason(error)}")


def _add_deltas(clip: ClipResult, coders: Sequence[Coder], metrics: Sequence[str]) -> None:
    if not any(coder.name == "bsq" for coder in coders):
        return
    for coder in coders:
        for metric in metrics:
            if coder.name != "bsq":
                _add_delta(clip, coder.name, metric)


def _add_delta(clip: ClipResult, anchor: str, metric: str) -> None:
    """BSQ against one reference; a curve that is missing altogether has been reported already."""
    curves = {name: _rate_quality(clip.curve(name), metric) for name in (anchor, "bsq")}
    if not all(clip.curve(name) for name in curves):
        return
    label = f"BD of bsq against {anchor} in {metric}"
    if not all(curves.values()):
        note = f"{metric} is not defined for {clip.width}x{clip.height}"
        if note not in clip.notes:
            clip.notes.append(note)
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
    values = ((point.bpp, getattr(point, metric)) for point in points)
    return [(bpp, to_db(metric, value)) for bpp, value in values if value is not None]


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
