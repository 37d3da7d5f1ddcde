"""Animations: several pictures with their durations in a `.bsq` file (docs/bitstream.md 10)."""

from __future__ import annotations

import io
import itertools
import warnings
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any, Unpack

import av

from bsqav.codec.animation_file import (
    MAX_LOOPS,
    AnimationFile,
    is_animation,
    read_animation,
    write_animation,
)
from bsqav.codec.decoder import Decoder
from bsqav.codec.encoder import Encoder
from bsqav.codec.image import Chroma, GivenPicture, Output, picture_frame
from bsqav.codec.image_metadata import ImageMetadata
from bsqav.codec.models import ModelLike
from bsqav.codec.sequence import SequenceHeader, sequence_header, sequence_of
from bsqav.codec.settings import AnimationArguments, EncoderSettings, given_settings
from bsqav.codec.shown_frames import ShownFrames
from bsqav.codec.still import StillConverter, check_still, is_still
from bsqav.codec.units import Frame, Packet
from bsqav.errors import BitstreamError, BsqWarning, UsageError

__all__ = [
    "Animation",
    "AnimationFile",
    "encode_animation",
    "is_animation",
    "read_animation",
    "write_animation",
]

# Milliseconds and the usual frame rates are whole numbers of these.
TIME_BASE = Fraction(1, 90000)
DEFAULT_DURATION = Fraction(1, 10)


def encode_animation(
    pictures: Iterable[Any],
    *,
    durations: Fraction | float | Sequence[Fraction | float] = DEFAULT_DURATION,
    loops: int = 0,
    chroma: Chroma | None = None,
    metadata: ImageMetadata | None = None,
    model: ModelLike | None = None,
    **arguments: Unpack[AnimationArguments],
) -> bytes:
    """Codes several pictures; the result is the content of a `.bsq` file.

    Args:
        pictures: of the kinds that `encode_image` takes, all of one size. The first one settles
            whether they are in colour.
        durations: seconds for which each picture shows, or one number for all.
        loops: how often the animation is shown, 0 for ever.
        chroma, metadata: as `encode_image` has them; where None metadata are those of the first
            picture, if that is a Pillow image.
        model: name, id, path or Model; the default model where None.
        arguments: the settings that `AnimationArguments` names, see `EncoderSettings`.

    Raises:
        TypeError: there is no argument of that name.
        UsageError: there is no picture, one does not go with the first, or an argument is out of
            range.
        UnsupportedError, ModelNotFoundError, ModelError: as `encode_image`.
    """
    given_by_name = given_settings(arguments, encode_animation, AnimationArguments)
    settings = EncoderSettings.for_files().changed(given_by_name)
    if chroma not in (None, "420", "422", "444"):
        raise UsageError(f"chroma {chroma!r} is none of '420', '422', '444'")
    rest = iter(pictures)
    given = [picture_frame(picture, metadata) for picture in itertools.islice(rest, 1)]
    if not given:
        raise UsageError("an animation has at least one picture")
    # Exif's orientation is that of the whole file: every picture is turned by what the first says.
    others = (picture_frame(picture, metadata) for picture in rest)
    held = io.BytesIO()
    packets = _coded(itertools.chain(given, others), durations, chroma, model, settings)
    write_animation(held, packets, loops=loops, metadata=given[0].metadata)
    return held.getvalue()


def _coded(
    pictures: Iterable[GivenPicture],
    durations: Fraction | float | Sequence[Fraction | float],
    chroma: Chroma | None,
    model: ModelLike | None,
    settings: EncoderSettings,
) -> Iterator[Packet]:
    encoder: Encoder | None = None
    tick = 0
    for number, picture in enumerate(pictures):
        frame, rotation = picture.frame, picture.rotation
        if encoder is None:
            converter = StillConverter(frame, chroma=chroma, warn=_warn)
            first, first_rotation = frame, rotation
            encoder = _open(converter, rotation, model, settings)
        elif rotation != first_rotation:
            raise UsageError(f"picture {number} is turned otherwise than the first")
        _check_like(first, frame, converter, number)
        ticks = _ticks(durations, number)
        yield from encoder.encode(converter.convert(frame), pts=tick, duration=ticks)
        tick += ticks
    if encoder is not None:
        if isinstance(durations, Sequence) and len(durations) != number + 1:
            raise UsageError(f"{len(durations)} durations for {number + 1} pictures")
        yield from encoder.flush()


