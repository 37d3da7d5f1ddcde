"""What a comparison found: points, Bjontegaard deltas, clips, the whole; and its JSON and CSV."""

import csv
import dataclasses
import io
import json
from dataclasses import dataclass, field
from typing import Any

from bsqav.evaluation.metrics.bdrate import BdResult

SCHEMA = 1

NOTES = (
    "sizes are sums of the encoded video's packets; container overhead and codec private data "
    "are not counted",
    "PSNR-Y, MS-SSIM (luma) and VMAF are means over frames by libvmaf, and so is PSNR-YUV, "
    "(6 Y + U + V) / 8 of the planes' PSNR; BD of SSIM and MS-SSIM is computed on "
    "-10 log10(1 - x)",
    "BD by piecewise cubic Hermite interpolation over log rate; negative BD-rate: BSQ needs fewer "
    "bits than the reference",
    "seconds are wall clock, including program start and raw video input or output",
)
PICTURE_NOTE = (
    "pictures are compared as 8-bit 4:4:4, BT.601 in full range; all bytes of a file count, of "
    "JPEG 2000 those of the bare codestream"
)


@dataclass(frozen=True)
class Point:
    """One codec at one quality on one clip.

    stream_bytes counts the encoded video's packets only, no container overhead (of a picture, all
    bytes of its file); `bpp` is bits per luma pixel; seconds are wall clock and include starting
    the program and reading or writing raw video. Metrics are as in `metrics.Quality`, None where
    not asked for or not defined. packet_bytes are in file order, frame_bytes the same in the order
    of display (empty: no difference); packet_stats is what the encoder told of each. Memory is the
    peak of the process that encoded or decoded, in bytes; None where the codec ran inside this one.
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
    psnr_yuv: float | None = None
    ssim: float | None = None
    xpsnr: float | None = None
    encode_memory: int | None = None
    decode_memory: int | None = None
    frame_bytes: list[int] = field(default_factory=list)
    st_lpips: float | None = None
    packet_stats: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Delta:
    """BSQ (`test`) against a reference (`anchor`) in one metric; those of `IN_DB` count in dB."""

    anchor: str
    test: str
    metric: str
    rate: BdResult
    quality: BdResult


@dataclass
class ClipResult:
    """Everything measured on one input; `failures` says what could not be.

    kind     "video" or "picture"
    sha256   of the input file
    matched  codec -> a further point whose rate is near one that all can reach: what the report's
             viewer shows; empty where none was asked for
    """

    path: str
    width: int = 0
    height: int = 0
    fps: float = 0.0
    frames: int = 0
    notes: list[str] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    deltas: list[Delta] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    kind: str = "video"
    sha256: str = ""
    matched: dict[str, Point] = field(default_factory=dict)

    def curve(self, codec: str) -> list[Point]:
        """The points of one codec, cheapest first."""
        return sorted((p for p in self.points if p.codec == codec), key=lambda p: p.bits)


@dataclass
class CompareResult:
    """A comparison over clips, with the settings and tools that made it.

    titles   codec -> the name that people know it by
    cached   how many of the points came from the cache; their speeds are of the run that made them
    """

    clips: list[ClipResult]
    codecs: list[str]
    metrics: list[str]
    gop: int
    tools: dict[str, str]
    notes: list[str]
    titles: dict[str, str] = field(default_factory=dict)
    cached: int = 0

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

    def to_dict(self) -> dict[str, Any]:
        """The whole result in types that JSON has; floats carry seven significant digits."""
        content: dict[str, Any] = {"schema": SCHEMA, **dataclasses.asdict(self)}
        content["failures"] = self.failures
        rounded: dict[str, Any] = _rounded(content)
        return rounded

    def to_json(self, indent: int | None = 1) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=indent)

    def to_csv(self) -> str:
        """One line for each point of every clip; what a point has not is an empty cell."""
        skipped = {"packet_bytes", "frame_bytes", "per_frame", "packet_stats"}
        names = [f.name for f in dataclasses.fields(Point) if f.name not in skipped]
        out = io.StringIO()
        table = csv.writer(out, lineterminator="\n")
        table.writerow(["clip", "width", "height", "fps", *names])
        for clip in self.clips:
            for point in (p for codec in self.codecs for p in clip.curve(codec)):
                values = (_rounded(getattr(point, name)) for name in names)
                table.writerow([clip.path, clip.width, clip.height, _rounded(clip.fps), *values])
        return out.getvalue()


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
