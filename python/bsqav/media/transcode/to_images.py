"""Writing images: every frame as an image file of its own, as `out_%04d.png` says."""

from __future__ import annotations

import re
from pathlib import Path

import av

from bsqav.codec.files import written_whole
from bsqav.codec.image_metadata import NO_METADATA
from bsqav.codec.still import shown_frame
from bsqav.errors import MediaError, UnsupportedError, UsageError
from bsqav.media.io.output_file import OutputExistsError
from bsqav.media.io.types import Warn
from bsqav.media.metadata.image_file_metadata import with_metadata
from bsqav.media.metadata.stream_info import turn_planes, turned
from bsqav.media.transcode.events import SourceFrame
from bsqav.media.transcode.options import Options
from bsqav.media.transcode.sink import Sink
from bsqav.media.transcode.source import Source
from bsqav.media.transcode.tracks import leave_out

__all__ = ["ImageSink", "is_image_pattern"]

_WEBP_QUALITY = "95"
_NUMBER = re.compile(r"%0?\d*d")
# Extension to encoder, and its pixel formats for gray, colour, and both with alpha: at 8 bits, and
# above.
_ENCODERS = {
    ".bmp": ("bmp", ("gray", "gray"), ("bgr24", "bgr24"), ("bgra", "bgra"), ("bgra", "bgra")),
    ".jpg": ("mjpeg", ("yuvj420p", "yuvj420p"), ("yuvj420p", "yuvj420p"), None, None),
    ".png": (
        "png",
        ("gray", "gray16be"),
        ("rgb24", "rgb48be"),
        ("ya8", "ya16be"),
        ("rgba", "rgba64be"),
    ),
    ".tif": (
        "tiff",
        ("gray", "gray16le"),
        ("rgb24", "rgb48le"),
        ("ya8", "ya16le"),
        ("rgba", "rgba64le"),
    ),
}
_BGRA = ("bgra", "bgra")  # libwebp itself makes its colours of them
_ENCODERS[".webp"] = ("libwebp", _BGRA, _BGRA, _BGRA, _BGRA)
_ENCODERS |= {".jpeg": _ENCODERS[".jpg"], ".tiff": _ENCODERS[".tif"]}


def is_image_pattern(path: str) -> bool:
    """Whether a path names numbered images, or one image of a kind that is written here."""
    suffix = Path(path).suffix.lower()
    if suffix == ".webp" and _NUMBER.search(path) is None:
        return False  # one file holds all of them, as an animation
    return suffix in _ENCODERS


class ImageSink(Sink):
    """Takes frames and writes each as an image, turned upright, numbered from 1.

    Args:
        pattern: a path with one place for the number, such as `out_%04d.png`; without one, the
            input may have one frame only.
        source: where the frames come from.
        options: of the transcode.
        warn: takes a sentence on everything that is left out.
    """

    def __init__(
        self,
        pattern: str,
        source: Source,
        *,
        options: Options,
        warn: Warn,
    ) -> None:
        super().__init__()
        suffix = Path(pattern).suffix.lower()
        if len(_NUMBER.findall(pattern)) > 1 or pattern.count("%") > 1:
            raise UsageError(f"{pattern} has more than one place for the image's number")
        self.codec, gray, colour, gray_alpha, colour_alpha = _ENCODERS[suffix]
        if options.codec not in (None, self.codec):
            raise UsageError(
                f"{suffix} images are {self.codec}: omit -c:v {options.codec}, or use "
                "another suffix"
            )
        why = f"{suffix} images have one quality, the finest"
        options.refuse(why, settings_except={"threads"}, names=())
        self._pattern, self._overwrite = pattern, options.overwrite
        self._rotation = source.info.rotation
        self._time_base = source.time_base
        self._info = turned(source.info)  # image files are shown as they are
        layout = self._info.layout
        is_gray = layout.chroma == "gray"
        formats = gray if is_gray else colour
        if layout.alpha:
            formats = (gray_alpha if is_gray else colour_alpha) or formats
            if gray_alpha is None:
                warn(f"the alpha channel is left out: {suffix} files hold none")
        self._pixel_format = formats[layout.bit_depth > 8]
        if self.codec == "mjpeg" and layout.chroma in ("422", "444"):
            self._pixel_format = f"yuvj{layout.chroma}p"
        self._held: bytes | None = None
        self._metadata, self._warn = source.image_metadata, warn
        if self._metadata and _NUMBER.search(pattern) is not None:
            warn(f"{self._metadata.names} of the first image: left out of numbered images")
            self._metadata = NO_METADATA
        if options.strict:
            others = [s for s in source.other_streams() if s.type != "attachment"]
            leave_out([(s, "images hold none") for s in others], strict=True, warn=warn)
        self._refuse_existing(self.path(1))

    def path(self, number: int) -> Path:
        """Where the image of that number goes."""
        match = _NUMBER.search(self._pattern)
        if match is None:
            return Path(self._pattern)
        width = int(match[0].strip("%d") or 0)
        text = f"{number:0{width}d}"
        return Path(self._pattern[: match.start()] + text + self._pattern[match.end() :])

    def _refuse_existing(self, path: Path) -> None:
        if path.exists() and not self._overwrite:
            raise OutputExistsError(f"{path} exists already: -y (overwrite=True) replaces it")

    def write(self, frame: SourceFrame) -> None:
        """Writes one image; it appears under its name only when it is whole."""
        self.sent += 1
        self.end = (frame.pts + frame.duration) * self._time_base
        if _NUMBER.search(self._pattern) is None:
            self._hold(frame)
        else:
            self._save(self.path(self.sent), self._encode(frame))

    def _hold(self, frame: SourceFrame) -> None:
        """Keeps the only image back until it is known to be the only one."""
        if self._held is not None:
            path = self.path(1)
            raise UsageError(
                f"{path} names one image and there are more frames: number them as in "
                f"{path.stem}_%04d{path.suffix}, or select with --duration"
            )
        self._held = with_metadata(self._encode(frame), self.codec, self._metadata, self._warn)

    def _save(self, path: Path, data: bytes) -> None:
        self._refuse_existing(path)
        try:
            with written_whole(path) as partial:
                partial.write_bytes(data)
        except OSError as error:
            raise MediaError(f"{path} cannot be written: {error.strerror}") from error
        self.frames += 1
        self.bytes += len(data)
        self.video_bytes = self.bytes

    def _encode(self, frame: SourceFrame) -> bytes:
        info = self._info
        planes = turn_planes(frame.planes, self._rotation)
        shown = shown_frame(planes, info.layout, info.colour, self._pixel_format)
        try:
            context = av.CodecContext.create(self.codec, "w")
            assert isinstance(context, av.VideoCodecContext)
            context.width, context.height = info.layout.width, info.layout.height
            context.pix_fmt = self._pixel_format
            context.time_base = info.time_base
            if info.sample_aspect is not None:
                context.sample_aspect_ratio = info.sample_aspect
            if self.codec == "mjpeg":
                context.qmin, context.qmax = 2, 2
            if self.codec == "libwebp":
                context.options = {"quality": _WEBP_QUALITY}
            shown.pts = 0
            packets = [*context.encode(shown), *context.encode(None)]
        except (av.FFmpegError, ValueError) as error:
            raise UnsupportedError(f"{self.codec} cannot encode this frame: {error}") from error
        return b"".join(map(bytes, packets))

    def finish(self) -> None:
        """Writes the only image; numbered ones are whole already."""
        if self._held is not None:
            self._save(self.path(1), self._held)