def _open(
    converter: StillConverter, rotation: int, model: ModelLike | None, settings: EncoderSettings
) -> Encoder:
    sequence = sequence_header(
        converter.format,
        converter.colour,
        time_base=TIME_BASE,
        chroma_location=converter.chroma_location,
        rotation=rotation,
    )
    return Encoder(sequence=sequence, model=model, settings=settings)


def _check_like(
    first: av.VideoFrame, frame: av.VideoFrame, converter: StillConverter, number: int
) -> None:
    """Raises UsageError where a picture has another size or more colours than the first."""
    if (frame.width, frame.height) != (first.width, first.height):
        raise UsageError(
            f"picture {number} has {frame.width}x{frame.height} and the first {first.width}x"
            f"{first.height}: an animation has one size"
        )
    own = StillConverter(frame, warn=lambda _: None).format
    if own.chroma != converter.format.chroma and converter.format.chroma == "gray":
        raise UsageError(f"picture {number} is in colour and the first is gray: convert it")
    if own.alpha and not converter.format.alpha:
        raise UsageError(f"picture {number} is transparent and the first is not")


def _ticks(durations: Fraction | float | Sequence[Fraction | float], number: int) -> int:
    if isinstance(durations, Sequence):
        if number >= len(durations):
            raise UsageError(f"{len(durations)} durations for more pictures")
        durations = durations[number]
    ticks = round(Fraction(durations) / TIME_BASE)
    if not 1 <= ticks <= MAX_LOOPS:
        raise UsageError(f"a picture cannot show for {float(durations)} seconds")
    return ticks


class Animation(ShownFrames):
    """An animation's pictures in any order.

    `len()` gives their number, an index a picture as `decode_image` gives it. Going on from one
    picture to the next is cheap; going elsewhere decodes from the keyframe before.

    Args:
        data: the content of the `.bsq` file: an animation, or a still, which has one picture.
        output: as `decode_image` has it: "array", "pillow" or "frame".
        model: a model to use beside the installed ones.
        threads: 1 to 64, 0 for the number of processors.

    Raises:
        BitstreamError: the data is neither, or damaged; `.byte` says where.
        UnsupportedError: its version is newer than this library.
    """

    def __init__(
        self,
        data: bytes,
        *,
        output: Output = "array",
        model: ModelLike | None = None,
        threads: int = 0,
    ) -> None:
        still = AnimationFile((data,), 1, complete=True)
        file = still if is_still(data) else read_animation(data)
        self.loops = file.loops
        """How often it is shown, 0 for ever."""
        self.metadata = file.metadata
        """Exif, colour profile and XMP of the file."""
        for fault in file.faults:
            _warn(fault)
        self.complete = file.complete
        """Whether the file ends where it should."""
        self._packets = file.packets
        self._output = output
        self._decoder = Decoder(
            models=() if model is None else (model,), threads=threads, strict=True
        )
        self._keyframes = [number for number, data in enumerate(self._packets) if is_still(data)]
        self.sequence: SequenceHeader = sequence_of(check_still(self._packets[0]))
        """The first sequence header; see `bsqav.codec.sequence`."""
        self._next = 0  # the packet that the decoder waits for
        self._last: tuple[int, Frame] | None = None

    def __len__(self) -> int:
        return len(self._packets)

    def duration(self, index: int) -> Fraction:
        """Seconds for which a picture shows, 0 where unknown. Decodes the picture."""
        frame = self.frame(index)
        return frame.duration * frame.time_base

    def frame(self, index: int) -> Frame:
        """A picture as it is coded.

        Raises:
            IndexError: there is no such picture.
            BitstreamError: it is damaged.
            ModelNotFoundError: the model is not installed.
        """
        count = len(self._packets)
        if not -count <= index < count:
            raise IndexError(f"picture {index} of an animation of {count}")
        index %= count
        if self._last is not None and self._last[0] == index:
            return self._last[1]
        keyframe = max(number for number in self._keyframes if number <= index)
        if not keyframe <= self._next <= index:
            self._decoder.reset()
            self._next = keyframe
        for number in range(self._next, index + 1):
            try:
                (frame,) = self._decoder.decode(self._packets[number])
            except BitstreamError as error:
                error.packet = number
                self._next = count
                raise
        self._next = index + 1
        self._last = (index, frame)
        return frame


def _warn(message: str) -> None:
    warnings.warn(message, BsqWarning, stacklevel=7)
