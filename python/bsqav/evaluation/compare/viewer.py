"""Pictures for a report's viewer: which frames, and each codec's version of them.

A picture is kept as the decoder gave it: the planes Y, U and V one below another as one gray
lossless WebP (`layout`), a third of what RGB would take, and the page turns it into colour.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bsqav.evaluation.compare.coders import Coder
from bsqav.evaluation.compare.points import PointMaker
from bsqav.evaluation.compare.results import ClipResult
from bsqav.evaluation.io.cache import key_of
from bsqav.evaluation.io.images import pillow
from bsqav.evaluation.io.sources import planes_to_rgb
from bsqav.evaluation.io.y4m import Plane, Planes, Y4mFile

# Six frames where the codec under test is worst, six that represent the clip.
WORST = 6
SPREAD = 6
ORIGINAL = "original"


@dataclass
class Frame:
    """One moment of a clip: `pictures` maps a codec, or "original", to a lossless WebP."""

    index: int
    why: str
    pictures: dict[str, bytes] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all pictures."""
        return sum(len(data) for data in self.pictures.values())


@dataclass
class ClipFrames:
    """The frames of a clip, most telling first, and how its samples become RGB."""

    frames: list[Frame] = field(default_factory=list)
    matrix: str = "bt601"
    full_range: bool = False
    chroma: str = "420"
    sidecar: Path | None = None


class Viewer:
    """Collects the pictures of every clip; give it to `compare`.

    sidecar  a folder that takes all frames of all codecs as WebP of quality 90; None: none
    """

    def __init__(self, sidecar: Path | None = None) -> None:
        self.sidecar = sidecar
        self.clips: dict[str, ClipFrames] = {}

    def take(
        self,
        clip: ClipResult,
        maker: PointMaker,
        found: Sequence[tuple[Coder, float]],
        say: Callable[[str], None],
    ) -> None:
        """Takes the pictures of a clip, from the cache where they are."""
        source = maker.source
        chosen = [Frame(index, why) for index, why in choose_frames(clip)]
        self.clips[clip.path] = ClipFrames(
            chosen, source.matrix, source.full_range, source.header.chroma
        )
        indices = [frame.index for frame in chosen]
        say(f"{clip.path}: taking pictures of {len(indices)} frames")
        keys: list[tuple[str, str | None]] = [(ORIGINAL, source.key)]
        keys += [(coder.name, maker.stream_key(coder, setting)) for coder, setting in found]
        for (name, key), pair in zip(keys, (None, *found), strict=True):
            for frame, data in zip(chosen, _pictures(maker, pair, key, indices), strict=True):
                frame.pictures[name] = data
        if self.sidecar is not None and source.frames > 1:
            folder = self.sidecar / f"{len(self.clips) - 1:03}"
            say(f"{clip.path}: writing all frames to {folder}")
            _write_all(maker, found, folder)
            self.clips[clip.path].sidecar = folder


def _write_all(maker: PointMaker, found: Sequence[tuple[Coder, float]], folder: Path) -> None:
    """Every frame of the source and of each codec as `folder`/CODEC/NUMBER.webp, quality 90."""
    for pair in (None, *found):
        into = folder / (ORIGINAL if pair is None else pair[0].name)
        into.mkdir(parents=True, exist_ok=True)
        decoded = maker.source.y4m() if pair is None else maker.decoded(*pair)
        try:
            clip = Y4mFile(decoded)
            for i in range(len(clip)):
                picture = pillow().fromarray(
                    planes_to_rgb(clip[i], maker.source.matrix, maker.source.full_range)
                )
                picture.save(into / f"{i:05}.webp", "WEBP", quality=90, method=2)
        finally:
            if pair is not None:
                decoded.unlink(missing_ok=True)


def choose_frames(clip: ClipResult) -> list[tuple[int, str]]:
    """Numbers of the frames to show and why, the most important first.

    By VMAF of the codec under test at the matched rate, the first one measured where there is no
    BSQ; worst frames lie at least a fortieth of the clip apart. Worst and spread take turns.
    """
    if not clip.matched:
        return []
    point = clip.matched.get("bsq") or next(iter(clip.matched.values()))
    values = point.per_frame["vmaf"]
    count = len(values)
    apart = max(1, count // 40)
    worst: list[int] = []
    for i in sorted(range(count), key=lambda i: values[i]):
        if len(worst) < WORST and all(abs(i - other) >= apart for other in worst):
            worst.append(i)
    spread = sorted({round((i + 0.5) * count / SPREAD - 0.5) for i in range(SPREAD)})
    named = [(i, f"worst {rank}") for rank, i in enumerate(worst, 1)]
    rest = [(i, "representative") for i in spread if i not in worst]
    turns: list[tuple[int, str]] = []
    for i in range(max(len(named), len(rest))):
        turns += named[i : i + 1] + rest[i : i + 1]
    return turns


def _pictures(
    maker: PointMaker, pair: tuple[Coder, float] | None, key: str | None, indices: Sequence[int]
) -> list[bytes]:
    """Frames of the source (`pair` None) or of a codec at a setting as lossless WebP."""
    keys = [key and key_of(picture=key, frame=i) for i in indices]
    kept = [maker.cache.read(k, ".webp") for k in keys]
    if all(kept):
        return [data for data in kept if data]
    decoded = maker.source.y4m() if pair is None else maker.decoded(*pair)
    try:
        clip = Y4mFile(decoded)
        made = [pack_planes(clip[i]) for i in indices]
    finally:
        if pair is not None:
            decoded.unlink(missing_ok=True)
    for k, data in zip(keys, made, strict=True):
        maker.cache.write(k, ".webp", data)
    return made


def pack_planes(planes: Planes) -> bytes:
    """Y, and U and V below it (side by side where they fit, else one below another), as WebP.

    4:2:0: U begins at row H, column 0, V at row H, column (W + 1) // 2. 4:4:4: U at row H, V at
    row 2 H.
    """
    y, u, v = planes
    height, width = y.shape
    if u.shape == y.shape:
        packed = np.concatenate((y, u, v))
    else:
        both = np.concatenate((u, v), axis=1)
        packed = np.zeros((height + u.shape[0], max(width, both.shape[1])), np.uint8)
        packed[:height, :width] = y
        packed[height:, : both.shape[1]] = both
    held = io.BytesIO()
    image = pillow().fromarray(np.ascontiguousarray(packed)).convert("RGB")
    image.save(held, "WEBP", lossless=True, quality=60, method=4, exact=True)
    return held.getvalue()


def unpack_planes(packed: Plane, width: int, height: int, chroma: str) -> Planes:
    """The planes of an image of `pack_planes`: `chroma` is "420" or "444"."""
    if chroma == "444":
        return packed[:height], packed[height : 2 * height], packed[2 * height : 3 * height]
    w, h = (width + 1) // 2, (height + 1) // 2
    below = packed[height : height + h]
    return packed[:height, :width], below[:, :w], below[:, w : 2 * w]
