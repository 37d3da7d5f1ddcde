"""Writing BSQ: frames through the encoder into a container, with the other tracks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from bsqav.codec import Encoder, Packet
from bsqav.codec.encoder import PassRecord, RateReport
from bsqav.codec.models import ModelLike
from bsqav.codec.sequence import SequenceHeader
from bsqav.codec.settings import EncoderSettings
from bsqav.media.io.types import AvPacket, MediaFile, Warn
from bsqav.media.metadata.embedded_model import check_can_embed
from bsqav.media.metadata.file_metadata import metadata_of
from bsqav.media.mux.muxers import open_muxer
from bsqav.media.transcode.carried_metadata import carry_metadata
from bsqav.media.transcode.carried_tracks import carry_tracks
from bsqav.media.transcode.events import SourceFrame
from bsqav.media.transcode.sink import Sink
from bsqav.media.transcode.source import Source

__all__ = ["BsqSettings", "BsqSink", "MuxedSink", "open_encoder"]

# Above so many times the bit rate asked for, it counts as missed.
RATE_TOLERANCE = 1.05


@dataclass(frozen=True)
class BsqSettings:
    """How to code and what to do with the other tracks."""

    encoder: EncoderSettings
    first_pass: tuple[PassRecord, ...] = ()
    model: ModelLike | None = None
    parallel: int = 1
    device: str = "cpu"
    audio: str = "copy"  # "copy", "none", or the name of an FFmpeg encoder
    strict: bool = False
    embed_model: bool = False
    format: str | None = None


class MuxedSink(Sink):
    """A file with one BSQ track, and the other tracks of the source.

    Args:
        target: path or writable file of bytes.
        source: where everything comes from.
        settings: the container, and what to do with the other tracks.
        warn: takes a sentence on everything that is left out.
        header, sequence: the sequence header as bytes and as a dictionary.
    """

    def __init__(
        self,
        target: MediaFile,
        source: Source,
        settings: BsqSettings,
        warn: Warn,
        *,
        header: bytes,
        sequence: SequenceHeader,
    ) -> None:
        super().__init__()
        self._frame_ticks = source.frame_ticks
        if settings.embed_model:
            check_can_embed(settings.format)
        self._muxer = open_muxer(target, format=settings.format, warn=warn)
        try:
            self._video = self._muxer.add_video(
                header,
                sequence,
                metadata=metadata_of(source.stream),
                disposition=int(source.stream.disposition),
                hdr=source.info.hdr,
            )
            if source.info.hdr and self._muxer.format == "nut":
                warn("mastering display and content light level are left out: nut holds none")
            self._tracks = carry_tracks(self._muxer, source.other_streams(), settings, warn)
            model, embed = str(sequence["model_id"]), settings.embed_model
            carry_metadata(self._muxer, source, warn, model=model, embed=embed)
        except BaseException:
            self._muxer.abort()
            raise

    def put(self, packet: AvPacket) -> None:
        """Writes a packet of another track."""
        self.bytes += self._tracks.put(packet)

    def finish(self) -> None:
        """Writes what was held back of the other tracks and finishes the file."""
        self.bytes += self._tracks.finish()
        self._muxer.close()

    def abort(self) -> None:
        """Leaves the file as far as it was written, readable if possible."""
        self._muxer.abort()

    def _mux(self, packet: Packet) -> None:
        self._muxer.mux(
            self._video,
            packet.data,
            pts=packet.pts,
            dts=packet.pts,
            duration=packet.duration,
            keyframe=packet.keyframe,
            disposable=packet.disposable,
            time_base=packet.time_base,
        )
        self.frames += 1
        self.bytes += len(packet.data)
        self.video_bytes += len(packet.data)
        self.end = (packet.pts + (packet.duration or self._frame_ticks)) * packet.time_base


def open_encoder(
    source: Source, settings: BsqSettings, while_waiting: Callable[[], None] | None = None
) -> Encoder:
    """An encoder for the frames of a source."""
    return Encoder(
        sequence=source.info.sequence(),
        model=settings.model,
        settings=settings.encoder,
        first_pass=settings.first_pass,
        parallel=settings.parallel,
        while_waiting=while_waiting,
        device=settings.device,
    )


def rate_lack(report: RateReport) -> str | None:
    """A sentence on a bit rate or a cap that could not be kept; None where it was."""
    wanted = report.bitrate or report.maxrate
    if report.frames_at_max_q and report.actual_bitrate > RATE_TOLERANCE * wanted:
        return (
            f"{wanted / 1000:.4g} kb/s are too few: {report.frames_at_max_q} frames have the "
            f"largest quantizer index (crf 63), and the video has "
            f"{report.actual_bitrate / 1000:.4g} kb/s; a higher rate or a smaller size (--scale) "
            "helps"
        )
    if report.underflows:
        return (
            f"{report.underflows} frames make a VBV buffer of "
            f"{report.vbv_buffer_bits / report.maxrate:g} s underflow: a larger one "
            "(--vbv-buffer) helps"
        )
    return None


class BsqSink(MuxedSink):
    """Takes frames and packets and writes a file with BSQ video.

    Args:
        target: path or writable file of bytes.
        source: where the frames come from.
        settings: how to code them.
        warn: takes a sentence on everything that is left out.
        progressed: called again and again while the sink is at work; what it raises comes out.
    """

    codec = "bsq"

    def __init__(
        self,
        target: MediaFile,
        source: Source,
        settings: BsqSettings,
        warn: Warn,
        progressed: Callable[[], None] = lambda: None,
    ) -> None:
        self._encoder = open_encoder(source, settings, progressed)
        self._warn, self._progressed = warn, progressed
        # The frame before waits for the time of the next, unless frames may not wait at all.
        self._waits, self._frame_ticks = settings.encoder.lookahead > 0, source.frame_ticks
        self._held: SourceFrame | None = None
        # Packets of other tracks, with the number of frames that came before: parallel groups come
        # late, and are not kept waiting for by every container.
        self._later: deque[tuple[int, AvPacket]] = deque()
        if self._encoder.parallel < settings.parallel:
            warn(
                f"{settings.parallel} groups at a time would need too much memory: "
                f"{self._encoder.parallel} are coded at a time; a smaller --gop needs less"
            )
        super().__init__(
            target,
            source,
            settings,
            warn,
            header=self._encoder.header,
            sequence=self._encoder.sequence,
        )

    def write(self, frame: SourceFrame) -> None:
        """Codes one frame and writes the packets that are ready."""
        self.sent += 1
        if not self._waits:
            self._encode(frame)
            return
        before, self._held = self._held, frame
        if before is not None:
            self._encode(self._until(before, frame.pts))

    def _until(self, frame: SourceFrame, end: int) -> SourceFrame:
        """The frame, which lasts until the next one where that comes late: no frame is missing."""
        step = end - frame.pts
        usual = frame.duration or self._frame_ticks
        return replace(frame, duration=step) if 2 * step > 3 * usual else frame

    def _encode(self, frame: SourceFrame) -> None:
        for packet in self._encoder.encode(frame.planes, pts=frame.pts, duration=frame.duration):
            self._mux(packet)

    def put(self, packet: AvPacket) -> None:
        """Writes a packet of another track, after the frames that came before it."""
        if self._encoder.parallel == 1:
            super().put(packet)
        else:
            self._later.append((self.sent, packet))
            self._put_due()

    def _put_due(self) -> None:
        while self._later and self._later[0][0] <= self.frames:
            super().put(self._later.popleft()[1])

    def _mux(self, packet: Packet) -> None:
        super()._mux(packet)
        self._put_due()

    def finish(self) -> None:
        """Writes what was held back and finishes the file."""
        if self._held is not None:
            self._encode(self._held)
            self._held = None
        for packet in self._encoder.drain():
            self._mux(packet)
            self._progressed()
        super().finish()
        if (report := self._encoder.rate) is not None and (lack := rate_lack(report)):
            self._warn(lack)

    def abort(self) -> None:
        """Leaves the file as far as it was written, readable if possible."""
        self._encoder.close()
        super().abort()
