"""Writing files, PyAV-compatible: an output container with BSQ streams and PyAV's own."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, overload

import av
from av.stream import Stream

from bsqav.codec.models import ModelLike
from bsqav.errors import BsqWarning, UnsupportedError, UsageError
from bsqav.media.io.closing import Closing
from bsqav.media.io.output_file import OutputFile
from bsqav.media.io.types import AvPacket, MediaFile
from bsqav.media.metadata.embedded_model import carries, check_can_embed, model_attachment
from bsqav.media.metadata.file_metadata import (
    Attachment,
    Chapter,
    attachments_of,
    chapter_of,
    metadata_of,
)
from bsqav.media.metadata.hdr import NO_HDR
from bsqav.media.mux.base import BsqMuxer
from bsqav.media.mux.muxers import format_of, open_muxer, open_output
from bsqav.media.pyav_api.input_stream import BsqInputStream
from bsqav.media.pyav_api.output_stream import BsqOutputStream
from bsqav.media.pyav_api.packets import InputPacket, OutputPacket
from bsqav.media.pyav_api.stream_list import StreamList

if TYPE_CHECKING:
    from av.container.core import Chapter as AvChapter

__all__ = ["OutputContainer"]

S = TypeVar("S", bound=Stream)
OutputStream: TypeAlias = BsqOutputStream | Stream
MuxablePacket: TypeAlias = "InputPacket | OutputPacket | AvPacket"

# Packets that wait for a BSQ stream whose first frame has not come yet.
MAX_WAITING = 20000


def _warn(message: str) -> None:
    warnings.warn(message, BsqWarning, stacklevel=2)


class OutputContainer(Closing):
    """A file that is being written, with the interface of PyAV's output container.

    A path is written as PATH.partial and renamed by close(); where a `with` block ends in an
    exception, the partial file stays, as playable as it can be. Streams other than BSQ are PyAV's
    own; they encode, or take packets of an input stream, as in PyAV.
    """

    def __init__(
        self,
        file: MediaFile,
        *,
        format: str | None = None,  # noqa: A002
        options: Mapping[str, str] | None = None,
        fragmented: bool = False,
        model: ModelLike | None = None,
        embed_model: bool = False,
        threads: int = 0,
        overwrite: bool = True,
    ) -> None:
        name = format_of(file, format)
        if embed_model:
            check_can_embed(name)
        self._embed_model = embed_model
        self._model_files: dict[str, Attachment] = {}  # by model, of inputs that carry them
        self._model = model
        self._threads = threads
        self._output: OutputFile | None = None
        target = file
        if isinstance(file, str | os.PathLike):
            self._output = open_output(file, overwrite=overwrite)
            self._output.hold()
            target = self._output.partial
        try:
            self._muxer: BsqMuxer = open_muxer(
                target, format=name, fragmented=fragmented, options=options
            )
        except BaseException:
            self._release()
            raise
        # PyAV's streams live in containers: these are never written, their streams are real.
        self._scratch: list[av.container.OutputContainer] = []
        self._streams: list[OutputStream] = []
        self._indices: dict[int, int] = {}  # id of a stream to its track in the muxer
        self._copies: set[int] = set()  # ids of streams that take an input stream's packets
        self._waiting: list[MuxablePacket] = []
        self._started = False
        self._closed = False
        self.metadata: dict[str, str] = {}
        self._chapters: list[Chapter] = []

    def _close_after_error(self) -> None:
        self.abort()

    @property
    def streams(self) -> StreamList[BsqOutputStream]:
        """The streams added so far."""
        return StreamList(self._streams)

    @overload
    def add_stream(
        self,
        codec_name: Literal["bsq"],
        rate: Fraction | int | None = None,
        options: Mapping[str, object] | None = None,
        **attributes: object,
    ) -> BsqOutputStream: ...

    @overload
    def add_stream(
        self,
        codec_name: str,
        rate: Fraction | int | None = None,
        options: Mapping[str, object] | None = None,
        **attributes: object,
    ) -> Any: ...

    def add_stream(
        self,
        codec_name: str,
        rate: Fraction | int | None = None,
        options: Mapping[str, object] | None = None,
        **attributes: object,
    ) -> Any:
        """A new stream: `add_stream("bsq", rate=30)`, or a sound or subtitle encoder of PyAV's.

        Args:
            codec_name: "bsq", or FFmpeg's name of a sound or subtitle encoder.
            rate: frames or samples per second.
            options: for BSQ the settings that `bsqav.EncoderSettings` lists, parallel and model;
                also FFmpeg's names b, g, bufsize, rc-lookahead and sc_threshold, and x264's names
                of presets.
            attributes: set on the stream, e.g. width=640.

        Raises:
            UsageError: after the first packet, or for another video codec than BSQ. Options that
                BSQ does not have are refused by the first encode().
            AttributeError: an attribute that BSQ streams do not have.
        """
        self._require_open_head()
        stream: OutputStream
        if codec_name == "bsq":
            given = {"threads": self._threads, **(options or {})}
            stream = BsqOutputStream(len(self._streams), rate, given, self._model)
            stream.container = self
        else:
            texts = {key: str(value) for key, value in (options or {}).items()}
            stream = self._on_scratch(
                lambda scratch: scratch.add_stream(codec_name, rate=rate, options=texts)
            )
            if stream.type == "video":
                raise UsageError(
                    f"{codec_name} together with BSQ is not written here: open a file of its own "
                    "with av.open"
                )
        for key, value in attributes.items():
            setattr(stream, key, value)
        self._streams.append(stream)
        return stream

    def add_stream_from_template(self, template: BsqInputStream | S) -> BsqOutputStream | S:
        """A stream that takes the packets of an input stream, of BSQ, sound or subtitles.

        Raises:
            UnsupportedError: the container cannot carry it.
        """
        self._require_open_head()
        stream: BsqOutputStream | S
        if isinstance(template, BsqInputStream):
            stream = BsqOutputStream(len(self._streams), None, {}, self._model)
            stream.container = self
            stream.copy_from(template)
            for attachment in attachments_of(template.container.container):
                if carries([attachment], template.sequence["model_id"]):
                    self._model_files[template.sequence["model_id"]] = attachment
        else:
            reason = self._muxer.refuses(template)
            if reason is not None:
                raise UnsupportedError(f"stream {template.index}: {reason}")
            # A stream of its own, since the input may be closed before this file is begun.
            stream = self._on_scratch(lambda scratch: scratch.add_stream_from_template(template))
            stream.metadata.update(template.metadata)
            stream.disposition = template.disposition
            self._copies.add(id(stream))
        self._streams.append(stream)
        return stream

    def adopt_stream(self, stream: Stream) -> None:
        """Takes a sound or subtitle stream of a PyAV output container, which is never written.

        Its packets may come from its encoder, or, where it was made from a template, from the
        input stream that this was.

        Raises:
            UsageError: after the first packet.
        """
        self._require_open_head()
        if not stream.codec_context.codec.is_encoder:
            self._copies.add(id(stream))
        self._streams.append(stream)

    def _on_scratch(self, add: Callable[[av.container.OutputContainer], S]) -> S:
        """A PyAV stream in a container that is never written, of a format that has its codec."""
        for name in ("matroska", "mov", "nut"):
            scratch = av.open(io.BytesIO(), "w", format=name)
            try:
                stream = add(scratch)
            except ValueError:
                scratch.close()
                if name == "nut":
                    raise
            else:
                self._scratch.append(scratch)
                return stream
        raise AssertionError("the last format has raised")

    def set_chapters(self, chapters: Sequence[Chapter | AvChapter]) -> None:
        """The file's chapters: `Chapter` objects, or dictionaries as PyAV's chapters() gives."""
        self._require_open_head()
        self._chapters = [
            each if isinstance(each, Chapter) else chapter_of(each) for each in chapters
        ]

    def add_attachment(self, name: str, mimetype: str, data: bytes) -> None:
        """A file to carry along: a font, a cover image.

        Raises:
            UnsupportedError: the container carries none.
        """
        self._require_open_head()
        if not self._muxer.add_attachment(Attachment(name, mimetype, data)):
            raise UnsupportedError(f"{self._muxer.format} carries no attachments: write .mkv")

    def _require_open_head(self) -> None:
        if self._started or self._closed:
            raise UsageError("streams and descriptions must be set before the first packet")

    # ---- packets ----

    def mux(self, packets: MuxablePacket | Iterable[MuxablePacket]) -> None:
        """Takes a packet, or several, of the streams of this container."""
        if isinstance(packets, Iterable) and not isinstance(packets, av.Packet):
            for packet in packets:
                self.mux_one(packet)
        else:
            self.mux_one(packets)

    def mux_one(self, packet: MuxablePacket) -> None:
        """Takes one packet; its `stream` must be one of this container's.

        Raises:
            UsageError: the packet is of no stream of this container.
        """
        if self._closed:
            raise UsageError("the file is closed")
        if packet.stream is None or not any(packet.stream is each for each in self._streams):
            raise UsageError("the packet's stream is none of this container's")
        if not packet.size:
            return  # what flushes a decoder
        if not self._started:
            self._waiting.append(packet)
            if not self._can_start():
                if len(self._waiting) > MAX_WAITING:
                    raise UsageError("a BSQ stream has had no frame for too long")
                return
            self._start()
            return
        self._write(packet)

    def _can_start(self) -> bool:
        return all(s.is_open for s in self._streams if isinstance(s, BsqOutputStream))

    def _start(self) -> None:
        """Settles the tracks and writes what has waited."""
        for stream in self._streams:
            self._indices[id(stream)] = self._add_track(stream)
        if self._embed_model:
            self._attach_models()
        self._muxer.set_metadata(self.metadata)
        if self._chapters and not self._muxer.set_chapters(self._chapters):
            _warn(f"{len(self._chapters)} chapters are left out: {self._muxer.format} holds none")
        self._started = True
        waiting, self._waiting = self._waiting, []
        for packet in waiting:
            self._write(packet)

    def _attach_models(self) -> None:
        used = [s.header[1] for s in self._streams if isinstance(s, BsqOutputStream)]
        for model in {str(sequence["model_id"]): None for sequence in used}:
            self._muxer.add_attachment(self._model_files.get(model) or model_attachment(model))

    def _add_track(self, stream: OutputStream) -> int:
        if isinstance(stream, BsqOutputStream):
            header, sequence = stream.header
            if stream.hdr and self._muxer.format == "nut":
                _warn("mastering display and content light level are left out: nut holds none")
            return self._muxer.add_video(
                header,
                sequence,
                metadata=stream.metadata,
                disposition=stream.disposition,
                hdr=stream.hdr or NO_HDR,
            )
        if id(stream) in self._copies:
            return self._muxer.copy_stream(stream)
        if not isinstance(stream, av.AudioStream):
            raise UnsupportedError(
                f"stream {stream.index} ({stream.type}) can only be copied from another file"
            )
        if not stream.codec_context.is_open:
            stream.codec_context.open()
        return self._muxer.add_audio(
            stream.codec_context,
            metadata=metadata_of(stream),
            disposition=int(stream.disposition),
        )

    def _write(self, packet: MuxablePacket) -> None:
        index = self._indices[id(packet.stream)]
        if isinstance(packet, InputPacket | OutputPacket):
            self._muxer.mux(
                index,
                bytes(packet),
                pts=packet.pts,
                duration=packet.duration,
                keyframe=packet.is_keyframe,
                disposable=packet.is_disposable,
                time_base=packet.time_base,
            )
        else:
            self._muxer.mux_packet(index, packet)

    def close(self) -> None:
        """Finishes the file and gives it its name. Encoders must have been flushed before.

        Raises:
            OSError: the file cannot be finished (the disk is full).
            UsageError: a BSQ stream has had no frame; the partial file keeps its name.
        """
        if self._closed:
            return
        try:
            if not self._started and self._streams:
                self._start()
        except BaseException:
            self.abort()
            raise
        self._closed = True
        try:
            self._muxer.close()
            if self._output is not None:
                self._output.commit()
        finally:
            self._release()

    def abort(self) -> None:
        """Ends early: the partial file stays as it is and keeps its name."""
        if self._closed:
            return
        self._closed = True
        self._muxer.abort()
        self._release()

    def _release(self) -> None:
        if self._output is not None:
            self._output.release()
