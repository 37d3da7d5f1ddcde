"""BSQ compared with the reference codecs: rate-distortion points, Bjontegaard deltas."""

import functools
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
    "ClipForm",
    "ClipResult",
    "CompareConfig",
    "CompareResult",
    "Delta",
    "Point",
    "compare",
]

DEFAULT_GOP = 250
EXPECTED = (BsqError, OSError)

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ClipForm:
    """How long and how large one input is measured; None leaves it as it is."""

    frames: int | None = None
    scale: tuple[int, int] | None = None


@dataclass(frozen=True)
class CompareConfig:
    """What is measured.

    codecs   names of video references, of picture references, or both; each input takes its kind
    metrics  names of METRICS
    crfs     of the codec under test
    frames   frames per clip; longer than a clip plays it forward and backward; None: as they are
    gop      the largest distance between keyframes, of all codecs
    scale    (width, height) in pixels; None keeps the size
    forms    frames and scale of single inputs, in place of those
    jobs     how many measurements at a time; with more than one, speeds are those under load
    """

    codecs: Sequence[str] = ("mjpeg", "mpeg2", "x264", "x265")
    metrics: Sequence[str] = ALWAYS
    crfs: Sequence[float] = ()
    frames: int | None = None
    gop: int = DEFAULT_GOP
    scale: tuple[int, int] | None = None
    forms: Mapping[Path, ClipForm] = field(default_factory=dict)
    jobs: int = 1


def compare(
    inputs: Sequence[Path],
    config: CompareConfig,
    *,
    bsq: BsqCodec | None = None,
    anchors: Sequence[Coder] = (),
    progress: Progress | None = None,
    cache: Cache | None = None,
    viewer: Viewer | None = None,
) -> CompareResult:
    """Measure BSQ at its crfs, and the named references at their own qualities, on every input.

    bsq       the codec under test, or None to measure references alone
    anchors   further codecs of videos that it is compared with, before the named ones
    progress  called with one line of text per step
    cache     where results are kept and found again; None keeps nothing
    viewer    collects pictures of all codecs at matched rate for a report; None makes none

    What fails (a missing encoder, a broken input, curves without overlap) is listed in the
    result's failures, and the rest continues.

    Raises UsageError (a ValueError) for unknown names, for a keyframe interval, a frame count or
    jobs below one and for BSQ without a crf, and MissingToolError where there is no ffmpeg at all.
    """
    _check(config, bsq)
    result = _new_result(inputs, config, bsq, [anchor.name for anchor in anchors])
    with tempfile.TemporaryDirectory(prefix="bsqav-compare-") as scratch:
        kept = cache or Cache(Path(scratch) / "cache")
        session = _Session(result, kept, config.jobs, progress or _silent, viewer)
        every = [_coders(path, config, bsq, anchors) for path in inputs]
        for coders in every:
            result.titles |= {coder.name: coder.title for coder in coders}
            session.expect(coders)
        for path, coders in zip(inputs, every, strict=True):
            clip = ClipResult(str(path))
            result.clips.append(clip)
            with tempfile.TemporaryDirectory(prefix="clip-", dir=scratch) as folder:
                try:
                    form = config.forms.get(path, ClipForm(config.frames, config.scale))
                    source = ClipSource(
                        path, Path(folder), kept, frames=form.frames, scale=form.scale
                    )
                except EXPECTED as error:
                    session.fail(clip, _reason(error))
                    session.expect(coders, -1)
                    continue
                _measure_clip(clip, source, coders, session)
    if result.cached:
        result.notes.append(
            f"{result.cached} points came from the cache: their speeds are those of the run that "
            "made them"
        )
    return result


def _check(config: CompareConfig, bsq: BsqCodec | None) -> None:
    known = {*REFERENCES, *STILL_REFERENCES}
    unknown = [name for name in config.codecs if name not in known]
    unknown += [name for name in config.metrics if name not in METRICS]
    if unknown:
        raise UsageError(
            f"unknown {', '.join(unknown)}; codecs: {', '.join(REFERENCES)}; for pictures: "
            f"{', '.join(STILL_REFERENCES)}; metrics: {', '.join(METRICS)}"
        )
    for name in ("gop", "frames", "jobs"):
        value: int | None = getattr(config, name)
        if value is not None and value < 1:
            raise UsageError(f"{name} is {value}; at least 1 is needed")
    if bsq is not None and not config.crfs:
        raise UsageError("BSQ has no crf to be measured at; give crfs")


