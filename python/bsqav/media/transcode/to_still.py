"""Writing a `.bsq` still: the input's only frame as one keyframe packet."""

from __future__ import annotations

import os
from pathlib import Path

from bsqav.codec.animation_file import still_with_metadata
from bsqav.codec.encoder_options import with_bsq_preset
from bsqav.codec.image import encode_planes
from bsqav.codec.settings import EncoderSettings, StillArguments
from bsqav.errors import UnsupportedError, UsageError
from bsqav.media.demux.still_reader import FORMAT
from bsqav.media.io.types import MediaFile, Warn
from bsqav.media.transcode.events import SourceFrame
from bsqav.media.transcode.options import Options
from bsqav.media.transcode.sink import Sink
from bsqav.media.transcode.source import Source
from bsqav.media.transcode.tracks import leave_out

__all__ = ["StillSink", "is_still_target"]

_SUFFIX = ".bsq"


def is_still_target(path: MediaFile, named: str | None) -> bool:
    """Whether an output is a still: by the container's name where given, else by the suffix."""
    if named is not None:
        return named == FORMAT
    if not isinstance(path, str | os.PathLike):
        return False
    return Path(path).suffix.lower() == _SUFFIX


class StillSink(Sink):
    """Takes one frame and writes it as a still; a second one is refused.

    Args:
        target: path or writable file of bytes.
        source: where the frame comes from.
        options: of the transcode.
        warn: takes a sentence on everything that is left out.

    Raises:
        UsageError, UnsupportedError: options that stills do not have.
    """

    def __init__(self, target: MediaFile, source: Source, options: Options, warn: Warn) -> None:
        if options.codec not in (None, "bsq", "copy"):
            raise UsageError(f"{_SUFFIX} holds BSQ and nothing else: omit {options.codec}")
        if options.codec == "copy" and not source.is_bsq:
            raise UsageError(f"codec copy needs BSQ: {source.name} is {source.info.codec}")
        if {"bitrate", "maxrate"} & options.settings.keys():
            raise UnsupportedError("a still has no bit rate: say the quality with crf (--crf)")
        options.refuse(
            "a still is one image",
            settings_except=StillArguments.__annotations__,
            names=("parallel", "embed_model"),
        )
        if options.strict:
            others = [s for s in source.other_streams() if s.type != "attachment"]
            leave_out([(s, "stills hold none") for s in others], strict=True, warn=warn)
        self.codec = options.codec or "bsq"
        super().__init__()
        self._target, self._source, self._options = target, source, options
        self._data = b""

    def write(self, frame: SourceFrame) -> None:
        """Encodes the frame, or takes its packet as it is."""
        if self.sent:
            raise UsageError(
                f"a {_SUFFIX} file holds one image and {self._source.name} has more frames: select "
                "one with --start and --duration, or write a video"
            )
        self.sent += 1
        packet = self._encode(frame) if frame.packet is None else self._copy(frame)
        self._data = still_with_metadata(packet, self._source.image_metadata)

    def _copy(self, frame: SourceFrame) -> bytes:
        packet = frame.packet
        assert packet is not None
        if not packet.keyframe:
            raise UsageError(
                f"the frame of {self._source.name} is no keyframe and cannot be decoded alone: "
                "omit codec copy"
            )
        return bytes(packet)

    def _encode(self, frame: SourceFrame) -> bytes:
        info, options = self._source.info, self._options
        return encode_planes(
            frame.planes,
            info.layout,
            info.colour,
            sample_aspect=info.sample_aspect,
            chroma_location=self._source.chroma_location,
            rotation=info.rotation,
            model=options.model,
            settings=EncoderSettings.for_stills().changed(with_bsq_preset(options.settings)),
        )

    def finish(self) -> None:
        """Writes the file."""
        if not self._data:
            return
        if isinstance(self._target, str | os.PathLike):
            Path(self._target).write_bytes(self._data)
        else:
            self._target.write(self._data)
        self.frames = 1
        self.bytes = self.video_bytes = len(self._data)
