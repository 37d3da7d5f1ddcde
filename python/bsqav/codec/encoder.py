"""Encoder: frames in, packets out, without a container."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias, Unpack

import av
import numpy as np

from bsqav import _core
from bsqav.codec.device import DeviceFrame
from bsqav.codec.encoder_checks import check_first_pass, check_parallel, place_options
from bsqav.codec.frame_format import Colour, FrameConverter, PlaneFormat
from bsqav.codec.models import ModelLike, find_model
from bsqav.codec.parallel import ParallelCore, memory_limit, plan_parallel
from bsqav.codec.planes import SupportsDLPack, as_arrays, device_planes, rgb_frame
from bsqav.codec.sequence import (
    SequenceHeader,
    colour_of,
    plane_format_of,
    sequence_header,
    time_base_of,
)
from bsqav.codec.settings import EncoderSettings, SettingArguments, given_settings
from bsqav.codec.units import Packet, Plane
from bsqav.errors import BsqWarning, EndOfStreamError, UsageError

__all__ = ["Encoder", "EncoderInput", "PassRecord", "RateReport"]

EncoderInput: TypeAlias = (
    av.VideoFrame | DeviceFrame | Plane | SupportsDLPack | Sequence[Plane | SupportsDLPack]
)

DEFAULT_TIME_BASE = Fraction(1, 90000)


class PassRecord(NamedTuple):
    """What a pass at a bit rate made of one frame, for a second pass."""

    seconds: float  # for which the frame is shown
    bits: float  # of its packet
    crf: float
    keyframe: bool


@dataclass(frozen=True, slots=True)
class RateReport:
    """How a bit rate was kept so far."""

    bitrate: float  # that was asked for, bits per second; 0 under a cap alone
    maxrate: float  # of the receiver: that was asked for, or the bit rate
    actual_bitrate: float  # of the packets, without a container
    vbv_buffer_bits: float  # size of the receiver's VBV buffer
    vbv_min_fullness: float  # bits in it when it was emptiest; negative after an underflow
    underflows: int  # frames whose bits were not all there when they were due
    frames_at_max_q: int  # frames at crf 63: there is no larger quantizer index
    frames_capped: int  # frames that a cap made coarser than crf asks for


def _warn(message: str) -> None:
    warnings.warn(message, BsqWarning, stacklevel=4)


class Encoder:
    """Frames in, packets out.

    Args:
        width, height: size in luma samples, 1 to 8192.
        pix_fmt: what is coded: yuv420p, yuv422p or yuv444p, gray, with alpha yuva420p, yuva422p,
            yuva444p or ya8, and 10 bits of them: yuv420p10le and so on, gray10le, ya16le. Frames
            of any other format are converted; RGB with the BT.709 matrix.
        sequence: all of that as a sequence header (see `bsqav.codec.sequence`) instead.
        time_base: seconds per tick of the timestamps.
        frame_rate: frames per second, where constant; frames without a pts are then spaced so.
        sample_aspect: width over height of one sample.
        rotation: degrees clockwise for display: 0, 90, 180 or 270.
        colour: colour tags; where None, those of the first frame are taken over, as long as
            `header` has not been read before.
        model: name, id, path or Model; the default model where None.
        settings: how to code, an `EncoderSettings`; its defaults where None.
        first_pass: with a bit rate, `pass_records` of an encoder that had the same frames, for
            an even quality.
        parallel: groups of pictures coded at the same time, 1 to 64, by encoders that share the
            threads and the weights of the model; with crf alone. The packets come late, up to
            `parallel` groups after their frames, of which so many are held in memory: fewer are
            coded at a time where that would take more than half of it. The packets are the same for
            every number above 1, and nearly those for 1: above 1 some scene cuts are found before
            coding, by less, and a keyframe may stand elsewhere.
        while_waiting: with parallel groups, called a few times a second while `encode` or `flush`
            waits for them; what it raises comes out there.
        device: "cpu", "cuda", "cuda:1", or "auto" for CUDA where it is there (docs/cuda.md); the
            packets are the same everywhere.
        stream: a cudaStream_t of that device as a number, on which all its work is done and which
            outlives the encoder; 0 is the default stream.
        arguments: single settings by name, crf, preset and so on, in place of those in `settings`:
            `help(bsqav.EncoderSettings)` lists them.

    Raises:
        UsageError: an argument is out of range, or there is no device of that name.
        TypeError: there is no argument of that name.
        UnsupportedError: the same, or the CUDA backend is not installed.
        ModelNotFoundError, ModelError: the model is missing or damaged.
    """

    def __init__(
        self,
        width: int = 0,
        height: int = 0,
        *,
        pix_fmt: str = "yuv420p",
        sequence: SequenceHeader | None = None,
        time_base: Fraction = DEFAULT_TIME_BASE,
        frame_rate: Fraction | int | None = None,
        sample_aspect: Fraction | None = None,
        rotation: int = 0,
        colour: Colour | None = None,
        model: ModelLike | None = None,
        settings: EncoderSettings | None = None,
        first_pass: Sequence[PassRecord] = (),
        parallel: int = 1,
        while_waiting: Callable[[], None] | None = None,
        device: str = "cpu",
        stream: int = 0,
        **arguments: Unpack[SettingArguments],
    ) -> None:
        given = given_settings(arguments, type(self))
        self._settings = (settings or EncoderSettings()).changed(given)
        check_first_pass(first_pass, self._settings)
        check_parallel(parallel, keeps_rate=self._settings.keeps_rate)
        if sequence is None:
            sequence = sequence_header(
                PlaneFormat.named(width, height, pix_fmt),
                colour,
                time_base=Fraction(time_base),
                frame_rate=Fraction(frame_rate) if frame_rate else None,
                sample_aspect=sample_aspect,
                rotation=rotation,
            )
        self._sequence = SequenceHeader(**sequence)
        self._layout = plane_format_of(self._sequence)
        self._time_base = time_base_of(self._sequence)
        self._model = find_model(model)
        self._first_pass = list(first_pass)
        self._place = place_options(device, stream)
        self._wanted_parallel, self._while_waiting = int(parallel), while_waiting
        self._core = self._open_core()
        self._colour_is_open = colour_of(self._sequence) == Colour()
        self._converter: FrameConverter | None = None
        self._next_pts = Fraction(0)  # in ticks, exact
        self._last_pts: int | None = None
        self._flushed = False
        self._records: list[PassRecord] = []

    def _open_core(self) -> _core.Encoder | ParallelCore:
        if self._wanted_parallel == 1:
            return _core.Encoder(
                self._sequence,
                self._model,
                first_pass=self._first_pass,
                **self._place,
                **asdict(self._settings),
            )
        samples = sum(width * height for width, height in self._layout.plane_sizes)
        plan = plan_parallel(
            self._wanted_parallel,
            self._settings.gop,
            self._settings.lookahead,
            samples * (1 if self._layout.bit_depth == 8 else 2),
            memory_limit(),
        )
        return ParallelCore(
            self._sequence,
            self._model,
            self._settings,
            self._place,
            plan=plan,
            while_waiting=self._while_waiting,
        )

    @property
    def parallel(self) -> int:
        """Groups coded at the same time: fewer than asked for where memory is short."""
        return self._core.plan.workers if isinstance(self._core, ParallelCore) else 1

    @property
    def header(self) -> bytes:
        """The sequence header, for a container's codec private data."""
        self._colour_is_open = False
        return self._core.header

    @property
    def sequence(self) -> SequenceHeader:
        """The sequence header as a dictionary, model_id included."""
        return {**self._sequence, "model_id": self._model.id}

    @property
    def settings(self) -> EncoderSettings:
        """How it codes."""
        return self._settings

    @property
    def model(self) -> _core.Model:
        """The model in use."""
        return self._model

    @property
    def time_base(self) -> Fraction:
        """Seconds per tick."""
        return self._time_base

    @property
    def stats(self) -> dict[str, Any]:
        """What the last packet was made of, in bits: the keys of bsq_packet_stats in bsq.h."""
        return self._core.stats

    @property
    def pass_records(self) -> tuple[PassRecord, ...]:
        """Of all packets, where a bit rate is kept: the `first_pass` of a second encoder."""
        return tuple(self._records)

    @property
    def rate(self) -> RateReport | None:
        """How the bit rate or the cap was kept so far; None without either."""
        if not self._settings.keeps_rate or isinstance(self._core, ParallelCore):
            return None
        report = self._core.rate
        return RateReport(
            bitrate=report["bitrate"],
            maxrate=report["maxrate"],
            actual_bitrate=report["actual_bitrate"],
            vbv_buffer_bits=report["vbv_buffer_bits"],
            vbv_min_fullness=report["vbv_min_fullness"],
            underflows=int(report["underflows"]),
            frames_at_max_q=int(report["frames_at_max_q"]),
            frames_capped=int(report["frames_capped"]),
        )

    def encode(
        self,
        frame: EncoderInput | None,
        *,
        pts: int | None = None,
        duration: int = 0,
        keyframe: bool = False,
    ) -> list[Packet]:
        """Takes one frame and returns the packets that are ready; None flushes.

        Arrays may be anything in the CPU's memory that speaks DLPack, such as tensors of PyTorch's,
        which are not copied for that; planes in the memory of the encoder's own device likewise.

        Args:
            frame: a PyAV frame of any format and size; or a height x width x 3 array of RGB,
                or x 4 of RGBA (uint8); or a height x width array for gray; or a sequence of native
                planes: luma, chroma, alpha; or a DeviceFrame of the encoder's device.
            pts: in ticks of the encoder's time base. Without it a PyAV frame's own pts is
                converted, or else the frame follows the one before at the frame rate.
            duration: in ticks, 0 where unknown.
            keyframe: code this frame on its own.

        Raises:
            UsageError: the planes do not fit, or pts does not rise.
            EndOfStreamError: after a flush.
        """
        if frame is None:
            return self.flush()
        if self._flushed:
            raise EndOfStreamError("the encoder has been flushed: open a new one to go on")
        tick = self._timestamp(frame, pts)
        if isinstance(frame, av.VideoFrame) and not duration and frame.duration:
            duration = self._ticks(frame.duration, frame.time_base)
        self._send(frame, tick, duration, keyframe)
        self._colour_is_open = False
        self._last_pts = tick
        return list(self._ready())

    def _send(self, frame: EncoderInput, tick: int, duration: int, keyframe: bool) -> None:
        there = device_planes(frame)
        if there is None:
            planes = self._planes(as_arrays(frame))
            self._core.send(planes, tick, duration=duration, keyframe=keyframe)
        elif isinstance(self._core, _core.Encoder):
            self._core.send_device(there, tick, duration=duration, keyframe=keyframe)
        else:
            raise UsageError("parallel groups take no frames of a device: use one of the two")

    def flush(self) -> list[Packet]:
        """Ends the input and returns what was left. A second call returns nothing."""
        return list(self.drain())

    def drain(self) -> Iterator[Packet]:
        """The same one by one, each as soon as it is coded."""
        if self._flushed:
            return iter(())
        self._flushed = True
        self._core.flush()
        return self._ready()

    def close(self) -> None:
        """Ends the work on parallel groups; packets that have not come yet are lost."""
        if isinstance(self._core, ParallelCore):
            self._core.close()

    def _ready(self) -> Iterator[Packet]:
        while (packet := self._core.receive()) is not None:
            if self._settings.bitrate and isinstance(self._core, _core.Encoder):
                self._records.append(PassRecord(*self._core.pass_record))
            yield Packet(
                packet.data,
                packet.pts,
                packet.duration,
                packet.keyframe,
                self._time_base,
                packet.disposable,
            )

    def _ticks(self, value: int, time_base: Fraction | None) -> int:
        return value if time_base is None else round(value * time_base / self._time_base)

    def _timestamp(self, frame: EncoderInput, pts: int | None) -> int:
        if pts is None and isinstance(frame, av.VideoFrame) and frame.pts is not None:
            pts = self._ticks(frame.pts, frame.time_base)
        exact = self._next_pts if pts is None else Fraction(pts)
        pts = round(exact)
        if self._last_pts is not None and pts <= self._last_pts:
            raise UsageError(
                f"pts {pts} does not rise above {self._last_pts} (in ticks of {self._time_base} s)"
            )
        rate = self._sequence["frame_rate"]
        step = Fraction(rate[1], rate[0]) / self._time_base if rate[0] else Fraction(1)
        self._next_pts = exact + step
        return pts

    def _planes(self, frame: av.VideoFrame | Plane | Sequence[Plane]) -> list[Plane]:
        if isinstance(frame, av.VideoFrame):
            return self._convert(frame)
        if isinstance(frame, np.ndarray):
            if frame.ndim == 3:
                return self._convert(rgb_frame(frame))
            frame = [frame]
        planes = list(frame)
        dtype = np.dtype(np.uint8 if self._layout.bit_depth == 8 else np.uint16)
        expected = [(height, width) for width, height in self._layout.plane_sizes]
        if [plane.shape for plane in planes] != expected or any(
            plane.dtype != dtype for plane in planes
        ):
            given = ", ".join(f"{plane.shape} {plane.dtype}" for plane in planes)
            raise UsageError(
                f"{self._layout.pixel_format} of {self._layout.width}x{self._layout.height} has "
                f"planes of the shapes {expected}, {dtype}; given: {given}"
            )
        return planes

    def _convert(self, frame: av.VideoFrame) -> list[Plane]:
        if self._converter is None:
            self._converter = FrameConverter(
                frame,
                scale=(self._layout.width, self._layout.height),
                pixel_format=self._layout.pixel_format,
                colour=colour_of(self._sequence),
                warn=_warn,
            )
            self._settle_colour(self._converter)
        return self._converter.convert(frame)

    def _settle_colour(self, converter: FrameConverter) -> None:
        """Takes the first frame's colour over, where none was stated."""
        if not self._colour_is_open or converter.colour == Colour():
            return
        self._sequence["color_primaries"] = converter.colour.primaries
        self._sequence["color_transfer"] = converter.colour.transfer
        self._sequence["color_matrix"] = converter.colour.matrix
        self._sequence["full_range"] = converter.colour.full_range
        self.close()
        self._core = self._open_core()
