"""An encoder of FFmpeg's as a stream of an output file: planes in, packets out."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from bsqav.codec.picture import PlaneFormat, planes_to_frame
from bsqav.errors import UnsupportedError, UsageError
from bsqav.media.decoding import AvPacket, Plane
from bsqav.media.facts import VideoFacts

__all__ = ["VideoEncoder", "VideoSettings"]

# Quality that is near transparent, where an encoder has such a scale.
_DEFAULT_CRF = {"libx264": 18.0, "libx265": 20.0, "libsvtav1": 28.0, "libvpx-vp9": 24.0}
# Encoders that want time in frames, not in ticks.
_FRAME_TICKS = {"mpeg1video", "mpeg2video", "mpeg4", "msmpeg4", "h263", "h263p", "flv", "mjpeg"}
# Two by two chroma and pictures of odd sizes do not go together in these.
_EVEN_SIZES = {"libx264", "libx265", "libvpx", "libvpx-vp9", "libsvtav1", "mpeg4", "h264_nvenc"}
# Tried in this order where an encoder does not take the samples as they are.
_FALLBACKS = ["yuv420p", "yuv444p", "yuv422p", "yuv422p10le", "rgb24", "gray"]


@dataclass(frozen=True)
class VideoSettings:
    """How to encode and what to do with the other tracks."""

    encoder: str | None = None  # FFmpeg's name; by container where None
    crf: float | None = None
    bitrate: int | None = None  # bits per second
    gop: int | None = None
    preset: str | None = None
    tune: str | None = None
    threads: int = 0
    audio: str = "copy"  # "copy", "none", or the name of an encoder of FFmpeg's
    strict: bool = False
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)


class VideoEncoder:
    """Adds a video stream to an output container and encodes planes into it.

    Args:
        container: a PyAV output container.
        name: FFmpeg's name of the encoder.
        facts: what the video is like.
        rate: frames per second to state where `facts` has none.
        settings: how to encode.
        warn: takes a sentence on everything that is changed.

    Raises:
        UsageError, UnsupportedError: no such encoder, or it does not go with the container.
    """

    def __init__(
        self,
        container: Any,
        name: str,
        facts: VideoFacts,
        rate: Fraction,
        settings: VideoSettings,
        warn: Callable[[str], None],
    ) -> None:
        self._name, self._facts = name, facts
        # Encoders that would write to standard error on their own.
        os.environ.setdefault("SVT_LOG", "1")
        rate = (facts.frame_rate or rate).limit_denominator(1 << 16)
        try:
            self.stream: Any = container.add_stream(name, rate=rate)
        except (ValueError, av.FFmpegError) as error:
            raise UnsupportedError(f"the encoder {name} cannot be used: {error}") from error
        if self.stream.type != "video":
            raise UsageError(f"{name} encodes {self.stream.type}, not video")
        self._reformatter = VideoReformatter()
        self._warn, self._moved = warn, False
        self._last_tick = -1  # of encoders that count frames
        self._layout = self._even_layout(warn)
        self._describe()
        self._set_options(settings)

    def _describe(self) -> None:
        """Size, format, timing, colour and display of the stream."""
        facts, stream = self._facts, self.stream
        stream.width, stream.height = self._layout.width, self._layout.height
        stream.pix_fmt = self._pixel_format()
        context = stream.codec_context
        frame_ticks = self._name in _FRAME_TICKS
        context.time_base = 1 / context.framerate if frame_ticks else facts.time_base
        facts.colour.tag(context)
        if stream.pix_fmt.startswith("yuvj"):
            context.color_range = 2
        if facts.sample_aspect is not None:
            context.sample_aspect_ratio = facts.sample_aspect
        if facts.rotation:
            stream.set_display_rotation(-facts.rotation)

    def _set_options(self, settings: VideoSettings) -> None:
        context = self.stream.codec_context
        context.thread_count = settings.threads
        if settings.gop is not None:
            context.gop_size = settings.gop
        options = dict(settings.options)
        if self._name == "libx265":
            options.setdefault("x265-params", "log-level=error")
        if settings.bitrate is not None:
            context.bit_rate = settings.bitrate
        else:
            crf = settings.crf if settings.crf is not None else _DEFAULT_CRF.get(self._name)
            if crf is not None:
                options.setdefault("crf", f"{crf:g}")
        if settings.preset is not None:
            options.setdefault("preset", settings.preset)
        if settings.tune is not None:
            options.setdefault("tune", settings.tune)
        self.stream.options = options

    def _even_layout(self, warn: Callable[[str], None]) -> PlaneFormat:
        """The size in which frames are encoded: even where the encoder needs that."""
        layout = self._facts.layout
        width, height = layout.width, layout.height
        if self._name in _EVEN_SIZES and (width % 2 or height % 2):
            width, height = width + width % 2, height + height % 2
            warn(
                f"{self._name} needs even sizes: {layout.width}x{layout.height} is padded to "
                f"{width}x{height}"
            )
        return PlaneFormat(width, height, layout.chroma, layout.bit_depth)

    def _pixel_format(self) -> str:
        if self._name == "mjpeg":
            return "yuvj420p"  # it has no limited range
        own = self._layout.pixel_format
        known = [form.name for form in self.stream.codec_context.codec.video_formats or ()]
        wanted = [own, own.removesuffix("10le"), *_FALLBACKS]
        if self._layout.chroma == "gray" and self._name in _EVEN_SIZES:
            # Gray H.264 and HEVC are standard and yet hardly anything plays them.
            wanted.insert(0, own.replace("gray", "yuv420p"))
        return next(
            (name for name in wanted if not known or name in known), known[0] if known else own
        )

    def encode(self, planes: Sequence[Plane], pts: int, duration: int) -> list[AvPacket]:
        """Packets that are ready after one picture; times in ticks of the facts' time base."""
        picture = planes_to_frame(self._padded(planes), self._layout)
        self._facts.colour.tag(picture)
        if picture.format.name != self.stream.pix_fmt:
            picture = self._reformatter.reformat(
                picture, format=self.stream.pix_fmt, threads=1, **self._ranges()
            )
        picture.pts = pts
        picture.time_base = self._facts.time_base
        picture.duration = duration
        if self._name in _FRAME_TICKS:
            self._count_in_frames(picture, pts)
        return list(self.stream.encode(picture))

    def _count_in_frames(self, picture: av.VideoFrame, pts: int) -> None:
        """The picture's time in frames of the constant rate, each later than the one before."""
        frame = 1 / Fraction(self.stream.codec_context.framerate)
        exact = pts * self._facts.time_base / frame
        self._last_tick = max(round(exact), self._last_tick + 1)
        if abs(self._last_tick - exact) > Fraction(1, 2) and not self._moved:
            self._moved = True
            self._warn(
                f"{self._name} has a constant rate: pictures that are closer than "
                f"{float(frame):.4f} s are moved later"
            )
        picture.pts, picture.time_base, picture.duration = self._last_tick, frame, 1

    def flush(self) -> list[AvPacket]:
        """Packets that were held back."""
        return list(self.stream.encode(None))

    def _ranges(self) -> dict[str, int]:
        """How samples map from the pictures' format to the encoder's."""
        source = 2 if self._facts.colour.full_range == 1 else 1
        target = 2 if self.stream.pix_fmt.startswith("yuvj") else source
        return {"src_color_range": source, "dst_color_range": target}

    def _padded(self, planes: Sequence[Plane]) -> list[Any]:
        padded = []
        for plane, (width, height) in zip(planes, self._layout.plane_sizes, strict=True):
            grow = ((0, height - plane.shape[0]), (0, width - plane.shape[1]))
            padded.append(np.pad(plane, grow, "edge") if any(map(any, grow)) else plane)
        return padded
