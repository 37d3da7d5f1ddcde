"""BSQ streams of an output container: encoders with PyAV's attributes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Literal

import av

from bsqav.codec.encoder import Encoder, EncoderInput
from bsqav.codec.models import ModelLike
from bsqav.codec.picture import Colour, FrameConverter
from bsqav.codec.sequence import sequence_header
from bsqav.codec.units import Packet
from bsqav.errors import BsqWarning, UsageError
from bsqav.media.input_stream import CODEC, BsqInputStream
from bsqav.media.light import LightLevels, light_of_frame

__all__ = ["BsqOutputStream", "OutputPacket"]

DEFAULT_TIME_BASE = Fraction(1, 90000)
DEFAULT_RATE = Fraction(25)
# Options of add_stream("bsq", options=...), which PyAV's callers give as strings.
_OPTIONS: Mapping[str, Any] = {
    "crf": float,
    "bitrate": float,
    "gop": int,
    "lookahead": int,
    "scene_cut": lambda text: str(text).lower() not in ("0", "false", "no"),
    "threads": int,
    "parallel": int,
    "preset": str,
    "tune": str,
    "model": lambda model: model,
}


class OutputPacket:
    """A packet of a BSQ stream on its way to mux(), with the attributes of av.Packet."""

    def __init__(self, stream: BsqOutputStream, packet: Packet) -> None:
        self.stream: Any = stream
        self.data = packet.data
        self.pts = packet.pts
        self.dts = packet.pts
        self.duration = packet.duration
        self.time_base = packet.time_base
        self.is_keyframe = packet.keyframe

    def __bytes__(self) -> bytes:
        return self.data

    @property
    def size(self) -> int:
        """Bytes of data."""
        return len(self.data)


class BsqOutputStream:
    """A BSQ stream that encodes, with the attributes of av.VideoStream.

    Set what is known before the first frame: width, height, pix_fmt, time_base, rate,
    sample_aspect_ratio, rotation, light, metadata, options, and bit_rate (bits per second) and
    gop_size, which are options too. What is left at None comes from the frame.
    """

    type: Literal["video"] = "video"
    name = "bsq"
    codec = CODEC
    profile = None

    def __init__(
        self,
        index: int,
        rate: Fraction | int | None,
        options: Mapping[str, Any],
        model: ModelLike | None,
    ) -> None:
        self.index = index
        self.rate = Fraction(rate) if rate else None
        self.options: dict[str, Any] = {"model": model, **options}
        self.width = 0
        self.height = 0
        self.pix_fmt: str | None = None
        self.time_base: Fraction | None = None
        self.sample_aspect_ratio: Fraction | None = None
        self.rotation: int | None = None
        self.bit_rate = 0
        self.gop_size = 0
        self.metadata: dict[str, str] = {}
        self.disposition = 0
        self.light: LightLevels | None = None
        self._encoder: Encoder | None = None
        self._copied: tuple[bytes, dict[str, Any]] | None = None

    def __repr__(self) -> str:
        return f"<bsqav stream #{self.index} bsq, {self.pix_fmt} {self.width}x{self.height}>"

    @property
    def codec_context(self) -> BsqOutputStream:
        """The stream itself, which has a codec context's attributes."""
        return self

    @property
    def average_rate(self) -> Fraction | None:
        """Pictures per second."""
        return self.rate

    @property
    def is_open(self) -> bool:
        """Whether the sequence header stands, so that the file can be begun."""
        return self._encoder is not None or self._copied is not None

    @property
    def header(self) -> tuple[bytes, dict[str, Any]]:
        """The sequence header as bytes and as a dictionary."""
        if self._copied is not None:
            return self._copied
        if self._encoder is None:
            raise UsageError(f"stream {self.index} has had no frame yet")
        return self._encoder.header, self._encoder.sequence

    @property
    def stats(self) -> dict[str, float]:
        """What the last packet was made of, in bits."""
        return {} if self._encoder is None else self._encoder.stats

    def copy_from(self, template: BsqInputStream) -> None:
        """Takes packets of an input stream as they are; encode() is then not to be called."""
        self._copied = (template.track.header, dict(template.sequence))
        self.width, self.height = template.width, template.height
        self.pix_fmt, self.time_base = template.pix_fmt, template.time_base
        self.rate, self.rotation = template.track.frame_rate, template.rotation
        self.sample_aspect_ratio = template.sample_aspect_ratio
        self.metadata.update(template.metadata)
        self.disposition = int(template.disposition)
        self.light = template.light

    def encode(self, frame: EncoderInput | None = None) -> list[OutputPacket]:
        """Takes a frame, or an array (see `bsqav.Encoder.encode`); None flushes.

        Raises:
            UsageError: the frame does not fit, its time does not rise, or the stream is a copy.
        """
        if self._copied is not None:
            raise UsageError(f"stream {self.index} is copied from another: it takes packets only")
        if frame is None:
            return [] if self._encoder is None else self._wrap(self._encoder.flush())
        if self._encoder is None:
            self._encoder = self._open(frame)
        return self._wrap(self._encoder.encode(frame))

    def _wrap(self, packets: list[Packet]) -> list[OutputPacket]:
        return [OutputPacket(self, packet) for packet in packets]

    def _settings(self) -> dict[str, Any]:
        unknown = set(self.options) - set(_OPTIONS)
        if unknown:
            raise UsageError(
                f"BSQ has no option {', '.join(sorted(unknown))}; there are {', '.join(_OPTIONS)}"
            )
        named = {"bitrate": self.bit_rate or None, "gop": self.gop_size or None}
        given = {key: value for key, value in named.items() if value is not None} | self.options
        settings = {}
        for key, value in given.items():
            try:
                settings[key] = _OPTIONS[key](value)
            except (TypeError, ValueError):
                raise UsageError(f"option {key} cannot be {value!r}") from None
        return settings

    def _open(self, frame: EncoderInput) -> Encoder:
        timed = isinstance(frame, av.VideoFrame) and frame.pts is not None
        if self.rate is None and self.time_base is None and not timed:
            self.rate = DEFAULT_RATE
            warnings.warn(
                f"frames without times and no rate: {DEFAULT_RATE} a second are assumed; "
                'add_stream("bsq", rate=...) says it',
                BsqWarning,
                stacklevel=4,
            )
        time_base = self.time_base
        if time_base is None and self.rate is not None:
            time_base = 1 / self.rate
        if not isinstance(frame, av.VideoFrame):
            self._take_size(frame)
            return Encoder(
                self.width,
                self.height,
                pix_fmt=self.pix_fmt or "yuv420p",
                time_base=time_base or DEFAULT_TIME_BASE,
                frame_rate=self.rate,
                sample_aspect=self.sample_aspect_ratio,
                rotation=self.rotation or 0,
                **self._settings(),
            )
        if self.light is None:
            self.light = light_of_frame(frame)
        if time_base is None:
            time_base = frame.time_base or DEFAULT_TIME_BASE
        self.time_base = time_base
        scale = (self.width, self.height) if self.width and self.height else None
        converter = FrameConverter(
            frame, scale=scale, pixel_format=self.pix_fmt, warn=lambda _: None
        )
        layout = converter.format
        self.width, self.height = layout.width, layout.height
        if self.pix_fmt is None:
            self.pix_fmt = layout.pixel_format
        rotation = -frame.rotation % 360 if self.rotation is None else self.rotation
        self.rotation = rotation if rotation % 90 == 0 else 0
        if self.pix_fmt != layout.pixel_format:
            return self._open_as(converter.colour, time_base)
        sequence = sequence_header(
            layout,
            converter.colour,
            time_base=time_base,
            frame_rate=self.rate,
            sample_aspect=self.sample_aspect_ratio,
            rotation=self.rotation,
        )
        return Encoder(sequence=sequence, **self._settings())

    def _open_as(self, colour: Colour, time_base: Fraction) -> Encoder:
        return Encoder(
            self.width,
            self.height,
            pix_fmt=self.pix_fmt or "yuv420p",
            time_base=time_base,
            frame_rate=self.rate,
            sample_aspect=self.sample_aspect_ratio,
            rotation=self.rotation or 0,
            colour=colour,
            **self._settings(),
        )

    def _take_size(self, frame: Any) -> None:
        first = frame if hasattr(frame, "shape") else frame[0]
        if not self.width or not self.height:
            self.height, self.width = int(first.shape[0]), int(first.shape[1])
        if self.pix_fmt is None and hasattr(frame, "shape") and frame.ndim == 2:
            self.pix_fmt = "gray" if frame.dtype.itemsize == 1 else "gray10le"
        elif self.pix_fmt is None and hasattr(frame, "shape") and frame.shape[2] == 4:
            self.pix_fmt = "yuva420p"
