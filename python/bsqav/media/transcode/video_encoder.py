"""An FFmpeg encoder as a stream of an output file: planes in, packets out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import VideoReformatter

from bsqav.codec.frame_format import PlaneFormat, planes_to_frame
from bsqav.codec.settings import SETTINGS
from bsqav.errors import UnsupportedError, UsageError
from bsqav.media.io.types import AvPacket, Warn
from bsqav.media.metadata.stream_info import COUNTS_FRAMES, NO_GAPS, WITHOUT_TIMES, StreamInfo
from bsqav.media.transcode.decoding import Plane
from bsqav.media.transcode.encoder_names import find_encoder
from bsqav.media.transcode.frame_clock import FrameClock, encoder_rate

__all__ = ["VideoEncoder", "VideoSettings"]

# Encoders that keep a receiver's VBV buffer.
_CAPPED = {"libx264", "libx265", "libvpx-vp9", "mpeg2video", "mpeg4"}
# Settings that encoders have under the same names, with choices of their own.
_CHOICES = tuple(name for name, setting in SETTINGS.items() if setting.type == "choice")
# Quality that is near transparent, where an encoder has such a scale.
_DEFAULT_CRF = {"libx264": 18.0, "libx265": 20.0, "libsvtav1": 28.0, "libvpx-vp9": 24.0}
# Those with quantizers of 1 to 31, and by themselves a bit rate that is far too small.
_QUANTIZED = {"mpeg1video", "mpeg2video", "mpeg4", "msmpeg4", "h263", "h263p", "flv", "mjpeg"}
_FINE_QUANTIZERS = (2, 3)
_X265_COLUMNS = 64
# Encoders that want time in frames, not in ticks. Of MPEG-1's rates the first eight are standard.
_FRAME_TICKS = {"mpeg1video", "mpeg2video", "mpeg4", "msmpeg4", "h263", "h263p", "flv", "mjpeg"}
# These take no odd sizes with 4:2:0 chroma.
_EVEN_SIZES = {"libx264", "libx265", "libvpx", "libvpx-vp9", "libsvtav1", "mpeg4", "h264_nvenc"}
# Tried in this order where an encoder does not take the samples as they are: what is richer first.
_CHROMA = {
    "420": ("420", "422", "444"),
    "422": ("422", "444", "420"),
    "444": ("444", "422", "420"),
    "gray": ("gray", "420", "422", "444"),
}
# At 8 bits and above.
_RGB = (("rgb24", "gbrp", "bgr24"), ("rgb48le", "rgb48be", "gbrp10le", "rgb24", "gbrp", "bgr24"))
_RGBA = (("rgba", "bgra", "argb", "gbrap"), ("rgba64le", "rgba64be", "gbrap10le", "rgba", "bgra"))


# Of both terms of a rate: MPEG-4's limit.
_MAX_TERM = 65535
# Of packets whose frames were counted from a time between two ticks.
_MICROSECONDS = Fraction(1, 1_000_000)


@dataclass(frozen=True)
class VideoSettings:
    """How to encode and what to do with the other tracks."""

    encoder: str | None = None  # FFmpeg's name; by container where None
    given: Mapping[str, Any] = field(default_factory=dict)  # settings by their names in BSQ
    audio: str = "copy"  # "copy", "none", or the name of an FFmpeg encoder
    strict: bool = False
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)


class VideoEncoder:
    """Adds a video stream to an output container and encodes planes into it.

    Args:
        container: a PyAV output container.
        name: FFmpeg's name of the encoder.
        info: what the video is like.
        settings: how to encode.
        warn: takes a sentence on everything that is changed.

    Raises:
        UsageError, UnsupportedError: no such encoder, or it does not go with the container.
    """

    def __init__(
        self,
        container: OutputContainer,
        name: str,
        info: StreamInfo,
        settings: VideoSettings,
        warn: Warn,
    ) -> None:
        self._name, self._info = name, info
        # Encoders that would write to standard error on their own.
        os.environ.setdefault("SVT_LOG", "1")
        rate = 1 / (1 / (info.frame_rate or info.usual_rate)).limit_denominator(_MAX_TERM)
        self._form = container.format
        name = self._name = find_encoder(name, "video").name  # hevc means libx265
        if name == "libx265" and info.layout.width < _X265_COLUMNS:
            raise UnsupportedError(
                f"libx265 writes beyond its memory where frames are narrower than "
                f"{_X265_COLUMNS} columns, and these have {info.layout.width}: use libx264, or "
                "another size (--scale)"
            )
        try:
            self._clock = FrameClock(encoder_rate(name, rate)) if self._counts_frames() else None
            rate = rate if self._clock is None else self._clock.rate
            stream = container.add_stream(name, rate=rate)
        except (ValueError, av.FFmpegError) as error:
            raise UnsupportedError(f"the encoder {name} cannot be used: {error}") from error
        assert isinstance(stream, av.VideoStream)  # find_encoder looked for video
        self.stream = stream
        self._reformatter = VideoReformatter()
        self._warn = warn
        self._layout = self._even_layout(warn)
        self._describe()
        self._set_options(settings)

    def _describe(self) -> None:
        """Size, format, timing, colour and display of the stream."""
        info, stream = self._info, self.stream
        stream.width, stream.height = self._layout.width, self._layout.height
        stream.pix_fmt = self._pixel_format()
        context = stream.codec_context
        context.time_base = info.time_base if self._clock is None else self._clock.tick
        info.colour.tag(context)
        if _has_full_range(stream):
            context.color_range = 2
        if info.sample_aspect is not None:
            context.sample_aspect_ratio = info.sample_aspect
        if info.rotation:
            stream.set_display_rotation(-info.rotation)

    def _set_options(self, settings: VideoSettings) -> None:
        context, info = self.stream.codec_context, self._info
        given = settings.given
        self._check_options(given)
        context.thread_count = given.get("threads", 0)
        if "gop" in given:
            context.gop_size = given["gop"]
        options = dict(settings.options)
        option, parameters = self._parameters()
        if parameters:
            options.setdefault(option, ":".join(parameters))
        if self._form.name == "avi":
            options.setdefault("bf", "0")  # AVI does not say when a frame is due out of order
        if info.chroma_location and self._layout.chroma == "420":
            options.setdefault("chroma_sample_location", str(info.chroma_location))
        if "bitrate" in given:
            context.bit_rate = round(given["bitrate"])
        elif (crf := given.get("crf", _DEFAULT_CRF.get(self._name))) is not None:
            options.setdefault("crf", f"{crf:g}")
        elif self._name in _QUANTIZED and "maxrate" in given:
            context.bit_rate = round(given["maxrate"])  # as fine as it may be below the cap
        elif self._name in _QUANTIZED:
            context.qmin, context.qmax = _FINE_QUANTIZERS
        if "maxrate" in given:
            self._cap_rate(given, options)
        for name in _CHOICES:
            if name in given:
                options.setdefault(name, given[name])
        self.stream.options = {**options}

    def _check_options(self, given: Mapping[str, Any]) -> None:
        """Refuses what the encoder would ignore."""
        own = {"crf", *_CHOICES}
        wanted = {key: str(value) for key, value in given.items() if key in own}
        for key in self._unused(wanted):
            rated = key == "crf" and self._name in _QUANTIZED
            instead = "give a bit rate (--bitrate RATE), or " if rated else ""
            raise UsageError(
                f"the encoder {self._name} has no {key}: {instead}omit {key} (--{key})"
            )

    def _unused(self, options: dict[str, str]) -> list[str]:
        """Those of the options that an encoder which opens has left."""
        if not options:
            return []
        context = av.CodecContext.create(self._name, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = 64, 64, self.stream.pix_fmt
        context.time_base = Fraction(1, 25)
        quiet = {"x265-params": "log-level=none"} if self._name == "libx265" else {}
        context.options = {**options, **quiet}
        try:
            context.open()
        except (ValueError, OSError, av.FFmpegError):
            return []  # what is wrong with it, the file's own encoder says
        return [key for key in options if key in context.options]

    def _counts_frames(self) -> bool:
        """Whether the encoder or the container has a clock that counts frames."""
        return (
            self._name in _FRAME_TICKS
            or self._form.name in COUNTS_FRAMES
            or bool(int(self._form.flags) & WITHOUT_TIMES)
        )

    def _parameters(self) -> tuple[str, list[str]]:
        """Name and values of the option that holds the parameters of the encoder's own library."""
        hdr = self._info.hdr
        if self._name == "libx265":
            return "x265-params", ["log-level=error", *hdr.x265_parameters()]
        if self._name == "libx264":
            # Else an elementary stream, and what trusts its header, has ticks per second as rate.
            even = ["force-cfr=1"] if self._info.frame_rate or self._clock else []
            return "x264-params", [*even, *hdr.x264_parameters()]
        if self._name == "libsvtav1":
            return "svtav1-params", hdr.svtav1_parameters()
        if hdr:
            self._warn(f"mastering display and content light level are left out by {self._name}")
        return "", []

    def _cap_rate(self, given: Mapping[str, Any], options: dict[str, str]) -> None:
        if self._name not in _CAPPED:
            raise UsageError(
                f"the encoder {self._name} keeps no upper bound of the rate: omit maxrate, "
                f"or use one of {', '.join(sorted(_CAPPED))}"
            )
        if self._name == "libvpx-vp9" and "bitrate" not in given:
            raise UsageError(
                "libvpx-vp9 keeps a maxrate only with a bit rate: give one (--bitrate RATE), or "
                "omit maxrate"
            )
        maxrate = round(given["maxrate"])
        seconds = given.get("vbv_buffer", SETTINGS["vbv_buffer"].default)
        options.setdefault("maxrate", str(maxrate))
        options.setdefault("bufsize", str(round(maxrate * seconds)))

    def _even_layout(self, warn: Warn) -> PlaneFormat:
        """The size in which frames are encoded: even where the encoder needs that."""
        layout = self._info.layout
        width, height = layout.width, layout.height
        if self._name in _EVEN_SIZES and (width % 2 or height % 2):
            width, height = width + width % 2, height + height % 2
            warn(
                f"{self._name} needs even sizes: {layout.width}x{layout.height} is padded to "
                f"{width}x{height}"
            )
        return replace(layout, width=width, height=height)

    def _pixel_format(self) -> str:
        """The encoder's nearest; says what it loses."""
        known = [form.name for form in self.stream.codec_context.codec.video_formats or ()]
        wanted = self._wanted_formats()
        usable = (name for name in wanted if (name in known or not known) and self._takes(name))
        chosen = next(usable, known[0] if known else wanted[0])
        self._say_losses(av.VideoFormat(chosen))
        return chosen

    def _wanted_formats(self) -> list[str]:
        """Pixel formats, the best first: alpha counts most, then chroma, then the depth."""
        layout = self._layout
        if self._name.startswith("libwebp"):  # it makes its own colours of RGB
            return ["bgra"]
        if self._name == "mjpeg":  # it has no limited range
            chroma = "420" if layout.chroma == "gray" else layout.chroma
            return [f"yuvj{chroma}p", "yuvj420p"]
        deep = layout.bit_depth > 8
        choices = _CHROMA[layout.chroma]
        if layout.chroma == "gray" and self._name in _EVEN_SIZES:
            # Gray H.264 and HEVC are standard and yet hardly anything plays them.
            choices = ("420", *choices)
        names = []
        for alpha in [True, False] if layout.alpha else [False]:
            for chroma in choices:
                depths = (10, 8) if deep else (8, 10)
                forms = [replace(layout, chroma=chroma, alpha=alpha, bit_depth=d) for d in depths]
                names += [form.pixel_format for form in forms]
            names += (_RGBA if alpha else _RGB)[deep]
        return names

    def _takes(self, pixel_format: str) -> bool:
        """Whether the encoder opens: some name formats with alpha that they then refuse."""
        form = av.VideoFormat(pixel_format)
        if not any(part.is_alpha for part in form.components):
            return True
        context = av.CodecContext.create(self._name, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = 64, 64, pixel_format
        context.time_base = Fraction(1, 25)
        context.options = {"x265-params": "log-level=none"} if self._name == "libx265" else {}
        try:
            context.open()
        except (ValueError, OSError, av.FFmpegError):
            return False
        return True

    def _say_losses(self, chosen: av.VideoFormat) -> None:
        layout, name = self._layout, self._name
        if layout.alpha and not any(part.is_alpha for part in chosen.components):
            self._warn(f"the alpha channel is left out: {name} holds none")
        if layout.chroma in ("422", "444") and not chosen.is_rgb:
            wide = {"422": 32, "444": 64}[layout.chroma]
            if chosen.chroma_width(64) < wide or chosen.chroma_height(64) < 64:
                kept = f"{layout.chroma[0]}:{layout.chroma[1]}:{layout.chroma[2]}"
                self._warn(f"{kept} becomes {chosen.name}: {name} does not hold it")

    def encode(self, planes: Sequence[Plane], pts: int, duration: int) -> list[AvPacket]:
        """Packets that are ready after one frame; times in ticks of the video's time base."""
        frame = planes_to_frame(self._padded(planes), self._layout)
        self._info.colour.tag(frame)
        if frame.format.name != self.stream.pix_fmt:
            frame = self._reformatter.reformat(
                frame, format=self.stream.pix_fmt, threads=1, **self._ranges()
            )
        frame.pts = pts
        frame.time_base = self._info.time_base
        frame.duration = duration
        if self._clock is not None:
            frame.pts = self._clock.count(pts * self._info.time_base)
            frame.time_base, frame.duration = self._clock.tick, 1
        return [self._placed(packet) for packet in self.stream.encode(frame)]

    def _placed(self, packet: AvPacket) -> AvPacket:
        """The packet of a counted frame at its own time, where the container has such times."""
        clock, without = self._clock, bool(int(self._form.flags) & WITHOUT_TIMES)
        if clock is None or not clock.offset or without or self._form.name in COUNTS_FRAMES:
            return packet
        base, move = Fraction(packet.time_base) / _MICROSECONDS, clock.offset / _MICROSECONDS
        packet.pts = None if packet.pts is None else round(packet.pts * base + move)
        packet.dts = None if packet.dts is None else round(packet.dts * base + move)
        packet.duration = round((packet.duration or 0) * base)
        packet.time_base = _MICROSECONDS
        return packet

    def drain(self) -> Iterator[AvPacket]:
        """Packets that were held back, each as soon as it is coded."""
        if self._clock is not None:
            self._say_displaced(self._clock)
        for packet in self.stream.codec_context.encode_lazy(None):
            packet.stream = self.stream
            yield self._placed(packet)

    def _say_displaced(self, clock: FrameClock) -> None:
        """Warns of times that a clock of frames, or none at all, has changed."""
        form, rate = self._form.name, f"{float(clock.rate):g} frames a second"
        where = self._name if self._name in _FRAME_TICKS else form
        if clock.skipped and (int(self._form.flags) & WITHOUT_TIMES or form in NO_GAPS):
            self._warn(
                f"{form} has a constant rate, {rate}, and no times: {clock.skipped} frames that "
                "last longer are shown as long as the others"
            )
        elif clock.moved:
            self._warn(
                f"{where} has a constant rate, {rate}: {clock.moved} frames were moved, by up to "
                f"{float(clock.farthest):.3f} s"
            )

    def _ranges(self) -> dict[str, int]:
        """How samples map from the frames' format to the encoder's."""
        source = 2 if self._info.colour.full_range == 1 else 1
        target = 2 if _has_full_range(self.stream) else source
        return {"src_color_range": source, "dst_color_range": target}

    def _padded(self, planes: Sequence[Plane]) -> list[Plane]:
        padded: list[Plane] = []
        for plane, (width, height) in zip(planes, self._layout.plane_sizes, strict=True):
            grow = ((0, height - plane.shape[0]), (0, width - plane.shape[1]))
            if any(map(any, grow)):
                plane = cast(Plane, np.pad(plane, grow, "edge"))
            padded.append(plane)
        return padded


def _has_full_range(stream: av.VideoStream) -> bool:
    """Whether the pixel format itself says that samples have the full range."""
    return (stream.pix_fmt or "").startswith("yuvj")
