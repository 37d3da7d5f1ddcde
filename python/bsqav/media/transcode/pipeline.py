"""One transcode at work: source, sink and destination, and what happens between them."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import av

from bsqav.codec import Packet
from bsqav.codec.encoder import PassRecord
from bsqav.codec.encoder_options import with_bsq_preset
from bsqav.codec.frame_format import FrameConverter
from bsqav.codec.settings import EncoderSettings
from bsqav.codec.still import StillConverter
from bsqav.errors import BsqError, MediaError
from bsqav.media.demux.inputs import input_name
from bsqav.media.inspect.conformance import ConformanceHash
from bsqav.media.io.pipes import name_of
from bsqav.media.io.progress import Progress, ProgressCallback
from bsqav.media.io.types import Cancelled, MediaFile, Warn
from bsqav.media.io.warning_log import WarningLog
from bsqav.media.mux.hls import default_gop
from bsqav.media.mux.muxers import format_of
from bsqav.media.transcode.destination import Destination
from bsqav.media.transcode.events import Event, SourceFrame
from bsqav.media.transcode.failures import DamagedInput, explained, with_name, with_remark
from bsqav.media.transcode.first_pass import check_rereadable, first_pass
from bsqav.media.transcode.options import Options, TranscodeResult
from bsqav.media.transcode.sink import Sink
from bsqav.media.transcode.source import Source, SourceOptions
from bsqav.media.transcode.to_bsq import BsqSettings, BsqSink
from bsqav.media.transcode.to_copy import CopySink
from bsqav.media.transcode.to_images import ImageSink, is_image_pattern
from bsqav.media.transcode.to_still import StillSink, is_still_target
from bsqav.media.transcode.to_video import VideoSink, container_format
from bsqav.media.transcode.video_encoder import VideoSettings

__all__ = ["Pipeline"]


class Pipeline:
    """One transcode: source, sink and destination, and what happens between them."""

    def __init__(
        self,
        src: MediaFile,
        dst: MediaFile,
        options: Options,
        warn: Warn | None,
        progress: ProgressCallback | None,
        cancelled: Cancelled,
    ) -> None:
        self._src, self._dst, self._options = src, dst, options
        self._warn = WarningLog(warn)
        self._progress, self._cancelled = progress, cancelled
        self._began = self._pass_began = time.monotonic()
        self._end = Fraction(0)
        self._hash: ConformanceHash | None = None
        self._source: Source | None = None
        self._sink: Sink | None = None
        self._target: Destination | None = None

    def close(self) -> None:
        """Closes the input, and the output where it is a device."""
        if self._source is not None:
            self._source.close()
        if self._target is not None:
            self._target.close()

    def run(self, input_format: str | None) -> TranscodeResult:
        """Transcodes, and says what was done."""
        options = self._options
        if options.two_pass:
            check_rereadable(self._src)
        # The output is looked at first: an existing one is refused before any work.
        self._target = target = None if self._is_images() else self._destination()
        self._source = source = self._open_source(input_format, self._warn)
        untouched = options.scale is None and options.pixel_format is None
        if source.is_bsq and options.codec != "copy" and untouched:
            self._hash = ConformanceHash()
        with explained(f"writing {target.partial if target else self._dst} failed"):
            try:
                sink = self._open_sink(source, target, input_format)
            except BaseException:
                if target is not None:
                    target.discard()
                raise
        metadata = source.image_metadata
        if metadata and not isinstance(sink, StillSink | ImageSink):
            self._warn(f"{metadata.names} of {source.name}: left out, videos hold none")
        self._pump(source, sink, target)
        return self._result(sink, target)

    def _open_source(self, input_format: str | None, warn: Warn) -> Source:
        options = self._options
        try:
            return Source(
                self._src,
                SourceOptions(
                    format=input_format,
                    fps=options.fps,
                    start_number=options.start_number,
                    start=options.start,
                    duration=options.duration,
                    scale=options.scale,
                    pixel_format=options.pixel_format,
                    converter=StillConverter if self._is_still() else FrameConverter,
                    models=() if options.model is None else (options.model,),
                    threads=options.threads,
                    device=options.device,
                    decode=options.codec != "copy",
                    choice=options.tracks,
                    strict=options.strict,
                ),
                warn=warn,
                cancelled=self._cancelled,
            )
        except KeyboardInterrupt:
            raise KeyboardInterrupt("interrupted; no frame was written") from None
        except BsqError as error:
            # A pipe that is cancelled looks like one that ends too early.
            if self._cancelled():
                raise KeyboardInterrupt("interrupted; no frame was written") from None
            raise with_name(error, input_name(self._src)) from error.__cause__

    def _is_images(self) -> bool:
        dst = self._dst
        return (
            isinstance(dst, str | os.PathLike)
            and self._options.format is None
            and self._options.codec in (None, "png", "mjpeg", "bmp", "tiff")
            and is_image_pattern(os.fspath(dst))
        )

    def _is_still(self) -> bool:
        return is_still_target(self._dst, self._options.format)

    def _destination(self) -> Destination:
        return Destination(
            self._dst,
            overwrite=self._options.overwrite,
            source=self._src,
            cancelled=self._cancelled,
        )

    def _open_sink(
        self, source: Source, target: Destination | None, input_format: str | None
    ) -> Sink:
        options = self._options
        codec = options.codec or ("libx264" if source.is_bsq else "bsq")
        codes = source.is_bsq or (codec == "bsq" and not self._is_still())
        options.check_codec(codec, to_file=target is not None, codes_bsq=codes)
        if target is None:
            return ImageSink(
                name_of(self._dst),
                source,
                options=options,
                warn=self._warn,
            )
        if self._is_still():
            return StillSink(target.file, source, options, self._warn)
        if codec in ("bsq", "copy"):
            return self._open_bsq(codec, source, target, input_format)
        container = container_format(target.path, options.format)
        settings = VideoSettings(
            encoder=options.codec,
            given=options.settings,
            audio=options.audio,
            strict=options.strict,
            format=container,
        )
        return VideoSink(target.file, source, settings, self._warn, self._progressed)

    def _open_bsq(
        self, codec: str, source: Source, target: Destination, input_format: str | None
    ) -> Sink:
        options = self._options
        container = format_of(target.path or "-.nut", options.format)
        defaults = EncoderSettings.for_files()
        if container == "hls":
            defaults = replace(defaults, gop=default_gop(source.info.frame_rate))
        settings = BsqSettings(
            encoder=defaults.changed(with_bsq_preset(options.settings)),
            model=options.model,
            parallel=options.parallel or 1,
            device=options.device,
            audio=options.audio,
            strict=options.strict,
            embed_model=options.embed_model,
            format=container,
        )
        if options.two_pass:
            records = self._first_pass(settings, input_format)
            settings = replace(settings, first_pass=records)
        if codec == "copy":
            return CopySink(target.file, source, settings, self._warn)
        return BsqSink(target.file, source, settings, self._warn, self._progressed)

    def _first_pass(
        self, settings: BsqSettings, input_format: str | None
    ) -> tuple[PassRecord, ...]:
        # Whatever there is to say of the input, the second pass says.
        source = self._open_source(input_format, lambda _: None)

        frames = itertools.count(1)

        def took(packet: Packet, taken: int, size: int) -> None:
            end = (packet.pts + (packet.duration or source.frame_ticks)) * packet.time_base
            self._report(source, end, next(frames), size, stage=1, taken=taken)

        with contextlib.closing(source):
            records = first_pass(source, settings, took=took, cancelled=self._cancelled)
        self._pass_began = time.monotonic()
        return records

    # ---- the work ----

    def _pump(self, source: Source, sink: Sink, target: Destination | None) -> None:
        """Moves everything from source to sink; ends it well, or leaves the good part."""
        partial = target.partial if target is not None else name_of(self._dst)
        writing = f"writing {partial} failed"
        try:
            events = source.events()
            while (event := self._next(source, events)) is not None:
                with explained(writing):
                    self._put(source, sink, event)
            with explained(writing):
                sink.finish()
                self._check_count(sink)
        except DamagedInput as damage:
            with contextlib.suppress(OSError, av.FFmpegError, BsqError, KeyboardInterrupt):
                sink.finish()
            sink.abort()
            self._keep(sink, target)
            raise with_remark(damage.error, self._remark(sink, partial)) from damage.error
        except KeyboardInterrupt:
            sink.abort()
            self._keep(sink, target)
            raise KeyboardInterrupt(f"interrupted; {self._remark(sink, partial)}") from None
        except BaseException as error:
            sink.abort()
            self._keep(sink, target)
            if isinstance(error.__cause__, InterruptedError) and self._cancelled():
                raise KeyboardInterrupt(f"interrupted; {self._remark(sink, partial)}") from None
            if isinstance(error, MediaError) and sink.frames:
                # Some of the frames may not have reached the file: they are not counted.
                raise with_remark(error, f"what came before is in {partial}") from error.__cause__
            raise

    def _next(self, source: Source, events: Iterator[Event]) -> Event | None:
        """The next event; None at the end. Whatever is wrong with the input is marked as such."""
        try:
            event = next(events, None)
        except BsqError as error:
            if self._cancelled():
                raise KeyboardInterrupt from None
            raise DamagedInput(with_name(error, source.name)) from error
        if self._cancelled():
            raise KeyboardInterrupt
        return event

    def _put(self, source: Source, sink: Sink, event: Event) -> None:
        if not isinstance(event, SourceFrame):
            sink.put(event)
            return
        if self._hash is not None:
            self._hash.update(event.planes)
        self._sink = sink
        self._end = _end_of(source, event)
        sink.write(event)
        self._progressed()

    def _progressed(self) -> None:
        """Says how far the file is: frames come out long after they went in.

        Raises:
            KeyboardInterrupt: cancelled.
        """
        if (sink := self._sink) is not None and (source := self._source) is not None:
            self._report(source, sink.end, sink.frames, sink.bytes, stage=2, taken=sink.sent)
        if self._cancelled():
            raise KeyboardInterrupt

    def _report(
        self, source: Source, end: Fraction, count: int, size: int, *, stage: int, taken: int
    ) -> None:
        """Says how far it has come: to the time `end` in seconds, with `taken` frames taken in."""
        if self._progress is not None:
            info, stages = source.info, 2 if self._options.two_pass else 1
            self._progress(
                Progress(
                    frames=count,
                    total_frames=info.frames,
                    time=float(end),
                    duration=None if info.duration is None else float(info.duration),
                    elapsed=time.monotonic() - self._pass_began,
                    bytes=size,
                    stage=min(stage, stages),
                    stages=stages,
                    frames_in=taken,
                )
            )

    def _check_count(self, sink: Sink) -> None:
        if sink.frames != sink.sent and sink.codec in ("bsq", "copy"):
            raise BsqError(f"{sink.sent} frames went in and {sink.frames} came out")

    def _keep(self, sink: Sink, target: Destination | None) -> None:
        """Leaves the good part, unless there is none."""
        if target is not None and not sink.frames:
            target.discard()

    @staticmethod
    def _remark(sink: Sink, partial: str) -> str:
        if not sink.frames:
            return "no frame was written"
        return f"{sink.frames} good frames are in {partial}"

    def _result(self, sink: Sink, target: Destination | None) -> TranscodeResult:
        size = target.commit() if target is not None else sink.bytes
        return TranscodeResult(
            output=target.name if target is not None else name_of(self._dst),
            codec=sink.codec,
            frames_in=sink.sent,
            frames_out=sink.frames,
            bytes=sink.bytes if size is None else size,
            video_bytes=sink.video_bytes,
            duration=float(self._end),
            seconds=time.monotonic() - self._began,
            hash=self._hash.hexdigest() if self._hash is not None else None,
            warnings=tuple(self._warn.all),
        )


def _end_of(source: Source, frame: SourceFrame) -> Fraction:
    """The time in seconds at which the frame ends."""
    return (frame.pts + (frame.duration or source.frame_ticks)) * source.time_base
