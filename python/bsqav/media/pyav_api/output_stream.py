"""BSQ streams of an output container: encoders with PyAV's attributes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import av

from bsqav.codec.encoder import Encoder, EncoderInput
from bsqav.codec.encoder_options import encoder_arguments
from bsqav.codec.frame_format import UNSPECIFIED, Colour, FrameConverter
from bsqav.codec.models import ModelLike
from bsqav.codec.sequence import SequenceHeader, sequence_header
from bsqav.codec.settings import SETTINGS
from bsqav.codec.units import Packet, Plane
from bsqav.errors import BsqWarning, UsageError
from bsqav.media.metadata.hdr import HdrMetadata, hdr_of_frame
from bsqav.media.pyav_api.input_stream import BsqInputStream
from bsqav.media.pyav_api.packets import OutputPacket
from bsqav.media.pyav_api.stream_attributes import CodecAttributes

if TYPE_CHECKING:
    from bsqav.media.pyav_api.container_write import OutputContainer

__all__ = ["BsqOutputStream"]

DEFAULT_TIME_BASE = Fraction(1, 90000)
DEFAULT_RATE = Fraction(25)
# RGB arrays are converted so where nothing else is asked for.
_RGB_COLOUR = Colour(matrix=1, full_range=0)
_QSCALE = 2  # AV_CODEC_FLAG_QSCALE


class BsqOutputStream(CodecAttributes):
    """A BSQ stream that encodes, with the attributes of av.VideoStream.

    Set what is known before the first frame: width, height, pix_fmt, time_base, rate,
    sample_aspect_ratio, rotation, hdr, metadata, options, color_range, color_primaries,
    color_trc, colorspace, and bit_rate (bits per second), gop_size, max_b_frames and thread_count,
    which are options too. What is left at None comes from the frame. Other attributes are refused.
    """

    is_encoder = True
    is_decoder = False
    start_time: int | None = None
    duration: int | None = None
    language: str | None = None

    def __init__(
        self,
        index: int,
        rate: Fraction | int | None,
        options: Mapping[str, object],
        model: ModelLike | None,
    ) -> None:
        self.index = index
        self.id = 0
        self.container: OutputContainer | None = None
        self.options: dict[str, Any] = {"model": model, **options}
        self.width = 0
        self.height = 0
        self.pix_fmt: str | None = None
        self.time_base: Fraction | None = None
        self.sample_aspect_ratio: Fraction | None = None
        self.rotation: int | None = None
        self.bit_rate: int | None = None
        self.gop_size: int = SETTINGS["gop"].default
        self.frames = 0
        self.metadata: dict[str, str] = {}
        self.disposition = 0
        self.hdr: HdrMetadata | None = None
        self._rate = Fraction(rate) if rate else None
        self._colour = Colour()  # as set; what is unspecified is that of the frames
        self._flags = 0
        self._encoder: Encoder | None = None
        self._copied: tuple[bytes, SequenceHeader] | None = None

    def __setattr__(self, name: str, value: object) -> None:
        # What would be ignored is refused, as PyAV's streams do.
        if not name.startswith("_") and name not in _SETTABLE:
            raise AttributeError(f"a BSQ stream has no attribute {name!r} to set")
        super().__setattr__(name, value)

    @property
    def rate(self) -> Fraction | None:
        """Frames per second, None where they have times of their own."""
        return self._rate

    @rate.setter
    def rate(self, value: Fraction | int | None) -> None:
        self._rate = Fraction(value) if value else None

    framerate = rate

    @property
    def average_rate(self) -> Fraction | None:
        """The same as rate."""
        return self._rate

    base_rate = guessed_rate = average_rate

    def frame_ticks(self, time_base: Fraction) -> int:
        """How long a frame lasts at the rate, 0 without one."""
        return round(1 / (self._rate * time_base)) if self._rate else 0

    # ---- what a codec context has ----

    @property
    def thread_count(self) -> int:
        """Threads for encoding, 0 for the number of processors."""
        return int(self.options.get("threads", 0))

    @thread_count.setter
    def thread_count(self, count: int) -> None:
        self.options["threads"] = int(count)

    @property
    def max_b_frames(self) -> int:
        """The most B frames from one anchor to the next; there are some with a lookahead only."""
        default = SETTINGS["bframes"].default
        return int(self.options.get("bframes", self.options.get("bf", default)))

    @max_b_frames.setter
    def max_b_frames(self, count: int) -> None:
        self.options.pop("bf", None)
        self.options["bframes"] = int(count)

    @property
    def flags(self) -> int:
        """FFmpeg's flags: none of them changes how BSQ is coded; qscale is refused."""
        return self._flags

    @flags.setter
    def flags(self, value: int) -> None:
        if value & _QSCALE:
            raise UsageError("BSQ has no qscale: crf sets the quality, 0 (finest) to 63")
        self._flags = int(value)

    @property
    def extradata(self) -> bytes | None:  # type: ignore[override]  # known from the first frame on
        """The sequence header, None before the first frame."""
        return self.header[0] if self.is_open else None

    def _with_stated(self, colour: Colour) -> Colour:
        """A colour with what was set on the stream in its place."""
        stated = {key: code for key, code in asdict(self._colour).items() if code != UNSPECIFIED}
        return replace(colour, **stated)

    def set_display_rotation(
        self, degrees: float, hflip: bool = False, vflip: bool = False
    ) -> None:
        """Sets `rotation` from degrees counter-clockwise, as PyAV has it.

        Raises:
            UsageError: the frames are to be mirrored, which a stream cannot say.
        """
        if hflip or vflip:
            raise UsageError("BSQ carries quarter turns and no mirroring: mirror the frames")
        self.rotation = round(-degrees) % 360

    def set_display_matrix(self, matrix: Sequence[int] | None) -> None:
        """Sets `rotation` from the nine numbers of a display matrix; None takes it back.

        Raises:
            UsageError: it is more than a quarter turn.
        """
        if matrix is None:
            self.rotation = None
            return
        a, b, _, c, d = (int(value) for value in list(matrix)[:5])
        turns = {(1, 0, 0, 1): 0, (0, 1, -1, 0): 90, (-1, 0, 0, -1): 180, (0, -1, 1, 0): 270}
        signs = tuple((value > 0) - (value < 0) for value in (a, b, c, d))
        if signs not in turns:
            raise UsageError(f"BSQ carries quarter turns, and {list(matrix)} is none")
        self.rotation = turns[signs]

    def open(self, strict: bool = True) -> None:
        """Nothing: the encoder is made when the first frame says what is to be coded."""
        del strict

    @property
    def is_open(self) -> bool:
        """Whether the sequence header is known, so that the file can be started."""
        return self._encoder is not None or self._copied is not None

    @property
    def header(self) -> tuple[bytes, SequenceHeader]:
        """The sequence header as bytes and as a dictionary."""
        if self._copied is not None:
            return self._copied
        if self._encoder is None:
            raise UsageError(f"stream {self.index} has had no frame yet")
        return self._encoder.header, self._encoder.sequence

    @property
    def stats(self) -> dict[str, Any]:
        """What the last packet was made of, in bits."""
        return {} if self._encoder is None else self._encoder.stats

    def copy_from(self, template: BsqInputStream) -> None:
        """Takes packets of an input stream as they are; encode() is then not to be called."""
        self._copied = (template.track.header, template.sequence.copy())
        self.width, self.height = template.width, template.height
        self.pix_fmt, self.time_base = template.pix_fmt, template.time_base
        self.rate, self.rotation = template.track.frame_rate, template.rotation
        self._colour = template._colour
        self.sample_aspect_ratio = template.sample_aspect_ratio
        self.metadata.update(template.metadata)
        self.disposition = int(template.disposition)
        self.hdr = template.hdr

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

    def encode_lazy(self, frame: EncoderInput | None = None) -> Iterator[OutputPacket]:
        """The same packet by packet."""
        yield from self.encode(frame)

    def _wrap(self, packets: list[Packet]) -> list[OutputPacket]:
        self.frames += len(packets)
        return [OutputPacket(self, packet) for packet in packets]

    def _settings(self) -> dict[str, Any]:
        return encoder_arguments(self.options, bit_rate=self.bit_rate, gop_size=self.gop_size)

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
        if isinstance(frame, av.VideoFrame):
            return self._open_for_frames(frame)
        return self._open_for_arrays(frame)

    def _stated_time_base(self) -> Fraction | None:
        if self.time_base is None and self.rate is not None:
            return 1 / self.rate
        return self.time_base

    def _open_for_arrays(self, first: EncoderInput) -> Encoder:
        self._take_size(first)
        plain = _RGB_COLOUR if getattr(first, "ndim", 0) == 3 else Colour()
        colour = None if self._colour == Colour() else self._with_stated(plain)
        return self._open_as(colour, self._stated_time_base() or DEFAULT_TIME_BASE)

    def _open_for_frames(self, first: av.VideoFrame) -> Encoder:
        if self.hdr is None:
            self.hdr = hdr_of_frame(first)
        self.time_base = self._stated_time_base() or first.time_base or DEFAULT_TIME_BASE
        scale = (self.width, self.height) if self.width and self.height else None
        converter = FrameConverter(
            first, scale=scale, pixel_format=self.pix_fmt, warn=lambda _: None
        )
        layout = converter.format
        self.width, self.height = layout.width, layout.height
        if self.pix_fmt is None:
            self.pix_fmt = layout.pixel_format
        rotation = -first.rotation % 360 if self.rotation is None else self.rotation
        self.rotation = rotation if rotation % 90 == 0 else 0
        colour = self._with_stated(converter.colour)
        if self.pix_fmt != layout.pixel_format:
            return self._open_as(colour, self.time_base)
        sequence = sequence_header(
            layout,
            colour,
            time_base=self.time_base,
            frame_rate=self.rate,
            sample_aspect=self.sample_aspect_ratio,
            rotation=self.rotation,
        )
        return Encoder(sequence=sequence, **self._settings())

    def _open_as(self, colour: Colour | None, time_base: Fraction) -> Encoder:
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

    def _take_size(self, frame: EncoderInput) -> None:
        array = cast(Plane, frame) if hasattr(frame, "shape") else None
        first = cast(Sequence[Plane], frame)[0] if array is None else array
        if not self.width or not self.height:
            self.height, self.width = int(first.shape[0]), int(first.shape[1])
        if self.pix_fmt is not None or array is None:
            return
        if array.ndim == 2:
            self.pix_fmt = "gray" if array.dtype.itemsize == 1 else "gray10le"
        elif array.shape[2] == 4:
            self.pix_fmt = "yuva420p"


# What may be set on a stream; other attributes would have no effect.
_SETTABLE = frozenset(
    {
        "index",
        "id",
        "container",
        "options",
        "width",
        "height",
        "pix_fmt",
        "time_base",
        "rate",
        "framerate",
        "sample_aspect_ratio",
        "rotation",
        "bit_rate",
        "gop_size",
        "max_b_frames",
        "frames",
        "metadata",
        "disposition",
        "hdr",
        "thread_count",
        "thread_type",
        "flags",
        "color_range",
        "color_primaries",
        "color_trc",
        "colorspace",
    }
)
