"""Types that the media packages share: what users name, and PyAV's packets."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, BinaryIO, TypeAlias, overload

import av
from av.audio.codeccontext import AudioCodecContext
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext

__all__ = ["AvPacket", "Cancelled", "MediaFile", "Warn", "decoder_of"]

MediaFile: TypeAlias = str | os.PathLike[str] | BinaryIO
"""A path, or a binary file object; where it is documented, "-" for standard input or output."""

Warn: TypeAlias = Callable[[str], None]
"""Takes a sentence on something that is lost or changed."""

Cancelled: TypeAlias = Callable[[], bool]
"""Polled during long work; true asks to stop."""

AvPacket: TypeAlias = "av.Packet[Any]"
"""A packet of any kind of stream; PyAV types a packet by its stream."""


@overload
def decoder_of(stream: av.VideoStream) -> VideoCodecContext | None: ...
@overload
def decoder_of(stream: av.AudioStream) -> AudioCodecContext | None: ...
@overload
def decoder_of(stream: Stream) -> av.CodecContext | None: ...
def decoder_of(stream: Stream) -> av.CodecContext | None:
    """A stream's codec context; None where FFmpeg has no decoder, which PyAV's types omit."""
    return stream.codec_context
