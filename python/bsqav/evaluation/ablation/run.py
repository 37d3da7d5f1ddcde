"""An ablation: the clips, and the comparison of two builds or settings on them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from bsqav.evaluation.ablation.builds import BuildCodec
from bsqav.evaluation.compare.coders import BsqCoder
from bsqav.evaluation.compare.comparison import (
    DEFAULT_GOP,
    ClipForm,
    CompareConfig,
    CompareResult,
    compare,
)
from bsqav.evaluation.io.cache import Cache
from bsqav.evaluation.io.errors import SourceError
from bsqav.media.demux.tag_encoding import open_av

ANCHOR = "A"


@dataclass(frozen=True)
class AblationConfig:
    """What is measured.

    crfs    of both sides
    frames  at most so many of each clip; a shorter clip is not played again
    width   wider clips are scaled down to it, in pixels; 0 keeps every size
    jobs    measurements at a time
    """

    crfs: Sequence[float]
    frames: int = 48
    width: int = 640
    jobs: int = 1


def ablate(
    clips: Sequence[Path],
    a: BuildCodec,
    b: BuildCodec,
    config: AblationConfig,
    *,
    cache: Cache | None = None,
    progress: Callable[[str], None] | None = None,
) -> CompareResult:
    """Measures `b` against `a` on every clip, with one keyframe each where no setting says else.

    Raises SourceError for an input without video, and what `compare` raises.
    """
    return compare(
        clips,
        CompareConfig(
            codecs=(),
            crfs=config.crfs,
            forms={path: clip_form(path, config) for path in clips},
            gop=DEFAULT_GOP,
            jobs=config.jobs,
        ),
        bsq=b,
        anchors=[BsqCoder(a, config.crfs, ANCHOR, a.title)],
        cache=cache,
        progress=progress,
    )


def clip_form(path: Path, config: AblationConfig) -> ClipForm:
    """How much of a clip is measured, and how large.

    Raises SourceError where it cannot be read.
    """
    try:
        with open_av(str(path)) as container:
            video = container.streams.video[0]
            frames = sum(1 for packet in container.demux(video) if packet.size)
            width, height = video.width, video.height
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise SourceError(f"{path}: cannot be read as video: {error}") from error
    scale = None
    if 0 < config.width < width:
        scale = (config.width, 2 * round(height * config.width / width / 2))
    return ClipForm(max(1, min(frames, config.frames)), scale)
