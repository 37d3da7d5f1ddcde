"""`bsqav.transcode`: one file or pipe into another, to BSQ, from BSQ, or as it is."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import Unpack

from bsqav.codec.models import ModelLike
from bsqav.codec.settings import SettingArguments, given_settings
from bsqav.media.io.progress import Progress, ProgressCallback
from bsqav.media.io.types import Cancelled, MediaFile, Warn
from bsqav.media.transcode.options import Options, Seconds, TranscodeResult, exact
from bsqav.media.transcode.pipeline import Pipeline
from bsqav.media.transcode.tracks import TrackChoice, Tracks

__all__ = ["Progress", "TranscodeResult", "transcode"]


def transcode(
    src: MediaFile,
    dst: MediaFile,
    *,
    codec: str | None = None,
    two_pass: bool = False,
    model: ModelLike | None = None,
    parallel: int | None = None,
    device: str = "cpu",
    start: Seconds | None = None,
    duration: Seconds | None = None,
    scale: tuple[int, int] | float | Fraction | None = None,
    pixel_format: str | None = None,
    audio: str = "copy",
    video_track: int | None = None,
    audio_tracks: Tracks = "all",
    subtitle_tracks: Tracks = "all",
    embed_model: bool = False,
    strict: bool = False,
    overwrite: bool = False,
    format: str | None = None,  # noqa: A002
    input_format: str | None = None,
    fps: float | Fraction | None = None,
    start_number: int | None = None,
    progress: ProgressCallback | None = None,
    warn: Warn | None = None,
    cancelled: Cancelled | None = None,
    **settings: Unpack[SettingArguments],
) -> TranscodeResult:
    """Transcodes a file, to BSQ or from it, with everything that belongs to the video.

    Sound is copied byte for byte; subtitles, chapters, attachments, cover art, metadata, colour
    tags, rotation and timestamps are carried over, variable frame rates too. The output is written
    to `dst` + ".partial", which is renamed when it is complete.

    Args:
        src: a path or URL, a readable file of bytes, or "-" for standard input.
        dst: a path, a writable file of bytes, or "-" for standard output (NUT where `format` says
            nothing else); `out_%04d.png` writes every frame as an image.
        codec: "bsq", "copy" (BSQ into another container, undecoded), or an FFmpeg encoder.
            None: BSQ, unless the input is BSQ already or the output is images; then H.264, or
            what the container is made for.
        two_pass: read the input twice, to share a bit rate out by how hard the frames are; BSQ
            only, and from a path only.
        model: name, id or file of the model; the default model where None.
        parallel: groups of pictures coded at the same time, 1 (or None) to 64, by encoders that
            share the threads: faster where one frame leaves threads without work. Frames of so
            many groups are held in memory, and the file is written in order; see `Encoder`. BSQ by
            quality only.
        device: where BSQ is decoded and encoded, as in `Decoder`: "cpu", "cuda", "cuda:1". Files
            are the same everywhere.
        start, duration: seconds; frame-exact, except with "copy", which begins at a keyframe.
        scale: (width, height), -1 for one of them keeps the proportions; or a factor, such as 0.5.
        pixel_format: what frames are converted to: yuv420p, yuv422p, yuv444p, gray, yuva420p
            (with alpha) and so on, see `Encoder`. Where None they stay 4:2:0, 4:2:2, 4:4:4, gray
            and with alpha as they are, and RGB becomes 4:2:0.
        audio: "copy", "none", or an FFmpeg encoder, such as "aac".
        video_track: the number of the video track, as `bsqav info` prints it; the best one where
            None.
        audio_tracks, subtitle_tracks: "all", "none", or those wanted: numbers as `bsqav info`
            prints them, or languages, as "1,eng", 2 or ["eng", "fra"].
        embed_model: attach the model's file, so that whoever has the output can decode it without
            installing the model; BSQ in Matroska only.
        strict: refuse to leave a track out, and an input that says a wrong size, instead of
            warning.
        overwrite: replace an existing output.
        format: FFmpeg's name of the output's container, by the extension where None.
        input_format: FFmpeg's name of the input's container, guessed where None.
        fps: frames per second of an input that has no times: numbered images (`in_%04d.png`, 25
            where None) or a raw stream.
        start_number: number of the first image of such an input; the lowest there is where None.
        progress: called with a `Progress` after every frame that is taken in and every one that has
            been written; it counts what has been written.
        warn: called with a sentence on everything that is lost or changed; where None, Python
            warnings of the category BsqWarning are given.
        cancelled: polled between packets; when it answers true, KeyboardInterrupt is raised.
        settings: how to encode: crf, bitrate, gop, preset and so on, all that `EncoderSettings`
            lists with the defaults of files; None stands for the default. x264's names of presets
            stand for BSQ's. A warning at the end says so where a bit rate could not be kept. FFmpeg
            encoders take crf, bitrate, gop, threads and the settings that are names, with scales
            and names of their own; what one does not have is refused. x264, x265 and a few others
            take maxrate with vbv_buffer, VP9 with a bitrate.

    Raises:
        MediaError: the input cannot be read, or the output cannot be written; where the input is
            cut short, the good frames stay in the partial file and the message counts them.
        BitstreamError: damage in a BSQ input, with packet and byte.
        ModelNotFoundError, ModelError: the model is missing or damaged.
        UsageError, UnsupportedError: arguments that are out of range or not supported.
        TypeError: there is no argument of that name.
        KeyboardInterrupt: what was written so far stays in the partial file.
    """
    options = Options(
        codec=codec,
        settings=given_settings(settings, transcode),
        two_pass=two_pass,
        model=model,
        parallel=parallel,
        device=device,
        start=exact(start),
        duration=exact(duration),
        scale=scale if scale is None or isinstance(scale, tuple) else exact(scale),
        pixel_format=pixel_format,
        audio=audio,
        tracks=TrackChoice.of(video_track, audio_tracks, subtitle_tracks),
        embed_model=embed_model,
        strict=strict,
        overwrite=overwrite,
        format=format,
        fps=exact(fps),
        start_number=start_number,
    )
    options.check()
    pipeline = Pipeline(src, dst, options, warn, progress, cancelled or (lambda: False))
    with contextlib.closing(pipeline):
        return pipeline.run(input_format)
