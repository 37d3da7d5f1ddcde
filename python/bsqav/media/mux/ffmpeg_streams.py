"""Streams of an FFmpeg output file: added like an input's or an encoder's, and tried before."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping
from typing import TypeVar

import av
from av.audio.codeccontext import AudioCodecContext
from av.container import OutputContainer
from av.stream import Stream

from bsqav.media.io.ffmpeg_log import captured_log
from bsqav.media.mux.audio import layout_of
from bsqav.media.mux.format_rules import NEEDS_VIDEO

__all__ = ["add_copy", "add_for_encoder", "can_hold"]

S = TypeVar("S", bound=Stream)


def add_copy(container: OutputContainer, stream: S) -> S:
    """A stream for the packets of an input's; a channel layout that is not known is guessed."""
    made = container.add_stream_from_template(stream)
    if isinstance(made, av.AudioStream) and isinstance(stream, av.AudioStream):
        layout = layout_of(stream.codec_context)
        if layout != stream.codec_context.layout.name:
            made.codec_context.layout = layout
    return made


def add_for_encoder(container: OutputContainer, codec: AudioCodecContext) -> av.AudioStream:
    """An audio stream for the packets of an opened encoder."""
    stream = container.add_stream(codec.codec.name, rate=codec.sample_rate)
    assert isinstance(stream, av.AudioStream)
    context = stream.codec_context
    context.layout = codec.layout
    context.format = codec.format
    context.time_base = codec.time_base
    if codec.bit_rate:
        context.bit_rate = codec.bit_rate
    return stream


def can_hold(
    output: OutputContainer,
    form: str,
    options: Mapping[str, str],
    add: Callable[[OutputContainer], Stream],
) -> bool:
    """Whether FFmpeg would write a file with such a stream: some muxers fail only at the header.

    Args:
        output: the file that is written; a second one like it, in memory, is tried.
        form: FFmpeg's name of the container.
        options: of its muxer.
        add: adds the stream.
    """
    options = {key: value for key, value in options.items() if key == "strict"}
    with captured_log(), contextlib.ExitStack() as stack:
        try:
            trial = av.open(io.BytesIO(), "w", format=form, container_options=options)
            stack.callback(_close, trial)
            if form in NEEDS_VIDEO:
                _copy_video(output, trial)
            add(trial)
            trial.start_encoding()
        except (ValueError, av.FFmpegError):
            return False
    return True


def _copy_video(output: OutputContainer, trial: OutputContainer) -> None:
    """Adds the video tracks of one output to another."""
    for stream in output.streams.video:
        context = stream.codec_context
        made = trial.add_stream(context.codec.name, rate=context.framerate).codec_context
        assert isinstance(made, av.VideoCodecContext)
        made.width, made.height, made.pix_fmt = context.width, context.height, context.pix_fmt
        made.time_base, made.options = context.time_base, dict(context.options)
        if context.bit_rate:
            made.bit_rate = context.bit_rate


def _close(trial: OutputContainer) -> None:
    """Closes a file without packets, which some muxers cannot finish."""
    with contextlib.suppress(ValueError, av.FFmpegError):
        trial.close()