def _new_result(
    inputs: Sequence[Path], config: CompareConfig, bsq: BsqCodec | None, anchors: Sequence[str]
) -> CompareResult:
    """A result without clips: the codecs that the inputs ask for, tools and notes."""
    stills = [is_picture(path) for path in inputs]
    usable = [
        name
        for name in config.codecs
        if (any(stills) if name in STILL_REFERENCES else not all(stills))
    ]
    tools = {
        "ffmpeg": ffmpeg_version(),
        "vmaf_model": VMAF_MODEL,
        "machine": f"{platform.system()} {platform.machine()}",
    }
    notes = list(NOTES)
    if any(stills):
        tools |= still_tools()
        notes.append(PICTURE_NOTE)
    if "st_lpips" in config.metrics:
        tools["ST-LPIPS"] = f"{perceptual.TITLE}, SHA-256 {file_hash(perceptual.weights_path())}"
        notes.append(
            f"ST-LPIPS is {perceptual.TITLE} of PyPI's stlpips-pytorch, not LPIPS itself; the mean "
            f"over {perceptual.FRAMES} frames of a clip, its BD on -10 log10(x)"
        )
    if config.jobs > 1:
        notes.append(f"{config.jobs} measurements ran at a time: speeds are those under load")
    names = [*([] if bsq is None else ["bsq"]), *anchors, *usable]
    return CompareResult([], names, list(config.metrics), config.gop, tools, notes)


class _Session:
    """What the steps of a comparison share."""

    def __init__(
        self,
        result: CompareResult,
        cache: Cache,
        jobs: int,
        say: Progress,
        viewer: Viewer | None,
    ) -> None:
        self.result, self.cache, self.jobs = result, cache, jobs
        self.say, self.viewer = say, viewer
        self.pace = Pace(jobs)

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


def _coders(
    path: Path, config: CompareConfig, bsq: BsqCodec | None, anchors: Sequence[Coder]
) -> list[Coder]:
    """The codecs for an input, the one under test first."""
    if not is_picture(path):
        video: list[Coder] = [BsqCoder(bsq, config.crfs)] if bsq is not None else []
        names = (name for name in config.codecs if name in REFERENCES)
        return [*video, *anchors, *(ReferenceCoder(REFERENCES[name]) for name in names)]
    still = None if bsq is None else bsq_still_coder(bsq, config.crfs)
    pictures: list[Coder] = [] if still is None else [still]
    names = (name for name in config.codecs if name in STILL_REFERENCES)
    return pictures + [still_coder(STILL_REFERENCES[name]) for name in names]


def _silent(text: str) -> None:
    """Report nothing."""


def _measure_clip(
    clip: ClipResult, source: ClipSource, coders: Sequence[Coder], session: _Session
) -> None:
    clip.width, clip.height = source.header.width, source.header.height
    clip.fps, clip.frames = float(source.header.rate), source.frames
    clip.kind, clip.sha256 = source.kind, source.sha256
    clip.notes.extend(source.notes)
    maker = PointMaker(source, session.result.gop, session.result.metrics, session.cache)
    usable = []
    tasks: list[Task[Point]] = []
    for coder in coders:
        try:
            coder.check(source, session.result.gop)
        except EvaluationError as error:
            session.fail(clip, f"{coder.name}: {error}")
            session.expect([coder], -1)
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
    say = functools.partial(_say_point, clip, session)
    done: list[Point | BaseException] = run_tasks(tasks, session.pace, session.jobs, say, EXPECTED)
    for task, made in zip(tasks, done, strict=True):
        if isinstance(made, Point):
            clip.points.append(made)
        else:
            clip.failures.append(f"{task.label}: {_reason(made)}")
    _add_deltas(clip, coders, session.result.metrics)
    if session.viewer is not None:
        _match(clip, maker, usable, session)
    session.result.cached += maker.hits


def _say_point(
    clip: ClipResult, session: _Session, task: Task[Point], made: Point | BaseException
) -> None:
    if isinstance(made, Point):
        text = (
            f"{made.bpp:.4f} bpp, PSNR-Y {made.psnr_y:.2f} dB, {made.encode_fps:.1f} frames/s "
            f"{session.pace}"
        )
    else:
        text = _reason(made)
    session.say(f"{clip.path}: {task.label}: {text}")


def _match(clip: ClipResult, maker: PointMaker, coders: Sequence[Coder], session: _Session) -> None:
    """Finds every codec's point at one rate, and has pictures taken of them."""
    rate = target_rate(clip, [coder.name for coder in coders])
    if rate is None or session.viewer is None:
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
    done = run_tasks(tasks, session.pace, session.jobs, lambda *_: None, EXPECTED)
    for coder, task, made in zip(coders, tasks, done, strict=True):
        if isinstance(made, BaseException):
            session.fail(clip, f"{task.label}: {_reason(made)}")
        elif made is not None:
            setting, clip.matched[coder.name] = made
            found.append((coder, setting))
    try:
        session.viewer.take(clip, maker, found, session.say)
    except EXPECTED as error:
        session.fail(clip, f"pictures for the report: {_reason(error)}")


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
