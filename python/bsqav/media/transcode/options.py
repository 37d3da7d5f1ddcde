"""The arguments of a transcode, and what it answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

from bsqav._core import check_encoder_settings
from bsqav.codec.encoder_checks import check_parallel
from bsqav.codec.frame_format import PlaneFormat
from bsqav.codec.models import ModelLike
from bsqav.codec.settings import check_rate
from bsqav.errors import UnsupportedError, UsageError
from bsqav.media.transcode.tracks import TrackChoice

__all__ = ["Options", "Seconds", "TranscodeResult", "exact"]

# Settings that FFmpeg encoders do not have.
_ONLY_BSQ = {
    *("bframes", "chroma_crf_offset", "lookahead", "scene_cut", "screen_content"),
    *("temporal_filter", "vbv_buffer"),
}

Seconds: TypeAlias = float | str | Fraction


@dataclass(frozen=True)
class TranscodeResult:
    """What `transcode` did."""

    output: str  # path, or what the output calls itself
    codec: str  # "bsq", "copy", or FFmpeg's name of the encoder
    frames_in: int
    frames_out: int
    bytes: int  # size of the output file; of the packets where the output is no path
    video_bytes: int  # of the video's packets alone
    duration: float  # seconds of video
    seconds: float  # that it took
    hash: str | None  # conformance hash of the decoded frames, where the input was BSQ
    warnings: tuple[str, ...] = field(default=())

    @property
    def fps(self) -> float:
        """Frames per second of work."""
        return self.frames_out / self.seconds if self.seconds else 0.0

    @property
    def bitrate(self) -> float:
        """Bits per second of video, all tracks together."""
        return 8 * self.bytes / self.duration if self.duration else 0.0

    @property
    def video_bitrate(self) -> float:
        """Bits per second of the video's packets: what a bit rate asked for is about."""
        return 8 * self.video_bytes / self.duration if self.duration else 0.0

    def to_dict(self) -> dict[str, Any]:
        """All of it in types that JSON has."""
        rates = {"bitrate": self.bitrate, "video_bitrate": self.video_bitrate}
        return {**asdict(self), "fps": self.fps, **rates}


@dataclass
class Options:
    """The arguments of `transcode`, which describes them."""

    codec: str | None
    settings: dict[str, Any]  # of the encoder, those that are given
    two_pass: bool
    model: ModelLike | None
    parallel: int | None
    device: str
    start: Fraction | None
    duration: Fraction | None
    scale: tuple[int, int] | Fraction | None
    pixel_format: str | None
    audio: str
    tracks: TrackChoice
    embed_model: bool
    strict: bool
    overwrite: bool
    format: str | None
    fps: Fraction | None = None
    start_number: int | None = None

    def check_codec(self, codec: str, *, to_file: bool, codes_bsq: bool) -> None:
        """Refuses what the video codec chosen does not take.

        Args:
            codec: "bsq", "copy", or FFmpeg's name of the encoder.
            to_file: the output is a file of a container.
            codes_bsq: BSQ video is decoded or encoded on the way.
        """
        only_bsq = self.two_pass or self.parallel is not None or _ONLY_BSQ & self.given()
        if codec != "bsq" and only_bsq:
            raise UsageError(
                "two passes, a VBV buffer without a maxrate, scene_cut, a lookahead, B frames, "
                "a temporal filter and parallel groups are for encoding to BSQ (-c:v bsq): "
                "omit them"
            )
        if self.device != "cpu" and not codes_bsq:
            raise UnsupportedError(
                "neither the input nor the output is BSQ video, and nothing else runs on a CUDA "
                f"device: omit --device {self.device}"
            )
        if self.embed_model and (codec not in ("bsq", "copy") or not to_file):
            raise UsageError("a model is embedded with BSQ video only: omit --embed-model")

    def given(self) -> set[str]:
        """Names of the settings that are given; with a maxrate, a VBV buffer belongs to it."""
        return set(self.settings) - ({"vbv_buffer"} if "maxrate" in self.settings else set())

    @property
    def threads(self) -> int:
        """Threads for decoding and encoding, 0 for the number of processors."""
        return int(self.settings.get("threads", 0))

    def refuse(self, why: str, *, settings_except: Collection[str], names: Iterable[str]) -> None:
        """Refuses what is given of the arguments; `why` they mean nothing.

        Args:
            why: the reason.
            settings_except: settings that are taken; all others are refused.
            names: other arguments.
        """
        useless = [name for name in self.settings if name not in settings_except]
        useless += [name for name in names if getattr(self, name) not in (None, False)]
        if useless:
            raise UsageError(f"{why}: omit {', '.join(useless)}")

    def check(self) -> None:
        """Refuses what no codec takes."""
        if self.duration is not None and self.duration <= 0:
            raise UsageError(f"duration {float(self.duration):g} s is not above 0")
        if self.start is not None and self.start < 0:
            raise UsageError(f"start {float(self.start):g} s is before the beginning")
        if self.codec == "copy":
            others = ("two_pass", "parallel", "scale", "pixel_format")
            self.refuse("codec copy encodes nothing", settings_except={"threads"}, names=others)
        check_rate(self.settings)
        if self.two_pass and "bitrate" not in self.settings:
            raise UsageError("two passes need a bit rate to share out: give one (--bitrate RATE)")
        # Of other encoders these alone mean the same.
        for name in ("gop", "threads", *_ONLY_BSQ & self.settings.keys()):
            if name in self.settings:
                check_encoder_settings(**{name: self.settings[name]})
        if self.parallel is not None:
            keeps_rate = "bitrate" in self.settings or "maxrate" in self.settings
            check_parallel(self.parallel, keeps_rate=keeps_rate)
        self._check_ranges()

    def _check_ranges(self) -> None:
        if self.pixel_format is not None:
            PlaneFormat.named(1, 1, self.pixel_format)  # raises where there is none of that name
        if isinstance(self.scale, Fraction):
            if not 0 < self.scale <= 100:
                raise UsageError(f"scale {float(self.scale):g} is above 100 or not above 0")
        elif self.scale is not None and not is_scale(self.scale):
            raise UsageError(
                f"scale {self.scale[0]}x{self.scale[1]}: each side is 1 .. 8192, or one of them -1"
            )
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise UsageError(f"fps {float(self.fps):g} is not above 0 and up to 1000")
        if self.start_number is not None and self.start_number < 0:
            raise UsageError(f"start number {self.start_number} is below 0")


def is_scale(scale: tuple[int, int]) -> bool:
    return scale != (-1, -1) and all(side == -1 or 1 <= side <= 8192 for side in scale)


def exact(seconds: Seconds | None) -> Fraction | None:
    """Seconds as a fraction; a float means the decimal number that it prints as."""
    if seconds is None:
        return None
    try:
        return Fraction(str(seconds)) if isinstance(seconds, float) else Fraction(seconds)
    except (ValueError, ZeroDivisionError) as error:
        raise UsageError(f"{seconds!r} is not a number of seconds") from error
